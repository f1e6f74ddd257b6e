//! Selectors: abbreviated names of places in a run.

use dad_core::{HierarchyPath, PathSelector, Segment, SelectError};

use crate::program::Program;

/// The target of a selector: a place in the definition and the iterations of the loops around it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// The place in the definition; without iterations.
    pub path: HierarchyPath,
    /// Its path in the run, from the root down.
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// An id or branch.
    Name(String),
    /// An iteration; of `None` any.
    Iteration(Option<u64>),
}

impl Program {
    /// Finds what a selector names. Left-out iterations and branches match any.
    ///
    /// # Errors
    /// [`SelectError`] if it names nothing, or several places of the definition.
    pub fn select(&self, selector: &PathSelector) -> Result<Selected, SelectError> {
        self.select_among(selector, &self.paths())
    }

    /// Finds the step that a selector names.
    ///
    /// # Errors
    /// As [`Program::select`], and [`SelectError::NotAStep`] for a component.
    pub fn select_step(&self, selector: &PathSelector) -> Result<Selected, SelectError> {
        let steps: Vec<HierarchyPath> = self.steps().map(|step| step.path.clone()).collect();
        let found = self.select_among(selector, &steps);
        match (&found, self.select(selector)) {
            (Err(SelectError::Unknown { .. }), Ok(component)) => {
                Err(SelectError::not_a_step(selector, &component.path, &steps))
            }
            _ => found,
        }
    }

    fn select_among(
        &self,
        selector: &PathSelector,
        paths: &[HierarchyPath],
    ) -> Result<Selected, SelectError> {
        // No path of a definition has iterations, so this names nothing, and says what there is.
        let unknown = || {
            let none = SelectError::Unknown {
                selector: selector.to_string(),
                nearest: None,
                known: Vec::new(),
                more: 0,
            };
            selector.select(paths).err().unwrap_or(none)
        };
        let names: Vec<&str> = selector.segments().filter(|name| !is_iteration(name)).collect();
        let without = names.join(".").parse::<PathSelector>().map_err(|_| unknown())?;
        let path = without.select(paths)?.clone();
        let trailing = selector.segments().next_back().is_some_and(is_iteration);
        let mut selected = Selected {
            slots: self.slots(&path, trailing),
            path,
        };
        if selected.align(selector) {
            Ok(selected)
        } else {
            Err(unknown())
        }
    }

    fn slots(&self, path: &HierarchyPath, trailing: bool) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut around = Some(path.clone());
        while let Some(at) = around {
            let is_loop = self
                .component(&at)
                .is_some_and(|component| component.kind.is_loop());
            // An iteration of the place itself only if the selector says one.
            if is_loop && !is_branch(at.leaf()) && (trailing || at != *path) {
                slots.push(Slot::Iteration(None));
            }
            slots.push(Slot::Name(at.leaf().to_owned()));
            around = at.parent();
        }
        slots.reverse();
        slots
    }
}

fn is_iteration(segment: &str) -> bool {
    matches!(Segment::of(segment), Segment::Iteration(_))
}

fn is_branch(segment: &str) -> bool {
    matches!(Segment::of(segment), Segment::Branch(_))
}

impl Selected {
    /// Takes over the iterations of a selector. `false` if one of them stands behind no loop.
    fn align(&mut self, selector: &PathSelector) -> bool {
        let mut wanted = selector.segments().rev().peekable();
        for slot in self.slots.iter_mut().rev() {
            let Some(want) = wanted.peek() else {
                return true;
            };
            match (slot, Segment::of(want)) {
                (Slot::Iteration(slot), Segment::Iteration(index)) => *slot = Some(index),
                (Slot::Name(name), _) if name == want => {}
                (Slot::Iteration(_), _) => continue,
                (Slot::Name(name), _) if is_branch(name) => continue,
                _ => return false,
            }
            wanted.next();
        }
        wanted.peek().is_none()
    }

    /// Whether iterations are said.
    #[must_use]
    pub fn has_iterations(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot, Slot::Iteration(Some(_))))
    }

    /// Whether it names a place in the run.
    #[must_use]
    pub fn matches(&self, path: &HierarchyPath) -> bool {
        let mut segments = path.segments();
        let all = self.slots.iter().all(|slot| match (slot, segments.next()) {
            (Slot::Name(name), Some(segment)) => name == segment,
            (Slot::Iteration(None), Some(segment)) => is_iteration(segment),
            (Slot::Iteration(Some(index)), Some(segment)) => {
                Segment::of(segment) == Segment::Iteration(*index)
            }
            (_, None) => false,
        });
        all && segments.next().is_none()
    }

    /// Whether it names a place in the run, or one around it.
    #[must_use]
    pub fn covers(&self, path: &HierarchyPath) -> bool {
        let mut around = Some(path.clone());
        while let Some(at) = around {
            if self.matches(&at) {
                return true;
            }
            around = at.parent();
        }
        false
    }

    /// The first place in the run that it names, in document order.
    #[must_use]
    pub fn first(&self) -> HierarchyPath {
        self.instance(|_, index| index.unwrap_or(0))
    }

    /// The place in the run that it names for a step or component at `asker`: in the iterations that both share.
    #[must_use]
    pub fn near(&self, asker: &HierarchyPath) -> HierarchyPath {
        let asker: Vec<&str> = asker.segments().collect();
        self.instance(
            |at, index| match (index, asker.get(at).map(|segment| Segment::of(segment))) {
                (Some(index), _) => index,
                (None, Some(Segment::Iteration(index))) => index,
                _ => 0,
            },
        )
    }

    fn instance(&self, iteration: impl Fn(usize, Option<u64>) -> u64) -> HierarchyPath {
        let segments: Vec<String> = self
            .slots
            .iter()
            .enumerate()
            .map(|(at, slot)| match slot {
                Slot::Name(name) => name.clone(),
                Slot::Iteration(index) => format!("iter_{}", iteration(at, *index)),
            })
            .collect();
        // Made of the segments of a path, so it is one.
        segments.join(".").parse().unwrap_or_else(|_| self.path.clone())
    }
}

/// The selector in full: with the iterations that are said, without the others.
impl std::fmt::Display for Selected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.slots.iter().filter_map(|slot| match slot {
            Slot::Name(name) => Some(name.clone()),
            Slot::Iteration(index) => index.map(|index| format!("iter_{index}")),
        });
        f.write_str(&shown.collect::<Vec<_>>().join("."))
    }
}
