use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dad_core::{
    AgentDefinition, Clean, Definition, ErrorInfo, FirstFailure, FlowDefinition, RunId, RunStatus, StepStatus,
};
use dad_definition::NodeTypes;
use dad_run::driver::RunDriver;
use dad_run::{ActiveRun, RunContext, RunEnd, RunError, RunHandle, SealedRun, Totals};
use serde_json::Value;

use crate::error::Error;
use crate::flow::component::{Walk, WalkEnded};
use crate::forecast::forecast;
use crate::node::registry::NodeRegistry;

/// Executes an agent.
pub type AgentRunner = Runner<AgentDefinition>;
/// Executes a flow.
pub type FlowRunner = Runner<FlowDefinition>;

/// Executes a definition.
#[must_use = "a runner does nothing until it is run"]
pub struct Runner<D> {
    definition: D,
    life: Life,
}

enum Life {
    /// The runner sets up the run and ends it.
    Own(Box<RunContext>),
    /// The runner resumes a run that did not complete, and ends it.
    Resumed(Box<RunContext>, PathBuf),
    /// Somebody else ends the run.
    Within(Box<Result<RunDriver, RunError>>),
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
    /// How it ended.
    pub status: RunStatus,
    /// The definition's `output`, evaluated.
    pub output: Option<Value>,
    /// Why it is not well.
    pub error: Option<ErrorInfo>,
    /// What its steps came to.
    pub totals: Totals,
    /// The first steps that failed, at most ten.
    pub first_failures: Vec<FirstFailure>,
    /// How long it took.
    pub duration: Duration,
    /// What went wrong beside the run itself.
    pub warnings: Vec<String>,
}

impl<D: AsRef<Definition>> Runner<D> {
    /// A runner that owns the life of the run: it sets it up, executes the definition and seals it.
    pub fn new(definition: D, context: RunContext) -> Self {
        Self {
            definition,
            life: Life::Own(Box::new(context)),
        }
    }

    /// A runner that resumes a run that did not complete, in its own directory: what is committed stays.
    pub fn resume(definition: D, context: RunContext, run_dir: impl Into<PathBuf>) -> Self {
        Self {
            definition,
            life: Life::Resumed(Box::new(context), run_dir.into()),
        }
    }

    /// Executes the definition.
    ///
    /// # Errors
    /// [`Error::Run`] if the run could not be set up, [`Error::Broken`] if it could not go on, [`Error::Failed`] or
    /// [`Error::Cancelled`] with the report, which names path and cause.
    pub async fn run(self) -> Result<RunReport, Error> {
        match self.life {
            Life::Own(context) => {
                let mut prepared = context.prepare_run(&self.definition)?;
                let registry = registry_of(&**prepared.node_types(), prepared.effective_run_root())?;
                forecast(&mut prepared, &registry).await?;
                run_whole(prepared.start()?).await
            }
            Life::Resumed(context, run_dir) => {
                run_whole(context.resume_run(&run_dir, &self.definition)?).await
            }
            Life::Within(driver) => {
                let driver = (*driver)?;
                let run = driver.handle().clone();
                if !run.executes(self.definition.as_ref())? {
                    let reason = "the run was set up for another definition".to_owned();
                    return Err(RunError::Unreadable {
                        path: run.identity().run_dir.clone(),
                        reason,
                    }
                    .into());
                }
                let began = Instant::now();
                let ended = execute(driver).await?;
                Error::from_report(report_within(&run, ended, began.elapsed()))
            }
        }
    }
}

impl<D: AsRef<Definition> + Clone> Runner<D> {
    /// A runner inside a run that its owner sets up and completes.
    pub fn within(definition: &D, run: &ActiveRun) -> Self {
        Self {
            definition: definition.clone(),
            life: Life::Within(Box::new(run.driver())),
        }
    }
}

impl<D> std::fmt::Debug for Runner<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

async fn run_whole(run: ActiveRun) -> Result<RunReport, Error> {
    let (handle, control) = (run.handle(), run.control());
    let ended = match execute(run.driver()?).await {
        Ok(ended) => ended,
        Err(error) => {
            // The seal may fail for the same reason, and the first error is the one that explains it.
            let info = error.to_info();
            let sealed = run.seal(RunEnd::Failed, Some(info.clone())).await;
            let sealed = sealed.unwrap_or_else(|_| control.unsealed(info));
            return Err(broken(&handle, sealed, error));
        }
    };
    let (mut status, mut error, mut output) = verdict(ended);
    if let Some(Err(unwritten)) = output.as_ref().map(|output| run.write_output(output)) {
        (status, error, output) = (RunEnd::Failed, Some(unwritten.to_info()), None);
    }
    match run.seal(status, error).await {
        Ok(sealed) => Error::from_report(report(&handle, sealed, output)),
        Err(error) => Err(broken(&handle, control.unsealed(error.to_info()), error)),
    }
}

fn broken(run: &RunHandle, sealed: SealedRun, source: RunError) -> Error {
    Error::Broken {
        report: Box::new(report(run, sealed, None)),
        source: Box::new(source),
    }
}

async fn execute(driver: RunDriver) -> Result<WalkEnded, RunError> {
    let run = driver.handle();
    let registry = registry_of(&**run.node_types(), &run.identity().run_dir)?;
    Arc::new(Walk::new(driver, registry)).root().await
}

/// The registry the context was built with, in its own type.
pub(crate) fn registry_of(types: &dyn NodeTypes, place: &Path) -> Result<NodeRegistry, RunError> {
    let types: &dyn Any = types;
    types
        .downcast_ref::<NodeRegistry>()
        .cloned()
        .ok_or_else(|| RunError::Unreadable {
            path: place.to_path_buf(),
            reason: "the node types of the context are not a NodeRegistry of dad-runner".to_owned(),
        })
}

fn verdict(walk: WalkEnded) -> (RunEnd, Option<ErrorInfo>, Option<Clean<Value>>) {
    let first = walk
        .ended
        .failures
        .into_iter()
        .next()
        .map(|failure| failure.error.at(&failure.path));
    match (walk.ended.status, walk.output) {
        (StepStatus::Completed, Ok(output)) => (RunEnd::Completed, None, output),
        (StepStatus::Completed, Err(error)) => (RunEnd::Failed, Some(error), None),
        (StepStatus::Waiting, _) => (RunEnd::Waiting, None, None),
        (StepStatus::Cancelled, _) => (RunEnd::Cancelled, first, None),
        _ => (RunEnd::Failed, first, None),
    }
}

fn report(run: &RunHandle, sealed: SealedRun, output: Option<Clean<Value>>) -> RunReport {
    let identity = run.identity();
    RunReport {
        run_id: identity.run_id.clone(),
        run_dir: identity.run_dir.clone(),
        status: sealed.status,
        output: output.map(Clean::into_inner),
        error: sealed.error,
        totals: sealed.totals,
        first_failures: sealed.first_failures,
        duration: sealed.duration,
        warnings: sealed.warnings,
    }
}

fn report_within(run: &RunHandle, ended: WalkEnded, duration: Duration) -> RunReport {
    let (totals, first_failures) = (ended.ended.totals, ended.ended.failures.clone());
    let (status, error, output) = verdict(ended);
    report(
        run,
        SealedRun {
            status: status.into(),
            error,
            totals,
            first_failures,
            duration,
            warnings: Vec::new(),
        },
        output,
    )
}
