//! Removing runs. Each is renamed into `.trash/` under its lease, and deleted there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_core::{RunId, RunStatus};
use dad_fs::{Dir, Durability, EntryKind, FileLock};

use crate::error::words::back_from_last;
use crate::error::{RunError, SetupError};
use crate::free_name::free_name;
use crate::layout::{CATALOG_LOCK, DOT_RUN, LEASE, TRASH};
use crate::origin::Origin;
use crate::store::catalog::{Catalog, no_run};
use crate::store::inventory::{Leftover, StoredRun, needed_by, with_cause};
use crate::store::lease;
use crate::store::retention::PrunePlan;
use crate::store::run_entry::{RunEntry, read_entry};

/// For how long a process that removes runs waits for another that does.
const LOCK_ATTEMPTS: u32 = 200;

const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The report of a removal.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// The runs that are gone.
    pub removed: Vec<StoredRun>,
    /// The removed directories that no run owned.
    pub leftovers: Vec<Leftover>,
    /// Runs that were to be removed and are used, or were used since it was looked.
    pub in_use: Vec<RunId>,
    /// The removals that failed.
    pub failures: Vec<Failure>,
}

/// Something that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The run directory, or what was to be deleted.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

impl Catalog {
    /// Removes what a plan says. A run that was resumed since is kept, and a failure does not
    /// keep the rest from being removed.
    ///
    /// # Errors
    /// If a run root cannot be opened, or another process removes runs and does not come to an end with it.
    pub fn prune(&self, plan: &PrunePlan) -> Result<PruneReport, RunError> {
        self.remove_all(plan.removed(), &plan.leftovers)
    }

    /// The runs of selectors, as [`Catalog::find`] takes them, each once. They may be damaged, and be runs of the
    /// original system.
    ///
    /// # Errors
    /// If a selector fits none or several; if a run is driven, and with what is known of who does; unless `force` is given
    /// also if one waits for an answer, or if a re-run that stays and did not complete may still take results from it.
    pub fn find_removable(&self, selectors: &[String], force: bool) -> Result<Vec<StoredRun>, RunError> {
        let mut seen = HashSet::new();
        let mut runs = Vec::new();
        for selector in selectors {
            let (place, name) = match back_from_last(selector) {
                Some(_) => self.locate(self.find(selector, None)?.run_id.as_str())?,
                None => self.locate(selector)?,
            };
            if !seen.insert(place.path().join(&name)) {
                continue;
            }
            let dir = place.open_dir(&name)?;
            let dot_run = dir.open_dir_optional(DOT_RUN)?;
            let entry = match read_entry(&place, &name, None) {
                Ok(Some(entry)) => entry,
                // What is damaged may be removed as well, but not what never was a run.
                Err(_) | Ok(None) if dot_run.is_some() => damaged_entry(&dir, &name)?,
                Ok(None) => return Err(no_run(&place, &name).into()),
                Err(error) => return Err(error),
            };
            if let Some(dot_run) = &dot_run
                && lease::is_held(dot_run)?
            {
                return Err(RunError::RunInUse {
                    run: name,
                    holder: lease::holder(dot_run),
                });
            }
            if entry.status == RunStatus::Waiting && !force {
                return Err(SetupError::RunWaiting(name).into());
            }
            let bytes = dir.size()?;
            runs.push(StoredRun {
                needs: None,
                entry,
                held: false,
                bytes,
            });
        }
        if !force {
            self.check_not_needed(&runs)?;
        }
        Ok(runs)
    }

    fn check_not_needed(&self, removed: &[StoredRun]) -> Result<(), RunError> {
        let is_removed = |id: &RunId| removed.iter().any(|run| run.entry.run_id == *id);
        for entry in self.list()? {
            let stays_behind = entry.parent.as_ref().is_some_and(is_removed) && !is_removed(&entry.run_id);
            if let Some(parent) = stays_behind.then(|| needed_by(&entry)).flatten() {
                return Err(SetupError::RunNeeded {
                    run: parent.to_string(),
                    by: entry.run_id.to_string(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// Removes runs that [`Catalog::find_removable`] gave, under the same conditions as [`Catalog::prune`].
    ///
    /// # Errors
    /// As [`Catalog::prune`].
    pub fn remove(&self, runs: &[StoredRun]) -> Result<PruneReport, RunError> {
        self.remove_all(runs.iter(), &[])
    }

    fn remove_all<'a>(
        &self,
        runs: impl Iterator<Item = &'a StoredRun>,
        leftovers: &[Leftover],
    ) -> Result<PruneReport, RunError> {
        let runs: Vec<&StoredRun> = runs.collect();
        let mut report = PruneReport::default();
        for place in self.open_places()? {
            let here: Vec<&StoredRun> = runs
                .iter()
                .filter(|run| is_in(&place, &run.entry.dir))
                .copied()
                .collect();
            let trash_path = place.path().join(TRASH);
            let (trashed, orphans): (Vec<&Leftover>, Vec<&Leftover>) = leftovers
                .iter()
                .filter(|leftover| {
                    leftover.path.parent() == Some(&trash_path) || is_in(&place, &leftover.path)
                })
                .partition(|leftover| leftover.changed_at.is_none());
            if here.is_empty() && trashed.is_empty() && orphans.is_empty() {
                continue;
            }
            let trash = place.create_dir_all(TRASH)?;
            let lock = lock(&place)?;
            let mut removal = Removal {
                place: &place,
                trash: &trash,
                delete: Vec::new(),
                report: &mut report,
            };
            for run in here {
                removal.run(run);
            }
            for orphan in orphans {
                removal.orphan(orphan);
            }
            for leftover in trashed {
                removal
                    .delete
                    .push((name_of(&leftover.path), Gone::Leftover(leftover)));
            }
            removal.delete_all();
            drop(lock);
        }
        Ok(report)
    }
}

/// Runs of one directory on their way out.
struct Removal<'a> {
    place: &'a Dir,
    trash: &'a Dir,
    /// Names in the trash, and what they were.
    delete: Vec<(String, Gone<'a>)>,
    report: &'a mut PruneReport,
}

#[derive(Clone, Copy)]
enum Gone<'a> {
    Run(&'a StoredRun),
    Leftover(&'a Leftover),
}

impl Gone<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Run(run) => &run.entry.dir,
            Self::Leftover(leftover) => &leftover.path,
        }
    }
}

impl<'a> Removal<'a> {
    fn run(&mut self, run: &'a StoredRun) {
        let is_same = |place: &Dir, name: &str| {
            // What cannot be read now was not readable when it was decided on either.
            let last = read_entry(place, name, None)
                .ok()
                .flatten()
                .map(|entry| entry.last_record_at);
            last.is_none_or(|last| last == run.entry.last_record_at)
        };
        match self.to_trash(run.entry.run_id.as_str(), is_same) {
            Ok(Some(name)) => self.delete.push((name, Gone::Run(run))),
            Ok(None) => self.report.in_use.push(run.entry.run_id.clone()),
            Err(error) => self.fail(&run.entry.dir, &error),
        }
    }

    fn orphan(&mut self, orphan: &'a Leftover) {
        let is_same = |place: &Dir, name: &str| matches!(read_entry(place, name, None), Ok(None));
        match self.to_trash(&name_of(&orphan.path), is_same) {
            Ok(Some(name)) => self.delete.push((name, Gone::Leftover(orphan))),
            // It became a run.
            Ok(None) => {}
            Err(error) => self.fail(&orphan.path, &error),
        }
    }

    /// Moves a run out of sight, unless a process drives it, or resumed it since it was listed. Returns its name in
    /// the trash.
    fn to_trash(
        &self,
        name: &str,
        is_same: impl FnOnce(&Dir, &str) -> bool,
    ) -> Result<Option<String>, RunError> {
        let Some(dir) = self.place.open_dir_optional(name)? else {
            return Ok(None);
        };
        let lease = match dir.open_dir_optional(DOT_RUN)? {
            // Nothing is written into it: runs are removed when the disk is full.
            Some(dot_run) => match dot_run.lock(LEASE)? {
                Some(lease) if lease::foreign_holder(&dot_run)?.is_none() => Some(lease),
                _ => return Ok(None),
            },
            None => None,
        };
        if !is_same(self.place, name) {
            return Ok(None);
        }
        let free = free_name(self.trash, name)?;
        self.place.rename(name, self.trash, &free, Durability::Process)?;
        drop(lease);
        Ok(Some(free))
    }

    /// Deletes what is in the trash now.
    fn delete_all(&mut self) {
        for (name, gone) in std::mem::take(&mut self.delete) {
            let deleted = match self.trash.kind(&name) {
                Ok(Some(EntryKind::Dir)) => self.trash.remove_dir_all(&name),
                Ok(Some(_)) => self.trash.remove_file(&name),
                // Another prune, which began later, was faster.
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match deleted {
                Ok(()) => self.gone(gone),
                Err(error) => self.fail(gone.path(), &error.into()),
            }
        }
    }

    fn gone(&mut self, gone: Gone<'_>) {
        match gone {
            Gone::Run(run) => self.report.removed.push(run.clone()),
            Gone::Leftover(leftover) => self.report.leftovers.push(leftover.clone()),
        }
    }

    fn fail(&mut self, path: &Path, error: &RunError) {
        self.report.failures.push(Failure {
            path: path.to_path_buf(),
            reason: with_cause(error),
        });
    }
}

/// Takes the lock under which runs are moved away and deleted.
fn lock(place: &Dir) -> Result<FileLock, RunError> {
    for attempt in 1.. {
        match place.lock(CATALOG_LOCK)? {
            Some(lock) => return Ok(lock),
            None if attempt == LOCK_ATTEMPTS => break,
            None => std::thread::sleep(LOCK_PAUSE),
        }
    }
    Err(RunError::CatalogLocked(place.path().to_path_buf()))
}

/// The entry of a run whose journal cannot be read.
fn damaged_entry(dir: &Dir, name: &str) -> Result<RunEntry, RunError> {
    Ok(RunEntry {
        run_id: name.parse()?,
        dir: dir.path().to_path_buf(),
        root_id: None,
        is_original: false,
        status: RunStatus::Unknown,
        created_at: None,
        last_record_at: None,
        parent: None,
        totals: None,
        open_questions: 0,
        tags: Vec::new(),
        origin: Origin::default(),
    })
}

fn is_in(place: &Dir, path: &Path) -> bool {
    path.parent() == Some(place.path())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
