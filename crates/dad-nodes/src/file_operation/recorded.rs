//! The changes of files that a step made, as differences of the recorded contents.

use dad_core::{Digest, HierarchyPath};
use dad_run::layout::FILE_CHANGES;
use dad_run::{RunError, RunView};
use serde::Deserialize;

use super::edit::diff;
use super::plan::PLAN;

/// A place that a step changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDiff {
    /// The path in the directory that the step worked in.
    pub path: String,
    /// A unified diff; a sentence where there is no text to compare.
    pub diff: String,
}

#[derive(Deserialize)]
struct RecordedPlan {
    targets: Vec<RecordedTarget>,
}

#[derive(Deserialize)]
struct RecordedTarget {
    path: String,
    before: RecordedSide,
    after: RecordedSide,
}

/// A state of a place, as far as its content is concerned.
#[derive(Deserialize)]
struct RecordedSide {
    kind: String,
    #[serde(default)]
    blake3: Option<Digest>,
    #[serde(default)]
    withheld: bool,
}

/// The changes that a step of a run made to files, in the order in which it made them; none of a step that planned none.
///
/// # Errors
/// If the plan or a content cannot be read, or is not the one that was recorded.
pub fn file_diffs(view: &RunView, step: &HierarchyPath) -> Result<Vec<FileDiff>, RunError> {
    let plan: Option<RecordedPlan> = view.step_file(step, &format!("{FILE_CHANGES}/{PLAN}"))?;
    let targets = plan.map(|plan| plan.targets).unwrap_or_default();
    let of_target = |target: RecordedTarget| {
        let diff = target.diff(view, step)?;
        let path = target.path;
        Ok(FileDiff { path, diff })
    };
    targets.into_iter().map(of_target).collect()
}

impl RecordedTarget {
    fn diff(&self, view: &RunView, step: &HierarchyPath) -> Result<String, RunError> {
        let sides = [&self.before, &self.after];
        if sides.iter().any(|side| side.withheld) {
            return Ok(format!(
                "{}: its content is not kept, because a secret stands in it\n",
                self.path
            ));
        }
        if sides.iter().all(|side| side.kind != "file") {
            return Ok(format!(
                "{}: {} → {}\n",
                self.path, self.before.kind, self.after.kind
            ));
        }
        let (before, after) = (self.before.content(view, step)?, self.after.content(view, step)?);
        if before == after {
            return Ok(format!("{}: only its attributes changed\n", self.path));
        }
        Ok(diff(&self.path, before.as_deref(), after.as_deref()))
    }
}

impl RecordedSide {
    fn content(&self, view: &RunView, step: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        let Some(digest) = self.blake3.filter(|_| self.kind == "file") else {
            return Ok(None);
        };
        view.recorded_file(step, &format!("{FILE_CHANGES}/{digest}"))
    }
}
