//! The report of a run that has ended or waits.

use std::path::PathBuf;
use std::time::Duration;

use dad_core::{ErrorInfo, FirstFailure, RunId, RunStatus};
use dad_run::Totals;
use serde_json::Value;

/// The report of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
    /// Its status.
    pub status: RunStatus,
    /// The definition's `output`, evaluated.
    pub output: Option<Value>,
    /// The error, if it did not complete.
    pub error: Option<ErrorInfo>,
    /// The totals of its steps.
    pub totals: Totals,
    /// The first steps that failed, at most ten.
    pub first_failures: Vec<FirstFailure>,
    /// The time for which it was driven.
    pub duration: Duration,
    /// Problems that did not affect the run itself, such as failures of observers.
    pub warnings: Vec<String>,
}
