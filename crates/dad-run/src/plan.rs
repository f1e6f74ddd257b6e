use std::path::PathBuf;

use dad_core::{HierarchyPath, RunId, Usage};
use dad_definition::{Component, Content, NodeElement, Program, ProgramElement};
use dad_events::Origin;
use serde::{Deserialize, Serialize};

use crate::decide::{Reason, ReuseInputs, Verdict, decide};
use crate::edit::Edit;
use crate::error::RunError;
use crate::journal::record::StepCommitted;
use crate::order::{Child, EntryPoint, EntryRelation, RunOrder};
use crate::subject::{AnsweredBy, AskedAgain};

/// What a re-run means to do, made before it starts and written to `.run/plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerunPlan {
    /// Version of the format.
    pub schema_version: u32,
    /// The run it is started from.
    pub parent: RunId,
    /// The first run of the line of re-runs.
    pub root_parent: RunId,
    /// Where the runs of that line were driven, the nearest first: their directories stand in results that are reused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<RunPlace>,
    /// Where execution begins; `None` when every step is decided by its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<HierarchyPath>,
    /// Whether the entry point is a step that executes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Whether every step was asked to execute.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// What was asked to execute, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execute: Vec<String>,
    /// What is asked again although the parent run has an answer, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// What takes the answers of the parent run whatever was asked, as selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reuse_answers: Vec<String>,
    /// What is meant to happen to questions, as far as that is certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<PlannedAnswer>,
    /// What is changed in results that are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// What earlier runs of the line changed in results that may be taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_edits: Vec<Edit>,
    /// The steps of the definition in document order.
    pub steps: Vec<PlannedStep>,
}

/// Where a run was driven: what its steps may have seen of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlace {
    /// The run.
    pub run_id: String,
    /// Its directory.
    pub run_dir: PathBuf,
    /// The run root.
    pub run_root: PathBuf,
    /// The project.
    pub project_root: PathBuf,
}

/// Each place once. Of a run whose roots are not known there, those are taken from where it was driven before.
pub(crate) fn distinct_places(places: impl IntoIterator<Item = RunPlace>) -> Vec<RunPlace> {
    let mut found: Vec<RunPlace> = Vec::new();
    for mut place in places {
        if place.run_root.as_os_str().is_empty() {
            let of_run = |other: &&RunPlace| other.run_id == place.run_id;
            let same_dir = found
                .iter()
                .find(|other| of_run(other) && other.run_dir == place.run_dir);
            if let Some(known) = same_dir.or_else(|| found.iter().rfind(of_run)) {
                place.run_root.clone_from(&known.run_root);
                place.project_root.clone_from(&known.project_root);
            }
        }
        if !found.contains(&place) {
            found.push(place);
        }
    }
    found
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
    pub reason: Reason,
    /// What the step consumed when it was executed, if that is saved.
    #[serde(default, skip_serializing_if = "Usage::is_zero")]
    pub saves: Usage,
}

/// What is meant to happen to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAnswer {
    /// The step or component that asks.
    pub path: HierarchyPath,
    /// How it will be answered; `None` if it will ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AnsweredBy>,
    /// Where the parent run has the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<HierarchyPath>,
    /// Why it will ask although the parent run has an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_again: Option<AskedAgain>,
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
        /// The earlier steps whose results it uses, or the conditional or loop around it.
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

    /// What the steps that are certainly reused consumed when they were executed.
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
            (tokens, Some(cost)) => format!(" (saves {tokens} tokens, ${cost:.4})"),
        }
    }
}

impl RerunPlan {
    /// Every change of a result that the line of re-runs knows of, the earlier ones first.
    pub fn all_edits(&self) -> impl Iterator<Item = &Edit> {
        self.inherited_edits.iter().chain(&self.edits)
    }

    /// What is changed in the result of a step that is taken.
    pub fn edits_of(&self, path: &HierarchyPath) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(move |edit| edit.path == *path)
    }

    /// Where execution begins, if at one place.
    #[must_use]
    pub fn entry(&self) -> Option<EntryPoint> {
        let path = self.entry_point.clone()?;
        Some(EntryPoint {
            path,
            alone: self.alone,
        })
    }
}

/// What a plan asks of the parent run.
pub trait Recorded {
    /// The step at a path, if it ended.
    fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted>;
    /// Which branch a conditional took.
    fn branch(&self, path: &HierarchyPath) -> Option<bool>;
    /// How many items a loop went over, and the last iteration that was decided on with whether it ended the loop.
    fn iterations(&self, path: &HierarchyPath) -> (Option<u64>, Option<(u64, bool)>);
}

/// The plan of a re-run that begins at `entry`: what lies before it in document order is reused, all else executes.
/// Which branches and iterations lie before it is what the parent run decided.
///
/// # Errors
/// [`RunError::NothingToReuse`] for the first step or decision before the entry point that has no result to take, and
/// for an entry point in an iteration that there was not.
pub fn plan_from_entry_point(
    program: &Program,
    entry: &EntryPoint,
    parent: &RunId,
    recorded: &dyn Recorded,
) -> Result<Vec<PlannedStep>, RunError> {
    let mut planner = Planner {
        undecided: Vec::new(),
        order: RunOrder::new(Some(entry.clone())),
        entry,
        parent,
        recorded,
        steps: Vec::new(),
    };
    let root = &program.root;
    let relation = planner.order.root(&root.path);
    planner.component(root, &root.path, relation)?;
    Ok(planner.steps)
}

struct Planner<'a> {
    /// The conditionals and loops around that are decided when the re-run reaches them, the innermost last.
    undecided: Vec<HierarchyPath>,
    order: RunOrder,
    entry: &'a EntryPoint,
    parent: &'a RunId,
    recorded: &'a dyn Recorded,
    steps: Vec<PlannedStep>,
}

impl Planner<'_> {
    /// Plans a component; `path` is its place in the run, without the iterations that are not known yet.
    fn component(
        &mut self,
        component: &Component,
        path: &HierarchyPath,
        relation: EntryRelation,
    ) -> Result<(), RunError> {
        match &component.content {
            Content::Sequence { elements, finally } => {
                self.body(elements, path, relation)?;
                let children: Vec<Child<'_>> =
                    self.order.finally(elements, finally, path, relation).collect();
                self.children(children)
            }
            Content::Parallel { elements } => self.body(elements, path, relation),
            Content::Conditional {
                true_branch,
                false_branch,
                ..
            } => {
                let bodies = [(true, &true_branch[..]), (false, &false_branch[..])];
                if relation.keeps_decisions() {
                    let taken = self.recorded.branch(path);
                    let taken = taken.ok_or_else(|| self.nothing(path, "was not decided"))?;
                    self.branches(bodies, path, relation, Some(taken))
                } else {
                    self.undecided(path, |planner| planner.branches(bodies, path, relation, None))
                }
            }
            Content::ForEach(for_each) => {
                let (items, end) = self.recorded.iterations(path);
                let count = match end {
                    Some((last, true)) => Some(last + 1),
                    _ => items,
                };
                self.iterations(&for_each.body, path, relation, count)
            }
            Content::Repeat(repeat) => {
                let (_, end) = self.recorded.iterations(path);
                let count = match end {
                    Some((last, true)) => last + 1,
                    Some((last, false)) => (last + 2).min(repeat.max_iterations),
                    None => 1,
                };
                self.iterations(&repeat.body, path, relation, Some(count))
            }
            // A kind that dad-definition has learned and this crate has not.
            _ => Err(self.nothing(path, "is of an unknown kind")),
        }
    }

    /// Plans the branches of a conditional; of one that is decided, the branch that was taken.
    fn branches(
        &mut self,
        bodies: [(bool, &[ProgramElement]); 2],
        path: &HierarchyPath,
        relation: EntryRelation,
        taken: Option<bool>,
    ) -> Result<(), RunError> {
        for (branch, body) in bodies {
            let part = self.order.branch(path, relation, branch);
            if taken.is_none_or(|taken| taken == branch) {
                self.body(body, &part.path, part.relation)?;
            } else if self.order.enters(&part.path) {
                return Err(self.not_reached(format!("`{path}` took the other branch")));
            }
        }
        Ok(())
    }

    fn iterations(
        &mut self,
        body: &[ProgramElement],
        path: &HierarchyPath,
        relation: EntryRelation,
        count: Option<u64>,
    ) -> Result<(), RunError> {
        let later = |planner: &mut Self| planner.body(body, path, relation);
        if !relation.keeps_decisions() {
            return self.undecided(path, later);
        }
        let count = count.ok_or_else(|| self.nothing(path, "has not begun"))?;
        for index in 0..count {
            let part = self.order.iteration(path, relation, index);
            if part.relation == EntryRelation::After && part.path != self.entry.path {
                let later = |planner: &mut Self| planner.body(body, path, part.relation);
                return self.undecided(path, later);
            }
            self.body(body, &part.path, part.relation)?;
        }
        let is_reached = self
            .order
            .entered_iteration(path)
            .is_some_and(|index| index < count);
        if relation == EntryRelation::Contains && !is_reached {
            let iterations = if count == 1 { "iteration" } else { "iterations" };
            return Err(self.not_reached(format!("`{path}` had {count} {iterations}")));
        }
        Ok(())
    }

    /// Plans the parts of a conditional or loop that is decided when the re-run reaches it.
    fn undecided(
        &mut self,
        path: &HierarchyPath,
        plan: impl FnOnce(&mut Self) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        self.undecided.push(path.clone());
        let planned = plan(self);
        self.undecided.pop();
        planned
    }

    fn body(
        &mut self,
        elements: &[ProgramElement],
        path: &HierarchyPath,
        relation: EntryRelation,
    ) -> Result<(), RunError> {
        let children: Vec<Child<'_>> = self.order.elements(elements, path, relation).collect();
        self.children(children)
    }

    fn children(&mut self, children: Vec<Child<'_>>) -> Result<(), RunError> {
        for Child {
            element,
            path,
            relation,
        } in children
        {
            match element {
                ProgramElement::Node(node) => self.step(node, path, relation)?,
                ProgramElement::Component(component) => self.component(component, &path, relation)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        node: &NodeElement,
        path: HierarchyPath,
        relation: EntryRelation,
    ) -> Result<(), RunError> {
        let step = self.recorded.step(&path);
        let (verdict, reason) = decide(&ReuseInputs::of_step(node, step, relation));
        let (decision, saves) = match (verdict, step, self.undecided.last()) {
            (Verdict::Reuse, Some(step), _) => {
                let origin = origin_of(step, self.parent);
                (Decision::Reuse { origin }, step.consumed())
            }
            (Verdict::Reuse | Verdict::Refuse, ..) => {
                let state = step.map_or("has no result".to_owned(), |step| format!("is {}", step.status));
                return Err(self.nothing(&path, &state));
            }
            (Verdict::OutOfScope, ..) => return Ok(()),
            (Verdict::Execute, _, Some(control)) => {
                let paths = vec![control.clone()];
                (Decision::DependsOn { paths }, Usage::default())
            }
            (Verdict::Execute, ..) => (Decision::Execute, Usage::default()),
        };
        self.steps.push(PlannedStep {
            path,
            decision,
            reason,
            saves,
        });
        Ok(())
    }

    fn not_reached(&self, reason: String) -> RunError {
        if self.entry.alone {
            return self.step_not_reached(reason);
        }
        RunError::EntryPointNotReached {
            path: self.entry.path.clone(),
            reason,
            run: self.parent.to_string(),
        }
    }

    fn step_not_reached(&self, reason: String) -> RunError {
        RunError::StepNotReached {
            path: self.entry.path.clone(),
            reason,
            run: self.parent.to_string(),
        }
    }

    fn nothing(&self, path: &HierarchyPath, state: &str) -> RunError {
        if self.entry.alone {
            return self.step_not_reached(format!("`{path}` {state}"));
        }
        RunError::NothingToReuse {
            path: path.clone(),
            state: state.to_owned(),
            run: self.parent.to_string(),
        }
    }
}

/// The plan of a re-run without an entry point, before anything was rendered: what has a result is decided by its
/// fingerprint when it is reached.
pub fn plan_by_fingerprint(program: &Program, known: impl Fn(&HierarchyPath) -> bool) -> Vec<PlannedStep> {
    let plan = |step: &NodeElement| {
        let uses = || step.references.iter().map(|(_, target)| target.path.clone());
        let (decision, reason) = match known(&step.path) {
            false => (Decision::Execute, Reason::NoResult),
            true => {
                let paths = uses().collect();
                (Decision::DependsOn { paths }, Reason::DecidedLater)
            }
        };
        PlannedStep {
            path: step.path.clone(),
            decision,
            reason,
            saves: Usage::default(),
        }
    };
    program.steps().map(plan).collect()
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
