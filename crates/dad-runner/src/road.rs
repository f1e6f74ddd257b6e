//! One step, from its place to its announcement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use dad_core::{
    Digest, ErrorInfo, FirstFailure, HierarchyPath, NodeType, RetryPolicy, Reuse, SCHEMA_VERSION, StepResult,
    StepStatus, Timestamp,
};
use dad_definition::{NodeElement, TreeError};
use dad_events::ResultLookup;
use dad_run::{
    CommitDetails, Interrupted, MemoLine, RunError, Side, StagedStep, StepCommitted, Totals, is_result,
};
use futures_util::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::common::{outcome_text, pause_after, pause_before};
use crate::context::NodeContext;
use crate::evaluate::Rendered;
use crate::input::{FoundInput, InputOutcome, find_input};
use crate::node::{NodeError, NodeOutput, World};
use crate::registry::ErasedNode;
use crate::walk::{Ended, Inside, Phase, Walk};

/// How long a node that was asked to stop may take to return.
const GRACE: Duration = Duration::from_secs(10);

/// How one attempt ended.
struct Attempt {
    staged: Arc<StagedStep>,
    status: StepStatus,
    output: NodeOutput,
    error: Option<ErrorInfo>,
    retryable: bool,
    /// Whether it changed something outside the run.
    effect: bool,
    duration: Duration,
}

/// What is executed, again for every attempt.
#[derive(Clone, Copy)]
struct Execution<'a> {
    executor: &'a dyn ErasedNode,
    world: World,
    settings: &'a Value,
    input: Option<&'a Value>,
}

/// A step on its way.
struct Step<'a> {
    walk: &'a Arc<Walk>,
    node: &'a NodeElement,
    /// Its place in the run.
    path: HierarchyPath,
    inside: Inside<'a>,
    /// Fires when the step is to stop.
    stop: CancellationToken,
    created_at: Timestamp,
}

/// Takes one step along the road.
pub(crate) async fn take_step(
    walk: &Arc<Walk>,
    node: &NodeElement,
    path: HierarchyPath,
    inside: Inside<'_>,
) -> Result<Ended, RunError> {
    let stop = match inside.phase {
        Phase::Body => walk.run.cancelled().child_token(),
        Phase::Finally => CancellationToken::new(),
    };
    let step = Step {
        stop,
        walk,
        node,
        path,
        inside,
        created_at: walk.run.now(),
    };
    walk.run.bus().caught_up().await;

    // Place: what is committed in this run stays; before the entry point of a re-run the recorded result counts.
    if let Some(committed) = step.committed_before() {
        return Ok(Ended {
            totals: committed.totals(),
            ..Ended::nothing()
        });
    }
    if inside.side == Side::Before {
        return step.reuse();
    }
    // Input: for deciding whether the step can be reused nobody has to be asked twice.
    let input = match step.input().await? {
        Ok(input) => input,
        Err(missing) => return step.fail_before_execution(None, missing),
    };
    // Render.
    let rendered = match step.render(input.as_ref()) {
        Ok(rendered) => rendered,
        Err(error) => return step.fail_before_execution(input, error),
    };
    // Fingerprint.
    let executor = &*step.executor()?;
    let (world, fingerprint) = match step
        .fingerprint(executor, &rendered.settings, input.as_ref())
        .await
    {
        Ok(found) => found,
        Err(error) => return step.fail_before_execution(input, error.info),
    };
    // Decide.
    if step.may_reuse(world, fingerprint) {
        return step.reuse();
    }
    // Execute.
    let attempt = step
        .execute(Execution {
            executor,
            world,
            settings: &rendered.settings,
            input: input.as_ref(),
        })
        .await?;
    // Record, and with it announce.
    step.commit(attempt, input, rendered, Some(fingerprint)).await
}

impl Step<'_> {
    fn reuse(&self) -> Result<Ended, RunError> {
        let committed = self
            .walk
            .run
            .reuse_step(self.inside.entered, &self.path, &self.node.node_type)?;
        Ok(Ended {
            // What is reused is a result that others could go on from, a failure that was absorbed too.
            status: StepStatus::Completed,
            totals: committed.totals(),
            failures: Vec::new(),
        })
    }

    /// What this run committed before it was resumed, if that stands. What is under `finally` executes again.
    fn committed_before(&self) -> Option<&StepCommitted> {
        let history = self
            .walk
            .run
            .history()
            .filter(|_| self.inside.phase == Phase::Body)?;
        let step = history.step(&self.path)?;
        is_result(step, self.node.options.on_error).then_some(step)
    }

    async fn input(&self) -> Result<Result<Option<Value>, ErrorInfo>, RunError> {
        let found = find_input(&self.walk.run, self.node, &self.path, &self.results()).await?;
        let FoundInput { source, mut value } = match found {
            InputOutcome::None => return Ok(Ok(None)),
            InputOutcome::Missing(error) => return Ok(Err(error)),
            InputOutcome::Recorded(value) => return Ok(Ok(Some(value))),
            InputOutcome::Given(found) => found,
        };
        self.walk.run.secrets().redactor().redact_json(&mut value);
        self.walk.run.answered(&self.path, &source, &value)?;
        Ok(Ok(Some(value)))
    }

    fn render(&self, input: Option<&Value>) -> Result<Rendered, ErrorInfo> {
        let Inside { frame, entered, .. } = self.inside;
        let evaluator = self.walk.evaluator();
        let rendered = evaluator.settings(self.node, &self.path, &entered.path, frame, input);
        rendered.map_err(|error| template_error(&error))
    }

    fn executor(&self) -> Result<Arc<dyn ErasedNode>, RunError> {
        // The definition was compiled against this registry.
        self.walk
            .registry
            .leaf(self.node)
            .cloned()
            .ok_or_else(|| RunError::Unreadable {
                path: self.path.to_relative_dir(),
                reason: format!("the node type `{}` is not registered", self.node.node_type),
            })
    }

    async fn fingerprint(
        &self,
        executor: &dyn ErasedNode,
        settings: &Value,
        input: Option<&Value>,
    ) -> Result<(World, Digest), NodeError> {
        let world = executor.world(settings).await?;
        let NodeElement {
            node_type, version, ..
        } = self.node;
        Ok((
            world,
            self.walk
                .normaliser
                .fingerprint(node_type, *version, settings, input, world),
        ))
    }

    /// Whether the parent run's result stands for this step. After an effect of this re-run only what depends on
    /// nothing but its settings can still be trusted.
    fn may_reuse(&self, world: World, fingerprint: Digest) -> bool {
        let Some(known) = self.known() else {
            return false;
        };
        let trusted = world.is_pure() || !self.walk.effect_executed.load(Ordering::Acquire);
        let unchanged = known.fingerprint == Some(fingerprint) && trusted;
        known.status == StepStatus::Completed
            && match self.node.options.reuse {
                Reuse::Auto => unchanged,
                Reuse::Always => true,
                Reuse::Never => false,
            }
    }

    /// The step in the parent run, if each step of this one is decided by itself.
    fn known(&self) -> Option<&StepCommitted> {
        let parent = self
            .walk
            .run
            .parent()
            .filter(|_| self.inside.side == Side::Undecided);
        parent?.step(&self.path)
    }

    /// Why the step executes, for the journal.
    fn reason(&self) -> &'static str {
        match (self.walk.run.parent(), self.inside.side) {
            (None, _) => "first execution",
            (Some(_), Side::Undecided) => match self.known() {
                None => "the previous run has no result",
                Some(_) if self.node.options.reuse == Reuse::Never => "`reuse: never`",
                Some(_) => "no result of the previous run fits",
            },
            (Some(_), _) => "at or after the entry point",
        }
    }

    async fn execute(&self, execution: Execution<'_>) -> Result<Attempt, RunError> {
        let Execution { world, settings, .. } = execution;
        if world == World::Effect {
            self.walk.effect_executed.store(true, Ordering::Release);
        }
        self.rest(pause_before(settings)).await;
        let attempt = self.attempts(execution).await?;
        self.rest(pause_after(settings)).await;
        Ok(attempt)
    }

    /// Attempts up to the first that succeeds or is not worth another.
    async fn attempts(&self, execution: Execution<'_>) -> Result<Attempt, RunError> {
        let policy = self.node.options.retry.clone().unwrap_or_default();
        let mut pauses = backoff(&policy).build();
        // An attempt that was interrupted keeps its number; one that failed is followed by another.
        let interrupted = self.walk.run.take_interrupted(&self.path);
        let failed = || {
            self.walk
                .run
                .history()?
                .step(&self.path)
                .map(|failed| failed.attempt + 1)
        };
        let Interrupted {
            attempt: mut number,
            mut memos,
        } = interrupted.unwrap_or_else(|| Interrupted {
            attempt: failed().unwrap_or(1),
            memos: Vec::new(),
        });
        loop {
            let attempt = self
                .attempt(number, execution, std::mem::take(&mut memos))
                .await?;
            let Some(error) = &attempt.error else {
                return Ok(attempt);
            };
            let again = may_repeat(&policy, execution.world, &attempt) && !self.stop.is_cancelled();
            let Some(pause) = pauses.next().filter(|_| again) else {
                return Ok(attempt);
            };
            let retry_at = self.walk.run.now() + pause;
            self.walk
                .run
                .attempt_failed(&self.path, number, error, retry_at)?;
            self.walk.run.discard_attempt(&attempt.staged)?;
            self.rest(Some(pause)).await;
            number += 1;
        }
    }

    /// Waits, unless the run is cancelled meanwhile.
    async fn rest(&self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn attempt(
        &self,
        number: u32,
        execution: Execution<'_>,
        memos: Vec<MemoLine>,
    ) -> Result<Attempt, RunError> {
        let Execution {
            executor,
            settings,
            input,
            ..
        } = execution;
        let Self { walk, node, path, .. } = self;
        let staged = Arc::new(
            walk.run
                .begin_step(path, &node.node_type, number, self.reason())?,
        );
        let span = step_span(
            walk.run.identity().run_id.as_str(),
            path.as_str(),
            &node.node_type,
        );
        let stop = self.stop.child_token();
        let cx = NodeContext::new(
            walk.run.clone(),
            staged.clone(),
            stop.clone(),
            self.results(),
            span.clone(),
            memos,
        )?;
        let began = Instant::now();
        let ended = async {
            if let Some(mut state) = executor.state(settings, input, &cx)? {
                cx.redactor().redact_json(&mut state);
                staged.write_state(&state)?;
            }
            let executed = AssertUnwindSafe(executor.execute(settings, input, &cx)).catch_unwind();
            executed.await.unwrap_or_else(|panic| Err(panicked(&*panic)))
        };
        let (status, ended) = within_limits(ended.instrument(span), node.options.timeout, &stop).await;
        if let Some(error) = cx.take_lost_memo() {
            return Err(error);
        }
        let redactor = walk.run.secrets().redactor();
        let (mut output, mut error, retryable) = match ended {
            Ok(output) => (output, None, false),
            Err(error) => (*error.partial, Some(error.info.at(path)), error.retryable),
        };
        redact_output(&redactor, &mut output);
        if let Some(text) = outcome_text(settings, &output.outcome) {
            staged.write_outcome_text(&text)?;
        }
        if let Some(error) = &mut error {
            error.message = redactor.redact(&error.message).into_owned();
        }
        Ok(Attempt {
            staged,
            status,
            output,
            error,
            retryable,
            effect: execution.world == World::Effect,
            duration: began.elapsed(),
        })
    }

    /// Fails a step that could not even begin; it leaves a result that says why.
    fn fail_before_execution(&self, input: Option<Value>, error: ErrorInfo) -> Result<Ended, RunError> {
        let Self { walk, node, path, .. } = self;
        let staged = walk.run.begin_step(path, &node.node_type, 1, self.reason())?;
        let mut error = error.at(path);
        error.message = walk.run.secrets().redactor().redact(&error.message).into_owned();
        let mut attempt = Attempt {
            staged: Arc::new(staged),
            status: StepStatus::Failed,
            output: NodeOutput::default(),
            error: Some(error),
            retryable: false,
            effect: false,
            duration: Duration::ZERO,
        };
        let ended = self.ended(&attempt);
        let (result, details) = self.result_of(&mut attempt, input, None, Vec::new(), None);
        walk.run
            .commit_step(self.inside.entered, &attempt.staged, &result, details)?;
        Ok(ended)
    }

    async fn commit(
        &self,
        mut attempt: Attempt,
        input: Option<Value>,
        rendered: Rendered,
        fingerprint: Option<Digest>,
    ) -> Result<Ended, RunError> {
        let Rendered { settings, reads } = rendered;
        let ended = self.ended(&attempt);
        let (result, details) = self.result_of(&mut attempt, input, Some(settings), reads, fingerprint);
        self.walk
            .run
            .commit_step(self.inside.entered, &attempt.staged, &result, details)?;
        for name in &self.node.options.post_events {
            self.walk.run.custom(name, Some(&self.path), Value::Null)?;
        }
        Ok(ended)
    }

    /// What is recorded of an attempt; its output and error are moved into it.
    fn result_of(
        &self,
        attempt: &mut Attempt,
        input: Option<Value>,
        mut settings: Option<Value>,
        reads: Vec<String>,
        fingerprint: Option<Digest>,
    ) -> (StepResult, CommitDetails) {
        let Self { walk, node, .. } = self;
        if let Some(settings) = &mut settings {
            walk.run.secrets().redactor().redact_json(settings);
        }
        let NodeOutput {
            outcome,
            output,
            usage,
            summary,
        } = std::mem::take(&mut attempt.output);
        let mut result = StepResult {
            schema_version: SCHEMA_VERSION,
            path: self.path.clone(),
            executable_type: match node.function {
                Some(_) => "callback".to_owned(),
                None => "flow_node".to_owned(),
            },
            node_identifier: node.id.to_string(),
            node_type: node.node_type.to_string(),
            execution_status: attempt.status,
            input,
            settings,
            output,
            outcome: Some(outcome).filter(|outcome| !outcome.is_null()),
            error: attempt.error.take(),
            attempt: attempt.staged.attempt,
            fingerprint,
            created_at: self.created_at,
            started_at: Some(attempt.staged.started_at),
            completed_at: Some(walk.run.now()),
            usage_cost: None,
            usage_prompt_tokens: None,
            usage_completion_tokens: None,
            usage_total_tokens: None,
        };
        result.set_usage(&usage);
        (
            result,
            CommitDetails {
                reads,
                usage,
                duration: attempt.duration,
                summary,
                effect: attempt.effect,
            },
        )
    }

    fn ended(&self, attempt: &Attempt) -> Ended {
        let mut totals = Totals {
            usage: attempt.output.usage,
            ..Totals::default()
        };
        totals.counts.add(attempt.status, false);
        let absorbed = self.node.options.on_error.absorbs(attempt.status);
        let failure = attempt.error.clone().map(|error| FirstFailure {
            path: self.path.clone(),
            error,
        });
        let status = if absorbed {
            StepStatus::Completed
        } else {
            attempt.status
        };
        Ended {
            status,
            totals,
            failures: failure.filter(|_| !absorbed).into_iter().collect(),
        }
    }

    /// Reads results of other steps by the names that this step's templates use.
    fn results(&self) -> ResultLookup {
        let (walk, references) = (Arc::clone(self.walk), self.node.references.clone());
        let asker = self.path.clone();
        Arc::new(move |name| {
            let found = match references.get(name) {
                Some(target) => walk.cache.look_up(&walk.run, target, &asker),
                None => {
                    let path = walk.resolve(name, &asker);
                    let path = path.ok_or_else(|| format!("`{name}` names no step that comes before"))?;
                    walk.cache.read(&walk.run, &path)
                }
            };
            let value = found.map_err(|error| error.to_string())?;
            value
                .map(|value| value.to_json().map_err(|error| error.to_string()))
                .transpose()
        })
    }
}

/// The span that log events of a step are routed by.
fn step_span(run_id: &str, path: &str, node_type: &NodeType) -> tracing::Span {
    tracing::info_span!(target: "dhenara", "dad.step", dad.run_id = run_id, dad.path = path, dad.node_type = node_type.as_str())
}

fn template_error(error: &TreeError) -> ErrorInfo {
    ErrorInfo::from_error("template", error)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> NodeError {
    let message = dad_core::panic_message(panic);
    NodeError::new("node_panicked", format!("the node panicked: {message}")).permanent()
}

fn redact_output(redactor: &dad_core::Redactor, output: &mut NodeOutput) {
    redactor.redact_json(&mut output.outcome);
    if let Some(all) = &mut output.output {
        redactor.redact_json(all);
    }
    if let Some(summary) = &mut output.summary {
        *summary = redactor.redact(summary).into_owned();
    }
}

/// Waits for an attempt; at its time limit, or when the run is cancelled, asks it to stop and waits a little longer.
async fn within_limits(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    stop: &CancellationToken,
) -> (StepStatus, Result<NodeOutput, NodeError>) {
    let mut attempt = std::pin::pin!(attempt);
    let deadline = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        // A node that returns because it was asked to stop must not be taken for one that failed by itself.
        biased;
        () = stop.cancelled() => StepStatus::Cancelled,
        () = deadline => StepStatus::TimedOut,
        ended = &mut attempt => return (status_of(&ended), ended),
    };
    stop.cancel();
    let partial = match tokio::time::timeout(GRACE, attempt).await {
        // It finished all the same: what it did counts.
        Ok(Ok(output)) => return (StepStatus::Completed, Ok(output)),
        Ok(Err(error)) => error.partial,
        Err(_) => Box::default(),
    };
    let error = match (stopped, limit) {
        (StepStatus::TimedOut, Some(limit)) => {
            let limit = dad_core::format_duration(limit);
            NodeError::new("timed_out", format!("the step did not finish within {limit}"))
        }
        _ => NodeError::new("cancelled", "the step was cancelled").permanent(),
    };
    (stopped, Err(error.with_partial(*partial)))
}

fn status_of(ended: &Result<NodeOutput, NodeError>) -> StepStatus {
    if ended.is_ok() {
        StepStatus::Completed
    } else {
        StepStatus::Failed
    }
}

fn backoff(policy: &RetryPolicy) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(policy.initial_delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.max_attempts.saturating_sub(1) as usize)
}

/// Whether a failed attempt may be followed by another: effects are repeated only where the definition says so.
fn may_repeat(policy: &RetryPolicy, world: World, attempt: &Attempt) -> bool {
    let code = attempt.error.as_ref().map_or("", |error| error.code.as_str());
    let worth_it = policy.when.is_empty() || policy.when.iter().any(|when| when == code);
    let allowed = world != World::Effect || policy.repeat_effects;
    attempt.retryable && attempt.status != StepStatus::Cancelled && worth_it && allowed
}
