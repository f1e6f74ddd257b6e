use std::path::PathBuf;

use dad_core::{Definition, RunStatus};
use dad_project::Project;
use dad_run::{RunContextBuilder, RunError, RunView, Settled};
use dad_runner::Runner;
use dad_terminal::{print_line, printable};

use crate::app::App;
use crate::args::{Given, ResumeOptions};
use crate::error::CommandError;
use crate::foreign::check_origin;
use crate::given;
use crate::notes::Notes;
use crate::place::driven;
use crate::run::{drive, noted, told, warn_of_keys};
use crate::summary::Invocation;

/// `dhenara resume RUN`.
pub(crate) fn resume(app: &App, run: &str, options: &ResumeOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_unfinished(run)?;
    let view = project.view(&entry)?;
    // Whatever became of its definition meanwhile: there is nothing to decide about.
    if view.sealed_status() == Some(RunStatus::Completed) {
        return Err(RunError::AlreadyCompleted(view.name().into_owned()).into());
    }
    if !options.trust {
        check_origin(app, &project, &view)?;
    }
    Resumption::new(app, project, &view, options)?.drive(options)
}

/// A run that nothing keeps from being resumed.
pub(crate) struct Resumption {
    project: Project,
    definition: Definition,
    context: RunContextBuilder,
    run_dir: PathBuf,
}

impl Resumption {
    pub(crate) fn new(
        app: &App,
        project: Project,
        view: &RunView,
        options: &ResumeOptions,
    ) -> Result<Self, CommandError> {
        let project = driven(project, options.env.as_deref(), &options.driving)?;
        let (project, notes) = noted(project.in_environment_of(view)?);
        let definition = project.definition_of(view, options.definition.map(Into::into))?;
        warn_of_keys(&project, &definition);
        let context = continued(app, &project, view, notes, options.no_input)?;
        Ok(Self {
            context: given_to(context, view, options)?,
            run_dir: view.dir().to_path_buf(),
            project,
            definition,
        })
    }

    pub(crate) fn drive(self, options: &ResumeOptions) -> Result<u8, CommandError> {
        let Self {
            project,
            definition,
            context,
            run_dir,
        } = self;
        let invocation = Invocation::new(&options.place, project.root());
        drive(
            context,
            project.settings(),
            options.json,
            &invocation,
            |context| Runner::resume(definition, context, run_dir),
        )
    }
}

/// The context of a run that is continued: as it was recorded, and if that differs from what the configuration says now, a line
/// says so.
pub(crate) fn continued(
    app: &App,
    project: &Project,
    view: &RunView,
    notes: Notes,
    no_input: bool,
) -> Result<RunContextBuilder, CommandError> {
    let context = project.context_of(view)?;
    if let Some(changes) = project.changes_since(view)? {
        print_line(&format!("note: {}", printable(&changes)));
    }
    Ok(told(app, context, notes, no_input))
}

/// Gives a context what the options say beside what was recorded.
fn given_to(
    mut context: RunContextBuilder,
    view: &RunView,
    options: &ResumeOptions,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(choice) = options.durability {
        context = context.durability(choice.into());
    }
    if let Some(spans) = view.definition()?.spans {
        context = context.spans(spans);
    }
    let given = Given {
        inputs: options.inputs.clone(),
        ..Given::default()
    };
    context = given::apply(context, &given)?;
    for settle in &options.skip {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Skipped(reason));
    }
    for settle in &options.fail {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Failed(reason));
    }
    Ok(context.steal_lease(options.steal_lease).trust_run(options.trust))
}

/// A step, and why it is settled so.
fn settled(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((path, reason)) => (path, Some(reason.to_owned())),
        None => (text, None),
    }
}
