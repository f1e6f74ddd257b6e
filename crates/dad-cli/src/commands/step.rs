//! `dhenara run step`.

use clap::Args;
use dad_project::DefinitionChoice as Choice;
use dad_runner::Runner;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::options::{DefinitionChoice, Driving, Given, Place};
use crate::output::summary::Invocation;
use crate::session::context::{noted, recorded_context};
use crate::session::drive::drive;
use crate::session::inputs;
use crate::session::origin::own_or_trusted;
use crate::session::project::driven;

/// Execute one step of a run alone, with the inputs and results it had: to try a changed prompt, say.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// The run: its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The step, by its path or the end of it.
    path: String,
    #[command(flatten)]
    options: StepOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct StepOptions {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    driving: Driving,
    /// The definition that the step is taken from; by default the current one.
    #[arg(long, value_enum)]
    definition: Option<DefinitionChoice>,
    /// Start from a run that was driven last on another machine or in another directory: you trust what the step would
    /// execute.
    #[arg(long)]
    trust: bool,
    /// Never ask at the terminal.
    #[arg(long)]
    no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

impl Execute for StepArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let project = app.project(&options.place)?;
        let entry = project.own_runs()?.find_whole(&self.run)?;
        let project = driven(project, options.given.env.as_deref(), &options.driving)?;
        let (project, notes) = noted(project);
        let run = own_or_trusted(app, &project, project.view(&entry)?, options.trust)?;
        let choice = options.definition.map_or(Choice::Current, Into::into);
        let (project, definition, context) = run.rerun_of(choice)?;
        let context = recorded_context(app, &project, run.view(), context, notes, options.no_input)?;
        let context = inputs::apply(context, &options.given)?.step_alone(&self.path);
        let invocation = Invocation::new(&options.place, project.root());
        drive(context, &project, options.json, &invocation, |context| {
            Runner::new(definition, context)
        })
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
