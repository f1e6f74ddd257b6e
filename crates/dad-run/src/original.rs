//! Runs of the original system, as far as their directories can be read.

use dad_core::{HierarchyPath, RunId, StepStatus};
use dad_fs::{Dir, EntryKind};
use serde_json::Value;

use crate::catalog::RunEntry;
use crate::error::RunError;
use crate::layout::{CUSTOM_ARTIFACTS, DOT_TRACE, METADATA, RESULT, STATIC_INPUTS};

/// A run of the original system. It kept no journal: what its directory holds is all there is to say, and of a run
/// that died that may be less than what happened.
#[derive(Debug)]
pub struct OriginalRun {
    dir: Dir,
    /// What a list says of it.
    pub entry: RunEntry,
    /// The run it was started from.
    pub parent: Option<RunId>,
    /// Its components and steps, those of a component in the order in which they ended.
    pub elements: Vec<OriginalElement>,
}

/// A component or step of an [`OriginalRun`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalElement {
    /// Its place.
    pub path: HierarchyPath,
    /// How it ended, as its result says; `None` for a component, whose results the original system put elsewhere.
    pub status: Option<StepStatus>,
}

impl OriginalRun {
    /// Reads a run; `None` if it has a journal and so is one of ours.
    ///
    /// # Errors
    /// If its directory cannot be listed. A result that cannot be read is of unknown status.
    pub fn open(entry: RunEntry) -> Result<Option<Self>, RunError> {
        if entry.root_id.is_some() {
            return Ok(None);
        }
        let dir = Dir::open(&entry.dir)?;
        let mut elements = Vec::new();
        read_components(&dir, &mut elements)?;
        let metadata = json(&dir.open_dir(DOT_TRACE)?, METADATA);
        let parent = metadata
            .pointer("/rerun_info/previous_run_id")
            .and_then(Value::as_str);
        Ok(Some(Self {
            parent: parent.and_then(|parent| parent.parse().ok()),
            dir,
            entry,
            elements,
        }))
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

/// A file as JSON; null if it is missing or damaged.
fn json(dir: &Dir, name: &str) -> Value {
    let bytes = dir.read(name).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

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
