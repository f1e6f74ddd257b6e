//! The projections `run_summary.json` and `dad_metadata.json`: written for people, never read as truth.

use dad_core::{
    ElementId, ErrorInfo, FirstFailure, HierarchyPath, RunId, RunStatus, StatusCounts, Timestamp,
};
use dad_fs::{Dir, Durability};
use serde::{Deserialize, Serialize};

use crate::document::{write_json, write_json_beside_others};
use crate::error::RunError;
use crate::format;
use crate::journal::record::Driver;
use crate::layout::{METADATA, RUN_SUMMARY};
use crate::live::sealed_run::SealedRun;
use crate::live::shared::RunShared;

/// The content of `.trace/dad_metadata.json`, written from the journal and never read as truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Version of the format.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// Its root component.
    pub root_component_id: ElementId,
    /// Its status when this was written.
    pub status: RunStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Since the process began to drive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// The process that drives or drove it.
    #[serde(flatten)]
    pub driver: Driver,
    /// The run it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_run_id: Option<RunId>,
    /// The entry point, if it is a re-run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_hierarchy_path: Option<HierarchyPath>,
    /// Why it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// Its usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<dad_core::Usage>,
}

impl Metadata {
    pub(crate) fn new(
        run: &RunShared,
        driver: Driver,
        status: RunStatus,
        completed_at: Option<Timestamp>,
        sealed: Option<&SealedRun>,
    ) -> Self {
        Self {
            schema_version: format::RUN_SUMMARY,
            run_id: run.identity.run_id.clone(),
            root_component_id: run.identity.root_id.clone(),
            status,
            created_at: run.created_at,
            completed_at,
            duration_seconds: sealed.map(|sealed| sealed.duration.as_secs_f64()),
            driver,
            previous_run_id: run.identity.previous_run_id.clone(),
            start_hierarchy_path: run.plan.as_ref().and_then(|plan| plan.entry_point.clone()),
            error: sealed.and_then(|sealed| sealed.error.clone()),
            usage: sealed.map(|sealed| sealed.totals.usage),
        }
    }

    pub(crate) fn write(&self, trace: &Dir, durability: Durability) -> Result<(), RunError> {
        write_json(trace, METADATA, self, durability)
    }
}

/// The content of `run_summary.json`, written from the journal and never read as truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Version of the format.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// Its root component.
    pub root_component_id: ElementId,
    /// The status of its seal.
    pub status: RunStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was sealed.
    pub completed_at: Option<Timestamp>,
    /// The number of its steps by status.
    pub counts: StatusCounts,
    /// The first steps that failed, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_failures: Vec<FirstFailure>,
    /// Why the run is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// US dollars of its executed steps.
    pub agg_usage_cost: Option<f64>,
    /// Tokens sent by its executed steps.
    pub agg_usage_prompt_tokens: u64,
    /// Tokens received by its executed steps.
    pub agg_usage_completion_tokens: u64,
    /// Tokens sent and received by its executed steps.
    pub agg_usage_total_tokens: u64,
}

impl Summary {
    pub(crate) fn new(run: &RunShared, sealed: &SealedRun, completed_at: Option<Timestamp>) -> Self {
        let usage = sealed.totals.usage;
        Self {
            schema_version: format::METADATA,
            run_id: run.identity.run_id.clone(),
            root_component_id: run.identity.root_id.clone(),
            status: sealed.status,
            created_at: run.created_at,
            completed_at,
            counts: sealed.totals.counts,
            first_failures: sealed.first_failures.clone(),
            error: sealed.error.clone(),
            agg_usage_cost: usage.cost,
            agg_usage_prompt_tokens: usage.prompt_tokens,
            agg_usage_completion_tokens: usage.completion_tokens,
            agg_usage_total_tokens: usage.total_tokens,
        }
    }

    pub(crate) fn write(&self, run_dir: &Dir, dot_run: &Dir, durability: Durability) -> Result<(), RunError> {
        write_json_beside_others(run_dir, dot_run, RUN_SUMMARY, self, durability)
    }
}
