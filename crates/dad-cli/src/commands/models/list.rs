//! `dhenara models list`.

use std::path::PathBuf;

use anstyle::Style;
use clap::Args;
use dad_core::nearest;
use dad_models::{KnownModel, ModelCatalog};
use dad_terminal::{output_width, print_line, printable};
use serde_json::json;

use super::words::{abilities, dollars, rounded};
use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::table::{Cell, Column, table};
use crate::output::{json, out};

/// List the models that are known: those of the project, and those whose facts are built in.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only models whose name or alias holds this text.
    text: Option<String>,
    /// Only models of this provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ListArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let catalog = app.project_or_here(&self.common().place)?.model_catalog()?;
        list(&catalog, self)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: Place {
                project_root: self.project_root.clone(),
                ..Place::default()
            },
            json: self.json,
            paged: true,
            ..CommonOptions::default()
        }
    }
}

fn list(catalog: &ModelCatalog, arguments: &ListArgs) -> Result<u8, CommandError> {
    if let Some(provider) = &arguments.provider {
        check_provider(catalog, provider)?;
    }
    let mut models = catalog.models(arguments.provider.as_deref());
    if let Some(text) = &arguments.text {
        let text = text.to_lowercase();
        models.retain(|model| {
            let mut names = model.aliases.iter().chain([&model.name]);
            names.any(|name| name.to_lowercase().contains(&text))
        });
    }
    if arguments.json {
        let models = models.iter().map(super::document);
        json::print(json!({ "models": models.collect::<Vec<_>>() }))?;
        return Ok(exit_code::DONE);
    }
    if models.is_empty() {
        let near = arguments
            .text
            .as_deref()
            .and_then(|text| catalog.nearest_known(text));
        let near = near
            .map(|name| format!("; `{name}` is similar"))
            .unwrap_or_default();
        print_line(&printable(&format!("no known model has such a name{near}")));
        return Ok(exit_code::DONE);
    }
    let rows: Vec<Vec<Cell>> = models.iter().map(|model| row(model).into()).collect();
    out::lines(&table(&COLUMNS, &rows, output_width()))?;
    Ok(exit_code::DONE)
}

fn check_provider(catalog: &ModelCatalog, provider: &str) -> Result<(), CommandError> {
    let known = catalog.providers();
    if known.contains(provider) {
        return Ok(());
    }
    let near = nearest(provider, known.iter().copied());
    let near = near
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_default();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!("the provider `{provider}` is not known{near}");
    Err(CommandError::usage("unknown_provider", message).with_hint(format!("known are {known}")))
}

/// The columns. Prices are dollars for a million tokens.
const COLUMNS: [Column; 8] = [
    Column::new("MODEL", 0).cut(),
    Column::new("WINDOW", 3).right(),
    Column::new("ANSWER", 4).right(),
    Column::new("$ IN", 1).right(),
    Column::new("$ CACHED", 5).right(),
    Column::new("$ OUT", 2).right(),
    Column::new("THINKING", 6),
    Column::new("ABILITIES", 7),
];

fn row(model: &KnownModel) -> [Cell; 8] {
    let facts = &model.facts;
    let rates = facts.price.map(|price| price.rates);
    let price = |rate: Option<f64>| rate.map(dollars).unwrap_or_default();
    let thinking = facts
        .capabilities
        .thinking
        .map(|thinking| thinking.as_str().to_owned());
    let mut notes: Vec<String> = abilities(&facts.capabilities, true)
        .into_iter()
        .filter(|ability| SHOWN.contains(ability))
        .map(str::to_owned)
        .collect();
    if !model.aliases.is_empty() {
        notes.push(format!("alias {}", model.aliases.join(", ")));
    }
    if let Some(day) = facts.retires {
        notes.push(format!("retires {day}"));
    }
    [
        printable(&model.name),
        facts.window.map(rounded).unwrap_or_default(),
        facts
            .max_output
            .map(|tokens| rounded(tokens.into()))
            .unwrap_or_default(),
        price(rates.map(|rates| rates.input)),
        price(rates.and_then(|rates| rates.cached_input)),
        price(rates.map(|rates| rates.output)),
        thinking.unwrap_or_default(),
        printable(&notes.join(", ")),
    ]
    .map(|cell| (cell, Style::new()))
}

/// The abilities by which a model is chosen; `models show` has them all.
const SHOWN: &[&str] = &["tools", "structured_output", "vision", "pdf", "audio_input"];
