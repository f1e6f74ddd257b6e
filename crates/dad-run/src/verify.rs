//! Whether the files of a run are those that its journal names.

use std::path::PathBuf;

use dad_fs::FsError;
use serde::Serialize;

use crate::error::RunError;
use crate::layout::{DOT_RUN, VALUES};
use crate::step::digest_file;
use crate::view::RunView;

/// What looking at every file of a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Steps that are committed.
    pub steps: u64,
    /// Files that the journal names.
    pub files: u64,
    /// Their length in bytes, as the journal names it.
    pub bytes: u64,
    /// What is not as it should be.
    pub damage: Vec<Damage>,
}

/// A file that is not the one the journal names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl RunView {
    /// Reads every file that the journal names and compares it with its length and digest there.
    ///
    /// # Errors
    /// If a list of files that was kept apart cannot be read. What is wrong with the files themselves is no error.
    pub fn verify(&self) -> Result<Verification, RunError> {
        let mut found = Verification::default();
        for step in self.steps() {
            found.steps += 1;
            for artifact in self.artifacts(step)? {
                found.files += 1;
                found.bytes += artifact.len;
                let file = step.path.to_relative_dir().join(&artifact.name);
                let is = digest_file(self.handle(), &file.to_string_lossy(), artifact.name.clone());
                found.note(self.dir().join(file), is.map(|is| is == artifact));
            }
        }
        self.verify_values(&mut found)?;
        Ok(found)
    }

    /// Large fields stand under the digest of their file.
    fn verify_values(&self, found: &mut Verification) -> Result<(), RunError> {
        let Some(values) = self.handle().open_dir(DOT_RUN)?.open_dir_optional(VALUES)? else {
            return Ok(());
        };
        for entry in values.entries()? {
            let is = digest_file(&values, &entry.name, entry.name.clone());
            found.files += 1;
            found.bytes += is.as_ref().map_or(0, |is| is.len);
            let fits = is.map(|is| entry.name == format!("{}.json", is.blake3));
            found.note(values.path().join(&entry.name), fits);
        }
        Ok(())
    }
}

impl Verification {
    fn note(&mut self, path: PathBuf, fits: Result<bool, FsError>) {
        let reason = match fits {
            Ok(true) => return,
            Ok(false) => "it is not the file that was recorded".to_owned(),
            Err(error) if error.is_not_found() => "it is missing".to_owned(),
            Err(error) => error.source.to_string(),
        };
        self.damage.push(Damage { path, reason });
    }
}
