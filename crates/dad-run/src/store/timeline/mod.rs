//! The timeline of a run: when its components and steps worked and when they waited, from its journal.
//!
//! The journal is read in one pass. Iterations of loops are taken together as they are read, so that the memory grows with the
//! rows that are shown and with what executes at the same time, not with the number of steps.

use std::path::Path;
use std::time::Duration;

use dad_core::{HierarchyPath, PathSelector, RunId, RunStatus, SelectError, Timestamp, Usage};
use dad_fs::Dir;
use derive_setters::Setters;
use indexmap::IndexSet;
use serde::Serialize;

use crate::error::{RunError, SetupError};
use crate::journal::reader::read_journal;
use crate::store::lease;
use crate::store::view::{RunView, open_with_journal};

mod clock;
mod fold;
mod iterations;
mod row;

pub use self::clock::{Activity, Stretch, TimeSpent};
use self::fold::Fold;
pub use self::iterations::{LoopSummary, SlowIteration};
pub use self::row::{RowKind, TimelineRow};
use self::row::{in_order, mark_critical};

/// The most steps or components that an error names.
const MOST_NAMED: usize = 10;

/// The part of a run that a timeline shows, and how deep; by default the whole run, with each loop as one row.
#[derive(Clone, Debug, Default, Setters)]
#[setters(into)]
#[non_exhaustive]
pub struct TimelineOptions {
    /// The step, component or iteration that is looked at. Of a loop that is named itself each iteration is a row.
    pub within: Option<PathSelector>,
    /// Whether each iteration of each loop is shown with its steps: the timeline grows with their number.
    #[setters(into = false)]
    pub expand: bool,
}

/// When the parts of a run worked and waited.
///
/// ```no_run
/// use dad_core::Timestamp;
/// use dad_run::{Timeline, TimelineOptions};
///
/// let timeline = Timeline::read("runs/run_20261201_101500_a1b2c3", &TimelineOptions::default(), Timestamp::now())?;
/// for row in &timeline.rows {
///     println!("{} {:?}", row.path, row.time.taken());
/// }
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Timeline {
    /// The run.
    pub run_id: RunId,
    /// Its status.
    pub status: RunStatus,
    /// The beginning of the run, or of what is looked at.
    pub from: Timestamp,
    /// The end of it; of what has not ended now if a process drives the run, else the last record.
    pub to: Timestamp,
    /// Its time, by what happened in it.
    pub time: TimeSpent,
    /// Its time in order, joined where it changes more often than a screen could show.
    pub stretches: Vec<Stretch>,
    /// Its consumption in this run.
    pub usage: Usage,
    /// Its components, iterations and steps as a tree, in the order in which they began.
    pub rows: Vec<TimelineRow>,
    /// The steps that took the longest, the slowest first; those in iterations that have no rows are among them.
    pub slowest: Vec<SlowStep>,
}

/// A step and how long it took, waits for people and for a driver left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SlowStep {
    /// The step.
    pub path: HierarchyPath,
    /// The time that it took.
    #[serde(rename = "took_ms", serialize_with = "clock::millis")]
    pub took: Duration,
}

impl Timeline {
    /// Reads the timeline of a run. `now` is the present time, which ends the rows of a run that a process drives.
    ///
    /// # Errors
    /// [`SetupError::OriginalSystem`] for runs without a journal, [`SetupError::Step`] if the selector means nothing that the run has
    /// come to, or several; else what is wrong with the journal, by line.
    pub fn read(
        run_dir: impl AsRef<Path>,
        options: &TimelineOptions,
        now: Timestamp,
    ) -> Result<Self, RunError> {
        let (dir, dot_run) = open_with_journal(run_dir.as_ref())?;
        let within = options.within.as_ref().map(|selector| select(&dir, selector));
        let mut fold = Fold::new(within.transpose()?, options.expand);
        read_journal(&dir, None, |record| {
            fold.apply(record);
            Ok(())
        })?;
        let is_driven = fold.sealed.is_none() && lease::is_held(&dot_run)?;
        fold.finish(is_driven.then_some(now));
        Self::of(fold, is_driven, options.within.is_some())
            .ok_or_else(|| RunError::unreadable(dot_run.path(), "its journal has no first record yet"))
    }

    fn of(mut fold: Fold, is_driven: bool, is_part: bool) -> Option<Self> {
        mark_critical(&mut fold.rows);
        let status = match fold.sealed {
            Some(status) => status,
            None if is_driven => RunStatus::Running,
            None if fold.rows.is_empty() => RunStatus::Initialized,
            None => RunStatus::Interrupted,
        };
        let rows = in_order(fold.rows);
        let part = rows.first().filter(|_| is_part);
        let last_at = fold.last_at?;
        Some(Self {
            run_id: fold.run_id?,
            status,
            from: part.map(|row| row.started_at).or(fold.run.started_at)?,
            to: part.and_then(|row| row.ended_at).unwrap_or(last_at),
            time: part.map_or(fold.run.spent, |row| row.time),
            stretches: part.map_or(fold.run.stretches, |row| row.stretches.clone()),
            usage: part.map_or(fold.usage, |row| row.usage),
            rows,
            slowest: fold.slowest,
        })
    }
}

/// The step, component or iteration that a selector means.
fn select(dir: &Dir, selector: &PathSelector) -> Result<HierarchyPath, RunError> {
    let mut found = IndexSet::new();
    let mut exact = None;
    let mut note = |path: &HierarchyPath| {
        if path.as_str() == selector.as_str() {
            exact = Some(path.clone());
        } else if found.len() <= MOST_NAMED && selector.matches(path) {
            found.insert(path.clone());
        }
    };
    let leaf = selector.segments().next_back().unwrap_or_default().to_owned();
    read_journal(dir, None, |record| {
        if let Some(path) = record.body.path() {
            note(path);
            // No record is about an iteration itself.
            if let Some(iteration) = iteration_in(path, &leaf) {
                note(&iteration);
            }
        }
        Ok(())
    })?;
    if let Some(exact) = exact {
        return Ok(exact);
    }
    if found.len() > 1 {
        let candidates = found.iter().map(ToString::to_string).collect();
        let selector = selector.to_string();
        return Err(SetupError::Step(SelectError::Ambiguous { selector, candidates }).into());
    }
    match found.pop() {
        Some(found) => Ok(found),
        None => Err(unknown(dir, selector)?),
    }
}

/// The iteration of a name that a path lies in.
fn iteration_in(path: &HierarchyPath, name: &str) -> Option<HierarchyPath> {
    name.strip_prefix("iter_")?;
    let mut around = path.parent();
    while let Some(path) = around {
        if path.leaf() == name {
            return Some(path);
        }
        around = path.parent();
    }
    None
}

/// The error for a selector that means nothing, with the nearest name there is.
fn unknown(dir: &Dir, selector: &PathSelector) -> Result<RunError, RunError> {
    let view = RunView::open(dir.path())?;
    let paths = view.entries().map(|(path, _)| path);
    Ok(match selector.select(paths) {
        Err(error) => SetupError::Step(error).into(),
        Ok(path) => RunError::unreadable(
            view.dir_of(path),
            "it was reached while the run was read; read it again",
        ),
    })
}
