//! Steps that the user settles by hand.

use crate::journal::record::ControlKind;

/// The user's decision about a step that did not end well. A closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is passed over: others see no result. Perhaps why.
    Skipped(Option<String>),
    /// It failed. Perhaps why.
    Failed(Option<String>),
}

impl Settled {
    pub(crate) fn kind(&self) -> ControlKind {
        match self {
            Self::Skipped(_) => ControlKind::Skip,
            Self::Failed(_) => ControlKind::Fail,
        }
    }

    pub(crate) fn reason(&self) -> Option<&String> {
        match self {
            Self::Skipped(reason) | Self::Failed(reason) => reason.as_ref(),
        }
    }
}
