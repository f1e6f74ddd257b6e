//! `dhenara runs get`: one value of a run.

use clap::Args;
use dad_run::OriginalRun;
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{json, out};

/// Print one value of a run: a text as it is, anything else as JSON.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The value, as a template writes it: `STEP.outcome.results[0].stdout`, `STEP.settings`, `STEP` for the whole result, or
    /// `output` for the output of the run.
    #[arg(value_name = "STEP.FIELD")]
    value: String,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for GetArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        let value = match OriginalRun::open(entry.clone())? {
            Some(original) => original.view()?.value(&self.value)?,
            None => project.view(&entry)?.value(&self.value)?,
        };
        if self.json {
            json::print(json!({ "run_id": entry.run_id, "place": self.value, "value": value }))?;
        } else if let Value::String(text) = &value {
            out::raw(text)?;
        } else {
            out::document(&value)?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}
