//! Runs of the original system, as far as their directories can be read.

use dad_core::{
    Digest, ElementId, HierarchyPath, RunId, Segment, StatusCounts, StepStatus, Timestamp, Usage,
};
use dad_fs::{Dir, EntryKind};
use serde_json::Value;

use crate::error::RunError;
use crate::journal::record::{Record, RecordBody};
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::ArtifactList;
use crate::layout::{COMPONENT_RESULT, CUSTOM_ARTIFACTS, RESULT, RUN_SUMMARY, STATIC_INPUTS};
use crate::origin_key::OriginKey;
use crate::store::artifacts::digest_files;
use crate::store::run_entry::RunEntry;
use crate::store::verify::{Damage, Verification};
use crate::store::view::RunView;

/// A run of the original system. It kept no journal: what its directory holds is all there is to say, and of a run
/// that died that may be less than what happened.
#[derive(Debug)]
#[non_exhaustive]
pub struct OriginalRun {
    dir: Dir,
    /// Its row in a list.
    pub entry: RunEntry,
    /// Its components and steps, those of a component in the order in which they ended.
    pub elements: Vec<OriginalElement>,
}

/// A component or step of an [`OriginalRun`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginalElement {
    /// Its place.
    pub path: HierarchyPath,
    /// Its final status in its result; `None` for a component, whose results the original system put elsewhere.
    pub status: Option<StepStatus>,
}

impl OriginalRun {
    /// Reads a run; `None` if it has a journal and so is one of ours.
    ///
    /// # Errors
    /// If its directory cannot be listed. A result that cannot be read is of unknown status.
    pub fn open(entry: RunEntry) -> Result<Option<Self>, RunError> {
        if !entry.is_original {
            return Ok(None);
        }
        let dir = Dir::open(&entry.dir)?;
        let mut elements = Vec::new();
        read_components(&dir, &mut elements)?;
        Ok(Some(Self { dir, entry, elements }))
    }

    /// The run as a view, so that a re-run can begin from one of its steps. Its decisions are derived from the
    /// directories it made; which items its loops went over is not known.
    ///
    /// # Errors
    /// If there is nothing in it to start from, or a file of a step cannot be read.
    pub fn view(&self) -> Result<RunView, RunError> {
        let root = self
            .elements
            .iter()
            .find(|element| element.path.parent().is_none());
        let root_id = root.and_then(|root| ElementId::new(root.path.as_str()).ok());
        let root_id = root_id.ok_or_else(|| RunError::unreadable(self.dir.path(), "it has no component"))?;
        let at = self.entry.created_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut bodies = vec![RecordBody::RunCreated {
            plan_digest: None,
            key_id: None,
            salt: None,
            schema_version: 1,
            run_id: self.entry.run_id.clone(),
            root_id,
            definition_digest: Digest::of(b""),
            parent: self.entry.parent.clone(),
        }];
        for element in &self.elements {
            bodies.extend(self.record_of(element)?);
        }
        let records = bodies
            .into_iter()
            .zip(1..)
            .map(|(body, seq)| Record { seq, at, body });
        RunView::of_records(self.dir.clone(), self.entry.status, records)
    }

    /// Reads every file of its steps. It recorded no digests, so the check finds only those that are no JSON though
    /// their name says so.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn verify(&self) -> Result<Verification, RunError> {
        let mut found = Verification::default();
        for element in self.elements.iter().filter(|element| element.status.is_some()) {
            found.steps += 1;
            let dir = self.dir.open_dir(element.path.to_relative_dir())?;
            for artifact in digest_files(&dir)? {
                found.files += 1;
                found.bytes += artifact.len;
                let is_json = artifact.name.ends_with(".json");
                let parsed =
                    || serde_json::from_slice::<Value>(&dir.read(&artifact.name)?).map_err(Into::into);
                let parsed: Result<Value, Box<dyn std::error::Error>> =
                    if is_json { parsed() } else { Ok(Value::Null) };
                if let Err(error) = parsed {
                    found.damage.push(Damage {
                        path: dir.path().join(&artifact.name),
                        reason: format!("it is no JSON: {error}"),
                    });
                }
            }
        }
        Ok(found)
    }

    /// The record that a journal would have had.
    fn record_of(&self, element: &OriginalElement) -> Result<Option<RecordBody>, RunError> {
        let path = element.path.clone();
        let Some(status) = element.status else {
            let around = path.parent();
            return Ok(match (path.typed_segments().next_back(), around) {
                (Some(Segment::Branch(branch)), Some(path)) => Some(RecordBody::BranchTaken { path, branch }),
                (Some(Segment::Iteration(iteration)), Some(path)) => Some(RecordBody::LoopDecided {
                    path,
                    iteration,
                    stop: true,
                }),
                _ => None,
            });
        };
        let dir = self.dir.open_dir(path.to_relative_dir())?;
        let result = json(&dir, RESULT);
        let tokens = |name: &str| result[name].as_u64().unwrap_or(0);
        let mut artifacts = digest_files(&dir)?;
        // It put the result of a component into the directory of its last child.
        artifacts.retain(|artifact| artifact.name != COMPONENT_RESULT);
        Ok(Some(RecordBody::StepCommitted(Box::new(StepCommitted {
            path,
            attempt: 1,
            status,
            fingerprint: None,
            artifacts: ArtifactList::Inline(artifacts),
            reused_from: None,
            edited_from: None,
            reason: None,
            reads: Vec::new(),
            usage: Usage::default()
                .prompt_tokens(tokens("usage_prompt_tokens"))
                .completion_tokens(tokens("usage_completion_tokens"))
                .total_tokens(tokens("usage_total_tokens")),
            cost: result["usage_cost"].as_f64(),
            duration_ms: 0,
            summary: None,
            error: None,
            absorbed: false,
            session: 1,
        }))))
    }

    /// The result of a step as its file has it.
    ///
    /// # Errors
    /// If the file is missing or no JSON.
    pub fn result(&self, path: &HierarchyPath) -> Result<Value, RunError> {
        let name = path.to_relative_dir().join(RESULT);
        serde_json::from_slice(&self.dir.read(&name)?)
            .map_err(|e| RunError::unreadable(self.dir.path().join(name), e))
    }
}

/// The facts about a run of the original system in its files.
pub(crate) struct OriginalFacts {
    pub(crate) root_id: Option<ElementId>,
    pub(crate) parent: Option<RunId>,
    /// Without a summary only how its steps ended.
    pub(crate) totals: Option<Totals>,
}

impl OriginalFacts {
    pub(crate) fn read(dir: &Dir, metadata: &Value) -> Result<Self, RunError> {
        let mut elements = Vec::new();
        read_components(dir, &mut elements)?;
        let summary = json(dir, RUN_SUMMARY);
        let mut counts = StatusCounts::default();
        for status in elements.iter().filter_map(|element| element.status) {
            counts.add(status, false);
        }
        let tokens = |name: &str| summary[name].as_u64().unwrap_or(0);
        let usage = Usage::default()
            .prompt_tokens(tokens("agg_usage_prompt_tokens"))
            .completion_tokens(tokens("agg_usage_completion_tokens"))
            .total_tokens(tokens("agg_usage_total_tokens"))
            .cost(summary["agg_usage_cost"].as_f64());
        let root = elements
            .iter()
            .find(|element| element.path.parent().is_none())
            .map(|element| element.path.as_str());
        let root = summary["root_component_id"].as_str().or(root);
        let parent = metadata.pointer("/rerun_info/previous_run_id");
        Ok(Self {
            root_id: root.and_then(|root| ElementId::new(root).ok()),
            parent: parent
                .and_then(Value::as_str)
                .and_then(|parent| parent.parse().ok()),
            totals: Some(Totals { counts, usage }),
        })
    }
}

/// A file as JSON; null if it is missing or damaged.
fn json(dir: &Dir, name: &str) -> Value {
    let bytes = dir.read(name).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The deepest nesting of elements of a run.
const DEEPEST: usize = 200;

fn read_components(run: &Dir, found: &mut Vec<OriginalElement>) -> Result<(), RunError> {
    for entry in run.entries()? {
        let path = entry.name.parse::<HierarchyPath>().ok();
        if let Some(path) = path.filter(|_| entry.kind == EntryKind::Dir && entry.name != STATIC_INPUTS) {
            read_element(&run.open_dir(&entry.name)?, &path, found)?;
        }
    }
    Ok(())
}

/// Reads an element and what is in it, and returns when its result was written, for the order of its siblings.
fn read_element(
    dir: &Dir,
    path: &HierarchyPath,
    found: &mut Vec<OriginalElement>,
) -> Result<String, RunError> {
    if path.segments().count() > DEEPEST {
        let reason = format!("its elements lie deeper than {DEEPEST} in each other");
        let path = dir.path().to_path_buf();
        return Err(RunError::Unreadable { path, reason });
    }
    let result = json(dir, RESULT);
    let ended = result["created_at"].as_str().unwrap_or_default().to_owned();
    let status = result.get("execution_status");
    let status = status.map(|status| serde_json::from_value(status.clone()).unwrap_or(StepStatus::Unknown));
    found.push(OriginalElement {
        path: path.clone(),
        status,
    });
    let mut children = Vec::new();
    for entry in dir.entries()? {
        let child = format!("{path}.{}", entry.name).parse().ok();
        let is_element = entry.kind == EntryKind::Dir && entry.name != CUSTOM_ARTIFACTS;
        if let Some(child) = child.filter(|_| is_element) {
            let mut elements = Vec::new();
            let ended = read_element(&dir.open_dir(&entry.name)?, &child, &mut elements)?;
            children.push((ended, elements));
        }
    }
    children.sort_by(|a, b| a.0.cmp(&b.0));
    let last = children.last().map(|(ended, _)| ended.clone());
    found.extend(children.into_iter().flat_map(|(_, elements)| elements));
    Ok(if ended.is_empty() {
        last.unwrap_or_default()
    } else {
        ended
    })
}

/// A run to start from, also one of the original system.
pub(crate) fn open_any(entry: &RunEntry, key: Option<&OriginKey>) -> Result<RunView, RunError> {
    match OriginalRun::open(entry.clone())? {
        None => RunView::open_with(&entry.dir, key),
        Some(original) => original.view(),
    }
}
