//! Whether a step of a re-run executes, and why. `docs/rerun.md` holds the same as a table, which a test reads.

use dad_core::{OnError, Reuse, StepStatus};
use dad_definition::NodeElement;

use crate::journal::reason::Reason;
use crate::journal::step_committed::StepCommitted;
use crate::rerun::order::EntryRelation;

/// The previous run's record of a step. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviousResult {
    /// None.
    Nothing,
    /// It failed, and its failure propagated.
    Failed,
    /// A result that later steps can use; a failure that was absorbed is one.
    Result,
}

/// The comparison of a step's fingerprint with those of the previous run. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintMatch {
    /// That of the same step is equal.
    Same,
    /// That of the same step in another iteration is equal.
    OtherIteration,
    /// Neither is.
    Differs,
}

/// The dependencies of a step's result besides its settings and input. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purity {
    /// None.
    Pure,
    /// The files or other sources that it reads.
    Reads,
    /// Unknown ones: it changes something, or depends on state that others change.
    Effect,
}

/// The user's request about a step when the re-run was started. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// None.
    Nothing,
    /// This step, or a component around it, is to execute.
    Execute,
    /// Every step is to execute.
    Fresh,
}

/// The inputs of the decision whether a step of a re-run executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReuseInputs {
    /// The step's place relative to the entry point.
    pub relation: EntryRelation,
    /// The previous run's record of it.
    pub previous: PreviousResult,
    /// The user's request.
    pub requested: Requested,
    /// The definition's `reuse`.
    pub reuse: Reuse,
    /// The comparison of its fingerprint.
    pub fingerprint: FingerprintMatch,
    /// The dependencies of its result.
    pub purity: Purity,
    /// Whether this re-run has executed a step with an effect before it.
    pub after_effect: bool,
}

/// The decision about a step. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its result is taken from the previous run.
    Reuse,
    /// It executes.
    Execute,
    /// The re-run cannot begin at its entry point.
    Refuse,
    /// Neither: another step executes alone.
    OutOfScope,
}

impl PreviousResult {
    /// The kind of a record, of a step that may not have ended.
    #[must_use]
    pub fn of(step: Option<&StepCommitted>, on_error: OnError) -> Self {
        match step {
            None => Self::Nothing,
            Some(step) if is_result(step, on_error) => Self::Result,
            Some(_) => Self::Failed,
        }
    }
}

impl ReuseInputs {
    /// The inputs for a step about which nothing is known but its previous result and its place: nothing was requested, its
    /// fingerprint counts as different, and it counts as a step with an effect.
    #[must_use]
    pub fn of_step(node: &NodeElement, previous: Option<&StepCommitted>, relation: EntryRelation) -> Self {
        Self {
            relation,
            previous: PreviousResult::of(previous, node.options.on_error),
            requested: Requested::Nothing,
            reuse: node.options.reuse,
            fingerprint: FingerprintMatch::Differs,
            purity: Purity::Effect,
            after_effect: false,
        }
    }
}

/// Whether the record of a step is a result that later steps can use: a failure that was absorbed is one, and a step that
/// was skipped.
#[must_use]
pub fn is_result(step: &StepCommitted, on_error: OnError) -> bool {
    let stands = matches!(step.status, StepStatus::Completed | StepStatus::Skipped);
    stands || step.absorbed || on_error.absorbs(step.status)
}

/// Decides about a step of a re-run.
#[must_use]
pub fn decide(inputs: &ReuseInputs) -> (Verdict, Reason) {
    match inputs.relation {
        EntryRelation::OutOfScope => (Verdict::OutOfScope, Reason::NotAsked),
        EntryRelation::Alone => (Verdict::Execute, Reason::Alone),
        EntryRelation::Before if inputs.previous == PreviousResult::Result => {
            (Verdict::Reuse, Reason::BeforeEntryPoint)
        }
        EntryRelation::Before => (Verdict::Refuse, Reason::NoResult),
        EntryRelation::Contains | EntryRelation::After => (Verdict::Execute, Reason::FromEntryPoint),
        EntryRelation::NoEntryPoint => by_fingerprint(inputs),
    }
}

fn by_fingerprint(inputs: &ReuseInputs) -> (Verdict, Reason) {
    let execute = |reason| (Verdict::Execute, reason);
    let reuse = |reason| (Verdict::Reuse, reason);
    match inputs {
        ReuseInputs {
            requested: Requested::Fresh,
            ..
        } => execute(Reason::Fresh),
        ReuseInputs {
            requested: Requested::Execute,
            ..
        } => execute(Reason::Asked),
        ReuseInputs {
            previous: PreviousResult::Nothing,
            ..
        } => execute(Reason::NoResult),
        ReuseInputs {
            previous: PreviousResult::Failed,
            ..
        } => execute(Reason::FailedBefore),
        ReuseInputs {
            reuse: Reuse::Never, ..
        } => execute(Reason::ReuseNever),
        ReuseInputs {
            reuse: Reuse::Always, ..
        } => reuse(Reason::ReuseAlways),
        ReuseInputs {
            fingerprint: FingerprintMatch::Differs,
            ..
        } => execute(Reason::Changed),
        ReuseInputs {
            purity: Purity::Reads | Purity::Effect,
            after_effect: true,
            ..
        } => execute(Reason::AfterEffect),
        ReuseInputs {
            purity: Purity::Effect,
            fingerprint: FingerprintMatch::OtherIteration,
            ..
        } => execute(Reason::EffectElsewhere),
        ReuseInputs {
            fingerprint: FingerprintMatch::OtherIteration,
            ..
        } => reuse(Reason::UnchangedElsewhere),
        ReuseInputs {
            fingerprint: FingerprintMatch::Same,
            ..
        } => reuse(Reason::Unchanged),
    }
}
