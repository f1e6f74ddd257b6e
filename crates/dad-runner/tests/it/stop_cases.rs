//! Stops at odd moments: before anything begins, twice, in the midst of a look, and where they cannot be recorded.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{FlowDefinition, OnError, RunStatus, StepStatus};
use dad_definition::{FlowBuilder, NodeBuilder, ParallelBuilder, RepeatBuilder};
use dad_fs::{Fault, FaultInjector, Gate, Operation};
use dad_run::{RunContextBuilder, RunStop, RunView};
use dad_runner::{
    BindContext, Bound, BoundStep, FlowRunner, Node, NodeContext, NodeError, NodeOutput, Stop, World, look,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::nodes::{echo, node, registry};
use crate::{context, path, report};

fn asleep() -> NodeBuilder {
    node("sleeper", json!({ "seconds": 3600, "listens": "no" }))
}

/// Runs a flow, and cancels the elements at these paths one after the other, a second apart; an empty path is the run.
async fn cancelled(flow: &FlowDefinition, context: RunContextBuilder, what: &[&str]) -> RunView {
    let active = context.build().unwrap().setup_run(flow).unwrap();
    let (handle, control) = (active.handle(), active.control());
    let running = tokio::spawn(FlowRunner::within(flow, &active).run());
    for cancelled in what {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let cancelled = (!cancelled.is_empty()).then(|| path(cancelled));
        control.cancel(cancelled.as_ref(), "the test").unwrap();
    }
    let ended = running.await.unwrap();
    let (end, error) = match &ended {
        Ok(_) => (dad_run::RunEnd::Completed, None),
        Err(error @ dad_runner::Error::Cancelled { .. }) => (dad_run::RunEnd::Cancelled, Some(error)),
        Err(error) => (dad_run::RunEnd::Failed, Some(error)),
    };
    active
        .complete_run(end, error.map(|error| error as &dyn std::error::Error))
        .await
        .unwrap();
    drop(dad_tests::validate_run_dir(&handle.identity().run_dir));
    RunView::open(&handle.identity().run_dir).unwrap()
}

fn steps(view: &RunView) -> Vec<(String, StepStatus)> {
    let steps = view.steps();
    steps.map(|step| (step.path.to_string(), step.status)).collect()
}

fn journal(run_dir: &Path) -> String {
    std::fs::read_to_string(run_dir.join(".run/journal.jsonl")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_before_its_first_step_executes_only_finally() {
    let project = tempfile::tempdir().unwrap();
    let stop = RunStop::new();
    stop.stop("SIGTERM");
    let flow = FlowBuilder::new()
        .node("first", echo(1))
        .finally_node("cleanup", echo(2))
        .build()
        .unwrap();
    let context = context(project.path()).cancelled_by(stop).build().unwrap();
    let ended = report(FlowRunner::new(flow, context).run().await);
    assert_eq!(ended.status, RunStatus::Cancelled);
    let view = RunView::open(&ended.run_dir).unwrap();
    assert_eq!(steps(&view), [("flow.cleanup".to_owned(), StepStatus::Completed)]);
    // It is recorded once, with what it was, before anything else is done.
    let journal = journal(&ended.run_dir);
    let stops = journal.matches(r#""type":"control","kind":"cancel","source":"SIGTERM""#);
    assert_eq!(stops.count(), 1, "{journal}");
    assert!(
        journal.find("SIGTERM") < journal.find("step_started"),
        "{journal}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_cancel_does_not_reach_finally() {
    let project = tempfile::tempdir().unwrap();
    let cleanup = node("sleeper", json!({ "seconds": 60, "listens": "no" }));
    let flow = FlowBuilder::new()
        .node("first", asleep())
        .finally_node("cleanup", cleanup)
        .build()
        .unwrap();
    for again in ["", "flow", "flow.first"] {
        let view = cancelled(&flow, context(project.path()), &["", again]).await;
        let expected = [
            ("flow.first".to_owned(), StepStatus::Cancelled),
            ("flow.cleanup".to_owned(), StepStatus::Completed),
        ];
        assert_eq!(steps(&view), expected, "{again}");
        assert_eq!(view.status, RunStatus::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_a_stopped_finally_is_absorbed_by_its_element() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", asleep())
        .finally_node("stuck", asleep().on_error(OnError::Continue))
        .finally_node("behind", echo(1))
        .build()
        .unwrap();
    let view = cancelled(&flow, context(project.path()), &["", "flow.stuck"]).await;
    let expected = [
        ("flow.first".to_owned(), StepStatus::Cancelled),
        ("flow.stuck".to_owned(), StepStatus::Cancelled),
        ("flow.behind".to_owned(), StepStatus::Completed),
    ];
    assert_eq!(steps(&view), expected);
    assert_eq!(view.status, RunStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_what_is_around_is_not_absorbed_inside() {
    let project = tempfile::tempdir().unwrap();
    let part = |step: NodeBuilder| FlowBuilder::new().node("step", step.on_error(OnError::Continue));
    let flow = |step: NodeBuilder| {
        FlowBuilder::new()
            .subflow("part", part(step))
            .node("behind", echo(1))
            .build()
            .unwrap()
    };
    let view = cancelled(&flow(asleep()), context(project.path()), &["flow.part"]).await;
    assert_eq!(view.status, RunStatus::Cancelled);
    // The step was not what the user could do without.
    let again = context(project.path()).build().unwrap();
    let resumed = FlowRunner::resume(flow(echo(2)), again, view.dir())
        .run()
        .await
        .unwrap();
    let view = RunView::open(&resumed.run_dir).unwrap();
    let expected = [
        ("flow.part.step".to_owned(), StepStatus::Completed),
        ("flow.behind".to_owned(), StepStatus::Completed),
    ];
    assert_eq!(steps(&view), expected);
}

#[tokio::test(start_paused = true)]
async fn a_branch_in_a_loop_is_cancelled_alone() {
    let project = tempfile::tempdir().unwrap();
    let group = FlowBuilder::new()
        .node("stuck", asleep().on_error(OnError::Continue))
        .node(
            "beside",
            node("sleeper", json!({ "seconds": 10, "listens": "yes" })),
        );
    let body = FlowBuilder::new().parallel("group", ParallelBuilder::new(group));
    let flow = FlowBuilder::new()
        .repeat("loop", RepeatBuilder::new("$expr{ index == 1 }", 2, body))
        .build()
        .unwrap();
    let stuck = [
        "flow.loop.iter_0.group.stuck",
        // It is not reached yet: it ends when it is.
        "flow.loop.iter_1.group.stuck",
    ];
    let began = tokio::time::Instant::now();
    let view = cancelled(&flow, context(project.path()), &stuck).await;
    let found: Vec<StepStatus> = view.steps().map(|step| step.status).collect();
    let iteration = [StepStatus::Cancelled, StepStatus::Completed];
    assert_eq!(found, [iteration, iteration].concat());
    assert_eq!(
        (view.status, began.elapsed().as_secs()),
        (RunStatus::Completed, 20)
    );
}

/// Refuses to append the record of a cancel some times, as a disk without room does.
struct NoRoom(Arc<AtomicUsize>);

impl FaultInjector for NoRoom {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        let is_cancel = match operation.change {
            dad_fs::Change::Append(bytes) => String::from_utf8_lossy(bytes).contains(r#""type":"control""#),
            _ => false,
        };
        let less = |left: usize| left.checked_sub(1);
        if is_cancel
            && self
                .0
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
                .is_ok()
        {
            Err(io::Error::from(io::ErrorKind::StorageFull).into())
        } else {
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_be_recorded_is_obeyed_all_the_same() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", asleep())
        .finally_node(
            "cleanup",
            node("sleeper", json!({ "seconds": 60, "listens": "no" })),
        )
        .build()
        .unwrap();
    for by_message in [false, true] {
        let stop = RunStop::new();
        let refused = Arc::new(AtomicUsize::new(3));
        let context = context(project.path())
            .gate(Gate::with_faults(NoRoom(Arc::clone(&refused))))
            .cancelled_by(stop.clone());
        let active = context.build().unwrap().setup_run(&flow).unwrap();
        let run_dir = active.handle().identity().run_dir.clone();
        let running = tokio::spawn(FlowRunner::within(&flow, &active).run());
        tokio::time::sleep(Duration::from_secs(1)).await;
        if by_message {
            dad_run::request_cancel(&run_dir, None, "the test").unwrap();
        } else {
            stop.stop("the test");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let view = RunView::open(&run_dir).unwrap();
        assert_eq!(steps(&view)[0].1, StepStatus::Cancelled, "{by_message}");
        assert!(matches!(
            running.await.unwrap(),
            Err(dad_runner::Error::Cancelled { .. })
        ));
        drop(
            active
                .complete_run(dad_run::RunEnd::Cancelled, None)
                .await
                .unwrap(),
        );
        // A message stays until it is recorded.
        let recorded = journal(&run_dir).matches(r#""type":"control""#).count();
        assert_eq!(recorded, usize::from(by_message));
    }
}

/// Looks at something for as long as it is not asked to stop.
#[derive(Default)]
struct Stares;

#[derive(Deserialize, JsonSchema)]
struct StaresSettings {}

/// Whether the look has begun, and whether it has ended.
#[derive(Debug, Default)]
struct Stare([AtomicUsize; 2]);

impl Node for Stares {
    type Settings = StaresSettings;
    type Input = ();
    type Outcome = serde_json::Value;
    const TYPE: &'static str = "stares";

    fn bind(&self, settings: StaresSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

static STARE: Stare = Stare([AtomicUsize::new(0), AtomicUsize::new(0)]);

#[async_trait]
impl BoundStep for StaresSettings {
    async fn world(&self) -> Result<World, NodeError> {
        look(|stop: &Stop| {
            STARE.0[0].store(1, Ordering::SeqCst);
            while !stop.is_set() {
                std::thread::sleep(Duration::from_millis(1));
            }
            STARE.0[1].store(1, Ordering::SeqCst);
            Ok(World::Pure)
        })
        .await
    }

    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(json!("executed")))
    }
}

#[tokio::test]
async fn a_look_that_blocks_does_not_hold_up_a_stop() {
    let project = tempfile::tempdir().unwrap();
    let stop = RunStop::new();
    let flow = FlowBuilder::new()
        .node("stares", node("stares", json!({})))
        .finally_node("cleanup", echo(1))
        .build()
        .unwrap();
    let context = context(project.path()).nodes(registry().register::<Stares>());
    let context = context.cancelled_by(stop.clone()).build().unwrap();
    let running = tokio::spawn(FlowRunner::new(flow, context).run());
    while STARE.0[0].load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.stop("SIGTERM");
    let ended = report(running.await.unwrap());
    assert_eq!(ended.status, RunStatus::Cancelled);
    let view = RunView::open(&ended.run_dir).unwrap();
    assert_eq!(steps(&view), [("flow.cleanup".to_owned(), StepStatus::Completed)]);
    while STARE.0[1].load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
