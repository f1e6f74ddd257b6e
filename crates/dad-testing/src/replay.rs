//! The replay of recorded runs: what a run recorded answers instead of the models.

use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use dad_core::Definition;
use dad_fs::ScratchDir;
use dad_models::{ModelError, Models, ReplayClient};
use dad_nodes::builtin_nodes;
use dad_run::{RunContext, RunContextBuilder, RunError, RunView};
use dad_runner::{RunReport, Runner};

/// An agent or flow that is about to be executed with what a run recorded; await it.
#[must_use = "nothing is executed until it is awaited"]
pub struct Replay<D> {
    run_dir: PathBuf,
    definition: D,
    project: Option<PathBuf>,
    adjust: Box<dyn FnOnce(RunContextBuilder) -> RunContextBuilder + Send>,
}

/// A run that was made of a recorded one. Its directory is gone when this is dropped.
#[derive(Debug)]
pub struct Replayed {
    /// The report of the run.
    pub report: RunReport,
    /// Holds run and, unless another one was wanted, project.
    _scratch: ScratchDir,
}

/// Why a recorded run could not be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recorded run cannot be used, or the new one not be set up.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The recorded answers of the models cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It did not complete.
    #[error(transparent)]
    Failed(#[from] dad_runner::Error),
    /// There is no place for it.
    #[error(transparent)]
    Scratch(#[from] dad_fs::FsError),
}

/// Executes an agent or flow with what a run recorded: the answers of its models, by the digest of the request, the variables it
/// was given, and the inputs its steps and components were given. Everything else is executed, in a directory of its own.
///
/// Record a run once, and keep its directory beside the test:
///
/// ```no_run
/// # async fn test(agent: dad_core::AgentDefinition) -> Result<(), dad_testing::ReplayError> {
/// use dad_testing::replay;
///
/// let replayed = replay("tests/runs/summary", agent).await?;
/// assert_eq!(replayed.report.output, Some("A short summary.".into()));
/// # Ok(())
/// # }
/// ```
///
/// No network and no key is used. A request that the run did not make fails the step that makes it and says which recorded
/// request is nearest, and how it differs.
///
/// No secret is known, so that a run whose prompts held masked keys is replayed with the registry that masks them:
/// `.context(|context| context.secrets(registry))`.
pub fn replay<D: AsRef<Definition>>(run_dir: impl Into<PathBuf>, definition: D) -> Replay<D> {
    Replay {
        run_dir: run_dir.into(),
        definition,
        project: None,
        adjust: Box::new(|context| context),
    }
}

impl<D> Replay<D> {
    /// The project, if the agent needs what is in it; else an empty directory is made for it. Its files may be changed, as
    /// in any run.
    pub fn project(mut self, root: impl Into<PathBuf>) -> Self {
        self.project = Some(root.into());
        self
    }

    /// Changes the context of the run: nodes of your own, handlers, other variables.
    pub fn context(
        mut self,
        adjust: impl FnOnce(RunContextBuilder) -> RunContextBuilder + Send + 'static,
    ) -> Self {
        self.adjust = Box::new(adjust);
        self
    }
}

impl<D: AsRef<Definition>> Replay<D> {
    async fn run(self) -> Result<Replayed, ReplayError> {
        let scratch = ScratchDir::new()?;
        let project = self.project.as_deref().unwrap_or(scratch.path());
        let context = recorded_context(&self.run_dir, project)?.run_root(scratch.path().join("runs"));
        let context = (self.adjust)(context).build().map_err(RunError::from)?;
        Ok(Replayed {
            report: Runner::new(self.definition, context).run().await?,
            _scratch: scratch,
        })
    }
}

impl<D: AsRef<Definition> + Send + 'static> IntoFuture for Replay<D> {
    type Output = Result<Replayed, ReplayError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl Replayed {
    /// The run, to look at its steps.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn view(&self) -> Result<RunView, RunError> {
        RunView::open(&self.report.run_dir)
    }
}

fn recorded_context(run_dir: &Path, project: &Path) -> Result<RunContextBuilder, ReplayError> {
    let recorded = RunView::open(run_dir)?;
    let mut context = RunContext::builder(recorded.root_id.as_str(), project)
        .nodes(builtin_nodes())
        .unmasked()
        .offline(true)
        .resource(Arc::new(Models::offline(ReplayClient::of_run(run_dir)?)));
    for (name, value) in recorded.given_variables()? {
        context = context.variable(name, value);
    }
    for input in recorded.inputs() {
        let (path, value) = input?;
        context = context.node_input(path.to_string(), value, "the recorded run");
    }
    Ok(context)
}
