//! The end of a run whose owner set it up.

use std::future::Future;

use dad_core::{ErrorInfo, RunStatus};
use dad_run::{ActiveRun, RunEnd, RunError, SealedRun};

use crate::error::Error;
use crate::report::RunReport;

/// Completes a run as its runner ended it.
pub trait CompleteRun: Sized {
    /// Seals the run as what it is: completed, failed, cancelled, or waiting for an answer, with the error that it ended by.
    ///
    /// ```no_run
    /// # async fn example(flow: dad_core::FlowDefinition, context: dad_run::RunContext) -> Result<(), Box<dyn std::error::Error>> {
    /// use dad_runner::{CompleteRun, FlowRunner};
    ///
    /// let run = context.setup_run(&flow)?;
    /// let ended = FlowRunner::within(&flow, &run).run().await;
    /// run.complete(&ended).await?;
    /// let report = ended?;
    /// # drop(report);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the last record or a projection of it cannot be written.
    fn complete(
        self,
        ended: &Result<RunReport, Error>,
    ) -> impl Future<Output = Result<SealedRun, RunError>> + Send;
}

impl CompleteRun for ActiveRun {
    fn complete(
        self,
        ended: &Result<RunReport, Error>,
    ) -> impl Future<Output = Result<SealedRun, RunError>> + Send {
        let (end, error) = end_of(ended);
        self.seal(end, error)
    }
}

/// The status to seal a run with, and the error.
fn end_of(ended: &Result<RunReport, Error>) -> (RunEnd, Option<ErrorInfo>) {
    let report = match ended {
        Ok(report) => Some(report),
        Err(error) => error.report(),
    };
    let end = match report.map(|report| report.status) {
        Some(RunStatus::Completed) => RunEnd::Completed,
        Some(RunStatus::Waiting) => RunEnd::Waiting,
        Some(RunStatus::Cancelled) => RunEnd::Cancelled,
        _ => RunEnd::Failed,
    };
    let recorded = report.and_then(|report| report.error.clone());
    let error = ended.as_ref().err();
    let error = recorded.or_else(|| error.map(|error| ErrorInfo::from_error(error.code(), error)));
    (end, error)
}
