//! Many runs at once in one process: nothing of one gets into another.

use std::path::Path;
use std::sync::{Arc, Mutex, Once};

use dad_tests::validate_run_dir;
use dhenara::events::on_any;
use dhenara::{
    FlowBuilder, FlowRunner, HandlerError, NodeExecutionCompletedEvent, ObservabilitySettings, RunReport, on,
};
use tracing_subscriber::prelude::*;

use crate::harness::{TestEnvironment, read_lines};
use crate::nodes::{TalkerSettings, context};

const RUNS: usize = 50;

/// Routes log events of this process to their runs, as an application does once.
fn install_log_layer() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(dhenara::observability::layer());
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn token(number: usize) -> String {
    format!("token{number:02}of{RUNS}")
}

/// The events heard of a run.
type Heard = Arc<Mutex<Vec<String>>>;

async fn one_run(project: std::path::PathBuf, number: usize) -> (RunReport, Vec<String>) {
    let token = token(number);
    let steps = ["one", "two", "three"];
    let flow = steps.iter().fold(FlowBuilder::new(), |flow, step| {
        flow.node(step, TalkerSettings::node(&token))
    });
    let heard = Heard::default();
    let (all, completed) = (Arc::clone(&heard), Arc::clone(&heard));
    let context = context("talk", &project)
        .run_id_prefix(format!("r{number:02}"))
        .observability_settings(ObservabilitySettings::default())
        .register_event_handlers([
            on_any(move |event| {
                all.lock().unwrap().push(format!("{event:?}"));
                async { Ok(()) }
            }),
            on(move |event: NodeExecutionCompletedEvent| {
                let outcome = event.outcome().map(|outcome| outcome["token"].to_string());
                completed.lock().unwrap().push(outcome.unwrap());
                async { Ok::<(), HandlerError>(()) }
            }),
        ])
        .build()
        .unwrap();
    let report = FlowRunner::new(flow.build().unwrap(), context)
        .run()
        .await
        .unwrap();
    let heard = heard.lock().unwrap().clone();
    (report, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_runs_keep_to_themselves() {
    install_log_layer();
    let env = TestEnvironment::new();
    let runs: Vec<_> = (0..RUNS)
        .map(|number| tokio::spawn(one_run(env.project(), number)))
        .collect();
    let mut reports = Vec::new();
    for (number, run) in runs.into_iter().enumerate() {
        let (report, heard) = run.await.unwrap();
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        // Begin and end of the run, of its flow and of three steps; what each said; and each step's outcome.
        assert_eq!(heard.len(), 4 + 3 * 2 + 3 + 3, "{heard:#?}");
        let others = tokens_in(&heard.join("\n"))
            .into_iter()
            .filter(|found| *found != number);
        assert_eq!(
            others.collect::<Vec<_>>(),
            [0; 0],
            "in the events of run {number}"
        );
        reports.push(report);
    }
    for (number, report) in reports.iter().enumerate() {
        let files = validate_run_dir(&report.run_dir).files;
        let mut with_token = 0;
        for file in &files {
            let text = std::fs::read_to_string(report.run_dir.join(file)).unwrap();
            let found = tokens_in(&text);
            assert!(
                found.iter().all(|token| *token == number),
                "{file} of run {number}: {found:?}"
            );
            let foreign = reports.iter().filter(|other| other.run_id != report.run_id);
            let foreign: Vec<_> = foreign
                .filter(|other| text.contains(other.run_id.as_str()))
                .collect();
            assert!(foreign.is_empty(), "{file} of run {number} speaks of another run");
            with_token += usize::from(!found.is_empty());
        }
        // Result, outcome and two artifacts of each step, definition and its copy, journal, logs.
        assert_eq!(with_token, 3 * 4 + 4, "of run {number}");
        assert_eq!(
            log_bodies(&report.run_dir, &token(number)),
            6,
            "log events of run {number}"
        );
    }
}

/// The numbers of the tokens in a text.
fn tokens_in(text: &str) -> Vec<usize> {
    let mut found: Vec<usize> = text
        .match_indices("token")
        .filter_map(|(at, _)| {
            let rest = text.get(at + 5..at + 11)?;
            let number = rest.strip_suffix(&format!("of{RUNS}"))?;
            number.parse().ok()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The number of log events of a run that have its token: those of the nodes and those of the tasks they spawned.
fn log_bodies(run: &Path, token: &str) -> usize {
    let lines = read_lines(&run.join(".trace/logs.jsonl"));
    let records = lines.iter().flat_map(|line| {
        line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            .as_array()
            .unwrap()
    });
    let bodies = records.map(|record| record["body"]["stringValue"].as_str().unwrap());
    bodies.filter(|body| body.ends_with(token)).count()
}
