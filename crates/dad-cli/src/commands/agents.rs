//! `dhenara agents`.

use std::path::PathBuf;

use clap::Args;
use dad_project::{DefinitionEntry, Project, VariableEntry};
use dad_terminal::{BOLD, DIM, internal::count, print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::summary::{command_in, place_of};
use crate::output::{json, out};

/// The most characters of a value that are shown.
const MAX_SHOWN: usize = 40;

/// List the agents and flows of the project, with the variables that they take.
#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for AgentsArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let place = self.common().place;
        let project = app.project(&place)?;
        list(&project, &place, self.json)
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

fn list(project: &Project, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let definitions = project.definitions();
    if as_json {
        let definitions = definitions.iter().map(document);
        json::print(json!({ "definitions": definitions.collect::<Vec<_>>() }))?;
        return Ok(exit_code::DONE);
    }
    if definitions.is_empty() {
        print_line(&format!(
            "there are no agents and flows in `{}`; `{}` makes one",
            place_of(project.root()),
            command_in(&["new", "agent", "NAME"], place)
        ));
        return Ok(exit_code::DONE);
    }
    let shown: Vec<String> = definitions.iter().map(paragraph).collect();
    out::lines(&shown.join("\n"))?;
    Ok(exit_code::DONE)
}

fn document(entry: &DefinitionEntry) -> Value {
    let variables = entry.variables.iter().map(|variable| {
        json!({
            "name": variable.name,
            "required": variable.default.is_none(),
            "type": type_of(variable),
            "default": variable.default,
        })
    });
    json!({
        "kind": entry.kind,
        "name": entry.name,
        "file": entry.file,
        "description": entry.description,
        "variables": variables.collect::<Vec<_>>(),
        "problems": entry.problems.as_ref().map_or_else(|| json!([]), json::problems),
    })
}

/// A definition: its name, its description, and a line for each variable.
fn paragraph(entry: &DefinitionEntry) -> String {
    let place = entry
        .file
        .as_deref()
        .map_or_else(|| "built in".to_owned(), place_of);
    let mut text = format!(
        "{BOLD}{}{BOLD:#}  {}  {DIM}{place}{DIM:#}\n",
        entry.name,
        entry.kind.as_str()
    );
    if let Some(description) = &entry.description {
        text += &format!("  {}\n", printable(description.trim_end()).replace('\n', "\n  "));
    }
    let width = |text: fn(&VariableEntry) -> usize| entry.variables.iter().map(text).max().unwrap_or(0);
    let names = width(|variable| variable.name.chars().count());
    let types = width(|variable| type_of(variable).len());
    for variable in &entry.variables {
        let value = variable
            .default
            .as_ref()
            .map_or_else(|| "required".to_owned(), shown);
        let line = format!(
            "  {:<names$}  {DIM}{:<types$}{DIM:#}  {value}",
            variable.name,
            type_of(variable)
        );
        text += &format!("{}\n", line.trim_end());
    }
    if let Some(problems) = &entry.problems {
        let problems = count(problems.as_slice().len() as u64, "problem");
        text += &format!(
            "  {problems}: `{} {}`\n",
            program::command("validate"),
            entry.name
        );
    }
    text
}

/// The type of a variable's value; a text may be a template, whose value is of any type.
fn type_of(variable: &VariableEntry) -> &'static str {
    match &variable.default {
        Some(Value::String(text)) if text.contains('$') => "template",
        Some(Value::String(_)) => "text",
        Some(Value::Number(_)) => "number",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Array(_)) => "list",
        Some(Value::Object(_)) => "object",
        Some(Value::Null) | None => "any",
    }
}

/// A value on one line, cut if it is long.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(MAX_SHOWN).collect();
    let is_whole = cut.len() == text.trim_end().len();
    printable(&if is_whole { cut } else { format!("{cut}…") })
}
