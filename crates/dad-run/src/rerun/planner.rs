//! Planning a re-run before it starts.

use dad_core::{HierarchyPath, RunId, Usage};
use dad_definition::{Component, Content, NodeElement, Program, ProgramElement};
use dad_events::Origin;

use crate::error::SetupError;
use crate::journal::reason::Reason;
use crate::journal::step_committed::StepCommitted;
use crate::rerun::decide::{ReuseInputs, Verdict, decide};
use crate::rerun::order::{Child, EntryPoint, EntryRelation, RunOrder};
use crate::rerun::plan::{Decision, PlannedStep, RerunPlan};

impl RerunPlan {
    /// The entry point, if there is one.
    #[must_use]
    pub fn entry(&self) -> Option<EntryPoint> {
        let path = self.entry_point.clone()?;
        Some(EntryPoint {
            path,
            alone: self.alone,
        })
    }
}

/// The records of the parent run that a plan needs.
pub(crate) trait Recorded {
    /// The step at a path, if it ended.
    fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted>;
    /// Which branch a conditional took.
    fn branch(&self, path: &HierarchyPath) -> Option<bool>;
    /// The number of items of a loop, and the last iteration that was decided on with whether it ended the loop.
    fn iterations(&self, path: &HierarchyPath) -> (Option<u64>, Option<(u64, bool)>);
}

/// The plan of a re-run that begins at `entry`: what lies before it in document order is reused, all else executes.
/// Which branches and iterations lie before it is what the parent run decided.
///
/// # Errors
/// [`SetupError::NothingToReuse`] for the first step or decision before the entry point that has no result to take, and
/// for an entry point in an iteration that there was not.
pub(crate) fn plan_from_entry_point(
    program: &Program,
    entry: &EntryPoint,
    parent: &RunId,
    recorded: &dyn Recorded,
) -> Result<Vec<PlannedStep>, SetupError> {
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
    ) -> Result<(), SetupError> {
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
    ) -> Result<(), SetupError> {
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
    ) -> Result<(), SetupError> {
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
        plan: impl FnOnce(&mut Self) -> Result<(), SetupError>,
    ) -> Result<(), SetupError> {
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
    ) -> Result<(), SetupError> {
        let children: Vec<Child<'_>> = self.order.elements(elements, path, relation).collect();
        self.children(children)
    }

    fn children(&mut self, children: Vec<Child<'_>>) -> Result<(), SetupError> {
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
    ) -> Result<(), SetupError> {
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

    fn not_reached(&self, reason: String) -> SetupError {
        if self.entry.alone {
            return self.step_not_reached(reason);
        }
        SetupError::EntryPointNotReached {
            path: self.entry.path.clone(),
            reason,
            run: self.parent.to_string(),
        }
    }

    fn step_not_reached(&self, reason: String) -> SetupError {
        SetupError::StepNotReached {
            path: self.entry.path.clone(),
            reason,
            run: self.parent.to_string(),
        }
    }

    fn nothing(&self, path: &HierarchyPath, state: &str) -> SetupError {
        if self.entry.alone {
            return self.step_not_reached(format!("`{path}` {state}"));
        }
        SetupError::NothingToReuse {
            path: path.clone(),
            state: state.to_owned(),
            run: self.parent.to_string(),
        }
    }
}

/// The plan of a re-run without an entry point, before anything was rendered: what has a result is decided by its
/// fingerprint when it is reached.
pub(crate) fn plan_by_fingerprint(
    program: &Program,
    known: impl Fn(&HierarchyPath) -> bool,
) -> Vec<PlannedStep> {
    let plan = |step: &NodeElement| {
        let uses = || step.references.iter().map(|(_, target)| target.path.clone());
        let (decision, reason) = if known(&step.path) {
            let paths = uses().collect();
            (Decision::DependsOn { paths }, Reason::DecidedLater)
        } else {
            (Decision::Execute, Reason::NoResult)
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
    let own = || Origin::new(parent.clone(), step.path.clone()).session(step.session.max(1));
    step.reused_from.clone().unwrap_or_else(own)
}
