//! `dhenara run step`.

use clap::Args;
use dad_runner::Runner;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::options::{DefinitionChoice, Driving, Given, Place};
use crate::output::summary::Invocation;
use crate::session::context::{noted, recorded_context};
use crate::session::drive::drive;
use crate::session::inputs;
use crate::session::origin::check_origin;
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
        let view = project.view(&entry)?;
        if !options.trust {
            check_origin(app, &project, &view)?;
        }
        let project = driven(project, options.given.env.as_deref(), &options.driving)?;
        let (project, notes) = noted(project.in_environment_of(&view)?);
        let definition = match options.definition {
            Some(DefinitionChoice::Recorded) => view.definition()?.definition,
            _ => project.current_definition(&view)?,
        };
        let context = project.context_of(&view)?;
        let context = recorded_context(app, &project, &view, context, notes, options.no_input)?;
        let context = inputs::apply(context, &options.given)?
            .previous_run_id(entry.run_id.as_str())
            .step_alone(&self.path)
            .trust_run(options.trust);
        let invocation = Invocation::new(&options.place, project.root());
        drive(
            context,
            project.settings(),
            options.json,
            &invocation,
            |context| Runner::new(definition, context),
        )
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            no_input: self.options.no_input,
        }
    }
}
