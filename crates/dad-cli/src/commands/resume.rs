//! `dhenara resume`.

use std::path::PathBuf;

use clap::Args;
use dad_core::Definition;
use dad_project::{Project, ProjectRun};
use dad_run::{RunContextBuilder, Settled};
use dad_runner::Runner;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::options::{DefinitionChoice, Driving, DurabilityChoice, Given, Place};
use crate::output::summary::Invocation;
use crate::session::context::{noted, recorded_context, warn_of_keys};
use crate::session::drive::drive;
use crate::session::inputs;
use crate::session::origin::own_or_trusted;
use crate::session::project::driven;

/// Resume a run that did not complete, in its own directory: committed steps stand.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Its id, a unique beginning of it, or `last`: the newest that is not completed.
    run: String,
    #[command(flatten)]
    options: ResumeOptions,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ResumeOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// An environment of `.dhenara/config.yaml`, in the place of the recorded one.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// The definition to resume with, if it changed since the run was started.
    #[arg(long, value_enum)]
    pub(crate) definition: Option<DefinitionChoice>,
    /// Count a step that has not ended well as skipped, instead of executing it.
    #[arg(long, value_name = "PATH[=REASON]")]
    pub(crate) skip: Vec<String>,
    /// Count a step that has not ended well as failed, instead of executing it.
    #[arg(long, value_name = "PATH[=REASON]")]
    pub(crate) fail: Vec<String>,
    /// Take the run over from a process on another machine, which may still drive it.
    #[arg(long)]
    pub(crate) steal_lease: bool,
    /// Resume a run that is not signed with your key: you trust what it would execute.
    #[arg(long)]
    pub(crate) trust: bool,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// Give a step its input.
    #[arg(long = "input", value_name = "PATH=JSON|@FILE")]
    pub(crate) inputs: Vec<String>,
    /// The events that the run promises to survive; it overrides the environment.
    #[arg(long, value_enum)]
    pub(crate) durability: Option<DurabilityChoice>,
    /// Never ask at the terminal.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Execute for ResumeArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        resume(app, &self.run, &self.options)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            no_input: self.options.no_input,
            ..CommonOptions::default()
        }
    }
}

fn resume(app: &App, run: &str, options: &ResumeOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_unfinished(run)?;
    let run = own_or_trusted(app, &project, project.view(&entry)?, options.trust)?;
    Resumption::new(app, &run, options)?.drive(options)
}

/// A run that can be resumed.
pub(crate) struct Resumption {
    project: Project,
    definition: Definition,
    context: RunContextBuilder,
    run_dir: PathBuf,
}

impl Resumption {
    pub(crate) fn new(app: &App, run: &ProjectRun, options: &ResumeOptions) -> Result<Self, CommandError> {
        let view = run.view();
        let project = driven(run.project().clone(), options.env.as_deref(), &options.driving)?;
        let (project, notes) = noted(project);
        let mut resumption = run.resume().project(project);
        if let Some(choice) = options.definition {
            resumption = resumption.definition(choice.into());
        }
        let (project, definition, context) = resumption.begin()?;
        warn_of_keys(&project, &definition);
        let context = recorded_context(app, &project, view, context, notes, options.no_input)?;
        Ok(Self {
            context: given_to(context, options)?,
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
        drive(context, &project, options.json, &invocation, |context| {
            Runner::resume(definition, context, run_dir)
        })
    }
}

/// Adds the options of the command to the recorded context.
fn given_to(
    mut context: RunContextBuilder,
    options: &ResumeOptions,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(choice) = options.durability {
        context = context.durability(choice.into());
    }
    let given = Given {
        inputs: options.inputs.clone(),
        ..Given::default()
    };
    context = inputs::apply(context, &given)?;
    for settle in &options.skip {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Skipped(reason));
    }
    for settle in &options.fail {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Failed(reason));
    }
    Ok(context.steal_lease(options.steal_lease))
}

/// A step, and the reason for which it is settled.
fn settled(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((path, reason)) => (path, Some(reason.to_owned())),
        None => (text, None),
    }
}
