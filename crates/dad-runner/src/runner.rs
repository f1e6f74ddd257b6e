//! The runners of agents and flows: a definition taken through a run, to its report.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dad_core::{AgentDefinition, Clean, Definition, ErrorInfo, FlowDefinition, StepStatus};
use dad_run::driver::RunDriver;
use dad_run::{ActiveRun, RunContext, RunEnd, RunError, RunHandle, SealedRun};
use serde_json::Value;
use tracing::Instrument;

use crate::error::Error;
use crate::flow::DefinitionOutcome;
use crate::node::registry::NodeRegistry;
use crate::render::reader::NamedResults;
use crate::report::RunReport;
use crate::session::Session;
use crate::set_up::SetUpRun;
use crate::step::executor::RunExecutor;

/// The runner of an agent.
///
/// ```
/// use dad_definition::{AgentBuilder, CallbackBuilder, FlowBuilder};
/// use dad_run::RunContext;
/// use dad_runner::{AgentRunner, NodeContext, NodeError, NodeRegistry};
///
/// async fn greet(_: (), _: NodeContext) -> Result<String, NodeError> {
///     Ok("hello".to_owned())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let project = dir.path();
/// let flow = FlowBuilder::new().callback("greeting", CallbackBuilder::new("greet"));
/// let agent = AgentBuilder::new("greeter").flow("main", flow).build()?;
/// let nodes = NodeRegistry::new().callback("greet", greet);
/// let context = RunContext::builder("greeter", project).nodes(nodes);
/// # let context = context.unmasked();
/// let report = AgentRunner::new(agent, context.build()?).run().await?;
/// assert!(report.run_dir.join("greeter/main/greeting/result.json").is_file());
/// # Ok(())
/// # }
/// ```
pub type AgentRunner = Runner<AgentDefinition>;

/// The runner of a flow.
///
/// ```
/// # use dad_definition::{CallbackBuilder, FlowBuilder};
/// # use dad_run::{RunContext, RunEnd};
/// # use dad_runner::{FlowRunner, NodeContext, NodeError, NodeRegistry};
/// # async fn greet(_: (), _: NodeContext) -> Result<String, NodeError> {
/// #     Ok("hello".to_owned())
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let project = dir.path();
/// # let nodes = NodeRegistry::new().callback("greet", greet);
/// let flow = FlowBuilder::new().callback("greeting", CallbackBuilder::new("greet")).build()?;
/// let context = RunContext::builder("greeter", project).nodes(nodes);
/// # let context = context.unmasked();
/// // The caller sets the run up and completes it, and may do more in between.
/// let run = context.build()?.setup_run(&flow)?;
/// let report = FlowRunner::within(&flow, &run).run().await?;
/// run.complete_run(RunEnd::Completed, None).await?;
/// assert_eq!(report.totals.counts.completed, 1);
/// # Ok(())
/// # }
/// ```
pub type FlowRunner = Runner<FlowDefinition>;

/// The runner of a definition.
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
    /// The caller ends the run.
    Within(Box<Result<RunDriver, RunError>>),
}

impl<D: AsRef<Definition>> Runner<D> {
    /// A runner that owns the life of the run: it sets the run up, executes the definition and seals the run.
    pub fn new(definition: D, context: RunContext) -> Self {
        Self {
            definition,
            life: Life::Own(Box::new(context)),
        }
    }

    /// A runner that resumes a run that did not complete, in the run's own directory. Committed steps stand.
    pub fn resume(definition: D, context: RunContext, run_dir: impl Into<PathBuf>) -> Self {
        Self {
            definition,
            life: Life::Resumed(Box::new(context), run_dir.into()),
        }
    }

    /// Executes the definition.
    ///
    /// # Errors
    /// [`Error::Run`] if the run could not be set up, [`Error::Broken`] if it could not continue, [`Error::Failed`] or
    /// [`Error::Cancelled`] with the report, which names path and cause.
    pub async fn run(self) -> Result<RunReport, Error> {
        match self.life {
            Life::Own(context) => run_whole(context.set_up(&self.definition).await?).await,
            Life::Resumed(context, run_dir) => {
                run_whole(context.resume_run(&run_dir, &self.definition)?).await
            }
            Life::Within(driver) => {
                let driver = (*driver)?;
                let run = driver.handle().clone();
                if !run.executes(self.definition.as_ref())? {
                    return Err(RunError::OtherDefinition(run.identity().run_id.clone()).into());
                }
                if driver.history().is_none() {
                    let registry = NodeRegistry::given_to(&**run.node_types(), &run.identity().run_dir)?;
                    registry.check_requirements_within(&driver)?;
                }
                let began = Instant::now();
                let ended = execute(driver).await?;
                Error::from_report(report_within(&run, ended, began.elapsed()))
            }
        }
    }
}

impl<D: AsRef<Definition> + Clone> Runner<D> {
    /// A runner inside a run that the caller sets up and completes.
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
            let sealed = sealed.unwrap_or_else(|_| control.interrupted_report(info));
            return Err(broken(&handle, sealed, error));
        }
    };
    let (mut status, mut error, mut output) = verdict(ended);
    if let Some(Err(unwritten)) = output.as_ref().map(|output| run.write_output(output)) {
        (status, error, output) = (RunEnd::Failed, Some(unwritten.to_info()), None);
    }
    match run.seal(status, error).await {
        Ok(sealed) => Error::from_report(report(&handle, sealed, output)),
        Err(error) => Err(broken(
            &handle,
            control.interrupted_report(error.to_info()),
            error,
        )),
    }
}

fn broken(run: &RunHandle, sealed: SealedRun, source: RunError) -> Error {
    Error::Broken {
        report: Box::new(report(run, sealed, None)),
        source: Box::new(source),
    }
}

async fn execute(driver: RunDriver) -> Result<DefinitionOutcome, RunError> {
    let span = run_span(driver.handle().identity().run_id.as_str());
    execute_in_span(driver).instrument(span).await
}

/// The span that log events of the run outside its steps are routed by.
fn run_span(run_id: &str) -> tracing::Span {
    tracing::info_span!(target: "dhenara", "dhenara.run", dhenara.run_id = run_id)
}

async fn execute_in_span(driver: RunDriver) -> Result<DefinitionOutcome, RunError> {
    let run = driver.handle();
    let registry = NodeRegistry::given_to(&**run.node_types(), &run.identity().run_dir)?;
    let session = Session::new(driver);
    let results = NamedResults {
        results: session.run.result_store().clone(),
        cache: Arc::clone(&session.cache),
    };
    session.run.identity().reader.set(Arc::new(results));
    Arc::new(RunExecutor::new(session, registry))
        .run_definition()
        .await
}

fn verdict(ended: DefinitionOutcome) -> (RunEnd, Option<ErrorInfo>, Option<Clean<Value>>) {
    let outcome = ended.outcome;
    let first = outcome
        .failures
        .into_iter()
        .next()
        .map(|failure| failure.error.at(&failure.path));
    match (outcome.status, ended.output) {
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

fn report_within(run: &RunHandle, ended: DefinitionOutcome, duration: Duration) -> RunReport {
    let (totals, first_failures) = (ended.outcome.totals, ended.outcome.failures.clone());
    let (status, error, output) = verdict(ended);
    let mut sealed = SealedRun::new(status.into());
    sealed.error = error;
    sealed.totals = totals;
    sealed.first_failures = first_failures;
    sealed.duration = duration;
    report(run, sealed, output)
}
