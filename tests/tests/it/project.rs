//! A project as a program opens it, for users with and without a place for their key.

use std::path::Path;
use std::process::Stdio;

use dad_tests::hex_key;
use dhenara::project::User;
use dhenara::runner::Runner;
use dhenara::{Error, ProjectError, RunStatus};

use crate::harness::{CommandOutput, TestEnvironment, read_json};
use crate::models::{Scripted, says};

const FLOW: &str = "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [[echo, hi]] } }\n";
const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

/// Calls the command as a user whose home is somewhere, and whose key is where they keep it.
fn at_home(env: &TestEnvironment, home: &Path, args: &[&str]) -> CommandOutput {
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    command
        .env("HOME", home)
        .env_remove("DHENARA_ORIGIN_KEY")
        .args(args);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    env.finish(piped.spawn().unwrap())
}

fn with_a_run() -> (TestEnvironment, String) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(0));
    let id = env.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    (env, id)
}

#[test]
fn a_user_without_a_place_for_a_key_reads_runs_all_the_same() {
    let (env, id) = with_a_run();
    std::fs::write(env.path("home/file"), "").unwrap();
    let home = env.path("home/file/home");
    for args in [
        &["runs", "list"][..],
        &["runs", "show", &id],
        &["runs", "show", "last"],
        &["runs", "verify", &id],
        &["runs", "why", &id, "a"],
        &["validate", "flow.yaml"],
        &["render", "flow.yaml", "a"],
        &["run", "flow", "flow.yaml", "--dry-run"],
        &["runs", "repair", &id, "--dry-run"],
    ] {
        let read = at_home(&env, &home, args);
        let whole = args[1] == "repair";
        assert_eq!(read.code, Some(if whole { 2 } else { 0 }), "{args:?}: {read}");
    }
    let verified = at_home(&env, &home, &["runs", "verify", &id]).expect(0);
    assert!(
        verified.stdout.contains("its origin was not checked"),
        "{verified}"
    );
    let refused = at_home(&env, &home, &RUN).expect(1);
    assert!(refused.stderr.contains("error[origin_key]"), "{refused}");
    assert!(
        refused
            .stderr
            .contains("`DHENARA_STATE_DIR` names another directory"),
        "{refused}"
    );
    assert_eq!(env.runs().len(), 1, "no run begins without its key");
}

#[test]
fn reading_makes_no_key_and_a_bad_one_stays_an_error() {
    let (env, id) = with_a_run();
    let home = env.path("home");
    let key = home.join(".local/state/dhenara/origin.key");
    drop(at_home(&env, &home, &["runs", "list"]).expect(0));
    drop(at_home(&env, &home, &["runs", "show", &id]).expect(0));
    drop(at_home(&env, &home, &["run", "flow", "flow.yaml", "--dry-run"]).expect(0));
    // A user without a key has no run that is signed.
    for args in [
        &["runs", "rm", "last"][..],
        &["resume", &id[..12]],
        &["cancel", "last"],
    ] {
        let refused = at_home(&env, &home, args);
        assert!(refused.code != Some(0) && !key.exists(), "{args:?}: {refused}");
    }
    assert_eq!(env.runs().len(), 1);

    drop(at_home(&env, &home, &RUN).expect(0));
    let made = std::fs::read_to_string(&key).unwrap();
    drop(at_home(&env, &home, &RUN).expect(0));
    assert_eq!(std::fs::read_to_string(&key).unwrap(), made);
    std::fs::write(&key, "no key").unwrap();
    for args in [&["runs", "list"][..], &["runs", "show", &id], &RUN] {
        let refused = at_home(&env, &home, args).expect(1);
        assert!(
            refused.stderr.contains("error[origin_key]"),
            "{args:?}: {refused}"
        );
    }
    // What asks for no key needs none.
    drop(at_home(&env, &home, &["validate", "flow.yaml"]).expect(0));
}

const KEY: &str = "sk-of-the-user-0123456789";

fn user(env: &TestEnvironment) -> User {
    let home = env.path("home").to_str().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap();
    let variables = [
        ("HOME", home),
        ("PATH", path),
        ("OPENAI_API_KEY", KEY.to_owned()),
        ("DHENARA_ORIGIN_KEY", hex_key()),
    ];
    User::from_variables(variables.into_iter().collect()).unwrap()
}

/// Every file of a run as text.
fn texts(dir: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() {
            texts(&path)
        } else {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
        };
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_masks_keys_of_the_user_and_sends_them_nowhere_else() {
    let scripted = Scripted::new(vec![says("hello")]).await;
    let env = &scripted.env;
    let url = scripted.server.uri();
    env.write(
        ".dhenara/models.yaml",
        &format!("- {{ name: openai/gpt-5, base_url: \"{url}/v1/\" }}\n"),
    );
    let shows = format!("  - {{ node: shows, type: command, settings: {{ commands: [[echo, {KEY}]] }} }}\n");
    env.write(
        "shows.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{shows}"),
    );
    let project = user(env).open(env.project()).unwrap();
    let flow = project.flow(env.project().join("shows.yaml")).unwrap();
    assert!(project.holds_secrets(&flow.definition));
    let context = project.context_for(&flow).unwrap().build().unwrap();
    let report = Runner::new(flow, context).run().await.unwrap();
    let texts = texts(&report.run_dir);
    assert!(texts.contains("[redacted]") && !texts.contains(KEY) && !texts.contains(&hex_key()));
    let shown = read_json(&report.run_dir.join("shows_root/shows/outcome.json"));
    assert_eq!(shown["results"][0]["stdout"], "[redacted]\n");

    let ask = "  - { node: ask, type: ai_model_call, settings: { models: [openai/gpt-5], prompt: Hi } }\n";
    scripted.flow(ask);
    let run = async || {
        let project = user(env).open(env.project()).unwrap();
        let flow = project.flow(env.project().join("flow.yaml")).unwrap();
        let context = project.context_for(&flow).unwrap().build().unwrap();
        Runner::new(flow, context).run().await
    };
    match run().await {
        Err(Error::Run(error)) => assert!(
            error.to_string().contains("is not the provider's own server"),
            "{error}"
        ),
        other => panic!("{other:?}"),
    }
    assert!(scripted.asked().await.is_empty());
    // The user allows it, and no one else.
    let config = env.path("home/.config/dhenara");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.yaml"), "allow_key: [OPENAI_API_KEY]\n").unwrap();
    assert_eq!(run().await.unwrap().status, RunStatus::Completed);
    assert_eq!(scripted.asked().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_when_a_project_was_opened_holds() {
    let env = TestEnvironment::new();
    env.write(
        "agents/greeter/agent.yaml",
        &FLOW
            .replace(
                "kind: flow",
                "kind: agent\noutput: \"$var{environment} $expr{who}\"\nvariables: { who: x }",
            )
            .replace("  - { node: a", "  - flow: f\n    elements:\n      - { node: a"),
    );
    env.write(
        ".dhenara/config.yaml",
        "environments: { ci: { variables: { who: Ada } } }\n",
    );
    let project = user(&env).open(env.project()).unwrap();
    env.write(".dhenara/config.yaml", "environments: [\n");
    let project = project.environment("ci").unwrap();
    assert_eq!(project.agents(), ["greeter"]);
    let agent = project.agent("greeter").unwrap();
    let context = project.context_for(&agent).unwrap().build().unwrap();
    let report = Runner::new(agent, context).run().await.unwrap();
    assert_eq!(report.output, Some("ci Ada".into()));
    assert_eq!(project.run("last").unwrap().view().run_id, report.run_id);
    assert_eq!(project.runs().unwrap().list().unwrap().len(), 1);

    let error = project.clone().environment("cu").unwrap_err();
    assert_eq!(
        (error.code(), error.to_info().hint.unwrap().as_str()),
        ("unknown_environment", "there are: ci")
    );
    let error = project.agent("greter").unwrap_err();
    assert_eq!(error.to_info().hint.unwrap(), "did you mean `greeter`?");
    assert!(matches!(
        project.flow(env.project().join("agents/greeter/agent.yaml")),
        Err(ProjectError::WrongKind { .. })
    ));
    assert_eq!(user(&env).open(env.project()).unwrap_err().code(), "definition");
}
