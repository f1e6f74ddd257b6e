//! Conditionals and loops. What they decide is in the journal before anything follows from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dad_core::{Clean, ErrorInfo, HierarchyPath, OnExhausted, StepStatus};
use dad_definition::{Component, Content, Expression, ForEachLoop, ProgramElement, RepeatLoop};
use dad_run::driver::{Items, LoopStart};
use dad_run::{EntryPoint, RangeBounds, RunError, RunView, Side};
use dad_template::{Range, Value};

use crate::concurrency::room::Branch;
use crate::flow::component::{Ended, Facts, Inside, Walk, unsupported};
use crate::render::evaluate::{Over, OverItems};
use crate::render::scope::Frame;

impl Walk {
    /// The branch that the statement chooses.
    pub(crate) async fn conditional(
        self: &Arc<Self>,
        component: &Component,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<Facts, RunError> {
        let Content::Conditional {
            statement,
            true_branch,
            false_branch,
        } = &component.content
        else {
            return Err(unsupported(&component.path));
        };
        let path = &inside.entered.path;
        let decided = self.driver.history().and_then(|history| history.branch(path));
        let recorded = self.recorded(inside.side).and_then(|parent| parent.branch(path));
        let taken = match decided.or(recorded) {
            Some(taken) => taken,
            None => match self
                .evaluator()
                .condition("statement", statement, component, path, inside.frame)
            {
                Ok(taken) => taken,
                Err(error) => {
                    all.fail(path, error);
                    return Ok(Facts::default());
                }
            },
        };
        if decided.is_none() {
            self.driver.branch_taken(path, taken)?;
        }
        let list = if taken { true_branch } else { false_branch };
        let mut passed = taken_is_behind(inside, taken, self.entry_point.as_ref());
        self.part(list, &path.branch(taken), inside.frame, inside, &mut passed, all)
            .await?;
        Ok(Facts {
            branch: Some(taken),
            ..Facts::default()
        })
    }

    /// The body for every item.
    pub(crate) async fn for_each(
        self: &Arc<Self>,
        component: &Component,
        for_each: &ForEachLoop,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<Facts, RunError> {
        let path = &inside.entered.path;
        let decided = self.driver.history().map(|history| history.loop_start(path));
        let decided = decided.transpose()?.flatten();
        let is_decided = decided.is_some();
        let recorded = self.recorded(inside.side).map(|parent| parent.loop_start(path));
        let over = match decided.or(recorded.transpose()?.flatten()) {
            Some(start) => Over::recorded(start),
            None => match self.evaluator().over(component, for_each, path, inside.frame) {
                Ok(over) => over,
                Err(error) => {
                    all.fail(path, error);
                    return Ok(Facts::default());
                }
            },
        };
        let over = match is_decided {
            true => over,
            false => {
                let start = self.loop_start(over);
                self.driver.loop_started(path, &start)?;
                Over::recorded(start)
            }
        };
        let frame = |iteration: u64| {
            let variables = over.variables(for_each, iteration);
            let path = path.iteration(iteration);
            Arc::new(Frame::new(&path, variables, Some(Arc::clone(inside.frame))))
        };
        let count = over.items.len();
        let begun = if for_each.max_concurrency > 1 {
            self.concurrently(for_each, count, frame, inside, all).await?
        } else {
            let until = for_each.until.as_ref();
            let passes = Passes {
                component,
                body: &for_each.body,
                until,
                count,
            };
            self.one_by_one(&passes, frame, inside, all).await?.0
        };
        Ok(Facts {
            iterations: Some(begun),
            ..Facts::default()
        })
    }

    /// The body until the condition holds.
    pub(crate) async fn repeat(
        self: &Arc<Self>,
        component: &Component,
        repeat: &RepeatLoop,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<Facts, RunError> {
        let frame = |pass: u64| {
            let variables = vec![(repeat.index_var.clone(), Value::from(pass))];
            let path = inside.entered.path.iteration(pass);
            Arc::new(Frame::new(&path, variables, Some(Arc::clone(inside.frame))))
        };
        let passes = Passes {
            component,
            body: &repeat.body,
            until: Some(&repeat.until),
            count: repeat.max_iterations,
        };
        let (begun, stopped) = self.one_by_one(&passes, frame, inside, all).await?;
        let exhausted = !stopped && all.status == StepStatus::Completed && !self.is_alone();
        if exhausted && repeat.on_exhausted == OnExhausted::Fail {
            all.fail(&inside.entered.path, exhausted_error(component, begun));
        }
        Ok(Facts {
            iterations: Some(begun),
            ..Facts::default()
        })
    }

    /// Iterations one after the other: how many were begun, and whether the condition ended them.
    async fn one_by_one(
        self: &Arc<Self>,
        passes: &Passes<'_>,
        frame: impl Fn(u64) -> Arc<Frame>,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<(u64, bool), RunError> {
        let path = &inside.entered.path;
        let mut passed = false;
        for iteration in 0..passes.count {
            if self.is_stopped(inside) {
                all.cancel();
                return Ok((iteration, false));
            }
            let part = path.iteration(iteration);
            let frame = frame(iteration);
            let side = self
                .part(passes.body, &part, &frame, inside, &mut passed, all)
                .await?;
            if all.status != StepStatus::Completed {
                return Ok((iteration + 1, false));
            }
            let Some(until) = passes.until.filter(|_| !self.is_alone()) else {
                continue;
            };
            let decided = self
                .driver
                .history()
                .and_then(|history| history.loop_decided(path, iteration));
            let stop = match decided {
                Some(stop) => stop,
                None => {
                    let stop = match self.ends(passes.component, until, &part, &frame, side, iteration) {
                        Ok(stop) => stop,
                        Err(error) => {
                            all.fail(path, error);
                            return Ok((iteration + 1, false));
                        }
                    };
                    self.driver.loop_decided(path, iteration, stop)?;
                    stop
                }
            };
            if stop {
                return Ok((iteration + 1, true));
            }
        }
        Ok((passes.count, false))
    }

    /// Whether a loop ends after an iteration. It was decided in the previous run when an entry point in a later
    /// iteration, or behind the loop, was chosen.
    fn ends(
        &self,
        component: &Component,
        until: &Expression,
        part: &HierarchyPath,
        frame: &Arc<Frame>,
        side: Side,
        iteration: u64,
    ) -> Result<bool, ErrorInfo> {
        let parent = self.run.parent().filter(|_| side == Side::Before);
        let path = part.parent();
        let known = parent
            .zip(path)
            .and_then(|(parent, path)| parent.loop_decided(&path, iteration));
        match known {
            Some(stop) => Ok(stop),
            None => self.evaluator().condition("until", until, component, part, frame),
        }
    }

    /// Iterations at the same time, begun in order; after one that fails no other begins. How many were begun.
    async fn concurrently(
        self: &Arc<Self>,
        for_each: &ForEachLoop,
        count: u64,
        frame: impl Fn(u64) -> Arc<Frame> + Sync,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<u64, RunError> {
        let (failed, begun) = (&AtomicBool::new(false), &AtomicU64::new(0));
        let frame = &frame;
        let mut passed = false;
        // Pulled one by one as others end, so that none is begun, nor even counted, after a failure or a cancel.
        let goes_on = |_: &u64| !failed.load(Ordering::Acquire) && !self.is_stopped(inside);
        let iterations = (0..count).take_while(goes_on).map(|iteration| {
            let part = inside.entered.path.iteration(iteration);
            let side = inside
                .side
                .of_child(&part, self.entry_point.as_ref(), &mut passed);
            (iteration, part, side)
        });
        let walk = |(iteration, part, side), branch: Arc<Branch>| async move {
            let mut ended = Ended::nothing();
            begun.fetch_add(1, Ordering::AcqRel);
            let effects = inside.effects.branch();
            let inside = Inside {
                side,
                effects: &effects,
                branch: Some(&branch),
                ..inside
            };
            self.part_at(&for_each.body, &part, &frame(iteration), inside, &mut ended)
                .await?;
            Ok((ended, effects.first().map(|first| (iteration, first.clone()))))
        };
        let (mut broken, mut first_effect) = (None, None);
        let ended = |ended: Result<(Ended, Option<(u64, HierarchyPath)>), RunError>| match ended {
            Ok((ended, effect)) => {
                failed.fetch_or(ended.status.is_failure(), Ordering::AcqRel);
                all.add(ended);
                first_effect = first_effect
                    .take()
                    .into_iter()
                    .chain(effect)
                    .min_by_key(|(iteration, _)| *iteration);
            }
            Err(error) => {
                failed.store(true, Ordering::Release);
                broken.get_or_insert(error);
            }
        };
        let room = self.branches(for_each.max_concurrency as usize, inside.branch);
        room.execute(iterations, walk, ended).await;
        if let Some((_, first)) = first_effect {
            inside.effects.note(&first);
        }
        let begun_all = begun.load(Ordering::Acquire) == count;
        if !begun_all && self.is_stopped(inside) {
            all.cancel();
        }
        broken.map_or(Ok(begun.load(Ordering::Acquire)), Err)
    }

    /// An iteration or branch, and on which side of the entry point it is.
    async fn part(
        self: &Arc<Self>,
        body: &[ProgramElement],
        path: &HierarchyPath,
        frame: &Arc<Frame>,
        inside: Inside<'_>,
        passed: &mut bool,
        all: &mut Ended,
    ) -> Result<Side, RunError> {
        let side = inside.side.of_child(path, self.entry_point.as_ref(), passed);
        self.part_at(body, path, frame, Inside { side, ..inside }, all)
            .await?;
        Ok(side)
    }

    async fn part_at(
        self: &Arc<Self>,
        body: &[ProgramElement],
        path: &HierarchyPath,
        frame: &Arc<Frame>,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<(), RunError> {
        if body.is_empty() || inside.side == Side::Outside {
            return Ok(());
        }
        if let Some(ended) = self.part_ended_before(body, path, inside.phase) {
            all.add(ended);
            return Ok(());
        }
        let entered = self.driver.enter_part(inside.entered, path)?;
        let entered = &self.kept(entered, inside.branch);
        let inside = Inside {
            frame,
            entered,
            ..inside
        };
        self.list(body, inside, &mut false, all).await.map(drop)
    }

    /// The run whose decisions count at a place: the parent, before the entry point and around it.
    fn recorded(&self, side: Side) -> Option<&RunView> {
        match side {
            Side::Before | Side::Around => self.run.parent(),
            Side::Undecided | Side::After | Side::Alone | Side::Outside => None,
        }
    }

    /// What a loop goes over, as it is recorded.
    fn loop_start(&self, over: Over) -> LoopStart {
        let count = over.items.len();
        let items = match over.items {
            OverItems::Range(Range {
                start, stop, step, ..
            }) => Items::Range(RangeBounds { start, stop, step }),
            OverItems::List(items) => Items::List(Clean::render(
                serde_json::Value::Array(items),
                &self.run.secrets().redactor(),
            )),
        };
        LoopStart {
            items,
            count,
            start_index: over.start_index,
        }
    }
}

/// What is executed again and again.
struct Passes<'a> {
    component: &'a Component,
    body: &'a [ProgramElement],
    until: Option<&'a Expression>,
    count: u64,
}

/// Whether the entry point is in the branch before the one that is taken; a plan refuses one that was not taken.
fn taken_is_behind(inside: Inside<'_>, taken: bool, entry: Option<&EntryPoint>) -> bool {
    !taken && entry.is_some_and(|entry| entry.path.is_within(&inside.entered.path.branch(true)))
}

fn exhausted_error(component: &Component, passes: u64) -> ErrorInfo {
    let times = if passes == 1 {
        "1 pass".to_owned()
    } else {
        format!("{passes} passes")
    };
    ErrorInfo::new(
        "loop_exhausted",
        format!("`until` of `{}` was not true after {times}", component.id),
    )
    .with_hint("raise `max_iterations`, or go on all the same by `on_exhausted: continue`")
}
