//! Which operations the previous run made: a change that stands in a file already is taken for made only where a record
//! says who made it, and what it left still stands.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use dad_core::{Digest, HierarchyPath};
use dad_run::layout::STATE;
use dad_run::{RunHandle, RunView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::FileOperation;
use super::tree::Tree;

/// `state.json` of a step of this type.
#[derive(Deserialize)]
struct Made {
    base_directory: PathBuf,
    operations: Vec<FileOperation>,
}

/// What operations of the previous run left at the places that they name, by the digest of the operation.
#[derive(Debug, Default)]
pub(super) struct Vouched(HashMap<Digest, Value>);

impl Vouched {
    /// What the previous run made in the same directory. Without a path any step of that run vouches.
    pub(super) fn by_previous_run(run: &RunHandle, path: Option<&HierarchyPath>, base: &Path) -> Self {
        let Some(parent) = run.parent() else {
            return Self::default();
        };
        let place = Place { run, parent, base };
        Self(match path {
            Some(path) => place.made_by(path).into_iter().collect(),
            None => parent
                .steps()
                .flat_map(|step| place.made_by(&step.path))
                .collect(),
        })
    }

    /// The operations, by position, that were made and whose results stand.
    pub(super) fn standing(&self, operations: &[FileOperation], tree: &mut Tree<'_>) -> BTreeSet<usize> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let mut stands = |operation: &FileOperation| {
            let left = self.0.get(&digest(operation));
            left.is_some_and(|left| tree.left_by(operation).is_ok_and(|now| now == *left))
        };
        let positions = operations.iter().enumerate();
        positions
            .filter(|(_, operation)| stands(operation))
            .map(|(index, _)| index)
            .collect()
    }
}

fn digest(operation: &FileOperation) -> Digest {
    Digest::of_json(&json!(operation))
}

/// The results of each operation, of several paths several.
fn results_of<'a>(
    operations: &'a [FileOperation],
    results: &'a [Value],
) -> impl Iterator<Item = (&'a FileOperation, &'a [Value])> {
    let mut rest = results;
    operations.iter().map_while(move |operation| {
        let count = operation.paths.as_ref().map_or(1, |paths| paths.len().max(1));
        let (mine, others) = rest.split_at_checked(count)?;
        rest = others;
        Some((operation, mine))
    })
}

/// The operations, by position, all of whose results are `made`.
pub(super) fn made(operations: &[FileOperation], made: &[bool]) -> BTreeSet<usize> {
    let results: Vec<Value> = made.iter().map(|made| json!(made)).collect();
    let is_made = |results: &[Value]| results.iter().all(|made| *made == true);
    results_of(operations, &results)
        .enumerate()
        .filter(|(_, (operation, results))| operation.dry_run != Some(true) && is_made(results))
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
    fn made_by(&self, path: &HierarchyPath) -> Vec<(Digest, Value)> {
        let made = self.parent.step_file::<Made>(path, STATE);
        let Some(made) = made
            .ok()
            .flatten()
            .filter(|made| self.is_base(&made.base_directory))
        else {
            return Vec::new();
        };
        let result = self.parent.result(path).unwrap_or_default();
        let results = result["outcome"]["results"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        results_of(&made.operations, &results)
            .filter_map(|(operation, results)| Some((digest(operation), left_by(results)?)))
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

/// What results say that their operation left at the places that it names, if it was made.
fn left_by(results: &[Value]) -> Option<Value> {
    let mut left = serde_json::Map::new();
    for result in results {
        if result["success"] != true {
            return None;
        }
        left.extend(result["left"].as_object()?.clone());
    }
    Some(left.into())
}
