//! Which runs stay and which are deleted, and how a run is deleted.
//!
//! A run that is to go is first renamed to `.trash/` beside it, while its lease is taken: nobody drives it then, and a
//! reader finds it whole or not at all. Only then its files are deleted. What a crash leaves in `.trash/` the next
//! [`Catalog::prune`] deletes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_core::{RunId, RunStatus, Timestamp};
use dad_fs::{Dir, Durability, EntryKind, FileLock, FsError};
use serde::Serialize;

use crate::catalog::{Catalog, RunEntry, back_from_last, died_before_its_first_record, no_run, read_entry};
use crate::error::RunError;
use crate::layout::{CATALOG_LOCK, DOT_RUN, DOT_TRACE, LEASE, STATIC_INPUTS, TRASH};
use crate::lease;
use crate::origin::Origin;
use crate::resume::{free_name, needs_parent};
use crate::view::RunView;

/// How old a directory without a first record is, at least, before it counts as garbage: until then a process may be
/// making a run there.
const ORPHAN_AGE: Duration = Duration::from_hours(1);

/// For how long a process that removes runs waits for another that does.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Which runs are kept. A run is kept if any of the rules keeps it; a rule that is not given keeps none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The newest runs, this many, in the order of [`Catalog::list`].
    pub keep_last: Option<usize>,
    /// Runs whose last record is younger. One of the future, as a clock that was set back leaves it, counts as young.
    pub keep_age: Option<Duration>,
    /// The newest runs, as long as they take at most so many bytes together.
    pub max_size: Option<u64>,
}

impl RetentionPolicy {
    /// Whether no rule is given, so that every run that may be removed would be.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keep_last.is_none() && self.keep_age.is_none() && self.max_size.is_none()
    }
}

/// A run and what it takes on the disk.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// The run.
    pub entry: RunEntry,
    /// Whether a process holds its lease. One that was just sealed may hold it still.
    pub held: bool,
    /// The length of all its files.
    pub bytes: u64,
    /// The run that it may still take results from: it is a re-run that did not complete.
    pub needs: Option<RunId>,
}

/// What there is in a run root.
#[derive(Clone, Debug, Default)]
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
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// When it was changed last; unknown for what is deleted in any case.
    pub changed_at: Option<Timestamp>,
    /// The length of its files.
    pub bytes: u64,
}

/// A run that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its directory.
    pub dir: PathBuf,
    /// Why.
    pub reason: String,
}

/// Why a run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// A process drives it.
    Running,
    /// It waits for an answer.
    Waiting,
    /// A re-run that did not complete and is kept may still take results from it.
    Needed,
    /// It was made by the original system, which knew no rules: only a person removes it.
    Original,
    /// It is one of the newest.
    Last,
    /// It was used lately.
    Age,
    /// It and all newer ones are small enough.
    Size,
}

/// A run and what is to become of it.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// The run.
    pub run: StoredRun,
    /// Why it is kept: every reason there is. Without one it is removed.
    pub kept: Vec<KeepReason>,
}

/// What a prune does.
#[derive(Clone, Debug, Default)]
pub struct PrunePlan {
    /// The runs, oldest first.
    pub runs: Vec<PlannedRun>,
    /// What no run owns and nobody needs.
    pub leftovers: Vec<Leftover>,
    /// Runs that cannot be read: they are left alone.
    pub unreadable: Vec<Unreadable>,
}

impl PrunePlan {
    /// The runs that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &StoredRun> {
        let removed = self.runs.iter().filter(|planned| planned.kept.is_empty());
        removed.map(|planned| &planned.run)
    }
}

/// What removing runs came to.
#[derive(Clone, Debug, Default)]
pub struct PruneReport {
    /// The runs that are gone.
    pub removed: Vec<StoredRun>,
    /// What no run owned and is gone.
    pub leftovers: Vec<Leftover>,
    /// Runs that were to be removed and are used, or were used since it was looked.
    pub in_use: Vec<RunId>,
    /// What could not be removed.
    pub failures: Vec<Failure>,
}

/// Something that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The run directory, or what was to be deleted.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// What is to become of everything that was found: the same answer for the same question, for showing as for doing.
///
/// Never removed are runs that are driven, that wait for an answer, those that such a run, or another that is kept and did
/// not complete, may still take results from, and those of the original system.
#[must_use]
pub fn plan_prune(found: Inventory, policy: &RetentionPolicy, now: Timestamp) -> PrunePlan {
    let mut newer_bytes = 0_u64;
    let mut newer_runs = 0;
    let mut runs = Vec::with_capacity(found.runs.len());
    for run in found.runs.into_iter().rev() {
        let mut kept = Vec::new();
        if run.entry.is_original {
            kept.push(KeepReason::Original);
            runs.push(PlannedRun { run, kept });
            continue;
        }
        newer_bytes = newer_bytes.saturating_add(run.bytes);
        newer_runs += 1;
        // The later of the two: a clock that was put back may have dated the last record before the first.
        let last_used = run.entry.created_at.max(run.entry.last_record_at);
        let is_young = |age: Duration| last_used.is_none_or(|at| is_younger(at, age, now));
        let reasons = [
            (
                run.held || run.entry.status == RunStatus::Running,
                KeepReason::Running,
            ),
            (run.entry.status == RunStatus::Waiting, KeepReason::Waiting),
            (
                policy.keep_last.is_some_and(|last| newer_runs <= last),
                KeepReason::Last,
            ),
            (policy.keep_age.is_some_and(is_young), KeepReason::Age),
            (
                policy.max_size.is_some_and(|most| newer_bytes <= most),
                KeepReason::Size,
            ),
        ];
        kept.extend(
            reasons
                .iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, reason)| *reason),
        );
        runs.push(PlannedRun { run, kept });
    }
    runs.reverse();
    keep_needed(&mut runs);
    let is_garbage = |leftover: &Leftover| match leftover.changed_at {
        Some(at) => !is_younger(at, ORPHAN_AGE, now),
        None => true,
    };
    let mut leftovers = found.leftovers;
    leftovers.retain(is_garbage);
    PrunePlan {
        runs,
        leftovers,
        unreadable: found.unreadable,
    }
}

/// Keeps what kept runs need, and what that needs in turn.
fn keep_needed(runs: &mut [PlannedRun]) {
    let places: HashMap<RunId, usize> = runs
        .iter()
        .enumerate()
        .map(|(place, planned)| (planned.run.entry.run_id.clone(), place))
        .collect();
    let kept = runs.iter().filter(|planned| !planned.kept.is_empty());
    let mut needed: Vec<RunId> = kept.filter_map(|planned| planned.run.needs.clone()).collect();
    while let Some(id) = needed.pop() {
        let Some(planned) = places.get(&id).map(|place| &mut runs[*place]) else {
            continue;
        };
        if planned.kept.is_empty() {
            needed.extend(planned.run.needs.clone());
        }
        if !planned.kept.contains(&KeepReason::Needed) {
            planned.kept.push(KeepReason::Needed);
        }
    }
}

/// The run that another may still take results from.
fn needed_by(entry: &RunEntry) -> Option<RunId> {
    let parent = entry.parent.clone()?;
    if entry.status == RunStatus::Completed {
        return None;
    }
    let look = || -> Result<bool, RunError> {
        let view = RunView::open(&entry.dir)?;
        Ok(view.plan()?.is_none_or(|plan| needs_parent(&plan, &view)))
    };
    // What cannot be read now may be whole when somebody goes on with it.
    look().unwrap_or(true).then_some(parent)
}

/// Whether something is younger than an age; a time in the future, as a clock that was set back leaves it, is young.
fn is_younger(at: Timestamp, age: Duration, now: Timestamp) -> bool {
    let since = now.duration_since(at);
    Duration::try_from(since).map_or(true, |since| since < age)
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

    /// Does what a plan says. A run that somebody went on with since is left alone, and what cannot be removed does not
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
                Ok(None) => return Err(no_run(&place, &name)),
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
                return Err(RunError::RunWaiting(name));
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
                return Err(RunError::RunNeeded {
                    run: parent.to_string(),
                    by: entry.run_id.to_string(),
                });
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

    /// Moves a run out of sight, unless somebody drives it, or went on with it since it was looked at. Gives its name in
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
                return Err(RunError::NoJournal(place.path().join(name)));
            }
            None => {}
        },
    }
    Ok(())
}

/// A directory that was to become a run and never got its first record. What may be anything else, or may still become
/// a run, is none.
fn orphan(place: &Dir, name: &str) -> Result<Option<Leftover>, RunError> {
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

/// What can be said of a run whose journal cannot be read.
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
        origin: Origin::default(),
    })
}

fn size_of(dir: &Dir, name: &str, kind: EntryKind) -> Result<u64, FsError> {
    match kind {
        EntryKind::Dir => dir.open_dir(name)?.size(),
        _ => Ok(dir.len(name)?.unwrap_or(0)),
    }
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

/// The message of an error with those of its causes.
fn with_cause(error: &RunError) -> String {
    dad_core::ErrorInfo::from_error(error.code(), error).message
}
