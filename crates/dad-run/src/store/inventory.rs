//! An inventory of a run root for retention: runs with their sizes, and directories that no run owns.

use std::path::PathBuf;
use std::time::Duration;

use dad_core::{RunId, RunStatus, Timestamp};
use dad_fs::{Dir, EntryKind, FsError};

use crate::error::{RunError, SetupError};
use crate::layout::{CATALOG_LOCK, DOT_RUN, DOT_TRACE, STATIC_INPUTS, TRASH};
use crate::store::catalog::Catalog;
use crate::store::lease;
use crate::store::needs_parent::needs_parent;
use crate::store::run_entry::{RunEntry, Unreadable, died_before_its_first_record, read_entry};
use crate::store::view::RunView;
use derive_setters::Setters;

/// The age from which a directory without a first record counts as garbage: until then a process may be
/// making a run there.
pub(super) const ORPHAN_AGE: Duration = Duration::from_hours(1);

/// A run and what it takes on the disk.
#[derive(Clone, Debug, Setters)]
#[non_exhaustive]
pub struct StoredRun {
    /// The run.
    pub entry: RunEntry,
    /// Whether a process holds its lease. One that was just sealed may hold it still.
    pub held: bool,
    /// The length of all its files.
    pub bytes: u64,
    /// The run that it may still take results from: it is a re-run that did not complete.
    #[setters(into)]
    pub needs: Option<RunId>,
}

impl StoredRun {
    /// A run that takes so many bytes and that no process drives.
    #[must_use]
    pub fn new(entry: RunEntry, bytes: u64) -> Self {
        Self {
            entry,
            held: false,
            bytes,
            needs: None,
        }
    }
}

/// The content of a run root.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inventory {
    /// The runs, oldest first.
    pub runs: Vec<StoredRun>,
    /// Directories that no run owns.
    pub leftovers: Vec<Leftover>,
    /// Runs that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// Something that no run owns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Its path.
    pub path: PathBuf,
    /// When it was changed last; unknown for what is deleted in any case.
    pub changed_at: Option<Timestamp>,
    /// The length of its files.
    pub bytes: u64,
}

/// The run that another may still take results from.
pub(super) fn needed_by(entry: &RunEntry) -> Option<RunId> {
    let parent = entry.parent.clone()?;
    if entry.status == RunStatus::Completed {
        return None;
    }
    let look = || -> Result<bool, RunError> {
        let view = RunView::open(&entry.dir)?;
        Ok(view.plan()?.is_none_or(|plan| needs_parent(&plan, &view)))
    };
    // A run that cannot be read now may be readable when it is resumed.
    look().unwrap_or(true).then_some(parent)
}

impl Catalog {
    /// Everything in the run root that a prune looks at, with its size, for which every file is asked about.
    ///
    /// # Errors
    /// If a run root that exists cannot be listed.
    pub fn inventory(&self) -> Result<Inventory, RunError> {
        let mut found = Inventory::default();
        for (place, names) in self.candidates()? {
            for name in &names {
                if let Err(error) = look_at(&place, name, &mut found) {
                    found.unreadable.push(Unreadable {
                        dir: place.path().join(name),
                        reason: with_cause(&error),
                    });
                }
            }
            let Some(trash) = place.open_dir_optional(TRASH)? else {
                continue;
            };
            // What is in there is being deleted.
            if place.is_locked(CATALOG_LOCK)? {
                continue;
            }
            for entry in trash.entries()? {
                found.leftovers.push(Leftover {
                    path: trash.path().join(&entry.name),
                    changed_at: None,
                    bytes: size_of(&trash, &entry.name, entry.kind).unwrap_or(0),
                });
            }
        }
        found.runs.sort_by(|a, b| a.entry.order().cmp(&b.entry.order()));
        Ok(found)
    }
}

/// Looks at one directory of a run root.
fn look_at(place: &Dir, name: &str, found: &mut Inventory) -> Result<(), RunError> {
    match read_entry(place, name, None)? {
        Some(entry) => {
            let dir = place.open_dir(name)?;
            let dot_run = dir.open_dir_optional(DOT_RUN)?;
            found.runs.push(StoredRun {
                held: dot_run.as_ref().map_or(Ok(false), lease::is_held)?,
                bytes: dir.size()?,
                needs: needed_by(&entry),
                entry,
            });
        }
        None => match orphan(place, name)? {
            Some(orphan) => found.leftovers.push(orphan),
            None if died_before_its_first_record(place, name)? => {
                return Err(SetupError::NoJournal(place.path().join(name)).into());
            }
            None => {}
        },
    }
    Ok(())
}

/// A directory that was to become a run and never got its first record. What may be anything else, or may still become
/// a run, is none.
pub(super) fn orphan(place: &Dir, name: &str) -> Result<Option<Leftover>, RunError> {
    let Some(dir) = place.open_dir_optional(name)? else {
        return Ok(None);
    };
    let known = [DOT_RUN, DOT_TRACE, STATIC_INPUTS];
    let entries = dir.entries()?;
    if !entries.iter().all(|entry| known.contains(&entry.name.as_str())) {
        return Ok(None);
    }
    let dot_run = dir.open_dir_optional(DOT_RUN)?;
    let is_orphan = match &dot_run {
        Some(dot_run) => !lease::is_held(dot_run)?,
        None => entries.is_empty() && is_generated(name),
    };
    if !is_orphan {
        return Ok(None);
    }
    let changed = [place.modified(name)?, dir.modified(DOT_RUN)?];
    let changed = changed.into_iter().flatten().max();
    let changed_at = changed.and_then(|at| Timestamp::try_from(at).ok());
    Ok(Some(Leftover {
        path: dir.path().to_path_buf(),
        changed_at: Some(changed_at.unwrap_or(Timestamp::MAX)),
        bytes: dir.size()?,
    }))
}

/// Whether a name is one that [`RunId::generate`] gives.
fn is_generated(name: &str) -> bool {
    let mut parts = name.rsplit('_');
    let mut part = |len: usize, is: fn(&u8) -> bool| {
        let part = parts.next();
        part.is_some_and(|part| part.len() == len && part.as_bytes().iter().all(is))
    };
    part(6, u8::is_ascii_hexdigit)
        && part(6, u8::is_ascii_digit)
        && part(8, u8::is_ascii_digit)
        && matches!(parts.next(), Some("run" | "rerun"))
}

fn size_of(dir: &Dir, name: &str, kind: EntryKind) -> Result<u64, FsError> {
    match kind {
        EntryKind::Dir => dir.open_dir(name)?.size(),
        _ => Ok(dir.len(name)?.unwrap_or(0)),
    }
}

/// The message of an error with those of its causes.
pub(super) fn with_cause(error: &RunError) -> String {
    dad_core::ErrorInfo::from_error(error.code(), error).message
}

/// Whether something is younger than an age; a time in the future, as a clock that was set back leaves it, is young.
pub(super) fn is_younger(at: Timestamp, age: Duration, now: Timestamp) -> bool {
    let since = now.duration_since(at);
    Duration::try_from(since).map_or(true, |since| since < age)
}
