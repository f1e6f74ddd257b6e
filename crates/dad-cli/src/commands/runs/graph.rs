//! `dhenara runs graph`: a run as a flowchart.

use clap::Args;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::out;

/// Print a run as a flowchart for Mermaid: its definition, with the status of each step in colour.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    #[command(flatten)]
    place: Place,
}

impl Execute for GraphArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        out::exact(&project.view(&entry)?.mermaid()?)?;
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}
