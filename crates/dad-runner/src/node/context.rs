use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use dad_core::json::check_recorded;
use dad_core::{Clean, Digest, HierarchyPath, NodeType, Redactor, RuleDecision, StepStatus, Usage};
use dad_fs::Dir;
use dad_run::driver::StagedStep;
use dad_run::layout::CUSTOM_ARTIFACTS;
use dad_run::{Available, Estimate, MemoLine, Reservation, RunError, RunHandle, SecretSource};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::sync::WaitForCancellationFuture;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::ask::approval::{Agreement, Approval, CleanCall, Intent, WantedCall};
use crate::flow::component::Walk;
use crate::node::blocking::{Stop, run_blocking};
use crate::node::error::NodeError;
use crate::node::lifetime::{Guard, Life};
use crate::node::memo::Memo;
use crate::node::output::NodeOutput;
use crate::node::traits::Preview;

/// What a node has beside its settings and input. Cheap to clone: clones are the same step.
#[derive(Clone)]
pub struct NodeContext {
    walk: Arc<Walk>,
    run: RunHandle,
    staged: Arc<StagedStep>,
    memo: Arc<Memo>,
    life: Arc<Life>,
    span: tracing::Span,
    agreed: Option<Arc<Value>>,
}

impl NodeContext {
    pub(crate) fn new(
        walk: Arc<Walk>,
        staged: Arc<StagedStep>,
        life: Arc<Life>,
        span: tracing::Span,
        memos: Vec<MemoLine>,
    ) -> Result<Self, RunError> {
        let run = walk.run.clone();
        let memo = Arc::new(Memo::resume(memos, &walk.driver, &staged)?);
        Ok(Self {
            walk,
            run,
            staged,
            memo,
            life,
            span,
            agreed: None,
        })
    }

    /// The same where a person agreed to what a preview has as its facts; `None` if no person was asked.
    #[must_use]
    pub fn agreed_to(mut self, facts: Option<Value>) -> Self {
        self.agreed = facts.map(Arc::new);
        self
    }

    /// The [facts](Preview::facts) that the person saw who agreed to this very execution. What stands in them may be done;
    /// whatever else needs an agreement was not agreed to.
    #[must_use]
    pub fn agreed(&self) -> Option<&Value> {
        self.agreed.as_deref()
    }

    /// What the node was told that it consumed and that the run has counted already.
    pub(crate) fn counted_before(&self) -> Usage {
        self.memo.counted()
    }

    pub(crate) fn take_lost_memo(&self) -> Option<RunError> {
        self.memo.take_lost()
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunHandle {
        &self.run
    }

    /// Records a child process of the step, by its group, before it is let execute anything: a run that is continued ends it
    /// if it is still there.
    ///
    /// # Errors
    /// If the step was cancelled meanwhile, so that the child must not execute, or the record cannot be written.
    pub fn process_started(&self, pgid: u32, start_time: Option<u64>) -> Result<(), NodeError> {
        Ok(self.walk.driver.process_started(self.path(), pgid, start_time)?)
    }

    /// Tells listeners a piece of a text that the step is about to have in its outcome; `text` holds no secrets. It is not
    /// recorded.
    pub fn stream_text(&self, text: String) {
        self.walk.driver.stream_text(self.path(), text);
    }

    /// Publishes an event of the step by a name of the application's own, and records it.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn custom(&self, name: &str, payload: Value) -> Result<(), NodeError> {
        self.walk.driver.custom(name, Some(self.path()), payload)?;
        Ok(())
    }

    /// The step.
    #[must_use]
    pub fn path(&self) -> &HierarchyPath {
        &self.staged.path
    }

    /// The type of the node.
    #[must_use]
    pub fn node_type(&self) -> &NodeType {
        &self.staged.node_type
    }

    /// The attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.staged.attempt
    }

    /// Where the step works; what is written there becomes part of it when it is committed.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn dir(&self) -> Result<&Dir, NodeError> {
        Ok(self.staged.dir()?)
    }

    /// Where files of the node's own go. Known secrets in them are masked when the attempt ends.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn artifacts(&self) -> Result<Dir, NodeError> {
        Ok(self.dir()?.create_dir_all(CUSTOM_ARTIFACTS)?)
    }

    /// A client or pool the application gave the run.
    #[must_use]
    pub fn resource<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.run.resources().get::<T>()
    }

    /// A secret by its name, from the run's [`SecretSource`]. From now on it is masked wherever the run writes something.
    ///
    /// # Errors
    /// If there is none, or it is too short to be masked.
    pub fn secret(&self, name: &str) -> Result<SecretString, NodeError> {
        let source = self.resource::<SecretSource>().unwrap_or_else(|| {
            let root = self.run.scope().run_variables.get("project_root");
            let root = root.and_then(Value::as_str).unwrap_or_default();
            Arc::new(SecretSource::new(root.as_ref(), None))
        });
        let secret = source.get(name).map_err(|error| {
            let failed = NodeError::from_error("secret", &error).permanent();
            match error.hint() {
                Some(hint) => failed.with_hint(hint),
                None => failed,
            }
        })?;
        if !self.run.secrets().add(secret.expose_secret()) {
            let message = format!("the secret `{name}` is too short to be masked where it is printed");
            return Err(NodeError::new("secret", message).permanent());
        }
        Ok(secret)
    }

    /// The result of a step that the node's settings could refer to by `$hier{name}`; `None` if it was skipped.
    ///
    /// # Errors
    /// If there is no such step, or its result cannot be read.
    pub fn result(&self, name: &str) -> Result<Option<Value>, NodeError> {
        self.run
            .identity()
            .reader
            .result(self.path(), name)
            .map_err(|reason| NodeError::new("unknown_step", reason).permanent())
    }

    /// Masks the secrets known now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.run.secrets().redactor()
    }

    /// Resolves when the step is to stop: by its time limit or because the run was cancelled. A node that calls this has ten
    /// seconds from then on to return; any other is dropped at once.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.life.listen().cancelled()
    }

    /// Whether the step is to stop; a node that looks has time to return, as after [`cancelled`](Self::cancelled).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.life.listen().is_cancelled()
    }

    /// Starts a task whose log events belong to this step, and which does not outlive it: it is aborted when its handle is
    /// dropped.
    pub fn spawn<F>(&self, future: F) -> AbortOnDropHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let guard = self.guard();
        let task = async move {
            let _guard = guard;
            future.await
        };
        AbortOnDropHandle::new(tokio::spawn(task.instrument(self.span.clone())))
    }

    /// Runs work that blocks, away from the threads that must not wait; nodes run it in no other way. When the step is to
    /// stop, `stop` is set: the work looks at it between its operations and returns, with what it did taken back or written
    /// down. The attempt is over only when the work has returned; work that goes on for more than a minute fails the run.
    ///
    /// # Errors
    /// What the work returns, or that it panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Stop) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let guard = self.guard();
        let guarded = move |stop: &Stop| {
            let _guard = guard;
            work(stop)
        };
        run_blocking(guarded, self.span.clone(), self.cancelled()).await
    }

    /// Keeps the attempt from being over until the guard is dropped, for what may outlive the future of the step, such as
    /// processes. It has a minute to be dropped after the step was asked to stop.
    pub fn guard(&self) -> Guard {
        self.life.guard()
    }

    /// A key by which a server can tell that a request is a repetition: the same for the same run, step, attempt and
    /// exchange.
    #[must_use]
    pub fn idempotency_key(&self, exchange: &str) -> String {
        let run = &self.run.identity().run_id;
        Digest::of(format!("{run}\n{}\n{}\n{exchange}", self.path(), self.attempt()).as_bytes()).to_string()
            [..32]
            .to_owned()
    }

    /// JSON Schema of what a callback or node type is called with, without the settings that the definition fixed; `None` if there
    /// is none of that name.
    #[must_use]
    pub fn call_schema(&self, name: &str, fixed: &Map<String, Value>) -> Option<Value> {
        self.walk.registry.call_schema(name, fixed)
    }

    /// The names of the callbacks and node types that can be called.
    #[must_use]
    pub fn callable_names(&self) -> Vec<&str> {
        self.walk.registry.callable_names()
    }

    /// Calls a callback with arguments, else a node type with settings, as a part of this step: what it writes and pays for
    /// belongs to the step.
    ///
    /// # Errors
    /// If there is none of that name, `settings` if no definition could write them, or what it fails with.
    pub async fn call(&self, name: &str, arguments: &Value) -> Result<NodeOutput, NodeError> {
        self.call_with(name, &Map::new(), arguments).await
    }

    /// As [`call`](Self::call), with settings of a node type that the definition fixed: they stand in the place of those among the
    /// arguments, and may be such that only a definition gives.
    ///
    /// # Errors
    /// As there.
    pub async fn call_with(
        &self,
        name: &str,
        fixed: &Map<String, Value>,
        arguments: &Value,
    ) -> Result<NodeOutput, NodeError> {
        let step = self.walk.registry.call(name, fixed, arguments).ok_or_else(|| {
            let message = format!("`{name}` is neither a callback nor a node type");
            NodeError::new("unknown_tool", message).permanent()
        })?;
        let step = step?;
        Box::pin(step.execute(self)).await
    }

    /// What [`call_with`](Self::call_with) would do, for the person who is to agree. Of a call that will fail it is why; nothing
    /// is known of callbacks.
    pub async fn preview(&self, name: &str, fixed: &Map<String, Value>, arguments: &Value) -> Preview {
        let preview = match self.walk.registry.call(name, fixed, arguments) {
            Some(Ok(step)) => step.preview(&self.run).await,
            Some(Err(error)) => Err(error),
            None => Ok(Preview::default()),
        };
        preview.unwrap_or_else(|error| Preview::failing(&error))
    }

    /// Asks whether something may be done in the midst of this step; `facts` is what it is. Without an answer the
    /// step comes to rest, and continues from its memos once there is one.
    ///
    /// # Errors
    /// `denied` with the reason. Any other error has to be returned by the node as it is.
    pub async fn approve(&self, settings: Value, preview: String, facts: &Value) -> Result<(), NodeError> {
        let settings = Clean::redact(settings, &self.redactor());
        self.agree(None, settings, preview, facts).await.map(drop)
    }

    /// As [`approve`](Self::approve), for the call of a tool that a model wants, which rules may be about. Says whether the person was
    /// shown it, or a rule agreed.
    ///
    /// # Errors
    /// As there.
    pub async fn approve_call(
        &self,
        call: &WantedCall<'_>,
        preview: String,
        facts: &Value,
    ) -> Result<Agreement, NodeError> {
        let redactor = self.redactor();
        let call = CleanCall::new(call, &redactor);
        let settings = call.shown(&redactor);
        self.agree(Some(call), settings, preview, facts).await
    }

    /// Whether a rule denies the call of a tool or has a person asked about it.
    #[must_use]
    pub fn is_ruled(&self, call: &WantedCall<'_>) -> bool {
        let driver = &self.walk.driver;
        driver.has_rules() && {
            let call = CleanCall::new(call, &self.redactor());
            let ruling = driver.ruling(&call.intended(driver.intended(self.path())));
            ruling.is_some_and(|ruling| ruling.rule.decision != RuleDecision::Allow)
        }
    }

    async fn agree(
        &self,
        call: Option<CleanCall<'_>>,
        settings: Clean<Value>,
        preview: String,
        facts: &Value,
    ) -> Result<Agreement, NodeError> {
        let intent = Intent {
            asker: None,
            path: self.path(),
            subject: None,
            node_type: Some(self.node_type()),
            settings,
            preview: Clean::redact(preview, &self.redactor()),
            call,
            facts: self.walk.driver.facts_digest(facts),
        };
        let mut busy = self.walk.busy.inside(&self.life.room);
        match intent.approval(&self.walk, &mut busy, self.life.listen()).await? {
            Approval::Granted(agreement) => Ok(agreement),
            Approval::Edited(_) => {
                Err(NodeError::new("denied", "there is no input that could be changed").permanent())
            }
            Approval::Denied(error) => Err(NodeError::from_info(error).permanent()),
            Approval::Pending(StepStatus::Cancelled) => {
                Err(NodeError::new("cancelled", "the step is to stop").permanent())
            }
            Approval::Pending(_) => Err(NodeError::suspended()),
        }
    }

    /// Replaces `state.json`, because what is executed is something else than was meant first.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn replace_state(&self, state: Value) -> Result<(), NodeError> {
        let state = Clean::redact(state, &self.redactor());
        Ok(self.staged.replace_state(&state)?)
    }

    /// Reserves what a call may take of the budgets of the step and the run; waits while others have reserved what it
    /// needs. `estimate` is given what is still there.
    ///
    /// # Errors
    /// `budget_exceeded` with what was spent and by whom; the call must not be made.
    pub async fn reserve(
        &self,
        estimate: impl Fn(&Available) -> Estimate + Send,
    ) -> Result<Reservation, NodeError> {
        // Those who are to spend may need the room before they do.
        let reserved = self.walk.driver.reserve(self.path(), estimate);
        Ok(self.life.room.away(reserved).await?)
    }

    /// Makes a paid or effectful exchange: `make` is given its number among those of `name` in this step, from 1.
    /// What comes back is in `memo.jsonl` before this returns, on the disk if the run promises that; a continued attempt
    /// takes it from there.
    ///
    /// # Errors
    /// What the exchange fails with, or that its memo cannot be written.
    pub async fn memo<R, F>(
        &self,
        name: &str,
        request: &impl Serialize,
        make: impl FnOnce(u32) -> F,
    ) -> Result<R, NodeError>
    where
        R: Serialize + DeserializeOwned,
        F: Future<Output = Result<R, NodeError>>,
    {
        self.exchange(name, request, make, |_: &R| Usage::default()).await
    }

    /// As [`memo`](Self::memo), for an exchange that is paid for: what it took, by `usage`, counts against the budgets also
    /// if it was made before the run was resumed. What is made now is reserved and spent by `make`.
    ///
    /// # Errors
    /// As there.
    pub async fn exchange<R, F>(
        &self,
        name: &str,
        request: &impl Serialize,
        make: impl FnOnce(u32) -> F,
        usage: impl FnOnce(&R) -> Usage,
    ) -> Result<R, NodeError>
    where
        R: Serialize + DeserializeOwned,
        F: Future<Output = Result<R, NodeError>>,
    {
        let broken = |error: serde_json::Error| NodeError::from_error("memo", &error);
        let request = serde_json::to_value(request).map_err(broken)?;
        let digest = Digest::of_json(&request);
        let (number, recorded) = self.memo.begin(name, digest);
        if let Some(MemoLine {
            response, is_counted, ..
        }) = recorded
        {
            let response: R = serde_json::from_value(response).map_err(broken)?;
            let usage = usage(&response);
            self.walk.driver.spent_before(self.path(), usage, is_counted);
            if is_counted {
                self.memo.count_before(usage);
            }
            return Ok(response);
        }
        // Nothing is paid for or changed behind a stop; what was recorded before it is still given.
        let begun = self.memo.guard(name);
        if self.life.stop.is_cancelled() {
            return Err(NodeError::new("cancelled", "the step is to stop").permanent());
        }
        let response = make(number).await?;
        begun.keep();
        let response = serde_json::to_value(response).map_err(broken)?;
        check_recorded(&response).map_err(|error| {
            let message = format!("what came back from `{name}` cannot be recorded: {error}");
            NodeError::new(error.code(), message).permanent()
        })?;
        let redactor = self.redactor();
        let (request, response) = (
            Clean::redact(request, &redactor),
            Clean::redact(response, &redactor),
        );
        // What the node continues with is what stands in the file.
        let told = response.get().clone();
        let line = MemoLine::new((name, number), digest, request, response, self.run.now());
        self.memo.finish(&self.walk.driver, &self.staged, &line)?;
        serde_json::from_value(told).map_err(broken)
    }
}

impl std::fmt::Debug for NodeContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeContext")
            .field("path", self.path())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
