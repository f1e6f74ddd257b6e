//! The report of a run that has ended or waits.

use std::path::PathBuf;
use std::time::Duration;

use dad_core::{ErrorInfo, FirstFailure, RunId, RunStatus, StepStatus};
use dad_run::{RunError, RunView, SetupError, Totals};
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The report of a run. It serialises as `dhenara run --json` prints it.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl Serialize for RunReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RunReport", 10)?;
        fields.serialize_field("run_id", &self.run_id)?;
        fields.serialize_field("run_dir", &self.run_dir)?;
        fields.serialize_field("status", &self.status)?;
        fields.serialize_field("duration_seconds", &self.duration.as_secs_f64())?;
        fields.serialize_field("counts", &self.totals.counts)?;
        fields.serialize_field("usage", &self.totals.usage)?;
        fields.serialize_field("error", &self.error)?;
        fields.serialize_field("first_failures", &self.first_failures)?;
        fields.serialize_field("warnings", &self.warnings)?;
        fields.serialize_field("output", &self.output)?;
        fields.end()
    }
}

/// The most failures that a report names.
const MAX_FAILURES: usize = 10;

impl RunReport {
    /// The report of a run that no process drives, read from its directory. Its duration is the time from its start to its last
    /// record, with the time in which it waited.
    ///
    /// # Errors
    /// If its output cannot be read.
    pub fn of(run: &RunView) -> Result<Self, RunError> {
        let failed = run.steps().filter(|step| step.status == StepStatus::Failed);
        let failures = failed.filter_map(|step| {
            let error = step.error.clone()?;
            Some(FirstFailure::new(step.path.clone(), error.into_inner()))
        });
        Ok(Self {
            run_id: run.run_id.clone(),
            run_dir: run.dir().to_path_buf(),
            status: run.status,
            output: run.output()?,
            error: run.error.clone(),
            totals: run.totals,
            first_failures: failures.take(MAX_FAILURES).collect(),
            duration: run.last_record_at.duration_since(run.created_at).unsigned_abs(),
            warnings: Vec::new(),
        })
    }

    /// The outcome of a step as a type, read from the run's directory.
    ///
    /// ```no_run
    /// # use dad_runner::RunReport;
    /// # fn example(report: &RunReport) -> Result<(), Box<dyn std::error::Error>> {
    /// #[derive(serde::Deserialize)]
    /// struct Greeting {
    ///     text: String,
    /// }
    ///
    /// let greeting: Greeting = report.outcome("hello.greet")?;
    /// println!("{}", greeting.text);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the path is none, the run has no result there, or the outcome is of another type.
    pub fn outcome<T: DeserializeOwned>(&self, path: &str) -> Result<T, RunError> {
        let path = path.parse().map_err(SetupError::Path)?;
        RunView::open(&self.run_dir)?.outcome(&path)
    }

    /// The definition's `output` as a type; one that is absent reads as `null`.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.output.as_ref().unwrap_or(&Value::Null))
    }
}
