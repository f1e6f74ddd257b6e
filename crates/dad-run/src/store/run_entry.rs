//! One row of the catalogue, read from the first and the last record of a run.

use std::path::{Path, PathBuf};

use dad_core::{ElementId, RunId, RunStatus, Timestamp};
use dad_fs::{Dir, FsError, optional};

use crate::error::{RunError, SetupError};
use crate::journal::reader::{Ends, first_and_last};
use crate::journal::record::RecordBody;
use crate::journal::step_committed::Totals;
use crate::layout::{DOT_RUN, DOT_TRACE, IMPORTED, JOURNAL, LEASE, METADATA};
use crate::origin::Origin;
use crate::origin_key::OriginKey;
use crate::store::imported::is_only_imported;
use crate::store::labels::{Labels, Tag};
use crate::store::lease;
use crate::store::original::OriginalFacts;
use derive_setters::Setters;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A run as a list shows it. It serialises as `dhenara runs list --json` prints it.
#[derive(Clone, Debug, Setters)]
#[non_exhaustive]
pub struct RunEntry {
    /// Its id, the name of its directory.
    pub run_id: RunId,
    /// Its directory.
    pub dir: PathBuf,
    /// Its root component, as far as it is known: of runs of the original system by their files.
    #[setters(into)]
    pub root_id: Option<ElementId>,
    /// Whether it is a run of the original system. Its times are local ones of the machine that made it.
    pub is_original: bool,
    /// Its status.
    pub status: RunStatus,
    /// When it was made.
    #[setters(into)]
    pub created_at: Option<Timestamp>,
    /// When its last record was written.
    #[setters(into)]
    pub last_record_at: Option<Timestamp>,
    /// The run it was started from.
    #[setters(into)]
    pub parent: Option<RunId>,
    /// The totals of its steps, once sealed.
    #[setters(into)]
    pub totals: Option<Totals>,
    /// The number of questions that wait for an answer.
    pub open_questions: u64,
    /// Its tags; none if the file of its labels cannot be read.
    pub tags: Vec<Tag>,
    /// Whose run it is, by its last record; [`RunView::origin`](crate::RunView::origin) looks at all of them.
    pub origin: Origin,
}

impl RunEntry {
    /// A run of this user about which nothing else is known.
    #[must_use]
    pub fn new(run_id: RunId, dir: PathBuf, status: RunStatus) -> Self {
        Self {
            run_id,
            dir,
            root_id: None,
            is_original: false,
            status,
            created_at: None,
            last_record_at: None,
            parent: None,
            totals: None,
            open_questions: 0,
            tags: Vec::new(),
            origin: Origin::Mine,
        }
    }
}

impl RunEntry {
    /// The sort key of runs: the time of their creation, then their id.
    pub(crate) fn order(&self) -> (Option<Timestamp>, &RunId) {
        (self.created_at, &self.run_id)
    }
}

impl Serialize for RunEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RunEntry", 12)?;
        fields.serialize_field("run_id", &self.run_id)?;
        fields.serialize_field("run_dir", &self.dir)?;
        fields.serialize_field("root_id", &self.root_id)?;
        fields.serialize_field("original", &self.is_original)?;
        fields.serialize_field("status", &self.status)?;
        fields.serialize_field("created_at", &self.created_at)?;
        fields.serialize_field("last_record_at", &self.last_record_at)?;
        fields.serialize_field("parent", &self.parent)?;
        fields.serialize_field("counts", &self.totals.map(|totals| totals.counts))?;
        fields.serialize_field("usage", &self.totals.map(|totals| totals.usage))?;
        fields.serialize_field("open_questions", &self.open_questions)?;
        fields.serialize_field("tags", &self.tags)?;
        fields.end()
    }
}

/// Reads the first and last record of a run; `None` for a directory that is no run, or not yet one.
pub(crate) fn read_entry(
    place: &Dir,
    name: &str,
    key: Option<&OriginKey>,
) -> Result<Option<RunEntry>, RunError> {
    let Ok(run_id) = name.parse::<RunId>() else {
        return Ok(None);
    };
    // One file is opened for a run that is sealed, and no directory: there may be very many.
    let dot_run = Path::new(name).join(DOT_RUN);
    let journal = match place.open_file(dot_run.join(JOURNAL)) {
        Ok(journal) => journal,
        Err(error) if error.is_not_found() => return read_without_journal(place, run_id),
        Err(error) => return Err(error.into()),
    };
    let path = place.path().join(&dot_run).join(JOURNAL);
    let Some(Ends {
        first,
        last,
        mut origin,
    }) = first_and_last(journal, &path, key)?
    else {
        return Ok(None);
    };
    if place.kind(dot_run.join(IMPORTED))?.is_some() && is_only_imported(&place.open_dir(name)?, last.seq)? {
        origin = Origin::Foreign;
    }
    let RecordBody::RunCreated { root_id, parent, .. } = first.body else {
        return Err(RunError::Journal {
            path,
            line: 1,
            reason: "the first record is not `run_created`".to_owned(),
        });
    };
    let mut open_questions = 0;
    let (status, totals) = match last.body {
        RecordBody::RunSealed {
            status,
            totals,
            open_questions: open,
            ..
        } => {
            open_questions = open;
            (status, Some(totals))
        }
        _ if lease::is_held(&place.open_dir(&dot_run)?)? => (RunStatus::Running, None),
        RecordBody::RunCreated { .. } => (RunStatus::Initialized, None),
        _ => (RunStatus::Interrupted, None),
    };
    Ok(Some(RunEntry {
        run_id,
        dir: place.path().join(name),
        root_id: Some(root_id),
        is_original: false,
        status,
        created_at: Some(first.at),
        last_record_at: Some(last.at),
        parent,
        totals,
        open_questions,
        // A label is for people: the run is what it is without.
        tags: Labels::read_in(place, Path::new(name))
            .map(|labels| labels.tags.into_iter().collect())
            .unwrap_or_default(),
        origin,
    }))
}

/// A directory without a journal: not yet a run, or one of the original system.
fn read_without_journal(place: &Dir, run_id: RunId) -> Result<Option<RunEntry>, RunError> {
    let Some(dir) = place.open_dir_optional(run_id.as_str())? else {
        return Ok(None);
    };
    match dir.open_dir_optional(DOT_RUN)? {
        Some(_) => Ok(None),
        None => read_original(&dir, run_id),
    }
}

/// A run of the original system: it has no journal, only metadata with local times.
fn read_original(dir: &Dir, run_id: RunId) -> Result<Option<RunEntry>, RunError> {
    let path = Path::new(DOT_TRACE).join(METADATA);
    let bytes = match dir.read_optional(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(FsError { source, .. }) if source.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(dir.path().join(&path), e))?;
    // The original system gave its files no version: this one is of a run that has lost its journal.
    if metadata.get("schema_version").is_some() {
        return Err(SetupError::NoJournal(dir.path().to_path_buf()).into());
    }
    let status = match metadata.get("status").and_then(|status| status.as_str()) {
        Some("completed") => RunStatus::Completed,
        Some("failed") => RunStatus::Failed,
        // It never noted that a run had died.
        Some("initialized" | "running") => RunStatus::Interrupted,
        _ => RunStatus::Unknown,
    };
    // Its times have no zone; they are read as UTC so that the order of its runs is kept.
    let time = |key: &str| metadata.get(key)?.as_str()?.parse::<Timestamp>().ok();
    let utc = |key: &str| {
        metadata
            .get(key)?
            .as_str()
            .and_then(|text| format!("{text}Z").parse().ok())
    };
    let facts = OriginalFacts::read(dir, &metadata)?;
    Ok(Some(RunEntry {
        run_id,
        dir: dir.path().to_path_buf(),
        root_id: facts.root_id,
        is_original: true,
        status,
        created_at: time("created_at").or_else(|| utc("created_at")),
        last_record_at: time("completed_at").or_else(|| utc("completed_at")),
        parent: facts.parent,
        totals: facts.totals,
        open_questions: 0,
        tags: Vec::new(),
        origin: Origin::Unsigned,
    }))
}

/// Whether a directory was to become a run, and the process that made it died before the first record was on the disk. While
/// that process lives it holds the lease.
pub(crate) fn died_before_its_first_record(place: &Dir, name: &str) -> Result<bool, RunError> {
    let Some(dot_run) = optional(place.open_dir(Path::new(name).join(DOT_RUN)))? else {
        return Ok(false);
    };
    Ok(dot_run.kind(LEASE)?.is_some() && !lease::is_held(&dot_run)?)
}

/// A run that cannot be read. It serialises as `dhenara runs list --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// Its directory.
    #[serde(rename = "run_dir")]
    pub dir: PathBuf,
    /// Why.
    pub reason: String,
}

impl Unreadable {
    /// A run that cannot be read, by its directory.
    #[must_use]
    pub fn new(dir: PathBuf, reason: String) -> Self {
        Self { dir, reason }
    }
}
