//! The differences between two runs, step by step.

use std::collections::BTreeMap;

use dad_core::{ArtifactRef, HierarchyPath, RunId, RunStatus, StepStatus, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::RunError;
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::layout::{CUSTOM_ARTIFACTS, RESULT, WORLD};
use crate::rerun::changes::{Change, ChangeKind, Compared};
use crate::rerun::normalise::Normaliser;
use crate::store::view::RunView;

/// The differences between two runs: their settings, outputs, and each step that is not the same in both. It serialises as
/// `dhenara runs diff A B --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunDiff {
    /// The run that was compared.
    pub before: RunSide,
    /// The run that it was compared with.
    pub after: RunSide,
    /// The differences of the runs' settings and of the variables they were given.
    pub settings: Vec<Change>,
    /// The differences of the runs' outputs.
    pub output: Vec<Change>,
    /// The steps that differ, in the order of the first run; behind them those that only the second has.
    pub steps: Vec<StepDiff>,
    /// The number of steps that are the same in both.
    pub same: usize,
}

/// A run of two that are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSide {
    /// Its id.
    pub run_id: RunId,
    /// Its status.
    pub status: RunStatus,
    /// The time from its first record to its last, in milliseconds.
    pub took_ms: u64,
    /// The totals of its steps.
    pub totals: Totals,
}

impl RunSide {
    fn of(view: &RunView) -> Self {
        let took = view.last_record_at.duration_since(view.created_at);
        Self {
            run_id: view.run_id.clone(),
            status: view.status,
            took_ms: took.as_millis().try_into().unwrap_or(0),
            totals: view.totals,
        }
    }
}

/// The differences of a step between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepDiff {
    /// The step.
    pub path: HierarchyPath,
    /// It in the first run; `None` if that run did not reach its end.
    pub before: Option<StepSide>,
    /// It in the second run; `None` if that run did not reach its end.
    pub after: Option<StepSide>,
    /// The differences of its type, settings, input, reads, outcome and further files, if it has results in both.
    pub changes: Vec<Change>,
}

impl StepDiff {
    /// Whether the step did the same in both runs; its time and price do not count.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let status = |side: &Option<StepSide>| side.as_ref().map(|side| side.status);
        self.changes.is_empty() && status(&self.before) == status(&self.after)
    }
}

/// A step in one of two runs that are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepSide {
    /// Its status.
    pub status: StepStatus,
    /// The time that its last attempt took, in milliseconds.
    pub duration_ms: u64,
    /// Its usage when it was executed, also if that was in another run.
    pub usage: Usage,
}

impl StepSide {
    fn of(step: &StepCommitted) -> Self {
        Self {
            status: step.status,
            duration_ms: step.duration_ms,
            usage: step.consumed(),
        }
    }
}

impl RunView {
    /// Compares the run with another one. Steps are aligned by their paths; run ids and directories, which differ between runs
    /// though nothing changed, stand as the names of their variables.
    ///
    /// # Errors
    /// If a result that is in the journal cannot be read.
    pub fn diff(&self, after: &Self) -> Result<RunDiff, RunError> {
        let both = BothRuns::new(self, after);
        let mut steps = Vec::new();
        let mut same = 0;
        for path in both.paths() {
            let step = both.step(path)?;
            if step.is_same() {
                same += 1;
            } else {
                steps.push(step);
            }
        }
        Ok(RunDiff {
            before: RunSide::of(self),
            after: RunSide::of(after),
            settings: both.settings()?,
            output: both.outputs()?,
            steps,
            same,
        })
    }

    /// Compares one step of the run with that of another one, as [`diff`](Self::diff) does.
    ///
    /// # Errors
    /// If a result that is in the journal cannot be read.
    pub fn diff_step(&self, after: &Self, step: &HierarchyPath) -> Result<StepDiff, RunError> {
        BothRuns::new(self, after).step(step)
    }
}

/// The files that a node made besides its result, with their lengths and digests, by name.
fn made_files(view: &RunView, step: &StepCommitted) -> Result<BTreeMap<String, String>, RunError> {
    let artifacts = view.artifacts(step)?.into_iter();
    let made = artifacts.filter(|artifact| artifact.name.starts_with(CUSTOM_ARTIFACTS));
    let facts = |artifact: ArtifactRef| {
        let digest = artifact.blake3.to_string();
        let facts = format!("{} bytes, {}", artifact.len, digest.get(..12).unwrap_or_default());
        (artifact.name, facts)
    };
    Ok(made.map(facts).collect())
}

struct BothRuns<'a> {
    before: &'a RunView,
    after: &'a RunView,
    normaliser: Normaliser,
}

impl<'a> BothRuns<'a> {
    fn new(before: &'a RunView, after: &'a RunView) -> Self {
        Self {
            before,
            after,
            normaliser: Normaliser::of_places(before.places().chain(after.places())),
        }
    }

    /// The steps of both, each once.
    fn paths(&self) -> impl Iterator<Item = &HierarchyPath> {
        let only_after = self.after.steps().map(|step| &step.path);
        let only_after = only_after.filter(|path| self.before.step(path).is_none());
        self.before.steps().map(|step| &step.path).chain(only_after)
    }

    fn step(&self, path: &HierarchyPath) -> Result<StepDiff, RunError> {
        let (before, after) = (self.before.step(path), self.after.step(path));
        let changes = match (before, after) {
            (Some(before), Some(after)) if !self.has_same_result(before, after)? => {
                self.changes(before, after)?
            }
            _ => Vec::new(),
        };
        Ok(StepDiff {
            path: path.clone(),
            before: before.map(StepSide::of),
            after: after.map(StepSide::of),
            changes,
        })
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

    fn changes(
        &self,
        step_before: &StepCommitted,
        step_after: &StepCommitted,
    ) -> Result<Vec<Change>, RunError> {
        let before = self.compared(self.before, &step_before.path)?;
        let after = self.compared(self.after, &step_after.path)?;
        let (Some((before, outcome_before)), Some((after, outcome_after))) = (before, after) else {
            return Ok(Vec::new());
        };
        let mut changes = Change::all_between(&before, &after);
        changes.extend(Change::of_values(
            ChangeKind::Outcome,
            &outcome_before,
            &outcome_after,
        ));
        let (before, after) = (
            made_files(self.before, step_before)?,
            made_files(self.after, step_after)?,
        );
        changes.extend(Change::of_names(ChangeKind::MadeFile, &before, &after));
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

    /// The differences of what the runs were started with.
    fn settings(&self) -> Result<Vec<Change>, RunError> {
        let settings = |view: &RunView| {
            let mut settings = json!(view.settings());
            if let Some(fields) = settings.as_object_mut() {
                // Digests of a file, by which a resume sees that it changed.
                fields.shift_remove("configuration");
            }
            settings
        };
        let mut changes = Change::of_values(
            ChangeKind::RunSetting,
            &settings(self.before),
            &settings(self.after),
        );
        let variables = |view: &RunView| {
            let given = view.given_variables()?;
            let given = if given.is_empty() {
                Value::Null
            } else {
                given.into()
            };
            Ok::<_, RunError>(self.normaliser.value(&given))
        };
        changes.extend(Change::of_values(
            ChangeKind::Variable,
            &variables(self.before)?,
            &variables(self.after)?,
        ));
        Ok(changes)
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
