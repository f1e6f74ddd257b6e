//! Planning a re-run before it starts.

use dad_core::{HierarchyPath, RunId, Usage};
use dad_definition::{Component, Content, NodeElement, Program, ProgramElement};
use dad_events::Origin;

use crate::error::SetupError;
use crate::journal::reason::Reason;
use crate::journal::step_committed::StepCommitted;
use crate::rerun::decide::{Asked, Facts, Fit, Kind, Known, Verdict, decide};
use crate::rerun::plan::{Decision, PlannedStep, RerunPlan};

/// The position of an element relative to the entry point of a re-run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// There is no entry point: every step is decided for itself.
    Undecided,
    /// Before it in document order: what is recorded counts.
    Before,
    /// The entry point is inside.
    Around,
    /// The entry point, or behind it: everything executes.
    After,
    /// The step that executes alone.
    Alone,
    /// Beside the step that executes alone: it is as if it were not there.
    Outside,
}

impl Side {
    /// The side of the root of a run.
    #[must_use]
    pub fn of_root(root: &HierarchyPath, entry: Option<&EntryPoint>) -> Self {
        match entry {
            None => Self::Undecided,
            Some(entry) if entry.path == *root => Self::After,
            Some(_) => Self::Around,
        }
    }

    /// The side of a child at `path`. `passed` says whether the entry point was met among the children before it;
    /// children are to be asked for in document order.
    #[must_use]
    pub fn of_child(self, path: &HierarchyPath, entry: Option<&EntryPoint>, passed: &mut bool) -> Self {
        let (Self::Around, Some(EntryPoint { path: entry, alone })) = (self, entry) else {
            return self;
        };
        match (entry.is_within(path), *alone) {
            (true, alone) => {
                *passed = true;
                match (entry == path, alone) {
                    (true, true) => Self::Alone,
                    (true, false) => Self::After,
                    (false, _) => Self::Around,
                }
            }
            (false, true) => Self::Outside,
            (false, false) if *passed => Self::After,
            (false, false) => Self::Before,
        }
    }
}

/// The entry point of a re-run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The step, component, branch or iteration.
    pub path: HierarchyPath,
    /// Whether it is a step and nothing else executes.
    pub alone: bool,
}

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
pub trait Recorded {
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
pub fn plan_from_entry_point(
    program: &Program,
    entry: &EntryPoint,
    parent: &RunId,
    recorded: &dyn Recorded,
) -> Result<Vec<PlannedStep>, SetupError> {
    let mut planner = Planner {
        undecided: Vec::new(),
        entry,
        parent,
        recorded,
        steps: Vec::new(),
    };
    let root = &program.root;
    planner.component(root, &root.path, Side::of_root(&root.path, Some(entry)))?;
    Ok(planner.steps)
}

struct Planner<'a> {
    /// The conditionals and loops around that are decided when the re-run is there, the innermost last.
    undecided: Vec<HierarchyPath>,
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
        side: Side,
    ) -> Result<(), SetupError> {
        match &component.content {
            Content::Sequence { elements, finally } => self.list(elements.iter().chain(finally), path, side),
            Content::Parallel { elements } => self.list(elements, path, side),
            Content::Conditional {
                true_branch,
                false_branch,
                ..
            } => {
                let taken = match side {
                    Side::After | Side::Undecided | Side::Alone | Side::Outside => None,
                    Side::Before | Side::Around => {
                        let taken = self.recorded.branch(path);
                        Some(taken.ok_or_else(|| self.nothing(path, "was not decided"))?)
                    }
                };
                if taken.is_none() {
                    self.undecided.push(path.clone());
                }
                let passed = &mut false;
                for (branch, list) in [(true, true_branch), (false, false_branch)] {
                    let part = path.branch(branch);
                    let side = side.of_child(&part, Some(self.entry), passed);
                    match taken {
                        Some(taken) if taken != branch && self.entry.path.is_within(&part) => {
                            return Err(self.not_reached(format!("`{path}` took the other branch")));
                        }
                        Some(taken) if taken != branch => {}
                        _ => self.list(list, &part, side)?,
                    }
                }
                if taken.is_none() {
                    self.undecided.pop();
                }
                Ok(())
            }
            Content::ForEach(for_each) => {
                let (items, end) = self.recorded.iterations(path);
                let count = match end {
                    Some((last, true)) => Some(last + 1),
                    _ => items,
                };
                self.iterations(&for_each.body, path, side, count)
            }
            Content::Repeat(repeat) => {
                let (_, end) = self.recorded.iterations(path);
                let count = match end {
                    Some((last, true)) => last + 1,
                    Some((last, false)) => (last + 2).min(repeat.max_iterations),
                    None => 1,
                };
                self.iterations(&repeat.body, path, side, Some(count))
            }
            // A kind that dad-definition has learned and this crate has not.
            _ => Err(self.nothing(path, "is of an unknown kind")),
        }
    }

    fn iterations(
        &mut self,
        body: &[ProgramElement],
        path: &HierarchyPath,
        side: Side,
        count: Option<u64>,
    ) -> Result<(), SetupError> {
        if !matches!(side, Side::Before | Side::Around) {
            return self.later(body, path, side);
        }
        let count = count.ok_or_else(|| self.nothing(path, "has not begun"))?;
        let passed = &mut false;
        for index in 0..count {
            let part = path.iteration(index);
            let side = side.of_child(&part, Some(self.entry), passed);
            if side == Side::After && part != self.entry.path {
                return self.later(body, path, side);
            }
            self.list(body, &part, side)?;
        }
        match side {
            Side::Around if !*passed => {
                let iterations = if count == 1 { "iteration" } else { "iterations" };
                Err(self.not_reached(format!("`{path}` had {count} {iterations}")))
            }
            _ => Ok(()),
        }
    }

    /// Iterations of which it is decided when the re-run is there how many there are.
    fn later(&mut self, body: &[ProgramElement], path: &HierarchyPath, side: Side) -> Result<(), SetupError> {
        self.undecided.push(path.clone());
        let planned = self.list(body, path, side);
        self.undecided.pop();
        planned
    }

    fn list<'e>(
        &mut self,
        elements: impl IntoIterator<Item = &'e ProgramElement>,
        path: &HierarchyPath,
        side: Side,
    ) -> Result<(), SetupError> {
        let passed = &mut false;
        for element in elements {
            let path = path.child(element.id());
            let side = side.of_child(&path, Some(self.entry), passed);
            match element {
                ProgramElement::Node(node) => self.step(node, path, side)?,
                ProgramElement::Component(component) => self.component(component, &path, side)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn step(&mut self, node: &NodeElement, path: HierarchyPath, side: Side) -> Result<(), SetupError> {
        let step = self.recorded.step(&path);
        let facts = Facts {
            side,
            known: Known::of(step, node.options.on_error),
            asked: Asked::Nothing,
            reuse: node.options.reuse,
            fit: Fit::Differs,
            kind: Kind::Effect,
            after_effect: false,
        };
        let (verdict, reason) = decide(&facts);
        let (decision, saves) = match (verdict, step, self.undecided.last()) {
            (Verdict::Reuse, Some(step), _) => {
                let origin = origin_of(step, self.parent);
                (Decision::Reuse { origin }, step.consumed())
            }
            (Verdict::Reuse | Verdict::Refuse, ..) => {
                let state = step.map_or("has no result".to_owned(), |step| format!("is {}", step.status));
                return Err(self.nothing(&path, &state));
            }
            (Verdict::Leave, ..) => return Ok(()),
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
pub fn plan_by_fingerprint(program: &Program, known: impl Fn(&HierarchyPath) -> bool) -> Vec<PlannedStep> {
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
    let own = || Origin {
        run_id: parent.clone(),
        path: step.path.clone(),
    };
    step.reused_from.clone().unwrap_or_else(own)
}
