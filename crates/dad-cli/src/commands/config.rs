//! `dhenara config show`.

use clap::Args;
use dad_project::{Setting, SettingOrigin};
use dad_terminal::{DIM, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{json, out};

/// Show the settings that hold for a new run.
#[derive(Debug, Args)]
pub(crate) struct ShowConfigArgs {
    #[command(flatten)]
    place: Place,
    /// An environment of `.dhenara/config.yaml`.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Say where each value comes from: a flag, an environment variable, a file, or the default.
    #[arg(long)]
    origin: bool,
    /// Print one JSON document, with origins.
    #[arg(long)]
    json: bool,
}

impl Execute for ShowConfigArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let mut project = app.project_or_here(&self.place)?;
        if let Some(env) = &self.env {
            project = project.environment(env)?;
        }
        let settings = project.effective_settings()?;
        if self.json {
            let settings: Vec<Value> = settings.iter().map(document).collect();
            json::print(json!({ "project": project.root(), "settings": settings }))?;
        } else {
            out::lines(&table(&settings, self.origin))?;
        }
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

fn document(setting: &Setting) -> Value {
    let (kind, place) = match &setting.origin {
        SettingOrigin::Given => ("flag", flag(&setting.key).map(str::to_owned)),
        SettingOrigin::Variable(name) => ("variable", Some((*name).to_owned())),
        SettingOrigin::Project(file) => ("project", Some(file.display().to_string())),
        SettingOrigin::User(file) => ("user", Some(file.display().to_string())),
        _ => ("default", None),
    };
    json!({ "key": setting.key, "value": setting.value, "origin": kind, "from": place })
}

/// The option that gives a setting.
fn flag(key: &str) -> Option<&'static str> {
    match key {
        "environment" => Some("--env"),
        "run_root" => Some("--run-root"),
        _ => None,
    }
}

fn table(settings: &[Setting], with_origin: bool) -> String {
    let keys = settings.iter().map(|setting| setting.key.chars().count());
    let width = keys.max().unwrap_or(0);
    let mut text = String::new();
    for setting in settings {
        text += &format!("{:<width$}  {}\n", printable(&setting.key), shown(&setting.value));
        if with_origin {
            let origin = match (&setting.origin, flag(&setting.key)) {
                (SettingOrigin::Given, Some(flag)) => flag.to_owned(),
                (origin, _) => origin.to_string(),
            };
            text += &format!("{:<width$}  {DIM}from {}{DIM:#}\n", "", printable(&origin));
        }
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}
