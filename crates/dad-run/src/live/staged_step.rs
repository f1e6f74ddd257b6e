use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dad_core::{
    ArtifactRef, Clean, Digest, ErrorInfo, FirstFailure, HierarchyPath, NodeType, Redactor, StepResult,
    StepStatus, Timestamp, Usage,
};
use dad_events::{EventBody, StepEnded, StepStarted};
use dad_fs::{Descent, Dir, Durability, EntryKind, FsResult};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::changes::Changes;
use crate::decide::Reason;
use crate::driver::RunDriver;
use crate::edit::Edit;
use crate::error::RunError;
use crate::files::RunFiles;
use crate::format;
use crate::inner::{RunInner, State};
use crate::journal::record::{ArtifactList, RecordBody, StepCommitted, Totals};
use crate::journal::text::{RecordText, RecordedError};
use crate::journal::values::store_artifacts;
use crate::layout::{ATTEMPTS, CHANGES, OUTCOME, OUTCOME_TEXT, RESULT, STATE, WORLD};
use crate::masking::mask_made_files;
use crate::plan::origin_of;
use crate::projection;
use crate::recorded::Versioned;
use crate::resume::free_name;
use crate::run::EnteredComponent;

/// A step that executes: the directory it works in until it is committed.
#[derive(Debug)]
pub struct StagedStep {
    /// Its place.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// From 1.
    pub attempt: u32,
    /// When it began to execute.
    pub started_at: Timestamp,
    /// The name of the directory in the stage: the number of its `step_started` record.
    name: String,
    stage: Dir,
    durability: Durability,
    /// Opened when somebody asks for it: most steps write nothing of their own, and need not be listed either.
    dir: OnceLock<Dir>,
    /// Whether it was open, and is not for now.
    is_closed: bool,
}

/// Why a step begins to execute, and what that means for others.
#[derive(Clone, Debug)]
pub struct StepStart {
    /// The attempt, from 1.
    pub attempt: u32,
    /// Why it executes.
    pub reason: Reason,
    /// The step that had an effect before it, if that is why.
    pub after: Option<HierarchyPath>,
    /// Whether it has an effect.
    pub effect: bool,
}

impl StepStart {
    /// The first attempt of a step in a run that is no re-run.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            attempt: 1,
            reason: Reason::FirstExecution,
            after: None,
            effect: false,
        }
    }
}

/// What is recorded of a step beside its result.
#[derive(Clone, Debug, Default)]
pub struct CommitDetails {
    /// The steps whose results it used, as the definition names them.
    pub reads: Vec<String>,
    /// What it consumed.
    pub usage: Usage,
    /// Of the last attempt.
    pub duration: Duration,
    /// What it did, in one line.
    pub summary: Option<Clean<String>>,
    /// Whether it changed something outside the run, so that to do it twice is not the same as to do it once.
    pub effect: bool,
    /// Whether the run continues behind it although it failed.
    pub absorbed: bool,
}

impl StagedStep {
    /// Where the step works. What is written here becomes part of the step when it is committed.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn dir(&self) -> Result<&Dir, RunError> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let dir = self.stage.open_dir(&self.name)?;
        Ok(self.dir.get_or_init(|| dir))
    }

    /// The same step without a descriptor for its directory, which is opened again where it is needed: for one that waits.
    #[must_use]
    pub fn without_descriptor(mut self) -> Self {
        self.is_closed |= self.dir.take().is_some();
        self
    }

    /// Writes `world.json`: what the step reads beside its settings and input.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_world(&self, reads: &impl Serialize) -> Result<(), RunError> {
        let reads = Versioned::new(format::WORLD, reads);
        projection::write_new_json(self.dir()?, WORLD, &reads, Durability::Process).map(drop)
    }

    /// Writes `changes.json`: what differs from the previous run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_changes(&self, changes: &Changes) -> Result<(), RunError> {
        projection::write_new_json(self.dir()?, CHANGES, changes, Durability::Process).map(drop)
    }

    /// Waits until the directory is on the disk with the names in it, if the run promises that.
    ///
    /// # Errors
    /// If the operating system cannot promise it.
    pub fn sync_names(&self) -> Result<(), RunError> {
        if self.durability == Durability::Disk {
            self.dir()?.sync()?;
            self.stage.sync()?;
        }
        Ok(())
    }

    /// Replaces `state.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn replace_state(&self, state: &Clean<Value>) -> Result<(), RunError> {
        projection::write_json(self.dir()?, STATE, state, self.durability)
    }

    /// Writes `state.json`: what is about to be executed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_state(&self, state: &Clean<Value>) -> Result<(), RunError> {
        projection::write_new_json(self.dir()?, STATE, state, self.durability).map(drop)
    }
}

impl StagedStep {
    /// The directory, if the step may have written into it.
    fn written(&self) -> Result<Option<&Dir>, RunError> {
        match self.dir.get().is_some() || self.is_closed {
            true => self.dir().map(Some),
            false => Ok(None),
        }
    }

    /// Length and digest of what the step wrote itself, which from here on holds no secret.
    fn own_files(&self, redactor: &Redactor) -> Result<Vec<ArtifactRef>, RunError> {
        let Some(dir) = self.written()? else {
            return Ok(Vec::with_capacity(2));
        };
        mask_made_files(dir, redactor)?;
        digest_files(dir)
    }

    /// Writes a file of the record, without opening the directory only for it.
    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<ArtifactRef, RunError> {
        let place = [&self.name, "/", name].concat();
        let artifact = projection::write_new_json(&self.stage, &place, value, Durability::Process)?;
        Ok(ArtifactRef {
            name: name.to_owned(),
            ..artifact
        })
    }

    /// Writes `outcome.txt`: the outcome as text, for steps that ask for one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_outcome_text(&self, text: &Clean<String>) -> Result<(), RunError> {
        // It is synced with the rest of the directory when the step is committed.
        Ok(self
            .dir()?
            .write_new(OUTCOME_TEXT, text.get().as_bytes(), Durability::Process)?)
    }
}

impl RunDriver {
    /// Begins to execute a step: its record, and the directory it works in.
    ///
    /// # Errors
    /// If the run has ended, or the record or directory cannot be written.
    pub fn begin_step(
        &self,
        path: &HierarchyPath,
        node_type: &NodeType,
        start: &StepStart,
    ) -> Result<StagedStep, RunError> {
        let inner = self.inner();
        let seq = self.step_started(&mut inner.state(), path, node_type, start)?;
        self.stage_step(path, node_type, start.attempt, seq)
    }

    /// Begins an attempt of a step, as [`begin_step`](Self::begin_step) does, unless `stop` was cancelled before its record
    /// could be written: `None` then. So no attempt begins behind the record of a cancel.
    ///
    /// # Errors
    /// As there.
    pub fn begin_attempt(
        &self,
        path: &HierarchyPath,
        node_type: &NodeType,
        start: &StepStart,
        stop: &CancellationToken,
    ) -> Result<Option<StagedStep>, RunError> {
        let inner = self.inner();
        let seq = {
            let mut state = inner.state();
            // Tokens are cancelled in the critical section of the journal that records the cancel.
            if stop.is_cancelled() {
                return Ok(None);
            }
            self.step_started(&mut state, path, node_type, start)?
        };
        self.stage_step(path, node_type, start.attempt, seq).map(Some)
    }

    fn step_started(
        &self,
        state: &mut State,
        path: &HierarchyPath,
        node_type: &NodeType,
        start: &StepStart,
    ) -> Result<u64, RunError> {
        let inner = self.inner();
        let StepStart {
            attempt,
            reason,
            after,
            effect,
        } = start;
        let body = RecordBody::StepStarted {
            path: path.clone(),
            attempt: *attempt,
            reason: *reason,
            after: after.clone(),
            effect: *effect,
            session: Some(inner.epoch),
        };
        let event = EventBody::StepStarted(StepStarted {
            path: path.clone(),
            node_type: node_type.clone(),
            attempt: *attempt,
        });
        state.started.insert(path.without_iterations());
        inner.record_in(state, &body, Some(event), false)
    }

    fn stage_step(
        &self,
        path: &HierarchyPath,
        node_type: &NodeType,
        attempt: u32,
        seq: u64,
    ) -> Result<StagedStep, RunError> {
        let inner = self.inner();
        self.clear_final(path, seq)?;
        let name = seq.to_string();
        inner.stage.make_dir(&name)?;
        Ok(StagedStep {
            path: path.clone(),
            node_type: node_type.clone(),
            attempt,
            started_at: self.handle().now(),
            name,
            stage: inner.stage.clone(),
            durability: inner.durability,
            dir: OnceLock::new(),
            is_closed: false,
        })
    }

    /// Moves what an earlier execution in a resumed run left under the final name of a step out of the way. After the
    /// record of the new one: from there on the earlier one is void.
    fn clear_final(&self, path: &HierarchyPath, seq: u64) -> Result<(), RunError> {
        let inner = self.inner();
        let Some(history) = self.history() else {
            return Ok(());
        };
        let name = path.to_relative_dir();
        if inner.dir.kind(&name)?.is_none() {
            return Ok(());
        }
        let attempts = inner.dot_run.create_dir_all(ATTEMPTS)?;
        let started = history.left(path).and_then(|left| left.started.last());
        let before = started.copied().unwrap_or(seq);
        let free = free_name(&attempts, &before.to_string())?;
        Ok(inner.dir.rename(&name, &attempts, free, inner.durability)?)
    }

    /// Commits a step: its result into the stage, one rename to its final place, one record.
    ///
    /// # Errors
    /// If the run has ended or anything cannot be written; the step is then not committed.
    pub fn commit_step(
        &self,
        component: &EnteredComponent,
        staged: &StagedStep,
        result: &Clean<StepResult>,
        details: CommitDetails,
    ) -> Result<(), RunError> {
        let (inner, result) = (self.inner(), result.get());
        if !matches!(result.execution_status, StepStatus::Completed) && !result.execution_status.is_failure()
        {
            return Err(RunError::NotAnEnd(staged.path.clone(), result.execution_status));
        }
        let mut artifacts = staged.own_files(&inner.secrets.redactor())?;
        let outcome = result.outcome.as_ref().unwrap_or(&Value::Null);
        artifacts.push(staged.write_json(RESULT, result)?);
        artifacts.push(staged.write_json(OUTCOME, outcome)?);
        artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        let usage = details.usage;
        let committed = StepCommitted {
            path: staged.path.clone(),
            attempt: staged.attempt,
            status: result.execution_status,
            fingerprint: result.fingerprint,
            artifacts: store_artifacts(&inner.dot_run, ArtifactList::Inline(artifacts), inner.durability)?,
            reused_from: None,
            edited_from: None,
            reason: None,
            reads: details.reads,
            usage: Usage { cost: None, ..usage },
            cost: usage.cost,
            duration_ms: u64::try_from(details.duration.as_millis()).unwrap_or(u64::MAX),
            summary: details.summary.map(|summary| summary.get().as_str().into()),
            error: result.error.as_ref().map(Into::into),
            absorbed: details.absorbed,
        };
        let error = result.error.clone();
        let publish = || {
            let stage = Some(staged.name.as_str());
            inner.publish(
                component,
                stage,
                &staged.node_type,
                committed,
                error,
                details.effect,
            )
        };
        inner.may_block(publish).map(drop)
    }

    /// Ends a step that is not executed, because somebody settled it by hand. It has no files. Returns what it adds to the
    /// totals.
    ///
    /// # Errors
    /// If the run has ended, or the record cannot be written.
    pub fn settle_step(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
        node_type: &NodeType,
        (status, error): (StepStatus, Option<Clean<ErrorInfo>>),
        summary: Option<Clean<String>>,
        absorbed: bool,
    ) -> Result<Totals, RunError> {
        let inner = self.inner();
        let error = error.map(Clean::into_inner);
        let seq = inner.state().journal.next_seq();
        self.clear_final(path, seq)?;
        let committed = StepCommitted {
            path: path.clone(),
            attempt: 1,
            status,
            fingerprint: None,
            artifacts: ArtifactList::default(),
            reused_from: None,
            edited_from: None,
            reason: None,
            reads: Vec::new(),
            usage: Usage::default(),
            cost: None,
            duration_ms: 0,
            summary: summary.map(|summary| summary.get().as_str().into()),
            error: error.as_ref().map(Into::into),
            absorbed,
        };
        inner.may_block(|| inner.publish(component, None, node_type, committed, error, true))
    }

    /// Takes the result of a step, of this path or another one of the parent run: every file is checked against its
    /// digest and copied, and edits of the plan are made. Returns what the step adds to the totals.
    ///
    /// # Errors
    /// If a file is missing or differs from its record, or the copy cannot be written.
    pub fn reuse_step(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
        node_type: &NodeType,
        from: &HierarchyPath,
        reason: Reason,
    ) -> Result<Totals, RunError> {
        let inner = self.inner();
        let parent = inner.reader.parent.as_ref().ok_or_else(|| RunError::ParentGone {
            run: inner.identity.run_id.to_string(),
            parent: inner
                .plan
                .as_ref()
                .map_or_else(String::new, |plan| plan.parent.to_string()),
        })?;
        let step = parent.step(from).ok_or_else(|| RunError::NothingToReuse {
            path: from.clone(),
            state: "has no result".to_owned(),
            run: parent.run_id.to_string(),
        })?;
        // A reused step has no `step_started` record; the number of the record to come names its stage.
        let seq = inner.state().journal.next_seq();
        let name = format!("{seq}_{}", Digest::of(path.as_str().as_bytes()).short());
        self.clear_final(path, seq)?;
        // What was settled by hand has no files.
        if step.artifacts.is_empty() {
            // The previous run may have known fewer secrets.
            let redactor = inner.secrets.redactor();
            let error = step
                .error
                .clone()
                .map(|error| Clean::redact(error.into_inner(), &redactor));
            let summary = step
                .summary
                .clone()
                .map(|summary| Clean::redact(summary.into_inner(), &redactor));
            let end = (step.status, error);
            return self.settle_step(component, path, node_type, end, summary, step.absorbed);
        }
        let edits: Vec<&Edit> = inner.plan.iter().flat_map(|plan| plan.edits_of(path)).collect();
        // Neither directory is opened: most steps have two files.
        let stage = (&inner.stage, Path::new(&name));
        inner.stage.make_dir(&name)?;
        let source_name = from.to_relative_dir();
        let source = (parent.files(), &*source_name);
        let taken = take_files(source, parent.artifacts(step)?, &edits, stage).inspect_err(|_| {
            // What was copied is nobody's; that it could not be taken is what counts.
            drop(inner.stage.remove_dir_all(&name));
        });
        let artifacts = taken?;
        let origin = Some(origin_of(step, &parent.run_id));
        let (reused_from, edited_from) = match edits.is_empty() {
            // What was changed in an earlier run stays known for it.
            true => (origin, step.edited_from.clone()),
            false => (None, origin),
        };
        let committed = StepCommitted {
            path: path.clone(),
            reused_from,
            edited_from,
            reason: Some(reason),
            artifacts: store_artifacts(&inner.dot_run, ArtifactList::Inline(artifacts), inner.durability)?,
            ..step.clone()
        };
        let error = committed.error.clone().map(RecordedError::into_inner);
        inner.may_block(|| inner.publish(component, Some(&name), node_type, committed, error, false))
    }

    /// Moves what an attempt left behind out of the way of the next one.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn discard_attempt(&self, staged: &StagedStep) -> Result<(), RunError> {
        let inner = self.inner();
        let attempts = inner.dot_run.create_dir_all(ATTEMPTS)?;
        let name = &staged.name;
        if let Some(dir) = staged.written()? {
            mask_made_files(dir, &inner.secrets.redactor())?;
        }
        Ok(inner.stage.rename(name, &attempts, name, inner.durability)?)
    }
}

impl RunInner {
    /// The rename, the record and the event, one after the other with nothing between. Returns what the step adds to the
    /// totals.
    fn publish(
        &self,
        component: &EnteredComponent,
        stage_name: Option<&str>,
        node_type: &NodeType,
        committed: StepCommitted,
        error: Option<ErrorInfo>,
        effect: bool,
    ) -> Result<Totals, RunError> {
        if let Some(stage_name) = stage_name.filter(|_| self.durability == Durability::Disk) {
            // Everything in it before its name, and its name before its record.
            self.stage.open_dir(stage_name)?.sync_tree()?;
        }
        let leaf = committed.path.leaf().to_owned();
        let event = EventBody::StepEnded(StepEnded {
            path: committed.path.clone(),
            node_type: node_type.clone(),
            status: committed.status,
            attempt: committed.attempt,
            duration: Duration::from_millis(committed.duration_ms),
            usage: committed.full_usage(),
            reused_from: committed.reused_from.clone(),
            edited_from: committed.edited_from.clone(),
            summary: committed.summary.clone().map(RecordText::into_inner),
            error: error.clone(),
            dir: step_dir(component, &leaf),
        });
        let totals = committed.totals();
        let failure = error.filter(|_| committed.status.is_failure());
        let failure = failure.map(|error| FirstFailure {
            path: committed.path.clone(),
            error,
        });
        let body = RecordBody::StepCommitted(Box::new(committed));
        let mut state = self.state();
        if self.ended.load(Ordering::Acquire) {
            return Err(RunError::Ended);
        }
        if let Some(stage_name) = stage_name {
            let around = component.dir.open()?;
            self.stage.rename(stage_name, &around, &leaf, self.durability)?;
        }
        self.record_in(&mut state, &body, Some(event), effect)?;
        if state.first_failures.len() < 10 {
            state.first_failures.extend(failure);
        }
        Ok(totals)
    }
}

fn step_dir(component: &EnteredComponent, leaf: &str) -> PathBuf {
    component.dir.path().join(leaf)
}

/// Length and digest of every file below a stage.
pub(crate) fn digest_files(dir: &Dir) -> Result<Vec<ArtifactRef>, RunError> {
    let mut found = Vec::new();
    let mut descent = Descent::into_dir(dir.clone(), String::new());
    while let Some((dir, prefix)) = descent.next_dir()? {
        for entry in dir.entries()? {
            let name = format!("{prefix}{}", entry.name);
            match entry.kind {
                EntryKind::File => found.push(digest_file(&dir, &entry.name, name)?),
                EntryKind::Dir => descent.add(&dir, entry.name, format!("{name}/")),
                // A link or device made by a node is not part of its result.
                EntryKind::Symlink | EntryKind::Other => {}
            }
        }
    }
    found.sort_by(|a: &ArtifactRef, b| a.name.split('/').cmp(b.name.split('/')));
    Ok(found)
}

pub(crate) fn digest_file(dir: &Dir, file: &str, name: String) -> FsResult<ArtifactRef> {
    let mut hasher = blake3::Hasher::new();
    let mut len = 0;
    dir.read_chunks(file, |chunk| {
        len += chunk.len() as u64;
        hasher.update(chunk);
    })?;
    Ok(ArtifactRef {
        name,
        len,
        blake3: hasher.finalize().into(),
    })
}

/// Copies the files of a step into a stage, with the edits of its outcome.
fn take_files(
    source: Source<'_>,
    recorded: Vec<ArtifactRef>,
    edits: &[&Edit],
    stage: Place<'_>,
) -> Result<Vec<ArtifactRef>, RunError> {
    let mut artifacts = Vec::with_capacity(recorded.len());
    for artifact in recorded {
        if !is_edited(edits, &artifact.name) {
            copy_artifact(source, &artifact, stage)?;
            artifacts.push(artifact);
        } else if artifact.name == RESULT {
            let result = edited_result(source, &artifact, edits)?;
            artifacts.extend(write_edited(&stage.0.open_dir(stage.1)?, &result)?);
        }
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}

/// Whether a file of a step is another one after an edit of the outcome.
fn is_edited(edits: &[&Edit], name: &str) -> bool {
    !edits.is_empty() && [RESULT, OUTCOME, OUTCOME_TEXT].contains(&name)
}

/// The outcome in a result.
pub(crate) fn outcome_of(result: &Value) -> Value {
    result.get("outcome").cloned().unwrap_or_default()
}

/// The result of a step with its outcome changed.
fn edited_result(source: Source<'_>, artifact: &ArtifactRef, edits: &[&Edit]) -> Result<Value, RunError> {
    let bytes = read_artifact(source, artifact)?;
    let mut result: Value =
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(full_path(source, artifact), e))?;
    let mut outcome = outcome_of(&result);
    for edit in edits {
        edit.apply(&mut outcome)?;
    }
    if let Some(fields) = result.as_object_mut() {
        fields.insert("outcome".to_owned(), outcome);
    }
    Ok(result)
}

fn write_edited(stage: &Dir, result: &Value) -> Result<[ArtifactRef; 2], RunError> {
    let outcome = result.get("outcome").unwrap_or(&Value::Null);
    Ok([
        projection::write_new_json(stage, OUTCOME, outcome, Durability::Process)?,
        projection::write_new_json(stage, RESULT, result, Durability::Process)?,
    ])
}

/// A directory by its name in another one.
type Place<'a> = (&'a Dir, &'a Path);

/// The directory of a step by its name in a run.
pub(crate) type Source<'a> = (&'a dyn RunFiles, &'a Path);

fn full_path((run, name): Source<'_>, artifact: &ArtifactRef) -> PathBuf {
    run.path_of(&name.join(&artifact.name))
}

/// Copies one file of a step.
fn copy_artifact(source: Source<'_>, artifact: &ArtifactRef, target: Place<'_>) -> Result<(), RunError> {
    let bytes = read_artifact(source, artifact)?;
    let (target, name) = target;
    if let Some((dir, _)) = artifact.name.rsplit_once('/') {
        target.create_dir_all(name.join(dir))?;
    }
    Ok(target.write_new(name.join(&artifact.name), &bytes, Durability::Process)?)
}

/// Reads one file of a step and refuses it unless it is the one that was recorded.
pub(crate) fn read_artifact(source: Source<'_>, artifact: &ArtifactRef) -> Result<Vec<u8>, RunError> {
    let corrupt = |reason: String| RunError::Corrupt {
        path: full_path(source, artifact),
        reason,
    };
    let (run, name) = source;
    let file = name.join(&artifact.name);
    let bytes = run
        .read_expected(&file, artifact.len)
        .map_err(|error| match error.is_not_found() {
            true => corrupt("it is missing".to_owned()),
            false => error.into(),
        })?;
    if bytes.len() as u64 != artifact.len {
        // Of a longer one no more was read than shows that it is.
        let len = run.len(&file)?.unwrap_or_default();
        return Err(corrupt(format!(
            "it has {len} bytes, recorded were {}",
            artifact.len
        )));
    }
    if Digest::of(&bytes) != artifact.blake3 {
        return Err(corrupt("its digest differs".to_owned()));
    }
    Ok(bytes)
}
