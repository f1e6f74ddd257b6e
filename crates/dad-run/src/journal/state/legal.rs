//! The order of records: which may follow which.

use dad_core::{HierarchyPath, StepStatus, component_around};

use super::open::{OpenStep, Phase};
use super::progress::Progress;
use crate::journal::record::RecordBody;
use crate::journal::step_committed::StepCommitted;

impl Progress {
    /// Which record may follow those before it.
    ///
    /// | record | when |
    /// |---|---|
    /// | `run_created` | first |
    /// | `inputs` | second |
    /// | `run_started` | third |
    /// | `run_resumed` | behind the first; the epoch rises by one |
    /// | `trusted`, `repaired` | where `run_resumed` may stand, and only that follows |
    /// | `component_started` | in a component of this session, or as the root; not twice in a session |
    /// | `branch_taken`, `loop_started` | once in a component of this session |
    /// | `loop_decided` | in a component of this session, for a later iteration each time |
    /// | `component_completed` | for a component of this session; as completed only if all in it has ended |
    /// | `question` | in a component of this session, or for the root |
    /// | `answered` | with an id: if that question is open, for its path and kind |
    /// | `step_started` | in a component of this session; for the first attempt, for the one behind one that failed, or for one of an earlier session |
    /// | `process_started` | while its step executes |
    /// | `attempt_failed` | while that attempt executes |
    /// | `step_committed` | for the attempt that was begun; without one for a result that is taken over or settled by hand |
    /// | `control`, `custom`, `run_sealed` | while the run is driven |
    /// | `step_committed`, `control` | behind `repaired`: what the user decided about an uncertain step |
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn check(&self, body: &RecordBody) -> Result<(), String> {
        match body {
            RecordBody::RunCreated { .. } => self.is_number(1),
            RecordBody::Inputs { .. } => self.is_number(2),
            RecordBody::RunStarted(start) => {
                self.is_number(3).and_then(|()| self.is_epoch(start.driver.epoch))
            }
            RecordBody::RunResumed(start) => self.is_begun().and_then(|()| self.is_epoch(start.driver.epoch)),
            RecordBody::Trusted { .. } | RecordBody::Repaired { .. } => self.is_begun(),
            RecordBody::Unknown => Ok(()),
            RecordBody::StepCommitted(_) | RecordBody::Control { .. } if self.tally.is_repaired => Ok(()),
            _ if !self.tally.is_driven => Err("no process drives the run".to_owned()),
            RecordBody::ComponentStarted { path, .. } => self.may_enter(path),
            RecordBody::BranchTaken { path, .. } | RecordBody::LoopStarted { path, .. } => {
                self.may_decide(path)
            }
            RecordBody::LoopDecided { path, iteration, .. } => self.may_go_round(path, *iteration),
            RecordBody::ComponentCompleted { path, status, .. } => self.may_leave(path, *status),
            RecordBody::Question { path, .. } => self.is_in_component(path),
            RecordBody::Answered {
                path,
                kind,
                id: Some(id),
                ..
            } => match self.open.questions.get(id) {
                Some(open) if open.path == *path && open.kind == *kind => Ok(()),
                _ => Err(format!("`{path}` has no open question `{id}`")),
            },
            RecordBody::StepStarted {
                path,
                attempt,
                session,
                ..
            } => self.may_start(path, *attempt, *session),
            RecordBody::ProcessStarted { path, .. } => self.is_executing(path, None),
            RecordBody::AttemptFailed { path, attempt, .. } => self.is_executing(path, Some(*attempt)),
            RecordBody::StepCommitted(step) => self.may_commit(step),
            _ => Ok(()),
        }
    }

    fn is_number(&self, number: u64) -> Result<(), String> {
        if self.tally.seq + 1 == number {
            Ok(())
        } else {
            Err(format!("a record of its type is number {number}, and no other"))
        }
    }

    fn is_begun(&self) -> Result<(), String> {
        if self.tally.seq >= 1 {
            Ok(())
        } else {
            Err("the run was not made yet".to_owned())
        }
    }

    fn is_epoch(&self, epoch: u32) -> Result<(), String> {
        if self.tally.epoch.checked_add(1) == Some(epoch) {
            Ok(())
        } else {
            Err(format!("epoch {epoch} follows epoch {}", self.tally.epoch))
        }
    }

    fn may_enter(&self, path: &HierarchyPath) -> Result<(), String> {
        if self.is_entered(path.as_str()) {
            return Err(format!("`{path}` was entered already"));
        }
        self.is_in_component(path)
    }

    /// Whether a component was entered in this session and not left.
    fn is_entered(&self, path: &str) -> bool {
        let component = self.open.components.get(path);
        component.is_some_and(|component| component.epoch == self.tally.epoch)
    }

    fn is_in_component(&self, path: &HierarchyPath) -> Result<(), String> {
        match component_around(path.as_str()) {
            Some(around) if !self.is_entered(around) => {
                Err(format!("`{path}` lies in `{around}`, which was not entered"))
            }
            _ => Ok(()),
        }
    }

    fn may_decide(&self, path: &HierarchyPath) -> Result<(), String> {
        match self
            .open
            .components
            .get(path)
            .filter(|_| self.is_entered(path.as_str()))
        {
            Some(component) if !component.is_decided => Ok(()),
            Some(_) => Err(format!("what `{path}` executes was decided already")),
            None => Err(format!("`{path}` was not entered")),
        }
    }

    fn may_go_round(&self, path: &HierarchyPath, iteration: u64) -> Result<(), String> {
        match self
            .open
            .components
            .get(path)
            .filter(|_| self.is_entered(path.as_str()))
        {
            Some(component) if component.last_iteration.is_some_and(|last| last >= iteration) => Err(
                format!("the end of `{path}` was decided already for iteration {iteration}"),
            ),
            Some(_) => Ok(()),
            None => Err(format!("`{path}` was not entered")),
        }
    }

    fn may_leave(&self, path: &HierarchyPath, status: StepStatus) -> Result<(), String> {
        if !self.is_entered(path.as_str()) {
            return Err(format!("`{path}` was not entered"));
        }
        if status != StepStatus::Completed {
            return Ok(());
        }
        let is_inside = |inside: &HierarchyPath, epoch: u32| {
            epoch == self.tally.epoch && inside != path && inside.is_within(path)
        };
        let components = self.open.components.iter().map(|(path, open)| (path, open.epoch));
        let steps = self.open.steps.iter().map(|(path, open)| (path, open.epoch));
        match components
            .chain(steps)
            .find(|(inside, epoch)| is_inside(inside, *epoch))
        {
            Some((inside, _)) => Err(format!(
                "`{path}` has completed, and `{inside}` in it has not ended"
            )),
            None => Ok(()),
        }
    }

    fn may_start(&self, path: &HierarchyPath, attempt: u32, session: Option<u32>) -> Result<(), String> {
        if session.is_some_and(|session| session != self.tally.epoch) {
            return Err(format!(
                "`{path}` is begun by another session than the one that drives"
            ));
        }
        let fits = match self.step(path) {
            Some(step) if step.phase == Phase::Executing => false,
            Some(step) if step.phase == Phase::Paused => step.attempt.checked_add(1) == Some(attempt),
            _ => attempt >= 1,
        };
        if fits {
            self.is_in_component(path)
        } else {
            Err(format!("attempt {attempt} of `{path}` cannot begin now"))
        }
    }

    /// A step that was begun in this session.
    fn step(&self, path: &HierarchyPath) -> Option<&OpenStep> {
        let step = self.open.steps.get(path);
        step.filter(|step| step.epoch == self.tally.epoch)
    }

    fn is_executing(&self, path: &HierarchyPath, attempt: Option<u32>) -> Result<(), String> {
        let fits = |step: &OpenStep| {
            step.phase == Phase::Executing && attempt.is_none_or(|attempt| step.attempt == attempt)
        };
        if self.step(path).is_some_and(fits) {
            Ok(())
        } else {
            Err(format!("`{path}` does not execute"))
        }
    }

    fn may_commit(&self, step: &StepCommitted) -> Result<(), String> {
        let path = &step.path;
        self.is_in_component(path)?;
        let was_not_executed = step.is_taken() || !step.has_files();
        let fits = match self.step(path) {
            Some(open) if open.phase != Phase::Asking => {
                // One that asked while it executed, and was cancelled before the answer, ends without files.
                let is_cancelled = step.status == StepStatus::Cancelled && !step.has_files();
                open.attempt == step.attempt || is_cancelled
            }
            _ => was_not_executed,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("attempt {} of `{path}` was not begun", step.attempt))
        }
    }
}
