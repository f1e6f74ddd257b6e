//! From a directory that is there to a run that is driven.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use blake3::Hasher;
use dad_core::{Digest, HierarchyPath, RunId, RunStatus, Timestamp};
use dad_definition::SpanMap;
use dad_events::{RunIdentity, RunReader};
use dad_fs::Dir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::budget::Accounts;
use crate::clock::random_hex;
use crate::context::{Prepared, RunContext};
use crate::error::RunError;
use crate::git_commit::git_commit;
use crate::inbox::{Inbox, MessageBody};
use crate::inner::{RunInner, State};
use crate::journal::file::JournalWriter;
use crate::lease::Lease;
use crate::memo::MemoSeal;
use crate::origin_key::OriginKey;
use crate::question::Answer;
use crate::reader::ResultReader;
use crate::resume::Interrupted;
use crate::rules::Rules;
use crate::run::{ActiveRun, RunScope};
use crate::view::RunView;

/// How often it is looked for what other processes ask for.
const INBOX_INTERVAL: Duration = Duration::from_millis(250);

/// A run directory that this process may write.
pub(crate) struct Opened {
    pub(crate) dir: Dir,
    pub(crate) dot_run: Dir,
    pub(crate) stage: Dir,
    pub(crate) trace: Dir,
    pub(crate) lease: Lease,
    pub(crate) inbox: Inbox,
    pub(crate) journal: JournalWriter,
    pub(crate) run_id: RunId,
    pub(crate) created_at: Timestamp,
    /// What the run did before, if it is resumed.
    pub(crate) history: Option<RunView>,
    pub(crate) interrupted: HashMap<HierarchyPath, Interrupted>,
    /// Of a run that was begun in the first format: digest of all lines so far.
    pub(crate) upgraded_from: Option<Digest>,
}

/// Takes the wheel of a run: everything is there, and its metadata says that it runs.
pub(crate) fn drive(
    opened: Opened,
    prepared: Prepared,
    scope: RunScope,
    context: RunContext,
) -> Result<ActiveRun, RunError> {
    let RunContext {
        root_id,
        dirs,
        settings,
        overrides,
        options,
        bus,
        ..
    } = context;
    let Prepared {
        program,
        parent,
        plan,
        inputs,
        ..
    } = prepared;
    let before = opened.history.as_ref();
    let epoch = opened.journal.progress().tally.epoch + 1;
    let usage = opened.journal.progress().tally.totals.usage;
    let created = opened.journal.progress().tally.created.as_ref();
    let salt = created
        .and_then(|created| created.salt.clone())
        .unwrap_or_default();
    let run_id = opened.run_id;
    let identity = Arc::new(RunIdentity {
        run_id: run_id.clone(),
        root_id,
        run_dir: opened.dir.path().to_path_buf(),
        trace_dir: opened.trace.path().to_path_buf(),
        session: epoch,
        previous_run_id: plan.as_ref().map(|plan| plan.parent.clone()),
        secrets: options.secrets.clone(),
        reader: RunReader::default(),
    });
    let mut inbox = opened.inbox.in_session(epoch);
    let answers = answers_meanwhile(&mut inbox, &opened.dot_run, before)?;
    let in_definition = program.definition.budget.unwrap_or_default();
    let budget = in_definition.overridden_by(settings.budget.unwrap_or_default());
    let rules = Rules::new(
        &program.definition.approvals,
        options.approval_rules,
        opened.history.as_ref(),
    )?;
    let reader = ResultReader {
        dir: opened.dir.clone(),
        program,
        scope,
        parent,
        alone: plan.as_ref().is_some_and(|plan| plan.alone),
        history: opened.history.map(Arc::new),
        voided: Arc::default(),
    };
    let inner = RunInner {
        bus: bus.start(&identity),
        identity,
        git_commit: git_commit(&dirs.project_root),
        dir: opened.dir,
        dot_run: opened.dot_run,
        stage: opened.stage,
        trace: opened.trace,
        durability: options.durability,
        runtime: tokio::runtime::Handle::try_current().map_err(|_| RunError::NoRuntime)?,
        this: Weak::new(),
        clock: options.clock,
        secrets: options.secrets,
        resources: options.resources,
        types: options.types,
        definition_files: files_of(options.spans.as_deref(), &dirs.project_root),
        reader,
        accounts: Accounts::new(budget, usage),
        plan,
        interactive: options.interactive,
        rules,
        stop: options.stop,
        cancelled: CancellationToken::new(),
        ended_at_once: CancellationToken::new(),
        any_cancelled: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        is_driven: AtomicBool::new(false),
        created_at: opened.created_at,
        started: Instant::now(),
        epoch,
        token: random_hex()?,
        memo_seal: options.origin_key.as_ref().map(|key| MemoSeal::new(key, &run_id)),
        facts_hasher: facts_hasher(options.origin_key.as_ref(), &salt),
        salt,
        settings: settings.resolved(),
        overrides,
        upgraded_from: opened.upgraded_from,
        answer_came: Notify::new(),
        inbox: Mutex::new(inbox),
        state: Mutex::new(State {
            journal: opened.journal,
            batch: Batch::default(),
            lease: Some(opened.lease),
            first_failures: Vec::new(),
            inputs,
            started: HashSet::new(),
            output: None,
            interrupted: opened.interrupted,
            open_questions: 0,
            asked: HashMap::new(),
            taken: HashSet::new(),
            answers,
            cancelled: Vec::new(),
            stoppable: BTreeMap::new(),
        }),
    };
    inner
        .metadata(RunStatus::Running, None, None)
        .write(&inner.trace, inner.durability)?;
    Ok(ActiveRun::new(inner))
}

fn facts_hasher(key: Option<&OriginKey>, salt: &str) -> Hasher {
    match key {
        Some(key) => key.preview_hasher(),
        None => Hasher::new_derive_key(&format!("dhenara 2026 preview {salt}")),
    }
}

/// The answers that came while nothing drove the run, by question. What else has come is left for the inbox's watcher.
fn answers_meanwhile(
    inbox: &mut Inbox,
    dot_run: &Dir,
    before: Option<&RunView>,
) -> Result<HashMap<String, Answer>, RunError> {
    let mut answers = HashMap::new();
    for received in inbox.new_messages(dot_run)? {
        match Answer::of(received.message.clone()) {
            Some((question, answer)) => drop(answers.insert(question, answer)),
            None => inbox.put_back(&received),
        }
    }
    let is_open = |id: &String| before.is_some_and(|view| view.progress().open.questions.contains_key(id));
    answers.retain(|id, _| is_open(id));
    Ok(answers)
}

/// The files of a definition, which names them from the project, and those outside of it as they were given.
fn files_of(spans: Option<&SpanMap>, project_root: &Path) -> Vec<PathBuf> {
    let files = spans.into_iter().flat_map(SpanMap::files);
    let found = |(shown, _): (&str, Digest)| {
        let in_project = project_root.join(shown);
        match in_project.exists() {
            true => in_project,
            false => std::path::absolute(shown).unwrap_or(in_project),
        }
    };
    files.map(found).collect()
}

/// Does what the application and other processes ask for, until the run has ended.
pub(crate) async fn watch_inbox(run: Weak<RunInner>) {
    loop {
        let Some(run) = run.upgrade() else { return };
        if run.ended.load(Ordering::Acquire) {
            return;
        }
        let is_stopped = run.is_stopped();
        let is_ended = run.ended_at_once.is_cancelled();
        run.read_inbox();
        let stop = run.stop.clone();
        drop(run);
        tokio::select! {
            () = tokio::time::sleep(INBOX_INTERVAL) => {}
            () = stop.stopping().asked(), if !is_stopped => {}
            () = stop.ending().asked(), if !is_ended => {}
        }
    }
}

impl RunInner {
    /// Does what other processes have asked for since the last look: a run looks several times a second, and at once
    /// before it comes to rest. Trouble with one message delays that message alone.
    pub(crate) fn read_inbox(&self) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = match inbox.new_messages(&self.dot_run) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "the messages to the run cannot be read");
                return;
            }
        };
        for received in messages {
            let message = &received.message;
            if let MessageBody::Cancel { path } = &message.body {
                match self.cancel(path.as_ref(), &message.source) {
                    Ok(()) | Err(RunError::Ended) => {}
                    Err(error) => {
                        if inbox.warns_of(&received) {
                            tracing::warn!(%error, "a cancel is obeyed, and cannot be recorded yet");
                        }
                        inbox.put_back(&received);
                    }
                }
            } else if let Some((question, answer)) = Answer::of(received.message) {
                self.state().answers.insert(question, answer);
                self.answer_came.notify_waiters();
            }
        }
    }
}
