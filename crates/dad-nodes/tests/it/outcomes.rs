//! Outcomes of the built-in nodes as types: what is read says all that the files say.

use dad_models::{ModelRequest, ModelResponse, Models, ResponseFile};
use dad_nodes::{
    AIModelNodeOutcome, CommandLine, CommandNodeOutcome, CommandNodeSettings, FileOperationNodeOutcome,
};
use dad_testing::FakeModel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{outcome, run_with};

/// Reads an outcome, and checks that nothing of it is lost.
#[track_caller]
fn read<T: DeserializeOwned + Serialize>(outcome: &Value) -> T {
    let read: T = serde_json::from_value(outcome.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), *outcome);
    read
}

#[tokio::test]
async fn the_outcome_of_commands_is_a_type() {
    let project = tempfile::tempdir().unwrap();
    // Commands from all that holds texts.
    let (program, more) = ("echo".to_owned(), vec!["echo", "two"]);
    let commands: Vec<CommandLine> = vec![
        [program.as_str(), "one"].into(),
        [program, "of strings".to_owned()].into(),
        more.clone().into(),
        more.as_slice().into(),
        format!("echo {}", "shell").into(),
        CommandLine::from("exit 3"),
    ];
    let settings = CommandNodeSettings::new(commands);
    let report = run_with(settings, project.path(), None).await;
    let read: CommandNodeOutcome = read(&outcome(&report));
    let printed: Vec<&str> = read.results.iter().map(|result| result.stdout.trim()).collect();
    assert_eq!(printed, ["one", "of strings", "two", "two", "shell", ""]);
    let last = read.results.last().unwrap();
    assert_eq!(
        (last.returncode, last.success, read.failed_commands),
        (Some(3), false, 1)
    );
    assert_eq!(report.outcome::<CommandNodeOutcome>("flow.step").unwrap(), read);
}

/// Answers with a text and an image.
fn draw(request: &ModelRequest) -> ModelResponse {
    let mut response = ModelResponse::of_text(&request.model, "scripted", "{\"n\": 1}");
    response
        .files
        .push(ResponseFile::new("image/png", "iVBORw0KGgo="));
    response
}

#[tokio::test]
async fn the_outcomes_of_models_and_file_operations_are_types() {
    let project = tempfile::tempdir().unwrap();
    let node = |kind: &str, settings: Value| {
        dad_definition::NodeBuilder::new(dad_core::NodeType::new(kind), settings)
    };
    let ask = |config: Value| {
        node(
            "ai_model_call",
            json!({ "models": ["a/x"], "prompt": "Draw.", "model_call_config": config }),
        )
    };
    let models = || Some(Models::new(FakeModel::by(draw)));
    let report = run_with(ask(json!({})), project.path(), models()).await;
    let text: AIModelNodeOutcome = read(&outcome(&report));
    assert_eq!(
        (text.text.as_deref(), text.structured),
        (Some("{\"n\": 1}"), None)
    );
    assert_eq!(
        (text.files[0].len, text.files[0].path.as_deref()),
        (8, Some("custom-artifacts/generated_1.png"))
    );
    let structured = ask(json!({ "structured_output": { "schema": { "type": "object" } } }));
    let report = run_with(structured, project.path(), models()).await;
    let structured: AIModelNodeOutcome = read(&outcome(&report));
    assert_eq!(
        (structured.text, structured.structured),
        (None, Some(json!({ "n": 1 })))
    );

    let create = json!({ "type": "create_file", "path": "a.txt", "content": "a" });
    let operations = node(
        "file_operation",
        json!({ "base_directory": "$var{project_root}", "operations": [create] }),
    );
    let report = run_with(operations, project.path(), None).await;
    let made: FileOperationNodeOutcome = read(&outcome(&report));
    assert_eq!((made.results.len(), made.git), (1, None));
}
