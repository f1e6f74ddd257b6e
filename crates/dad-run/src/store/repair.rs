//! Repairing a damaged journal: its whole beginning is kept, and the user decides about the steps behind the damage.

use std::path::{Path, PathBuf};

use dad_core::HierarchyPath;
use dad_fs::{Dir, Durability};
use indexmap::IndexMap;
use serde_json::json;

use crate::clock::{Clock, SystemClock};
use crate::error::{RunError, SetupError};
use crate::files::in_dot_run;
use crate::format;
use crate::free_name::free_name;
use crate::journal::chain::{Sealed, Sum};
use crate::journal::reader::{Checker, LineError, Lines, Tail};
use crate::journal::record::{ControlKind, Record, RecordBody};
use crate::journal::state::RunState;
use crate::journal::step_committed::StepCommitted;
use crate::journal::values::{load_artifacts, store_value};
use crate::journal::writer::JournalWriter;
use crate::layout::{DOT_RUN, JOURNAL, RESULT, TORN};
use crate::origin_key::OriginKey;
use crate::store::artifacts::read_artifact;
use crate::store::lease;

/// Below `.run/torn/`: where the repaired journal is written.
const MENDED: &str = "mended";

/// The damage of a run's journal, and what repairing it keeps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repair {
    /// The run directory.
    pub run_dir: PathBuf,
    /// The first damaged line, from 1.
    pub line: u64,
    /// The problem with it.
    pub reason: String,
    /// The number of whole records before it.
    pub kept: u64,
    /// Their length in bytes.
    pub cut_at: u64,
    /// The number of lines behind it that can still be read.
    pub readable_behind: u64,
    /// Steps of which it is not known how far they got, in the order in which they were found.
    pub uncertain: Vec<UncertainStep>,
}

/// A step that the damaged part of a journal is about, or whose directory stands without a record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UncertainStep {
    /// The step.
    pub path: HierarchyPath,
    /// Whether executing it again may do something twice. Only then is the user asked.
    pub has_effect: bool,
    /// Its end as a whole line behind the damage has it.
    pub committed: Option<Box<StepCommitted>>,
}

/// The user's decision about an uncertain step. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairDecision {
    /// It executes again when the run is resumed.
    Redo,
    /// Its result counts, as the line behind the damage has it.
    Accept,
    /// It counts as skipped.
    Skip,
}

impl Repair {
    /// Looks what of a run is damaged; `None` if its journal is whole. Nothing is changed.
    ///
    /// # Errors
    /// If the journal cannot be read at all, is of a newer version, or has not even a whole first record.
    pub fn find(run_dir: impl AsRef<Path>) -> Result<Option<Self>, RunError> {
        let dir = Dir::open(run_dir.as_ref())?;
        Ok(scan(&dir, None)?.map(|scanned| scanned.repair))
    }

    /// Steps that the user has to decide about before the run can be repaired.
    pub fn undecided<'r>(
        &'r self,
        decided: &'r [(HierarchyPath, RepairDecision)],
    ) -> impl Iterator<Item = &'r UncertainStep> {
        let is_decided = |step: &UncertainStep| decided.iter().any(|(path, _)| *path == step.path);
        let undecided = self.uncertain.iter().filter(|step| step.has_effect);
        undecided.filter(move |step| !is_decided(step))
    }

    /// Repairs the journal: copies it aside, cuts it before the damage, and records that and what was decided. Nothing is
    /// executed. What is signed is the user's own run as far as the kept part is.
    ///
    /// # Errors
    /// [`SetupError::Undecided`] if a step with an effect is not decided about; if an accepted step has no whole result; if
    /// another process drives the run; or if the journal cannot be written.
    pub fn apply(
        run_dir: impl AsRef<Path>,
        key: Option<OriginKey>,
        decided: &[(HierarchyPath, RepairDecision)],
    ) -> Result<Self, RunError> {
        Self::apply_in(&Dir::open(run_dir.as_ref())?.shared_as_it_is()?, key, decided)
    }

    /// Repairs the journal as [`apply`](Self::apply) does, in a run directory that is open already.
    ///
    /// # Errors
    /// As there.
    pub fn apply_in(
        dir: &Dir,
        key: Option<OriginKey>,
        decided: &[(HierarchyPath, RepairDecision)],
    ) -> Result<Self, RunError> {
        let dot_run = dir.open_dir(DOT_RUN)?;
        let mut lease = lease::acquire(&dot_run, false)?;
        // Only now, because until then its driver may have written more.
        let scanned = scan(dir, key.as_ref())?;
        let Some(Scanned {
            repair,
            state,
            checker,
        }) = scanned
        else {
            return Err(SetupError::NothingToRepair(name_of(dir)).into());
        };
        let undecided: Vec<HierarchyPath> = repair.undecided(decided).map(|step| step.path.clone()).collect();
        if !undecided.is_empty() {
            return Err(SetupError::Undecided {
                run: name_of(dir),
                steps: undecided,
            }
            .into());
        }
        let accepted = repair.accepted(dir, decided)?;
        lease.sign(&dot_run)?;

        let torn = dot_run.create_dir_all(TORN)?;
        let aside = free_name(&torn, "journal.jsonl")?;
        dot_run.copy_file(JOURNAL, &torn, &aside)?;
        // Written beside the journal and renamed over it: without what was decided its beginning would be a run that executes
        // uncertain steps again.
        if torn.kind(MENDED)?.is_some() {
            torn.remove_dir_all(MENDED)?;
        }
        let mended = torn.create_dir(MENDED)?;
        dot_run.copy_file(JOURNAL, &mended, JOURNAL)?;
        let mut end = checker.end(Tail::Whole);
        end.tail = Tail::Damaged;
        let kept_sum = String::from_utf8_lossy(&end.link.sum).into_owned();
        let mut journal = JournalWriter::resume(&mended, &end, state.progress, key)?;
        let paths: Vec<&HierarchyPath> = repair.uncertain.iter().map(|step| &step.path).collect();
        let repaired = RecordBody::Repaired {
            cut_at: repair.cut_at,
            kept_sum,
            aside,
            uncertain: store_value(&dot_run, json!(paths), Durability::Disk)?,
            schema_version: end.digest.map(|_| format::JOURNAL),
            prev: end.digest,
        };
        let clock = SystemClock;
        journal.append(clock.now(), &repaired, None)?;
        for step in accepted {
            let before = state.entries.step(&step.path);
            journal.append(
                clock.now(),
                &RecordBody::StepCommitted(Box::new(step.clone())),
                before,
            )?;
        }
        for (path, _) in decided
            .iter()
            .filter(|(_, decision)| *decision == RepairDecision::Skip)
        {
            let skipped = RecordBody::Control {
                kind: ControlKind::Skip,
                path: Some(path.clone()),
                source: "repair".into(),
                value: None,
            };
            journal.append(clock.now(), &skipped, None)?;
        }
        journal.sync()?;
        torn.sync_tree()?;
        mended.rename(JOURNAL, &dot_run, JOURNAL, Durability::Disk)?;
        torn.remove_dir(MENDED)?;
        Ok(repair)
    }

    /// The ends that the user accepts; each file of them must be the one that was recorded.
    fn accepted(
        &self,
        dir: &Dir,
        decided: &[(HierarchyPath, RepairDecision)],
    ) -> Result<Vec<StepCommitted>, RunError> {
        let mut accepted = Vec::new();
        for (path, decision) in decided {
            let Some(step) = self.uncertain.iter().find(|step| step.path == *path) else {
                return Err(SetupError::NotUncertain(path.clone()).into());
            };
            if *decision != RepairDecision::Accept {
                continue;
            }
            let Some(committed) = &step.committed else {
                return Err(SetupError::NothingToAccept(path.clone()).into());
            };
            let place = path.to_relative_dir();
            for artifact in load_artifacts(dir, &committed.artifacts)? {
                read_artifact((dir, &place), &artifact)?;
            }
            accepted.push(StepCommitted::clone(committed));
        }
        Ok(accepted)
    }
}

/// A damaged journal, read as far as it is whole.
struct Scanned<'k> {
    repair: Repair,
    state: RunState,
    checker: Checker<'k>,
}

/// Reads a journal up to its damage and looks behind it; `None` if there is none.
fn scan<'k>(dir: &Dir, key: Option<&'k OriginKey>) -> Result<Option<Scanned<'k>>, RunError> {
    let name = in_dot_run(JOURNAL);
    let path = dir.path().join(&name);
    let unreadable = |e| RunError::unreadable(&path, e);
    let mut lines = Lines::of(dir.open_file(&name)?);
    let mut checker = Checker::new(key);
    let mut state = RunState::default();
    let mut damaged = None;
    let mut behind = Behind::default();
    while let Some(line) = lines.next().map_err(unreadable)? {
        if damaged.is_some() {
            behind.look_at(line);
            continue;
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            // A torn last line is no damage.
            break;
        };
        let checked = checker
            .check(text)
            .and_then(|record| state.apply_read(record).map_err(LineError::Damage));
        match checked {
            Ok(()) => checker.accept(text, line.len()),
            Err(newer @ LineError::Newer(_)) => return Err(newer.at(&path, checker.records + 1)),
            Err(damage) if checker.records == 0 => return Err(damage.at(&path, 1)),
            Err(damage) => {
                damaged = Some(damage);
                behind.look_at(line);
            }
        }
    }
    let Some(damage) = damaged else {
        return Ok(None);
    };
    let line = checker.records + 1;
    let reason = match damage.at(&path, line) {
        RunError::Journal { reason, .. } => reason,
        other => other.to_string(),
    };
    behind.add_directories(dir, &state)?;
    let repair = Repair {
        run_dir: dir.path().to_path_buf(),
        line,
        reason,
        kept: checker.records,
        cut_at: checker.len,
        readable_behind: behind.readable,
        uncertain: behind.steps.into_values().collect(),
    };
    Ok(Some(Scanned {
        repair,
        state,
        checker,
    }))
}

/// The lines and directories behind the damage of a journal.
#[derive(Default)]
struct Behind {
    /// The sum that the line before states.
    stated: Option<Sum>,
    readable: u64,
    steps: IndexMap<HierarchyPath, UncertainStep>,
}

impl Behind {
    /// Takes a line in if it is bound to the one before it.
    fn look_at(&mut self, line: &[u8]) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let sealed = Sealed::read(text);
        let before = std::mem::replace(&mut self.stated, sealed.map(|sealed| sealed.stated.sum));
        let is_whole = match (sealed, before) {
            (Some(sealed), Some(before)) => sealed.is_whole(&before),
            _ => false,
        };
        if !is_whole {
            return;
        }
        let Ok(record) = serde_json::from_slice::<Record>(text) else {
            return;
        };
        self.readable += 1;
        match record.body {
            RecordBody::StepStarted { path, effect, .. } => {
                let step = self.step(&path);
                step.has_effect |= effect;
                step.committed = None;
            }
            RecordBody::StepCommitted(committed) => {
                let path = committed.path.clone();
                self.step(&path).committed = Some(committed);
            }
            _ => {}
        }
    }

    fn step(&mut self, path: &HierarchyPath) -> &mut UncertainStep {
        let step = || UncertainStep {
            path: path.clone(),
            has_effect: false,
            committed: None,
        };
        self.steps.entry(path.clone()).or_insert_with(step)
    }

    /// Steps whose directories stand under their final names and whose ends are not among the records that are kept. What
    /// they did is not known.
    fn add_directories(&mut self, dir: &Dir, state: &RunState) -> Result<(), RunError> {
        let Some(created) = &state.progress.tally.created else {
            return Ok(());
        };
        let root = HierarchyPath::root(&created.root_id);
        let mut open = vec![root];
        while let Some(path) = open.pop() {
            let Some(found) = dir.open_dir_optional(path.to_relative_dir())? else {
                continue;
            };
            if found.kind(RESULT)?.is_some() {
                if state.entries.step(&path).is_none() {
                    // The line that said how it ended is the damaged one, or was lost: it came before the others.
                    if !self.steps.contains_key(&path) {
                        let step = UncertainStep {
                            path: path.clone(),
                            has_effect: true,
                            committed: None,
                        };
                        self.steps.shift_insert(0, path, step);
                    }
                }
                continue;
            }
            for entry in found.entries()?.into_iter().rev() {
                if let (dad_fs::EntryKind::Dir, Ok(inside)) =
                    (entry.kind, format!("{path}.{}", entry.name).parse())
                {
                    open.push(inside);
                }
            }
        }
        Ok(())
    }
}

fn name_of(dir: &Dir) -> String {
    let name = dir.path().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
