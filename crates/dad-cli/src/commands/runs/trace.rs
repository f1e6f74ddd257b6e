//! `dhenara runs trace`: when the parts of a run worked, and when they waited.

use clap::Args;
use dad_core::{PathSelector, Timestamp};
use dad_project::StepPart;
use dad_run::{RowKind, RunEntry, RunError, SetupError, Timeline, TimelineOptions};
use dad_terminal::output_width;
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::runs::select::{missing, original, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::timeline::{parts_text, timeline_text};
use crate::output::{json, out};

/// Show when the steps of a run worked and when they waited, what decided when it ended, and what took the longest. Each loop is one
/// row; PATH opens it.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// A component, an iteration such as `each.iter_3`, or a step, by its path or the end of it. Of a step its attempts and calls are
    /// shown.
    path: Option<String>,
    /// Show each iteration of each loop with its steps.
    #[arg(long)]
    expand: bool,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for TraceArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        if entry.is_original {
            return Err(original(&entry, "times of its steps"));
        }
        let within = self.path.as_deref().map(selector).transpose()?;
        let options = TimelineOptions::default()
            .within(within.clone())
            .expand(self.expand);
        let timeline = Timeline::read(&entry.dir, &options, Timestamp::now());
        let timeline = match (timeline, &within) {
            (Err(error), Some(selector)) => {
                return Err(not_there(app, &self.place, error, selector, &entry)?);
            }
            (timeline, _) => timeline?,
        };
        let step = timeline
            .rows
            .first()
            .filter(|row| row.kind == RowKind::Step && self.path.is_some());
        let parts = match step {
            Some(step) => Some(project.run_of(project.view(&entry)?).step_parts(&step.path)?),
            None => None,
        };
        if self.json {
            document(&timeline, parts.as_deref())?;
            return Ok(exit_code::DONE);
        }
        let mut text = timeline_text(&timeline, output_width());
        if let Some(parts) = &parts {
            text += &parts_text(&timeline, parts);
        }
        out::lines(&text)?;
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

/// The error for a timeline that cannot be read, or a path that means nothing in it.
fn not_there(
    app: &App,
    place: &Place,
    error: RunError,
    selector: &PathSelector,
    entry: &RunEntry,
) -> Result<CommandError, CommandError> {
    let Some(SetupError::Step(select)) = error.setup() else {
        return Ok(error.into());
    };
    let view = app.project_or_here(place)?.view(entry)?;
    Ok(missing(&view, selector, select, entry))
}

fn document(timeline: &Timeline, parts: Option<&[StepPart]>) -> Result<(), CommandError> {
    let mut document = json!(timeline);
    document["parts"] = parts.map_or(Value::Null, |parts| json!(parts));
    json::print(document)
}
