//! The plan of a re-run, as `plan.json` has it.

use dad_core::{HierarchyPath, RunId, Usage};
use dad_events::Origin;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::journal::place::RunPlace;
use crate::journal::reason::Reason;
use crate::journal::subject::{AnsweredBy, AskedAgain};
use crate::rerun::edit::Edit;

/// The plan of a re-run, made before it starts and written to `.run/plan.json`.
///
/// ```no_run
/// use dad_run::{Decision, RunView};
///
/// if let Some(plan) = RunView::open("runs/rerun_20260102_030405_0a1b2c")?.plan()? {
///     let reused = plan.steps.iter().filter(|step| matches!(step.decision, Decision::Reuse { .. }));
///     println!("{} steps are reused from {}", reused.count(), plan.parent);
/// }
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RerunPlan {
    /// Version of the format.
    pub schema_version: u32,
    /// The run it is started from.
    pub parent: RunId,
    /// The first run of the line of re-runs.
    pub root_parent: RunId,
    /// The places where the runs of that line were driven, the nearest first: their directories stand in reused results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<RunPlace>,
    /// The entry point; `None` when every step is decided by its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<HierarchyPath>,
    /// Whether the entry point is a step that executes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Whether every step was asked to execute.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// The steps that the user asked to execute, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execute: Vec<String>,
    /// The questions to ask again although the parent run has an answer, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// The questions for which the parent's answers are reused whatever was asked, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reuse_answers: Vec<String>,
    /// The planned answers, as far as they are certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<PlannedAnswer>,
    /// The edits of reused results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// The edits that earlier runs of the line made to results that may be reused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_edits: Vec<Edit>,
    /// The steps of the definition in document order.
    pub steps: Vec<PlannedStep>,
}

/// The planned decision about one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// The step.
    pub path: HierarchyPath,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The usage that reusing the step saves.
    #[serde(default, skip_serializing_if = "Usage::is_zero")]
    pub saves: Usage,
}

impl PlannedStep {
    /// The decision about the step at `path`, by which nothing is saved.
    #[must_use]
    pub fn new(path: HierarchyPath, decision: Decision, reason: Reason) -> Self {
        Self {
            path,
            decision,
            reason,
            saves: Usage::default(),
        }
    }
}

/// The planned answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct PlannedAnswer {
    /// The step or component that asks.
    pub path: HierarchyPath,
    /// The way it will be answered; `None` if it will ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub by: Option<AnsweredBy>,
    /// The step or component of the parent run with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub from: Option<HierarchyPath>,
    /// Why it will ask although the parent run has an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub asked_again: Option<AskedAgain>,
}

impl PlannedAnswer {
    /// A step or component that will ask.
    #[must_use]
    pub fn new(path: HierarchyPath) -> Self {
        Self {
            path,
            by: None,
            from: None,
            asked_again: None,
        }
    }
}

/// The planned decision about a step. A closed set.
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
        /// The earlier steps whose results it uses, or the conditional or loop around it.
        paths: Vec<HierarchyPath>,
    },
}

impl RerunPlan {
    /// The numbers of steps that are reused, that execute, and that are decided later.
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

    /// The planned decision about a step.
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
        if let (Some(step), true) = (&self.entry_point, self.alone) {
            return format!("re-run of {}: {step} alone", self.parent);
        }
        let later = if depends > 0 {
            format!(", {depends} decided on the way")
        } else {
            String::new()
        };
        let edits = match self.edits.len() {
            0 => String::new(),
            1 => format!(", 1 result changed at {}", self.edits[0].path),
            several => format!(", {several} changes of results"),
        };
        format!(
            "re-run of {}: {reuse} reused{}, {execute} to execute{later}{edits}{from}",
            self.parent,
            self.saved()
        )
    }

    /// The usage that is certainly saved by reusing steps.
    #[must_use]
    pub fn saves(&self) -> Usage {
        let mut all = Usage::default();
        for step in &self.steps {
            all += step.saves;
        }
        all
    }

    fn saved(&self) -> String {
        let usage = self.saves();
        match (usage.total_tokens, usage.cost.filter(|cost| *cost > 0.0)) {
            (0, _) => String::new(),
            (tokens, None) => format!(" (saves {tokens} tokens)"),
            (tokens, Some(cost)) => format!(" (saves {tokens} tokens, {})", dad_core::format_dollars(cost)),
        }
    }

    /// Every change of a result that the line of re-runs knows of, the earlier ones first.
    pub fn all_edits(&self) -> impl Iterator<Item = &Edit> {
        self.inherited_edits.iter().chain(&self.edits)
    }

    /// The edits of a reused step's result.
    pub fn edits_of(&self, path: &HierarchyPath) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(move |edit| edit.path == *path)
    }
}
