//! The configuration: its mistakes, all at once and with their places; the user's own file; and the values that hold.

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, workspace};

fn project(config: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(".dhenara/config.yaml", config);
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [[echo, hi]] } }\n",
    );
    env
}

fn of_user(env: &TestEnvironment, config: &str) {
    let dir = env.path("home/.config/dhenara");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.yaml"), config).unwrap();
}

fn setting(document: &Value, key: &str) -> Value {
    let mut settings = document["settings"].as_array().unwrap().iter();
    settings.find(|setting| setting["key"] == key).unwrap().clone()
}

#[test]
fn all_mistakes_are_shown_with_their_places() {
    let env = project(
        "\
environments:
  default:
    observability: sometimes
    frobnicate: 1
    budgte: { cost: 1 }
  ci:
    limits: { max_concurency: 3, requests_per_minute: -1 }
    on_waiting: notify
",
    );
    insta::assert_snapshot!(env.unchanged(&["run", "flow.yaml"]).expect(2), @r#"
    ---- stderr
    [root]/project/.dhenara/config.yaml:3:20: error[wrong_type]: expected `true`, `false` or a mapping, found the text "sometimes"
      |
    3 |     observability: sometimes
      |                    ^^^^^^^^^

    [root]/project/.dhenara/config.yaml:4:5: error[unknown_key]: unknown key `frobnicate`
      |
    4 |     frobnicate: 1
      |     ^^^^^^^^^^
      = hint: the keys are run_root, budget, variables, credentials, cassette, observability, on_waiting, on_end, limits, ask_timeout, durability, share

    [root]/project/.dhenara/config.yaml:5:5: error[unknown_key]: unknown key `budgte`
      |
    5 |     budgte: { cost: 1 }
      |     ^^^^^^
      = hint: did you mean `budget`?

    [root]/project/.dhenara/config.yaml:7:15: error[unknown_key]: unknown key `max_concurency`
      |
    7 |     limits: { max_concurency: 3, requests_per_minute: -1 }
      |               ^^^^^^^^^^^^^^
      = hint: did you mean `max_concurrency`?

    [root]/project/.dhenara/config.yaml:7:55: error[wrong_type]: expected a whole number that is not negative, found the number `-1`
      |
    7 |     limits: { max_concurency: 3, requests_per_minute: -1 }
      |                                                       ^^

    [root]/project/.dhenara/config.yaml:8:17: error[wrong_type]: expected a list, found the text "notify"
      |
    8 |     on_waiting: notify
      |                 ^^^^^^
    ---- exit code 2
    "#);
    let document = env
        .unchanged(&["run", "flow.yaml", "--json"])
        .expect(2)
        .json("cli_error");
    assert_eq!(document["error"]["problems"].as_array().map(Vec::len), Some(6));
}

#[test]
fn places_in_lists_are_those_of_the_file() {
    let env = project("environments: {}\n");
    env.write(
        ".dhenara/models.yaml",
        "- { name: 5, base_url: x }\n- { base_url: y }\n- { name: a/b, alias: [c] }\n- { name: c/d, window: many }\n",
    );
    insta::assert_snapshot!(env.unchanged(&["models", "list"]).expect(2), @r#"
    ---- stderr
    [root]/project/.dhenara/models.yaml:1:11: error[wrong_type]: expected a text, found the number `5`
      |
    1 | - { name: 5, base_url: x }
      |           ^

    [root]/project/.dhenara/models.yaml:2:3: error[wrong_type]: missing field `name`
      |
    2 | - { base_url: y }
      |   ^^^^^^^^^^^^^^^

    [root]/project/.dhenara/models.yaml:3:16: error[unknown_key]: unknown key `alias`
      |
    3 | - { name: a/b, alias: [c] }
      |                ^^^^^
      = hint: did you mean `aliases`?

    [root]/project/.dhenara/models.yaml:4:24: error[wrong_type]: expected a whole number that is not negative, found the text "many"
      |
    4 | - { name: c/d, window: many }
      |                        ^^^^
    ---- exit code 2
    "#);
}

#[test]
fn the_key_of_the_original_system_is_accepted() {
    let env = project("project: { name: demo, identifier: demo_1 }\n");
    drop(env.run(&["run", "flow.yaml"]).expect(0));
    let shown = env
        .unchanged(&["config", "show", "--json"])
        .expect(0)
        .json("cli_config_show");
    assert_eq!(setting(&shown, "project")["value"]["name"], "demo");
}

#[test]
fn the_values_that_hold_are_shown_with_their_origins() {
    let env = project(
        "environments: { default: { ask_timeout: 5 }, ci: { share: group, budget: { calls: 3 }, variables: { depth: 1 } } }\n",
    );
    of_user(
        &env,
        "share: all\ndurability: disk\nallow_key: [OPENAI_API_KEY]\n",
    );
    let show =
        |args: &[&str]| -> CommandOutput { env.unchanged(&[&["config", "show"], args].concat()).expect(0) };
    insta::assert_snapshot!(show(&[]), @r#"
    environment       default
    run_root          [root]/project/runs
    credentials       .dhenara/.secrets/.credentials.yaml
    cassette          none
    budget            none
    limits            none
    ask_timeout       5
    durability        disk
    observability     true
    on_waiting        none
    on_end            none
    share             all
    allow_key         ["OPENAI_API_KEY"]
    approvals         none
    sandbox           auto
    trust             none
    trusted_projects  none
    state_dir         [root]/home/.local/state/dhenara
    ---- exit code 0
    "#);
    insta::assert_snapshot!(show(&["--origin", "--env", "ci", "--run-root", "kept"]), @r#"
    environment       ci
                      from --env
    run_root          [root]/project/kept
                      from --run-root
    credentials       .dhenara/.secrets/.credentials.yaml
                      from default
    cassette          none
                      from default
    variables.depth   1
                      from .dhenara/config.yaml
    budget            {"calls":3}
                      from .dhenara/config.yaml
    limits            none
                      from default
    ask_timeout       60
                      from default
    durability        disk
                      from [root]/home/.config/dhenara/config.yaml
    observability     true
                      from default
    on_waiting        none
                      from default
    on_end            none
                      from default
    share             group
                      from .dhenara/config.yaml
    allow_key         ["OPENAI_API_KEY"]
                      from [root]/home/.config/dhenara/config.yaml
    approvals         none
                      from default
    sandbox           auto
                      from default
    trust             none
                      from default
    trusted_projects  none
                      from default
    state_dir         [root]/home/.local/state/dhenara
                      from default
    ---- exit code 0
    "#);
    let shown = show(&["--json", "--env", "ci"]).json("cli_config_show");
    assert_eq!(
        setting(&shown, "environment"),
        json!({ "key": "environment", "value": "ci", "origin": "flag", "from": "--env" })
    );
    assert_eq!(setting(&shown, "durability")["origin"], "user");
    assert_eq!(setting(&shown, "share")["value"], "group");
    let unknown = env.unchanged(&["config", "show", "--env", "cii"]).expect(2);
    assert!(unknown.stderr.contains("did you mean `ci`?"), "{unknown}");
}

#[test]
fn a_run_obeys_the_user_below_the_project() {
    let env = project(
        "environments: { quiet: { observability: false }, loud: { observability: true }, none: {} }\n",
    );
    of_user(&env, "observability: false\n");
    for (environment, has_trace) in [("quiet", false), ("loud", true), ("none", false)] {
        drop(env.run(&["run", "flow.yaml", "--env", environment]).expect(0));
        assert_eq!(
            env.last_run().join(".trace/trace.jsonl").is_file(),
            has_trace,
            "{environment}"
        );
    }
    // A key that decides what a run costs or asks belongs to a project.
    of_user(&env, "cassette: tape\n");
    insta::assert_snapshot!(env.unchanged(&["run", "flow.yaml"]).expect(2), @"
    ---- stderr
    [root]/home/.config/dhenara/config.yaml:1:1: error[unknown_key]: unknown key `cassette`
      |
    1 | cassette: tape
      | ^^^^^^^^
      = hint: the keys are trusted_projects, allow_key, trust, sandbox, approvals, observability, on_waiting, ask_timeout, durability, share
    ---- exit code 2
    ");
}

#[test]
fn a_secret_among_the_values_is_masked() {
    let env = project("environments: { default: { variables: { token: sk-0123456789abcdef } } }\n");
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "openai: sk-0123456789abcdef\n",
    );
    let shown = env.unchanged(&["config", "show"]).expect(0);
    assert!(
        !shown.stdout.contains("sk-0123") && shown.stdout.contains("[redacted]"),
        "{shown}"
    );
}

/// The tables of `docs/projects.md`: exit codes, keys of environments, and the variables of every run.
#[test]
fn the_page_on_projects_has_all_codes_keys_and_variables() {
    use dad_cli::exit_code::{BUG, CANCELLED, DAMAGE, DONE, FAILED, REFUSED, USAGE, WAITING};
    let page = std::fs::read_to_string(workspace().join("docs/projects.md")).unwrap();
    for code in [DONE, FAILED, USAGE, WAITING, REFUSED, DAMAGE, BUG, CANCELLED] {
        assert!(page.contains(&format!("\n| {code} | ")), "exit code {code}");
    }
    let env = project("environments: { default: { x: 1 } }\n");
    let refused = env.unchanged(&["run", "flow.yaml"]).expect(2);
    let (_, keys) = refused.stderr.split_once("the keys are ").unwrap();
    for key in keys.lines().next().unwrap().split(", ") {
        assert!(page.contains(&format!("\n| `{key}` |")), "key {key}");
    }
    let env = project("environments: {}\n");
    for name in [
        "project_root",
        "run_root",
        "effective_run_root",
        "run_id",
        "run_dir",
        "static_inputs_dir",
        "environment",
    ] {
        env.write(
            "flow.yaml",
            &format!("schema_version: 1\nkind: flow\noutput: $var{{{name}}}\nelements: []\n"),
        );
        let run = env.run(&["run", "flow.yaml"]).expect(0);
        assert!(
            !run.stdout.trim().is_empty() && page.contains(&format!("`{name}`")),
            "{name}: {run}"
        );
    }
}
