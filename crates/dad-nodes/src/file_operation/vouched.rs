//! Which operations the previous run made: a change that stands in a file already is taken for made only where a record
//! says who made it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dad_core::HierarchyPath;
use dad_run::layout::STATE;
use dad_run::{RunHandle, RunView};
use serde::Deserialize;
use serde_json::Value;

use super::FileOperation;

/// `state.json` of a step of this type.
#[derive(Deserialize)]
struct Made {
    base_directory: PathBuf,
    operations: Vec<FileOperation>,
}

/// The operations that the previous run made in the same directory, by their positions. Without a path any step of that
/// run vouches.
pub(super) fn by_previous_run(
    run: &RunHandle,
    path: Option<&HierarchyPath>,
    base: &Path,
    operations: &[FileOperation],
) -> BTreeSet<usize> {
    let Some(parent) = run.parent() else {
        return BTreeSet::new();
    };
    let place = Place { run, parent, base };
    let made: Vec<FileOperation> = match path {
        Some(path) => place.made_by(path),
        None => parent
            .steps()
            .flat_map(|step| place.made_by(&step.path))
            .collect(),
    };
    let positions = operations.iter().enumerate();
    positions
        .filter(|(_, operation)| made.contains(operation))
        .map(|(index, _)| index)
        .collect()
}

/// The operations, by position, whose results say that they were made.
pub(super) fn succeeded<'a>(
    operations: &[FileOperation],
    mut results: impl Iterator<Item = &'a Value>,
) -> BTreeSet<usize> {
    let mut is_made = |operation: &FileOperation| {
        let count = operation.paths.as_ref().map_or(1, |paths| paths.len().max(1));
        let told: Vec<&Value> = results.by_ref().take(count).collect();
        let all = told.len() == count && told.iter().all(|result| result["success"] == true);
        all && operation.dry_run != Some(true)
    };
    let positions = operations.iter().enumerate();
    positions
        .filter(|(_, operation)| is_made(operation))
        .map(|(index, _)| index)
        .collect()
}

struct Place<'a> {
    run: &'a RunHandle,
    parent: &'a RunView,
    base: &'a Path,
}

impl Place<'_> {
    /// What a step of the previous run made. What cannot be read vouches for nothing.
    fn made_by(&self, path: &HierarchyPath) -> Vec<FileOperation> {
        let made = self.parent.step_file::<Made>(path, STATE);
        let Some(made) = made
            .ok()
            .flatten()
            .filter(|made| self.is_base(&made.base_directory))
        else {
            return Vec::new();
        };
        let result = self.parent.result(path).unwrap_or_default();
        let results = result["outcome"]["results"].as_array();
        let succeeded = succeeded(&made.operations, results.into_iter().flatten());
        let operations = made.operations.into_iter().enumerate();
        operations
            .filter(|(index, _)| succeeded.contains(index))
            .map(|(_, operation)| operation)
            .collect()
    }

    /// Whether operations were made in the directory of ours, also before the project was moved.
    fn is_base(&self, theirs: &Path) -> bool {
        let ours = self.run.scope().run_variables.get("project_root");
        let ours = ours.and_then(Value::as_str).unwrap_or_default();
        let in_project = self.base.strip_prefix(ours);
        theirs == self.base
            || self.parent.places().any(|place| {
                let theirs = theirs.strip_prefix(&place.project_root);
                matches!((theirs, &in_project), (Ok(theirs), Ok(ours)) if theirs == *ours)
            })
    }
}
