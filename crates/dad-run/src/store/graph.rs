//! The flowchart of a run: its definition, with the status of each step.

use std::collections::HashMap;

use dad_core::{HierarchyPath, StepStatus};
use dad_definition::{GraphMark, mermaid};

use crate::error::RunError;
use crate::journal::state::ViewEntry;
use crate::store::view::RunView;

/// The steps or components of one place in the definition: one, or one for each iteration.
#[derive(Default)]
struct Place {
    number: u64,
    failed: u64,
    /// The status that says most.
    class: Option<&'static str>,
}

/// The classes, that which says most first.
const BY_WEIGHT: [&str; 6] = ["failed", "waiting", "running", "completed", "reused", "skipped"];

impl RunView {
    /// The flowchart of the definition that the run executes, with the status of each step, as a text for
    /// [Mermaid](https://mermaid.js.org).
    ///
    /// # Errors
    /// If its definition cannot be read.
    pub fn mermaid(&self) -> Result<String, RunError> {
        let mut places: HashMap<HierarchyPath, Place> = HashMap::new();
        for (path, entry) in self.entries() {
            let place = places.entry(path.without_iterations()).or_default();
            place.number += 1;
            place.failed += u64::from(entry.status().is_failure());
            let weight = |class: &str| BY_WEIGHT.iter().position(|known| *known == class);
            let class = class_of(entry);
            if place.class.is_none_or(|known| weight(class) < weight(known)) {
                place.class = Some(class);
            }
        }
        let mark = |path: &HierarchyPath| {
            let place = places.get(path)?;
            let note = match (place.number, place.failed) {
                (1, _) => String::new(),
                (number, 0) => format!("{number} times"),
                (number, failed) => format!("{number} times, {failed} failed"),
            };
            Some(GraphMark::new(place.class?, note))
        };
        let root = HierarchyPath::root(&self.root_id);
        Ok(mermaid(&self.definition()?.definition, &root, mark))
    }
}

fn class_of(entry: &ViewEntry) -> &'static str {
    match entry {
        ViewEntry::Step(step) if step.is_taken() && step.status == StepStatus::Completed => "reused",
        entry => match entry.status() {
            StepStatus::Completed => "completed",
            StepStatus::Skipped => "skipped",
            StepStatus::Waiting => "waiting",
            status if status.is_failure() => "failed",
            _ => "running",
        },
    }
}
