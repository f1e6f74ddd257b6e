//! The signals of a run as files, made from events.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dad_core::{
    ComponentKind, ErrorInfo, NodeType, RunStatus, SecretRegistry, StatusCounts, StepStatus, Timestamp, Usage,
};
use dad_events::{
    ComponentEnded, ComponentStarted, Event, EventBody, EventBus, ResultReader, RunEnded, RunInfo,
    RunStarted, StepEnded, StepStarted,
};
use dad_observability::ObservabilitySettings;
use dad_tests::Schemas;
use serde_json::Value;
use tracing_subscriber::prelude::*;

fn identity(dir: &Path) -> Arc<RunInfo> {
    let secrets = SecretRegistry::new();
    secrets.add("sk-very-secret");
    Arc::new(
        RunInfo::new(
            "run_20251123_141516_000001".parse().unwrap(),
            "root".parse().unwrap(),
            dir.to_path_buf(),
            dir.to_path_buf(),
        )
        .session(1)
        .secrets(secrets)
        .reader(ResultReader::default()),
    )
}

fn events() -> Vec<EventBody> {
    let (root, step) = ("root".parse().unwrap(), "root.step".parse().unwrap());
    let usage = Usage::default()
        .calls(1)
        .prompt_tokens(10)
        .completion_tokens(5)
        .total_tokens(15)
        .cost(0.25);
    let node_type = NodeType::AI_MODEL_CALL;
    let error = ErrorInfo::new("told_to", "as it was told");
    vec![
        EventBody::RunStarted(RunStarted::new(1).resumed(false)),
        EventBody::ComponentStarted(ComponentStarted::new(root, ComponentKind::Flow)),
        EventBody::StepStarted(StepStarted::new(step, node_type.clone(), 1)),
        EventBody::StepEnded(
            StepEnded::new(
                "root.step".parse().unwrap(),
                node_type,
                StepStatus::Failed,
                "/".into(),
            )
            .attempt(1)
            .duration(Duration::from_millis(20))
            .usage(usage)
            .error(error.clone()),
        ),
        EventBody::ComponentEnded(
            ComponentEnded::new("root".parse().unwrap(), ComponentKind::Flow, StepStatus::Failed)
                .counts(StatusCounts::default())
                .usage(usage)
                .duration(Duration::ZERO)
                .error(error.clone()),
        ),
        EventBody::RunEnded(
            RunEnded::new(RunStatus::Failed)
                .error(error)
                .counts(StatusCounts::default())
                .usage(usage)
                .duration(Duration::ZERO),
        ),
    ]
}

/// Publishes a run to settings and gives the lines of a file.
async fn observe(dir: &Path, settings: ObservabilitySettings) -> Vec<String> {
    let run = identity(dir);
    let mut bus = EventBus::builder();
    bus.observe(settings);
    let bus = bus.start(&run);
    for (seq, body) in (1..).zip(events()) {
        bus.publish(Event::new(Some(seq), Timestamp::now(), Arc::clone(&run), body));
    }
    bus.close().await
}

/// The lines of a file, each as the format of that name says.
fn lines(dir: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        Schemas::get().validate(file.trim_end_matches(".jsonl"), line);
    }
    lines
}

#[tokio::test]
async fn spans_nest_as_the_paths_do() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        observe(dir.path(), ObservabilitySettings::default())
            .await
            .is_empty()
    );
    let spans: Vec<Value> = lines(dir.path(), "trace.jsonl")
        .iter()
        .flat_map(|line| {
            line["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .unwrap()
                .clone()
        })
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["step", "root", "run root"]);
    assert_eq!(spans[0]["parentSpanId"], spans[1]["spanId"]);
    assert_eq!(spans[1]["parentSpanId"], spans[2]["spanId"]);
    assert!(spans.iter().all(|span| span["traceId"] == spans[0]["traceId"]));
    assert_eq!(
        spans[0]["traceId"].as_str().unwrap().len(),
        32,
        "hexadecimal as OTLP/JSON wants it"
    );
    assert!(
        spans[0]["startTimeUnixNano"].is_string(),
        "64-bit integers are strings"
    );
    assert_eq!(spans[0]["status"]["message"], "as it was told");
}

#[tokio::test]
async fn instruments_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    observe(dir.path(), ObservabilitySettings::default()).await;
    let metrics = lines(dir.path(), "metrics.jsonl");
    assert_eq!(metrics.len(), 1, "written once");
    let all = metrics[0]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
        .as_array()
        .unwrap();
    let of = |name: &str| all.iter().find(|metric| metric["name"] == name).unwrap();
    assert_eq!(of("dhenara.steps")["sum"]["dataPoints"][0]["asDouble"], 1.0);
    assert_eq!(of("dhenara.cost")["sum"]["dataPoints"][0]["asDouble"], 0.25);
    assert_eq!(
        of("dhenara.tokens")["sum"]["dataPoints"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        of("dhenara.step.duration")["histogram"]["dataPoints"][0]["count"],
        "1"
    );
}

#[tokio::test]
async fn what_is_switched_off_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ObservabilitySettings::default()
        .enable_tracing(false)
        .enable_logging(false);
    observe(dir.path(), settings).await;
    let there = |file: &str| dir.path().join(file).exists();
    assert!(there("metrics.jsonl") && !there("trace.jsonl") && !there("logs.jsonl"));
}

#[tokio::test]
async fn a_directory_that_is_gone_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let warnings = observe(&dir.path().join("gone"), ObservabilitySettings::default()).await;
    assert!(
        warnings.len() == 3 && warnings[0].contains("gone"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn log_events_go_to_the_run_whose_step_they_happened_in() {
    let dir = tempfile::tempdir().unwrap();
    let subscriber = tracing_subscriber::registry().with(dad_observability::layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let run = identity(dir.path());
    let mut bus = EventBus::builder();
    bus.observe(ObservabilitySettings::default());
    let bus = bus.start(&run);
    // The first event proves that the observer has started.
    bus.publish(Event::new(
        Some(1),
        Timestamp::now(),
        Arc::clone(&run),
        events().remove(0),
    ));
    while !dir.path().join("logs.jsonl").exists() {
        tokio::task::yield_now().await;
    }
    let span = |run_id: &str| {
        tracing::info_span!(
            "dhenara.step",
            dhenara.run_id = run_id,
            dhenara.path = "root.step"
        )
    };
    span(run.run_id.as_str()).in_scope(|| {
        tracing::info!(token = "sk-very-secret", "mine, with {}", "sk-very-secret");
        tracing::debug!("below the level");
    });
    span("run_20251123_141516_000002").in_scope(|| tracing::info!("another run's"));
    tracing::info!("of no run");
    bus.close().await;
    let logs = lines(dir.path(), "logs.jsonl");
    let records = logs[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        .as_array()
        .unwrap();
    assert_eq!((logs.len(), records.len()), (1, 1));
    assert_eq!(records[0]["body"]["stringValue"], "mine, with [redacted]");
    assert_eq!(records[0]["severityText"], "INFO");
    assert!(!logs[0].to_string().contains("sk-very-secret"));
}

/// Gives a run to settings and lets a step log while `install` has the subscriber in force; the records that are written.
async fn logged_with(install: impl Fn(Moment) -> bool) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let mut guard = None;
    let mut reach = |moment| {
        if install(moment) {
            let subscriber = tracing_subscriber::registry().with(dad_observability::layer());
            guard = Some(tracing::subscriber::set_default(subscriber));
        }
    };
    let run = identity(dir.path());
    reach(Moment::Settings);
    let mut bus = EventBus::builder();
    bus.observe(ObservabilitySettings::default());
    reach(Moment::Start);
    let bus = bus.start(&run);
    reach(Moment::Events);
    for (seq, body) in (1..).zip(events().into_iter().take(4)) {
        bus.publish(Event::new(Some(seq), Timestamp::now(), Arc::clone(&run), body));
    }
    // A span that is written proves that the observer has seen the events.
    let written = || std::fs::metadata(dir.path().join("trace.jsonl")).is_ok_and(|file| file.len() > 0);
    while !written() {
        tokio::task::yield_now().await;
    }
    let span = tracing::info_span!(
        "dhenara.step",
        dhenara.run_id = run.run_id.as_str(),
        dhenara.path = "root.step"
    );
    span.in_scope(|| tracing::info!("mine"));
    bus.close().await;
    let logs = lines(dir.path(), "logs.jsonl");
    logs.iter()
        .map(|line| {
            line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
                .as_array()
                .unwrap()
                .len()
        })
        .sum()
}

/// The time at which the subscriber is installed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Settings,
    Start,
    Events,
}

#[tokio::test]
async fn log_events_arrive_whenever_the_subscriber_is_installed() {
    for chosen in [Moment::Settings, Moment::Start, Moment::Events] {
        assert_eq!(logged_with(|moment| moment == chosen).await, 1, "{chosen:?}");
    }
    assert_eq!(logged_with(|_| false).await, 0);
}
