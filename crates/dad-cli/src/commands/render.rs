//! `dhenara render`.

use clap::Args;
use dad_core::{ErrorInfo, PathSelector};
use dad_definition::to_yaml_value;
use dad_runner::{RenderedStep, render_step};
use dad_terminal::{BOLD, DIM};
use serde_json::json;

use crate::app::App;
use crate::commands::validate::find_one;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::{Driving, Given, Place};
use crate::output::{json, out};
use crate::session::inputs;
use crate::session::project::driven;

/// Print the settings of one step as they would be executed, with the origin of each value.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// An agent or flow of the project, or a definition file.
    name: String,
    /// The step, by its path or the end of it.
    path: String,
    /// A run whose results and inputs are used: its id, a unique beginning of it, or `last`.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    options: RenderOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct RenderOptions {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    given: Given,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

impl Execute for RenderArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let (project, found) = find_one(app, &self.name, &options.place)?;
        let project = driven(project, options.given.env.as_deref(), &Driving::default())?;
        let project = project.only_looks().without_models();
        let context = inputs::apply(project.context_for(&found)?, &options.given)?;
        let preview = context.build()?.preview(&found.definition, self.run.as_deref())?;
        let selector: PathSelector = self.path.parse().map_err(dad_run::RunError::from)?;
        let step = render_step(&preview, &selector).map_err(|error| self.not_rendered(error))?;
        if options.json {
            json::print(json!(step))?;
        } else {
            print(&step)?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            ..CommonOptions::default()
        }
    }
}

impl RenderArgs {
    /// The error of a step that cannot be rendered: without a run, no step has a result.
    fn not_rendered(&self, error: ErrorInfo) -> CommandError {
        let may_need_result = self.run.is_none() && error.hint.is_none() && error.code != "unknown_step";
        let error = CommandError::from_info(error);
        if may_need_result {
            error.with_hint("if it needs the result of a step, name a run that has one: `--run last`")
        } else {
            error
        }
    }
}

fn print(step: &RenderedStep) -> Result<(), CommandError> {
    out::lines(&format!(
        "{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}",
        step.path, step.node_type
    ))?;
    out::lines(&dad_terminal::printable(to_yaml_value(&step.settings).trim_end()))?;
    if step.origins.is_empty() {
        return Ok(());
    }
    let width = |text: fn(&dad_runner::ValueOrigin) -> &str| {
        let widths = step.origins.iter().map(|origin| text(origin).chars().count());
        widths.max().unwrap_or(0).min(50)
    };
    let (place, reference) = (width(|origin| &origin.place), width(|origin| &origin.reference));
    out::lines(&format!("\n{BOLD}from{BOLD:#}"))?;
    for origin in &step.origins {
        out::lines(&format!(
            "  {:place$}  {:reference$}  {DIM}{}{DIM:#}",
            origin.place, origin.reference, origin.origin
        ))?;
    }
    Ok(())
}
