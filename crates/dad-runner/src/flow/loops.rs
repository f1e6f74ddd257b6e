//! Loops. The items, and whether a loop ends, are in the journal before anything follows from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dad_core::{Clean, ErrorInfo, HierarchyPath, OnExhausted, StepStatus};
use dad_definition::{Component, Expression, ForEachLoop, ProgramElement, RepeatLoop};
use dad_run::driver::{Items, LoopStart};
use dad_run::reuse::{EntryRelation, Part};
use dad_run::{RangeBounds, RunError};
use dad_template::{Range, Value};

use crate::concurrency::room::Branch;
use crate::flow::content::ContentOutcome;
use crate::render::evaluate::{Over, OverItems};
use crate::render::scope::Frame;
use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::place::ElementContext;

/// The iterations of a loop that executes them one after the other.
struct Iterations<'a> {
    component: &'a Component,
    body: &'a [ProgramElement],
    /// The condition that ends the loop after an iteration.
    until: Option<&'a Expression>,
    /// The most iterations that there are.
    count: u64,
}

/// The outcome of iterations.
struct LoopOutcome {
    outcome: ElementOutcome,
    /// The number of iterations that began.
    begun: u64,
    /// Whether the condition ended the loop.
    is_ended: bool,
}

/// The progress of concurrent iterations.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    is_failed: AtomicBool,
}

impl Progress {
    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    fn fail(&self) {
        self.is_failed.store(true, Ordering::Release);
    }

    fn is_failed(&self) -> bool {
        self.is_failed.load(Ordering::Acquire)
    }
}

impl RunExecutor {
    /// Executes the body for every item.
    pub(super) async fn run_for_each(
        self: &Arc<Self>,
        component: &Component,
        for_each: &ForEachLoop,
        context: ElementContext<'_>,
    ) -> Result<ContentOutcome, RunError> {
        let path = &context.entered.path;
        let decided = self.history().map(|history| history.loop_start(path));
        let decided = decided.transpose()?.flatten();
        let over = match decided {
            Some(start) => Over::recorded(start),
            None => {
                let previous = self.recorded(context.relation);
                let recorded = previous.map(|previous| previous.loop_start(path));
                let over = match recorded.transpose()?.flatten() {
                    Some(start) => Over::recorded(start),
                    None => {
                        let evaluator = self.session.evaluator();
                        match evaluator.over(component, for_each, path, context.frame) {
                            Ok(over) => over,
                            Err(error) => return Ok(ContentOutcome::failed(path, error)),
                        }
                    }
                };
                let start = self.loop_start(over);
                self.driver().loop_started(path, &start)?;
                Over::recorded(start)
            }
        };
        let frame = |iteration: u64| {
            let variables = over.variables(for_each, iteration);
            let path = path.iteration(iteration);
            Arc::new(Frame::new(&path, variables, Some(Arc::clone(context.frame))))
        };
        let count = over.items.len();
        let ended = if for_each.max_concurrency > 1 {
            self.run_concurrently(for_each, count, frame, context).await?
        } else {
            let iterations = Iterations {
                component,
                body: &for_each.body,
                until: for_each.until.as_ref(),
                count,
            };
            self.run_sequentially(&iterations, frame, context).await?
        };
        Ok(ContentOutcome::iterations(ended.outcome, ended.begun))
    }

    /// Executes the body until the condition holds.
    pub(super) async fn run_repeat(
        self: &Arc<Self>,
        component: &Component,
        repeat: &RepeatLoop,
        context: ElementContext<'_>,
    ) -> Result<ContentOutcome, RunError> {
        let path = &context.entered.path;
        let frame = |pass: u64| {
            let variables = vec![(repeat.index_var.clone(), Value::from(pass))];
            let path = path.iteration(pass);
            Arc::new(Frame::new(&path, variables, Some(Arc::clone(context.frame))))
        };
        let iterations = Iterations {
            component,
            body: &repeat.body,
            until: Some(&repeat.until),
            count: repeat.max_iterations,
        };
        let LoopOutcome {
            mut outcome,
            begun,
            is_ended,
        } = self.run_sequentially(&iterations, frame, context).await?;
        let is_exhausted = !is_ended && outcome.status == StepStatus::Completed && !self.order.is_alone();
        if is_exhausted && repeat.on_exhausted == OnExhausted::Fail {
            outcome.fail(path, exhausted(component, begun));
        }
        Ok(ContentOutcome::iterations(outcome, begun))
    }

    /// Executes iterations one after the other.
    async fn run_sequentially(
        self: &Arc<Self>,
        iterations: &Iterations<'_>,
        frame: impl Fn(u64) -> Arc<Frame>,
        context: ElementContext<'_>,
    ) -> Result<LoopOutcome, RunError> {
        let path = &context.entered.path;
        let mut ended = LoopOutcome {
            outcome: ElementOutcome::empty(),
            begun: 0,
            is_ended: false,
        };
        for index in 0..iterations.count {
            if self.is_stopped(context.stop, context.phase) {
                ended.outcome.cancel();
                return Ok(ended);
            }
            ended.begun = index + 1;
            let part = self.order.iteration(path, context.relation, index);
            let frame = frame(index);
            let outcome = self
                .run_iteration_or_branch(iterations.body, &part, &frame, context)
                .await?;
            ended.outcome.add(outcome);
            if ended.outcome.status != StepStatus::Completed {
                return Ok(ended);
            }
            // A step that executes alone decides nothing about the loop around it.
            let Some(until) = iterations.until.filter(|_| !self.order.is_alone()) else {
                continue;
            };
            let decided = self.history();
            let decided = decided.and_then(|history| history.loop_decided(path, index));
            ended.is_ended = match decided {
                Some(is_ended) => is_ended,
                None => match self.until_holds(iterations.component, until, path, &part, &frame, index) {
                    Ok(is_ended) => {
                        self.driver().loop_decided(path, index, is_ended)?;
                        is_ended
                    }
                    Err(error) => {
                        ended.outcome.fail(path, error);
                        return Ok(ended);
                    }
                },
            };
            if ended.is_ended {
                return Ok(ended);
            }
        }
        Ok(ended)
    }

    /// Whether the condition ends a loop after an iteration. Before the entry point of a re-run the previous run's decision stands.
    fn until_holds(
        &self,
        component: &Component,
        until: &Expression,
        path: &HierarchyPath,
        part: &Part,
        frame: &Arc<Frame>,
        index: u64,
    ) -> Result<bool, ErrorInfo> {
        let previous = self
            .run()
            .parent()
            .filter(|_| part.relation == EntryRelation::Before);
        match previous.and_then(|previous| previous.loop_decided(path, index)) {
            Some(is_ended) => Ok(is_ended),
            None => self
                .session
                .evaluator()
                .condition("until", until, component, &part.path, frame),
        }
    }

    /// Executes iterations at the same time. They begin in order; after one that fails no other begins.
    async fn run_concurrently(
        self: &Arc<Self>,
        for_each: &ForEachLoop,
        count: u64,
        frame: impl Fn(u64) -> Arc<Frame> + Sync,
        context: ElementContext<'_>,
    ) -> Result<LoopOutcome, RunError> {
        let progress = &Progress::default();
        let frame = &frame;
        // Pulled one by one as others end, so that none begins, nor counts as begun, after a failure or a cancel.
        let may_begin = |_: &u64| !progress.is_failed() && !self.is_stopped(context.stop, context.phase);
        let parts = (0..count).take_while(may_begin).map(|index| {
            let part = self
                .order
                .iteration(&context.entered.path, context.relation, index);
            (index, part)
        });
        let run = |(index, part): (u64, Part), branch: Arc<Branch>| async move {
            progress.begin();
            let effects = context.effects.branch();
            let context = ElementContext {
                effects: &effects,
                branch: Some(&branch),
                ..context
            };
            let outcome = self
                .run_iteration_or_branch(&for_each.body, &part, &frame(index), context)
                .await?;
            Ok((outcome, effects.first().map(|first| (index, first.clone()))))
        };
        let mut outcome = ElementOutcome::empty();
        let (mut broken, mut first_effect) = (None, None);
        let ended = |ended: Result<(ElementOutcome, Option<(u64, HierarchyPath)>), RunError>| match ended {
            Ok((part, effect)) => {
                if part.status.is_failure() {
                    progress.fail();
                }
                outcome.add(part);
                let effects = first_effect.take().into_iter().chain(effect);
                first_effect = effects.min_by_key(|(index, _)| *index);
            }
            Err(error) => {
                progress.fail();
                broken.get_or_insert(error);
            }
        };
        self.branches(for_each.max_concurrency as usize, context.branch)
            .execute(parts, run, ended)
            .await;
        if let Some((_, first)) = first_effect {
            context.effects.note(&first);
        }
        let begun = progress.begun();
        if begun != count && self.is_stopped(context.stop, context.phase) {
            outcome.cancel();
        }
        match broken {
            Some(error) => Err(error),
            None => Ok(LoopOutcome {
                outcome,
                begun,
                is_ended: false,
            }),
        }
    }

    /// The items of a loop as they are recorded.
    fn loop_start(&self, over: Over) -> LoopStart {
        let count = over.items.len();
        let items = match over.items {
            OverItems::Range(Range {
                start, stop, step, ..
            }) => Items::Range(RangeBounds { start, stop, step }),
            OverItems::List(items) => Items::List(Clean::render(
                serde_json::Value::Array(items),
                &self.run().secrets().redactor(),
            )),
        };
        LoopStart {
            items,
            count,
            start_index: over.start_index,
        }
    }
}

fn exhausted(component: &Component, passes: u64) -> ErrorInfo {
    let times = if passes == 1 {
        "1 pass".to_owned()
    } else {
        format!("{passes} passes")
    };
    ErrorInfo::new(
        "loop_exhausted",
        format!("`until` of `{}` was not true after {times}", component.id),
    )
    .with_hint("raise `max_iterations`, or accept it by `on_exhausted: continue`")
}
