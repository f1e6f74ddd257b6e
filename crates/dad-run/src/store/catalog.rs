//! The catalogue of runs: listing them, and finding one by a selector.

use std::path::{Path, PathBuf};

use dad_core::{ElementId, RunId, RunStatus, nearest};
use dad_fs::{Dir, EntryKind, Gate};

use crate::error::words::back_from_last;
use crate::error::{RunError, SetupError};
use crate::layout::{DOT_RUN, PLAN};
use crate::origin::Origin;
use crate::origin_key::OriginKey;
use crate::parallel::in_parallel;
use crate::rerun::plan::RerunPlan;
use crate::store::run_entry::{RunEntry, Unreadable, died_before_its_first_record, read_entry};

/// The runs of a run root: found by looking, in the run root and one directory below it at most.
///
/// ```no_run
/// use dad_run::Catalog;
///
/// let root = std::path::Path::new("runs");
/// let catalog = Catalog::new(root, root);
/// for run in catalog.list()? {
///     println!("{} {}", run.run_id, run.status);
/// }
/// let before_the_last = catalog.find("last~1", None)?;
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Catalog {
    places: Vec<PathBuf>,
    gate: Gate,
    key: Option<OriginKey>,
    trusts_unsigned: bool,
}

/// The content of a run root, as a list shows it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunListing {
    /// The runs, oldest first.
    pub runs: Vec<RunEntry>,
    /// Runs that cannot be read, by directory.
    pub unreadable: Vec<Unreadable>,
}

impl Catalog {
    /// The runs of `run_root` and, if another, of `effective_run_root`.
    #[must_use]
    pub fn new(run_root: &Path, effective_run_root: &Path) -> Self {
        let mut places = vec![effective_run_root.to_path_buf()];
        if run_root != effective_run_root {
            places.push(run_root.to_path_buf());
        }
        Self {
            places,
            gate: Gate::default(),
            key: None,
            trusts_unsigned: false,
        }
    }

    /// The same with the runs of another run root.
    #[must_use]
    pub fn and_in(mut self, run_root: &Path) -> Self {
        if self.places.iter().all(|place| place != run_root) {
            self.places.push(run_root.to_path_buf());
        }
        self
    }

    /// The directories that runs are looked for in.
    #[must_use]
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    /// Tells runs of the user from others by this key; `last` and beginnings of ids then name only the user's.
    #[must_use]
    pub fn with_origin_key(mut self, key: impl Into<Option<OriginKey>>) -> Self {
        self.key = key.into();
        self
    }

    /// Takes runs that are not signed for the user's own.
    #[must_use]
    pub fn trusting_unsigned(mut self, trust: bool) -> Self {
        self.trusts_unsigned = trust;
        self
    }

    /// Whether `last`, the beginning of an id and proposals may name a run: only one of the user's own, if there is a key to
    /// tell that by. A run of the original system executes nothing.
    #[must_use]
    pub fn may_mean(&self, run: &RunEntry) -> bool {
        let is_trusted = self.trusts_unsigned && run.origin == Origin::Unsigned;
        self.key.is_none() || is_trusted || run.is_original || run.origin == Origin::Mine
    }

    /// Has the changes that it makes pass a gate.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// The directories of runs that there are.
    pub(crate) fn open_places(&self) -> Result<Vec<Dir>, RunError> {
        let mut open = Vec::new();
        for place in &self.places {
            match Dir::open_with(place, self.gate.clone()) {
                Ok(dir) => open.push(dir),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(open)
    }

    /// The first of the directories of runs, made if it is missing.
    pub(crate) fn create_first_place(&self) -> Result<Dir, RunError> {
        let first = self.places.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        Ok(Dir::create_all_with(first, self.gate.clone())?)
    }

    /// All runs, oldest first. A run that cannot be read is left out: [`Catalog::listing`] says which and why.
    ///
    /// # Errors
    /// If a run root that exists cannot be listed.
    pub fn list(&self) -> Result<Vec<RunEntry>, RunError> {
        Ok(self.listing()?.runs)
    }

    /// All runs, and those that cannot be read with the reason.
    ///
    /// # Errors
    /// As [`Catalog::list`].
    pub fn listing(&self) -> Result<RunListing, RunError> {
        let mut found = RunListing::default();
        for (place, names) in self.candidates()? {
            let read = in_parallel(&names, |name| match read_entry(&place, name, self.key.as_ref()) {
                Ok(None) if died_before_its_first_record(&place, name)? => {
                    Ok(Err(SetupError::NoJournal(place.path().join(name)).into()))
                }
                read => Ok(read),
            });
            for (name, read) in names.iter().zip(read) {
                let unreadable: RunError = match read {
                    Ok(Ok(entry)) => {
                        found.runs.extend(entry);
                        continue;
                    }
                    Ok(Err(error)) => error,
                    Err(error) => return Err(error),
                };
                found.unreadable.push(Unreadable {
                    dir: place.path().join(name),
                    reason: unreadable.to_info().message,
                });
            }
        }
        found.runs.sort_by(|a, b| a.order().cmp(&b.order()));
        found.unreadable.sort_by(|a, b| a.dir.cmp(&b.dir));
        Ok(found)
    }

    /// The directories that may be runs.
    pub(crate) fn candidates(&self) -> Result<Vec<(Dir, Vec<String>)>, RunError> {
        let mut found = Vec::new();
        for dir in self.open_places()? {
            let entries = dir
                .entries()?
                .into_iter()
                .filter(|entry| entry.kind == EntryKind::Dir);
            let names = entries
                .map(|entry| entry.name)
                .filter(|name| name.parse::<RunId>().is_ok())
                .collect();
            found.push((dir, names));
        }
        Ok(found)
    }

    /// The run of an id, found without looking at others.
    ///
    /// # Errors
    /// [`SetupError::UnknownRun`], or why the run cannot be read.
    pub fn named(&self, id: &RunId) -> Result<RunEntry, RunError> {
        for place in self.open_places()? {
            if place.kind(id.as_str())? == Some(EntryKind::Dir) {
                let entry = read_entry(&place, id.as_str(), self.key.as_ref())?;
                return entry.ok_or_else(|| no_run(&place, id.as_str()).into());
            }
        }
        Err(unknown(id.as_str(), None).into())
    }

    /// The run of an id, of a unique prefix of one, or `last`: the newest run, of `root_id` where one is named.
    ///
    /// # Errors
    /// [`SetupError::UnknownRun`] with the nearest id, [`SetupError::AmbiguousRun`] with the candidates, or why the run
    /// cannot be read.
    pub fn find(&self, selector: &str, root_id: Option<&ElementId>) -> Result<RunEntry, RunError> {
        let Some(root) = root_id else {
            return self.find_fitting(selector, |_| true);
        };
        let found = self.find_fitting(selector, |run| {
            !run.is_original && run.root_id.as_ref() == Some(root) && !is_of_one_step(run)
        });
        found.map_err(|error| match error.setup() {
            Some(SetupError::NoRuns { unreadable: false }) => unknown(selector, None).into(),
            _ => error,
        })
    }

    /// The run of a selector, as [`Catalog::find`] does, but `last` is the newest that is not of one step executed
    /// alone: others start from a whole one, however often a step of it was tried.
    ///
    /// # Errors
    /// As [`Catalog::find`].
    pub fn find_whole(&self, selector: &str) -> Result<RunEntry, RunError> {
        self.find_fitting(selector, |run| !is_of_one_step(run))
    }

    /// The run of a selector; `last` is the newest that fits.
    fn find_fitting(&self, selector: &str, fits: impl Fn(&RunEntry) -> bool) -> Result<RunEntry, RunError> {
        if let Some(back) = back_from_last(selector) {
            let found = self.listing()?;
            let none = if found.runs.is_empty() {
                SetupError::NoRuns {
                    unreadable: !found.unreadable.is_empty(),
                }
            } else {
                unknown(selector, None)
            };
            return self
                .newest(found.runs, fits, back)
                .map_err(|foreign| foreign.unwrap_or(none).into());
        }
        let (place, name) = self.locate(selector)?;
        let entry = read_entry(&place, &name, self.key.as_ref())?.ok_or_else(|| no_run(&place, &name))?;
        // Only a whole id names a run of another user.
        if name == selector || self.may_mean(&entry) {
            Ok(entry)
        } else {
            Err(SetupError::OnlyForeignRuns(name).into())
        }
    }

    /// The directory of the run of an id, or of a unique beginning of one, though its journal may be damaged.
    ///
    /// # Errors
    /// [`SetupError::UnknownRun`] with the nearest id, or [`SetupError::AmbiguousRun`] with the candidates.
    pub fn find_dir(&self, selector: &str) -> Result<PathBuf, RunError> {
        let (place, name) = self.locate(selector)?;
        Ok(place.path().join(name))
    }

    /// The directory of a run, which may be damaged: where it is, and its name there.
    pub(crate) fn locate(&self, selector: &str) -> Result<(Dir, String), RunError> {
        let candidates = self.candidates()?;
        let all = || {
            candidates
                .iter()
                .flat_map(|(dir, names)| names.iter().map(move |name| (dir, name.as_str())))
        };
        let found = |dir: &Dir, name: &str| Ok((dir.clone(), name.to_owned()));
        if let Some((dir, name)) = all().find(|(_, name)| *name == selector) {
            return found(dir, name);
        }
        if selector.is_empty() {
            return Err(unknown(selector, None).into());
        }
        let mut fitting: Vec<_> = all().filter(|(_, name)| name.starts_with(selector)).collect();
        fitting.sort_by_key(|(_, name)| *name);
        match fitting.as_slice() {
            [(dir, name)] => found(dir, name),
            [] => Err(unknown(selector, nearest(selector, all().map(|(_, name)| name))).into()),
            several => Err(SetupError::AmbiguousRun {
                selector: selector.to_owned(),
                candidates: several
                    .iter()
                    .take(10)
                    .map(|(_, name)| (*name).to_owned())
                    .collect(),
            }
            .into()),
        }
    }
}

/// Whether a run is of one step that was executed alone: who starts from the last run means a whole one.
fn is_of_one_step(run: &RunEntry) -> bool {
    if run.parent.is_none() {
        return false;
    }
    let plan = Dir::open(&run.dir).and_then(|dir| dir.read(Path::new(DOT_RUN).join(PLAN)));
    plan.is_ok_and(|plan| serde_json::from_slice::<RerunPlan>(&plan).is_ok_and(|plan| plan.alone))
}

impl Catalog {
    /// The run of a selector, as [`Catalog::find`] does, but `last` is the newest that is not completed.
    ///
    /// # Errors
    /// As [`Catalog::find`].
    pub fn find_unfinished(&self, selector: &str) -> Result<RunEntry, RunError> {
        if selector != "last" {
            return self.find(selector, None);
        }
        let unfinished = |run: &RunEntry| !run.is_original && run.status != RunStatus::Completed;
        let found = self.newest(self.list()?, unfinished, 0);
        found.map_err(|foreign| foreign.unwrap_or(SetupError::NothingToResume).into())
    }

    /// The run that `last` means: of the user's own that fit, the newest but `back`. If only others fit, the error names the
    /// newest of them.
    fn newest(
        &self,
        runs: Vec<RunEntry>,
        fits: impl Fn(&RunEntry) -> bool,
        back: usize,
    ) -> Result<RunEntry, Option<SetupError>> {
        let mut foreign = None;
        let fitting = runs.into_iter().rev().filter(fits);
        let mut own = fitting.filter(|run| {
            if !self.may_mean(run) && foreign.is_none() {
                foreign = Some(SetupError::OnlyForeignRuns(run.run_id.to_string()));
            }
            self.may_mean(run)
        });
        match own.nth(back) {
            Some(run) => Ok(run),
            None => Err(foreign),
        }
    }
}

pub(crate) fn unknown(selector: &str, nearest: Option<&str>) -> SetupError {
    SetupError::UnknownRun {
        selector: selector.to_owned(),
        nearest: nearest.map(str::to_owned),
    }
}

/// That a directory is no run, though it may have been meant to become one.
pub(crate) fn no_run(place: &Dir, name: &str) -> SetupError {
    match place.open_dir_optional(Path::new(name).join(DOT_RUN)) {
        Ok(Some(_)) => SetupError::NoJournal(place.path().join(name)),
        _ => unknown(name, None),
    }
}
