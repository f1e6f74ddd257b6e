//! The runs that are measured.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dhenara::definition::NodeBuilder;
use dhenara::run::RunContextBuilder;
use dhenara::{
    BindContext, Bound, BoundStep, FlowBuilder, FlowDefinition, FlowRunner, ForEachBuilder, Node,
    NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType, RunContext, World,
};
use serde_json::{Value, json};

use crate::Outcome;

/// A node that does nothing, and whose result may be reused.
#[derive(Default)]
struct Nothing;

impl Node for Nothing {
    type Settings = ();
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "nothing";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl BoundStep for Nothing {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(json!({})))
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }
}

/// A loop of so many steps.
fn flow(steps: usize) -> Outcome<FlowDefinition> {
    let node = NodeBuilder::new(NodeType::new(Nothing::TYPE), json!({}));
    let body = FlowBuilder::new().node("step", node);
    let rounds = ForEachBuilder::new(format!("$expr{{ range({steps}) }}"), body);
    Ok(FlowBuilder::new().for_each("rounds", rounds).build()?)
}

/// The run that the others start from.
const RUN: &str = "run_20251123_000000_000000";

/// The run directory.
pub(crate) fn run_dir(project: &Path) -> PathBuf {
    project.join("runs").join(RUN)
}

fn context(project: &Path) -> RunContextBuilder {
    RunContext::builder("flow", project)
        .unmasked()
        .nodes(NodeRegistry::new().register::<Nothing>())
}

/// Drives a run to its end and returns how long it took, with what was done before since `start`.
fn drive(start: Instant, steps: usize, runner: impl FnOnce() -> Outcome<FlowRunner>) -> Outcome<Duration> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async { Outcome::Ok(runner()?.run().await?) })?;
    let time = start.elapsed();
    match report.totals.counts {
        counts if counts.completed == steps as u64 => Ok(time),
        counts => Err(format!("of {steps} steps there are {counts:?}").into()),
    }
}

/// Makes the run.
pub(crate) fn make(project: &Path, steps: usize) -> Outcome<Duration> {
    drive(Instant::now(), steps, || {
        let context = context(project).run_id(RUN.parse()?).build()?;
        Ok(FlowRunner::new(flow(steps)?, context))
    })
}

/// Takes away from the journal what follows the last step: as if its process had died there.
pub(crate) fn interrupt(project: &Path) -> Outcome<()> {
    let journal = run_dir(project).join(".run/journal.jsonl");
    let text = fs::read_to_string(&journal)?;
    let last = text
        .rfind(r#""type":"step_committed""#)
        .ok_or("no step was committed")?;
    let end = text[last..].find('\n').ok_or("the last line is torn")? + last + 1;
    let file = File::options().write(true).open(&journal)?;
    Ok(file.set_len(end as u64)?)
}

/// Resumes it, with nothing but its directory.
pub(crate) fn resume(project: &Path, steps: usize) -> Outcome<Duration> {
    drive(Instant::now(), steps, || {
        let context = context(project).build()?;
        Ok(FlowRunner::resume(flow(steps)?, context, run_dir(project)))
    })
}

/// Takes its steps over: all by their fingerprints, or all before the last one.
pub(crate) fn rerun(project: &Path, steps: usize, from_last: bool) -> Outcome<Duration> {
    drive(Instant::now(), steps, || {
        let mut builder = context(project).previous_run_id(RUN);
        if from_last {
            builder = builder.start_hierarchy_path(format!("rounds.iter_{}.step", steps - 1));
        }
        Ok(FlowRunner::new(flow(steps)?, builder.build()?))
    })
}

/// Removes all other runs.
#[expect(
    clippy::disallowed_methods,
    reason = "what was measured is not needed any more"
)]
pub(crate) fn forget_others(project: &Path) -> Outcome<()> {
    for entry in fs::read_dir(project.join("runs"))? {
        let entry = entry?;
        if entry.file_name() != RUN && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
