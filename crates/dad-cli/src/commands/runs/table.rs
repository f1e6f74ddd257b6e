//! `dhenara runs table`: the runs of a batch beside each other.

use anstyle::Style;
use clap::Args;
use dad_core::{RunStatus, format_duration};
use dad_project::{Batch, Trial};
use dad_run::RunView;
use dad_terminal::internal::{cost, mark, one_line};
use dad_terminal::{output_width, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::each::{outcome, status_of, summaries};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::table::{Cell, Column, table};
use crate::output::{json, out};

/// The longest part of a value that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// Show the runs of a batch, which `run … --each` makes: by row and model, with outputs, costs and times.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The name of the batch.
    batch: String,
    /// Show a value of each run in the place of its output, such as `STEP.outcome.text`.
    #[arg(long, value_name = "STEP.FIELD")]
    field: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "field")]
    json: bool,
}

impl Execute for TableArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let trials = Batch::trials(&project, &self.batch)?;
        if self.json {
            json::print(json!({ "batch": self.batch, "trials": trials }))?;
            return Ok(exit_code::DONE);
        }
        let rows: Result<Vec<Vec<Cell>>, CommandError> = trials.iter().map(|trial| self.row(trial)).collect();
        out::lines(&table(&COLUMNS, &rows?, output_width()))?;
        out::lines(&summaries(&trials).join("\n"))?;
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            paged: true,
            ..CommonOptions::default()
        }
    }
}

const COLUMNS: [Column; 7] = [
    Column::new("", 0),
    Column::new("ROW", 0),
    Column::new("MODEL", 1),
    Column::new("#", 2),
    Column::new("TOOK", 4).right(),
    Column::new("COST", 3).right(),
    Column::new("OUTPUT", 0).cut(),
];

impl TableArgs {
    fn row(&self, trial: &Trial) -> Result<Vec<Cell>, CommandError> {
        let plain = |text: String| (text, Style::new());
        let (sign, style) = mark(status_of(trial), false);
        let repetition = (trial.repetition > 1).then(|| trial.repetition.to_string());
        let took = trial.run.as_ref().map(|run| format_duration(run.duration));
        let shown = match (&self.field, &trial.run) {
            (Some(field), Some(run)) if run.status == RunStatus::Completed => {
                match RunView::open(&run.run_dir)?.value(field)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                }
            }
            _ => outcome(trial),
        };
        Ok(vec![
            (sign.to_owned(), style),
            plain(printable(&trial.row)),
            plain(printable(trial.model.as_deref().unwrap_or_default())),
            plain(repetition.unwrap_or_default()),
            plain(took.unwrap_or_default()),
            plain(trial.usage().cost.and_then(cost).unwrap_or_default()),
            plain(printable(&one_line(&shown, MAX_SHOWN))),
        ])
    }
}
