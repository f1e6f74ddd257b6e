//! Verification: comparing the files of a run with the digests in its journal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dad_core::ArtifactRef;
use dad_fs::FsError;
use serde::Serialize;

use crate::error::RunError;
use crate::files::in_dot_run;
use crate::layout::{DEFINITION, DEFINITIONS, VALUES};
use crate::store::definition_file::read_definition_file;
use crate::store::view::RunView;

/// No file whose length stands nowhere is longer, in bytes: readers refuse more.
const LONGEST_UNNAMED: u64 = 1 << 30;

/// The result of verifying every file of a run.
///
/// ```no_run
/// use dad_run::RunView;
///
/// let found = RunView::open("runs/run_20260102_030405_0a1b2c")?.verify()?;
/// for damage in &found.damage {
///     println!("{}: {}", damage.path.display(), damage.reason);
/// }
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Steps that are committed.
    pub steps: u64,
    /// Files that the journal names.
    pub files: u64,
    /// Their length in bytes, as the journal names it.
    pub bytes: u64,
    /// The damage that was found.
    pub damage: Vec<Damage>,
}

/// A file that is not the one the journal names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The problem with it.
    pub reason: String,
}

impl RunView {
    /// Reads every file that the journal names, and the definition, and compares each with its length and digest there.
    ///
    /// # Errors
    /// If the journal cannot be read. What is wrong with the files themselves is no error.
    pub fn verify(&self) -> Result<Verification, RunError> {
        let mut found = Verification::default();
        for step in self.steps() {
            found.steps += 1;
            // A list of very many files that cannot be read is reported with the other values.
            for artifact in self.artifacts(step).unwrap_or_default() {
                found.files += 1;
                found.bytes += artifact.len;
                let file = step.path.to_relative_dir().join(&artifact.name);
                let fits = self.digest_of(&file, |len| len == artifact.len);
                found.note(
                    self.dir().join(file),
                    fits.map(|is| is.is_some_and(|is| is.blake3 == artifact.blake3)),
                );
            }
        }
        if !self.is_original() {
            self.verify_values(&mut found)?;
            self.verify_definitions(&mut found)?;
            self.verify_named(&mut found)?;
        }
        Ok(found)
    }

    /// Large fields stand under the digest of their file. Those that a crash left without a record are looked at too.
    fn verify_values(&self, found: &mut Verification) -> Result<(), RunError> {
        let mut named = BTreeMap::new();
        self.each_record(|record| {
            named.extend(
                record
                    .body
                    .stored()
                    .map(|stored| (stored.file_name(), Some(stored.len))),
            );
            let text = record.body.stored_text();
            named.extend(text.map(|stored| (stored.text_file_name(), Some(stored.len))));
        })?;
        let values = self.files().list_optional(&in_dot_run(VALUES))?;
        for entry in values {
            named.entry(entry.name).or_insert(None);
        }
        for (name, len) in named {
            let file = in_dot_run(VALUES).join(&name);
            let is = self.digest_of(&file, |is| len.map_or(is <= LONGEST_UNNAMED, |len| is == len));
            found.files += 1;
            found.bytes += len.unwrap_or(0);
            let fits = is.map(|is| {
                is.is_some_and(|is| {
                    ["json", "txt"]
                        .map(|end| format!("{}.{end}", is.blake3))
                        .contains(&name)
                })
            });
            found.note(self.dir().join(file), fits);
        }
        Ok(())
    }

    /// The digest of a file, `None` if its length cannot be right: then it is not read.
    fn digest_of(&self, file: &Path, fits: impl Fn(u64) -> bool) -> Result<Option<ArtifactRef>, FsError> {
        match self.files().len(file)? {
            Some(len) if !fits(len) => Ok(None),
            _ => self.files().digest(file, String::new()).map(Some),
        }
    }

    /// The definitions that the run executed stand under their digests; the first has a copy for people.
    fn verify_definitions(&self, found: &mut Verification) -> Result<(), RunError> {
        let mut named = vec![(in_dot_run(DEFINITION), self.first_definition_digest())];
        let definitions = in_dot_run(DEFINITIONS);
        let all = self.files().list_optional(&definitions)?;
        // Runs of the first format have none of them.
        if self.has_definitions() || !all.is_empty() {
            named.extend(all.into_iter().map(|entry| {
                let digest = entry
                    .name
                    .strip_suffix(".json")
                    .and_then(|digest| digest.parse().ok());
                (definitions.join(&entry.name), digest)
            }));
            // The one that is executed has to be there.
            let last = self
                .definition_digest()
                .map(|digest| definitions.join(format!("{digest}.json")));
            if let Some(last) = last.filter(|last| named.iter().all(|(name, _)| name != last)) {
                named.push((last, self.definition_digest()));
            }
        }
        for (name, digest) in named {
            let path = self.dir().join(&name);
            found.files += 1;
            found.bytes += self.files().len(&name)?.unwrap_or(0);
            match read_definition_file(self.files(), &name, digest) {
                Ok(_) => {}
                Err(RunError::Fs(error)) => found.note(path, Err(error)),
                Err(RunError::Corrupt { .. }) => found.note(path, Ok(false)),
                Err(error) => found.damage.push(Damage {
                    path,
                    reason: error.to_string(),
                }),
            }
        }
        Ok(())
    }

    /// Verifies the files that the journal names beside steps and values.
    fn verify_named(&self, found: &mut Verification) -> Result<(), RunError> {
        for (name, digest) in self.named_files().into_iter().chain(self.asked_files()) {
            let is = self.digest_of(&name, |len| len <= LONGEST_UNNAMED);
            found.files += 1;
            found.bytes += is.as_ref().map_or(0, |is| is.as_ref().map_or(0, |is| is.len));
            let fits = is.map(|is| is.is_some_and(|is| is.blake3 == digest));
            found.note(self.dir().join(name), fits);
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
