//! Going on with a run that did not complete, in its own directory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, HierarchyPath, PathSelector, Redactor, RunStatus, SelectError, StepStatus};
use dad_definition::Program;
use dad_fs::{Dir, Durability, EntryKind, FsResult};

use crate::context::{Prepared, RunContext};
use crate::decide::is_result;
use crate::drive::{Opened, drive};
use crate::error::RunError;
use crate::format;
use crate::inbox::Inbox;
use crate::inputs::parse_static_inputs;
use crate::journal::file::JournalWriter;
use crate::journal::record::{ControlKind, RecordBody, StepCommitted};
use crate::layout::{ATTEMPTS, DOT_RUN, DOT_TRACE, MEMO, STAGE, STATIC_INPUTS, STATIC_INPUTS_FILE, VALUES};
use crate::lease;
use crate::masking::mask_made_files;
use crate::memo::{MemoLine, MemoSeal};
use crate::origin::{LeftProcess, Origin};
use crate::plan::{Decision, PlannedStep, RerunPlan};
use crate::recorded::record_definition;
use crate::run::ActiveRun;
use crate::view::{RunView, ViewEntry};

impl ActiveRun {
    /// Notes that a step is settled by hand: it is not executed.
    fn settle(&self, path: &HierarchyPath, settled: &Settled) -> Result<(), RunError> {
        let reason = settled.reason().cloned();
        let inner = self.inner();
        let state = &mut inner.state();
        inner.control(
            state,
            settled.kind(),
            Some(path),
            "resume",
            reason.map(Into::into),
        )
    }
}

/// An attempt of a step that was going on when its process died, or when it was cancelled.
#[derive(Clone, Debug, Default)]
pub struct Interrupted {
    /// Its number, which the attempt that continues it keeps.
    pub attempt: u32,
    /// How many attempts of the same visit of the step failed before it: they count against those that the step has.
    pub failed_before: u32,
    /// The exchanges that it finished.
    pub memos: Vec<MemoLine>,
}

impl Interrupted {
    /// An attempt that has finished no exchange.
    fn at(view: &RunView, path: &HierarchyPath, attempt: u32) -> Self {
        let ended = view.left(path).map_or(0, |left| left.ended);
        Self {
            attempt,
            failed_before: attempt.saturating_sub(ended + 1),
            memos: Vec::new(),
        }
    }
}

/// How somebody settled a step that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is passed over: others see no result. Perhaps why.
    Skipped(Option<String>),
    /// It failed. Perhaps why.
    Failed(Option<String>),
}

impl Settled {
    fn kind(&self) -> ControlKind {
        match self {
            Self::Skipped(_) => ControlKind::Skip,
            Self::Failed(_) => ControlKind::Fail,
        }
    }

    fn reason(&self) -> Option<&String> {
        match self {
            Self::Skipped(reason) | Self::Failed(reason) => reason.as_ref(),
        }
    }
}

/// The step of a resumed run that a selector means: one that has not ended well.
fn unsettled(selector: &str, view: &RunView, program: &Program) -> Result<HierarchyPath, RunError> {
    let parsed: PathSelector = selector.parse()?;
    let open = view.entries.iter().filter(|(path, entry)| match entry {
        ViewEntry::Component { .. } => false,
        ViewEntry::Running { .. } | ViewEntry::Waiting { .. } => true,
        ViewEntry::Step(step) => {
            let on_error = program.step(path).map(|node| node.options.on_error);
            !is_result(step, on_error.unwrap_or_default())
        }
    });
    let open: Vec<&HierarchyPath> = open.map(|(path, _)| path).collect();
    match parsed.select(open.iter().copied()) {
        Ok(path) => return Ok(path.clone()),
        Err(error @ SelectError::Ambiguous { .. }) => return Err(RunError::Settle(error)),
        Err(_) => {}
    }
    let selected = program.select_step(&parsed).map_err(RunError::Settle)?;
    let path = selected.first();
    let is_one = path == path.without_iterations() || selected.has_iterations();
    match view.step(&path) {
        None if is_one => Ok(path),
        _ => Err(RunError::NothingToSettle(path)),
    }
}

fn check_settled_once(settle: &[(HierarchyPath, Settled)]) -> Result<(), RunError> {
    let mut kinds = HashMap::new();
    for (path, settled) in settle {
        let before = kinds.insert(path, settled.kind());
        if before.is_some_and(|before| before != settled.kind()) {
            return Err(RunError::SettledTwice(path.clone()));
        }
    }
    Ok(())
}

impl RunContext {
    /// Goes on with a run in its own directory: what is committed stays, what was decided is not decided again, and
    /// what did not commit executes. `definition` is what still executes is taken from, usually
    /// [`RunView::definition`]. It is driven with what it recorded ([`RunView::settings`]) where this context gives nothing
    /// else: its environment, the models it asks, its budget, and whether it has a network.
    ///
    /// # Errors
    /// If another process drives the run, if it is completed, if it was driven last on another machine or in another
    /// directory and is not [trusted](crate::RunContextBuilder::trust_run), if its journal is damaged, or if the definition
    /// does not fit.
    pub fn resume_run(
        mut self,
        run_dir: &Path,
        definition: &impl AsRef<Definition>,
    ) -> Result<ActiveRun, RunError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(RunError::NoRuntime);
        }
        let dir = Dir::open_with(run_dir, self.options.gate.clone())?.shared_as_it_is()?;
        let dot_run = dir.open_dir(DOT_RUN)?;
        let inbox = Inbox::before_lease(&dot_run)?;
        let mut lease = lease::acquire(&dot_run, self.options.steal_lease)?;
        // Only now, because until then its driver may have written more.
        let view = RunView::open_with(run_dir, self.options.origin_key.as_ref())?;
        if let Some(version) = view.journal_end().newer.clone() {
            return Err(RunError::NewerRecords {
                run: view.run_id.to_string(),
                version,
            });
        }
        if view.root_id != self.root_id {
            return Err(RunError::OtherRoot {
                run: view.run_id.to_string(),
                found: view.root_id.to_string(),
                wanted: self.root_id.to_string(),
            });
        }
        if view.sealed_status() == Some(RunStatus::Completed) {
            return Err(RunError::AlreadyCompleted(view.run_id.to_string()));
        }
        self.check_origin(&view)?;
        view.check_inputs()?;
        self.take_up(&view.settings());
        let program = Arc::new(self.program(definition.as_ref())?);
        lease.sign(&dot_run)?;
        let settle = self.options.settle.iter().map(|(selector, settled)| {
            let path = unsettled(selector, &view, &program)?;
            Ok((path, settled.clone()))
        });
        let settle = settle.collect::<Result<Vec<_>, RunError>>()?;
        check_settled_once(&settle)?;
        for LeftProcess { path, pgid, reason } in view.end_children() {
            tracing::warn!("process group {pgid} of `{path}` is left alone, and may still execute: {reason}");
        }
        let plan = view.plan()?;
        let parent = match &plan {
            Some(plan) => self.parent_of(plan, &view)?.map(Arc::new),
            None => None,
        };
        let stage = dot_run.create_dir_all(STAGE)?;
        let trace = dir.create_dir_all(DOT_TRACE)?;
        dot_run.create_dir_all(ATTEMPTS)?;
        let durability = self.options.durability;
        if durability == Durability::Disk {
            // Whoever drove the run before may have been content with less.
            dir.sync_tree()?;
            self.sync_run_root()?;
        }
        let redactor = self.options.secrets.redactor();
        // A run that is not the user's own yet is trusted by this resume, and what its drivers left as well.
        let key = self.options.origin_key.as_ref();
        let key = key.filter(|_| view.origin() == Origin::Mine);
        let seal = key.map(|key| MemoSeal::new(key, &view.run_id));
        let interrupted = clear_stage(
            &dir,
            (&dot_run, &stage),
            &view,
            (&redactor, durability),
            seal.as_ref(),
        )?;
        let given = view.given_variables()?;
        let scope = self.scope_of(view.run_id.as_str(), dir.path(), given);
        let mut inputs = self.resolve_inputs(&program)?;
        let recorded = Path::new(STATIC_INPUTS).join(STATIC_INPUTS_FILE);
        if let Some(bytes) = dir.read_optional(&recorded)? {
            for input in parse_static_inputs(&dir.path().join(recorded), &bytes)? {
                inputs.add(input, &program, &*self.options.types)?;
            }
        }
        // Only where no command has a reason to keep files.
        for place in [&dot_run, &trace] {
            place.remove_temporaries()?;
        }
        if let Some(values) = dot_run.open_dir_optional(VALUES)? {
            values.remove_temporaries()?;
        }
        record_definition(&dot_run, &program, durability)?;
        let end = view.journal_end();
        let key = self.options.origin_key.clone();
        let mut journal = JournalWriter::resume(&dot_run, (end, view.progress().clone()), key)?;
        // The first line in the second format vouches for those before it by itself.
        if end.format == format::JOURNAL && view.origin() != Origin::Mine && journal.is_signed() {
            let trusts = journal.last_sum();
            journal.append(self.options.clock.now(), &RecordBody::Trusted { trusts }, None)?;
        }
        let opened = Opened {
            trace,
            journal,
            upgraded_from: end.digest,
            run_id: view.run_id.clone(),
            created_at: view.created_at,
            history: Some(view),
            interrupted,
            dir,
            dot_run,
            stage,
            lease,
            inbox,
        };
        let prepared = Prepared {
            program,
            parent,
            plan,
            inputs,
            given: serde_json::Map::new(),
            input_dir: None,
        };
        let run = drive(opened, prepared, scope, self)?;
        run.handle().start()?;
        for (path, settled) in settle {
            run.settle(&path, &settled)?;
        }
        Ok(run)
    }

    /// The run that a re-run was started from; `None` if it was removed and nothing is taken from it any more.
    fn parent_of(&self, plan: &RerunPlan, view: &RunView) -> Result<Option<RunView>, RunError> {
        let parent = plan.parent.as_str();
        match self.catalog().find(parent, Some(&self.root_id)) {
            // The beginning of another id is not the run that is meant.
            Ok(entry) if entry.run_id == plan.parent => self.open_previous(&entry).map(Some),
            Ok(_) | Err(RunError::UnknownRun { .. } | RunError::AmbiguousRun { .. }) => {
                match needs_parent(plan, view) {
                    true => Err(RunError::ParentGone {
                        run: view.run_id.to_string(),
                        parent: parent.to_owned(),
                    }),
                    false => Ok(None),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a re-run that is gone on with may still take something from its parent. With an entry point it took all it
/// wanted when it has every result from before and has come to the entry point: by then the branches and loops around
/// are decided as well. Without one, each step that could be taken must be there, and how many iterations a loop still
/// has is not known: steps in loops count as missing.
pub(crate) fn needs_parent(plan: &RerunPlan, view: &RunView) -> bool {
    let is_missing = |path: &HierarchyPath| view.step(path).is_none();
    let reached = |entry: &HierarchyPath| view.entries.keys().any(|path| path.is_within(entry));
    let takes = |planned: &PlannedStep| match plan.entry_point {
        Some(_) => matches!(planned.decision, Decision::Reuse { .. }),
        None => !matches!(planned.decision, Decision::Execute),
    };
    // What executes alone has the parent's results in scope.
    plan.alone
        || plan.entry_point.as_ref().is_some_and(|entry| !reached(entry))
        || plan
            .steps
            .iter()
            .any(|planned| takes(planned) && is_missing(&planned.path))
}

/// Moves what attempts left behind out of the stage, and finds those that can be gone on with.
fn clear_stage(
    dir: &Dir,
    (dot_run, stage): (&Dir, &Dir),
    view: &RunView,
    (redactor, durability): (&Redactor, Durability),
    seal: Option<&MemoSeal>,
) -> Result<HashMap<HierarchyPath, Interrupted>, RunError> {
    let mut interrupted = HashMap::new();
    let attempts = dot_run.open_dir(ATTEMPTS)?;
    for (path, entry) in &view.entries {
        let attempt = match entry {
            ViewEntry::Running { attempt, .. } => attempt,
            ViewEntry::Step(step) if step.status == StepStatus::Cancelled => {
                let had_failed = view.left(path).and_then(|left| left.failed) == Some(step.attempt);
                let going_on = match had_failed {
                    // It was cancelled in the pause behind a failed attempt: the next one begins with nothing.
                    true => Interrupted::at(view, path, step.attempt + 1),
                    false => cancelled(view, step)?,
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
        // Only now, because whoever was interrupted while it went on with the run has moved some of them already.
        let vouched_at = view.progress().tally.vouched_at;
        going_on.memos = memos_of(&attempts, started, (seal, path), vouched_at)?;
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
    (seal, path): (Option<&MemoSeal>, &HierarchyPath),
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
        let memos = MemoLine::read_in(attempts, &file, (seal, path))?;
        if memos.len() > longest.len() {
            longest = memos;
        }
    }
    Ok(longest)
}

/// A name in a directory that nothing has yet.
pub(crate) fn free_name(dir: &Dir, wanted: &str) -> FsResult<String> {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while dir.kind(&name)?.is_some() {
        number += 1;
        name = format!("{wanted}_{number}");
    }
    Ok(name)
}
