//! The decisions of control flow that a run recorded: branches and loops.

use dad_core::{Clean, HierarchyPath};

use crate::error::RunError;
use crate::journal::loops::{Items, LoopItems, LoopStart};
use crate::journal::step_committed::StepCommitted;
use crate::journal::values::load_value;
use crate::rerun::planner::Recorded;
use crate::store::view::RunView;

impl RunView {
    /// Which branch a conditional took.
    #[must_use]
    pub fn branch(&self, path: &HierarchyPath) -> Option<bool> {
        self.state.entries.branches.get(path).copied()
    }

    /// The items of a loop.
    ///
    /// # Errors
    /// If the items were kept apart and cannot be read.
    pub fn loop_start(&self, path: &HierarchyPath) -> Result<Option<LoopStart>, RunError> {
        let Some((items, count, start_index)) = self.state.entries.loops.get(path) else {
            return Ok(None);
        };
        let items = match items {
            LoopItems::Range(bounds) => Items::Range(*bounds),
            LoopItems::List(stored) => Items::List(Clean::from_store(load_value(self.files(), stored)?)),
        };
        Ok(Some(LoopStart {
            items,
            count: *count,
            start_index: *start_index,
        }))
    }

    /// Whether a loop ended after an iteration, if that was decided.
    #[must_use]
    pub fn loop_decided(&self, path: &HierarchyPath, iteration: u64) -> Option<bool> {
        let (last, stop) = *self.state.entries.ends.get(path)?;
        match iteration.cmp(&last) {
            std::cmp::Ordering::Less => Some(false),
            std::cmp::Ordering::Equal => Some(stop),
            std::cmp::Ordering::Greater => None,
        }
    }
}

impl Recorded for RunView {
    fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted> {
        self.step(path)
    }

    fn branch(&self, path: &HierarchyPath) -> Option<bool> {
        self.branch(path)
    }

    fn iterations(&self, path: &HierarchyPath) -> (Option<u64>, Option<(u64, bool)>) {
        let items = self.state.entries.loops.get(path).map(|(_, count, _)| *count);
        (items, self.state.entries.ends.get(path).copied())
    }
}
