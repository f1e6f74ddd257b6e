//! A run of a project: answering its questions, stopping it, resuming it, and looking at what it did.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{Definition, HierarchyPath, PathSelector, RunStatus};
use dad_definition::SpanMap;
use dad_events::Event;
use dad_run::{
    Answer, OpenQuestion, QuestionKind, RerunPlan, RunContext, RunContextBuilder, RunDiff, RunFollower,
    RunView, SetupError, StepAttempt, ViewEntry, request_cancel,
};
use dad_runner::{Runner, forecast};
use serde::Serialize;
use serde_json::{Value, json};

use crate::changed::{DefinitionChoice, PlacedDefinition};
use crate::error::ProjectError;
use crate::explanation::Explanation;
use crate::project::Project;
use crate::transcript::Transcript;

/// The time between two looks at a run that is waited for.
const PAUSE: Duration = Duration::from_millis(100);

/// The state of a run that [`ProjectRun::wait`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitFor {
    /// No process drives it: it has ended, waits for an answer, or was interrupted.
    Pause,
    /// It has ended: it completed, failed, or was cancelled or interrupted. While it waits for an answer, another process may give one.
    End,
}

/// A run of a project, as it was when it was read.
///
/// ```no_run
/// use dad_project::Project;
/// use serde_json::json;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let run = Project::open(".")?.run("last")?;
/// for question in run.view().open_questions() {
///     println!("{} waits", question.path);
/// }
/// run.answer("review.comment", json!({ "text": "fine" }))?;
/// let report = run.resume().runner()?.run().await?;
/// # drop(report);
/// # Ok(())
/// # }
/// ```
///
/// A run that is not the user's own is only looked at, until it is [trusted](Self::trusted).
#[derive(Debug)]
pub struct ProjectRun {
    project: Project,
    view: RunView,
    source: String,
    trusted: bool,
}

impl Project {
    /// A run of the project that was read already.
    #[must_use]
    pub fn run_of(&self, view: RunView) -> ProjectRun {
        ProjectRun {
            project: self.clone(),
            view,
            source: "a program".to_owned(),
            trusted: false,
        }
    }

    /// The run of an id, of a unique beginning of one, or `last`: the newest of the user's own.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn run(&self, run: &str) -> Result<ProjectRun, ProjectError> {
        Ok(self.run_of(self.view(&self.own_runs()?.find(run, None)?)?))
    }
}

/// Looking at a run.
impl ProjectRun {
    /// The run as a reader sees it.
    #[must_use]
    pub const fn view(&self) -> &RunView {
        &self.view
    }

    /// The project that the run was opened in.
    #[must_use]
    pub const fn project(&self) -> &Project {
        &self.project
    }

    /// The run as it is now.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn reread(self) -> Result<Self, ProjectError> {
        let key = self.project.user().origin_key()?;
        let view = RunView::open_with(self.view.dir(), key.as_ref())?;
        Ok(Self { view, ..self })
    }

    /// Waits until no process drives the run any more, or longer, and gives the run as it is then.
    ///
    /// # Errors
    /// If the run cannot be read any more.
    pub async fn wait(self, target: WaitFor) -> Result<Self, ProjectError> {
        self.watch(target, async |_| {}).await
    }

    /// Waits as [`wait`](Self::wait) does, and gives an observer the events of the run: first those that it has recorded already.
    ///
    /// # Errors
    /// If the run cannot be read any more.
    pub async fn watch(
        self,
        target: WaitFor,
        mut observe: impl AsyncFnMut(&[Arc<Event>]),
    ) -> Result<Self, ProjectError> {
        let mut follower = RunFollower::new(&self.view)?;
        loop {
            // Before the events are read: what the last driver recorded is among them then.
            let is_driven = follower.is_driven()?;
            let events = follower.events()?;
            if !events.is_empty() {
                observe(&events).await;
            }
            let awaits_answer = follower.sealed_status() == Some(RunStatus::Waiting);
            let may_continue = is_driven || (awaits_answer && target == WaitFor::End);
            if !may_continue {
                return self.reread();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The reason for which a step was executed or reused, by the path of the step or the end of it.
    ///
    /// # Errors
    /// If there is no such step, or several, or a record or file of it cannot be read.
    pub fn why(&self, step: &str) -> Result<Explanation, ProjectError> {
        Ok(Explanation::of(&self.view, self.step(step)?)?)
    }

    /// The attempts of a step and its conversations with models, by the path of the step or the end of it.
    ///
    /// # Errors
    /// If there is no such step, or several, or a record or file of it cannot be read.
    pub fn transcript(&self, step: &str) -> Result<Transcript, ProjectError> {
        Ok(Transcript::of(&self.view, self.step(step)?)?)
    }

    /// The conversations of one step of many: its attempts are those of
    /// [`RunView::attempts_by_step`], so that the journal is not read again for each step.
    ///
    /// # Errors
    /// If a file of it cannot be read.
    pub fn transcript_of(
        &self,
        path: HierarchyPath,
        attempts: Vec<StepAttempt>,
    ) -> Result<Transcript, ProjectError> {
        Ok(Transcript::of_attempts(&self.view, path, attempts)?)
    }

    fn step(&self, step: &str) -> Result<HierarchyPath, ProjectError> {
        let selector: PathSelector = step.parse().map_err(SetupError::from)?;
        Ok(self.view.select_step(&selector).map_err(SetupError::Step)?)
    }

    /// The differences of a later run from this one, step by step.
    ///
    /// # Errors
    /// If a result of one of them cannot be read.
    pub fn diff(&self, later: &Self) -> Result<RunDiff, ProjectError> {
        Ok(self.view.diff(&later.view)?)
    }

    /// The plan of a re-run of the definition that there is now: what would execute, and why. Nothing is executed or written.
    ///
    /// # Errors
    /// If the run cannot be the start of a re-run, or a step lacks a requirement such as the key of a model.
    pub async fn plan(&self) -> Result<RerunPlan, ProjectError> {
        let project = self.project.clone().only_looks();
        let definition = project.current_definition(&self.view)?;
        let context = self.rerun_in(&project)?.build()?;
        let mut prepared = context.prepare_run(&definition)?;
        forecast(&mut prepared, project.node_registry()).await?;
        let plan = prepared.plan().cloned();
        Ok(plan.ok_or(SetupError::NoPreviousRun)?)
    }
}

/// Acting on a run.
impl ProjectRun {
    /// The name that the run records for the one who answers or cancels; `a program` by default.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Trusts a run that is not signed with the user's key: what it would execute is known to be harmless.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// Answers a question, whether a process drives the run or not; a run that no process drives has to be resumed to use
    /// the answer. The question is named by its id, by the path of what asks or the end of it, or is the only one (`None`).
    ///
    /// # Errors
    /// If there is no such question, it has been answered, or the answer has not the shape that the question wants; the run
    /// still waits then.
    pub fn answer<'q>(
        &self,
        question: impl Into<Option<&'q str>>,
        value: impl Serialize,
    ) -> Result<(), ProjectError> {
        let open = self.view.open_question(question.into())?;
        let value = serde_json::to_value(value).map_err(|error| SetupError::InvalidAnswer {
            path: open.path.clone(),
            reason: error.to_string(),
        })?;
        self.give(open, value)
    }

    /// Agrees that a step, or a call of a tool, executes as it is.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); also if the question asks for an input.
    pub fn approve<'q>(&self, question: impl Into<Option<&'q str>>) -> Result<(), ProjectError> {
        let open = self.view.open_question(question.into())?;
        if self.view.question(&open.id)?.kind != QuestionKind::Approval {
            let reason = "it asks for an input, not for approval".to_owned();
            let path = open.path.clone();
            return Err(SetupError::InvalidAnswer { path, reason }.into());
        }
        self.give(open, json!({ "approve": true }))
    }

    /// Refuses to approve, or to give an input: the step fails.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn deny<'q>(
        &self,
        question: impl Into<Option<&'q str>>,
        reason: impl Into<String>,
    ) -> Result<(), ProjectError> {
        let open = self.view.open_question(question.into())?;
        let source = self.source.clone();
        let reason = reason.into();
        self.record_answer(open, Answer::Denied { source, reason })
    }

    fn give(&self, open: &OpenQuestion, value: Value) -> Result<(), ProjectError> {
        let source = self.source.clone();
        self.record_answer(open, Answer::Given { source, value })
    }

    /// Records an answer, with known secrets masked.
    fn record_answer(&self, open: &OpenQuestion, mut answer: Answer) -> Result<(), ProjectError> {
        self.check_origin()?;
        let known = self.project.secrets().redactor();
        match &mut answer {
            Answer::Given { value, .. } => known.redact_json(value),
            Answer::Denied { reason, .. } => *reason = known.redact(reason).into_owned(),
        }
        let types = self.project.node_registry();
        if self.view.answer(Some(&open.id), answer, types)? {
            return Ok(());
        }
        Err(ProjectError::AlreadyAnswered {
            run: self.view.name().into_owned(),
            question: open.id.clone(),
            driven: self.view.status == RunStatus::Running,
        })
    }

    /// Asks the process that drives the run to stop it, or one step or component of it, by its path or the end of it. Gives
    /// the path of what is to stop.
    ///
    /// # Errors
    /// If no process drives the run, what is named has ended or is not reached, or the request cannot be written.
    pub fn cancel<'p>(
        &self,
        path: impl Into<Option<&'p str>>,
    ) -> Result<Option<HierarchyPath>, ProjectError> {
        self.check_driven(self.view.status)?;
        let path = path.into().map(|path| self.open_at(path)).transpose()?;
        request_cancel(self.view.dir(), path.as_ref(), &self.source)?;
        // A run reads its messages before it suspends: one that still runs now takes this one.
        let now = RunView::open(self.view.dir())?.status;
        if now != RunStatus::Cancelled {
            self.check_driven(now)?;
        }
        Ok(path)
    }

    fn check_driven(&self, status: RunStatus) -> Result<(), ProjectError> {
        if status == RunStatus::Running {
            return Ok(());
        }
        let run = self.view.name().into_owned();
        Err(ProjectError::NotDriven { run, status })
    }

    /// The step or component that a path means, unless it has ended.
    fn open_at(&self, path: &str) -> Result<HierarchyPath, ProjectError> {
        let selector: PathSelector = path.parse().map_err(SetupError::from)?;
        let is_open = |entry: &ViewEntry| !entry.status().is_terminal();
        let open = self.view.entries().filter(|(_, entry)| is_open(entry));
        let unknown = match selector.select(open.map(|(path, _)| path)) {
            Ok(path) => return Ok(path.clone()),
            Err(error @ dad_core::SelectError::Unknown { .. }) => error,
            Err(error) => return Err(SetupError::Step(error).into()),
        };
        let ended = selector.select(self.view.entries().map(|(path, _)| path)).ok();
        let ended = ended.and_then(|path| Some((path.clone(), Some(self.view.entry(path)?.status()))));
        let not_reached = || Some((self.view.select_in_definition(&selector)?, None));
        Err(match ended.or_else(not_reached) {
            Some((path, status)) => ProjectError::NotExecuting { path, status },
            None => SetupError::Step(unknown).into(),
        })
    }

    /// The context of a re-run that starts from this run, as this one was started: environment, models and variables. An entry
    /// point, changed results and other options can be added.
    ///
    /// # Errors
    /// As [`Project::context_of`].
    pub fn rerun(&self) -> Result<RunContextBuilder, ProjectError> {
        self.rerun_in(&self.project)
    }

    /// As [`rerun`](Self::rerun), with the project in the environment of the run and a definition to run again.
    ///
    /// # Errors
    /// If the run is not the user's own, there is a problem with the definition, or as [`Project::context_of`].
    pub fn rerun_of(
        &self,
        choice: DefinitionChoice,
    ) -> Result<(Project, Definition, RunContextBuilder), ProjectError> {
        self.check_origin()?;
        let project = self.project.clone().in_environment_of(&self.view)?;
        let PlacedDefinition { definition, spans } = match choice {
            DefinitionChoice::Recorded => project.placed_definition_of(&self.view, Some(choice))?,
            // A definition that is only recorded is the current one.
            DefinitionChoice::Current => project.placed_current_definition(&self.view)?,
        };
        let context = placed(self.rerun_in(&project)?, spans);
        Ok((project, definition, context))
    }

    fn rerun_in(&self, project: &Project) -> Result<RunContextBuilder, ProjectError> {
        let context = project.context_of(&self.view)?;
        Ok(context
            .previous_run_id(&*self.view.name())
            .trust_run(self.trusted))
    }

    /// Resumes the run in its own directory: committed steps stand.
    pub fn resume(&self) -> Resumption<'_> {
        Resumption {
            run: self,
            project: self.project.clone(),
            definition: None,
            changes: Vec::new(),
        }
    }

    fn check_origin(&self) -> Result<(), ProjectError> {
        if self.trusted {
            return Ok(());
        }
        self.project.check_origin(&self.view)
    }
}

/// A context with the places of the definition's parts, for messages.
fn placed(context: RunContextBuilder, spans: Option<SpanMap>) -> RunContextBuilder {
    match spans {
        Some(spans) => context.spans(spans),
        None => context,
    }
}

/// A run that is about to be resumed, as it was recorded.
#[must_use = "nothing is executed until its runner is run"]
pub struct Resumption<'r> {
    run: &'r ProjectRun,
    project: Project,
    definition: Option<DefinitionChoice>,
    changes: Vec<ContextChange<'r>>,
}

type ContextChange<'r> = Box<dyn FnOnce(RunContextBuilder) -> RunContextBuilder + Send + 'r>;

impl<'r> Resumption<'r> {
    /// The definition to resume with, if it changed since the run was started.
    pub const fn definition(mut self, choice: DefinitionChoice) -> Self {
        self.definition = Some(choice);
        self
    }

    /// The project to resume the run in: the run's own with another environment, model client, replay source or budget.
    pub fn project(mut self, project: Project) -> Self {
        self.project = project;
        self
    }

    /// Adds to the context of the run: handlers, observers, resources, inputs, a subscription.
    pub fn context(
        mut self,
        change: impl FnOnce(RunContextBuilder) -> RunContextBuilder + Send + 'r,
    ) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// The definition and the context to resume the run with.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), or if a setting of the context is invalid.
    pub fn prepare(self) -> Result<(Definition, RunContext), ProjectError> {
        let (_, definition, context) = self.begin()?;
        Ok((definition, context.build()?))
    }

    /// The project in the environment of the run, with the definition and the context to resume the run with: for a program
    /// that looks at them first, or changes the context by what it sees.
    ///
    /// # Errors
    /// If the run is completed, or not the user's own; [`ProjectError::DefinitionChanged`] without a
    /// [choice](Self::definition) between the recorded definition and the current one; or as [`Project::context_of`].
    pub fn begin(self) -> Result<(Project, Definition, RunContextBuilder), ProjectError> {
        let ProjectRun { view, trusted, .. } = self.run;
        // Before its definition is read, which may have changed: nothing is left to execute.
        if view.sealed_status() == Some(RunStatus::Completed) {
            return Err(SetupError::AlreadyCompleted(view.name().into_owned()).into());
        }
        self.run.check_origin()?;
        let project = self.project.in_environment_of(view)?;
        let PlacedDefinition { definition, spans } = project.placed_definition_of(view, self.definition)?;
        let context = placed(project.context_of(view)?, spans).trust_run(*trusted);
        let changed = self.changes.into_iter();
        let context = changed.fold(context, |context, change| change(context));
        Ok((project, definition, context))
    }

    /// The runner that resumes the run.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn runner(self) -> Result<Runner<Definition>, ProjectError> {
        let dir = self.run.view.dir();
        let (definition, context) = self.prepare()?;
        Ok(Runner::resume(definition, context, dir))
    }
}

impl std::fmt::Debug for Resumption<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumption")
            .field("run", &self.run.view.run_id)
            .field("definition", &self.definition)
            .finish_non_exhaustive()
    }
}
