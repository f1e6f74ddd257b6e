//! Delivery, isolation and order of events, seen from outside.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{NodeType, SecretRegistry, StatusCounts, StepStatus, Timestamp, Usage};
use dad_events::{
    ComponentExecutionFailedEvent, CustomEvent, Delivery, Event, EventBody, EventBus, EventBusConfig,
    HandlerError, NodeExecutionCompletedEvent, NodeInputRequiredEvent, RunIdentity, RunObserver, StepEnded,
    on, on_any,
};
use serde_json::{Value, json};

fn identity() -> Arc<RunIdentity> {
    Arc::new(RunIdentity {
        run_id: "run_20251123_141516_000001".parse().unwrap(),
        root_id: "root".parse().unwrap(),
        run_dir: "/r".into(),
        trace_dir: "/r/.trace".into(),
        previous_run_id: None,
        secrets: SecretRegistry::new(),
    })
}

fn step_ended(seq: u64) -> Event {
    let body = EventBody::StepEnded(StepEnded {
        path: "root.step".parse().unwrap(),
        node_type: NodeType::COMMAND,
        status: StepStatus::Completed,
        attempt: 1,
        duration: Duration::ZERO,
        usage: Usage::default(),
        reused_from: None,
        edited_from: None,
        summary: None,
        error: None,
        dir: "/r/root/step".into(),
    });
    Event {
        seq: Some(seq),
        at: Timestamp::now(),
        run: identity(),
        body,
    }
}

type Seen = Arc<Mutex<Vec<u64>>>;

#[tokio::test]
async fn a_bad_handler_hides_no_other_and_nothing_multiplies() {
    let seen = Seen::default();
    let mut bus = EventBus::builder();
    async fn fails(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        Err("no".into())
    }
    async fn panics(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        panic!("no")
    }
    async fn other_kind(_: ComponentExecutionFailedEvent) -> Result<(), HandlerError> {
        panic!("never called")
    }
    bus.register_event_handlers([on(fails), on(panics), on(other_kind)]);
    let notes = Arc::clone(&seen);
    bus.register_event_handlers([on_any(move |event| {
        let notes = Arc::clone(&notes);
        async move {
            notes.lock().unwrap().push(event.seq.unwrap());
            Ok(())
        }
    })]);
    let bus = bus.start(&identity());
    (1..=100).for_each(|seq| bus.publish(step_ended(seq)));
    let warnings = bus.close().await;
    assert!(
        warnings.len() == 2 && warnings[0].contains("fails` failed: no (99 more"),
        "{warnings:?}"
    );
    assert_eq!(*seen.lock().unwrap(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_is_stopped_and_named() {
    async fn never(_: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
        std::future::pending().await
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(never)]);
    let bus = bus.start(&identity());
    bus.publish(step_ended(1));
    let warnings = bus.close().await;
    assert!(
        warnings.len() == 1 && warnings[0].contains("never"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_slow_subscriber_learns_what_it_missed() {
    let bus = EventBus::builder().start(&identity());
    let mut slow = bus.subscribe(2);
    (1..=5).for_each(|seq| bus.publish(step_ended(seq)));
    let mut got = Vec::new();
    for _ in 0..2 {
        if let Some(Delivery::Event(event)) = slow.next().await {
            got.push(event.seq.unwrap());
        }
    }
    bus.publish(step_ended(6));
    match slow.next().await.unwrap() {
        Delivery::Missed { events, records } => assert_eq!((events, records), (3, Some(3..=5))),
        Delivery::Event(event) => panic!("{event:?}"),
    }
    assert!(matches!(slow.next().await, Some(Delivery::Event(event)) if event.seq == Some(6)));
    assert_eq!(got, [1, 2]);
}

#[derive(Default)]
struct Recorder(Mutex<Vec<u64>>);

#[async_trait]
impl RunObserver for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        tokio::task::yield_now().await;
        self.0
            .lock()
            .unwrap()
            .extend(events.iter().filter_map(|event| event.seq));
    }

    async fn finish(&self) -> Vec<String> {
        vec!["done".to_owned()]
    }
}

#[tokio::test]
async fn observers_miss_nothing_and_the_run_waits_for_them() {
    let recorder = Arc::new(Recorder::default());
    let mut bus = EventBus::builder();
    bus.config(EventBusConfig {
        observer_backlog: 4,
        ..EventBusConfig::default()
    });
    bus.observe(Some(Arc::clone(&recorder)));
    let bus = bus.start(&identity());
    for seq in 1..=1000 {
        bus.publish(step_ended(seq));
        bus.caught_up().await;
    }
    assert_eq!(bus.close().await, ["done"]);
    assert_eq!(*recorder.0.lock().unwrap(), (1..=1000).collect::<Vec<_>>());
}

fn question() -> NodeInputRequiredEvent {
    let check = |value: &Value| match value.get("prompt_variables") {
        Some(Value::Object(_)) => Ok(()),
        _ => Err("`prompt_variables` must be an object".to_owned()),
    };
    let place = ("root.step".parse().unwrap(), NodeType::AI_MODEL_CALL);
    NodeInputRequiredEvent::new(
        identity(),
        place,
        json!({"prompt": "hi"}),
        None,
        Arc::new(|_| Ok(None)),
        check,
    )
}

#[tokio::test(start_paused = true)]
async fn handlers_are_asked_in_order_until_one_answers() {
    async fn never(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        std::future::pending().await
    }
    async fn wrong(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        Ok(event.set_input(json!({"prompt_variables": 1}))?)
    }
    async fn answers(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        Ok(event.set_input(json!({"prompt_variables": {"a": 1}}))?)
    }
    async fn too_late(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        panic!("nobody asks after an answer")
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(never), on(wrong), on(answers), on(too_late)]);
    let bus = bus.start(&identity());
    let event = question();
    bus.ask_node_input(&event).await;
    assert_eq!(event.answer(), Some(json!({"prompt_variables": {"a": 1}})));
    assert!(
        event.set_input(json!({"prompt_variables": {}})).is_err(),
        "one answer only"
    );
}

#[test]
fn an_event_type_follows_from_the_body() {
    let mut event = step_ended(1);
    assert_eq!(event.event_type().as_str(), "node_execution_completed");
    event.body = EventBody::Custom(CustomEvent {
        name: "x".into(),
        path: None,
        payload: json!(1),
    });
    assert_eq!(event.event_type().as_str(), "custom");
    assert_eq!(StatusCounts::default().total(), 0);
}
