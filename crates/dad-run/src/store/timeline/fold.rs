//! Reading a journal into rows: one pass, in memory for the rows and for what has not ended.

use std::collections::HashMap;
use std::time::Duration;

use dad_core::{HierarchyPath, RunId, RunStatus, Segment, StepStatus, Timestamp, Usage};

use super::SlowStep;
use super::clock::{Activity, Clock, Phase};
use super::iterations::{Failure, Iterations, Touch};
use super::row::{Row, RowKind};
use crate::journal::record::{Record, RecordBody};
use crate::journal::state::between;
use crate::journal::step_committed::StepCommitted;

/// The number of slow steps that are named.
const SLOWEST: usize = 3;

/// The rows as far as the journal was read.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The step, component or iteration that is looked at; `None` for the whole run.
    within: Option<HierarchyPath>,
    /// Whether each iteration of a loop has rows of its own.
    expand: bool,
    pub(super) run_id: Option<RunId>,
    pub(super) run: Clock,
    pub(super) usage: Usage,
    pub(super) rows: Vec<Row>,
    index: HashMap<HierarchyPath, usize>,
    open: HashMap<HierarchyPath, OpenStep>,
    pub(super) slowest: Vec<SlowStep>,
    is_driven: bool,
    session_since: Option<Timestamp>,
    pub(super) sealed: Option<RunStatus>,
    pub(super) last_at: Option<Timestamp>,
}

/// A step that has begun, or asked, and not ended.
#[derive(Debug)]
struct OpenStep {
    phase: Phase,
    /// Whether it continues to execute when its question is answered.
    executes: bool,
    since: Timestamp,
    /// The time that it has worked, or waited for its next attempt.
    took: Duration,
}

/// The place of a step or component among the rows.
struct Place {
    /// Its own row, or that of the loop or iteration which hides it.
    row: usize,
    is_own: bool,
    /// The rows of the loops around it, and the iterations of them that it stands in.
    loops: Vec<(usize, u64)>,
}

impl Fold {
    pub(super) fn new(within: Option<HierarchyPath>, expand: bool) -> Self {
        Self {
            within,
            expand,
            ..Self::default()
        }
    }

    pub(super) fn apply(&mut self, record: Record) {
        let at = record.at;
        let last_at = self.last_at.replace(at).unwrap_or(at);
        match record.body {
            RecordBody::RunCreated { run_id, .. } => {
                self.run_id = Some(run_id);
                self.run.begin(at, Activity::Idle);
                self.resume(at);
            }
            // By the process that made it.
            RecordBody::RunStarted(_) => {}
            RecordBody::RunResumed(_) => {
                // The process before it died.
                self.pause(last_at);
                self.resume(at);
            }
            RecordBody::RunSealed { status, .. } => {
                self.pause(at);
                self.sealed = Some(status);
            }
            RecordBody::Trusted { .. } | RecordBody::Repaired { .. } => self.pause(last_at),
            RecordBody::ComponentStarted { path, kind, .. } => {
                self.change(&path, at, None, None);
                if let Some(row) = self.own_row(&path, at) {
                    row.kind = RowKind::Component(kind);
                    row.status = StepStatus::Running;
                    if kind.is_loop() {
                        row.iterations.get_or_insert_default();
                    }
                }
            }
            RecordBody::ComponentCompleted { path, status, .. } => self.component_ended(&path, status, at),
            RecordBody::LoopStarted { path, count, .. } => {
                let iterations = self.own_row(&path, at).and_then(|row| row.iterations.as_mut());
                if let Some(iterations) = iterations {
                    iterations.expected = Some(count);
                }
            }
            RecordBody::LoopDecided { path, iteration, .. } => self.iteration_ended(&path, iteration),
            RecordBody::Question { path, .. } => {
                self.change(&path, at, Some(Phase::Asking), None);
                self.set_status(&path, at, StepStatus::Waiting);
            }
            RecordBody::Answered {
                path, id: Some(_), ..
            } => self.answered(&path, at),
            RecordBody::StepStarted { path, attempt, .. } => {
                self.change(&path, at, Some(Phase::Executing), None);
                self.set_status(&path, at, StepStatus::Running);
                if let Some(row) = self.own_row(&path, at) {
                    row.attempts = attempt;
                }
            }
            RecordBody::AttemptFailed { path, usage, .. } => {
                self.change(&path, at, Some(Phase::Retrying), None);
                self.consumed(&path, at, usage);
            }
            RecordBody::StepCommitted(step) => self.step_ended(&step, at),
            _ => {}
        }
    }

    /// Ends the reading: what has not ended lasts until now if a process drives the run, else it did until the last record.
    pub(super) fn finish(&mut self, now: Option<Timestamp>) {
        let end = now.or(self.last_at).unwrap_or(Timestamp::UNIX_EPOCH);
        match now {
            Some(now) => self.settle(now),
            None => self.pause(end),
        }
        self.last_at = Some(end);
        let failed: Vec<(usize, StepStatus)> = (0..self.rows.len())
            .filter_map(|index| Some((index, self.iteration_status(index)?)))
            .collect();
        for (index, status) in failed {
            self.rows[index].status = status;
        }
    }

    /// The status of an iteration that has a row, by the steps in it.
    fn iteration_status(&self, index: usize) -> Option<StepStatus> {
        let row = &self.rows[index];
        let Segment::Iteration(number) = Segment::of(row.path.leaf()) else {
            return None;
        };
        let iterations = row
            .parent
            .and_then(|parent| self.rows[parent].iterations.as_ref());
        Some(
            match iterations.is_some_and(|iterations| iterations.has_failed(number)) {
                true => StepStatus::Failed,
                false if row.clock.is_asking() => StepStatus::Waiting,
                false if !row.clock.is_quiet() => StepStatus::Running,
                false => StepStatus::Completed,
            },
        )
    }

    /// No process drives the run any more.
    fn pause(&mut self, at: Timestamp) {
        if !self.is_driven {
            return;
        }
        self.settle(at);
        let executing = self.open.iter().filter(|(_, step)| step.phase != Phase::Asking);
        let executing: Vec<HierarchyPath> = executing.map(|(path, _)| path.clone()).collect();
        for path in executing {
            self.change(&path, at, Some(Phase::Stopped), None);
        }
        self.open.values_mut().for_each(|step| step.executes = false);
        self.is_driven = false;
    }

    fn resume(&mut self, at: Timestamp) {
        self.settle(at);
        self.is_driven = true;
        self.session_since = Some(at);
        self.sealed = None;
        let loops = self.rows.iter_mut().filter_map(|row| row.iterations.as_mut());
        loops.for_each(Iterations::resumed);
    }

    fn settle(&mut self, at: Timestamp) {
        self.run.settle(at, self.is_driven);
        for row in &mut self.rows {
            row.clock.settle(at, self.is_driven);
        }
    }

    fn component_ended(&mut self, path: &HierarchyPath, status: StepStatus, at: Timestamp) {
        self.change(path, at, None, None);
        let is_driven = self.is_driven;
        let Some(row) = self.own_row(path, at) else {
            return;
        };
        row.clock.end(at, is_driven);
        row.status = status;
        if let Some(iterations) = &mut row.iterations {
            iterations.close_all();
        }
    }

    fn iteration_ended(&mut self, path: &HierarchyPath, number: u64) {
        let Some(row) = self.index.get(path).map(|index| &mut self.rows[*index]) else {
            return;
        };
        if let Some(iterations) = &mut row.iterations {
            iterations.close(number);
        }
    }

    fn answered(&mut self, path: &HierarchyPath, at: Timestamp) {
        let Some(step) = self.open.get(path).filter(|step| step.phase == Phase::Asking) else {
            return;
        };
        let next = if step.executes {
            Phase::Executing
        } else {
            Phase::Stopped
        };
        self.change(path, at, Some(next), None);
        self.set_status(path, at, StepStatus::Running);
    }

    fn step_ended(&mut self, step: &StepCommitted, at: Timestamp) {
        let failure = match (step.status.is_failure(), step.absorbed) {
            (false, _) => None,
            (true, false) => Some(Failure::Fatal),
            (true, true) => Some(Failure::Absorbed),
        };
        let took = self.change(&step.path, at, None, failure);
        if !step.is_taken() && !took.is_zero() && self.is_looked_at(&step.path) {
            self.note_slow(&step.path, took);
        }
        self.consumed(&step.path, at, step.full_usage());
        let is_driven = self.is_driven;
        if let Some(row) = self.own_row(&step.path, at) {
            row.clock.end(at, is_driven);
            row.status = step.status;
            row.is_reused = step.is_taken();
            row.attempts = step.attempt;
        }
    }

    fn note_slow(&mut self, path: &HierarchyPath, took: Duration) {
        let place = self.slowest.partition_point(|slow| slow.took >= took);
        if place < SLOWEST {
            let path = path.clone();
            self.slowest.insert(place, SlowStep { path, took });
            self.slowest.truncate(SLOWEST);
        }
    }

    fn consumed(&mut self, path: &HierarchyPath, at: Timestamp, usage: Usage) {
        if usage.is_zero() {
            return;
        }
        self.usage += usage;
        let place = self.place(path, at);
        self.each_around(place.map(|place| place.row), |row| row.usage += usage);
    }

    fn set_status(&mut self, path: &HierarchyPath, at: Timestamp, status: StepStatus) {
        if let Some(row) = self.own_row(path, at) {
            row.status = status;
        }
    }

    /// The row of a step or component, unless a loop hides it.
    fn own_row(&mut self, path: &HierarchyPath, at: Timestamp) -> Option<&mut Row> {
        let place = self.place(path, at)?;
        place.is_own.then(|| &mut self.rows[place.row])
    }

    /// Has a step or component enter another phase, `None` if it ended or asks no more, and gives the time that it has taken.
    fn change(
        &mut self,
        path: &HierarchyPath,
        at: Timestamp,
        now: Option<Phase>,
        failure: Option<Failure>,
    ) -> Duration {
        let (before, took) = self.enter(path, at, now);
        let is_driven = self.is_driven;
        self.run.settle(at, is_driven);
        self.run.change(before, now);
        let Some(place) = self.place(path, at) else {
            return took;
        };
        let session_since = self.session_since;
        self.each_around(Some(place.row), |row| {
            // An iteration pauses between its steps; anything else begins again only in another session.
            let is_idle = row.clock.ended_at < session_since;
            row.clock.begin(
                at,
                if is_idle {
                    Activity::Idle
                } else {
                    Activity::Working
                },
            );
            row.clock.settle(at, is_driven);
            row.clock.change(before, now);
            // No record ends an iteration: it ends with its last step.
            if row.kind == RowKind::Iteration && row.clock.is_quiet() {
                row.clock.stop();
            }
        });
        let opened = i8::from(now.is_some()) - i8::from(before.is_some());
        for (row, number) in place.loops {
            let row = &mut self.rows[row];
            let waited = row.clock.spent.waited();
            let touch = Touch {
                at,
                waited,
                opened,
                failure,
            };
            row.iterations.get_or_insert_default().touch(number, touch);
        }
        took
    }

    /// Notes the phase of a step, and gives the one before and the time that it has taken.
    fn enter(
        &mut self,
        path: &HierarchyPath,
        at: Timestamp,
        now: Option<Phase>,
    ) -> (Option<Phase>, Duration) {
        let before = self.open.get_mut(path).map(|step| {
            if matches!(step.phase, Phase::Executing | Phase::Retrying) {
                step.took += between(step.since, at);
            }
            step.since = at;
            step.phase
        });
        let Some(now) = now else {
            let ended = self.open.remove(path);
            return (before, ended.map(|step| step.took).unwrap_or_default());
        };
        let step = self.open.entry(path.clone()).or_insert(OpenStep {
            phase: now,
            executes: false,
            since: at,
            took: Duration::ZERO,
        });
        step.phase = now;
        match now {
            Phase::Executing => step.executes = true,
            Phase::Retrying => step.executes = false,
            Phase::Asking | Phase::Stopped => {}
        }
        (before, step.took)
    }

    /// Applies a change to a row and to those around it.
    fn each_around(&mut self, row: Option<usize>, mut change: impl FnMut(&mut Row)) {
        let mut next = row;
        while let Some(row) = next.and_then(|index| self.rows.get_mut(index)) {
            change(row);
            next = row.parent;
        }
    }

    fn is_looked_at(&self, path: &HierarchyPath) -> bool {
        self.within.as_ref().is_none_or(|within| path.is_within(within))
    }

    /// The place of a step or component, whose rows are made if they are missing; `None` if it is not looked at.
    fn place(&mut self, path: &HierarchyPath, at: Timestamp) -> Option<Place> {
        if !self.is_looked_at(path) {
            return None;
        }
        let text = path.as_str();
        let base = self.within.as_ref().map_or(0, |within| within.as_str().len());
        let mut shown = text.len();
        let mut loops = Vec::new();
        let mut end = 0;
        for segment in text.split('.') {
            let start = end;
            end = start + segment.len() + 1;
            let Segment::Iteration(number) = Segment::of(segment) else {
                continue;
            };
            // What the path itself names is open.
            let Some(around) = start.checked_sub(1).filter(|around| *around >= base) else {
                continue;
            };
            let row = self.row(&text[..around], at)?;
            loops.push((row, number));
            if self.expand {
                continue;
            }
            shown = if around == base && base > 0 {
                end - 1
            } else {
                around
            };
            break;
        }
        let row = self.row(&text[..shown], at)?;
        let is_own = shown == text.len();
        Some(Place { row, is_own, loops })
    }

    /// The row of a path, made with those around it if it is missing.
    fn row(&mut self, path: &str, at: Timestamp) -> Option<usize> {
        if let Some(index) = self.index.get(path) {
            return Some(*index);
        }
        let base = self.within.as_ref().map_or(0, |within| within.as_str().len());
        let mut around = path;
        let parent = loop {
            around = match around.rsplit_once('.') {
                Some((around, _)) if around.len() >= base => around,
                _ => break None,
            };
            let leaf = around.rsplit('.').next().unwrap_or(around);
            if !matches!(Segment::of(leaf), Segment::Branch(_)) {
                break self.row(around, at);
            }
        };
        let path: HierarchyPath = path.parse().ok()?;
        let kind = match Segment::of(path.leaf()) {
            Segment::Iteration(_) => RowKind::Iteration,
            _ => RowKind::Step,
        };
        let index = self.rows.len();
        let mut row = Row::new(path.clone(), parent, kind);
        row.clock.begin(at, Activity::Idle);
        self.rows.push(row);
        self.index.insert(path, index);
        if let Some(parent) = parent {
            self.rows[parent].children.push(index);
        }
        Some(index)
    }
}
