//! The decision about a step: whether it executes, or reuses the result of the previous run.

use std::collections::BTreeMap;

use dad_core::{Fingerprint, HierarchyPath};
use dad_definition::NodeElement;
use dad_run::layout::{RESULT, WORLD};
use dad_run::reuse::{
    Compared, EntryRelation, FingerprintMatch, Purity, Requested, ReuseInputs, Verdict, decide, origin_of,
};
use dad_run::{Changes, Reason, RunError, RunView, StepCommitted};
use serde_json::Value;

use crate::node::traits::{ReadSet, World};
use crate::step::fingerprint::fitting;
use crate::step::place::Step;

/// A decision, with its reason.
pub(crate) struct Decided<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    /// The record of the previous run that it was compared with.
    pub(crate) previous: Option<&'a StepCommitted>,
    /// The earlier step whose effect is the reason.
    pub(crate) after: Option<HierarchyPath>,
}

/// A step of a re-run, compared with the previous run.
pub(crate) struct Comparison<'a> {
    pub(crate) previous_run: Option<&'a RunView>,
    pub(crate) node: &'a NodeElement,
    pub(crate) path: &'a HierarchyPath,
    pub(crate) relation: EntryRelation,
    pub(crate) requested: Requested,
    /// Whether a step with an effect executes before it.
    pub(crate) after_effect: bool,
}

impl<'a> Comparison<'a> {
    /// Decides about the step by its fingerprint. The executor of a run and the forecast of a re-run both decide here.
    pub(crate) fn decide(
        &self,
        fingerprint: Fingerprint,
        first_version: impl FnOnce() -> Fingerprint,
        purity: Purity,
    ) -> Decided<'a> {
        let (previous, fingerprint) = match self.previous_run {
            Some(run) => fitting(run, self.path, self.node, fingerprint, first_version),
            None => (None, FingerprintMatch::Differs),
        };
        let (verdict, reason) = decide(&ReuseInputs {
            requested: self.requested,
            fingerprint,
            purity,
            after_effect: self.after_effect,
            ..ReuseInputs::of_step(self.node, previous, self.relation)
        });
        Decided {
            verdict,
            reason,
            previous,
            after: None,
        }
    }
}

impl Step<'_> {
    /// Whether the step executes, or the result of the previous run stands for it.
    pub(super) fn decide(
        &self,
        world: &World,
        fingerprint: Fingerprint,
        first_version: impl FnOnce() -> Fingerprint,
    ) -> Decided<'_> {
        let Some(previous_run) = self.run().parent() else {
            return Decided {
                verdict: Verdict::Execute,
                reason: Reason::FirstExecution,
                previous: None,
                after: None,
            };
        };
        let after = self.context.effects.first();
        let comparison = Comparison {
            previous_run: Some(previous_run),
            node: self.node,
            path: &self.path,
            relation: self.context.relation,
            requested: self.session().requests.of_step(&self.path),
            after_effect: after.is_some(),
        };
        let decided = comparison.decide(fingerprint, first_version, world.purity());
        let after = after.filter(|_| decided.reason == Reason::AfterEffect).cloned();
        Decided { after, ..decided }
    }

    /// The differences from the previous run, if they are the reason for which the step executes.
    pub(super) fn changes(
        &self,
        decided: &Decided<'_>,
        world: &World,
        settings: &Value,
        input: Option<&Value>,
    ) -> Result<Option<Changes>, RunError> {
        let run = self.run();
        let (Reason::Changed, Some(previous), Some(parent)) =
            (decided.reason, decided.previous, run.parent())
        else {
            return Ok(None);
        };
        let field = |result: &Value, name: &str| result.get(name).cloned().unwrap_or_default();
        // Files hold masked values.
        let redactor = run.secrets().redactor();
        let compared = Compared::default()
            .node_type(self.node.node_type.to_string())
            .settings(settings.clone())
            .input(input.cloned().unwrap_or_default())
            .reads(match world {
                World::Reads(reads) => reads.masked(&redactor).reads,
                _ => BTreeMap::new(),
            });
        // A step that the user settled has no result to compare with.
        let Some(result) = parent.step_file::<Value>(&previous.path, RESULT)? else {
            return Ok(None);
        };
        let reads: Option<ReadSet> = parent.step_file(&previous.path, WORLD)?;
        let before = Compared::default()
            .node_type(
                field(&result, "node_type")
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
            .settings(field(&result, "settings"))
            .input(field(&result, "input"))
            .reads(reads.unwrap_or_default().reads);
        // The previous run may have known fewer secrets.
        let normalised = |mut compared: Compared| {
            redactor.redact_json(&mut compared.settings);
            redactor.redact_json(&mut compared.input);
            let normaliser = &self.session().normaliser;
            compared.settings = normaliser.value(&compared.settings);
            compared.input = normaliser.value(&compared.input);
            compared
        };
        let origin = origin_of(previous, &parent.run_id);
        Ok(Some(Changes::between(
            origin,
            &normalised(before),
            &normalised(compared),
        )))
    }

    /// The reason for which a step executes that could not be compared.
    pub(super) fn plain_reason(&self) -> Reason {
        match (self.run().parent(), self.context.relation) {
            (None, _) => Reason::FirstExecution,
            (Some(_), EntryRelation::Alone) => Reason::Alone,
            (Some(parent), EntryRelation::NoEntryPoint)
                if parent.step(&self.path).is_none_or(|step| !step.has_files()) =>
            {
                Reason::NoResult
            }
            (Some(_), EntryRelation::NoEntryPoint) => Reason::Changed,
            (Some(_), _) => Reason::FromEntryPoint,
        }
    }
}
