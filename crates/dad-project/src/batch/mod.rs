//! One definition run with many inputs and models, and the outputs beside each other: an evaluation.

mod expectation;
mod judge;
mod row;

use std::collections::HashSet;
use std::pin::pin;

use dad_core::{ElementId, RunId, RunStatus, Usage};
use dad_fs::Dir;
use dad_run::{RunContextBuilder, RunStop, RunView, SetupError};
use dad_runner::{Error, RunReport, Runner};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::expectation::{Expectation, Verdict};
pub use self::judge::Judge;
pub use self::row::BatchRow;
use crate::definitions::FoundDefinition;
use crate::error::ProjectError;
use crate::project::Project;
use crate::run::WaitFor;

/// The file of a batch, in the directory of its runs.
const FILE: &str = "batch.json";
/// The version of that file.
const FORMAT: u32 = 1;

/// Many runs of one definition: one for each row, model and repetition, in a directory of their own in the run root.
///
/// Each run is started once: running a batch of the same name again keeps the runs that completed, resumes the others, and
/// adds those of new rows, models and repetitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Batch {
    /// The directory of its runs in the run root.
    #[serde(skip)]
    pub name: String,
    /// The inputs.
    pub rows: Vec<BatchRow>,
    /// The models that every step asks; empty for those of the definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The number of times that each row is run with each model, from 1.
    pub repeat: u32,
}

/// The file of a batch.
#[derive(Serialize, Deserialize)]
struct BatchFile {
    schema_version: u32,
    /// The root component of its runs, which decides their ids.
    root_id: ElementId,
    #[serde(flatten)]
    batch: Batch,
}

impl BatchFile {
    /// Reads the file of a batch.
    fn read(project: &Project, name: &str) -> Result<Self, ProjectError> {
        let dir = project.dirs()?.effective_run_root;
        let unreadable = |reason: String| ProjectError::NoBatch {
            path: dir.join(FILE),
            reason,
        };
        if !dir.is_dir() {
            return Err(ProjectError::NoBatch {
                path: dir,
                reason: "there is none of this name".to_owned(),
            });
        }
        let bytes = Dir::open(&dir)
            .and_then(|dir| dir.read(FILE))
            .map_err(|error| unreadable(error.to_string()))?;
        let mut read: Self = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if read.schema_version > FORMAT {
            return Err(unreadable(
                "a newer version of this program has written it".to_owned(),
            ));
        }
        name.clone_into(&mut read.batch.name);
        Ok(read)
    }

    fn write(&self, project: &Project) -> Result<(), ProjectError> {
        let dirs = project.dirs()?;
        let text = serde_json::to_vec_pretty(self).map_err(|error| ProjectError::NoBatch {
            path: dirs.effective_run_root.join(FILE),
            reason: error.to_string(),
        })?;
        Ok(dirs.write_beside_runs(FILE, &[&*text, b"\n"].concat())?)
    }
}

/// One run of a batch.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Trial {
    /// The id of its row.
    pub row: String,
    /// The model that its steps asked; `None` for those of the definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The repetition, from 1.
    pub repetition: u32,
    /// The run, as far as it came; `None` if it could not be started.
    pub run: Option<RunReport>,
    /// Why there is no run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the output is what the row expects; `None` of a row that expects nothing, of a run that did not complete, and of an
    /// output that waits for its judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The run of the model that judged the output; `None` where none is asked. A judge is asked last, if all else holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<RunReport>,
}

impl Trial {
    /// Whether the run completed, with the output that its row expects.
    #[must_use]
    pub fn passed(&self) -> bool {
        let completed = self
            .run
            .as_ref()
            .is_some_and(|run| run.status == RunStatus::Completed);
        completed && self.verdict.as_ref().is_none_or(|verdict| verdict.passed)
    }

    /// Whether the run waits for an answer.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.status == RunStatus::Waiting)
    }

    /// The usage of its calls to models, with those of its judge.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for run in self.run.iter().chain(&self.judgement) {
            usage += run.totals.usage;
        }
        usage
    }

    /// The output that waits for a judge: that of a run where all else holds.
    fn unjudged(&self) -> Option<Value> {
        self.verdict.as_ref().filter(|verdict| verdict.passed)?;
        Some(self.run.as_ref()?.output.clone().unwrap_or_default())
    }

    /// The trial with the decision of its judge.
    fn judged_by(mut self, judge: &Judge, judgement: Result<RunReport, ProjectError>) -> Self {
        let error = judgement.as_ref().err().map(|error| error.to_info().message);
        self.judgement = judgement.ok();
        let judgement = self
            .judgement
            .as_ref()
            .ok_or(error.as_deref().unwrap_or_default());
        let denial = judge.denial(judgement);
        self.verdict = self.verdict.map(|verdict| verdict.and(denial));
        self
    }
}

/// A row, model and repetition that is to be run.
struct Cell<'b> {
    row: &'b BatchRow,
    model: Option<&'b str>,
    repetition: u32,
}

impl Cell<'_> {
    /// The key under which its run is started once.
    fn key(&self) -> String {
        let model = self.model.unwrap_or_default();
        format!("{}\n{model}\n{}", self.row.id, self.repetition)
    }

    fn trial(&self, run: Result<RunReport, ProjectError>) -> Trial {
        let (run, error) = match run {
            Ok(run) => (Some(run), None),
            Err(error) => (None, Some(error.to_info().message)),
        };
        let completed = run.as_ref().filter(|run| run.status == RunStatus::Completed);
        let verdict = completed.zip(self.row.expect.as_ref()).map(|(run, expect)| {
            let output = run.output.as_ref().unwrap_or(&Value::Null);
            expect.verdict(output, &self.row.variables)
        });
        Trial {
            row: self.row.id.clone(),
            model: self.model.map(str::to_owned),
            repetition: self.repetition,
            run,
            error,
            verdict,
            judgement: None,
        }
    }

    /// The judge of its output.
    fn judge(&self) -> Option<&Judge> {
        self.row.expect.as_ref()?.judge.as_ref()
    }
}

/// The way in which the runs of a batch are driven.
pub struct BatchDriving<'a> {
    max_concurrency: usize,
    stop: RunStop,
    change: Box<dyn Fn(RunContextBuilder) -> RunContextBuilder + Send + Sync + 'a>,
}

impl<'a> BatchDriving<'a> {
    /// Runs are driven at most `max_concurrency` at a time, and at least one.
    #[must_use]
    pub fn new(max_concurrency: usize) -> Self {
        Self {
            max_concurrency: max_concurrency.max(1),
            stop: RunStop::new(),
            change: Box::new(|context| context),
        }
    }

    /// Stops the runs that are driven, and keeps the others from beginning.
    #[must_use]
    pub fn cancelled_by(mut self, stop: RunStop) -> Self {
        self.stop = stop;
        self
    }

    /// Adds to the context of each run: handlers, observers, resources.
    #[must_use]
    pub fn context(
        mut self,
        change: impl Fn(RunContextBuilder) -> RunContextBuilder + Send + Sync + 'a,
    ) -> Self {
        self.change = Box::new(change);
        self
    }

    fn changed(&self, context: RunContextBuilder) -> RunContextBuilder {
        (self.change)(context).cancelled_by(self.stop.clone())
    }
}

impl std::fmt::Debug for BatchDriving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchDriving")
            .field("max_concurrency", &self.max_concurrency)
            .finish_non_exhaustive()
    }
}

impl Batch {
    /// A batch of rows, run once each with the models of the definition.
    #[must_use]
    pub fn new(name: impl Into<String>, rows: Vec<BatchRow>) -> Self {
        Self {
            name: name.into(),
            rows,
            models: Vec::new(),
            repeat: 1,
        }
    }

    /// The models that every step asks, each in runs of its own.
    #[must_use]
    pub fn models(mut self, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// The number of times that each row is run with each model; at least once.
    #[must_use]
    pub fn repeat(mut self, times: u32) -> Self {
        self.repeat = times.max(1);
        self
    }

    /// Runs a definition with every row, model and repetition, and gives the trials in their order. `ended` is called when one
    /// has ended.
    ///
    /// # Errors
    /// If the directory of the batch cannot be used; what happens to a run stands in its trial.
    pub async fn run(
        &self,
        project: &Project,
        found: &FoundDefinition,
        driving: &BatchDriving<'_>,
        mut ended: impl FnMut(&Trial),
    ) -> Result<Vec<Trial>, ProjectError> {
        let project = project.clone().run_root_subpath(&self.name);
        self.keep(&project, &found.root_id)?;
        let runs = stream::iter(self.cells().enumerate()).map(|(number, cell)| {
            let project = &project;
            async move {
                let run = drive(project, found, &cell, driving).await;
                let trial = cell.trial(run);
                let trial = match cell.judge().zip(trial.unjudged()) {
                    Some((judge, output)) => {
                        let judgement = judge.judge(project, &cell.key(), &output, driving).await;
                        trial.judged_by(judge, judgement)
                    }
                    None => trial,
                };
                (number, trial)
            }
        });
        let mut runs = pin!(runs.buffer_unordered(driving.max_concurrency));
        let mut trials = Vec::new();
        while let Some((number, trial)) = runs.next().await {
            ended(&trial);
            trials.push((number, trial));
        }
        trials.sort_by_key(|(number, _)| *number);
        Ok(trials.into_iter().map(|(_, trial)| trial).collect())
    }

    /// The trials of the batch of a name as they are now, in their order; a run that was not started is left out. Nothing is
    /// executed.
    ///
    /// # Errors
    /// [`ProjectError::NoBatch`] if there is none, or a file of it or a run cannot be read.
    pub fn trials(project: &Project, name: &str) -> Result<Vec<Trial>, ProjectError> {
        let project = project.clone().run_root_subpath(name);
        let BatchFile { root_id, batch, .. } = BatchFile::read(&project, name)?;
        let root = project.dirs()?.effective_run_root;
        let mut trials = Vec::new();
        for cell in batch.cells() {
            let dir = root.join(RunId::of_key(&root_id, &cell.key()).as_str());
            if !dir.is_dir() {
                continue;
            }
            let mut trial = cell.trial(Ok(RunReport::of(&RunView::open(&dir)?)?));
            if let Some((judge, output)) = cell.judge().zip(trial.unjudged()) {
                trial = match judge.recorded(&project, &cell.key(), &output)? {
                    Some(judgement) => trial.judged_by(judge, Ok(judgement)),
                    None => Trial {
                        verdict: None,
                        ..trial
                    },
                };
            }
            trials.push(trial);
        }
        Ok(trials)
    }

    /// Writes the file of the batch, with the rows, models and repetitions that it had before.
    fn keep(&self, project: &Project, root_id: &str) -> Result<(), ProjectError> {
        let root_id = ElementId::new(root_id).map_err(SetupError::RootId)?;
        let mut batch = self.clone();
        if let Ok(before) = BatchFile::read(project, &self.name) {
            if before.root_id != root_id {
                let reason = format!("it is a batch of `{}`; name another", before.root_id);
                let path = project.dirs()?.effective_run_root;
                return Err(ProjectError::NoBatch { path, reason });
            }
            let named: HashSet<&str> = self.rows.iter().map(|row| &*row.id).collect();
            let others = before
                .batch
                .rows
                .into_iter()
                .filter(|row| !named.contains(&*row.id));
            batch.rows.extend(others);
            let models = before
                .batch
                .models
                .into_iter()
                .filter(|model| !self.models.contains(model));
            batch.models.extend(models);
            batch.repeat = batch.repeat.max(before.batch.repeat);
        }
        let file = BatchFile {
            schema_version: FORMAT,
            root_id,
            batch,
        };
        file.write(project)
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let models: Vec<Option<&str>> = match &*self.models {
            [] => vec![None],
            models => models.iter().map(|model| Some(&**model)).collect(),
        };
        let repeat = self.repeat;
        self.rows.iter().flat_map(move |row| {
            let models = models.clone();
            models.into_iter().flat_map(move |model| {
                (1..=repeat).map(move |repetition| Cell {
                    row,
                    model,
                    repetition,
                })
            })
        })
    }
}

/// Drives the run of a cell: a new one, or the one that was started before.
async fn drive(
    project: &Project,
    found: &FoundDefinition,
    cell: &Cell<'_>,
    driving: &BatchDriving<'_>,
) -> Result<RunReport, ProjectError> {
    if driving.stop.is_stopped() {
        return Err(ProjectError::BatchStopped);
    }
    let mut project = project.clone();
    if let Some(model) = cell.model {
        project = project.ask_model(model);
    }
    let mut context = driving.changed(project.context_for(found)?).key(cell.key());
    for (name, value) in &cell.row.variables {
        context = context.variable(name, value.clone());
    }
    for (path, value) in &cell.row.inputs {
        context = context.node_input(path, value.clone(), format!("row `{}`", cell.row.id));
    }
    let runner = Runner::new(found.definition.clone(), context.build()?);
    let ended = runner.run().await;
    match &ended {
        Err(error)
            if let Some(SetupError::StartedBefore {
                same_inputs: false, ..
            }) = error.setup() =>
        {
            Err(ProjectError::RowChanged {
                row: cell.row.id.clone(),
            })
        }
        _ => taken_up(&project, ended, driving).await,
    }
}

/// The report of a run under a key: of the one that was started before with the same inputs, if there is one.
async fn taken_up(
    project: &Project,
    ended: Result<RunReport, Error>,
    driving: &BatchDriving<'_>,
) -> Result<RunReport, ProjectError> {
    match &ended {
        Err(error)
            if let Some(SetupError::StartedBefore {
                run,
                same_inputs: true,
            }) = error.setup() =>
        {
            take_up(project, run, driving).await
        }
        _ => reported(ended),
    }
}

/// Takes a run up that was started before, unless it completed or waits.
async fn take_up(
    project: &Project,
    run: &str,
    driving: &BatchDriving<'_>,
) -> Result<RunReport, ProjectError> {
    let run = project.run(run)?.wait(WaitFor::Pause).await?;
    if matches!(run.view().status, RunStatus::Completed | RunStatus::Waiting) {
        return Ok(RunReport::of(run.view())?);
    }
    let runner = run
        .resume()
        .context(|context| driving.changed(context))
        .runner()?;
    reported(runner.run().await)
}

/// The report of a run, also of one that did not complete.
fn reported(ended: Result<RunReport, Error>) -> Result<RunReport, ProjectError> {
    ended.or_else(|error| Ok(error.into_report()?))
}
