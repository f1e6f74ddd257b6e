//! Each question gets its own answer, at its own path, from wherever it comes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhenara::definition::load_str;
use dhenara::events::ComponentInputRequiredEvent;
use dhenara::models::Models;
use dhenara::run::{Answer, RunContextBuilder, RunView};
use dhenara::runner::Runner;
use dhenara::{HandlerError, NodeInputRequiredEvent, RunEnd, RunStatus};
use serde_json::{Map, Value, json};

use crate::harness::{TestEnvironment, records};
use crate::nodes::{Echo, context};

/// Asks at the root, in a node beside others of its name, in nested loops, in parallel branches and iterations.
const EVERYWHERE: &str = r#"
schema_version: 1
kind: flow
root_id: table
required: [who]
pre_events: [component_input_required]
elements:
  - node: say
    type: ai_model_call
    settings: { models: [a/b], prompt: "$expr{who}" }
  - &ASK
  - for_each: outer
    statement: "$expr{range(2)}"
    body:
      - for_each: inner
        statement: "$expr{range(2)}"
        body:
          - ASK
          - PART
  - parallel: both
    elements:
      - subflow: one
        elements: [ASK, PART]
      - subflow: two
        elements: [ASK, PART]
  - for_each: ten
    statement: "$expr{range(10)}"
    max_concurrency: 10
    body: [ASK, PART]
"#;

const ASK: &str = "{ node: ask, type: ai_model_call, pre_events: [node_input_required], settings: { models: [a/b], prompt: { \
                   text: \"$var{who_asks}\", variables: { who_asks: {} } } } }";
const PART: &str = "{ subflow: part, pre_events: [component_input_required], variables: { who: absent }, elements: [{ node: say, \
                    type: ai_model_call, settings: { models: [a/b], prompt: \"$expr{who}\" } }] }";

fn definition() -> dhenara::types::Definition {
    let text = EVERYWHERE.replace("&ASK", ASK).replace("PART", PART);
    let text = text
        .replace("- ASK", &format!("- {ASK}"))
        .replace("[ASK", &format!("[{ASK}"));
    load_str(&text, "table.yaml", None, None)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .definition
}

/// The elements that ask: nodes, then components.
fn askers() -> (Vec<String>, Vec<String>) {
    let mut places = Vec::new();
    for outer in 0..2 {
        for inner in 0..2 {
            places.push(format!("table.outer.iter_{outer}.inner.iter_{inner}"));
        }
    }
    places.extend(["one", "two"].map(|part| format!("table.both.{part}")));
    places.extend((0..10).map(|index| format!("table.ten.iter_{index}")));
    let mut nodes: Vec<String> = places.iter().map(|place| format!("{place}.ask")).collect();
    let mut components: Vec<String> = places.iter().map(|place| format!("{place}.part")).collect();
    nodes.push("table.ask".to_owned());
    components.push("table".to_owned());
    (nodes, components)
}

fn node_input(path: &str) -> Value {
    json!({ "prompt_variables": { "who_asks": path } })
}

fn component_input(path: &str) -> Value {
    json!({ "variables": { "who": path } })
}

fn all_inputs() -> Map<String, Value> {
    let (nodes, components) = askers();
    let nodes = nodes.iter().map(|path| (path.clone(), node_input(path)));
    let components = components
        .iter()
        .map(|path| (path.clone(), component_input(path)));
    nodes.chain(components).collect()
}

fn table(env: &TestEnvironment) -> RunContextBuilder {
    context("table", &env.project()).resource(Arc::new(Models::new(Echo)))
}

/// Every step that asked, and every step in a component that asked, says where its answer was meant for.
fn check_answers(run: &Path, source: &str) {
    let view = RunView::open(run).unwrap();
    assert_eq!(view.status, RunStatus::Completed, "{source}");
    let said: BTreeMap<String, String> = view
        .steps()
        .map(|step| {
            let outcome: Value = view.step_file(&step.path, "outcome.json").unwrap().unwrap();
            let text = outcome["text"].as_str().unwrap().to_owned();
            (step.path.to_string(), text.trim_start_matches("a/b: ").to_owned())
        })
        .collect();
    let (nodes, components) = askers();
    assert_eq!(said.len(), nodes.len() + components.len(), "{source}: {said:?}");
    for path in nodes {
        assert_eq!(said[&path], path, "{source}");
    }
    for path in components {
        assert_eq!(said[&format!("{path}.say")], path, "{source}");
    }
    let answered = records(run, "answered");
    let here = answered
        .iter()
        .filter(|record| record["source"].as_str().unwrap().contains(source));
    // What an input gives to the root before the run are variables of the run.
    let root = usize::from(!answered.iter().any(|record| record["path"] == "table"));
    assert_eq!(here.count() + root, said.len(), "{source}: {answered:?}");
}

async fn completes(context: RunContextBuilder) -> PathBuf {
    let report = Runner::new(definition(), context.build().unwrap()).run().await;
    let report = report.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    report.run_dir
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_answer_each_question_and_a_re_run_has_the_answers() {
    let env = TestEnvironment::new();
    let handlers = |context: RunContextBuilder| {
        context
            .on(|event: NodeInputRequiredEvent| async move {
                Ok::<_, HandlerError>(event.set_input(node_input(event.path.as_str()))?)
            })
            .on(|event: ComponentInputRequiredEvent| async move {
                assert!(event.set_input(json!({ "variables": { "unknown": 1 } })).is_err());
                assert_eq!(event.variables.keys().collect::<Vec<_>>(), ["who"]);
                Ok::<_, HandlerError>(event.set_input(component_input(event.path.as_str()))?)
            })
    };
    let first = completes(handlers(table(&env))).await;
    check_answers(&first, "event handler");
    // No person is asked again, whether everything executes or nothing does.
    let re_run = |env| table(env).previous_run_id("last");
    check_answers(&completes(re_run(&env).fresh(true)).await, "previous run");
    let reused = completes(re_run(&env)).await;
    check_answers(&reused, "previous run");
    assert!(records(&reused, "step_started").is_empty());
    let later = completes(re_run(&env).start_hierarchy_path("table.both")).await;
    check_answers(&later, "previous run");
    // A user who asks for the question again gets it, with the earlier answer.
    async fn again(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        assert_eq!(event.previous_input, Some(node_input(event.path.as_str())));
        Ok(event.set_input(node_input("again"))?)
    }
    let asked = table(&env).previous_run_id("last").ask("both.one.ask").on(again);
    let asked = completes(asked).await;
    let handled = records(&asked, "answered");
    let handled: Vec<_> = handled
        .iter()
        .filter(|record| record["source"] == "event handler")
        .collect();
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0]["path"], "table.both.one.ask");
    let executed = records(&asked, "step_started");
    assert_eq!(executed.len(), 1, "nothing depends on it: {executed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_given_before_the_run_reach_the_step_they_are_for() {
    let env = TestEnvironment::new();
    let mut registered = table(&env);
    for (path, input) in all_inputs() {
        registered = registered.register_node_static_input(path, input);
    }
    check_answers(&completes(registered).await, "register_node_static_input");
    let file = env.write("inputs.json", &Value::Object(all_inputs()).to_string());
    check_answers(&completes(table(&env).static_inputs(&file)).await, "inputs.json");
    env.write("static_inputs.json", &Value::Object(all_inputs()).to_string());
    check_answers(&completes(table(&env)).await, "static_inputs.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_from_outside_reach_the_question_they_are_for() {
    let env = TestEnvironment::new();
    let context = table(&env).build().unwrap();
    let mut report = Runner::new(definition(), context).run().await.unwrap();
    let run = report.run_dir.clone();
    let (mut rounds, mut answered) = (0, 0);
    while report.status == RunStatus::Waiting {
        let view = RunView::open(&run).unwrap();
        for open in view.open_questions() {
            let question = view.question(&open.id).unwrap();
            let value = match question.node_type {
                Some(_) => node_input(open.path.as_str()),
                None => component_input(open.path.as_str()),
            };
            let source = "outside".to_owned();
            let answer = Answer::Given { source, value };
            assert!(
                view.answer(Some(&open.id), answer, &dhenara::builtin_nodes())
                    .unwrap()
            );
            answered += 1;
        }
        rounds += 1;
        assert!(rounds < 100, "every round answers something");
        let context = table(&env).build().unwrap();
        report = Runner::resume(definition(), context, &run).run().await.unwrap();
    }
    check_answers(&run, "outside");
    assert_eq!(
        answered,
        records(&run, "question").len(),
        "nothing is asked twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_may_come_until_its_step_has_started() {
    let env = TestEnvironment::new();
    let context = table(&env).register_node_static_input("table", component_input("table"));
    let run = context.build().unwrap().setup_run(&definition()).unwrap();
    let rest = all_inputs().into_iter().filter(|(path, _)| path != "table");
    for (path, input) in rest {
        run.register_node_static_input(&path, input).unwrap();
    }
    let wrong = run
        .register_node_static_input("table.ask", json!({ "prompt": 1 }))
        .unwrap_err();
    assert!(wrong.to_string().contains("`prompt`"), "{wrong}");
    let report = Runner::within(&definition(), &run).run().await.unwrap();
    let late = run
        .register_node_static_input("table.ask", node_input("late"))
        .unwrap_err();
    assert_eq!(late.code(), "input_too_late");
    drop(run.complete_run(RunEnd::Completed, None).await.unwrap());
    check_answers(&report.run_dir, "register_node_static_input");
}
