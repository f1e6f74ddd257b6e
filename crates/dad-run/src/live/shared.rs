//! The state of a run that its handles share, and the critical section of its journal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use blake3::Hasher;
use dad_core::{Digest, FirstFailure, HierarchyPath, SecretRegistry, Timestamp};
use dad_definition::NodeTypes;
use dad_events::{Event, EventBody, EventBus, RunInfo};
use dad_fs::{Dir, Durability};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::RunError;
use crate::journal::place::RunPlace;
use crate::journal::record::{Driver, RecordBody, SessionStart};
use crate::journal::settings::RunSettings;
use crate::journal::state::voided_by;
use crate::journal::step_committed::StepCommitted;
use crate::journal::writer::JournalWriter;
use crate::live::accounts::Accounts;
use crate::live::batch::{Batch, closes_batch};
use crate::live::inbox::Inbox;
use crate::live::inputs::GivenInputs;
use crate::live::interrupted::Interrupted;
use crate::live::resources::Resources;
use crate::live::result_store::ResultStore;
use crate::live::rules::Rules;
use crate::live::stop::{RunStop, Stop};
use crate::rerun::plan::RerunPlan;
use crate::store::lease::Lease;
use crate::store::memo_file::MemoSeal;
use crate::store::message::Answer;
use crate::{format, host};

pub(crate) struct RunShared {
    pub(crate) identity: Arc<RunInfo>,
    pub(crate) dir: Dir,
    pub(crate) dot_run: Dir,
    pub(crate) stage: Dir,
    pub(crate) trace: Dir,
    pub(crate) durability: Durability,
    /// The runtime on which batches are closed.
    pub(crate) runtime: tokio::runtime::Handle,
    /// The run itself, for that task.
    pub(crate) this: Weak<RunShared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bus: EventBus,
    pub(crate) secrets: SecretRegistry,
    pub(crate) resources: Resources,
    pub(crate) types: Arc<dyn NodeTypes>,
    /// The files that the definition was read from.
    pub(crate) definition_files: Vec<PathBuf>,
    /// Definition, variables and results, for those who only read.
    pub(crate) reader: ResultStore,
    pub(crate) plan: Option<RerunPlan>,
    pub(crate) accounts: Accounts,
    pub(crate) interactive: bool,
    pub(crate) rules: Rules,
    /// The stop signal of the application.
    pub(crate) stop: RunStop,
    /// Fires when the run is to stop, behind the record of that.
    pub(crate) cancelled: CancellationToken,
    /// Fires when what stands under `finally` is to stop as well.
    pub(crate) ended_at_once: CancellationToken,
    pub(crate) ended: AtomicBool,
    /// The number of activities that have begun in this process.
    pub(crate) activities: AtomicU64,
    /// Whether there is a driver.
    pub(crate) is_driven: AtomicBool,
    /// Whether anything but the whole run is to stop.
    pub(crate) any_cancelled: AtomicBool,
    pub(crate) created_at: Timestamp,
    pub(crate) started: Instant,
    pub(crate) git_commit: Option<String>,
    /// The number of processes that have driven the run, this one included.
    pub(crate) epoch: u32,
    /// The token in the environment of its children, by which they are recognised.
    pub(crate) token: String,
    /// The salt for digests of values that must not be guessed.
    pub(crate) salt: String,
    /// Hashes what people are shown before something executes.
    pub(crate) facts_hasher: Hasher,
    /// The seal of memos, if there is an origin key.
    pub(crate) memo_seal: Option<MemoSeal>,
    /// The settings that this process drives it with.
    pub(crate) settings: RunSettings,
    /// Which of it was recorded otherwise.
    pub(crate) overrides: Vec<String>,
    /// Of a run that was begun in the first format: digest of all lines before this process resumed it.
    pub(crate) upgraded_from: Option<Digest>,
    /// Told when an answer has come from outside.
    pub(crate) answer_came: Notify,
    pub(crate) inbox: Mutex<Inbox>,
    pub(crate) state: Mutex<State>,
}

/// The mutable state of a run. Its lock is the journal's critical section.
pub(crate) struct State {
    pub(crate) journal: JournalWriter,
    pub(crate) batch: Batch,
    pub(crate) lease: Option<Lease>,
    pub(crate) first_failures: Vec<FirstFailure>,
    pub(crate) inputs: GivenInputs,
    pub(crate) started: HashSet<HierarchyPath>,
    /// Digest of `output.json`, once it is written.
    pub(crate) output: Option<Digest>,
    /// Attempts that a resumed run continues.
    pub(crate) interrupted: HashMap<HierarchyPath, Interrupted>,
    /// The number of steps that wait for an answer.
    pub(crate) open_questions: u64,
    /// The number of questions of each step or component in this process.
    pub(crate) asked: HashMap<HierarchyPath, u32>,
    /// Questions whose answers were taken in this process.
    pub(crate) taken: HashSet<String>,
    /// Answers from outside that no step has taken yet, by question.
    pub(crate) answers: HashMap<String, Answer>,
    /// The steps and components that were cancelled, beside the whole run.
    pub(crate) cancelled: Vec<HierarchyPath>,
    /// Steps and components that have begun and not ended, and what stops each.
    pub(crate) stoppable: BTreeMap<HierarchyPath, Stop>,
}

impl State {
    /// The state of a run that this process is about to drive.
    pub(crate) fn new(
        journal: JournalWriter,
        lease: Lease,
        inputs: GivenInputs,
        interrupted: HashMap<HierarchyPath, Interrupted>,
        answers: HashMap<String, Answer>,
    ) -> Self {
        Self {
            journal,
            batch: Batch::default(),
            lease: Some(lease),
            first_failures: Vec::new(),
            inputs,
            started: HashSet::new(),
            output: None,
            interrupted,
            open_questions: 0,
            asked: HashMap::new(),
            taken: HashSet::new(),
            answers,
            cancelled: Vec::new(),
            stoppable: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for RunShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("run_id", &self.identity.run_id)
            .finish_non_exhaustive()
    }
}

impl RunShared {
    /// Whether what questions are about is recorded. A run that began in the first format has no salt, and a re-run of it, which
    /// has one, could not compare.
    pub(crate) fn tells_subjects(&self) -> bool {
        !self.salt.is_empty()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Appends a record and publishes its event, in one critical section.
    pub(crate) fn record(&self, body: &RecordBody, event: Option<EventBody>) -> Result<u64, RunError> {
        self.record_in(&mut self.state(), body, event, false)
    }

    pub(crate) fn record_in(
        &self,
        state: &mut State,
        body: &RecordBody,
        event: Option<EventBody>,
        effect: bool,
    ) -> Result<u64, RunError> {
        if self.ended.load(Ordering::Acquire) {
            return Err(RunError::Ended);
        }
        let at = self.clock.now();
        let voided = self.voided_by(&state.journal, body);
        let seq = state.journal.append(at, body, voided)?;
        let event = event.map(|body| Event::new(Some(seq), at, Arc::clone(&self.identity), body));
        match self.durability {
            Durability::Process => {
                if let Some(event) = event {
                    self.bus.publish(event);
                }
            }
            Durability::Disk => {
                state.batch.add(event);
                if effect || closes_batch(body) {
                    self.close_batch(state)?;
                } else {
                    self.close_soon(state);
                }
            }
        }
        Ok(seq)
    }

    /// The earlier end of a step that a record voids, from before this process resumed the run.
    fn voided_by(&self, journal: &JournalWriter, body: &RecordBody) -> Option<&StepCommitted> {
        let history = self.reader.history.as_deref()?;
        let path = voided_by(body, &journal.progress().open)?;
        // Only once: what is voided here has no end from before any more.
        history.step(path).filter(|_| self.reader.void(path))
    }

    pub(crate) fn driver(&self) -> Driver {
        let place = self.place();
        Driver {
            run_dir: place.run_dir,
            run_root: place.run_root,
            project_root: place.project_root,
            epoch: self.epoch,
            pid: std::process::id(),
            host: host::name(),
            boot_id: host::boot_id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: self.git_commit.clone(),
        }
    }

    /// The session of this process, for its first record.
    pub(crate) fn session(&self) -> SessionStart {
        SessionStart {
            driver: self.driver(),
            schema_version: self.upgraded_from.map(|_| format::JOURNAL),
            prev: self.upgraded_from,
            definition: Some(self.reader.program.digest),
            token: Some(self.token.clone()),
            settings: self.settings.clone(),
            overrides: self.overrides.clone(),
        }
    }

    /// The place where the run is driven.
    pub(crate) fn place(&self) -> RunPlace {
        self.reader.scope.place.clone()
    }
}
