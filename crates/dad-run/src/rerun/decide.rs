//! Whether a step of a re-run executes, and why. `docs/rerun.md` holds the same as a table, which a test reads.

use dad_core::{OnError, Reuse, StepStatus};

use crate::journal::reason::Reason;
use crate::journal::step_committed::StepCommitted;
use crate::rerun::planner::Side;

/// What the previous run has of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// It failed, and that stopped what was around it.
    Failed,
    /// A result others could go on from, a failure that was absorbed included.
    Result,
}

/// How the fingerprint of a step compares with those of the previous run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// That of the same step is equal.
    Same,
    /// That of the same step in another iteration is equal.
    OtherIteration,
    /// Neither is.
    Differs,
}

/// What beside its settings and input decides what a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Pure,
    /// What it reads.
    Reads,
    /// It changes something, or depends on what others change.
    Effect,
}

/// What somebody asked for when the re-run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing about this step.
    Nothing,
    /// That this step, or what it is in, executes.
    Execute,
    /// That every step executes.
    Fresh,
}

/// All that decides whether a step of a re-run executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where it stands.
    pub side: Side,
    /// What the previous run has of it.
    pub known: Known,
    /// What was asked for.
    pub asked: Asked,
    /// What the definition says.
    pub reuse: Reuse,
    /// Whether it does the same as before.
    pub fit: Fit,
    /// What decides what it does.
    pub kind: Kind,
    /// Whether a step with an effect has been executed by this re-run.
    pub after_effect: bool,
}

/// What is done with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its result is taken from the previous run.
    Reuse,
    /// It executes.
    Execute,
    /// The re-run cannot begin where it was asked to.
    Refuse,
    /// Neither: the re-run is about another step alone.
    Leave,
}

impl Known {
    /// What is known of a step that may have ended.
    #[must_use]
    pub fn of(step: Option<&StepCommitted>, on_error: OnError) -> Self {
        match step {
            None => Self::Nothing,
            Some(step) if is_result(step, on_error) => Self::Result,
            Some(_) => Self::Failed,
        }
    }
}

/// Whether what is recorded of a step is a result that others could go on from: a failure that was absorbed is one, and
/// a step that was skipped.
#[must_use]
pub fn is_result(step: &StepCommitted, on_error: OnError) -> bool {
    let stands = matches!(step.status, StepStatus::Completed | StepStatus::Skipped);
    stands || step.absorbed || on_error.absorbs(step.status)
}

/// Decides about a step of a re-run.
#[must_use]
pub fn decide(facts: &Facts) -> (Verdict, Reason) {
    match facts.side {
        Side::Outside => (Verdict::Leave, Reason::NotAsked),
        Side::Alone => (Verdict::Execute, Reason::Alone),
        Side::Before if facts.known == Known::Result => (Verdict::Reuse, Reason::BeforeEntryPoint),
        Side::Before => (Verdict::Refuse, Reason::NoResult),
        Side::Around | Side::After => (Verdict::Execute, Reason::FromEntryPoint),
        Side::Undecided => by_fingerprint(facts),
    }
}

fn by_fingerprint(facts: &Facts) -> (Verdict, Reason) {
    let execute = |reason| (Verdict::Execute, reason);
    let reuse = |reason| (Verdict::Reuse, reason);
    match facts {
        Facts {
            asked: Asked::Fresh, ..
        } => execute(Reason::Fresh),
        Facts {
            asked: Asked::Execute,
            ..
        } => execute(Reason::Asked),
        Facts {
            known: Known::Nothing,
            ..
        } => execute(Reason::NoResult),
        Facts {
            known: Known::Failed, ..
        } => execute(Reason::FailedBefore),
        Facts {
            reuse: Reuse::Never, ..
        } => execute(Reason::ReuseNever),
        Facts {
            reuse: Reuse::Always, ..
        } => reuse(Reason::ReuseAlways),
        Facts {
            fit: Fit::Differs, ..
        } => execute(Reason::Changed),
        Facts {
            kind: Kind::Reads | Kind::Effect,
            after_effect: true,
            ..
        } => execute(Reason::AfterEffect),
        Facts {
            kind: Kind::Effect,
            fit: Fit::OtherIteration,
            ..
        } => execute(Reason::EffectElsewhere),
        Facts {
            fit: Fit::OtherIteration,
            ..
        } => reuse(Reason::UnchangedElsewhere),
        Facts { fit: Fit::Same, .. } => reuse(Reason::Unchanged),
    }
}
