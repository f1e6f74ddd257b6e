//! Handlers of events: what they find when they are called, and what their failures mean.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dad_tests::Schemas;
use dhenara::definition::load_str;
use dhenara::events::{Delivery, Event, EventBody, EventBusConfig, RunStartedEvent, Subscription, on_any};
use dhenara::models::Models;
use dhenara::nodes::{AIModelNodeInput, Prompt, PromptVariable};
use dhenara::runner::Runner;
use dhenara::{
    AIModelNode, ComponentExecutionCompletedEvent, EventType, FlowBuilder, FlowDefinition, FlowRunner,
    HandlerError, NodeExecutionCompletedEvent, NodeInputRequiredEvent, NodeType, RunEnd, RunStatus, on,
};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, journal, read_json, records};
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
    let node = AIModelNode::new(["openai/first"])
        .prompt(Prompt::with_dad_text("Say hello to $var{name}.", variables));
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
        panic!("there is no question")
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
async fn a_question_without_an_answer_lets_the_run_wait() {
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

/// A loop of very many steps that talk.
fn many(count: u32) -> dhenara::types::Definition {
    let text = format!(
        "schema_version: 1\nkind: flow\nelements:\n  - node: first\n    type: talker\n    settings: {{ token: first }}\n  \
         - for_each: all\n    statement: \"$expr{{range({count})}}\"\n    max_concurrency: 8\n    body:\n      - node: one\n        \
         type: talker\n        settings: {{ token: \"$expr{{item}} after $expr{{$hier{{first}}.outcome.token}}\" }}\n"
    );
    load_str(&text, "many.yaml", None, None).unwrap().definition
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_hears_of_is_on_disk_a_thousand_times() {
    let env = TestEnvironment::new();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let sees = Arc::clone(&seen);
    let context = context("many", &env.project())
        .event_config(EventBusConfig::default().handler_queue(10_000))
        .on(move |event: NodeExecutionCompletedEvent| {
            let result = read_json(&event.dir.join("result.json"));
            assert_eq!(result["execution_status"], "completed");
            assert_eq!(result["outcome"], event.outcome().unwrap());
            // What stands around the step is there as well.
            let settings: TalkerSettings = event.settings().unwrap();
            if event.path.leaf() == "one" {
                assert!(settings.token.starts_with("$expr"), "{settings:?}");
                let first = event.result("first").unwrap().unwrap();
                assert_eq!(first["outcome"]["token"], "first");
            }
            assert!(event.result("absent").is_err());
            assert_eq!(event.previous_input().unwrap(), None);
            sees.lock().unwrap().push(event.path.to_string());
            async { Ok::<(), HandlerError>(()) }
        })
        .build()
        .unwrap();
    let report = Runner::new(many(1000), context).run().await.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1001);
}

#[tokio::test]
async fn a_slow_subscriber_can_read_back_missed_events() {
    let env = TestEnvironment::new();
    let run = context("many", &env.project())
        .build()
        .unwrap()
        .setup_run(&many(50))
        .unwrap();
    let (mut patient, mut slow) = (
        run.control().bus().subscribe(100_000),
        run.control().bus().subscribe(3),
    );
    let since = records(&run.identity().run_dir, "run_started")[0]["seq"]
        .as_u64()
        .unwrap();
    drop(Runner::within(&many(50), &run).run().await.unwrap());
    let live = heard(&mut patient, run_end(&run)).await;
    let back = run.handle().events_since(since).unwrap();
    assert_eq!(told(live.iter().map(|event| &**event)), told(&back));
    for event in &live {
        Schemas::get().validate("event", &serde_json::to_value(event).unwrap());
    }
    // The run did not wait for the slow one; it hears three, and the numbers of the others. Not all are recorded.
    let mut kept = 0;
    for _ in 0..3 {
        match slow.next().await.unwrap() {
            Delivery::Event(event) => kept = event.seq.unwrap_or(kept),
            other => panic!("the first ones fit: {other:?}"),
        }
    }
    run.control().custom("one more", None, json!({ "n": 1 })).unwrap();
    let Some(Delivery::Missed { events, records }) = slow.next().await else {
        panic!("nothing was told of the others");
    };
    let records = records.unwrap();
    assert!(*records.start() > kept);
    let missed = run.handle().events_since(*records.start() - 1).unwrap();
    let missed: Vec<_> = missed
        .into_iter()
        .filter(|event| records.contains(&event.seq.unwrap()))
        .collect();
    assert!(missed.len() as u64 <= events, "{} of {events}", missed.len());
    let Some(Delivery::Event(last)) = slow.next().await else {
        panic!("the queue goes on behind what was missed");
    };
    assert_eq!(last.event_type(), EventType::Custom);
    drop(run.complete_run(RunEnd::Completed, None).await.unwrap());
}

/// The number of the newest record.
fn run_end(run: &dhenara::ActiveRun) -> u64 {
    journal(&run.identity().run_dir).last().unwrap()["seq"]
        .as_u64()
        .unwrap()
}

/// The recorded events that a subscription delivers up to a record.
async fn heard(subscription: &mut Subscription, last: u64) -> Vec<Arc<Event>> {
    let mut heard = Vec::new();
    while let Some(Delivery::Event(event)) = subscription.next().await {
        let Some(seq) = event.seq else { continue };
        heard.push(event);
        if seq >= last {
            break;
        }
    }
    heard
}

/// Events without what the clock says of them.
fn told<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let told = events.into_iter().map(|event| {
        let mut body = event.body.clone();
        match &mut body {
            EventBody::ComponentEnded(ended) => ended.duration = Duration::ZERO,
            EventBody::StepEnded(ended) => ended.duration = Duration::ZERO,
            _ => {}
        }
        format!("{:?} {} {body:?}", event.seq, event.at)
    });
    told.collect()
}

/// The parts of a run without its times.
fn content(run: &Path) -> Vec<Value> {
    let mut all = journal(run);
    all.extend(
        ["first", "all/iter_7/one"].map(|step| read_json(&run.join("many").join(step).join("outcome.json"))),
    );
    for record in &mut all {
        for varies in [
            "at",
            "run_id",
            "pid",
            "run_dir",
            "duration_ms",
            "artifacts",
            "created_at",
            "salt",
            "token",
            "mac",
            "sum",
        ] {
            record.as_object_mut().unwrap().remove(varies);
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn nothing_a_listener_does_changes_a_run() {
    async fn never(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        std::future::pending().await
    }
    async fn panics(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        panic!("the listener fell over")
    }
    async fn fails(_: RunStartedEvent) -> Result<(), HandlerError> {
        Err("the listener is unwell".into())
    }
    let definition = || {
        let mut definition = many(20);
        let dhenara::types::ElementKind::ForEach(all) = &mut definition.body.elements[1].kind else {
            panic!("the loop is the second element");
        };
        all.max_concurrency = 1;
        definition
    };
    let env = TestEnvironment::new();
    let undisturbed = context("many", &env.project()).build().unwrap();
    let undisturbed = Runner::new(definition(), undisturbed).run().await.unwrap();

    let counts: Arc<Mutex<Vec<u64>>> = Arc::new(Mutex::new(vec![0; 100]));
    let mut builder = context("many", &env.project()).on(never).on(panics).on(fails);
    for listener in 0..100 {
        let counts = Arc::clone(&counts);
        builder = builder.register_event_handlers([on_any(move |_| {
            counts.lock().unwrap()[listener] += 1;
            async { Ok(()) }
        })]);
    }
    let run = builder.build().unwrap().setup_run(&definition()).unwrap();
    let _slow = run.control().bus().subscribe(1);
    let report = Runner::within(&definition(), &run).run().await.unwrap();
    let sealed = run.complete_run(RunEnd::Completed, None).await.unwrap();
    assert_eq!(content(&report.run_dir), content(&undisturbed.run_dir));
    let published = counts.lock().unwrap().clone();
    assert!(
        published
            .iter()
            .all(|count| *count == published[0] && *count > 60),
        "{published:?}"
    );
    let warnings = sealed.warnings.join("\n");
    for (name, trouble) in [
        (
            "nothing_a_listener_does_changes_a_run::{{closure}}::never",
            "did not return",
        ),
        (
            "nothing_a_listener_does_changes_a_run::{{closure}}::panics",
            "panicked: the listener fell over (20 more",
        ),
        (
            "nothing_a_listener_does_changes_a_run::{{closure}}::fails",
            "failed: the listener is unwell",
        ),
    ] {
        assert!(
            warnings.contains(name) && warnings.contains(trouble),
            "{name}: {warnings}"
        );
    }
}
