//! The builder's options for re-runs and resumed runs.

use serde_json::Value;

use crate::journal::settled::Settled;
use crate::setup::builder::RunContextBuilder;

impl RunContextBuilder {
    /// The run to start from: an id, a unique prefix of one, or `last`.
    #[must_use]
    pub fn previous_run_id(mut self, selector: impl Into<String>) -> Self {
        self.options.previous_run_id = Some(selector.into());
        self
    }

    /// The step or component where a re-run begins to execute.
    #[must_use]
    pub fn start_hierarchy_path(mut self, selector: impl Into<String>) -> Self {
        self.options.entry_point = Some(selector.into());
        self
    }

    /// A step that a re-run executes alone: nothing else is executed or taken over, and templates see the results of the
    /// previous run.
    #[must_use]
    pub fn step_alone(mut self, selector: impl Into<String>) -> Self {
        self.options.entry_point = Some(selector.into());
        self.options.alone = true;
        self
    }

    /// Whether a re-run executes every step, whatever the previous run has.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.options.fresh = fresh;
        self
    }

    /// A step, or all steps of a component, that a re-run executes even if nothing changed.
    #[must_use]
    pub fn execute_anew(mut self, selector: impl Into<String>) -> Self {
        self.options.execute.push(selector.into());
        self
    }

    /// A step or component that asks, or one with such in it, for whose input a re-run asks again although the previous
    /// run has an answer.
    #[must_use]
    pub fn ask(mut self, selector: impl Into<String>) -> Self {
        self.options.ask.push(selector.into());
        self
    }

    /// A step or component that asks, or one with such in it, for which a re-run takes the answers of the previous run by
    /// their paths, whatever was asked there. What is to be asked again is asked all the same.
    #[must_use]
    pub fn reuse_answers(mut self, selector: impl Into<String>) -> Self {
        self.options.reuse_answers.push(selector.into());
        self
    }

    /// Changes a result that a re-run with an entry point takes over: `STEP.outcome.FIELD`, and what stands there now.
    #[must_use]
    pub fn set_outcome(mut self, target: impl Into<String>, value: Value) -> Self {
        self.options.edits.push((target.into(), value));
        self
    }

    /// Whether a resumed run is taken over from a process on another machine. Whether that process still drives the run
    /// cannot be determined from here.
    #[must_use]
    pub fn steal_lease(mut self, steal: bool) -> Self {
        self.options.steal_lease = steal;
        self
    }

    /// Trusts a run that is not the user's own: what its files say is executed when it is resumed, or when one of its steps
    /// executes alone. Otherwise that is [`SetupError::ForeignRun`](crate::SetupError). With an [origin key](Self::origin_key) a
    /// run that is resumed so is the user's own from then on.
    #[must_use]
    pub fn trust_run(mut self, trust: bool) -> Self {
        self.options.trust_run = trust;
        self
    }

    /// Trusts every run that is not signed, as [`trust_run`](Self::trust_run) trusts one: for users without a key.
    #[must_use]
    pub fn trust_unsigned_runs(mut self, trust: bool) -> Self {
        self.options.trust_unsigned = trust;
        self
    }

    /// A step that a resumed run does not execute, because the user settles it by hand.
    #[must_use]
    pub fn settle(mut self, selector: impl Into<String>, settled: Settled) -> Self {
        self.options.settle.push((selector.into(), settled));
        self
    }
}
