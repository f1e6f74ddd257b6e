//! Asking the rules of a run for a decision.

use dad_core::{ApprovalRule, HierarchyPath, RuleDecision};
use dad_definition::{Intended, ReadyRule, deciding};
use serde_json::Value;

use crate::live::driver::RunDriver;
use crate::live::rules::{RuleOrigin, Rules, Ruling};

impl RunDriver {
    /// The step or component at a path as rules are about it, before it is said what of it is to execute.
    #[must_use]
    pub fn intended<'a>(&'a self, path: &'a HierarchyPath) -> Intended<'a> {
        Intended::new(self.handle().identity().root_id.as_str(), path, &Value::Null)
    }

    /// The rule that decides about something, if there is one.
    #[must_use]
    pub fn ruling(&self, intended: &Intended<'_>) -> Option<Ruling> {
        let Rules {
            definition,
            user,
            run,
        } = &self.inner().rules;
        let run = run.read();
        let found = deciding(definition.iter().chain(user).chain(&*run), intended)?;
        let is_in = |rules: &[ReadyRule]| rules.iter().any(|rule| std::ptr::eq(rule, found));
        let origin = match (is_in(definition), is_in(user)) {
            (true, _) => RuleOrigin::Definition,
            (_, true) => RuleOrigin::User,
            _ => RuleOrigin::Run,
        };
        Some(Ruling {
            origin,
            rule: found.rule().clone(),
        })
    }

    /// Whether there are any rules: most runs have none.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        let Rules {
            definition,
            user,
            run,
        } = &self.inner().rules;
        let of_run = || !run.read().is_empty();
        !definition.is_empty() || !user.is_empty() || of_run()
    }

    /// The rule that allows the same for the rest of the run: in all iterations of the loops around, with the very arguments.
    #[must_use]
    pub fn rule_for_run(&self, intended: &Intended<'_>) -> ApprovalRule {
        let mut rule = ApprovalRule::new(RuleDecision::Allow)
            .agent(self.handle().identity().root_id.clone())
            .element(intended.path.without_iterations())
            .exactly(intended.arguments.clone());
        rule.node = intended.node.cloned();
        rule.tool = intended.tool.map(str::to_owned);
        rule
    }

    /// Has a rule count for the rest of the run; its record is the answer that a person gave.
    pub(crate) fn rule_the_rest(&self, rule: ApprovalRule) {
        if let Ok(rule) = ReadyRule::new(rule) {
            let mut run = self.inner().rules.run.write();
            run.push(rule);
        }
    }
}
