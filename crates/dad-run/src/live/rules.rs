//! Rules for approvals: those of the definition, those of the user, and agreements for the rest of the run.

use dad_core::ApprovalRule;
use dad_definition::ReadyRule;
use parking_lot::RwLock;

use crate::error::{RunError, SetupError};
use crate::journal::stored::StoredValue;
use crate::journal::values::load_value;
use crate::store::view::RunView;

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Ruling {
    /// Whose it is.
    pub origin: RuleOrigin,
    /// The rule.
    pub rule: ApprovalRule,
}

/// The rules of a run.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(super) definition: Vec<ReadyRule>,
    pub(super) user: Vec<ReadyRule>,
    pub(super) run: RwLock<Vec<ReadyRule>>,
}

impl Rules {
    pub(crate) fn new(
        definition: &[ApprovalRule],
        user: Vec<ReadyRule>,
        before: Option<&RunView>,
    ) -> Result<Self, RunError> {
        let wrong = |reason: String| SetupError::Unrecordable {
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

impl RunView {
    /// The agreements for the rest of the run.
    fn run_rules(&self) -> Result<Vec<ApprovalRule>, RunError> {
        let load = |rule: &StoredValue| {
            let value = load_value(self.files(), rule)?;
            serde_json::from_value(value).map_err(|error| RunError::unreadable(self.dir(), error))
        };
        self.stored_run_rules().iter().map(load).collect()
    }
}
