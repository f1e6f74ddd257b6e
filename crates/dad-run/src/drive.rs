//! From a directory that is there to a run that is driven.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use dad_core::{HierarchyPath, RunId, RunStatus, Timestamp};
use dad_events::{RunIdentity, RunReader};
use dad_fs::{Dir, FileLock};
use tokio::sync::Notify;

use crate::batch::Batch;
use crate::budget::Accounts;
use crate::context::{Prepared, RunContext};
use crate::error::RunError;
use crate::inbox::{Inbox, MessageBody};
use crate::inner::{RunInner, State};
use crate::journal::JournalWriter;
use crate::machine;
use crate::question::Answer;
use crate::reader::ResultReader;
use crate::resume::Interrupted;
use crate::run::{ActiveRun, RunHandle, RunScope};
use crate::view::RunView;

/// How often it is looked for what other processes ask for.
const INBOX_INTERVAL: Duration = Duration::from_millis(250);

/// A run directory that this process may write.
pub(crate) struct Opened {
    pub(crate) dir: Dir,
    pub(crate) dot_run: Dir,
    pub(crate) stage: Dir,
    pub(crate) trace: Dir,
    pub(crate) lease: FileLock,
    pub(crate) journal: JournalWriter,
    pub(crate) run_id: RunId,
    pub(crate) created_at: Timestamp,
    /// What the run did before, if it is resumed.
    pub(crate) history: Option<RunView>,
    pub(crate) interrupted: HashMap<HierarchyPath, Interrupted>,
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
    let (epoch, totals) = before.map_or_else(Default::default, |view| (view.open_ends().epoch, view.totals));
    let epoch = epoch + 1;
    let identity = Arc::new(RunIdentity {
        run_id: opened.run_id,
        root_id,
        run_dir: opened.dir.path().to_path_buf(),
        trace_dir: opened.trace.path().to_path_buf(),
        session: epoch,
        previous_run_id: plan.as_ref().map(|plan| plan.parent.clone()),
        secrets: options.secrets.clone(),
        reader: RunReader::default(),
    });
    let settled = before
        .map(|view| view.open_ends().settled.clone())
        .unwrap_or_default();
    let (inbox, mut answers) = Inbox::open(&opened.dot_run)?;
    let is_open = |id: &String| before.is_some_and(|view| view.open_ends().questions.contains_key(id));
    answers.retain(|id, _| is_open(id));
    let in_definition = program.definition.budget.unwrap_or_default();
    let in_history = before.map(|view| view.open_ends().budget).unwrap_or_default();
    let budget = in_definition
        .overridden_by(in_history)
        .overridden_by(options.budget);
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
        git_commit: machine::git_commit(&dirs.project_root),
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
        reader,
        accounts: Accounts::new(budget, totals.usage),
        plan,
        interactive: options.interactive,
        // Somebody who cancels this run does not cancel others that were given the same token.
        cancelled: options.cancelled.child_token(),
        any_cancelled: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        created_at: opened.created_at,
        started: Instant::now(),
        epoch,
        answer_came: Notify::new(),
        state: Mutex::new(State {
            journal: opened.journal,
            batch: Batch::default(),
            lease: Some(opened.lease),
            totals,
            first_failures: Vec::new(),
            inputs,
            started: HashSet::new(),
            interrupted: opened.interrupted,
            root_ended: None,
            open_questions: 0,
            asked: HashMap::new(),
            taken: HashSet::new(),
            answers,
            settled,
            cancelled: Vec::new(),
            executing: HashMap::new(),
        }),
    };
    inner
        .metadata(RunStatus::Running, None, None)
        .write(&inner.trace, inner.durability)?;
    let run = ActiveRun::new(inner);
    tokio::spawn(watch_inbox(run.inner().this.clone(), inbox));
    Ok(run)
}

/// Does what other processes ask for, until the run has ended.
async fn watch_inbox(run: Weak<RunInner>, mut inbox: Inbox) {
    loop {
        tokio::time::sleep(INBOX_INTERVAL).await;
        let Some(run) = RunHandle::of(&run) else { return };
        if let Err(error) = read_inbox(&run, &mut inbox) {
            match error {
                RunError::Ended => return,
                error => tracing::warn!(%error, "what other processes ask for cannot be read"),
            }
        }
    }
}

fn read_inbox(run: &RunHandle, inbox: &mut Inbox) -> Result<(), RunError> {
    if run.inner().ended.load(Ordering::Acquire) {
        return Err(RunError::Ended);
    }
    for message in inbox.new_messages(&run.inner().dot_run)? {
        match message.body {
            MessageBody::Cancel { path } => run.cancel(path.as_ref(), &message.source)?,
            _ => {
                if let Some((question, answer)) = Answer::of(message) {
                    run.inner().state().answers.insert(question, answer);
                    run.inner().answer_came.notify_waiters();
                }
            }
        }
    }
    Ok(())
}
