//! The end of a step: the record of its result, or of its end without an execution.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{
    Clean, ErrorInfo, Fingerprint, FirstFailure, HierarchyPath, StepResult, StepStatus, StepValues, Usage,
};
use dad_run::driver::{CommitDetails, StepStart};
use dad_run::{Reason, RunError, Settled, Totals};
use serde_json::Value;

use crate::node::lifetime::CANCELLED;
use crate::node::output::CleanOutput;
use crate::render::evaluate::Rendered;
use crate::step::attempt::{Attempt, FailureKind};
use crate::step::outcome::ElementOutcome;
use crate::step::place::Step;

impl Step<'_> {
    /// Reuses the result that the previous run has at `from`.
    pub(super) fn reuse(&self, from: &HierarchyPath, reason: Reason) -> Result<ElementOutcome, RunError> {
        let node_type = &self.node.node_type;
        let taken = self
            .driver()
            .reuse_step(self.context.entered, &self.path, node_type, from, reason);
        match taken {
            // A reused failure was absorbed: later steps can use its result.
            Ok(totals) => Ok(ElementOutcome::restored(totals)),
            // The step fails, not the run: its `finally` still executes.
            Err(error) if error.is_of_parent() => self.fail_before_execution(None, error.to_info()),
            Err(error) => Err(error),
        }
    }

    /// Ends the step as the user settled it.
    pub(super) fn settle(&self, settled: Settled) -> Result<ElementOutcome, RunError> {
        match settled {
            Settled::Skipped(reason) => self.finish_without_executing(StepStatus::Skipped, None, reason),
            Settled::Failed(reason) => {
                let message = reason.unwrap_or_else(|| "it was marked as failed by the user".to_owned());
                let error = ErrorInfo::new("failed_by_hand", message);
                self.finish_without_executing(StepStatus::Failed, Some(error), None)
            }
        }
    }

    /// Leaves a step that has not executed with this status. The end is recorded if the step
    /// [ends](crate::step::executor::RunExecutor::ends_unbegun) by that.
    pub(super) fn suspend(&self, status: StepStatus) -> Result<ElementOutcome, RunError> {
        let phase = self.context.phase;
        if status != StepStatus::Cancelled || !self.executor.ends_unbegun(&self.path, phase) {
            return Ok(ElementOutcome::pending(status));
        }
        let reason = self.executor.out_of_time(&self.path, phase);
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("the step was cancelled before it executed{reason}");
        let error = ErrorInfo::new(CANCELLED, message);
        let mut outcome = self.finish_without_executing(StepStatus::Cancelled, Some(error), None)?;
        if outcome.status != StepStatus::Completed {
            outcome.status = StepStatus::Cancelled;
        }
        Ok(outcome)
    }

    /// Records the end of a step that has not executed.
    pub(super) fn finish_without_executing(
        &self,
        status: StepStatus,
        error: Option<ErrorInfo>,
        summary: Option<String>,
    ) -> Result<ElementOutcome, RunError> {
        let node_type = &self.node.node_type;
        let redactor = self.run().secrets().redactor();
        let error = error.map(|error| Clean::redact(error.at(&self.path), &redactor));
        let summary = summary.map(|summary| Clean::redact(summary, &redactor));
        let end = (status, error.clone());
        let absorbed = self.absorbs(status);
        let entered = self.context.entered;
        let totals = self
            .driver()
            .settle_step(entered, &self.path, node_type, end, summary, absorbed)?;
        let mut outcome = ElementOutcome::restored(totals);
        if let Some(error) = error.filter(|_| !absorbed) {
            outcome.fail(&self.path, error.into_inner());
        }
        Ok(outcome)
    }

    /// Fails a step that could not begin. The error is recorded as its result.
    pub(super) fn fail_before_execution(
        &self,
        input: Option<Clean<Value>>,
        error: ErrorInfo,
    ) -> Result<ElementOutcome, RunError> {
        let start = StepStart {
            attempt: 1,
            reason: self.plain_reason(),
            after: None,
            effect: false,
            may_retry: false,
        };
        let staged = self
            .driver()
            .begin_step(&self.path, &self.node.node_type, &start)?;
        let error = Clean::redact(error.at(&self.path), &self.run().secrets().redactor());
        let attempt = Attempt {
            staged: Arc::new(staged),
            status: StepStatus::Failed,
            output: CleanOutput::default(),
            error: Some(error),
            kind: FailureKind::default(),
            spent_before: Usage::default(),
            effect: false,
            duration: Duration::ZERO,
        };
        self.record(attempt, input, None, Vec::new(), None)
    }

    /// Records the last attempt of a step as its result.
    pub(super) fn commit(
        &self,
        attempt: Attempt,
        input: Option<Clean<Value>>,
        rendered: Rendered,
        fingerprint: Fingerprint,
    ) -> Result<ElementOutcome, RunError> {
        let Rendered { settings, reads, .. } = rendered;
        let outcome = self.record(attempt, input, Some(settings), reads, Some(fingerprint))?;
        for name in &self.node.options.post_events {
            self.driver().custom(name, Some(&self.path), Value::Null)?;
        }
        Ok(outcome)
    }

    fn record(
        &self,
        mut attempt: Attempt,
        input: Option<Clean<Value>>,
        settings: Option<Value>,
        reads: Vec<String>,
        fingerprint: Option<Fingerprint>,
    ) -> Result<ElementOutcome, RunError> {
        let absorbed = self.absorbs(attempt.status);
        let outcome = self.outcome(&attempt, absorbed);
        let staged = Arc::clone(&attempt.staged);
        let details = CommitDetails::default()
            .reads(reads)
            .usage(attempt.output.usage)
            .duration(attempt.duration)
            .summary(attempt.output.summary.take())
            .effect(attempt.effect)
            .absorbed(absorbed);
        let result = self.result(attempt, input, settings, fingerprint);
        self.driver()
            .commit_step(self.context.entered, &staged, &result, details)?;
        Ok(outcome)
    }

    fn result(
        &self,
        attempt: Attempt,
        input: Option<Clean<Value>>,
        settings: Option<Value>,
        fingerprint: Option<Fingerprint>,
    ) -> Clean<StepResult> {
        let Attempt {
            staged,
            status,
            output,
            error,
            ..
        } = attempt;
        let node = self.node;
        let mut result = StepResult::new(self.path.clone(), &node.node_type, status, self.created_at);
        if node.function.is_some() {
            "callback".clone_into(&mut result.executable_type);
        }
        result.node_identifier = node.id.to_string();
        result.attempt = staged.attempt;
        result.fingerprint = fingerprint;
        result.started_at = Some(staged.started_at);
        result.completed_at = Some(self.run().now());
        result.set_usage(&output.usage);
        let redactor = self.run().secrets().redactor();
        result.with_values({
            let mut step_values = StepValues::default();
            step_values.input = input;
            step_values.settings = settings.map(|settings| Clean::render(settings, &redactor));
            step_values.output = output.output;
            step_values.outcome = Some(output.outcome).filter(|outcome| !outcome.get().is_null());
            step_values.error = error;
            step_values
        })
    }

    fn outcome(&self, attempt: &Attempt, absorbed: bool) -> ElementOutcome {
        let mut totals = Totals::default();
        totals.usage = attempt.output.usage;
        totals.usage += attempt.spent_before;
        totals.counts.add(attempt.status, false);
        if absorbed {
            return ElementOutcome::restored(totals);
        }
        let failure = attempt
            .error
            .clone()
            .map(|error| FirstFailure::new(self.path.clone(), error.into_inner()));
        ElementOutcome {
            status: attempt.status,
            totals,
            failures: failure.into_iter().collect(),
        }
    }
}
