//! The differences between two runs, step by step.

use std::collections::BTreeMap;

use dad_core::{HierarchyPath, RunId, StepStatus};
use serde::Serialize;
use serde_json::Value;

use crate::error::RunError;
use crate::journal::step_committed::StepCommitted;
use crate::layout::{RESULT, WORLD};
use crate::rerun::changes::{Change, ChangeKind, Compared};
use crate::rerun::normalise::Normaliser;
use crate::store::view::RunView;

/// The differences between two runs: their outputs, and each step that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunDiff {
    /// The run that was compared.
    pub before: RunId,
    /// The run that it was compared with.
    pub after: RunId,
    /// The differences of the runs' outputs.
    pub output: Vec<Change>,
    /// The steps that differ, in the order of the first run; behind them those that only the second has.
    pub steps: Vec<StepDiff>,
    /// The number of steps that are the same in both.
    pub same: usize,
}

/// The differences of a step between two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepDiff {
    /// The step.
    pub path: HierarchyPath,
    /// Its status in the first run; `None` if that run did not reach it.
    pub before: Option<StepStatus>,
    /// Its status in the second run; `None` if that run did not reach it.
    pub after: Option<StepStatus>,
    /// The differences of its type, settings, input, reads and outcome, if it has results in both.
    pub changes: Vec<Change>,
}

impl RunView {
    /// Compares the run with another one. Steps are aligned by their paths; run ids and directories, which differ between runs
    /// though nothing changed, stand as the names of their variables.
    ///
    /// # Errors
    /// If a result that is in the journal cannot be read.
    pub fn diff(&self, after: &Self) -> Result<RunDiff, RunError> {
        let both = BothRuns {
            before: self,
            after,
            normaliser: Normaliser::of_places(self.places().chain(after.places())),
        };
        let mut steps = Vec::new();
        let mut same = 0;
        for path in both.paths() {
            match both.step(path)? {
                Some(differs) => steps.push(differs),
                None => same += 1,
            }
        }
        Ok(RunDiff {
            before: self.run_id.clone(),
            after: after.run_id.clone(),
            output: both.outputs()?,
            steps,
            same,
        })
    }
}

struct BothRuns<'a> {
    before: &'a RunView,
    after: &'a RunView,
    normaliser: Normaliser,
}

impl BothRuns<'_> {
    /// The steps of both, each once.
    fn paths(&self) -> impl Iterator<Item = &HierarchyPath> {
        let only_after = self.after.steps().map(|step| &step.path);
        let only_after = only_after.filter(|path| self.before.step(path).is_none());
        self.before.steps().map(|step| &step.path).chain(only_after)
    }

    fn step(&self, path: &HierarchyPath) -> Result<Option<StepDiff>, RunError> {
        let (before, after) = (self.before.step(path), self.after.step(path));
        let status = |step: Option<&StepCommitted>| step.map(|step| step.status);
        let changes = match (before, after) {
            (Some(before), Some(after)) if !self.has_same_result(before, after)? => self.changes(path)?,
            _ => Vec::new(),
        };
        let (before, after) = (status(before), status(after));
        let differs = before != after || !changes.is_empty();
        Ok(differs.then(|| StepDiff {
            path: path.clone(),
            before,
            after,
            changes,
        }))
    }

    /// Whether both results are the same bytes, as after a re-run that took the one from the other.
    fn has_same_result(&self, before: &StepCommitted, after: &StepCommitted) -> Result<bool, RunError> {
        let digest = |view: &RunView, step| {
            let artifacts = view.artifacts(step)?;
            let result = artifacts.iter().find(|artifact| artifact.name == RESULT);
            Ok::<_, RunError>(result.map(|result| result.blake3))
        };
        Ok(digest(self.before, before)? == digest(self.after, after)?)
    }

    fn changes(&self, path: &HierarchyPath) -> Result<Vec<Change>, RunError> {
        let before = self.compared(self.before, path)?;
        let after = self.compared(self.after, path)?;
        let (Some((before, outcome_before)), Some((after, outcome_after))) = (before, after) else {
            return Ok(Vec::new());
        };
        let mut changes = Change::all_between(&before, &after);
        changes.extend(Change::of_values(
            ChangeKind::Outcome,
            &outcome_before,
            &outcome_after,
        ));
        Ok(changes)
    }

    /// The parts of a step that are compared, and its outcome; `None` if the user settled it, so that it has no result.
    fn compared(&self, view: &RunView, path: &HierarchyPath) -> Result<Option<(Compared, Value)>, RunError> {
        let Some(result) = view.step_file::<Value>(path, RESULT)? else {
            return Ok(None);
        };
        let field = |name: &str| self.normaliser.value(result.get(name).unwrap_or(&Value::Null));
        let world: Option<Value> = view.step_file(path, WORLD)?;
        let reads = world.and_then(|mut world| world.get_mut("reads").map(Value::take));
        let reads: Option<BTreeMap<String, String>> =
            reads.and_then(|reads| serde_json::from_value(reads).ok());
        let compared = Compared {
            node_type: field("node_type").as_str().unwrap_or_default().to_owned(),
            settings: field("settings"),
            input: field("input"),
            reads: reads.unwrap_or_default(),
        };
        Ok(Some((compared, field("outcome"))))
    }

    fn outputs(&self) -> Result<Vec<Change>, RunError> {
        let output = |view: &RunView| {
            let output = view.output()?;
            Ok::<_, RunError>(self.normaliser.value(&output.unwrap_or_default()))
        };
        Ok(Change::of_values(
            ChangeKind::Output,
            &output(self.before)?,
            &output(self.after)?,
        ))
    }
}
