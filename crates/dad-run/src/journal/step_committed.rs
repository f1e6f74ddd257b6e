//! The record of a step's end, and the sums of such records.

use dad_core::{Fingerprint, HierarchyPath, StatusCounts, StepStatus, Usage};
use dad_events::Origin;
use serde::{Deserialize, Serialize};

use crate::journal::reason::Reason;
use crate::journal::stored::ArtifactList;
use crate::journal::text::{RecordText, RecordedError};

/// A step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepCommitted {
    /// The step.
    pub path: HierarchyPath,
    /// The attempt that ended it, from 1.
    pub attempt: u32,
    /// Its final status.
    pub status: StepStatus,
    /// All that decides what the step does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Its files; none for a skipped step.
    #[serde(default, skip_serializing_if = "ArtifactList::is_empty")]
    pub artifacts: ArtifactList,
    /// The run its files were copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<Origin>,
    /// The run its files were taken from, with a change of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_from: Option<Origin>,
    /// Why its result was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The steps whose results it used, as the definition names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Its usage, without the cost.
    #[serde(default, skip_serializing_if = "Usage::is_zero")]
    pub usage: Usage,
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Of the last attempt.
    pub duration_ms: u64,
    /// A summary in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<RecordText<{ 2 * 1024 }>>,
    /// Why it ended otherwise than well, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
    /// Whether the run continues behind it although it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absorbed: bool,
    /// Which of the processes that drove the run one after the other recorded it, from 1. It follows from the records before it.
    #[serde(skip)]
    pub session: u32,
}

impl StepCommitted {
    /// Whether it left files. What was settled by hand did not.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !self.artifacts.is_empty()
    }
}

impl StepCommitted {
    /// Whether its result was taken from another run, changed or not.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.reused_from.is_some() || self.edited_from.is_some()
    }

    /// The usage of the step when it was executed, cost included.
    #[must_use]
    pub fn consumed(&self) -> Usage {
        self.usage.cost(self.cost)
    }

    /// The usage of the step in this run.
    #[must_use]
    pub fn full_usage(&self) -> Usage {
        if self.is_taken() {
            Usage::default()
        } else {
            self.consumed()
        }
    }

    /// The step as a part of its component's totals.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            usage: self.full_usage(),
            ..Totals::default()
        };
        totals.counts.add(self.status, self.is_taken());
        totals
    }
}

/// The totals of the steps of a component or run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// The number of steps by status.
    pub counts: StatusCounts,
    /// The usage of the executed steps.
    pub usage: Usage,
}

impl Totals {
    /// The totals of steps.
    #[must_use]
    pub fn new(counts: StatusCounts, usage: Usage) -> Self {
        Self { counts, usage }
    }
}

impl Totals {
    /// Adds the totals of a part.
    pub fn add(&mut self, other: &Self) {
        self.counts.add_all(&other.counts);
        self.usage += other.usage;
    }
}
