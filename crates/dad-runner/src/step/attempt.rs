//! The attempts of a step: each with its own directory, its time limit and its memos, up to the last one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use dad_core::{Clean, ErrorInfo, NodeType, Redactor, RetryPolicy, StepStatus, Usage};
use dad_run::driver::{Interrupted, StagedStep, StepStart};
use dad_run::reuse::Purity;
use dad_run::{MemoLine, Reason, RunError};
use futures_util::FutureExt;
use serde_json::Value;
use tracing::Instrument;

use crate::node::common_settings::{outcome_text, pause_after, pause_before};
use crate::node::context::{CallableNodes, NodeContext};
use crate::node::error::NodeError;
use crate::node::lifetime::{CANCELLED, Life, MAX_STOP, within_limits};
use crate::node::output::{CleanOutput, NodeOutput, recordable};
use crate::node::traits::{BoundStep, World};
use crate::step::decision::Decided;
use crate::step::place::Step;

/// An attempt that has ended.
pub(crate) struct Attempt {
    pub(crate) staged: Arc<StagedStep>,
    pub(crate) status: StepStatus,
    pub(crate) output: CleanOutput,
    pub(crate) error: Option<Clean<ErrorInfo>>,
    pub(crate) kind: FailureKind,
    /// The usage of the attempts before it.
    pub(crate) spent_before: Usage,
    /// Whether it may have changed something outside the run.
    pub(crate) effect: bool,
    pub(crate) duration: Duration,
}

impl Attempt {
    /// The same attempt without open files, for the time in which the step waits.
    fn without_descriptor(mut self) -> Self {
        self.staged = match Arc::try_unwrap(self.staged) {
            Ok(staged) => Arc::new(staged.without_descriptor()),
            // The node kept a context.
            Err(staged) => staged,
        };
        self
    }
}

/// The outcome of executing a step.
pub(crate) enum Executed {
    /// Its last attempt.
    Ended(Box<Attempt>),
    /// The step was stopped before its first attempt began.
    Stopped,
}

/// The consequences of a failed attempt.
#[derive(Clone, Copy, Default)]
pub(crate) struct FailureKind {
    /// Whether another attempt may succeed.
    pub(crate) retryable: bool,
    /// Whether the step waits for an answer; a later attempt continues from its memos.
    pub(crate) suspends: bool,
    /// The shortest pause before another attempt, as a provider asked for it.
    pub(crate) retry_after: Option<Duration>,
}

/// The execution of a step, the same for every attempt.
#[derive(Clone, Copy)]
pub(crate) struct Execution<'a> {
    pub(crate) bound: &'a dyn BoundStep,
    pub(crate) decided: &'a Decided<'a>,
    pub(crate) world: &'a World,
    pub(crate) settings: &'a Value,
    pub(crate) input: Option<&'a Value>,
    /// The facts that a person approved.
    pub(crate) agreed: Option<&'a Value>,
}

impl Execution<'_> {
    fn has_effect(&self) -> bool {
        self.world.purity() == Purity::Effect
    }
}

/// The attempt with which a step begins in this session.
struct FirstAttempt {
    number: u32,
    reason: Reason,
    /// The attempts of the same execution that failed before a crash; they count against `max_attempts`.
    failed_before: u32,
    memos: Vec<MemoLine>,
}

impl Step<'_> {
    /// Executes a step, with the pauses that its settings demand before and after it.
    pub(super) async fn execute(&self, execution: Execution<'_>) -> Result<Executed, RunError> {
        let Execution { settings, .. } = execution;
        self.sleep_unless_cancelled(pause_before(settings)).await;
        if execution.has_effect() {
            // Only the first stands as the reason of the steps behind it.
            self.context.effects.note(&self.path);
        }
        let executed = self.attempts(execution).await?;
        self.sleep_unless_cancelled(pause_after(settings)).await;
        Ok(executed)
    }

    /// Makes attempts up to the first that succeeds or must not be repeated.
    async fn attempts(&self, execution: Execution<'_>) -> Result<Executed, RunError> {
        let driver = self.driver();
        let budget = self.node.options.budget.unwrap_or_default();
        let _account = (!budget.is_unlimited()).then(|| driver.open_account(&self.path, budget));
        let began = Instant::now();
        let mut spent = Usage::default();
        let mut failed_attempt: Option<Attempt> = None;
        let policy = self.node.options.retry.clone().unwrap_or_default();
        let FirstAttempt {
            mut number,
            mut reason,
            failed_before,
            mut memos,
        } = self.first_attempt(execution.decided.reason);
        let mut pauses = backoff(&policy).build().skip(failed_before as usize);
        loop {
            let start = StepStart {
                attempt: number,
                reason,
                after: execution.decided.after.clone(),
                effect: execution.has_effect(),
                may_retry: policy.max_attempts > 1,
            };
            let time_left = budget
                .wall_time
                .map(|limit| limit.saturating_sub(began.elapsed()));
            let Some(staged) = driver.begin_attempt(&self.path, &self.node.node_type, &start, &self.stop)?
            else {
                return Ok(match failed_attempt {
                    None => Executed::Stopped,
                    Some(failed) => Executed::Ended(self.stopped_in_pause(failed, spent).into()),
                });
            };
            if let Some(failed) = failed_attempt.take() {
                driver.discard_attempt(&failed.staged)?;
            }
            let mut attempt = self
                .attempt(staged, execution, std::mem::take(&mut memos), time_left)
                .await?;
            attempt.spent_before = spent;
            let retries = should_retry(&policy, &attempt) && !self.stop.is_cancelled();
            let Some(error) = &mut attempt.error else {
                return Ok(Executed::Ended(attempt.into()));
            };
            let Some(pause) = pauses.next().filter(|_| retries) else {
                return Ok(Executed::Ended(attempt.into()));
            };
            if !retry_allowed(&policy, execution) {
                *error = add_no_retry_hint(error.get().clone(), &self.run().secrets().redactor());
                return Ok(Executed::Ended(attempt.into()));
            }
            let pause = pause.max(attempt.kind.retry_after.unwrap_or_default());
            let retry_at = self.run().now() + pause;
            let usage = attempt.output.usage;
            driver.attempt_failed(&self.path, number, error, retry_at, usage)?;
            spent += usage;
            failed_attempt = Some(attempt.without_descriptor());
            self.room.away(self.sleep_unless_cancelled(Some(pause))).await;
            number += 1;
            reason = Reason::Retry;
        }
    }

    /// The first attempt: an attempt that was interrupted or cancelled keeps its number, one that failed is followed by the next.
    fn first_attempt(&self, decided: Reason) -> FirstAttempt {
        let driver = self.driver();
        if let Some(interrupted) = driver.take_interrupted(&self.path) {
            let Interrupted {
                attempt,
                failed_before,
                memos,
                ..
            } = interrupted;
            return FirstAttempt {
                number: attempt,
                reason: Reason::Resumed,
                failed_before,
                memos,
            };
        }
        let failed = driver.history().and_then(|history| history.step(&self.path));
        FirstAttempt {
            number: failed.map_or(1, |failed| failed.attempt + 1),
            reason: if failed.is_some() {
                Reason::Resumed
            } else {
                decided
            },
            failed_before: 0,
            memos: Vec::new(),
        }
    }

    /// The result of a failed attempt after which the step was stopped instead of being attempted again. The attempt's files stay
    /// with the step; its usage is in the record of its failure.
    fn stopped_in_pause(&self, mut attempt: Attempt, spent: Usage) -> Attempt {
        attempt.status = StepStatus::Cancelled;
        attempt.spent_before = spent;
        attempt.output.usage = Usage::default();
        let failure = attempt.error.take().map(Clean::into_inner);
        let failure = failure.map(|error| error.message).unwrap_or_default();
        let mut message = "the step was cancelled while it waited to be attempted again".to_owned();
        if let Some(reason) = self.executor.out_of_time(&self.path, self.context.phase) {
            message = format!("{message}: {reason}");
        }
        let message = format!("{message}; the last attempt failed: {failure}");
        let error = ErrorInfo::new(CANCELLED, message).at(&self.path);
        attempt.error = Some(Clean::render(error, &self.run().secrets().redactor()));
        attempt
    }

    async fn sleep_unless_cancelled(&self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn attempt(
        &self,
        staged: StagedStep,
        execution: Execution<'_>,
        memos: Vec<MemoLine>,
        time_left: Option<Duration>,
    ) -> Result<Attempt, RunError> {
        let Self { node, path, .. } = self;
        let staged = Arc::new(staged);
        self.write_evidence(&staged, execution)?;
        let span = step_span(
            self.run().identity().run_id.as_str(),
            path.as_str(),
            &node.node_type,
        );
        let life = Arc::new(Life::new(self.stop.child_token(), Arc::clone(&self.room)));
        let callables: Arc<dyn CallableNodes> = self.executor.registry.clone();
        let session = Arc::clone(&self.executor.session);
        let cx = NodeContext::new(
            session,
            callables,
            staged.clone(),
            Arc::clone(&life),
            span.clone(),
            memos,
        )?
        .agreed_to(execution.agreed.cloned());
        let began = Instant::now();
        let ended = run_node(execution.bound, &cx, &staged);
        let own = self.context.phase.limit(node.options.timeout, path);
        let limit = [own, time_left].into_iter().flatten().min();
        let Some((status, ended)) = within_limits(ended.instrument(span), limit, &life).await else {
            return Err(RunError::Unresponsive {
                path: path.clone(),
                grace: MAX_STOP,
            });
        };
        if let Some(error) = cx.take_lost_memo() {
            return Err(error);
        }
        let (mut output, error, kind) = match ended {
            Ok(output) => (output, None, FailureKind::default()),
            Err(error) => {
                let kind = FailureKind {
                    retryable: error.retryable,
                    suspends: error.suspends,
                    retry_after: error.retry_after,
                };
                (*error.partial, Some(error.info.at(path)), kind)
            }
        };
        output.usage -= cx.counted_before();
        let redactor = self.run().secrets().redactor();
        let output = CleanOutput::of(output, &redactor);
        if let Some(text) = outcome_text(execution.settings, output.outcome.get()) {
            staged.write_outcome_text(&Clean::render(text, &redactor))?;
        }
        let error = error.map(|error| self.with_reason_of_stop(error));
        Ok(Attempt {
            staged,
            status,
            output,
            error: error.map(|error| Clean::redact(error, &redactor)),
            kind,
            spent_before: Usage::default(),
            effect: execution.has_effect(),
            duration: began.elapsed(),
        })
    }

    /// Writes what is known before the execution: what the step reads, and the differences from the previous run.
    fn write_evidence(&self, staged: &StagedStep, execution: Execution<'_>) -> Result<(), RunError> {
        let Execution {
            decided,
            world,
            settings,
            input,
            ..
        } = execution;
        if let World::Reads(reads) = world {
            staged.write_world(&reads.masked(&self.run().secrets().redactor()))?;
        }
        if let Some(changes) = self.changes(decided, world, settings, input)? {
            staged.write_changes(&changes)?;
        }
        Ok(())
    }

    /// Adds to the error of a stopped step that the time of a component around it ran out, if that is the reason.
    fn with_reason_of_stop(&self, mut error: ErrorInfo) -> ErrorInfo {
        if error.code == CANCELLED
            && let Some(reason) = self.executor.out_of_time(&self.path, self.context.phase)
        {
            error.message = format!("{}: {reason}", error.message);
        }
        error
    }
}

/// Runs the node of a step; a panic is a failure of the node.
async fn run_node(
    bound: &dyn BoundStep,
    cx: &NodeContext,
    staged: &StagedStep,
) -> Result<NodeOutput, NodeError> {
    if let Some(state) = bound.state(cx)? {
        staged.write_state(&Clean::redact(state, &cx.redactor()))?;
    }
    let executed = AssertUnwindSafe(bound.execute(cx)).catch_unwind();
    let executed = executed
        .await
        .unwrap_or_else(|panic| Err(NodeError::panicked(&*panic)));
    recordable(executed)
}

/// The span that log events of a step are routed by.
fn step_span(run_id: &str, path: &str, node_type: &NodeType) -> tracing::Span {
    tracing::info_span!(target: "dhenara", "dhenara.step", dhenara.run_id = run_id, dhenara.path = path, dhenara.node_type = node_type.as_str())
}

fn backoff(policy: &RetryPolicy) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(policy.initial_delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.max_attempts.saturating_sub(1) as usize)
}

/// Whether the policy covers the failure, and another attempt may succeed.
fn should_retry(policy: &RetryPolicy, attempt: &Attempt) -> bool {
    let code = attempt
        .error
        .as_ref()
        .map_or("", |error| error.get().code.as_str());
    let is_meant = policy.when.is_empty() || policy.when.iter().any(|when| when == code);
    attempt.kind.retryable && attempt.status != StepStatus::Cancelled && is_meant
}

/// Whether another attempt is allowed: effects are repeated only where the definition says so.
fn retry_allowed(policy: &RetryPolicy, execution: Execution<'_>) -> bool {
    !execution.has_effect() || policy.repeat_effects
}

/// The error with a hint that explains why no attempt follows, although the definition has `retry`.
fn add_no_retry_hint(mut error: ErrorInfo, redactor: &Redactor) -> Clean<ErrorInfo> {
    let reason = "it was not attempted again, because it may have had effects: `retry: { repeat_effects: true }` allows that";
    error.hint = Some(match error.hint.take() {
        None => reason.to_owned(),
        Some(hint) => format!("{hint}; {reason}"),
    });
    Clean::render(error, redactor)
}
