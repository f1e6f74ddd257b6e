//! Rules that decide about what is to execute: those of the definition, of the user, and what a person agreed to for the rest of
//! the run.

use std::sync::{PoisonError, RwLock};

use dad_core::{ApprovalRule, HierarchyPath, PathSelector, RuleDecision};
use dad_definition::{Intended, ReadyRule, deciding};
use serde_json::Value;

use crate::driver::RunDriver;
use crate::error::RunError;
use crate::journal::record::StoredValue;
use crate::journal::values::load_value;
use crate::view::RunView;

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOrigin {
    /// It stands in the definition.
    Definition,
    /// It stands in the user's own configuration.
    User,
    /// A person agreed to the same before, for the rest of the run.
    Run,
}

impl RuleOrigin {
    /// The origin as records and messages say it.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Definition => "a rule of the definition",
            Self::User => "a rule of the user's configuration",
            Self::Run => "an agreement for the rest of the run",
        }
    }
}

/// A rule that decides.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// Whose it is.
    pub origin: RuleOrigin,
    /// The rule.
    pub rule: ApprovalRule,
}

/// The rules of a run.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    definition: Vec<ReadyRule>,
    user: Vec<ReadyRule>,
    run: RwLock<Vec<ReadyRule>>,
}

impl Rules {
    pub(crate) fn new(
        definition: &[ApprovalRule],
        user: Vec<ReadyRule>,
        before: Option<&RunView>,
    ) -> Result<Self, RunError> {
        let wrong = |reason: String| RunError::Unrecordable {
            what: "a rule for approvals".to_owned(),
            reason,
        };
        let ready = |rule: &ApprovalRule| ReadyRule::new(rule.clone()).map_err(wrong);
        let run = before.map(RunView::run_rules).transpose()?.unwrap_or_default();
        Ok(Self {
            definition: definition.iter().map(ready).collect::<Result<_, _>>()?,
            user,
            run: RwLock::new(run.iter().map(ready).collect::<Result<_, _>>()?),
        })
    }
}

impl RunDriver {
    /// The step or component at a path as rules are about it, before it is said what of it is to execute.
    #[must_use]
    pub fn intended<'a>(&'a self, path: &'a HierarchyPath) -> Intended<'a> {
        Intended {
            agent: self.handle().identity().root_id.as_str(),
            path,
            node: None,
            tool: None,
            arguments: &Value::Null,
            target: None,
        }
    }

    /// The rule that decides about something, if there is one.
    #[must_use]
    pub fn ruling(&self, intended: &Intended<'_>) -> Option<Ruling> {
        let Rules {
            definition,
            user,
            run,
        } = &self.inner().rules;
        let run = run.read().unwrap_or_else(PoisonError::into_inner);
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
        let of_run = || !run.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        !definition.is_empty() || !user.is_empty() || of_run()
    }

    /// The rule that allows the same for the rest of the run: in all iterations of the loops around, with the very arguments.
    #[must_use]
    pub fn rule_for_run(&self, intended: &Intended<'_>) -> ApprovalRule {
        ApprovalRule {
            agent: Some(self.handle().identity().root_id.clone()),
            element: Some(PathSelector::from(intended.path.without_iterations())),
            node: intended.node.cloned(),
            tool: intended.tool.map(str::to_owned),
            exactly: Some(intended.arguments.clone()),
            decision: RuleDecision::Allow,
            ..ApprovalRule::default()
        }
    }

    /// Has a rule count for the rest of the run; its record is the answer that a person gave.
    pub(crate) fn rule_the_rest(&self, rule: ApprovalRule) {
        if let Ok(rule) = ReadyRule::new(rule) {
            let mut run = self
                .inner()
                .rules
                .run
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            run.push(rule);
        }
    }
}

impl RunView {
    /// What people agreed to for the rest of the run.
    fn run_rules(&self) -> Result<Vec<ApprovalRule>, RunError> {
        let load = |rule: &StoredValue| {
            let value = load_value(self.files(), rule)?;
            serde_json::from_value(value).map_err(|error| RunError::unreadable(self.dir(), error))
        };
        self.stored_run_rules().iter().map(load).collect()
    }
}
