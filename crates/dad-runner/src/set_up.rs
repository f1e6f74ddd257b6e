//! The set-up of a run by its owner, with the checks of a runner.

use std::future::Future;

use dad_core::Definition;
use dad_run::{ActiveRun, RunContext, RunError};

use crate::forecast::forecast;
use crate::node::registry::NodeRegistry;

/// Sets a run up as [`Runner::new`](crate::Runner::new) does, for an owner who ends it.
pub trait SetUpRun: Sized {
    /// Checks that every step that may execute has its requirements, such as the key of a model, and forecasts the plan of a
    /// re-run, before the run is made. [`RunContext::setup_run`] knows only the definition and does neither.
    ///
    /// ```no_run
    /// # async fn example(flow: dad_core::FlowDefinition, context: dad_run::RunContext) -> Result<(), Box<dyn std::error::Error>> {
    /// use dad_runner::{CompleteRun, FlowRunner, SetUpRun};
    ///
    /// let run = context.set_up(&flow).await?;
    /// let ended = FlowRunner::within(&flow, &run).run().await;
    /// run.complete(&ended).await?;
    /// # drop(ended?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`RunContext::setup_run`], and [`SetupError::NotReady`](dad_run::SetupError::NotReady) if a step lacks a requirement.
    fn set_up(
        self,
        definition: &impl AsRef<Definition>,
    ) -> impl Future<Output = Result<ActiveRun, RunError>> + Send;
}

impl SetUpRun for RunContext {
    fn set_up(
        self,
        definition: &impl AsRef<Definition>,
    ) -> impl Future<Output = Result<ActiveRun, RunError>> + Send {
        let prepared = self.prepare_run(definition);
        async move {
            let mut prepared = prepared?;
            let registry = NodeRegistry::given_to(&**prepared.node_types(), prepared.effective_run_root())?;
            forecast(&mut prepared, &registry).await?;
            prepared.start()
        }
    }
}
