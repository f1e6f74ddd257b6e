//! The steps and components of a run that a user names.

use std::collections::BTreeSet;

use dad_core::{HierarchyPath, PathSelector, Segment, SelectError};

use crate::journal::state::ViewEntry;
use crate::store::view::RunView;

impl RunView {
    /// The step that a selector means, even if the run did not reach it.
    ///
    /// # Errors
    /// If it means no step, or several.
    pub fn select_step(&self, selector: &PathSelector) -> Result<HierarchyPath, SelectError> {
        let is_step = |entry: &ViewEntry| !matches!(entry, ViewEntry::Component { .. });
        let (steps, components): (Vec<_>, Vec<_>) =
            self.entries.iter().partition(|(_, entry)| is_step(entry));
        let paths = |entries: Vec<(_, _)>| entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let (steps, components) = (paths(steps), paths(components));
        match selector.select(steps.iter().copied()) {
            Err(error @ SelectError::Unknown { .. }) => match selector.select(components) {
                Ok(component) => Err(SelectError::not_a_step(selector, component, steps)),
                Err(_) => self.select_in_definition(selector).ok_or(error),
            },
            found => found.cloned(),
        }
    }

    /// The step, component or iteration that a selector means.
    ///
    /// # Errors
    /// If it means nothing that the run has come to, or several.
    pub fn select_part(&self, selector: &PathSelector) -> Result<HierarchyPath, SelectError> {
        let leaf = selector.segments().next_back().unwrap_or_default();
        // No record is about an iteration itself.
        let iterations: BTreeSet<HierarchyPath> = match Segment::of(leaf) {
            Segment::Iteration(_) => {
                let around = self.entries.keys().filter_map(|path| {
                    let mut around = std::iter::successors(path.parent(), HierarchyPath::parent);
                    around.find(|path| path.leaf() == leaf)
                });
                around.collect()
            }
            _ => BTreeSet::new(),
        };
        selector.select(self.entries.keys().chain(&iterations)).cloned()
    }

    /// The step or component of the recorded definition that a selector means, whether the run reached it or not.
    #[must_use]
    pub fn select_in_definition(&self, selector: &PathSelector) -> Option<HierarchyPath> {
        let definition = self.definition().ok()?;
        let selector = selector.without_iterations()?;
        let steps = definition.steps.keys();
        let around = |path: &HierarchyPath| std::iter::successors(Some(path.clone()), HierarchyPath::parent);
        let all: BTreeSet<HierarchyPath> = steps.flat_map(around).collect();
        selector.select(&all).ok().cloned()
    }
}
