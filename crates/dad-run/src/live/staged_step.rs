//! A step while it executes: its directory in the stage, until it is committed.

use std::sync::OnceLock;

use dad_core::{ArtifactRef, Clean, HierarchyPath, NodeType, Redactor, Timestamp};
use dad_events::{EventBody, StepStarted};
use dad_fs::{Dir, Durability};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::document::{Versioned, write_json, write_new_json};
use crate::error::RunError;
use crate::format;
use crate::free_name::free_name;
use crate::journal::reason::Reason;
use crate::journal::record::RecordBody;
use crate::layout::{ATTEMPTS, CHANGES, OUTCOME_TEXT, STATE, WORLD};
use crate::live::driver::RunDriver;
use crate::live::masking::mask_made_files;
use crate::live::shared::State;
use crate::rerun::changes::Changes;
use crate::store::artifacts::digest_files;

/// A step that executes: the directory it works in until it is committed.
#[derive(Debug)]
#[non_exhaustive]
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
    pub(super) name: String,
    stage: Dir,
    durability: Durability,
    /// Opened on demand: most steps write nothing of their own, and need not be listed either.
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
    /// Whether its definition allows another attempt after one that fails.
    pub may_retry: bool,
}

impl StepStart {
    /// The first attempt of a step in a first run.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            attempt: 1,
            reason: Reason::FirstExecution,
            after: None,
            effect: false,
            may_retry: false,
        }
    }
}

impl StagedStep {
    /// The working directory of the step. Files in it become part of the step when it is committed.
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
        write_new_json(self.dir()?, WORLD, &reads, Durability::Process).map(drop)
    }

    /// Writes `changes.json`: what differs from the previous run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_changes(&self, changes: &Changes) -> Result<(), RunError> {
        write_new_json(self.dir()?, CHANGES, changes, Durability::Process).map(drop)
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
        write_json(self.dir()?, STATE, state, self.durability)
    }

    /// Writes `state.json`: what is about to be executed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_state(&self, state: &Clean<Value>) -> Result<(), RunError> {
        write_new_json(self.dir()?, STATE, state, self.durability).map(drop)
    }
}

impl StagedStep {
    /// The directory, if the step may have written into it.
    fn written(&self) -> Result<Option<&Dir>, RunError> {
        if self.dir.get().is_some() || self.is_closed {
            self.dir().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Length and digest of what the step wrote itself, which from here on holds no secret.
    pub(super) fn own_files(&self, redactor: &Redactor) -> Result<Vec<ArtifactRef>, RunError> {
        let Some(dir) = self.written()? else {
            return Ok(Vec::with_capacity(2));
        };
        mask_made_files(dir, redactor)?;
        digest_files(dir)
    }

    /// Writes a file of the record, without opening the directory only for it.
    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<ArtifactRef, RunError> {
        let place = [&self.name, "/", name].concat();
        let artifact = write_new_json(&self.stage, &place, value, Durability::Process)?;
        Ok(ArtifactRef::new(name, artifact.len, artifact.blake3))
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
            may_retry,
        } = start;
        let body = RecordBody::StepStarted {
            path: path.clone(),
            attempt: *attempt,
            reason: *reason,
            after: after.clone(),
            effect: *effect,
            session: Some(inner.epoch),
        };
        let event = EventBody::StepStarted(
            StepStarted::new(path.clone(), node_type.clone(), *attempt).may_retry(*may_retry),
        );
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
        inner.stage.create_dir_only(&name)?;
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
    pub(super) fn clear_final(&self, path: &HierarchyPath, seq: u64) -> Result<(), RunError> {
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
