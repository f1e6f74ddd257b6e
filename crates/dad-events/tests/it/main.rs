//! Delivery, isolation and order of events, seen from outside.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{ComponentKind, HierarchyPath, NodeType, SecretRegistry, StatusCounts, StepStatus, Timestamp};
use dad_events::{
    ApprovalRequiredEvent, ComponentExecutionFailedEvent, ComponentInputRequiredEvent, Custom, CustomEvent,
    Delivery, Event, EventBody, EventBus, EventBusConfig, EventType, HandlerError,
    NodeExecutionCompletedEvent, NodeInputRequiredEvent, ReadResults, ResultReader, RunInfo, RunObserver,
    StepEnded, TraceUpdateEvent, on, on_any, pause_time_limit,
};
use serde_json::{Map, Value, json};

fn identity() -> Arc<RunInfo> {
    Arc::new(
        RunInfo::new(
            "run_20251123_141516_000001".parse().unwrap(),
            "root".parse().unwrap(),
            "/r".into(),
            "/r/.trace".into(),
        )
        .session(1)
        .secrets(SecretRegistry::new())
        .reader(ResultReader::default()),
    )
}

fn step_ended(seq: u64) -> Event {
    let body = EventBody::StepEnded(StepEnded::new(
        "root.step".parse().unwrap(),
        NodeType::COMMAND,
        StepStatus::Completed,
        "/r/root/step".into(),
    ));
    Event::new(Some(seq), Timestamp::now(), identity(), body)
}

#[test]
fn an_event_serialises_with_its_kind_and_its_run() {
    let mut event = step_ended(7);
    event.at = "2025-11-23T14:15:16Z".parse().unwrap();
    let written = serde_json::to_value(&event).unwrap();
    let expected = json!({
        "event": "node_execution_completed",
        "seq": 7,
        "at": "2025-11-23T14:15:16Z",
        "run_id": "run_20251123_141516_000001",
        "type": "step_ended",
        "path": "root.step",
        "node_type": "command",
        "status": "completed",
        "attempt": 1,
        "duration_seconds": 0.0,
        "usage": { "calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
        "dir": "/r/root/step",
    });
    assert_eq!(written, expected);
}

#[test]
fn a_type_of_an_event_is_read_from_its_word() {
    let started: EventType = "run_started".parse().unwrap();
    assert_eq!(started, EventType::RunStarted);
    for word in [
        "node_input_required",
        "component_execution_failed",
        "trace_update",
        "custom",
    ] {
        let read: EventType = word.parse().unwrap();
        assert_eq!(read.as_str(), word);
        assert_eq!(serde_json::to_value(read).unwrap(), word);
    }
    let error = "run_begun".parse::<EventType>().unwrap_err().to_string();
    assert!(
        error.contains("`run_begun`") && error.contains("run_started"),
        "{error}"
    );
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
        other => panic!("{other:?}"),
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
    bus.config(EventBusConfig::default().observer_backlog(4));
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
    NodeInputRequiredEvent::new(
        identity(),
        "root.step".parse().unwrap(),
        NodeType::AI_MODEL_CALL,
        json!({"prompt": "hi"}),
        None,
        Box::new(check),
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
        panic!("asked after an answer")
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(never), on(wrong), on(answers), on(too_late)]);
    let bus = bus.start(&identity());
    let event = question();
    bus.ask(&event).await;
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
    event.body = EventBody::Custom(Custom::new("x", json!(1)));
    assert_eq!(event.event_type().as_str(), "custom");
    assert_eq!(StatusCounts::default().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_at_the_prompt_is_not_hurried() {
    async fn asks_a_person(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        tokio::time::sleep(Duration::from_secs(50)).await;
        {
            let _first = pause_time_limit();
            let _second = pause_time_limit();
            tokio::time::sleep(Duration::from_secs(86_400)).await;
        }
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(event.set_input(json!({"prompt_variables": {}}))?)
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(asks_a_person)]);
    let bus = bus.start(&identity());
    let event = question();
    bus.ask(&event).await;
    assert!(event.handled(), "59 s of its own are within 60 s");
    assert!(bus.close().await.is_empty());

    async fn dawdles(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        drop(pause_time_limit());
        std::future::pending().await
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(dawdles)]);
    let bus = bus.start(&identity());
    bus.ask(&question()).await;
    let warnings = bus.close().await;
    assert!(
        warnings[0].contains("dawdles` gave no answer within 1m 00s"),
        "{warnings:?}"
    );
    // Outside a handler there is no limit to stand still.
    drop(pause_time_limit());
}

#[tokio::test(start_paused = true)]
async fn every_question_has_its_own_handlers() {
    async fn panics_at_once(_: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        panic!("no")
    }
    async fn gives_variables(event: ComponentInputRequiredEvent) -> Result<(), HandlerError> {
        assert_eq!(event.variables["name"], Value::Null);
        Ok(event.set_input(json!({"variables": {"name": "Ada"}}))?)
    }
    async fn agrees(event: ApprovalRequiredEvent) -> Result<(), HandlerError> {
        if event.preview.contains("rm -rf") {
            event.deny("too dangerous")?;
        } else {
            event.approve()?;
        }
        Ok(())
    }
    let mut bus = EventBus::builder();
    bus.register_event_handlers([on(panics_at_once), on(gives_variables), on(agrees)]);
    let bus = bus.start(&identity());
    let variables = Map::from_iter([("name".to_owned(), Value::Null)]);
    let component = ComponentInputRequiredEvent::new(
        identity(),
        "root".parse().unwrap(),
        ComponentKind::Flow,
        variables,
        None,
        Box::new(|_| Ok(())),
    );
    bus.ask(&component).await;
    assert_eq!(component.answer(), Some(json!({"variables": {"name": "Ada"}})));
    let approval = |preview: &str| {
        ApprovalRequiredEvent::new(
            identity(),
            "root.step".parse().unwrap(),
            Some(NodeType::COMMAND),
            json!({}),
            preview.to_owned(),
            None,
            Box::new(|_| Ok(())),
        )
    };
    let (harmless, dangerous) = (approval("ls"), approval("rm -rf /"));
    bus.ask(&harmless).await;
    bus.ask(&dangerous).await;
    assert_eq!(harmless.answer(), Some(json!({"approve": true})));
    assert_eq!(
        dangerous.answer(),
        Some(json!({"approve": false, "reason": "too dangerous"}))
    );
    bus.ask(&question()).await;
    let warnings = bus.close().await;
    assert!(warnings[0].contains("panics_at_once` panicked: no, asked for the input of `root.step`"));
}

#[tokio::test]
async fn an_event_reads_what_stands_around_its_step() {
    struct Reads;
    impl ReadResults for Reads {
        fn settings(&self, path: &HierarchyPath) -> Option<Value> {
            (path.leaf() == "step").then(|| json!({"commands": ["ls"]}))
        }
        fn result(&self, asker: &HierarchyPath, name: &str) -> Result<Option<Value>, String> {
            Ok(Some(json!(format!("{name} for {asker}"))))
        }
        fn previous_input(&self, _: &HierarchyPath) -> Result<Option<Value>, String> {
            Ok(None)
        }
    }
    #[derive(serde::Deserialize)]
    struct Settings {
        commands: Vec<String>,
    }
    let event = step_ended(1);
    assert!(event.result("other").is_err(), "there is no driver yet");
    event.run.reader.set(Arc::new(Reads));
    assert_eq!(event.settings::<Settings>().unwrap().commands, ["ls"]);
    assert_eq!(event.result("other").unwrap(), Some(json!("other for root.step")));
    assert_eq!(event.previous_input().unwrap(), None);
    let wrong = event.settings::<Vec<u8>>().unwrap_err();
    assert!(
        wrong.to_string().contains("settings of `root.step` do not fit"),
        "{wrong}"
    );
}

#[tokio::test]
async fn handlers_get_custom_events_and_updates() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (customs, updates) = (Arc::clone(&seen), Arc::clone(&seen));
    let mut bus = EventBus::builder();
    bus.register_event_handlers([
        on(move |event: CustomEvent| {
            let seen = Arc::clone(&customs);
            async move {
                seen.lock()
                    .unwrap()
                    .push(format!("{} {}", event.name, event.payload));
                Ok(())
            }
        }),
        on(move |event: TraceUpdateEvent| {
            let seen = Arc::clone(&updates);
            async move {
                seen.lock().unwrap().push(format!("update of {:?}", event.path()));
                Ok(())
            }
        }),
    ]);
    let bus = bus.start(&identity());
    let mut event = step_ended(1);
    event.body = EventBody::Custom(Custom::new("saved", json!(1)));
    bus.publish(event);
    assert!(bus.close().await.is_empty());
    assert_eq!(*seen.lock().unwrap(), ["saved 1"]);
}
