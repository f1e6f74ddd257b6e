//! Places where runs were driven. Their paths stand in results.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A place where a run was driven: the paths that its steps may have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunPlace {
    /// The run.
    pub run_id: String,
    /// Its directory.
    pub run_dir: PathBuf,
    /// The run root.
    pub run_root: PathBuf,
    /// The project.
    pub project_root: PathBuf,
}

/// Each place once. Of a run whose roots are not known there, those are taken from where it was driven before.
pub(crate) fn distinct_places(places: impl IntoIterator<Item = RunPlace>) -> Vec<RunPlace> {
    let mut found: Vec<RunPlace> = Vec::new();
    for mut place in places {
        if place.run_root.as_os_str().is_empty() {
            let of_run = |other: &&RunPlace| other.run_id == place.run_id;
            let same_dir = found
                .iter()
                .find(|other| of_run(other) && other.run_dir == place.run_dir);
            if let Some(known) = same_dir.or_else(|| found.iter().rfind(of_run)) {
                place.run_root.clone_from(&known.run_root);
                place.project_root.clone_from(&known.project_root);
            }
        }
        if !found.contains(&place) {
            found.push(place);
        }
    }
    found
}
