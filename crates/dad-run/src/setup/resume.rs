//! Resuming a run that did not complete, in its own directory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, HierarchyPath, PathSelector, RunStatus, SelectError};
use dad_definition::Program;
use dad_fs::{Dir, Durability};

use crate::error::{RunError, SetupError};
use crate::format;
use crate::journal::record::RecordBody;
use crate::journal::settled::Settled;
use crate::journal::state::ViewEntry;
use crate::journal::writer::JournalWriter;
use crate::layout::{ATTEMPTS, DOT_RUN, DOT_TRACE, STAGE, STATIC_INPUTS, STATIC_INPUTS_FILE, VALUES};
use crate::live::active_run::ActiveRun;
use crate::live::inbox::Inbox;
use crate::live::inputs::{GivenInputs, parse_static_inputs};
use crate::live::interrupted::Interrupted;
use crate::origin::Origin;
use crate::rerun::decide::is_result;
use crate::rerun::plan::RerunPlan;
use crate::setup::context::RunContext;
use crate::setup::drive::{OpenedRunDir, drive};
use crate::setup::leftovers::clear_stage;
use crate::setup::prepare::Prepared;
use crate::store::children::LeftProcess;
use crate::store::definition_file::record_definition;
use crate::store::lease;
use crate::store::memo_file::MemoSeal;
use crate::store::needs_parent::needs_parent;
use crate::store::view::RunView;

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

/// The step of a resumed run that a selector means: one that has not ended well.
fn unsettled(selector: &str, view: &RunView, program: &Program) -> Result<HierarchyPath, SetupError> {
    let parsed: PathSelector = selector.parse()?;
    let open = view.entries().filter(|(path, entry)| match entry {
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
        Err(error @ SelectError::Ambiguous { .. }) => return Err(SetupError::Settle(error)),
        Err(_) => {}
    }
    let selected = program.select_step(&parsed).map_err(SetupError::Settle)?;
    let path = selected.first();
    let is_one = path == path.without_iterations() || selected.has_iterations();
    match view.step(&path) {
        None if is_one => Ok(path),
        _ => Err(SetupError::NothingToSettle(path)),
    }
}

fn check_settled_once(settle: &[(HierarchyPath, Settled)]) -> Result<(), SetupError> {
    let mut kinds = HashMap::new();
    for (path, settled) in settle {
        let before = kinds.insert(path, settled.kind());
        if before.is_some_and(|before| before != settled.kind()) {
            return Err(SetupError::SettledTwice(path.clone()));
        }
    }
    Ok(())
}

impl RunContext {
    /// Resumes a run in its own directory: what is committed stays, what was decided is not decided again, and
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
        // Before the lease is taken: the sender of a later cancel may have seen the lease, and means this driver.
        let inbox = Inbox::before_lease(&dot_run)?;
        let mut lease = lease::acquire(&dot_run, self.options.steal_lease)?;
        // Only now, because until then its driver may have written more.
        let view = RunView::open_with(run_dir, self.options.origin_key.as_ref())?;
        self.check_resumable(&view)?;
        self.take_up(&view.settings());
        let program = Arc::new(self.program(definition.as_ref())?);
        // Signed only after all checks of the run: a refused resume leaves the holder that was there.
        lease.sign(&dot_run)?;
        let settle = self.settled_steps(&view, &program)?;
        // Before the stage is cleared, because children of the last driver may still write there.
        for LeftProcess { path, pgid, reason } in view.end_children() {
            tracing::warn!("process group {pgid} of `{path}` is not ended, and may still execute: {reason}");
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
            // The last driver may have promised less.
            dir.sync_tree()?;
            self.sync_run_root()?;
        }
        let interrupted = self.clear_stage(&dir, &dot_run, &stage, &view)?;
        let given = view.given_variables()?;
        let scope = self.scope_of(view.run_id.as_str(), dir.path(), given);
        let inputs = self.inputs_with_recorded(&dir, &program)?;
        remove_temporaries(&dot_run, &trace)?;
        // Before the record that names its digest.
        record_definition(&dot_run, &program, durability)?;
        let journal = self.continue_journal(&dot_run, &view)?;
        let opened = OpenedRunDir {
            trace,
            journal,
            upgraded_from: view.journal_end().digest,
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

    /// Refuses a run that cannot be resumed by this program, for this root, or without more trust.
    fn check_resumable(&self, view: &RunView) -> Result<(), RunError> {
        if let Some(version) = view.journal_end().newer.clone() {
            return Err(RunError::NewerRecords {
                run: view.run_id.to_string(),
                version,
            });
        }
        if view.root_id != self.root_id {
            return Err(SetupError::OtherRoot {
                run: view.run_id.to_string(),
                found: view.root_id.to_string(),
                wanted: self.root_id.to_string(),
            }
            .into());
        }
        if view.sealed_status() == Some(RunStatus::Completed) {
            return Err(SetupError::AlreadyCompleted(view.run_id.to_string()).into());
        }
        self.check_origin(view)?;
        view.check_inputs()
    }

    /// The steps that the user settles by hand.
    fn settled_steps(
        &self,
        view: &RunView,
        program: &Program,
    ) -> Result<Vec<(HierarchyPath, Settled)>, RunError> {
        let settle = self.options.settle.iter().map(|(selector, settled)| {
            let path = unsettled(selector, view, program)?;
            Ok((path, settled.clone()))
        });
        let settle = settle.collect::<Result<Vec<_>, RunError>>()?;
        check_settled_once(&settle)?;
        Ok(settle)
    }

    /// Moves the directories of earlier attempts out of the stage, and finds the attempts that continue.
    fn clear_stage(
        &self,
        dir: &Dir,
        dot_run: &Dir,
        stage: &Dir,
        view: &RunView,
    ) -> Result<HashMap<HierarchyPath, Interrupted>, RunError> {
        let redactor = self.options.secrets.redactor();
        // A run that is not the user's own yet is trusted by this resume, with the memos of its earlier drivers.
        let key = self.options.origin_key.as_ref();
        let key = key.filter(|_| view.origin() == Origin::Mine);
        let seal = key.map(|key| MemoSeal::new(key, &view.run_id));
        clear_stage(
            dir,
            dot_run,
            stage,
            view,
            &redactor,
            self.options.durability,
            seal.as_ref(),
        )
    }

    /// The inputs that this context gives, and over them those that the run was made with.
    fn inputs_with_recorded(&self, dir: &Dir, program: &Program) -> Result<GivenInputs, RunError> {
        let mut inputs = self.resolve_inputs(program)?;
        let recorded = Path::new(STATIC_INPUTS).join(STATIC_INPUTS_FILE);
        if let Some(bytes) = dir.read_optional(&recorded)? {
            for input in parse_static_inputs(&dir.path().join(recorded), &bytes)? {
                inputs.add(input, program, &*self.options.types)?;
            }
        }
        Ok(inputs)
    }

    /// Opens the journal behind its last whole record, and records that the user trusts a run of another origin.
    fn continue_journal(&self, dot_run: &Dir, view: &RunView) -> Result<JournalWriter, RunError> {
        let end = view.journal_end();
        let key = self.options.origin_key.clone();
        let mut journal = JournalWriter::resume(dot_run, end, view.progress().clone(), key)?;
        // The first line in the second format vouches for those before it by itself.
        if end.format == format::JOURNAL && view.origin() != Origin::Mine && journal.is_signed() {
            let trusts = journal.last_sum();
            journal.append(self.options.clock.now(), &RecordBody::Trusted { trusts }, None)?;
        }
        Ok(journal)
    }

    /// The run that a re-run was started from; `None` if it was removed and nothing is taken from it any more.
    fn parent_of(&self, plan: &RerunPlan, view: &RunView) -> Result<Option<RunView>, RunError> {
        let is_unknown = |error: &RunError| {
            matches!(
                error.setup(),
                Some(SetupError::UnknownRun { .. } | SetupError::AmbiguousRun { .. })
            )
        };
        let parent = plan.parent.as_str();
        match self.catalog().find(parent, Some(&self.root_id)) {
            // The beginning of another id is not the run that is meant.
            Ok(entry) if entry.run_id == plan.parent => self.open_previous(&entry).map(Some),
            Err(error) if !is_unknown(&error) => Err(error),
            _ if needs_parent(plan, view) => Err(RunError::ParentGone {
                run: view.run_id.to_string(),
                parent: parent.to_owned(),
            }),
            _ => Ok(None),
        }
    }
}

/// Removes temporary files of earlier drivers, only in directories where no command has a reason to keep files.
fn remove_temporaries(dot_run: &Dir, trace: &Dir) -> Result<(), RunError> {
    for place in [dot_run, trace] {
        place.remove_temporaries()?;
    }
    if let Some(values) = dot_run.open_dir_optional(VALUES)? {
        values.remove_temporaries()?;
    }
    Ok(())
}
