//! Approval rules of a definition.

use dad_core::{ApprovalRule, NodeType, PathSelector, RuleDecision};

use crate::decode::fields::{Fields, items, text, word};
use crate::decode::values::element_id;
use crate::decode::{Cx, values};
use crate::place::Place;
use crate::problem::Problem;
use crate::value::Tree;

const KEYS: &[&str] = &[
    "agent",
    "element",
    "node",
    "tool",
    "arguments",
    "exactly",
    "decision",
];

/// Rules for approvals.
pub(crate) fn approvals(tree: &Tree, place: &Place, cx: &mut Cx) -> Vec<ApprovalRule> {
    let rules = items(tree, place, "a list of rules", cx).iter().enumerate();
    rules
        .filter_map(|(index, tree)| rule(tree, &place.index(index), cx))
        .collect()
}

fn rule(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<ApprovalRule> {
    let mut fields = Fields::new(
        tree,
        place,
        "a mapping such as `{ tool: NAME, decision: allow }`",
        cx,
    )?;
    let mut rule = ApprovalRule::default();
    if let Some((tree, place)) = fields.take("agent") {
        rule.agent = text(tree, &place, "an id", cx).and_then(|id| element_id(id, &place, cx));
    }
    if let Some((tree, place)) = fields.take("element") {
        let selector = text(tree, &place, "the path of a step or component", cx);
        match selector.map(str::parse::<PathSelector>).transpose() {
            Ok(selector) => rule.element = selector,
            Err(error) => cx.at(&place, Problem::new("wrong_value", error.to_string())),
        }
    }
    if let Some((tree, place)) = fields.take("node") {
        rule.node = text(tree, &place, "the type of a node", cx).map(|name| NodeType::new(name.to_owned()));
    }
    if let Some((tree, place)) = fields.take("tool") {
        rule.tool = text(tree, &place, "the name of a tool", cx).map(str::to_owned);
    }
    for (key, value) in [("arguments", &mut rule.arguments), ("exactly", &mut rule.exactly)] {
        if let Some((tree, place)) = fields.take(key) {
            *value = Some(values::value(tree, &place, cx));
        }
    }
    let decision = fields.take("decision").map(|(tree, place)| {
        let words = [
            ("allow", RuleDecision::Allow),
            ("ask", RuleDecision::Ask),
            ("deny", RuleDecision::Deny),
        ];
        word(tree, &place, &words, cx)
    });
    if decision.is_none() {
        fields.missing("decision", "write `decision: allow`, `ask` or `deny`", cx);
    }
    fields.finish(KEYS, |_| None, cx);
    rule.decision = decision.flatten().unwrap_or_default();
    Some(rule)
}
