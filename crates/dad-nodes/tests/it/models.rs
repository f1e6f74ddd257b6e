use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::Usage;
use dad_models::{CallContext, ModelClient, ModelError, ModelRequest, ModelResponse, Models};
use dad_nodes::{AIModelCallConfig, AIModelNodeSettings, Prompt, PromptVariable, StructuredOutput};
use dad_runner::RunReport;
use dad_testing::{FakeAnswer, FakeModel};
use serde_json::{Value, json};

use crate::{error, file, outcome, run_with};

/// Answers by model: the text, or an HTTP status.
#[derive(Clone, Default)]
struct Scripted {
    answers: Vec<(&'static str, Result<&'static str, u16>)>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl ModelClient for Scripted {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("{} {}", call.number, request.model));
        let answers = &mut self.answers.iter();
        let Some((model, answer)) = answers.find(|(model, _)| *model == request.model) else {
            return std::future::pending().await;
        };
        match answer {
            Ok(text) => Ok(ModelResponse::of_text(*model, "scripted", *text)
                .usage(Usage::default().calls(1).total_tokens(7).cost(0.5))),
            Err(status) => Err(ModelError::Status {
                code: None,
                request_id: None,
                is_exhausted: false,
                usage: Some(Usage::default().calls(1)),
                model: request.model.clone(),
                status: *status,
                body: "no".to_owned(),
                retry_after: None,
            }),
        }
    }
}

fn settings(models: &[&str]) -> AIModelNodeSettings {
    AIModelNodeSettings::new(models.iter().copied())
        .model_call_config(AIModelCallConfig::default().retries(0))
        .prompt(Prompt::with_dad_text(
            "Task: $var{task}",
            [("task", PromptVariable::default().default_value("nothing"))],
        ))
}

/// A run of one call, and the project it lies in.
struct Asked {
    report: RunReport,
    _project: tempfile::TempDir,
}

impl std::ops::Deref for Asked {
    type Target = RunReport;

    fn deref(&self) -> &RunReport {
        &self.report
    }
}

async fn ask(settings: AIModelNodeSettings, client: &Scripted) -> Asked {
    let project = tempfile::tempdir().unwrap();
    let models = Some(Models::new(client.clone()));
    let report = run_with(settings, project.path(), models).await;
    Asked {
        report,
        _project: project,
    }
}

#[tokio::test]
async fn the_next_model_is_asked_when_one_fails() {
    let client = Scripted {
        answers: vec![("a/x", Err(500)), ("b/y", Ok("done"))],
        ..Default::default()
    };
    let report = ask(settings(&["a/x", "b/y"]), &client).await;
    assert_eq!(outcome(&report), json!({ "text": "done", "files": [] }));
    assert_eq!(*client.asked.lock().unwrap(), ["1 a/x", "1 b/y"]);
    let state: Value = serde_json::from_str(&file(&report, "state.json")).unwrap();
    assert_eq!(
        state["prompt"]["text"], "Task: nothing",
        "the default counts last"
    );
    let memo = file(&report, "memo.jsonl");
    let kinds = memo
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["model_failed", "model_call"],
        "one line for each finished exchange, and for the model that was given up"
    );
    assert_eq!(
        (report.totals.usage.calls, report.totals.usage.cost),
        (2, Some(0.5)),
        "one that was refused is a call that costs nothing"
    );
}

#[tokio::test]
async fn a_call_that_was_given_up_counts_as_paid_for() {
    let mut settings = settings(&["a/x"]);
    settings.model_call_config = Some(AIModelCallConfig::default().max_output_tokens(100));
    let project = tempfile::tempdir().unwrap();
    let node = settings.builder().timeout(Duration::from_millis(50));
    let models = Some(Models::new(Scripted::default()));
    let report = run_with(node, project.path(), models).await;
    assert_eq!(report.error.unwrap().code, "timed_out");
    let usage = report.totals.usage;
    assert_eq!(usage.calls, 1);
    // The longest answer, and more for what was asked.
    assert!((101..200).contains(&usage.total_tokens), "{usage:?}");
}

#[tokio::test]
async fn an_answer_obeys_its_schema_or_fails_with_what_it_was() {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let with_schema = || {
        settings(&["a/x"]).model_call_config(
            AIModelCallConfig::default().structured_output(StructuredOutput::new(schema.clone()).repairs(0)),
        )
    };
    let good = Scripted {
        answers: vec![("a/x", Ok("```json\n{\"n\": 3}\n```"))],
        ..Default::default()
    };
    assert_eq!(
        outcome(&ask(with_schema(), &good).await.report)["structured"],
        json!({"n": 3})
    );
    let bad = Scripted {
        answers: vec![("a/x", Ok("{\"n\": \"three\"}"))],
        ..Default::default()
    };
    let report = ask(with_schema(), &bad).await;
    assert_eq!(error(&report).code, "invalid_structured_output");
    assert_eq!(outcome(&report)["text"], "{\"n\": \"three\"}");
    assert_eq!(report.totals.usage.calls, 1, "what was paid for is counted");
}

#[tokio::test]
async fn failures_are_named() {
    let busy = Scripted {
        answers: vec![("a/x", Err(429))],
        ..Default::default()
    };
    assert_eq!(
        error(&ask(settings(&["a/x"]), &busy).await.report).code,
        "rate_limited"
    );
    let project = tempfile::tempdir().unwrap();
    let report = run_with(settings(&["a/x"]), project.path(), None).await;
    assert_eq!(error(&report).code, "no_model_client");
}

#[tokio::test]
async fn an_image_that_a_tool_gives_is_sent_as_one() {
    let project = tempfile::tempdir().unwrap();
    let client = FakeModel::answering([
        FakeAnswer::tool_call("plot", json!({})),
        FakeAnswer::text("I see it."),
    ]);
    let plot = |_: serde_json::Map<String, Value>, _: dad_runner::NodeContext| async {
        Ok(json!({ "content": [
            { "type": "text", "text": "a chart" },
            { "type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo=" },
        ] }))
    };
    let settings =
        json!({ "models": ["a/x"], "prompt": "Look.", "model_call_config": { "tools": ["plot"] } });
    let node = dad_definition::NodeBuilder::new(dad_core::NodeType::AI_MODEL_CALL, settings);
    let flow = dad_definition::FlowBuilder::new()
        .node("step", node)
        .build()
        .unwrap();
    let context = dad_run::RunContext::builder("flow", project.path())
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(dad_nodes::builtin_nodes().callback("plot", plot))
        .resource(Arc::new(Models::new(client.clone())));
    let runner = dad_runner::FlowRunner::new(flow, context.build().unwrap());
    let report = runner.run().await.unwrap();
    assert_eq!(outcome(&report)["text"], "I see it.");
    let asked = client.requests();
    let result = asked[1].messages.last().unwrap();
    assert_eq!((result.text.as_str(), result.is_error), ("a chart", false));
    assert_eq!(
        (result.files[0].media_type.as_str(), &result.files[0].bytes[..4]),
        ("image/png", &b"\x89PNG"[..])
    );
    drop(dad_tests::validate_run_dir(&report.run_dir));
}
