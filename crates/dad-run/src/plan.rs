use dad_core::{HierarchyPath, Reuse, RunId, StepStatus};
use dad_events::Origin;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::record::StepCommitted;

/// What a re-run means to do, made before it starts and written to `.run/plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerunPlan {
    /// Version of the format.
    pub schema_version: u32,
    /// The run it is started from.
    pub parent: RunId,
    /// The first run of the line of re-runs.
    pub root_parent: RunId,
    /// Where execution begins; `None` when every step is decided by its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<HierarchyPath>,
    /// The steps of the definition in document order.
    pub steps: Vec<PlannedStep>,
}

/// What is meant to happen to one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step.
    pub path: HierarchyPath,
    /// What is meant to happen.
    #[serde(flatten)]
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

/// What is meant to happen to a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Its result is taken from the parent run.
    Reuse {
        /// The run that executed it.
        origin: Origin,
    },
    /// It executes.
    Execute,
    /// It is decided when it is reached.
    DependsOn {
        /// The earlier steps whose results it uses.
        paths: Vec<HierarchyPath>,
    },
}

impl RerunPlan {
    /// How many steps are reused, execute, and are decided later.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.steps
            .iter()
            .fold((0, 0, 0), |(reuse, execute, depends), step| match step.decision {
                Decision::Reuse { .. } => (reuse + 1, execute, depends),
                Decision::Execute => (reuse, execute + 1, depends),
                Decision::DependsOn { .. } => (reuse, execute, depends + 1),
            })
    }

    /// What is meant to happen to a step.
    #[must_use]
    pub fn step(&self, path: &HierarchyPath) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.path == *path)
    }

    /// The plan in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let (reuse, execute, depends) = self.counts();
        let from = match &self.entry_point {
            Some(entry) => format!(", starting at {entry}"),
            None => String::new(),
        };
        let later = if depends > 0 {
            format!(", {depends} decided on the way")
        } else {
            String::new()
        };
        format!(
            "re-run of {}: {reuse} reused, {execute} to execute{later}{from}",
            self.parent
        )
    }
}

/// The plan of a re-run that begins at `entry`: what lies before it in document order is reused, all else executes.
///
/// `committed` says what the parent run knows of a step; `parent` is only used in messages and origins.
///
/// # Errors
/// [`RunError::NothingToReuse`] for the first step before the entry point that has no result to take.
pub fn plan_from_entry_point<'a>(
    steps: &[HierarchyPath],
    entry: &HierarchyPath,
    parent: &RunId,
    committed: impl Fn(&HierarchyPath) -> Option<&'a StepCommitted>,
) -> Result<Vec<PlannedStep>, RunError> {
    let begin = steps
        .iter()
        .position(|path| path.is_within(entry))
        .unwrap_or(steps.len());
    let before = steps[..begin].iter().map(|path| {
        let origin = reusable(path, parent, committed(path))?;
        Ok(PlannedStep {
            path: path.clone(),
            decision: Decision::Reuse { origin },
            reason: "before the entry point".to_owned(),
        })
    });
    let after = steps[begin..].iter().map(|path| {
        let reason = if path.is_within(entry) {
            "entry point"
        } else {
            "after the entry point"
        };
        Ok(PlannedStep {
            path: path.clone(),
            decision: Decision::Execute,
            reason: reason.to_owned(),
        })
    });
    before.chain(after).collect()
}

/// A step of the definition as a plan without an entry point sees it.
#[derive(Clone, Debug)]
pub struct StepToPlan {
    /// The step.
    pub path: HierarchyPath,
    /// The steps whose results its settings use.
    pub uses: Vec<HierarchyPath>,
    /// What the definition says of reuse.
    pub reuse: Reuse,
}

/// The plan of a re-run without an entry point: what has a result is decided by its fingerprint when it is reached.
pub fn plan_by_fingerprint<'a>(
    steps: impl IntoIterator<Item = StepToPlan>,
    committed: impl Fn(&HierarchyPath) -> Option<&'a StepCommitted>,
) -> Vec<PlannedStep> {
    let plan = |step: StepToPlan| {
        let completed = committed(&step.path).is_some_and(|known| known.status == StepStatus::Completed);
        let (decision, reason) = match (completed, step.reuse) {
            (false, _) => (Decision::Execute, "the previous run has no result"),
            (true, Reuse::Never) => (Decision::Execute, "`reuse: never`"),
            (true, _) => (
                Decision::DependsOn { paths: step.uses },
                "reused if its fingerprint is the same",
            ),
        };
        PlannedStep {
            path: step.path,
            decision,
            reason: reason.to_owned(),
        }
    };
    steps.into_iter().map(plan).collect()
}

/// Where the result of a step comes from, if it is one that can be taken.
fn reusable(path: &HierarchyPath, parent: &RunId, step: Option<&StepCommitted>) -> Result<Origin, RunError> {
    let refused = |state: &str| RunError::NothingToReuse {
        path: path.clone(),
        state: state.to_owned(),
        run: parent.to_string(),
    };
    match step {
        None => Err(refused("has no result")),
        Some(step) if step.status == StepStatus::Completed => Ok(origin_of(step, parent)),
        Some(step) => Err(refused(&format!("is {}", step.status))),
    }
}

/// The run that executed a step of `parent`: `parent` itself, or the one it took the result from.
#[must_use]
pub fn origin_of(step: &StepCommitted, parent: &RunId) -> Origin {
    let own = || Origin {
        run_id: parent.clone(),
        path: step.path.clone(),
    };
    step.reused_from.clone().unwrap_or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> HierarchyPath {
        text.parse().unwrap()
    }

    fn committed(text: &str, status: StepStatus) -> StepCommitted {
        StepCommitted {
            path: path(text),
            attempt: 1,
            status,
            fingerprint: None,
            artifacts: crate::record::ArtifactList::default(),
            reused_from: None,
            reads: Vec::new(),
            usage: dad_core::Usage::default(),
            cost: None,
            duration_ms: 0,
            summary: None,
            error: None,
        }
    }

    #[test]
    fn what_lies_before_the_entry_point_is_reused() {
        let parent: RunId = "run_20251123_141516_000001".parse().unwrap();
        let steps = ["r.a.x", "r.a.y", "r.b.x", "r.b.y"].map(path);
        let known = ["r.a.x", "r.a.y", "r.b.x"].map(|p| committed(p, StepStatus::Completed));
        let look = |p: &HierarchyPath| known.iter().find(|step| step.path == *p);
        let decided = |entry: &str| -> Vec<bool> {
            let plan = plan_from_entry_point(&steps, &path(entry), &parent, look).unwrap();
            plan.iter()
                .map(|step| matches!(step.decision, Decision::Reuse { .. }))
                .collect()
        };
        assert_eq!(decided("r"), [false; 4]);
        assert_eq!(decided("r.a.y"), [true, false, false, false]);
        assert_eq!(decided("r.b"), [true, true, false, false]);
        assert_eq!(decided("r.b.y"), [true, true, true, false]);
    }

    #[test]
    fn a_step_without_a_result_is_proposed_as_the_entry_point() {
        let parent: RunId = "run_20251123_141516_000001".parse().unwrap();
        let steps = ["r.a", "r.b", "r.c"].map(path);
        let known = [
            committed("r.a", StepStatus::Completed),
            committed("r.b", StepStatus::Failed),
        ];
        let look = |p: &HierarchyPath| known.iter().find(|step| step.path == *p);
        let error = plan_from_entry_point(&steps, &path("r.c"), &parent, look).unwrap_err();
        assert_eq!(
            error.hint().as_deref(),
            Some("use `--entry-point r.b` to start there")
        );
    }
}
