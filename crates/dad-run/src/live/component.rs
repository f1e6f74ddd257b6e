//! Entering and leaving components, and the decisions of control flow.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Instant;

use dad_core::{Clean, ComponentKind, ComponentResult, FirstFailure, HierarchyPath, StepStatus, Timestamp};
use dad_events::{ComponentEnded, ComponentStarted, EventBody};
use dad_fs::{Dir, Durability, FsResult};
use serde_json::{Map, Value};

use crate::document::write_json_beside_others;
use crate::error::RunError;
use crate::journal::loops::{Items, LoopItems, LoopStart};
use crate::journal::record::RecordBody;
use crate::journal::step_committed::Totals;
use crate::journal::values::store_value;
use crate::layout::COMPONENT_RESULT;
use crate::live::driver::RunDriver;
use crate::live::sealed_run::FIRST_FAILURES;

/// An entered component: its directory and when it was entered.
#[derive(Debug)]
#[non_exhaustive]
pub struct EnteredComponent {
    /// Its place.
    pub path: HierarchyPath,
    pub(crate) kind: ComponentKind,
    pub(crate) dir: ComponentDir,
    pub(crate) created_at: Timestamp,
    pub(crate) since: Instant,
}

/// The directory of a component.
#[derive(Debug)]
pub(crate) enum ComponentDir {
    Open(Dir),
    /// OpenedRunDir where it is needed: components that execute at the same time keep no descriptor each.
    Closed {
        run: Dir,
        name: PathBuf,
    },
}

impl ComponentDir {
    pub(crate) fn open(&self) -> FsResult<Cow<'_, Dir>> {
        match self {
            Self::Open(dir) => Ok(Cow::Borrowed(dir)),
            Self::Closed { run, name } => run.open_dir(name).map(Cow::Owned),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Open(dir) => dir.path().to_path_buf(),
            Self::Closed { run, name } => run.path().join(name),
        }
    }
}

/// The end of a component.
#[derive(Clone, Copy, Debug)]
pub struct ComponentEnd<'a> {
    /// Its status.
    pub status: StepStatus,
    /// The totals of its steps.
    pub totals: Totals,
    /// The first steps that failed; at most ten are kept.
    pub first_failures: &'a [FirstFailure],
    /// Of a loop: how many iterations were begun.
    pub iterations: Option<u64>,
    /// Of a conditional: which branch was taken.
    pub branch: Option<bool>,
    /// Whether the run continues behind it although it failed.
    pub absorbed: bool,
}

impl RunDriver {
    /// Enters a component: its directory and its record.
    ///
    /// # Errors
    /// If the run has ended, or the directory or record cannot be written.
    pub fn enter_component(
        &self,
        path: &HierarchyPath,
        kind: ComponentKind,
        variables: Clean<Map<String, Value>>,
    ) -> Result<EnteredComponent, RunError> {
        let name = path.to_relative_dir();
        let dir = self.inner().dir.create_dir_all(&name)?;
        if self.inner().durability == Durability::Disk {
            // Those above it have been entered before and are there.
            self.inner().dir.sync_name(&name)?;
        }
        self.inner().state().started.insert(path.without_iterations());
        let variables = store_value(
            &self.inner().dot_run,
            variables.into_inner().into(),
            self.inner().durability,
        )?;
        let body = RecordBody::ComponentStarted {
            path: path.clone(),
            kind,
            variables,
        };
        let event = EventBody::ComponentStarted(ComponentStarted::new(path.clone(), kind));
        self.inner().record(&body, Some(event))?;
        let entered = EnteredComponent {
            path: path.clone(),
            kind,
            dir: ComponentDir::Open(dir),
            created_at: self.run.now(),
            since: Instant::now(),
        };
        Ok(entered)
    }

    /// The same component without a descriptor for its directory, which is opened where it is needed: for one of many that are
    /// entered at the same time.
    #[must_use]
    pub fn without_descriptor(&self, component: EnteredComponent) -> EnteredComponent {
        EnteredComponent {
            dir: ComponentDir::Closed {
                run: self.inner().dir.clone(),
                name: component.path.to_relative_dir(),
            },
            ..component
        }
    }

    /// Enters an iteration or branch of a component: a directory without records of its own.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn enter_part(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
    ) -> Result<EnteredComponent, RunError> {
        let around = component.dir.open()?;
        let dir = match self.history() {
            // Only the driver makes directories here, so it is not there yet.
            None => around.create_dir(path.leaf())?,
            Some(_) => around.create_dir_all(path.leaf())?,
        };
        if self.inner().durability == Durability::Disk {
            around.sync()?;
        }
        Ok(EnteredComponent {
            path: path.clone(),
            dir: ComponentDir::Open(dir),
            ..*component
        })
    }

    /// Notes which branch a conditional takes.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn branch_taken(&self, path: &HierarchyPath, branch: bool) -> Result<(), RunError> {
        let path = path.clone();
        let body = RecordBody::BranchTaken { path, branch };
        self.inner().record(&body, None).map(drop)
    }

    /// Notes what a loop goes over.
    ///
    /// # Errors
    /// If the run has ended, or the items or the record cannot be written.
    pub fn loop_started(&self, path: &HierarchyPath, start: &LoopStart) -> Result<(), RunError> {
        let LoopStart {
            items,
            count,
            start_index,
        } = start;
        let items = match items {
            Items::Range(bounds) => LoopItems::Range(*bounds),
            Items::List(list) => {
                let stored = store_value(&self.inner().dot_run, list.get().clone(), self.inner().durability)?;
                LoopItems::List(stored)
            }
        };
        let body = RecordBody::LoopStarted {
            path: path.clone(),
            items,
            count: *count,
            start_index: *start_index,
        };
        self.inner().record(&body, None).map(drop)
    }

    /// Notes whether a loop ends after an iteration.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn loop_decided(&self, path: &HierarchyPath, iteration: u64, stop: bool) -> Result<(), RunError> {
        let body = RecordBody::LoopDecided {
            path: path.clone(),
            iteration,
            stop,
        };
        self.inner().record(&body, None).map(drop)
    }

    /// Leaves a component: its record, then `component_result.json`.
    ///
    /// # Errors
    /// If the run has ended, or the record or file cannot be written.
    pub fn leave_component(
        &self,
        component: &EnteredComponent,
        end: &ComponentEnd<'_>,
    ) -> Result<(), RunError> {
        let EnteredComponent {
            path,
            kind,
            dir,
            created_at,
            since,
        } = component;
        let ComponentEnd {
            status,
            totals,
            first_failures,
            iterations,
            branch,
            absorbed,
        } = *end;
        if !matches!(status, StepStatus::Completed) && !status.is_failure() && status != StepStatus::Waiting {
            return Err(RunError::NotAnEnd(path.clone(), status));
        }
        let inner = self.inner();
        let mut result = ComponentResult::new(path.clone(), *kind, status, *created_at);
        result.is_rerun = inner.plan.is_some();
        result.start_hierarchy_path = inner.plan.as_ref().and_then(|plan| plan.entry_point.clone());
        result.iterations = iterations;
        result.branch = branch;
        result.counts = totals.counts;
        result.first_failures = first_failures.iter().take(FIRST_FAILURES).cloned().collect();
        result.completed_at = Some(self.run.now());
        result.agg_usage_cost = totals.usage.cost;
        result.agg_usage_prompt_tokens = totals.usage.prompt_tokens;
        result.agg_usage_completion_tokens = totals.usage.completion_tokens;
        result.agg_usage_total_tokens = totals.usage.total_tokens;
        let error = first_failures.first().map(|failure| {
            let mut error = failure.error.clone();
            error.path = Some(failure.path.clone());
            error
        });
        let body = RecordBody::ComponentCompleted {
            path: path.clone(),
            status,
            totals,
            iterations,
            error: error.as_ref().map(Into::into),
            absorbed,
        };
        let event = EventBody::ComponentEnded(
            ComponentEnded::new(path.clone(), *kind, status)
                .counts(totals.counts)
                .usage(totals.usage)
                .duration(since.elapsed())
                .error(error),
        );
        // The file before the event, so that a handler finds it.
        let dir = dir.open()?;
        write_json_beside_others(&dir, &inner.dot_run, COMPONENT_RESULT, &result, inner.durability)?;
        inner.record(&body, Some(event)).map(drop)
    }
}
