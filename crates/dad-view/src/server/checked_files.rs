//! The files whose digests were checked: a part of a long file is given without reading all of it again.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use dad_core::{ArtifactRef, Digest, HierarchyPath};
use dad_fs::Dir;
use dad_run::{RunError, RunView};
use parking_lot::Mutex;

use super::error::ApiError;

/// The files that are remembered; beyond that all are forgotten.
const MOST: usize = 4096;

/// The files that were checked, with the length and time that they had.
#[derive(Default)]
pub(super) struct CheckedFiles(Mutex<HashMap<PathBuf, (Digest, u64, SystemTime)>>);

impl CheckedFiles {
    /// Opens a file of a step, and refuses it unless it is the one that was recorded. A link, a FIFO or a device is no such file.
    pub(super) fn open(
        &self,
        run: &RunView,
        path: &HierarchyPath,
        artifact: &ArtifactRef,
    ) -> Result<File, ApiError> {
        let dir = Dir::open(run.dir()).map_err(RunError::from)?;
        let name = path.to_relative_dir().join(&artifact.name);
        let place = dir.path().join(&name);
        let corrupt = |reason: &str| RunError::Corrupt {
            path: place.clone(),
            reason: reason.to_owned(),
        };
        let opened = dad_fs::optional(dir.open_file(&name)).map_err(RunError::from)?;
        let file = opened.ok_or_else(|| corrupt("it is missing"))?;
        let unreadable = |error: std::io::Error| RunError::unreadable(&place, error);
        let metadata = file.metadata().map_err(unreadable)?;
        let modified = metadata.modified().map_err(unreadable)?;
        if metadata.len() != artifact.len {
            let reason = format!("it has {} bytes, recorded were {}", metadata.len(), artifact.len);
            return Err(corrupt(&reason).into());
        }
        let state = (artifact.blake3, artifact.len, modified);
        if self.0.lock().get(&place) != Some(&state) {
            if run.measured(path, &artifact.name)?.blake3 != artifact.blake3 {
                return Err(corrupt("its digest differs").into());
            }
            let mut checked = self.0.lock();
            if checked.len() >= MOST {
                checked.clear();
            }
            checked.insert(place, state);
        }
        Ok(file)
    }
}
