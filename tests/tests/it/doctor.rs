//! `dhenara doctor`: what it finds in a project that can be used, and in one that cannot.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment};
use crate::models::{Scripted, says};

const KEY: &str = "sk-of-the-doctor-0123456789";

fn with_key(env: &TestEnvironment, args: &[&str]) -> CommandOutput {
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    command.env("GROQ_API_KEY", KEY).args(args);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    env.finish(piped.spawn().unwrap())
}

fn check<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut checks = document["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap()
}

fn provider<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut providers = document["providers"].as_array().unwrap().iter();
    providers.find(|provider| provider["name"] == name).unwrap()
}

#[test]
fn a_project_that_can_be_used() {
    let env = TestEnvironment::without_project();
    drop(env.run(&["init"]).expect(0));
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "anthropic: sk-in-the-file-0123456789\n",
    );
    let shown = with_key(&env, &["doctor"]).expect(0).stdout;
    // Versions, room and sandboxes are those of the machine.
    let varies = |line: &&str| {
        !["version ", "runs ", " free", "git ", "sandbox "]
            .iter()
            .any(|name| line.contains(name))
    };
    let lines: Vec<&str> = shown.lines().filter(varies).take(12).collect();
    let root = env.path("").to_string_lossy().into_owned();
    insta::assert_snapshot!(lines.join("\n").replace(&root, "[root]/"), @"
    ✓ project  [root]/project
    ✓ config   .dhenara/config.yaml, environment default
    ✓ models   0 of your own
    ✓ agents   1 definition

    keys
    ✓ anthropic     [root]/project/.dhenara/.secrets/.credentials.yaml
    · cerebras      none: set CEREBRAS_API_KEY
    · deepseek      none: set DEEPSEEK_API_KEY
    · fireworks_ai  none: set FIREWORKS_AI_API_KEY
    · gemini        none: set GEMINI_API_KEY
    · google        none: set GOOGLE_API_KEY
    ");
    assert!(
        shown.contains("GROQ_API_KEY") && !shown.contains("sk-"),
        "{shown}"
    );

    let document = with_key(&env, &["doctor", "--json"]).expect(0).json("cli_doctor");
    assert_eq!(provider(&document, "groq")["key_variable"], "GROQ_API_KEY");
    assert!(provider(&document, "anthropic")["key_file"].is_string());
    assert_eq!(provider(&document, "openai")["key_variable"], Value::Null);
    assert_eq!(provider(&document, "ollama")["needs_key"], json!(false));
    assert_eq!(provider(&document, "groq")["reachable"], Value::Null);
    assert!(env.runs().is_empty() && !env.project().join("runs").exists());
}

#[test]
fn a_configuration_with_mistakes_cannot_be_used() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: { casette: x } }\n",
    );
    insta::assert_snapshot!(env.unchanged(&["doctor"]).expect(1), @"
    ✓ version  dhenara 0.1.0
    ✗ project  [root]/project/.dhenara/config.yaml:1:28: error[unknown_key]: unknown key `casette`
                 |
               1 | environments: { default: { casette: x } }
                 |                            ^^^^^^^
                 = hint: did you mean `cassette`?
    ---- exit code 1
    ");
    let document = env.unchanged(&["doctor", "--json"]).expect(1).json("cli_doctor");
    assert_eq!(
        (&document["usable"], &document["providers"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn a_run_root_that_cannot_be_made_is_found() {
    let env = TestEnvironment::new();
    env.write("file", "no directory\n");
    let found = env.unchanged(&["doctor", "--run-root", "file/runs", "--json"]);
    let document = found.expect(1).json("cli_doctor");
    let runs = check(&document, "runs");
    assert_eq!(runs["status"], "failed");
    assert!(
        runs["hint"].as_str().unwrap().contains("`--run-root DIR`"),
        "{runs}"
    );
}

#[test]
fn models_and_definitions_with_mistakes_are_found() {
    let env = TestEnvironment::new();
    env.write(".dhenara/models.yaml", "- { nme: x }\n");
    env.write("flows/broken.yaml", "kind: flow\n");
    let document = env.unchanged(&["doctor", "--json"]).expect(1).json("cli_doctor");
    assert_eq!(check(&document, "models")["status"], "failed");
    assert_eq!(check(&document, "agents")["status"], "warning");
}

#[test]
fn without_a_project_flows_can_run() {
    let env = TestEnvironment::without_project();
    let document = env.unchanged(&["doctor", "--json"]).expect(0).json("cli_doctor");
    assert_eq!(check(&document, "project")["status"], "warning");
    assert_eq!(
        check(&document, "project")["hint"],
        "`dhenara init` makes a project here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_for_nothing_and_get_no_key() {
    let scripted = Scripted::new(vec![says("never asked")]).await;
    let env = &scripted.env;
    let url = scripted.server.uri();
    env.write(
        ".dhenara/models.yaml",
        &format!(
            "- {{ name: near/tiny, base_url: \"{url}/v1/\" }}\n- {{ name: gone/tiny, base_url: \"http://127.0.0.1:1/\" }}\n"
        ),
    );
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "near: sk-in-the-file-0123456789\n",
    );
    let document = env
        .unchanged(&["doctor", "--online", "--json"])
        .expect(0)
        .json("cli_doctor");
    let near = provider(&document, "near");
    assert_eq!(near["reachable"], json!(true), "{near}");
    assert_eq!(provider(&document, "gone")["reachable"], json!(false));
    let requests = scripted.server.received_requests().await.unwrap();
    let heads = requests
        .iter()
        .filter(|request| request.method.as_str() == "HEAD");
    assert_eq!((heads.count(), requests.len()), (1, 1));
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );
}
