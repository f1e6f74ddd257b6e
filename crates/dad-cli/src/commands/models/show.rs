//! `dhenara models show`.

use std::path::PathBuf;

use clap::Args;
use dad_core::Timestamp;
use dad_models::{KnownModel, ModelCatalog, Thinking};
use dad_terminal::{DIM, print_line, printable};
use serde_json::json;

use super::words::{abilities, grouped, price_lines};
use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::summary::aligned;
use crate::output::{json, out};

/// Show what is known about a model: its limits, price and abilities.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its name: `provider/model`, or a name or alias of `.dhenara/models.yaml`.
    name: String,
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ShowArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let catalog = app.project_or_here(&self.common().place)?.model_catalog()?;
        let model = known(&catalog, &self.name)?;
        if self.json {
            json::print(json!({ "model": super::document(&model) }))?;
        } else {
            if let Some(warning) = catalog.warning(&self.name, Timestamp::now()) {
                print_line(&printable(&format!("warning: {warning}")));
            }
            out::lines(&shown(&model))?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: Place {
                project_root: self.project_root.clone(),
                ..Place::default()
            },
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// A model about which more is known than the name of its provider.
fn known(catalog: &ModelCatalog, name: &str) -> Result<KnownModel, CommandError> {
    let model = catalog.describe(name).map_err(|error| {
        let shown = CommandError::usage(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => shown.with_hint(hint),
            None => shown,
        }
    })?;
    if catalog.knows(name) {
        return Ok(model);
    }
    let near = catalog.nearest_known(name);
    let near = near
        .map(|near| format!(", did you mean `{near}`?"))
        .unwrap_or_default();
    let message = format!("nothing is known about `{name}`{near}");
    Err(CommandError::usage("unknown_model", message).with_hint(format!(
        "`{}` shows the known ones; one that is not known can be asked all the same",
        program::command("models list")
    )))
}

fn shown(model: &KnownModel) -> String {
    let facts = &model.facts;
    let mut rows = vec![
        ("model", model.name.clone()),
        (
            "asked",
            format!(
                "as `{}` at {} ({})",
                model.model,
                model.provider.base_url,
                model.provider.protocol.as_str()
            ),
        ),
    ];
    let mut row = |name: &'static str, text: Option<String>| rows.extend(text.map(|text| (name, text)));
    let list = |words: Vec<&str>| Some(words.join(", ")).filter(|text| !text.is_empty());
    row(
        "aliases",
        list(model.aliases.iter().map(String::as_str).collect()),
    );
    row(
        "window",
        facts.window.map(|tokens| format!("{} tokens", grouped(tokens))),
    );
    let longest = facts
        .max_output
        .map(|tokens| format!("at most {} tokens", grouped(tokens.into())));
    row("answer", longest);
    let price = facts.price.map(|price| price_lines(&price).join("\n"));
    row(
        "price",
        Some(price.map_or_else(
            || "not known".to_owned(),
            |price| format!("a million tokens cost\n{price}"),
        )),
    );
    let efforts = facts
        .capabilities
        .efforts
        .iter()
        .flatten()
        .map(|effort| effort.as_str());
    let efforts = list(efforts.collect()).map(|efforts| format!(": {efforts}"));
    let thinking = facts.capabilities.thinking.map(Thinking::as_str);
    row(
        "thinking",
        thinking.map(|way| format!("{way}{}", efforts.unwrap_or_default())),
    );
    row("can", list(abilities(&facts.capabilities, true)));
    row("cannot", list(abilities(&facts.capabilities, false)));
    row("retires", facts.retires.map(|day| day.to_string()));
    row("successor", facts.successor.clone());
    let lines = rows
        .iter()
        .map(|(name, text)| format!("{DIM}{name:<9}{DIM:#} {}\n", aligned(&printable(text), 10)));
    lines.collect()
}
