//! Steps that are stopped, and the end of their attempts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dad_core::{FlowDefinition, OnError, RunStatus, StepStatus};
use dad_definition::{CallbackBuilder, FlowBuilder};
use dad_run::{RunError, RunView};
use dad_runner::{Error, FlowRunner, NodeContext, NodeError, RunReport};
use serde_json::json;

use crate::nodes::{Door, echo, failing, node, registry};
use crate::{assert_tidy, context, path, report, run, statuses};

const LIMIT: Duration = Duration::from_secs(5);

/// The duration of a flow of one step that sleeps for an hour, with its report.
async fn sleep(listens: &str) -> (Duration, RunReport, tempfile::TempDir) {
    let project = tempfile::tempdir().unwrap();
    let sleeper = node("sleeper", json!({ "seconds": 3600, "listens": listens })).timeout(LIMIT);
    let flow = FlowBuilder::new()
        .node("sleeper", sleeper.on_error(OnError::Continue))
        .node("behind", echo(1))
        .build();
    let began = tokio::time::Instant::now();
    let report = report(run(flow.unwrap(), project.path()).await);
    let expected = [StepStatus::TimedOut, StepStatus::Completed];
    let found: Vec<StepStatus> = statuses(&report).into_iter().map(|(_, status)| status).collect();
    assert_eq!(found, expected, "{listens}");
    assert_tidy(&report);
    (began.elapsed(), report, project)
}

#[tokio::test(start_paused = true)]
async fn a_step_that_knows_nothing_of_a_stop_ends_at_once() {
    for (listens, least, most) in [("yes", 5, 6), ("no", 5, 6), ("in_vain", 15, 16)] {
        let (took, report, _project) = sleep(listens).await;
        let range = Duration::from_secs(least)..Duration::from_secs(most);
        assert!(range.contains(&took), "{listens}: {took:?}");
        let view = RunView::open(&report.run_dir).unwrap();
        let result = view.result(&path("flow.sleeper")).unwrap();
        assert_eq!(result["error"]["code"], "timed_out");
        // A step that returns by itself says how far it got.
        assert_eq!(result["outcome"].as_str(), (listens == "yes").then_some("woken"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_ends_at_once_and_finally_executes() {
    async fn forever((): (), _: NodeContext) -> Result<(), NodeError> {
        std::future::pending().await
    }
    let project = tempfile::tempdir().unwrap();
    let nodes = registry().callback("forever", forever);
    let flow = FlowBuilder::new()
        .callback("call", CallbackBuilder::new("forever").timeout(LIMIT))
        .node("behind", echo(1))
        .finally_node("cleanup", echo(2));
    let context = context(project.path()).nodes(nodes).build().unwrap();
    let began = tokio::time::Instant::now();
    let ended = report(FlowRunner::new(flow.build().unwrap(), context).run().await);
    assert!(began.elapsed() < LIMIT * 2, "{:?}", began.elapsed());
    let expected = [
        ("flow.call", StepStatus::TimedOut),
        ("flow.cleanup", StepStatus::Completed),
    ];
    assert_eq!(
        statuses(&ended),
        expected.map(|(path, status)| (path.to_owned(), status))
    );
}

fn blocks(listens: bool) -> FlowDefinition {
    let blocks = node("blocks", json!({ "listens": listens })).timeout(LIMIT);
    FlowBuilder::new()
        .node("blocks", blocks)
        .finally_node("cleanup", echo(1))
        .build()
        .unwrap()
}

/// Runs a flow until a thread of it stands before the door, lets time pass, and opens the door when so many steps are
/// recorded.
async fn run_at_door(
    flow: FlowDefinition,
    passes: Duration,
    recorded: usize,
) -> (Result<RunReport, Error>, tempfile::TempDir) {
    let project = tempfile::tempdir().unwrap();
    let door = Arc::new(Door::default());
    let context = context(project.path())
        .resource(Arc::clone(&door))
        .build()
        .unwrap();
    let running = tokio::spawn(FlowRunner::new(flow, context).run());
    while !door.is_reached.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    for _ in 0..passes.as_secs() {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let runs = dad_tests::find_run_dirs(project.path());
    let steps = || RunView::open(&runs[0]).unwrap().steps().count();
    // The thread lives in the time of the machine.
    let since = std::time::Instant::now();
    while steps() < recorded && since.elapsed() < Duration::from_secs(20) {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(steps(), recorded);
    door.is_open.store(true, Ordering::SeqCst);
    (running.await.unwrap(), project)
}

#[tokio::test(start_paused = true)]
async fn work_that_blocks_is_asked_to_stop_and_waited_for() {
    let (ended, _project) = run_at_door(blocks(true), Duration::from_secs(8), 2).await;
    let ended = report(ended);
    let view = RunView::open(&ended.run_dir).unwrap();
    let result = view.result(&path("flow.blocks")).unwrap();
    assert_eq!(result["execution_status"], "timed_out");
    assert_eq!(result["outcome"], "as far as it got");
    assert_eq!(
        view.step(&path("flow.cleanup")).unwrap().status,
        StepStatus::Completed
    );

    // The future is dropped after the grace, and nothing is recorded before the work itself has ended.
    let (ended, _project) = run_at_door(blocks(false), Duration::from_secs(40), 0).await;
    let ended = report(ended);
    let view = RunView::open(&ended.run_dir).unwrap();
    let step = view.step(&path("flow.blocks")).unwrap();
    assert_eq!(step.status, StepStatus::TimedOut);
    assert_eq!(
        view.step(&path("flow.cleanup")).unwrap().status,
        StepStatus::Completed
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_stop_fails_the_run_by_name() {
    let (ended, project) = run_at_door(blocks(false), Duration::from_secs(80), 0).await;
    let error = ended.unwrap_err();
    let Error::Broken { source, report } = &error else {
        panic!("{error}");
    };
    assert!(
        matches!(&**source, RunError::Unresponsive { path, .. } if path.as_str() == "flow.blocks"),
        "{error}"
    );
    assert_eq!(report.status, RunStatus::Failed);
    let runs = dad_tests::find_run_dirs(project.path());
    let view = RunView::open(&runs[0]).unwrap();
    assert_eq!(view.error.as_ref().unwrap().code, "unresponsive");
    assert_eq!(view.steps().count(), 0, "nothing is recorded of the step");
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_finally_has_a_time_limit_in_any_case() {
    let project = tempfile::tempdir().unwrap();
    let asleep = || node("sleeper", json!({ "seconds": 7200, "listens": "no" }));
    let inner = FlowBuilder::new().node("inner", asleep());
    let flow = |finally: FlowBuilder| finally.node("bad", failing()).build().unwrap();
    for (finally, minutes) in [
        (FlowBuilder::new().finally_node("cleanup", asleep()), 10),
        (
            FlowBuilder::new().finally_node("cleanup", asleep().timeout(Duration::from_mins(30))),
            30,
        ),
        (FlowBuilder::new().finally_subflow("cleanup", inner), 10),
    ] {
        let began = tokio::time::Instant::now();
        let ended = report(run(flow(finally), project.path()).await);
        assert_eq!(began.elapsed().as_secs() / 60, minutes);
        let view = RunView::open(&ended.run_dir).unwrap();
        let timed_out = view.steps().filter(|step| step.status != StepStatus::Failed);
        assert_eq!(timed_out.count(), 1);
        assert_eq!(
            ended.error.unwrap().code,
            "told_to_fail",
            "the first error stays the first"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_an_element_is_absorbed_where_it_says_so() {
    let project = tempfile::tempdir().unwrap();
    let asleep = || node("sleeper", json!({ "seconds": 3600, "listens": "no" }));
    let inner = FlowBuilder::new().node("inner", asleep());
    let flow = FlowBuilder::new()
        .node("first", asleep().on_error(OnError::Continue))
        .subflow("part", inner.on_error(OnError::Continue))
        .node("behind", echo(1))
        .build()
        .unwrap();
    for (whole, expected) in [
        (
            false,
            [
                StepStatus::Cancelled,
                StepStatus::Cancelled,
                StepStatus::Completed,
            ]
            .as_slice(),
        ),
        (true, &[StepStatus::Cancelled]),
    ] {
        let active = context(project.path()).build().unwrap().setup_run(&flow).unwrap();
        let (handle, control) = (active.handle(), active.control());
        let running = tokio::spawn(FlowRunner::within(&flow, &active).run());
        for step in ["flow.first", "flow.part"] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let cancelled = path(step);
            control
                .cancel((!whole).then_some(&cancelled), "the test")
                .unwrap();
        }
        let ended = running.await.unwrap();
        let view = RunView::open(&handle.identity().run_dir).unwrap();
        let found: Vec<StepStatus> = view.steps().map(|step| step.status).collect();
        assert_eq!(found, expected, "{whole}");
        assert_eq!(ended.is_ok(), !whole, "{whole}");
        drop(active);
    }
}
