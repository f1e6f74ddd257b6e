//! The steps that execute at the same time: places in concurrent components, descriptors, and the waits that give them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{Budget, FlowDefinition, OnError, RetryPolicy, RunStatus, Usage};
use dad_definition::{FlowBuilder, ForEachBuilder, NodeBuilder, ParallelBuilder};
use dad_events::pause_time_limit;
use dad_run::Descriptors;
use dad_run::{Estimate, RunView};
use dad_runner::{
    BindContext, Bound, BoundStep, FlowRunner, Node, NodeContext, NodeError, NodeOutput, RunReport, World,
};
use dad_tests::Draw;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::nodes::{echo, registry};
use crate::{context, report};

/// The number of steps that execute now, and the most that ever did.
#[derive(Debug, Default)]
struct Meter {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Meter {
    fn more(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn less(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Executes for a second, and perhaps waits for its turn before that for five minutes.
#[derive(Default)]
struct Measured;

#[derive(Deserialize, JsonSchema)]
struct MeasuredSettings {
    #[serde(default)]
    queues: bool,
    #[serde(default)]
    fails_first: bool,
}

impl Node for Measured {
    type Settings = MeasuredSettings;
    type Input = serde_json::Value;
    type Outcome = serde_json::Value;
    const TYPE: &'static str = "measured";

    fn bind(
        &self,
        settings: MeasuredSettings,
        _: Option<serde_json::Value>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for MeasuredSettings {
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let meter = cx.resource::<Meter>().unwrap();
        if self.queues {
            let pause = pause_time_limit();
            tokio::time::sleep(Duration::from_mins(5)).await;
            pause.end().await;
        }
        meter.more();
        tokio::time::sleep(Duration::from_secs(1)).await;
        meter.less();
        if self.fails_first && cx.attempt() == 1 {
            Err(NodeError::new("not_yet", "another attempt may succeed"))
        } else {
            Ok(NodeOutput::new(json!("done")))
        }
    }
}

fn measured(settings: serde_json::Value) -> NodeBuilder {
    crate::nodes::node("measured", settings)
}

fn plain() -> NodeBuilder {
    measured(json!({}))
}

/// The report of a flow, its duration, and the most steps that executed at the same time.
async fn went(flow: FlowDefinition, steps: usize) -> (RunReport, Duration, usize) {
    let project = tempfile::tempdir().unwrap();
    went_in(project.path(), flow, steps).await
}

async fn went_in(
    project: &std::path::Path,
    flow: FlowDefinition,
    steps: usize,
) -> (RunReport, Duration, usize) {
    let meter = Arc::new(Meter::default());
    let context = context(project)
        .nodes(
            registry()
                .register::<Measured>()
                .register::<Asks>()
                .register::<Reserves>(),
        )
        .resource(Arc::clone(&meter))
        .resource(Arc::new(Descriptors::for_steps(steps)));
    let began = tokio::time::Instant::now();
    let ended = report(FlowRunner::new(flow, context.build().unwrap()).run().await);
    drop(dad_tests::validate_run_dir(&ended.run_dir));
    (ended, began.elapsed(), meter.most())
}

/// A flow of one group of as many equal elements.
fn group(count: usize, element: impl Fn() -> NodeBuilder) -> FlowDefinition {
    let elements = (0..count).fold(FlowBuilder::new(), |group, number| {
        group.node(&format!("e{number}"), element())
    });
    FlowBuilder::new()
        .parallel("group", ParallelBuilder::new(elements))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn of_a_group_sixty_four_elements_execute_at_the_same_time() {
    let (ended, took, most) = went(group(150, plain), 1000).await;
    assert_eq!((ended.status, most), (RunStatus::Completed, 64));
    assert_eq!((ended.totals.counts.completed, took.as_secs()), (150, 3));
}

#[tokio::test(start_paused = true)]
async fn elements_of_a_group_are_begun_behind_one_that_failed() {
    let bad = FlowBuilder::new().node("bad", crate::nodes::failing());
    let group = (0..100).fold(bad, |group, number| group.node(&format!("e{number}"), plain()));
    let flow = FlowBuilder::new()
        .parallel("group", ParallelBuilder::new(group))
        .build()
        .unwrap();
    let (ended, _, _) = went(flow, 1000).await;
    assert_eq!(
        (ended.status, ended.totals.counts.completed),
        (RunStatus::Failed, 100)
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_gives_its_place_back() {
    let elements = (0..200).fold(FlowBuilder::new(), |group, number| {
        group.node(&format!("e{number}"), measured(json!({ "queues": number < 100 })))
    });
    let flow = FlowBuilder::new()
        .parallel("group", ParallelBuilder::new(elements))
        .build()
        .unwrap();
    let (ended, took, most) = went(flow, 1000).await;
    // Those behind the hundred that wait have executed long before; then these take their places again.
    assert_eq!((ended.status, most), (RunStatus::Completed, 64));
    assert_eq!(took.as_secs(), 300 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_gives_the_place_and_the_descriptors_back() {
    let retry = RetryPolicy::default()
        .max_attempts(2)
        .initial_delay(Duration::from_mins(5))
        .max_delay(Duration::from_mins(5));
    let body = FlowBuilder::new().node("it", measured(json!({ "fails_first": true })).retry(retry));
    let items: Vec<u32> = (0..20).collect();
    let flow = FlowBuilder::new()
        .for_each("loop", ForEachBuilder::new(json!(items), body).max_concurrency(4))
        .build()
        .unwrap();
    let (ended, took, most) = went(flow, 10).await;
    assert_eq!((ended.status, most), (RunStatus::Completed, 4));
    // The pauses of all pass at the same time; one behind the other they would take more than 25 minutes.
    assert!(took < Duration::from_mins(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn all_questions_of_a_loop_are_asked_before_the_run_rests() {
    let body = FlowBuilder::new().node("it", echo("$expr{item}").requires_approval());
    let items: Vec<u32> = (0..30).collect();
    let flow = FlowBuilder::new()
        .for_each("loop", ForEachBuilder::new(json!(items), body).max_concurrency(3))
        .build()
        .unwrap();
    let project = tempfile::tempdir().unwrap();
    let (ended, _, _) = went_in(project.path(), flow, 2).await;
    assert_eq!(ended.status, RunStatus::Waiting);
    let view = RunView::open(&ended.run_dir).unwrap();
    assert_eq!(view.open_questions().count(), 30);
}

/// Asks in the midst of its execution.
#[derive(Default)]
struct Asks;

#[derive(Deserialize, JsonSchema)]
struct AsksSettings {}

impl Node for Asks {
    type Settings = AsksSettings;
    type Input = ();
    type Outcome = serde_json::Value;
    const TYPE: &'static str = "asks";

    fn bind(&self, settings: AsksSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for AsksSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        cx.approve(json!({}), "it".to_owned(), &json!("facts")).await?;
        Ok(NodeOutput::new(json!("agreed")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_in_the_midst_of_a_step_keeps_no_room() {
    let project = tempfile::tempdir().unwrap();
    let asking = (0..5).fold(FlowBuilder::new(), |group, number| {
        group.node(&format!("a{number}"), crate::nodes::node("asks", json!({})))
    });
    let elements = (0..5).fold(asking, |group, number| group.node(&format!("e{number}"), plain()));
    let flow = FlowBuilder::new()
        .parallel("group", ParallelBuilder::new(elements))
        .build()
        .unwrap();
    // There are descriptors for one step only.
    let (ended, _, most) = went_in(project.path(), flow, 1).await;
    assert_eq!((ended.status, most), (RunStatus::Waiting, 1));
    assert_eq!(ended.totals.counts.completed, 5);
    let view = RunView::open(&ended.run_dir).unwrap();
    assert_eq!(view.open_questions().count(), 5);
}

#[tokio::test(start_paused = true)]
async fn groups_in_groups_share_few_descriptors_without_a_dead_lock() {
    let inner = || {
        let elements = (0..5).fold(FlowBuilder::new(), |group, number| {
            group.node(&format!("e{number}"), plain())
        });
        FlowBuilder::new()
            .node("first", plain())
            .parallel("group", ParallelBuilder::new(elements))
            .node("behind", plain())
    };
    let body = FlowBuilder::new().subflow("part", inner()).node("after", plain());
    let items: Vec<u32> = (0..4).collect();
    let outer =
        FlowBuilder::new().for_each("loop", ForEachBuilder::new(json!(items), body).max_concurrency(3));
    let elements = (0..4).fold(FlowBuilder::new(), |group, number| {
        group.subflow(&format!("s{number}"), outer.clone())
    });
    let flow = FlowBuilder::new()
        .parallel("top", ParallelBuilder::new(elements))
        .build()
        .unwrap();
    for steps in [1, 2, 7] {
        let (ended, _, most) = went(flow.clone(), steps).await;
        assert_eq!((ended.status, most), (RunStatus::Completed, steps));
        assert_eq!(ended.totals.counts.completed, 4 * 4 * 8);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_iterations_are_entered_than_may_execute() {
    let elements = (0..3).fold(FlowBuilder::new(), |group, number| {
        group.node(&format!("e{number}"), plain())
    });
    let body = FlowBuilder::new()
        .parallel("group", ParallelBuilder::new(elements))
        .node("behind", plain());
    let items: Vec<u32> = (0..12).collect();
    let flow = FlowBuilder::new()
        .for_each("loop", ForEachBuilder::new(json!(items), body).max_concurrency(4))
        .build()
        .unwrap();
    let (ended, took, most) = went(flow, 1000).await;
    // A place is kept from the group in an iteration to the step behind it: three rounds of two seconds.
    assert_eq!(
        (ended.status, took.as_secs(), most),
        (RunStatus::Completed, 6, 12)
    );
    assert_eq!(ended.totals.counts.completed, 48);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_steps_that_wait_for_descriptors() {
    let project = tempfile::tempdir().unwrap();
    let meter = Arc::new(Meter::default());
    let stop = dad_run::RunStop::new();
    let context = context(project.path())
        .nodes(registry().register::<Measured>())
        .resource(Arc::clone(&meter))
        .resource(Arc::new(Descriptors::for_steps(1)))
        .cancelled_by(stop.clone());
    let flow = group(60, || plain().on_error(OnError::Fail));
    let running = tokio::spawn(FlowRunner::new(flow, context.build().unwrap()).run());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    stop.stop("the test");
    let ended = report(running.await.unwrap());
    assert_eq!(ended.status, RunStatus::Cancelled);
    let view = RunView::open(&ended.run_dir).unwrap();
    assert_eq!(view.steps().count(), 3, "two have ended, and one was stopped");
}

#[test]
fn a_failure_for_want_of_descriptors_may_be_attempted_again() {
    let of_run = |code: i32| {
        let source = std::io::Error::from_raw_os_error(code);
        NodeError::from(dad_run::RunError::from(dad_fs::FsError::new(
            "open", "file", source,
        )))
    };
    let (too_many, no_permission) = (24, 13);
    assert!(of_run(too_many).retryable && !of_run(no_permission).retryable);
}

/// Reserves sixty tokens, waits for its turn for a minute, and spends ten.
#[derive(Default)]
struct Reserves;

#[derive(Deserialize, JsonSchema)]
struct ReservesSettings {}

impl Node for Reserves {
    type Settings = ReservesSettings;
    type Input = ();
    type Outcome = serde_json::Value;
    const TYPE: &'static str = "reserves";

    fn bind(
        &self,
        settings: ReservesSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for ReservesSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let estimate = Estimate::new(60, 0.0);
        let reservation = cx.reserve(|_| estimate).await?;
        let pause = pause_time_limit();
        tokio::time::sleep(Duration::from_mins(1)).await;
        pause.end().await;
        let usage = Usage::default().total_tokens(10);
        reservation.spend(usage);
        Ok(NodeOutput::new(json!("spent")))
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_budget_keeps_no_room_from_those_who_are_to_spend() {
    let body = FlowBuilder::new().node("it", crate::nodes::node("reserves", json!({})));
    let flow = FlowBuilder::new()
        .for_each(
            "loop",
            ForEachBuilder::new(json!([1, 2, 3, 4, 5]), body).max_concurrency(2),
        )
        .budget(Budget::default().tokens(100))
        .build()
        .unwrap();
    for steps in [1, 1000] {
        let went = tokio::time::timeout(Duration::from_hours(1), went(flow.clone(), steps));
        let (ended, took, _) = went.await.expect("it comes to an end");
        assert_eq!((ended.status, took.as_secs()), (RunStatus::Completed, 300));
    }
}

/// A flow of groups and loops in each other, in which steps wait in all the ways there are.
fn drawn(draw: &mut Draw, depth: usize) -> FlowBuilder {
    let mut flow = FlowBuilder::new();
    for number in 0..=draw.below(3) {
        let id = format!("e{number}");
        let retry = RetryPolicy::default().max_attempts(2);
        flow = match draw.below(if depth == 0 { 3 } else { 6 }) {
            0 => flow.node(&id, plain()),
            1 => flow.node(&id, measured(json!({ "queues": true }))),
            2 => flow.node(&id, measured(json!({ "fails_first": true })).retry(retry)),
            3 => flow.parallel(&id, ParallelBuilder::new(drawn(draw, depth - 1))),
            4 => flow.subflow(&id, drawn(draw, depth - 1)),
            _ => {
                let count = 1 + draw.below(4);
                let items: Vec<usize> = (0..=draw.below(5)).collect();
                let body = drawn(draw, depth - 1);
                let each = ForEachBuilder::new(json!(items), body);
                flow.for_each(&id, each.max_concurrency(u32::try_from(count).unwrap()))
            }
        };
    }
    flow
}

#[tokio::test(start_paused = true)]
async fn no_way_of_waiting_leads_to_a_dead_lock() {
    for seed in 0..40 {
        let mut draw = Draw::new(seed);
        let steps = 1 + draw.below(3);
        let flow = drawn(&mut draw, 3).build().unwrap();
        let went = tokio::time::timeout(Duration::from_hours(24), went(flow, steps));
        let (ended, _, most) = went.await.unwrap_or_else(|_| panic!("{seed}: it does not end"));
        assert_eq!(ended.status, RunStatus::Completed, "{seed}: {:?}", ended.error);
        assert!(most <= steps, "{seed}: {most} of {steps}");
    }
}
