//! Rules that decide about approvals instead of a person: the data, as definitions and configurations write it.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::NodeType;
use crate::id::ElementId;
use crate::path::PathSelector;

/// Decides about steps and calls of tools without a person, or has a person asked: an entry of `approvals` in a definition or in
/// the user's own configuration. What it says of a step has to hold together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[setters(into, strip_option)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalRule {
    /// The root component of the run, such as `autocoder_root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<ElementId>,
    /// The step or component, as selectors name it; of a tool the step that calls the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<PathSelector>,
    /// The type of the node: of a step, and, for `deny` and `ask`, also of what stands behind the tool that a model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeType>,
    /// The name of the tool that a model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// A pattern of the rendered settings or of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The rendered settings or the arguments themselves, in the place of a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exactly: Option<Value>,
    /// The decision.
    pub decision: RuleDecision,
}

impl ApprovalRule {
    /// A rule that decides so about everything; its setters restrict it.
    #[must_use]
    pub fn new(decision: RuleDecision) -> Self {
        Self::default().decision(decision)
    }
}

/// The decision of an [`ApprovalRule`]. Of several rules that hold, the most careful one counts: `deny` before `ask` before
/// `allow`. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleDecision {
    /// It executes, and no person is asked.
    Allow,
    /// A person is asked, whether or not `requires_approval` stands there.
    #[default]
    Ask,
    /// It does not execute.
    Deny,
}
