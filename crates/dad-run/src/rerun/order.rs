//! The order of a run: the children of every component in document order, with their relation to the entry point of a
//! re-run. The executor of a run, the forecast and the planner of a re-run all walk a definition by it, so that none of them
//! can disagree with the others about what comes before the entry point.

use dad_core::{HierarchyPath, Segment};
use dad_definition::ProgramElement;

/// The place at which a re-run begins to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryPoint {
    /// The step, component, branch or iteration.
    pub path: HierarchyPath,
    /// Whether it is a step and nothing else executes.
    pub alone: bool,
}

/// The place of an element relative to the entry point of a re-run. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryRelation {
    /// There is no entry point: every step is decided by its fingerprint.
    NoEntryPoint,
    /// Before it in document order: the previous run's result counts.
    Before,
    /// The entry point is inside the element.
    Contains,
    /// The element is the entry point, lies in it or behind it, and executes.
    After,
    /// The element is the step that executes alone.
    Alone,
    /// Another step executes alone.
    OutOfScope,
}

impl EntryRelation {
    /// Whether the decisions of the previous run stand here: the branches that it took, the items of its loops.
    #[must_use]
    pub const fn keeps_decisions(self) -> bool {
        match self {
            Self::Before | Self::Contains => true,
            Self::NoEntryPoint | Self::After | Self::Alone | Self::OutOfScope => false,
        }
    }
}

/// The document order of a run, around the entry point of a re-run if it has one.
#[derive(Clone, Debug, Default)]
pub struct RunOrder {
    entry: Option<EntryPoint>,
}

/// An element of a component, iteration or branch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Child<'e> {
    /// The element.
    pub element: &'e ProgramElement,
    /// Its place in the run.
    pub path: HierarchyPath,
    /// Its place relative to the entry point.
    pub relation: EntryRelation,
}

/// An iteration of a loop, or a branch of a conditional.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its place in the run.
    pub path: HierarchyPath,
    /// Its place relative to the entry point.
    pub relation: EntryRelation,
}

impl RunOrder {
    /// The order of a run that begins to execute at `entry`, or at its root.
    #[must_use]
    pub const fn new(entry: Option<EntryPoint>) -> Self {
        Self { entry }
    }

    /// Whether one step executes and nothing else.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.alone)
    }

    /// The relation of the root component.
    #[must_use]
    pub fn root(&self, path: &HierarchyPath) -> EntryRelation {
        match &self.entry {
            None => EntryRelation::NoEntryPoint,
            Some(entry) if entry.path == *path => EntryRelation::After,
            Some(_) => EntryRelation::Contains,
        }
    }

    /// The elements of a component, iteration or branch at `path`, in document order. A component's `finally` follows them:
    /// see [`finally`](Self::finally).
    pub fn elements<'e>(
        &self,
        elements: &'e [ProgramElement],
        path: &HierarchyPath,
        relation: EntryRelation,
    ) -> impl Iterator<Item = Child<'e>> {
        let entered = self.entered(elements, path, relation);
        let children = elements.iter().enumerate();
        children.map(move |(position, element)| {
            let child = path.child(element.id());
            let is_behind = entered.is_some_and(|entered| position > entered);
            let relation = self.relation(&child, relation, is_behind);
            Child {
                element,
                path: child,
                relation,
            }
        })
    }

    /// The elements of the `finally` of a component at `path`, which follow its `elements`.
    pub fn finally<'e>(
        &self,
        elements: &[ProgramElement],
        finally: &'e [ProgramElement],
        path: &HierarchyPath,
        relation: EntryRelation,
    ) -> impl Iterator<Item = Child<'e>> {
        let is_behind = self.entered(elements, path, relation).is_some();
        self.elements(finally, path, relation)
            .map(move |child| match child.relation {
                EntryRelation::Before if is_behind => Child {
                    relation: EntryRelation::After,
                    ..child
                },
                _ => child,
            })
    }

    /// A branch of the conditional at `path`; the branch of a true statement comes first.
    #[must_use]
    pub fn branch(&self, path: &HierarchyPath, relation: EntryRelation, taken: bool) -> Part {
        let branch = path.branch(taken);
        let enters_first = || self.enters(&path.branch(true));
        let relation = self.relation(&branch, relation, !taken && enters_first());
        Part {
            path: branch,
            relation,
        }
    }

    /// An iteration of the loop at `path`, counted from 0.
    #[must_use]
    pub fn iteration(&self, path: &HierarchyPath, relation: EntryRelation, index: u64) -> Part {
        let iteration = path.iteration(index);
        let is_behind = self
            .entered_iteration(path)
            .is_some_and(|entered| index > entered);
        let relation = self.relation(&iteration, relation, is_behind);
        Part {
            path: iteration,
            relation,
        }
    }

    /// The iteration of the loop at `path` that holds the entry point, counted from 0.
    #[must_use]
    pub fn entered_iteration(&self, path: &HierarchyPath) -> Option<u64> {
        let entry = self.entry.as_ref().filter(|entry| entry.path.is_within(path))?;
        match entry.path.typed_segments().nth(path.segments().count())? {
            Segment::Iteration(index) => Some(index),
            _ => None,
        }
    }

    /// Whether the entry point is the place, or inside it.
    #[must_use]
    pub fn enters(&self, path: &HierarchyPath) -> bool {
        self.entry
            .as_ref()
            .is_some_and(|entry| entry.path.is_within(path))
    }

    /// The position of the element that holds the entry point. It is only looked for where the children can differ.
    fn entered(
        &self,
        elements: &[ProgramElement],
        path: &HierarchyPath,
        relation: EntryRelation,
    ) -> Option<usize> {
        let holds_entry = |element: &ProgramElement| self.enters(&path.child(element.id()));
        match relation {
            EntryRelation::Contains => elements.iter().position(holds_entry),
            _ => None,
        }
    }

    fn relation(&self, child: &HierarchyPath, around: EntryRelation, is_behind: bool) -> EntryRelation {
        let (EntryRelation::Contains, Some(entry)) = (around, &self.entry) else {
            return around;
        };
        if !entry.path.is_within(child) {
            return match (entry.alone, is_behind) {
                (true, _) => EntryRelation::OutOfScope,
                (false, true) => EntryRelation::After,
                (false, false) => EntryRelation::Before,
            };
        }
        match (entry.path == *child, entry.alone) {
            (true, true) => EntryRelation::Alone,
            (true, false) => EntryRelation::After,
            (false, _) => EntryRelation::Contains,
        }
    }
}
