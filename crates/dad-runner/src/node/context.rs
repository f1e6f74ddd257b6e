//! The context that a node gets for the execution of a step.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use dad_core::json::check_recorded;
use dad_core::{Clean, Digest, HierarchyPath, NodeType, Redactor, RuleDecision, StepStatus, Usage};
use dad_events::ActivityId;
use dad_fs::Dir;
use dad_run::driver::StagedStep;
use dad_run::layout::CUSTOM_ARTIFACTS;
use dad_run::{Available, Estimate, MemoLine, Reservation, RunError, RunHandle, SecretSource};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::ask::approval::{Agreement, Approval, CleanCall, Intent, WantedCall};
use crate::node::blocking::{Stop, run_blocking};
use crate::node::error::NodeError;
use crate::node::lifetime::{Guard, Life};
use crate::node::memo::Memo;
use crate::node::output::NodeOutput;
use crate::node::traits::{Bound, Preview};
use crate::session::Session;

/// The nodes and callbacks that a step can call by name.
pub(crate) trait CallableNodes: Send + Sync {
    /// JSON Schema of the arguments of a call, without the settings that only a definition gives and those that it fixed; `None`
    /// if there is no callable of this name.
    fn call_schema(&self, name: &str, fixed: &Map<String, Value>) -> Option<Value>;

    /// The names of callbacks and node types.
    fn callable_names(&self) -> Vec<&str>;

    /// Binds a call of a callback with its arguments, else of a node type with its settings; `None` if there is neither of this
    /// name. The settings that the definition fixed are not among the arguments.
    fn bind_call(
        &self,
        name: &str,
        fixed: &Map<String, Value>,
        arguments: &Value,
    ) -> Option<Result<Bound, NodeError>>;
}

/// An exchange that is about to be made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ExchangeId {
    /// Its number among those of its name in the step, from 1.
    pub number: u32,
    /// The digest of its request, which its line in `memo.jsonl` has as well.
    pub request_digest: Digest,
}

/// The context of a step that a node executes: the run, the step's directory, budgets, memos and questions. Cheap to clone;
/// clones are the same step.
///
/// ```
/// use dad_runner::{NodeContext, NodeError};
/// use serde_json::json;
///
/// async fn publish(_: (), cx: NodeContext) -> Result<String, NodeError> {
///     let draft = cx.result("draft")?;
///     let facts = json!({ "publish": draft });
///     cx.approve(facts.clone(), "publishes the draft".to_owned(), &facts).await?;
///     // Made once, even if the run is interrupted and resumed behind it.
///     cx.memo("publish", &facts, |_| async { Ok::<_, NodeError>("published".to_owned()) }).await
/// }
/// # dad_runner::NodeRegistry::new().callback("publish", publish);
/// ```
#[derive(Clone)]
pub struct NodeContext {
    pub(super) session: Arc<Session>,
    callables: Arc<dyn CallableNodes>,
    run: RunHandle,
    staged: Arc<StagedStep>,
    memo: Arc<Memo>,
    life: Arc<Life>,
    span: tracing::Span,
    agreed: Option<Arc<Value>>,
    /// The work that what is done with this context is a part of.
    pub(super) activity: Option<ActivityId>,
}

impl NodeContext {
    pub(crate) fn new(
        session: Arc<Session>,
        callables: Arc<dyn CallableNodes>,
        staged: Arc<StagedStep>,
        life: Arc<Life>,
        span: tracing::Span,
        memos: Vec<MemoLine>,
    ) -> Result<Self, RunError> {
        let run = session.run.clone();
        let memo = Arc::new(Memo::resume(memos, &session.driver, &staged)?);
        Ok(Self {
            session,
            callables,
            run,
            staged,
            memo,
            life,
            span,
            agreed: None,
            activity: None,
        })
    }

    /// The same context with the facts of the preview to which a person agreed; `None` if no person was asked.
    #[must_use]
    pub fn agreed_to(mut self, facts: Option<Value>) -> Self {
        self.agreed = facts.map(Arc::new);
        self
    }

    /// The [facts](Preview::facts) shown to the person who approved this very execution. The approval covers nothing but these
    /// facts.
    #[must_use]
    pub fn agreed(&self) -> Option<&Value> {
        self.agreed.as_deref()
    }

    /// The usage of the node's recorded exchanges that the run counted before this attempt.
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

    /// Records a child process of the step, by its group, before the child executes anything. A resumed run ends the group if
    /// it is still alive.
    ///
    /// # Errors
    /// If the step was cancelled, so that the child must not execute, or the record cannot be written.
    pub fn process_started(&self, pgid: u32, start_time: Option<u64>) -> Result<(), NodeError> {
        Ok(self
            .session
            .driver
            .process_started(self.path(), pgid, start_time)?)
    }

    /// Publishes a piece of the text that the step is producing for its outcome. `text` must hold no secrets. The piece is not
    /// recorded.
    pub fn stream_text(&self, text: String) {
        self.session.driver.stream_text(self.path(), text);
    }

    /// Publishes an event of the step by a name of the application's own, and records it.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn custom(&self, name: &str, payload: Value) -> Result<(), NodeError> {
        self.session.driver.custom(name, Some(self.path()), payload)?;
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

    /// The directory in which the step works. Files written there become part of the step when it is committed.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn dir(&self) -> Result<&Dir, NodeError> {
        Ok(self.staged.dir()?)
    }

    /// The directory for files of the node's own. Known secrets in them are masked when the attempt ends.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn artifacts(&self) -> Result<Dir, NodeError> {
        Ok(self.dir()?.create_dir_all(CUSTOM_ARTIFACTS)?)
    }

    /// A client or pool that the application gave to the run.
    #[must_use]
    pub fn resource<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.run.resources().get::<T>()
    }

    /// A secret by its name, from the run's [`SecretSource`]. From now on the run masks it wherever it writes.
    ///
    /// # Errors
    /// If there is no such secret, or it is too short to be masked.
    pub fn secret(&self, name: &str) -> Result<SecretString, NodeError> {
        let source = self.resource::<SecretSource>().unwrap_or_else(|| {
            let root = &self.run.scope().place.project_root;
            Arc::new(SecretSource::new(root, None))
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

    /// The result of the step that `$hier{name}` in the node's settings would mean; `None` if it was skipped.
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

    /// The redactor for the secrets known now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.run.secrets().redactor()
    }

    /// Resolves when the step is to stop: at its time limit, or because the run was cancelled. A node that calls this has ten
    /// seconds from then on to return; a node that does not is dropped at once.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send {
        self.life.listen().cancelled()
    }

    /// Whether the step is to stop. A node that calls this has time to return, as with [`cancelled`](Self::cancelled).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.life.listen().is_cancelled()
    }

    /// Starts a task whose log events belong to this step. The task is aborted when its handle is dropped, and does not outlive
    /// the step.
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

    /// Runs blocking work on a thread of its own, off the async workers. Nodes run blocking work in no other way. When the step
    /// is to stop, `stop` is set: the work checks it between its operations and returns, after it has rolled back or recorded
    /// its changes. The attempt ends only when the work has returned; work that takes more than a minute longer fails the run.
    ///
    /// # Errors
    /// The error of the work, or `node_panicked`.
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

    /// A guard that keeps the attempt from ending, for work that can outlive the future of the step, such as processes. It must
    /// be dropped within a minute after the step was asked to stop.
    pub fn guard(&self) -> Guard {
        self.life.guard()
    }

    /// An idempotency key for a request: the same for the same run, step, attempt and exchange.
    #[must_use]
    pub fn idempotency_key(&self, exchange: &str) -> String {
        let run = &self.run.identity().run_id;
        Digest::of(format!("{run}\n{}\n{}\n{exchange}", self.path(), self.attempt()).as_bytes()).to_string()
            [..32]
            .to_owned()
    }

    /// JSON Schema of the arguments with which a callback or node type is called, without the settings that the definition fixed;
    /// `None` if there is neither of that name.
    #[must_use]
    pub fn call_schema(&self, name: &str, fixed: &Map<String, Value>) -> Option<Value> {
        self.callables.call_schema(name, fixed)
    }

    /// The names of the callbacks and node types that can be called.
    #[must_use]
    pub fn callable_names(&self) -> Vec<&str> {
        self.callables.callable_names()
    }

    /// Calls a callback with arguments, else a node type with settings, as a part of this step: its files and its usage belong to
    /// the step.
    ///
    /// # Errors
    /// `unknown_tool` if there is neither of that name, `settings` if the settings are invalid, or the error of the call.
    pub async fn call(&self, name: &str, arguments: &Value) -> Result<NodeOutput, NodeError> {
        self.call_with(name, &Map::new(), arguments).await
    }

    /// As [`call`](Self::call), with settings that the definition fixed. They replace those among the arguments, and may include
    /// settings that only a definition gives.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn call_with(
        &self,
        name: &str,
        fixed: &Map<String, Value>,
        arguments: &Value,
    ) -> Result<NodeOutput, NodeError> {
        let step = self.callables.bind_call(name, fixed, arguments).ok_or_else(|| {
            let message = format!("`{name}` is neither a callback nor a node type");
            NodeError::new("unknown_tool", message).permanent()
        })?;
        let step = step?;
        Box::pin(step.execute(self)).await
    }

    /// The preview of [`call_with`](Self::call_with), for the person who is to approve it. For a call that will fail it is the
    /// reason; for a callback it is empty.
    pub async fn preview(&self, name: &str, fixed: &Map<String, Value>, arguments: &Value) -> Preview {
        let preview = match self.callables.bind_call(name, fixed, arguments) {
            Some(Ok(step)) => step.preview(&self.run).await,
            Some(Err(error)) => Err(error),
            None => Ok(Preview::default()),
        };
        preview.unwrap_or_else(|error| Preview::failing(&error))
    }

    /// Asks for approval of an action while this step executes; `facts` identify the action. Without an answer the step
    /// suspends, and continues from its memos once there is one.
    ///
    /// # Errors
    /// `denied` with the reason. The node must return any other error unchanged.
    pub async fn approve(&self, settings: Value, preview: String, facts: &Value) -> Result<(), NodeError> {
        let settings = Clean::redact(settings, &self.redactor());
        self.agree(None, settings, preview, facts).await.map(drop)
    }

    /// As [`approve`](Self::approve), for a tool call that a model requests. Rules can allow or deny it; the result says whether a
    /// person or a rule agreed.
    ///
    /// # Errors
    /// As for [`approve`](Self::approve).
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

    /// Whether a rule denies a tool call or demands a person's approval.
    #[must_use]
    pub fn is_ruled(&self, call: &WantedCall<'_>) -> bool {
        let driver = &self.session.driver;
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
            facts: self.session.driver.facts_digest(facts),
        };
        let mut active = self.session.active.nested(&self.life.room);
        match intent
            .approval(&self.session, &mut active, self.life.listen())
            .await?
        {
            Approval::Granted(agreement) => Ok(agreement),
            Approval::Edited(_) => {
                Err(NodeError::new("denied", "there is no input that could be changed").permanent())
            }
            Approval::Denied(error) => Err(NodeError::from_info(error).permanent()),
            Approval::Suspended(StepStatus::Cancelled) => {
                Err(NodeError::new("cancelled", "the step is to stop").permanent())
            }
            Approval::Suspended(_) => Err(NodeError::suspended()),
        }
    }

    /// Replaces `state.json`, when the node executes something else than it first intended.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn replace_state(&self, state: Value) -> Result<(), NodeError> {
        let state = Clean::redact(state, &self.redactor());
        Ok(self.staged.replace_state(&state)?)
    }

    /// Reserves the estimate of a call in the budgets of the step and the run; waits while other calls hold the part that it
    /// needs. `estimate` is given the remaining budgets.
    ///
    /// # Errors
    /// `budget_exceeded` with the spent amount and the budget's owner; the call must not be made.
    pub async fn reserve(
        &self,
        estimate: impl Fn(&Available) -> Estimate + Send,
    ) -> Result<Reservation, NodeError> {
        // Steps that hold a reservation may need the room before they spend it.
        let reserved = self.session.driver.reserve(self.path(), estimate);
        Ok(self.life.room.away(reserved).await?)
    }

    /// Makes a paid or effectful exchange. `make` is given its number among those of `name` in this step, from 1. The response is
    /// in `memo.jsonl` before this returns, on the disk if the run promises that; a continued attempt takes it from there.
    ///
    /// # Errors
    /// The error of the exchange, or `memo` if its memo cannot be written.
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
        let make = |exchange: ExchangeId| make(exchange.number);
        self.exchange(name, request, make, |_: &R| Usage::default()).await
    }

    /// The result of an exchange that an interrupted attempt made, without making it if there is none.
    ///
    /// # Errors
    /// If the result cannot be read as what is wanted.
    pub fn recorded<R: DeserializeOwned>(
        &self,
        name: &str,
        request: &impl Serialize,
    ) -> Result<Option<R>, NodeError> {
        let broken = |error: serde_json::Error| NodeError::from_error("memo", &error);
        let request = serde_json::to_value(request).map_err(broken)?;
        let recorded = self.memo.take(name, Digest::of_json(&request));
        recorded
            .map(|line| serde_json::from_value(line.response).map_err(broken))
            .transpose()
    }

    /// As [`memo`](Self::memo), for a paid exchange: the usage that `usage` reads from its response counts against the budgets,
    /// also if it was made before the run was resumed. For an exchange that is made now, `make` reserves and spends.
    ///
    /// # Errors
    /// As for [`memo`](Self::memo).
    pub async fn exchange<R, F>(
        &self,
        name: &str,
        request: &impl Serialize,
        make: impl FnOnce(ExchangeId) -> F,
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
            self.session.driver.spent_before(self.path(), usage, is_counted);
            if is_counted {
                self.memo.count_before(usage);
            }
            return Ok(response);
        }
        // After a stop nothing is paid for or changed; a recorded response is still given.
        let begun = self.memo.guard(name);
        if self.life.stop.is_cancelled() {
            return Err(NodeError::new("cancelled", "the step is to stop").permanent());
        }
        let id = ExchangeId {
            number,
            request_digest: digest,
        };
        let response = make(id).await?;
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
        // The node continues with the response as the file has it.
        let recorded = response.get().clone();
        let line = MemoLine::new(name, number, digest, request, response, self.run.now());
        self.memo.finish(&self.session.driver, &self.staged, &line)?;
        serde_json::from_value(recorded).map_err(broken)
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
