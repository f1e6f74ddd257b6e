//! Programs in Rust that mask keys and end their runs.

use dhenara::definition::load_str;
use dhenara::models::{Credentials, HttpClient, ModelCatalog, Models};
use dhenara::run::{RunEnd, RunView};
use dhenara::runner::Runner;
use dhenara::types::Definition;
use dhenara::types::SecretRegistry;
use dhenara::{FlowDefinition, FlowRunner, RunContext, RunError, RunStatus, builtin_nodes};
use std::sync::Arc;

use crate::harness::{TestEnvironment, read_json};
use crate::models::{Scripted, says};

fn flow(elements: &str) -> Definition {
    let text = format!("schema_version: 1\nkind: flow\nelements:\n{elements}");
    load_str(&text, "flow.yaml", None, None).unwrap().definition
}

const FILE_KEY: &str = "key-in-the-file-0123456789";
const OTHER_KEY: &str = "key-of-an-environment-987654";

/// A project with keys, and a step that prints the files they stand in.
fn with_keys() -> (TestEnvironment, Definition) {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("some: {{ api_key: {FILE_KEY} }}\nsecrets: {{ pin: 987123654 }}\n"),
    );
    env.write("other.yaml", &format!("some: {{ api_key: {OTHER_KEY} }}\n"));
    env.write(
        ".dhenara/config.yaml",
        "environments: { ci: { credentials: other.yaml } }\n",
    );
    let shows = "  - { node: shows, type: command, settings: { commands: [\"cat $var{project_root}/.dhenara/.secrets/.credentials.yaml $var{project_root}/other.yaml\"] } }\n";
    (env, flow(shows))
}

fn stdout_of(run_dir: &std::path::Path, step: &str) -> String {
    let outcome = read_json(&run_dir.join("flow_root").join(step).join("outcome.json"));
    outcome["results"][0]["stdout"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_rust_masks_the_keys_of_its_project() {
    let (env, definition) = with_keys();
    let project = env.opened();
    assert!(!project.secrets().add("pin"), "too short to be masked");
    let context = project.context("flow_root").unwrap().build().unwrap();
    let report = Runner::new(definition.clone(), context).run().await.unwrap();
    let shown = stdout_of(&report.run_dir, "shows");
    assert_eq!(shown.matches("[redacted]").count(), 3, "{shown}");
    for file in ["stdout.log", "result.json"] {
        let text = std::fs::read_to_string(report.run_dir.join("flow_root/shows").join(file)).unwrap();
        for key in [FILE_KEY, OTHER_KEY, "987123654"] {
            assert!(!text.contains(key), "{file}: {text}");
        }
    }
    let plain = || RunContext::builder("flow_root", env.project()).nodes(builtin_nodes());
    let refused = plain().build().unwrap_err();
    assert_eq!(refused.code(), "no_secrets");
    assert!(refused.to_info().hint.unwrap().contains("`.unmasked()`"));
    let report = Runner::new(definition, plain().unmasked().build().unwrap())
        .run()
        .await
        .unwrap();
    let shown = stdout_of(&report.run_dir, "shows");
    assert!(shown.contains(FILE_KEY) && shown.contains(OTHER_KEY), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_model_is_asked_with_is_masked_with_any_client() {
    let scripted = Scripted::new(vec![says("hello")]).await;
    let env = &scripted.env;
    // No configuration names the file, so nothing knows of it before the client reads it.
    env.write("elsewhere.yaml", &format!("local: {{ api_key: {FILE_KEY} }}\n"));
    let definition = flow(
        "  - { node: ask, type: ai_model_call, settings: { models: [local/tiny], prompt: Hi } }\n  - { node: shows, type: command, settings: { commands: [\"cat $var{project_root}/elsewhere.yaml\"] } }\n",
    );
    let project = env.project();
    let file = std::path::Path::new("elsewhere.yaml");
    let credentials = Credentials::new(&project, Some(file), SecretRegistry::new());
    let client = HttpClient::new(ModelCatalog::load(&project).unwrap(), credentials);
    let context = RunContext::builder("flow_root", &project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes())
        .resource(Arc::new(Models::new(client)));
    let report = Runner::new(definition, context.build().unwrap())
        .run()
        .await
        .unwrap();
    let requests = scripted.server.received_requests().await.unwrap();
    let sent = requests[0].headers.get("authorization").unwrap();
    assert_eq!(sent, format!("Bearer {FILE_KEY}").as_str());
    assert_eq!(
        stdout_of(&report.run_dir, "shows"),
        "local: { api_key: [redacted] }\n"
    );
}

fn asking() -> FlowDefinition {
    let asks = "  - { node: ask, type: command, pre_events: [node_input_required], settings: { commands: [[\"true\"]] } }\n";
    FlowDefinition::try_from(flow(asks)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_an_open_question_is_not_completed() {
    let env = TestEnvironment::new();
    let definition = asking();
    let context = RunContext::builder("flow_root", env.project())
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes());
    let run = context.build().unwrap().setup_run(&definition).unwrap();
    let dir = run.identity().run_dir.clone();
    let report = FlowRunner::within(&definition, &run).run().await.unwrap();
    assert_eq!(report.status, RunStatus::Waiting);
    let refused = run.complete_run(RunEnd::Completed, None).await.unwrap_err();
    let view = RunView::open(&dir).unwrap();
    let open = view.open_questions().next().unwrap();
    match &refused {
        RunError::QuestionOpen { path, question, .. } => {
            assert_eq!((path.as_str(), question), ("flow_root.ask", &open.id));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refused.code(), "question_open");
    // The question is not lost: the run waits for its answer.
    assert_eq!(view.sealed_status(), Some(RunStatus::Waiting));
    drop(env.run(&["answer", "last", "--input", "{}"]).expect(0));
    assert_eq!(RunView::open(&dir).unwrap().status, RunStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_root_failed_is_not_completed() {
    let env = TestEnvironment::new();
    let fails = "  - { node: fails, type: command, settings: { commands: [[\"false\"]] } }\n";
    let absorbed = fails.replace("type:", "on_error: continue, type:");
    for (elements, status) in [
        (fails, RunStatus::Failed),
        (absorbed.as_str(), RunStatus::Completed),
    ] {
        let definition = FlowDefinition::try_from(flow(elements)).unwrap();
        let context = RunContext::builder("flow_root", env.project())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(builtin_nodes());
        let run = context.build().unwrap().setup_run(&definition).unwrap();
        let dir = run.identity().run_dir.clone();
        let ended = FlowRunner::within(&definition, &run).run().await;
        assert_eq!(ended.is_ok(), status == RunStatus::Completed);
        let sealed = run.complete_run(RunEnd::Completed, None).await;
        let code = sealed.as_ref().err().map(RunError::code);
        assert_eq!(
            code,
            (status == RunStatus::Failed).then_some("root_not_completed")
        );
        assert_eq!(RunView::open(&dir).unwrap().sealed_status(), Some(status));
    }
}

#[test]
fn a_run_ends_in_one_of_four_ways() {
    for status in [
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Cancelled,
        RunStatus::Waiting,
    ] {
        let end = RunEnd::try_from(status).unwrap();
        assert_eq!(RunStatus::from(end), status);
    }
    for status in [
        RunStatus::Running,
        RunStatus::Interrupted,
        RunStatus::Initialized,
        RunStatus::Unknown,
    ] {
        assert_eq!(RunEnd::try_from(status).unwrap_err().code(), "not_a_run_end");
    }
}
