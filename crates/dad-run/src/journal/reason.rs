//! The reason why a step was executed or reused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a step was executed or reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The run is a first run.
    FirstExecution,
    /// An earlier attempt failed.
    Retry,
    /// The run was resumed, and the step had not ended well.
    Resumed,
    /// It lies before the entry point.
    BeforeEntryPoint,
    /// It is the entry point, or lies in or behind it.
    FromEntryPoint,
    /// It is the step that was to be executed alone.
    Alone,
    /// The re-run is about another step alone.
    NotAsked,
    /// It was asked for by name.
    Asked,
    /// Every step was asked for.
    Fresh,
    /// The previous run has no result of it.
    NoResult,
    /// It failed in the previous run.
    FailedBefore,
    /// The definition says never to reuse it.
    ReuseNever,
    /// The definition says always to reuse it.
    ReuseAlways,
    /// Its settings, input, or what it reads are not those of the previous run.
    Changed,
    /// A step with an effect has been executed before it.
    AfterEffect,
    /// Only another iteration had the effect.
    EffectElsewhere,
    /// Nothing that decides what it does changed.
    Unchanged,
    /// The same was done in another iteration.
    UnchangedElsewhere,
    /// It is decided when the re-run reaches it.
    DecidedLater,
    /// A reason of a newer version.
    #[serde(other)]
    Unknown,
}

impl Reason {
    /// In words, as an end of a sentence about a step.
    #[must_use]
    pub const fn as_sentence(self) -> &'static str {
        match self {
            Self::FirstExecution => "the run is a first run",
            Self::Retry => "the attempt before failed",
            Self::Resumed => "the run was resumed, and the step had not ended well",
            Self::BeforeEntryPoint => "before the entry point",
            Self::FromEntryPoint => "at or after the entry point",
            Self::Alone => "it is the step that was asked for",
            Self::NotAsked => "another step was asked for",
            Self::Asked => "the user asked for this step",
            Self::Fresh => "the user asked for every step",
            Self::NoResult => "the previous run has no result",
            Self::FailedBefore => "it failed in the previous run",
            Self::ReuseNever => "the definition says `reuse: never`",
            Self::ReuseAlways => "the definition says `reuse: always`",
            Self::Changed => "its settings, its input or what it reads changed",
            Self::AfterEffect => "a step with an effect was executed before it",
            Self::EffectElsewhere => "only another iteration had this effect",
            Self::Unchanged => "nothing that is compared changed",
            Self::UnchangedElsewhere => "another iteration did the same",
            Self::DecidedLater => "decided when the re-run reaches it",
            Self::Unknown => "for a reason this version does not know",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_sentence())
    }
}
