//! Which operations the previous run made: a change that stands in a file already is taken for made only where a record
//! says who made it, and what it left still stands.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use dad_core::{Digest, HierarchyPath};
use dad_run::layout::STATE;
use dad_run::{RunHandle, RunView};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::FileOperation;
use super::tree::Tree;

/// `state.json` of a step of this type.
#[derive(Deserialize)]
struct Made {
    base_directory: PathBuf,
    operations: Vec<FileOperation>,
}

/// The changes by steps of the previous run in the same directory.
#[derive(Debug, Default)]
pub(super) struct Vouched(Vec<Record>);

/// The changes by one step: its operations in their order, each with the states, once all are made, of the places that it
/// names.
#[derive(Debug)]
struct Record(Vec<(Digest, Map<String, Value>)>);

impl Vouched {
    /// The changes by the previous run in the same directory. Without a path any step of that run vouches.
    pub(super) fn by_previous_run(run: &RunHandle, path: Option<&HierarchyPath>, base: &Path) -> Self {
        let Some(parent) = run.parent() else {
            return Self::default();
        };
        let place = Place { run, parent, base };
        let records = match path {
            Some(path) => vec![place.made_by(path)],
            None => parent.steps().map(|step| place.made_by(&step.path)).collect(),
        };
        Self(
            records
                .into_iter()
                .filter(|record| !record.0.is_empty())
                .collect(),
        )
    }

    /// The operations, by position, that were made and whose results stand.
    pub(super) fn standing(&self, operations: &[FileOperation], tree: &mut Tree<'_>) -> BTreeSet<usize> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let digests: Vec<Digest> = operations.iter().map(digest).collect();
        let records = self.0.iter();
        let left: HashMap<Digest, &Map<String, Value>> =
            records.flat_map(|record| record.vouching(&digests)).collect();
        let mut stands = |operation: &FileOperation, digest: &Digest| {
            let left = left.get(digest);
            left.is_some_and(|left| {
                tree.left_by(operation)
                    .is_ok_and(|now| now.as_object() == Some(*left))
            })
        };
        let positions = operations.iter().zip(&digests).enumerate();
        positions
            .filter(|(_, (operation, digest))| stands(operation, digest))
            .map(|(index, _)| index)
            .collect()
    }
}

impl Record {
    /// The records of operations that are also wanted now. Operations that name the same places come to one result, so
    /// that all of them must be wanted, in their order.
    fn vouching<'a>(&'a self, wanted: &[Digest]) -> impl Iterator<Item = (Digest, &'a Map<String, Value>)> {
        let mut positions: HashMap<&Digest, usize> = HashMap::new();
        for (position, digest) in wanted.iter().enumerate() {
            positions.entry(digest).or_insert(position);
        }
        let groups = self.groups();
        let mut last: HashMap<usize, usize> = HashMap::new();
        let mut broken: BTreeSet<usize> = BTreeSet::new();
        for ((digest, _), group) in self.0.iter().zip(&groups) {
            let is_next = match positions.get(digest) {
                Some(position) => last.insert(*group, *position).is_none_or(|last| last < *position),
                None => false,
            };
            if !is_next {
                broken.insert(*group);
            }
        }
        let whole = self
            .0
            .iter()
            .zip(groups)
            .filter(move |(_, group)| !broken.contains(group));
        whole.map(|((digest, left), _)| (*digest, left))
    }

    /// For each operation the number of its group: those that share a place, also by way of others.
    fn groups(&self) -> Vec<usize> {
        let mut parents: Vec<usize> = (0..self.0.len()).collect();
        let root = |parents: &[usize], at: usize| {
            let up = |at: &usize| (parents[*at] != *at).then(|| parents[*at]);
            std::iter::successors(Some(at), up).last().unwrap_or(at)
        };
        let mut by_place: HashMap<&str, usize> = HashMap::new();
        for (index, (_, left)) in self.0.iter().enumerate() {
            for place in left.keys() {
                let other = *by_place.entry(place).or_insert(index);
                let (a, b) = (root(&parents, index), root(&parents, other));
                parents[a.max(b)] = a.min(b);
            }
        }
        (0..parents.len()).map(|at| root(&parents, at)).collect()
    }
}

fn digest(operation: &FileOperation) -> Digest {
    Digest::of_json(&json!(operation))
}

/// The facts about the results of each operation, of several paths several.
fn results_of<'a, T>(
    operations: &'a [FileOperation],
    results: &'a [T],
) -> impl Iterator<Item = (&'a FileOperation, &'a [T])> {
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
    let is_made = |made: &[bool]| made.iter().all(|made| *made);
    results_of(operations, made)
        .enumerate()
        .filter(|(_, (operation, made))| operation.dry_run != Some(true) && is_made(made))
        .map(|(index, _)| index)
        .collect()
}

struct Place<'a> {
    run: &'a RunHandle,
    parent: &'a RunView,
    base: &'a Path,
}

impl Place<'_> {
    /// The changes by a step of the previous run. A step that cannot be read, or failed, vouches for nothing.
    fn made_by(&self, path: &HierarchyPath) -> Record {
        let made = self.parent.step_file::<Made>(path, STATE);
        let Some(made) = made
            .ok()
            .flatten()
            .filter(|made| self.is_base(&made.base_directory))
        else {
            return Record(Vec::new());
        };
        let result = self.parent.result(path).unwrap_or_default();
        let results = result["outcome"]["results"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let made = results_of(&made.operations, &results);
        Record(
            made.filter_map(|(operation, results)| Some((digest(operation), left_by(results)?)))
                .collect(),
        )
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

/// The states that an operation left at the places that it names, by its results, if it was made.
fn left_by(results: &[Value]) -> Option<Map<String, Value>> {
    let mut left = Map::new();
    for result in results {
        if result["success"] != true {
            return None;
        }
        left.extend(result["left"].as_object()?.clone());
    }
    Some(left)
}
