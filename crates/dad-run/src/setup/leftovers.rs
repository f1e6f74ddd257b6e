//! Clearing the stage of a run that is resumed.

use std::collections::HashMap;
use std::path::Path;

use dad_core::{HierarchyPath, Redactor, StepStatus};
use dad_fs::{Dir, Durability, EntryKind};

use crate::error::RunError;
use crate::free_name::free_name;
use crate::journal::state::ViewEntry;
use crate::journal::step_committed::StepCommitted;
use crate::layout::{ATTEMPTS, MEMO};
use crate::live::interrupted::Interrupted;
use crate::live::masking::mask_made_files;
use crate::store::memo_file::{MemoLine, MemoSeal};
use crate::store::view::RunView;

/// Moves what attempts left behind out of the stage, and finds those that can be gone on with.
pub(super) fn clear_stage(
    dir: &Dir,
    dot_run: &Dir,
    stage: &Dir,
    view: &RunView,
    redactor: &Redactor,
    durability: Durability,
    seal: Option<&MemoSeal>,
) -> Result<HashMap<HierarchyPath, Interrupted>, RunError> {
    let mut interrupted = HashMap::new();
    let attempts = dot_run.open_dir(ATTEMPTS)?;
    for (path, entry) in view.entries() {
        let attempt = match entry {
            ViewEntry::Running { attempt, .. } => attempt,
            ViewEntry::Step(step) if step.status == StepStatus::Cancelled => {
                let had_failed = view.left(path).and_then(|left| left.failed) == Some(step.attempt);
                let going_on = if had_failed {
                    // It was cancelled in the pause behind a failed attempt: the next one begins with nothing.
                    Interrupted::at(view, path, step.attempt + 1)
                } else {
                    cancelled(view, step)?
                };
                interrupted.insert(path.clone(), going_on);
                continue;
            }
            _ => continue,
        };
        let mut going_on = Interrupted::at(view, path, *attempt);
        let started = view.left(path).map_or(&[][..], |left| &left.started);
        let number = started.last().map(ToString::to_string);
        // It stands under its final name already if the process died between the rename and the record.
        let last = path.to_relative_dir();
        let left = number.as_deref().map(|name| (stage, Path::new(name)));
        for (from, name) in left.into_iter().chain([(dir, last.as_path())]) {
            if from.kind(name)?.is_some() {
                mask_made_files(&from.open_dir(name)?, redactor)?;
                let wanted = number.as_deref().unwrap_or("unrecorded");
                from.rename(name, &attempts, free_name(&attempts, wanted)?, durability)?;
            }
        }
        // Only now, because a driver that was interrupted while it resumed the run has moved some of them already.
        let vouched_at = view.progress().tally.vouched_at;
        going_on.memos = memos_of(&attempts, started, seal, path, vouched_at)?;
        interrupted.insert(path.clone(), going_on);
    }
    for entry in stage.entries()? {
        let name = free_name(&attempts, &entry.name)?;
        if entry.kind == EntryKind::Dir {
            mask_made_files(&stage.open_dir(&entry.name)?, redactor)?;
        }
        stage.rename(&entry.name, &attempts, name, durability)?;
    }
    Ok(interrupted)
}

/// An attempt that was cancelled: what its exchanges took is in its record.
fn cancelled(view: &RunView, step: &StepCommitted) -> Result<Interrupted, RunError> {
    let mut memos = view.memos(step)?;
    memos.iter_mut().for_each(|memo| memo.is_counted = true);
    Ok(Interrupted {
        memos,
        ..Interrupted::at(view, &step.path, step.attempt)
    })
}

/// The exchanges that an attempt finished. Each time it was gone on with it began with a copy, so the longest has all.
fn memos_of(
    attempts: &Dir,
    started: &[u64],
    seal: Option<&MemoSeal>,
    path: &HierarchyPath,
    vouched_at: u64,
) -> Result<Vec<MemoLine>, RunError> {
    let mut longest = Vec::new();
    for entry in attempts.entries()? {
        let number = entry
            .name
            .split('_')
            .next()
            .and_then(|number| number.parse().ok());
        let Some(seq) = number.filter(|number| started.contains(number)) else {
            continue;
        };
        // What was there when the run was trusted may have been made by anyone.
        let seal = seal.filter(|_| seq > vouched_at);
        let file = Path::new(&entry.name).join(MEMO);
        let memos = MemoLine::read_in(attempts, &file, seal, path)?;
        if memos.len() > longest.len() {
            longest = memos;
        }
    }
    Ok(longest)
}
