//! The options of a run, as its builder collects them.

use std::path::PathBuf;
use std::sync::Arc;

use dad_core::{RunId, SecretRegistry};
use dad_definition::{NodeTypes, ReadyRule, SpanMap};
use dad_fs::{Durability, Gate, Share};
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::error::SetupError;
use crate::journal::settings::RunSettings;
use crate::journal::settled::Settled;
use crate::live::inputs::UnresolvedInput;
use crate::live::resources::Resources;
use crate::live::stop::RunStop;
use crate::origin_key::OriginKey;
use crate::setup::project::ProjectTrust;

pub(crate) struct Options {
    pub(crate) run_root: Option<PathBuf>,
    pub(crate) run_root_subpath: Option<String>,
    pub(crate) run_id_prefix: Option<String>,
    pub(crate) run_id: Option<RunId>,
    /// The key under which the run is started once.
    pub(crate) key: Option<String>,
    pub(crate) types: Arc<dyn NodeTypes>,
    pub(crate) previous_run_id: Option<String>,
    pub(crate) entry_point: Option<String>,
    pub(crate) alone: bool,
    pub(crate) fresh: bool,
    pub(crate) execute: Vec<String>,
    pub(crate) ask: Vec<String>,
    pub(crate) reuse_answers: Vec<String>,
    pub(crate) edits: Vec<(String, Value)>,
    pub(crate) settle: Vec<(String, Settled)>,
    pub(crate) steal_lease: bool,
    pub(crate) trust_run: bool,
    pub(crate) trust_unsigned: bool,
    pub(crate) origin_key: Option<OriginKey>,
    pub(crate) variables: Map<String, Value>,
    pub(crate) inputs: Vec<UnresolvedInput>,
    pub(crate) static_inputs: Option<PathBuf>,
    pub(crate) definition_dir: Option<PathBuf>,
    pub(crate) input_dir: Option<PathBuf>,
    pub(crate) settings: RunSettings,
    pub(crate) resources: Resources,
    pub(crate) secrets: SecretRegistry,
    /// Whether its caller has said what is masked.
    pub(crate) says_secrets: bool,
    pub(crate) project_trust: ProjectTrust,
    pub(crate) spans: Option<Arc<SpanMap>>,
    pub(crate) interactive: bool,
    pub(crate) stop: RunStop,
    pub(crate) durability: Durability,
    pub(crate) share: Share,
    pub(crate) approval_rules: Vec<ReadyRule>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Gate,
}

/// The registry of a context that was given none.
pub(super) struct NoNodeTypes;

impl NodeTypes for NoNodeTypes {
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn node_type(&self, _: &dad_core::NodeType) -> Option<&dad_definition::NodeTypeInfo> {
        None
    }
}

/// Refuses options that need a previous run, or that exclude each other.
pub(super) fn check_rerun_options(options: &Options) -> Result<(), SetupError> {
    let Options {
        previous_run_id,
        entry_point,
        fresh,
        execute,
        ask,
        reuse_answers,
        edits,
        ..
    } = options;
    let by_fingerprint = *fresh || !execute.is_empty();
    let asks = !ask.is_empty() || !reuse_answers.is_empty();
    match (previous_run_id, entry_point) {
        (None, Some(entry)) => Err(SetupError::EntryPointWithoutPreviousRun(entry.clone())),
        (None, None) if by_fingerprint || asks || !edits.is_empty() => Err(SetupError::NoPreviousRun),
        (_, Some(_)) if by_fingerprint => Err(SetupError::EntryPointAndExecute),
        (_, None) if !edits.is_empty() => Err(SetupError::EditWithoutEntryPoint),
        _ => Ok(()),
    }
}
