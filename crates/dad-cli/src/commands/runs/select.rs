//! The steps and components that a user names.

use std::collections::BTreeSet;

use dad_core::{HierarchyPath, PathSelector, SelectError};
use dad_run::{RunEntry, RunError, RunView, ViewEntry};

use crate::error::CommandError;
use crate::output::hint::Hint;

/// The step that a selector means, even if the run did not reach it.
pub(crate) fn step_of(selector: &PathSelector, view: &RunView) -> Result<HierarchyPath, SelectError> {
    let is_step = |entry: &ViewEntry| !matches!(entry, ViewEntry::Component { .. });
    let (steps, components): (Vec<_>, Vec<_>) = view.entries().partition(|(_, entry)| is_step(entry));
    let paths = |entries: Vec<(_, _)>| entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let (steps, components) = (paths(steps), paths(components));
    match selector.select(steps.iter().copied()) {
        Err(error @ SelectError::Unknown { .. }) => match selector.select(components) {
            Ok(component) => Err(SelectError::not_a_step(selector, component, steps)),
            Err(_) => unreached(selector, view).ok_or(error),
        },
        found => found.cloned(),
    }
}

/// The step or component of the definition that a selector means.
pub(crate) fn unreached(selector: &PathSelector, view: &RunView) -> Option<HierarchyPath> {
    let definition = view.definition().ok()?;
    let selector = selector.without_iterations()?;
    let steps = definition.steps().map(|(path, _)| path);
    let around = |path: &HierarchyPath| std::iter::successors(Some(path.clone()), HierarchyPath::parent);
    let all: BTreeSet<HierarchyPath> = steps.flat_map(around).collect();
    selector.select(&all).ok().cloned()
}

/// The error for a step or component of the definition that the run did not reach.
pub(crate) fn not_reached(path: &HierarchyPath, run: &RunEntry) -> CommandError {
    let message = format!("`{path}` was not reached in `{}`", run.run_id);
    CommandError::usage("not_reached", message).with_hint(lists_steps(run))
}

fn lists_steps(run: &RunEntry) -> Hint {
    Hint::default()
        .command(["runs", "show", run.run_id.as_str()])
        .text(" lists all steps")
}

/// Parses the name of a step or component.
pub(crate) fn selector(text: &str) -> Result<PathSelector, CommandError> {
    Ok(text.parse().map_err(RunError::from)?)
}

/// The error for a selector that means no or several steps or components of a run.
pub(crate) fn not_found(error: &SelectError, run: &RunEntry) -> CommandError {
    let code = match error {
        SelectError::Ambiguous { .. } => "ambiguous_path",
        _ => "unknown_path",
    };
    CommandError::usage(code, error.to_string()).with_hint(lists_steps(run))
}

/// The component or step that a selector means.
pub(crate) fn select<'a>(
    path: &str,
    paths: impl Iterator<Item = &'a HierarchyPath>,
    run: &RunEntry,
) -> Result<&'a HierarchyPath, CommandError> {
    selector(path)?
        .select(paths)
        .map_err(|error| not_found(&error, run))
}
