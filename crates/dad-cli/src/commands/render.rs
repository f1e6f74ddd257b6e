use dad_core::PathSelector;
use dad_definition::to_yaml_value;
use dad_runner::{RenderedStep, render_step};
use dad_terminal::{BOLD, DIM};
use serde_json::json;

use crate::app::App;
use crate::args::{Driving, RenderOptions};
use crate::error::CommandError;
use crate::place::driven;
use crate::validate::find_one;
use crate::{exit_code, given, json, out};

/// `dhenara render NAME PATH`: what one step would execute, and where it comes from.
pub(crate) fn render(
    app: &App,
    name: &str,
    path: &str,
    run: Option<&str>,
    options: &RenderOptions,
) -> Result<u8, CommandError> {
    let (project, found) = find_one(app, name, &options.place)?;
    let project = driven(project, options.given.env.as_deref(), &Driving::default())?;
    let project = project.only_looks().without_models();
    let context = given::apply(project.context_for(&found)?, &options.given)?;
    let preview = context.build()?.preview(&found.definition, run)?;
    let selector: PathSelector = path.parse().map_err(dad_run::RunError::from)?;
    let step = render_step(&preview, &selector).map_err(CommandError::from_info)?;
    if options.json {
        json::print(json!(step))?;
    } else {
        tell(&step)?;
    }
    Ok(exit_code::DONE)
}

fn tell(step: &RenderedStep) -> Result<(), CommandError> {
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
