//! From an open run directory to a run that is driven.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Instant;

use blake3::Hasher;
use dad_core::{Digest, ElementId, HierarchyPath, RunId, RunStatus, Timestamp};
use dad_definition::SpanMap;
use dad_events::RunInfo;
use dad_fs::Dir;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::random_hex;
use crate::error::RunError;
use crate::git_commit::git_commit;
use crate::journal::writer::JournalWriter;
use crate::live::accounts::Accounts;
use crate::live::active_run::ActiveRun;
use crate::live::inbox::Inbox;
use crate::live::interrupted::Interrupted;
use crate::live::result_store::ResultStore;
use crate::live::rules::Rules;
use crate::live::scope::RunScope;
use crate::live::shared::{RunShared, State};
use crate::origin_key::OriginKey;
use crate::rerun::plan::RerunPlan;
use crate::setup::context::RunContext;
use crate::setup::options::Options;
use crate::setup::prepare::Prepared;
use crate::store::lease::Lease;
use crate::store::memo_file::MemoSeal;
use crate::store::message::Answer;
use crate::store::view::RunView;

/// A run directory that this process may write.
pub(crate) struct OpenedRunDir {
    pub(crate) dir: Dir,
    pub(crate) dot_run: Dir,
    pub(crate) stage: Dir,
    pub(crate) trace: Dir,
    pub(crate) lease: Lease,
    pub(crate) inbox: Inbox,
    pub(crate) journal: JournalWriter,
    pub(crate) run_id: RunId,
    pub(crate) created_at: Timestamp,
    /// The run as earlier processes left it, if it is resumed.
    pub(crate) history: Option<RunView>,
    pub(crate) interrupted: HashMap<HierarchyPath, Interrupted>,
    /// Of a run that was begun in the first format: digest of all lines so far.
    pub(crate) upgraded_from: Option<Digest>,
}

/// Starts driving a run: its directory is complete, and its metadata says that it runs.
pub(crate) fn drive(
    opened: OpenedRunDir,
    prepared: Prepared,
    scope: RunScope,
    context: RunContext,
) -> Result<ActiveRun, RunError> {
    let RunContext {
        settings, options, ..
    } = context;
    let Prepared { program, plan, .. } = prepared;
    let before = opened.history.as_ref();
    let epoch = opened.journal.progress().tally.epoch + 1;
    let usage = opened.journal.progress().tally.totals.usage;
    let salt = salt_of(&opened.journal);
    let memo_seal = memo_seal(&options, &opened.run_id);
    let identity = Arc::new(identity(&opened, context.root_id, &options, plan.as_ref()));
    let mut inbox = opened.inbox.in_session(epoch);
    let answers = answers_meanwhile(&mut inbox, &opened.dot_run, before)?;
    let in_definition = program.definition.budget.unwrap_or_default();
    let budget = in_definition.overridden_by(settings.budget.unwrap_or_default());
    let approvals = &program.definition.approvals;
    let rules = Rules::new(approvals, options.approval_rules, before)?;
    let reader = ResultStore {
        dir: opened.dir.clone(),
        program,
        scope,
        parent: prepared.parent,
        alone: plan.as_ref().is_some_and(|plan| plan.alone),
        history: opened.history.map(Arc::new),
        voided: Arc::default(),
    };
    let state = State::new(
        opened.journal,
        opened.lease,
        prepared.inputs,
        opened.interrupted,
        answers,
    );
    let inner = RunShared {
        bus: context.bus.start(&identity),
        identity,
        git_commit: git_commit(&context.dirs.project_root),
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
        definition_files: files_of(options.spans.as_deref(), &context.dirs.project_root),
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
        activities: AtomicU64::new(0),
        is_driven: AtomicBool::new(false),
        created_at: opened.created_at,
        started: Instant::now(),
        epoch,
        token: random_hex()?,
        memo_seal,
        facts_hasher: facts_hasher(options.origin_key.as_ref(), &salt),
        salt,
        settings: settings.resolved(),
        overrides: context.overrides,
        upgraded_from: opened.upgraded_from,
        answer_came: Notify::new(),
        inbox: Mutex::new(inbox),
        state: Mutex::new(state),
    };
    inner
        .metadata(RunStatus::Running, None, None)
        .write(&inner.trace, inner.durability)?;
    Ok(ActiveRun::new(inner))
}

fn memo_seal(options: &Options, run_id: &RunId) -> Option<MemoSeal> {
    let key = options.origin_key.as_ref();
    key.map(|key| MemoSeal::new(key, run_id))
}

fn identity(
    opened: &OpenedRunDir,
    root_id: ElementId,
    options: &Options,
    plan: Option<&RerunPlan>,
) -> RunInfo {
    let run_dir = opened.dir.path().to_path_buf();
    let trace_dir = opened.trace.path().to_path_buf();
    let mut info = RunInfo::new(opened.run_id.clone(), root_id, run_dir, trace_dir)
        .session(opened.journal.progress().tally.epoch + 1)
        .secrets(options.secrets.clone());
    info.previous_run_id = plan.map(|plan| plan.parent.clone());
    info
}

/// The salt of the run; empty if it began in the first format.
fn salt_of(journal: &JournalWriter) -> String {
    let created = journal.progress().tally.created.as_ref();
    created
        .and_then(|created| created.salt.clone())
        .unwrap_or_default()
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
            Some((question, answer)) => {
                answers.insert(question, answer);
            }
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
        if in_project.exists() {
            in_project
        } else {
            std::path::absolute(shown).unwrap_or(in_project)
        }
    };
    files.map(found).collect()
}
