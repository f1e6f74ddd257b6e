//! Handlers of events: what they find when they are called, and what their failures mean.

use std::sync::{Arc, Mutex};

use dhenara::models::Models;
use dhenara::nodes::{AIModelNodeInput, AIModelNodeSettings, Prompt, PromptVariable};
use dhenara::{
    AIModelNode, ComponentExecutionCompletedEvent, FlowBuilder, FlowDefinition, FlowRunner, HandlerError,
    NodeExecutionCompletedEvent, NodeInputRequiredEvent, NodeType, RunStatus, on,
};
use serde_json::json;

use crate::harness::{TestEnvironment, read_json, records};
use crate::nodes::{Echo, TalkerSettings, context};

fn talking() -> FlowDefinition {
    FlowBuilder::new()
        .node("one", TalkerSettings::node("first"))
        .node("two", TalkerSettings::node("second"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_completed_step_and_component_have_their_files() {
    let env = TestEnvironment::new();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (steps, components) = (Arc::clone(&seen), Arc::clone(&seen));
    let context = context("talk", &env.project())
        .on(move |event: NodeExecutionCompletedEvent| {
            let result = read_json(&event.dir.join("result.json"));
            let outcome = event.outcome().unwrap();
            assert_eq!(result["outcome"], outcome);
            assert_eq!(
                std::fs::read_to_string(event.dir.join("custom-artifacts/token.txt")).unwrap(),
                outcome["token"].as_str().unwrap()
            );
            steps
                .lock()
                .unwrap()
                .push(format!("{} {}", event.path, result["execution_status"]));
            async { Ok::<(), HandlerError>(()) }
        })
        .on(move |event: ComponentExecutionCompletedEvent| {
            let dir = event.run().run_dir.join(event.path.to_relative_dir());
            let result = read_json(&dir.join("component_result.json"));
            components
                .lock()
                .unwrap()
                .push(format!("{} {}", event.path, result["counts"]["completed"]));
            async { Ok::<(), HandlerError>(()) }
        })
        .build()
        .unwrap();
    let report = FlowRunner::new(talking(), context).run().await.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // Each handler has a queue of its own, so only the order within one is promised.
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(
        seen,
        ["talk 2", "talk.one \"completed\"", "talk.two \"completed\""]
    );
}

#[tokio::test]
async fn handlers_that_fail_do_not_fail_the_run_or_each_other() {
    let env = TestEnvironment::new();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let last = Arc::clone(&heard);
    async fn fails(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        Err("the listener is unwell".into())
    }
    async fn panics(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        panic!("the listener fell over")
    }
    let context = context("talk", &env.project())
        .on(fails)
        .on(panics)
        .on(move |event: NodeExecutionCompletedEvent| {
            last.lock().unwrap().push(event.path.to_string());
            async { Ok::<(), HandlerError>(()) }
        })
        .build()
        .unwrap();
    let report = FlowRunner::new(talking(), context).run().await.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(*heard.lock().unwrap(), ["talk.one", "talk.two"]);
    let warnings = report.warnings.join("\n");
    assert!(warnings.contains("the listener is unwell"), "{warnings}");
    assert!(warnings.contains("the listener fell over"), "{warnings}");
}

fn asking() -> FlowDefinition {
    let variables = [("name", PromptVariable::default())];
    let node = AIModelNode {
        settings: AIModelNodeSettings {
            models: vec!["openai/first".to_owned()],
            prompt: Some(Prompt::with_dad_text("Say hello to $var{name}.", variables)),
            ..Default::default()
        },
    };
    FlowBuilder::new()
        .node("ask", node.builder().pre_events(["node_input_required"]))
        .output("$expr{ $hier{ask}.outcome.text }")
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_handler_answers_a_model_node() {
    async fn answer(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        assert_eq!(event.node_type, NodeType::AI_MODEL_CALL);
        assert_eq!(event.settings["prompt"]["text"], "Say hello to $var{name}.");
        let wrong = event.set_input(json!({ "prompt_variable": {} })).unwrap_err();
        assert!(wrong.to_string().contains("prompt_variable"), "{wrong}");
        assert!(!event.handled());
        let mut input = AIModelNodeInput::default();
        input.prompt_variables.insert("name", "Ada");
        event.set_input(input)?;
        assert!(event.handled());
        Ok(())
    }
    async fn too_late(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        panic!("the question was answered already")
    }
    async fn cannot(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        Err("does not know".into())
    }
    let env = TestEnvironment::new();
    let context = context("asking", &env.project())
        .resource(Arc::new(Models::new(Echo)))
        .register_event_handlers([on(cannot), on(answer), on(too_late)])
        .build()
        .unwrap();
    let report = FlowRunner::new(asking(), context).run().await.unwrap();
    assert_eq!(report.output, Some("openai/first: Say hello to Ada.".into()));
    let answered = records(&report.run_dir, "answered");
    assert_eq!(answered.len(), 1);
    assert_eq!(answered[0]["source"], "event handler");
    assert_eq!(answered[0]["input"]["value"]["prompt_variables"]["name"], "Ada");
}

#[tokio::test]
async fn an_input_given_before_the_run_is_not_asked_for() {
    async fn never(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        panic!("nobody had to be asked")
    }
    let env = TestEnvironment::new();
    let mut input = AIModelNodeInput::default();
    input.prompt_variables.insert("name", "Grace");
    let context = context("asking", &env.project())
        .resource(Arc::new(Models::new(Echo)))
        .on(never)
        .register_node_static_input("ask", input)
        .build()
        .unwrap();
    let report = FlowRunner::new(asking(), context).run().await.unwrap();
    assert_eq!(report.output, Some("openai/first: Say hello to Grace.".into()));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[tokio::test]
async fn a_question_that_nobody_answers_lets_the_run_wait() {
    let env = TestEnvironment::new();
    let context = context("asking", &env.project())
        .resource(Arc::new(Models::new(Echo)))
        .build()
        .unwrap();
    let report = FlowRunner::new(asking(), context).run().await.unwrap();
    assert_eq!((report.status, report.output), (RunStatus::Waiting, None));
    let asked = records(&report.run_dir, "question");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["path"], "asking.ask");
}
