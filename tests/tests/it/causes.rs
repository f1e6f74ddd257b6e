//! Unlucky and hostile turns that a run tells as they are: what it continues with, why something failed, what cannot work, and
//! where a key would be left.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::harness::{TestEnvironment, journal, read_json};
use crate::models::{Scripted, says};

const RUN: [&str; 4] = ["run", "flow", "flow.yaml", "--no-input"];
const APPROVE: [&str; 4] = ["answer", "last", "--approve", "--no-input"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().chain(more).copied().collect()
}

/// A project with a flow.
fn project(rest: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &format!("schema_version: 1\nkind: flow\n{rest}"));
    env
}

// Continuing.

#[tokio::test(flavor = "multi_thread")]
async fn the_model_that_an_alias_stood_for_is_asked_to_the_end() {
    let scripted = Scripted::new(vec![says("hello")]).await;
    let env = &scripted.env;
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  \
         - { node: gate, type: command, requires_approval: true, settings: { commands: [[\"true\"]] } }\n  \
         - { node: ask, type: ai_model_call, settings: { models: [local/free], prompt: Hi } }\n",
    );
    let models = env.project().join(".dhenara/models.yaml");
    let plain = std::fs::read_to_string(&models).unwrap();
    let name = |model: &str| {
        let named = format!("name: local/{model}, aliases: [fast]");
        std::fs::write(&models, plain.replace(&format!("name: local/{model}"), &named)).unwrap();
    };
    name("tiny");
    drop(env.run(&with(&RUN, &["--model", "fast"])).expect(3));
    name("big");
    drop(env.run(&APPROVE).expect(0));
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["model"], "tiny");
}

#[test]
fn a_run_whose_environment_is_gone_says_how_it_is_continued() {
    let env = project(
        "variables: { who: absent }\noutput: \"$var{who}\"\nelements:\n  \
         - { node: gate, type: command, requires_approval: true, settings: { commands: [[\"true\"]] } }\n",
    );
    env.write(
        ".dhenara/config.yaml",
        "environments: { ci: { variables: { who: Ada } } }\n",
    );
    drop(env.run(&with(&RUN, &["--env", "ci"])).expect(3));
    env.write(".dhenara/config.yaml", "environments: {}\n");
    let before = journal(&env.last_run());
    let refused = env.unchanged(&APPROVE).expect(2);
    assert!(
        refused.stderr.contains("error[unknown_environment]") && refused.stderr.contains("`--env default`"),
        "{refused}"
    );
    assert_eq!(journal(&env.last_run()), before);
    let answered = env.run(&with(&APPROVE, &["--env", "default"])).expect(0);
    assert_eq!(answered.stdout, "Ada\n", "{answered}");
}

#[test]
fn a_run_keeps_what_it_was_given_though_its_files_are_gone() {
    let env = project(
        "required: [x, y]\noutput: \"$var{x} $var{y} $expr{ $hier{read}.outcome.results[0].stdout }\"\nelements:\n  \
         - { node: gate, type: command, requires_approval: true, settings: { commands: [[\"true\"]] } }\n  \
         - { node: read, type: command, settings: { commands: [[cat, static_inputs/given]] } }\n",
    );
    env.write("x.txt", "one");
    env.write("static.json", r#"{"flow_root": {"variables": {"y": "two"}}}"#);
    env.write("in/given", "three");
    let given = [
        "--var",
        "x=@x.txt",
        "--static-inputs",
        "static.json",
        "--input-dir",
        "in",
    ];
    drop(env.run(&with(&RUN, &given)).expect(3));
    for name in ["x.txt", "static.json", "in/given"] {
        std::fs::remove_file(env.project().join(name)).unwrap();
    }
    // Other values of the same names are not taken in their place.
    env.write("x.txt", "other");
    let project = env.project();
    let place = ["--project-root", project.to_str().unwrap()];
    let answered = env.run_in(&env.path("home"), &with(&APPROVE, &place)).expect(0);
    assert_eq!(answered.stdout, "one two three\n", "{answered}");
}

// Truth.

#[test]
fn a_component_that_failed_by_itself_says_why_wherever_it_is_shown() {
    let env = project(
        "elements:\n  - subflow: around\n    on_error: continue\n    elements:\n      \
         - for_each: each\n        statement: $expr{ null }\n        body:\n          \
         - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n",
    );
    let said = env.run(&RUN).expect(0);
    const WHY: &str = "`statement` must be a list or a range, it is nothing";
    assert_eq!(said.stderr.matches(WHY).count(), 1, "{said}");
    let shown = env.run(&["runs", "show", "last"]).expect(0);
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| line.contains(WHY)).collect();
    assert!(
        lines.len() == 1 && lines[0].trim_start().starts_with("each  failed"),
        "{shown}"
    );
    for path in ["around.each", "around"] {
        let shown = env.run(&["runs", "show", "last", path]).expect(0);
        assert!(
            shown.stdout.contains(&format!("flow_root.around.each: {WHY}")),
            "{shown}"
        );
    }
    let document = env.run(&["runs", "show", "last", "--json"]).expect(0);
    let document = document.json("cli_runs_show");
    let steps = document["steps"].as_array().unwrap();
    let around = steps.iter().find(|step| step["path"] == "flow_root.around");
    assert_eq!(around.unwrap()["error"]["path"], "flow_root.around.each");
    let each = env
        .run(&["runs", "show", "last", "around.each", "--json"])
        .expect(0);
    assert_eq!(each.json("cli_runs_show")["error"]["message"], WHY);
}

#[test]
fn what_failed_in_a_step_is_not_told_again_by_the_components_around_it() {
    let env =
        project("elements:\n  - { node: bad, type: command, settings: { commands: [[sh, -c, exit 7]] } }\n");
    drop(env.run(&RUN).expect(1));
    let shown = env.run(&["runs", "show", "last"]).expect(0);
    let (_, tree) = shown.stdout.split_once("  flow_root  failed").unwrap();
    assert_eq!(tree.matches("ended with exit code 7").count(), 1, "{shown}");
}

#[test]
fn an_inherited_value_that_is_no_text_is_refused_and_not_left_out() {
    let env = project(
        "elements:\n  - { node: a, type: command, settings: { commands: [[touch, \"$var{project_root}/effect\"]] } }\n  \
         - { node: b, type: command, settings: { inherit_env: [ODD], commands: ['echo \"<$ODD>\"'] } }\n",
    );
    let output = env
        .command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project())
        .args(RUN)
        .env("ODD", OsStr::from_bytes(b"x\xffy"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("error[inherit_env]") && stderr.contains("`ODD`"),
        "{stderr}"
    );
    assert!(!env.project().join("effect").exists());
}

#[test]
fn a_run_whose_directory_a_step_removed_is_not_said_to_be_resumable() {
    let env = project(
        "elements:\n  - { node: a, type: command, settings: { working_dir: /, commands: ['rm -rf \"$var{run_root}\"/run_*'] } }\n",
    );
    let failed = env.run(&RUN).expect(1);
    assert!(
        failed.stderr.contains("  next      dhenara runs list\n")
            && !failed.stderr.contains("dhenara resume"),
        "{failed}"
    );
}

#[test]
fn what_a_command_puts_in_the_place_of_a_result_is_none() {
    for forged in [
        "ln -s \"$var{project_root}/precious\" result.json",
        "echo forged > result.json",
    ] {
        let env = project(&format!(
            "elements:\n  - {{ node: a, type: command, settings: {{ commands: ['cd .run/stage/* && {forged}'] }} }}\n"
        ));
        env.write("precious", "precious");
        let failed = env.run(&RUN).expect(1);
        assert!(
            failed.stderr.contains("result.json`: File exists"),
            "{forged}: {failed}"
        );
        assert!(!env.last_run().join("flow_root/a").exists(), "{forged}");
        let precious = std::fs::read_to_string(env.project().join("precious")).unwrap();
        assert_eq!(precious, "precious");
        drop(env.run(&["runs", "verify", "last"]).expect(0));
    }
}

// Static truth.

#[test]
fn a_secret_that_is_not_there_is_reported_before_the_first_step() {
    let env = project(
        "elements:\n  - { node: a, type: command, settings: { commands: [[touch, \"$var{project_root}/effect\"]] } }\n  \
         - { node: b, type: command, settings: { env_vars: { T: \"Bearer $secret{nowhere}\" }, commands: [[\"true\"]] } }\n",
    );
    for more in [&[][..], &["--dry-run"]] {
        let refused = env.refused(&with(&RUN, more));
        assert!(
            refused
                .stderr
                .contains("error[secret]: `flow_root.b`: there is no secret `nowhere`"),
            "{refused}"
        );
    }
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "secrets: { nowhere: made-up-value-1234 }\n",
    );
    drop(env.run(&RUN).expect(0));
}

#[test]
fn a_step_that_names_no_model_is_refused_before_the_first_step() {
    let env = project(
        "elements:\n  - { node: a, type: command, settings: { commands: [[touch, \"$var{project_root}/effect\"]] } }\n  \
         - { node: ask, type: ai_model_call, settings: { models: [], prompt: Hi } }\n",
    );
    let refused = env.refused(&RUN);
    assert!(
        refused
            .stderr
            .contains("error[no_models]: `flow_root.ask`: `models` names no model"),
        "{refused}"
    );
    drop(env.run(&["validate", "flow.yaml"]).expect(2));
    drop(
        env.run(&with(&RUN, &["--model", "openai/gpt-5", "--dry-run"]))
            .expect(2),
    );
}

#[test]
fn a_program_and_its_arguments_in_one_item_are_distinguished() {
    let env = project("elements:\n  - { node: a, type: command, settings: { commands: [[\"ls -l\"]] } }\n");
    drop(env.run(&RUN).expect(1));
    let error = read_json(&env.last_run().join("flow_root/a/result.json"))["error"].clone();
    assert!(error["hint"].as_str().unwrap().contains("give `ls`"), "{error}");
}

#[test]
fn a_model_without_a_provider_is_not_proposed_in_its_own_place() {
    let env =
        project("elements:\n  - { node: a, type: ai_model_call, settings: { models: [m], prompt: Hi } }\n");
    env.write(".dhenara/models.yaml", "- name: m\n");
    let refused = env.refused(&RUN);
    assert!(
        refused.stderr.contains("error[unknown_model]") && !refused.stderr.contains("did you mean"),
        "{refused}"
    );
}

// Secrets.

const KEY: &str = "made-up-Secret-98765";

fn with_key(rest: &str) -> TestEnvironment {
    let env = project(rest);
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets: {{ k: {KEY} }}\n"),
    );
    env
}

/// Whether any of the texts stands in a name, a link or a file of the runs.
fn holds(dir: &Path, texts: &[&str]) -> Option<String> {
    let found = |what: &Path, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        texts
            .iter()
            .find(|wanted| text.contains(**wanted))
            .map(|wanted| format!("{wanted} in {}", what.display()))
    };
    std::fs::read_dir(dir).into_iter().flatten().find_map(|entry| {
        let path = entry.unwrap().path();
        let inside = match path.symlink_metadata().unwrap().file_type() {
            kind if kind.is_dir() => holds(&path, texts),
            kind if kind.is_symlink() => found(&path, path.read_link().unwrap().as_os_str().as_bytes()),
            _ => found(&path, &std::fs::read(&path).unwrap()),
        };
        inside.or_else(|| found(&path, path.file_name().unwrap().as_bytes()))
    })
}

#[test]
fn a_link_that_leads_to_a_name_with_a_secret_is_not_left() {
    let env = with_key(
        "elements:\n  - { node: a, type: command, settings: { env_vars: { K: \"$secret{k}\" }, commands: \
         ['mkdir -p deep; ln -s \"/x/$K\" link; ln -s \"$K\" deep/link; ln -s plain other'] } }\n",
    );
    drop(env.run(&RUN).expect(0));
    let run = env.last_run();
    assert_eq!(holds(&run, &[KEY]), None);
    assert!(
        run.join("other").symlink_metadata().is_ok(),
        "a link to something else stays"
    );
    // The checks of the harness know no links.
    env.is_checked();
}

#[test]
fn a_key_is_no_part_of_the_name_of_a_run() {
    let env = with_key("elements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n");
    let refused = env.refused(&with(&RUN, &["--run-id-prefix", KEY]));
    assert!(
        refused.stderr.contains("error[run_id_prefix]") && !refused.stderr.contains(KEY),
        "{refused}"
    );
}

#[test]
fn a_secret_that_is_dumped_by_ordinary_programs_is_masked() {
    let env = with_key(
        "elements:\n  - { node: a, type: command, settings: { env_vars: { K: \"$secret{k}\" }, commands: \
         ['printf %s \"$K\" | od -An -v -tx1 -w99', 'printf %s \"x$K\" | base32 -w0'] } }\n",
    );
    drop(env.run(&RUN).expect(0));
    let log = std::fs::read_to_string(env.last_run().join("flow_root/a/stdout.log")).unwrap();
    assert_eq!(log.matches("[redacted]").count(), 2, "{log}");
    assert_eq!(holds(&env.last_run(), &[KEY, "6d 61 64 65", "MFSGKL"]), None);
}
