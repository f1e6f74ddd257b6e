//! `dhenara rerun`.

use clap::Args;
use dad_project::DefinitionChoice as Choice;
use dad_runner::Runner;

use crate::app::App;
use crate::commands::run::dry_run;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::options::{DefinitionChoice, Driving, Given, Place, ReuseOptions};
use crate::output::summary::Invocation;
use crate::session::context::{noted, recorded_context, warn_of_keys};
use crate::session::drive::drive;
use crate::session::inputs;
use crate::session::origin::own_or_trusted;
use crate::session::project::driven;

/// Run again what a run ran, as a new run: unchanged steps are reused, changed ones execute.
///
/// Environment, variables and models are those of the run, unless others are given.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// The run: its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    #[command(flatten)]
    options: RerunOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct RerunOptions {
    #[command(flatten)]
    reuse: ReuseOptions,
    /// The definition to run; by default the current one.
    #[arg(long, value_enum)]
    definition: Option<DefinitionChoice>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    driving: Driving,
    /// Start from a run that is not signed with your key: you trust what it would execute.
    #[arg(long)]
    trust: bool,
    /// Never ask at the terminal.
    #[arg(long)]
    no_input: bool,
    /// Check everything and say what would be done, without doing it.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

impl Execute for RerunArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        rerun(app, &self.run, &self.options)
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

fn rerun(app: &App, run: &str, options: &RerunOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_whole(run)?;
    let project = driven(project, options.given.env.as_deref(), &options.driving)?;
    let (mut project, notes) = noted(project);
    if options.dry_run {
        project = project.only_looks();
    }
    let run = own_or_trusted(app, &project, project.view(&entry)?, options.trust)?;
    let choice = options.definition.map_or(Choice::Current, Into::into);
    let (project, definition, context) = run.rerun_of(choice)?;
    warn_of_keys(&project, &definition);
    let context = recorded_context(app, &project, run.view(), context, notes, options.no_input)?;
    let context = inputs::apply(context, &options.given)?;
    let context = inputs::apply_reuse(context, &options.reuse)?;
    if options.dry_run {
        return dry_run(app, context, &definition, options.json);
    }
    let invocation = Invocation::new(&options.place, project.root());
    drive(context, &project, options.json, &invocation, |context| {
        Runner::new(definition, context)
    })
}
