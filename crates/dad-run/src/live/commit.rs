//! The commit of a step: result and outcome into the stage, one rename, one record, one event, in this order.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dad_core::{Clean, ErrorInfo, FirstFailure, HierarchyPath, NodeType, StepResult, StepStatus, Usage};
use dad_events::{EventBody, StepEnded};
use dad_fs::Durability;
use derive_setters::Setters;
use serde_json::Value;

use crate::error::RunError;
use crate::journal::record::RecordBody;
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::ArtifactList;
use crate::journal::text::RecordText;
use crate::journal::values::store_artifacts;
use crate::layout::{OUTCOME, RESULT};
use crate::live::component::EnteredComponent;
use crate::live::driver::RunDriver;
use crate::live::sealed_run::FIRST_FAILURES;
use crate::live::shared::RunShared;
use crate::live::staged_step::StagedStep;

/// The details of a step that are recorded beside its result.
#[derive(Clone, Debug, Default, Setters)]
#[non_exhaustive]
pub struct CommitDetails {
    /// The steps whose results it used, as the definition names them.
    pub reads: Vec<String>,
    /// Its usage.
    pub usage: Usage,
    /// Of the last attempt.
    pub duration: Duration,
    /// A summary in one line.
    #[setters(into)]
    pub summary: Option<Clean<String>>,
    /// Whether it changed something outside the run, so that to do it twice is not the same as to do it once.
    pub effect: bool,
    /// Whether the run continues behind it although it failed.
    pub absorbed: bool,
}

impl RunDriver {
    /// Commits a step: its result into the stage, one rename to its final place, one record.
    ///
    /// # Errors
    /// If the run has ended or anything cannot be written; the step is then not committed.
    pub fn commit_step(
        &self,
        component: &EnteredComponent,
        staged: &StagedStep,
        result: &Clean<StepResult>,
        details: CommitDetails,
    ) -> Result<(), RunError> {
        let (inner, result) = (self.inner(), result.get());
        if !matches!(result.execution_status, StepStatus::Completed) && !result.execution_status.is_failure()
        {
            return Err(RunError::NotAnEnd(staged.path.clone(), result.execution_status));
        }
        let mut artifacts = staged.own_files(&inner.secrets.redactor())?;
        let outcome = result.outcome.as_ref().unwrap_or(&Value::Null);
        artifacts.push(staged.write_json(RESULT, result)?);
        artifacts.push(staged.write_json(OUTCOME, outcome)?);
        artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        let usage = details.usage;
        let committed = StepCommitted {
            path: staged.path.clone(),
            attempt: staged.attempt,
            status: result.execution_status,
            fingerprint: result.fingerprint,
            artifacts: store_artifacts(&inner.dot_run, ArtifactList::Inline(artifacts), inner.durability)?,
            reused_from: None,
            edited_from: None,
            reason: None,
            reads: details.reads,
            usage,
            cost: usage.cost,
            duration_ms: u64::try_from(details.duration.as_millis()).unwrap_or(u64::MAX),
            summary: details.summary.map(|summary| summary.get().as_str().into()),
            error: result.error.as_ref().map(Into::into),
            absorbed: details.absorbed,
            session: inner.epoch,
        };
        let error = result.error.clone();
        let publish = || {
            let stage = Some(staged.name.as_str());
            inner.publish(
                component,
                stage,
                &staged.node_type,
                committed,
                error,
                details.effect,
            )
        };
        inner.may_block(publish).map(drop)
    }

    /// Ends a step that is not executed, because the user settled it by hand. It has no files. Returns what it adds to the
    /// totals.
    ///
    /// # Errors
    /// If the run has ended, or the record cannot be written.
    pub fn settle_step(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
        node_type: &NodeType,
        (status, error): (StepStatus, Option<Clean<ErrorInfo>>),
        summary: Option<Clean<String>>,
        absorbed: bool,
    ) -> Result<Totals, RunError> {
        let inner = self.inner();
        let error = error.map(Clean::into_inner);
        let seq = inner.state().journal.next_seq();
        self.clear_final(path, seq)?;
        let committed = StepCommitted {
            path: path.clone(),
            attempt: 1,
            status,
            fingerprint: None,
            artifacts: ArtifactList::default(),
            reused_from: None,
            edited_from: None,
            reason: None,
            reads: Vec::new(),
            usage: Usage::default(),
            cost: None,
            duration_ms: 0,
            summary: summary.map(|summary| summary.get().as_str().into()),
            error: error.as_ref().map(Into::into),
            absorbed,
            session: inner.epoch,
        };
        inner.may_block(|| inner.publish(component, None, node_type, committed, error, true))
    }
}

impl RunShared {
    /// The rename, the record and the event, one after the other with nothing between. Returns what the step adds to the
    /// totals.
    pub(super) fn publish(
        &self,
        component: &EnteredComponent,
        stage_name: Option<&str>,
        node_type: &NodeType,
        committed: StepCommitted,
        error: Option<ErrorInfo>,
        effect: bool,
    ) -> Result<Totals, RunError> {
        if let Some(stage_name) = stage_name.filter(|_| self.durability == Durability::Disk) {
            // Everything in it before its name, and its name before its record.
            self.stage.open_dir(stage_name)?.sync_tree()?;
        }
        let leaf = committed.path.leaf().to_owned();
        let event = EventBody::StepEnded(
            StepEnded::new(
                committed.path.clone(),
                node_type.clone(),
                committed.status,
                step_dir(component, &leaf),
            )
            .attempt(committed.attempt)
            .duration(Duration::from_millis(committed.duration_ms))
            .usage(committed.full_usage())
            .reused_from(committed.reused_from.clone())
            .edited_from(committed.edited_from.clone())
            .summary(committed.summary.clone().map(RecordText::into_inner))
            .error(error.clone()),
        );
        let totals = committed.totals();
        let failure = error.filter(|_| committed.status.is_failure());
        let failure = failure.map(|error| FirstFailure::new(committed.path.clone(), error));
        let body = RecordBody::StepCommitted(Box::new(committed));
        // From here on in the journal's critical section: no other record comes between the rename and its own.
        let mut state = self.state();
        // Before the rename: a directory under a final name without a record would look like a crash.
        if self.ended.load(Ordering::Acquire) {
            return Err(RunError::Ended);
        }
        // The rename before the record: a record vouches for complete files under their final name, and a reader ignores a
        // final directory without a record.
        if let Some(stage_name) = stage_name {
            let around = component.dir.open()?;
            self.stage.rename(stage_name, &around, &leaf, self.durability)?;
        }
        // The event behind its record, in the same critical section, so that events come in the journal's order.
        self.record_in(&mut state, &body, Some(event), effect)?;
        if state.first_failures.len() < FIRST_FAILURES {
            state.first_failures.extend(failure);
        }
        Ok(totals)
    }
}

fn step_dir(component: &EnteredComponent, leaf: &str) -> PathBuf {
    component.dir.path().join(leaf)
}
