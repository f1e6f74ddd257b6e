//! The tree of a run as lines. Of a loop with many iterations only the first, the last and those that did not complete are shown.

use std::collections::{HashMap, HashSet};

use dad_core::{HierarchyPath, Segment, StepStatus};
use dad_run::{RunView, ViewEntry};
use dad_terminal::{DIM, internal::count, internal::path_indent};

use crate::output::fold::fold;

/// The most iterations of a loop of which all are shown.
const FEW: usize = 12;
/// The iterations shown at either end of a longer loop.
const AT_ENDS: usize = 3;
/// The iterations shown between the ends because they did not complete.
const NOT_COMPLETED: usize = 10;

/// A line of the tree.
pub(crate) enum Line<'a> {
    /// A component or step.
    Entry(&'a HierarchyPath, &'a ViewEntry),
    /// Iterations that are left out.
    Gap(Gap),
}

/// Iterations of a loop that are left out.
pub(crate) struct Gap {
    indent: String,
    iterations: u64,
    not_completed: u64,
}

impl Gap {
    /// The line of the gap, on a screen of a width.
    pub(crate) fn line(&self, width: Option<usize>) -> String {
        let iterations = count(self.iterations, "more iteration");
        let how = match self.not_completed {
            0 => "all completed".to_owned(),
            not => format!("{not} of them not completed"),
        };
        let text = format!("… {iterations}, {how}; `--all` shows them");
        let column = self.indent.len() + 2;
        let text = fold(&text, column, column + 2, width);
        format!("  {}{DIM}{text}{DIM:#}", self.indent)
    }
}

/// A component or step with its path.
type Entry<'v> = (&'v HierarchyPath, &'v ViewEntry);

/// Components and steps as a tree: what ran at the same time stands together, iterations by their number.
pub(crate) fn lines(view: &RunView, all: bool) -> Vec<Line<'_>> {
    let mut children: HashMap<Option<&HierarchyPath>, Vec<usize>> = HashMap::new();
    let entries: Vec<Entry<'_>> = view.entries().collect();
    let known: HashSet<&HierarchyPath> = entries.iter().map(|(path, _)| *path).collect();
    for (index, (path, _)) in entries.iter().enumerate() {
        let mut around = path.parent();
        while let Some(parent) = around.take_if(|parent| !known.contains(parent)) {
            around = parent.parent();
        }
        let parent = around.and_then(|parent| known.get(&parent).copied());
        children.entry(parent).or_default().push(index);
    }
    let mut lines = Vec::new();
    let mut stack = vec![Part::Entry(None)];
    while let Some(part) = stack.pop() {
        let at = match part {
            Part::Entry(at) => at,
            Part::Gap(gap) => {
                lines.push(Line::Gap(gap));
                continue;
            }
        };
        let entry = at.and_then(|index| entries.get(index).copied());
        lines.extend(entry.map(|(path, entry)| Line::Entry(path, entry)));
        if let Some(mut inside) = children.remove(&entry.map(|(path, _)| path)) {
            inside.sort_by_cached_key(|index| iteration(&entries, *index));
            stack.extend(parts(&entries, &inside, all).into_iter().rev());
        }
    }
    lines
}

enum Part {
    Entry(Option<usize>),
    Gap(Gap),
}

/// The iteration that an entry stands in directly.
fn iteration(all_entries: &[Entry<'_>], index: usize) -> Option<u64> {
    let (path, _) = all_entries.get(index)?;
    match path.typed_segments().rev().nth(1)? {
        Segment::Iteration(iteration) => Some(iteration),
        _ => None,
    }
}

/// The children of a component, sorted by iteration, without those that are left out.
fn parts(all_entries: &[Entry<'_>], inside: &[usize], all: bool) -> Vec<Part> {
    let iterations: Vec<&[usize]> = inside
        .chunk_by(|a, b| matches!((iteration(all_entries, *a), iteration(all_entries, *b)), (Some(a), Some(b)) if a == b))
        .collect();
    let entries = |indexes: &[usize]| -> Vec<Part> {
        let entries = indexes.iter().map(|index| Part::Entry(Some(*index)));
        entries.collect()
    };
    let is_loop = inside
        .first()
        .is_some_and(|index| iteration(all_entries, *index).is_some());
    if all || !is_loop || iterations.len() <= FEW {
        return entries(inside);
    }
    let is_completed = |indexes: &[usize]| {
        let mut entries = indexes.iter().filter_map(|index| all_entries.get(*index));
        entries.all(|(_, entry)| matches!(entry.status(), StepStatus::Completed | StepStatus::Skipped))
    };
    let indent = inside
        .first()
        .and_then(|index| all_entries.get(*index))
        .map(|(path, _)| path_indent(path))
        .unwrap_or_default();
    let no_gap = || Gap {
        indent: indent.clone(),
        iterations: 0,
        not_completed: 0,
    };
    let (mut parts, mut gap, mut odd) = (Vec::new(), no_gap(), 0);
    for (number, indexes) in iterations.iter().enumerate() {
        let is_odd = !is_completed(indexes);
        odd += usize::from(is_odd);
        let at_ends = number < AT_ENDS || number + AT_ENDS >= iterations.len();
        if at_ends || (is_odd && odd <= NOT_COMPLETED) {
            if gap.iterations > 0 {
                parts.push(Part::Gap(std::mem::replace(&mut gap, no_gap())));
            }
            parts.extend(entries(indexes));
        } else {
            gap.iterations += 1;
            gap.not_completed += u64::from(is_odd);
        }
    }
    parts
}
