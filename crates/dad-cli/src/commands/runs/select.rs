//! The steps and components that a user names.

use std::fmt::Display;

use dad_core::{HierarchyPath, PathSelector, SelectError};
use dad_run::{RunEntry, RunError, RunView};

use crate::error::CommandError;
use crate::output::hint::Hint;

/// The error for a step or component of the definition that the run did not reach.
pub(crate) fn not_reached(path: &(impl Display + ?Sized), run: &RunEntry) -> CommandError {
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
    text.parse().map_err(|error| {
        CommandError::from(RunError::from(error))
            .with_hint("write the ids with dots between them, such as `main_flow.step`, or the last of them")
    })
}

/// The error for a selector that means no or several steps or components of a run.
pub(crate) fn not_found(error: &SelectError, run: &RunEntry) -> CommandError {
    let code = match error {
        SelectError::Ambiguous { .. } => "ambiguous_path",
        _ => "unknown_path",
    };
    CommandError::usage(code, error.to_string()).with_hint(lists_steps(run))
}

/// The error for a selector that means nothing in a run, or several things: what its definition has, it did not reach.
pub(crate) fn missing(
    view: &RunView,
    selector: &PathSelector,
    error: &SelectError,
    run: &RunEntry,
) -> CommandError {
    match view.select_in_definition(selector) {
        // The definition knows no iterations.
        Some(_) if selector.as_str().contains("iter_") => not_reached(selector, run),
        Some(path) if matches!(error, SelectError::Unknown { .. }) => not_reached(&path, run),
        _ => not_found(error, run),
    }
}

/// The error for a run of the original system, which recorded less than a command shows.
pub(crate) fn original(run: &RunEntry, lacks: &str) -> CommandError {
    let message = format!(
        "`{}` is of the original system, which recorded no {lacks}",
        run.run_id
    );
    let hint = Hint::default().command(["runs", "show", run.run_id.as_str()]);
    CommandError::usage("not_recorded", message).with_hint(hint.text(" shows its steps"))
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
