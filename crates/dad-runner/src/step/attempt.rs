//! The attempts of a step: each with its own directory, its time limit and what it reports, up to the last one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use dad_core::{Clean, ErrorInfo, NodeType, Redactor, RetryPolicy, StepStatus, Usage};
use dad_run::driver::{Interrupted, StagedStep, StepStart};
use dad_run::{Kind, MemoLine, Reason, RunError};
use futures_util::FutureExt;
use serde_json::Value;
use tracing::Instrument;

use crate::node::common_settings::{outcome_text, pause_after, pause_before};
use crate::node::context::NodeContext;
use crate::node::error::NodeError;
use crate::node::lifetime::{CANCELLED, LONGEST_STOP, Life, within_limits};
use crate::node::output::{CleanOutput, recordable};
use crate::node::traits::{BoundStep, World};
use crate::step::pipeline::{Decided, Step};

/// How one attempt ended.
pub(crate) struct Attempt {
    pub(crate) staged: Arc<StagedStep>,
    pub(crate) status: StepStatus,
    pub(crate) output: CleanOutput,
    pub(crate) error: Option<Clean<ErrorInfo>>,
    pub(crate) kind: FailureKind,
    /// What the attempts before it consumed.
    pub(crate) spent_before: Usage,
    /// Whether it changed something outside the run.
    pub(crate) effect: bool,
    /// Whether the component around continues although it ended so; decided once, when it is recorded.
    pub(crate) absorbed: bool,
    pub(crate) duration: Duration,
}

impl Attempt {
    /// The same while the step waits.
    fn without_descriptor(mut self) -> Self {
        self.staged = match Arc::try_unwrap(self.staged) {
            Ok(staged) => Arc::new(staged.without_descriptor()),
            // Something of the node still knows of it.
            Err(staged) => staged,
        };
        self
    }
}

/// What executing a step came to.
pub(crate) enum Executed {
    /// Its last attempt.
    Ended(Box<Attempt>),
    /// The step was stopped before its first attempt began.
    Stopped,
}

/// What kind of failure an attempt ended with.
#[derive(Clone, Copy, Default)]
pub(crate) struct FailureKind {
    /// Whether another one may succeed.
    pub(crate) retryable: bool,
    /// Whether it waits for an answer; it continues from what it did so far.
    pub(crate) suspends: bool,
    /// How long the provider that refused wants no other request.
    pub(crate) retry_after: Option<Duration>,
}

/// What is executed, again for every attempt.
#[derive(Clone, Copy)]
pub(crate) struct Execution<'a> {
    pub(crate) bound: &'a dyn BoundStep,
    pub(crate) decided: &'a Decided<'a>,
    pub(crate) world: &'a World,
    pub(crate) settings: &'a Value,
    pub(crate) input: Option<&'a Value>,
    /// What the person saw who agreed.
    pub(crate) agreed: Option<&'a Value>,
}

impl Step<'_> {
    /// Executes a step that was decided to, with the pauses that its settings want around it.
    pub(crate) async fn execute(&self, execution: Execution<'_>) -> Result<Executed, RunError> {
        let Execution { world, settings, .. } = execution;
        self.pause(pause_before(settings)).await;
        if world.kind() == Kind::Effect {
            // Only the first stands as the reason of those behind it.
            self.inside.effects.note(&self.path);
        }
        let executed = self.attempts(execution).await?;
        self.pause(pause_after(settings)).await;
        Ok(executed)
    }

    /// Attempts up to the first that succeeds or is not worth another.
    async fn attempts(&self, execution: Execution<'_>) -> Result<Executed, RunError> {
        let budget = self.node.options.budget.unwrap_or_default();
        let _account = (!budget.is_unlimited()).then(|| self.walk.driver.open_account(&self.path, budget));
        let began = Instant::now();
        let mut spent = Usage::default();
        let mut before: Option<Attempt> = None;
        let policy = self.node.options.retry.clone().unwrap_or_default();
        // An attempt that was interrupted or cancelled keeps its number; one that failed is followed by another.
        let interrupted = self.walk.driver.take_interrupted(&self.path);
        let failed = || {
            self.walk
                .driver
                .history()?
                .step(&self.path)
                .map(|failed| failed.attempt + 1)
        };
        let failed = failed();
        let mut reason = match interrupted.is_some() || failed.is_some() {
            true => Reason::Resumed,
            false => execution.decided.reason,
        };
        let Interrupted {
            attempt: mut number,
            failed_before,
            mut memos,
        } = interrupted.unwrap_or_else(|| Interrupted {
            attempt: failed.unwrap_or(1),
            ..Interrupted::default()
        });
        // Those that failed before a crash count.
        let mut pauses = backoff(&policy).build().skip(failed_before as usize);
        loop {
            let start = StepStart {
                attempt: number,
                reason,
                after: execution.decided.after.clone(),
                effect: execution.world.kind() == Kind::Effect,
            };
            let left = budget
                .wall_time
                .map(|limit| limit.saturating_sub(began.elapsed()));
            let driver = &self.walk.driver;
            let node_type = &self.node.node_type;
            let Some(staged) = driver.begin_attempt(&self.path, node_type, &start, &self.stop)? else {
                return Ok(match before {
                    None => Executed::Stopped,
                    Some(failed) => Executed::Ended(self.stopped_in_pause(failed, spent).into()),
                });
            };
            if let Some(failed) = before.take() {
                driver.discard_attempt(&failed.staged)?;
            }
            let mut attempt = self
                .attempt(staged, execution, std::mem::take(&mut memos), left)
                .await?;
            attempt.spent_before = spent;
            let worth_it = is_worth_another(&policy, &attempt) && !self.stop.is_cancelled();
            let Some(error) = &mut attempt.error else {
                return Ok(Executed::Ended(attempt.into()));
            };
            let Some(pause) = pauses.next().filter(|_| worth_it) else {
                return Ok(Executed::Ended(attempt.into()));
            };
            if !may_repeat(&policy, execution.world) {
                *error = why_it_ends(error.get().clone(), &self.walk.run.secrets().redactor());
                return Ok(Executed::Ended(attempt.into()));
            }
            let pause = pause.max(attempt.kind.retry_after.unwrap_or_default());
            let retry_at = self.walk.run.now() + pause;
            let usage = attempt.output.usage;
            self.walk
                .driver
                .attempt_failed(&self.path, number, error, retry_at, usage)?;
            spent += usage;
            before = Some(attempt.without_descriptor());
            self.room.away(self.pause(Some(pause))).await;
            number += 1;
            reason = Reason::Retry;
        }
    }

    /// An attempt that failed, and behind which the step was stopped instead of being attempted again: its files stay the
    /// step's own. What it consumed stands in the record of its failure.
    fn stopped_in_pause(&self, mut attempt: Attempt, spent: Usage) -> Attempt {
        attempt.status = StepStatus::Cancelled;
        attempt.spent_before = spent;
        attempt.output.usage = Usage::default();
        let failure = attempt.error.take().map(Clean::into_inner);
        let failure = failure.map(|error| error.message).unwrap_or_default();
        let mut message = "the step was cancelled while it waited to be attempted again".to_owned();
        if let Some(why) = self.walk.out_of_time(&self.path, self.inside.phase) {
            message = format!("{message}: {why}");
        }
        let message = format!("{message}; the last attempt failed: {failure}");
        let error = ErrorInfo::new(CANCELLED, message).at(&self.path);
        attempt.error = Some(Clean::render(error, &self.walk.run.secrets().redactor()));
        attempt
    }

    /// Waits, unless the step is stopped meanwhile.
    async fn pause(&self, pause: Option<Duration>) {
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
        wall_time: Option<Duration>,
    ) -> Result<Attempt, RunError> {
        let Execution { bound, settings, .. } = execution;
        let Self { walk, node, path, .. } = self;
        let staged = Arc::new(staged);
        if let World::Reads(reads) = execution.world {
            staged.write_world(&reads.masked(&walk.run.secrets().redactor()))?;
        }
        if let Some(changes) = self.changes(&execution)? {
            staged.write_changes(&changes)?;
        }
        let span = step_span(
            walk.run.identity().run_id.as_str(),
            path.as_str(),
            &node.node_type,
        );
        let life = Arc::new(Life::new(self.stop.child_token(), Arc::clone(&self.room)));
        let cx = NodeContext::new(
            Arc::clone(walk),
            staged.clone(),
            Arc::clone(&life),
            span.clone(),
            memos,
        )?
        .agreed_to(execution.agreed.cloned());
        let began = Instant::now();
        let ended = async {
            if let Some(state) = bound.state(&cx)? {
                staged.write_state(&Clean::redact(state, &cx.redactor()))?;
            }
            let executed = AssertUnwindSafe(bound.execute(&cx)).catch_unwind();
            let executed = executed
                .await
                .unwrap_or_else(|panic| Err(NodeError::panicked(&*panic)));
            recordable(executed)
        };
        let own = self.inside.phase.limit(node.options.timeout, path);
        let limit = [own, wall_time].into_iter().flatten().min();
        let Some((status, ended)) = within_limits(ended.instrument(span), limit, &life).await else {
            return Err(RunError::Unresponsive {
                path: path.clone(),
                grace: LONGEST_STOP,
            });
        };
        if let Some(error) = cx.take_lost_memo() {
            return Err(error);
        }
        let redactor = walk.run.secrets().redactor();
        let (mut output, mut error, kind) = match ended {
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
        let output = CleanOutput::of(output, &redactor);
        if let Some(text) = outcome_text(settings, output.outcome.get()) {
            staged.write_outcome_text(&Clean::render(text, &redactor))?;
        }
        if let Some(error) = &mut error
            && error.code == CANCELLED
            && let Some(why) = walk.out_of_time(path, self.inside.phase)
        {
            error.message = format!("{}: {why}", error.message);
        }
        Ok(Attempt {
            staged,
            status,
            output,
            error: error.map(|error| Clean::redact(error, &redactor)),
            kind,
            spent_before: Usage::default(),
            effect: execution.world.kind() == Kind::Effect,
            absorbed: false,
            duration: began.elapsed(),
        })
    }
}

/// The span that log events of a step are routed by.
fn step_span(run_id: &str, path: &str, node_type: &NodeType) -> tracing::Span {
    tracing::info_span!(target: "dhenara", "dad.step", dad.run_id = run_id, dad.path = path, dad.node_type = node_type.as_str())
}

fn backoff(policy: &RetryPolicy) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(policy.initial_delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.max_attempts.saturating_sub(1) as usize)
}

/// Whether another attempt may succeed where this one failed.
fn is_worth_another(policy: &RetryPolicy, attempt: &Attempt) -> bool {
    let code = attempt
        .error
        .as_ref()
        .map_or("", |error| error.get().code.as_str());
    let is_meant = policy.when.is_empty() || policy.when.iter().any(|when| when == code);
    attempt.kind.retryable && attempt.status != StepStatus::Cancelled && is_meant
}

/// Effects are repeated only where the definition says so.
fn may_repeat(policy: &RetryPolicy, world: &World) -> bool {
    world.kind() != Kind::Effect || policy.repeat_effects
}

/// The error with that no attempt follows: the author of `retry` expects one.
fn why_it_ends(mut error: ErrorInfo, redactor: &Redactor) -> Clean<ErrorInfo> {
    let why = "it was not attempted again, because it may have had effects: `retry: { repeat_effects: true }` allows that";
    error.hint = Some(match error.hint.take() {
        None => why.to_owned(),
        Some(hint) => format!("{hint}; {why}"),
    });
    Clean::render(error, redactor)
}
