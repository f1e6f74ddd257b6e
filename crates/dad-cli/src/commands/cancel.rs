//! `dhenara cancel`.

use clap::Args;
use dad_project::ProjectError;
use dad_run::{RunError, SetupError};

use crate::app::App;
use crate::commands::runs::select::not_found;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::out;
use crate::output::program;

/// Stop a run that another process drives, or one step or component of it; committed steps stand.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// A step or component, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Execute for CancelArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        cancel(app, &self.run, self.path.as_deref(), &self.place)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

fn cancel(app: &App, run: &str, path: Option<&str>, place: &Place) -> Result<u8, CommandError> {
    let project = app.project_or_here(place)?;
    let entry = project.own_runs()?.find(run, None)?;
    let run = project
        .run_of(project.view(&entry)?)
        .source(program::command("cancel"));
    let path = run.cancel(path).map_err(|error| match error {
        ProjectError::Run(RunError::Setup(error)) => match *error {
            SetupError::Step(error) => not_found(&error, &entry),
            error => error.into(),
        },
        error => error.into(),
    })?;
    let what = path.map_or_else(
        || entry.run_id.to_string(),
        |path| format!("{path} of {}", entry.run_id),
    );
    out::lines(&format!(
        "{what} is to stop; `{} {}` tells how it ended",
        program::command("runs show"),
        entry.run_id
    ))?;
    Ok(exit_code::DONE)
}
