//! Reusing a step: its files are checked against their digests, copied, edited if the plan says so, and committed.

use std::path::Path;

use dad_core::{ArtifactRef, Clean, Digest, HierarchyPath, NodeType};
use dad_fs::{Dir, Durability};
use serde_json::Value;

use crate::document::write_new_json;
use crate::error::{RunError, SetupError};
use crate::journal::reason::Reason;
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::ArtifactList;
use crate::journal::text::RecordedError;
use crate::journal::values::store_artifacts;
use crate::layout::{OUTCOME, OUTCOME_TEXT, RESULT};
use crate::live::component::EnteredComponent;
use crate::live::driver::RunDriver;
use crate::rerun::edit::Edit;
use crate::rerun::planner::origin_of;
use crate::store::artifacts::{Source, full_path, read_artifact};

impl RunDriver {
    /// Takes the result of a step, of this path or another one of the parent run: every file is checked against its
    /// digest and copied, and edits of the plan are made. Returns what the step adds to the totals.
    ///
    /// # Errors
    /// If a file is missing or differs from its record, or the copy cannot be written.
    pub fn reuse_step(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
        node_type: &NodeType,
        from: &HierarchyPath,
        reason: Reason,
    ) -> Result<Totals, RunError> {
        let inner = self.inner();
        let parent = inner.reader.parent.as_ref().ok_or_else(|| RunError::ParentGone {
            run: inner.identity.run_id.to_string(),
            parent: inner
                .plan
                .as_ref()
                .map_or_else(String::new, |plan| plan.parent.to_string()),
        })?;
        let step = parent.step(from).ok_or_else(|| SetupError::NothingToReuse {
            path: from.clone(),
            state: "has no result".to_owned(),
            run: parent.run_id.to_string(),
        })?;
        // A reused step has no `step_started` record; the number of the record to come names its stage.
        let seq = inner.state().journal.next_seq();
        let name = format!("{seq}_{}", Digest::of(path.as_str().as_bytes()).short());
        self.clear_final(path, seq)?;
        // What was settled by hand has no files.
        if step.artifacts.is_empty() {
            // The previous run may have known fewer secrets.
            let redactor = inner.secrets.redactor();
            let error = step
                .error
                .clone()
                .map(|error| Clean::redact(error.into_inner(), &redactor));
            let summary = step
                .summary
                .clone()
                .map(|summary| Clean::redact(summary.into_inner(), &redactor));
            let end = (step.status, error);
            return self.settle_step(component, path, node_type, end, summary, step.absorbed);
        }
        let edits: Vec<&Edit> = inner.plan.iter().flat_map(|plan| plan.edits_of(path)).collect();
        // Neither directory is opened: most steps have two files.
        let stage = (&inner.stage, Path::new(&name));
        inner.stage.create_dir_only(&name)?;
        let source_name = from.to_relative_dir();
        let source = (parent.files(), &*source_name);
        let taken = take_files(source, parent.artifacts(step)?, &edits, stage).inspect_err(|_| {
            // The copy belongs to no step, and the first error is the one to report.
            let _ = inner.stage.remove_dir_all(&name);
        });
        let artifacts = taken?;
        let origin = Some(origin_of(step, &parent.run_id));
        let (reused_from, edited_from) = if edits.is_empty() {
            // What was changed in an earlier run stays known for it.
            (origin, step.edited_from.clone())
        } else {
            (None, origin)
        };
        let committed = StepCommitted {
            path: path.clone(),
            reused_from,
            edited_from,
            reason: Some(reason),
            session: inner.epoch,
            artifacts: store_artifacts(&inner.dot_run, ArtifactList::Inline(artifacts), inner.durability)?,
            ..step.clone()
        };
        let error = committed.error.clone().map(RecordedError::into_inner);
        inner.may_block(|| inner.publish(component, Some(&name), node_type, committed, error, false))
    }
}

/// Copies the files of a step into a stage, with the edits of its outcome.
fn take_files(
    source: Source<'_>,
    recorded: Vec<ArtifactRef>,
    edits: &[&Edit],
    stage: Place<'_>,
) -> Result<Vec<ArtifactRef>, RunError> {
    let mut artifacts = Vec::with_capacity(recorded.len());
    for artifact in recorded {
        if !is_edited(edits, &artifact.name) {
            copy_artifact(source, &artifact, stage)?;
            artifacts.push(artifact);
        } else if artifact.name == RESULT {
            let result = edited_result(source, &artifact, edits)?;
            artifacts.extend(write_edited(&stage.0.open_dir(stage.1)?, &result)?);
        }
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}

/// Whether a file of a step is another one after an edit of the outcome.
fn is_edited(edits: &[&Edit], name: &str) -> bool {
    !edits.is_empty() && [RESULT, OUTCOME, OUTCOME_TEXT].contains(&name)
}

/// The outcome in a result.
pub(crate) fn outcome_of(result: &Value) -> Value {
    result.get("outcome").cloned().unwrap_or_default()
}

/// The result of a step with its outcome changed.
fn edited_result(source: Source<'_>, artifact: &ArtifactRef, edits: &[&Edit]) -> Result<Value, RunError> {
    let bytes = read_artifact(source, artifact)?;
    let mut result: Value =
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(full_path(source, artifact), e))?;
    let mut outcome = outcome_of(&result);
    for edit in edits {
        edit.apply(&mut outcome)?;
    }
    if let Some(fields) = result.as_object_mut() {
        fields.insert("outcome".to_owned(), outcome);
    }
    Ok(result)
}

fn write_edited(stage: &Dir, result: &Value) -> Result<[ArtifactRef; 2], RunError> {
    let outcome = result.get("outcome").unwrap_or(&Value::Null);
    Ok([
        write_new_json(stage, OUTCOME, outcome, Durability::Process)?,
        write_new_json(stage, RESULT, result, Durability::Process)?,
    ])
}

/// A directory by its name in another one.
type Place<'a> = (&'a Dir, &'a Path);

/// Copies one file of a step.
fn copy_artifact(source: Source<'_>, artifact: &ArtifactRef, target: Place<'_>) -> Result<(), RunError> {
    let bytes = read_artifact(source, artifact)?;
    let (target, name) = target;
    if let Some((dir, _)) = artifact.name.rsplit_once('/') {
        target.create_dir_all(name.join(dir))?;
    }
    Ok(target.write_new(name.join(&artifact.name), &bytes, Durability::Process)?)
}
