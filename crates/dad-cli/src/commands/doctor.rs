//! `dhenara doctor`.

use clap::Args;
use dad_models::KeyPlace;
use dad_project::{Check, CheckStatus, Diagnosis, Project, ProviderCheck};
use dad_terminal::{BOLD, DIM, output_width, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::summary::aligned;
use crate::output::{json, out};
use crate::session::drive::runtime;

/// Check that runs can start here: project, configuration, room for runs, git, sandbox and keys.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    place: Place,
    /// An environment of `.dhenara/config.yaml`.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Ask the servers of the providers that have a key whether they answer; no key is sent, and nothing is paid.
    #[arg(long)]
    online: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for DoctorArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let diagnosis = self.diagnose(app)?;
        if self.json {
            json::print(document(&diagnosis))?;
        } else {
            out::lines(&screen(&diagnosis))?;
        }
        Ok(if diagnosis.is_usable() {
            exit_code::DONE
        } else {
            exit_code::FAILED
        })
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

impl DoctorArgs {
    fn diagnose(&self, app: &App) -> Result<Diagnosis, CommandError> {
        let version = format!("dhenara {}", env!("CARGO_PKG_VERSION"));
        let version = Check::new("version", CheckStatus::Passed, version);
        let (found, project) = match self.open(app) {
            Ok(opened) => opened,
            Err(error) => return Ok(Diagnosis::unopened([version, failed(&error)])),
        };
        let mut diagnosis = project.diagnose();
        for check in &mut diagnosis.checks {
            if let Some(command) = command_for(check) {
                check.hint = Some(command);
            }
        }
        diagnosis.checks.splice(0..0, [version, found]);
        if self.online {
            runtime()?.block_on(project.reach_providers(&mut diagnosis))?;
        }
        Ok(diagnosis)
    }

    /// The project, or the directory that serves as one for flows in files.
    fn open(&self, app: &App) -> Result<(Check, Project), CommandError> {
        let (found, project) = match app.project(&self.place) {
            Ok(project) => {
                let root = project.root().display().to_string();
                (Check::new("project", CheckStatus::Passed, root), project)
            }
            Err(error) if error.info.code == "project" && self.place.project_root.is_none() => {
                let message = "none around this directory: flows in files run all the same";
                let check = Check::new("project", CheckStatus::Warning, message);
                let check = check.with_hint(format!("`{}` makes a project here", program::command("init")));
                (check, app.project_or_here(&self.place)?)
            }
            Err(error) => return Err(error),
        };
        match &self.env {
            Some(env) => Ok((found, project.environment(env)?)),
            None => Ok((found, project)),
        }
    }
}

/// The commands and options that help after a check, where the library names none.
fn command_for(check: &Check) -> Option<String> {
    match (check.name, check.status) {
        ("agents", CheckStatus::Warning) => Some(format!("`{}` shows them", program::command("validate"))),
        ("runs", CheckStatus::Warning) => {
            Some(format!("`{}` removes old runs", program::command("runs prune")))
        }
        ("runs", CheckStatus::Failed) => {
            let hint = "choose another place: `run_root` in `.dhenara/config.yaml`, or `--run-root DIR`";
            Some(hint.to_owned())
        }
        _ => None,
    }
}

/// The columns before the message of a check.
const BEHIND_NAMES: usize = 12;

/// The check that a project cannot be opened, or its configuration not be read.
fn failed(error: &CommandError) -> Check {
    let message = match &error.problems {
        Some(problems) => {
            // They stand behind the names of the checks.
            let width = output_width().map(|width| width.saturating_sub(BEHIND_NAMES));
            problems.for_width(width).to_string().trim_end().to_owned()
        }
        None => error.info.message.clone(),
    };
    let check = Check::new("project", CheckStatus::Failed, message);
    match &error.info.hint {
        Some(hint) => check.with_hint(hint),
        None => check,
    }
}

fn document(diagnosis: &Diagnosis) -> Value {
    let checks = diagnosis.checks.iter().map(|check| {
        json!({
            "name": check.name,
            "status": check.status.as_str(),
            "message": check.message,
            "hint": check.hint,
        })
    });
    let providers = diagnosis.providers.iter().map(|provider| {
        let (variable, file) = match &provider.key {
            Some(KeyPlace::Variable(name)) => (Some(name), None),
            Some(KeyPlace::File(file)) => (None, Some(file)),
            _ => (None, None),
        };
        json!({
            "name": provider.name,
            "needs_key": provider.needs_key,
            "key_variable": variable,
            "key_file": file,
            "reachable": provider.reached.as_ref().map(Result::is_ok),
            "reason": provider.reached.as_ref().and_then(|reached| reached.as_ref().err()),
        })
    });
    json!({
        "usable": diagnosis.is_usable(),
        "checks": checks.collect::<Vec<_>>(),
        "providers": providers.collect::<Vec<_>>(),
    })
}

fn screen(diagnosis: &Diagnosis) -> String {
    let names = diagnosis.checks.iter().map(|check| check.name.len());
    let width = names.max().unwrap_or(0);
    let mut text = String::new();
    for check in &diagnosis.checks {
        let mark = match check.status {
            CheckStatus::Passed => "✓",
            CheckStatus::Warning => "!",
            CheckStatus::Failed => "✗",
        };
        let message = aligned(&printable(&check.message), width + 4);
        text += &format!("{mark} {:<width$}  {message}\n", check.name);
        if let Some(hint) = &check.hint {
            let hint = aligned(&printable(hint), width + 4);
            text += &format!("{:indent$}{DIM}{hint}{DIM:#}\n", "", indent = width + 4);
        }
    }
    if diagnosis.providers.is_empty() {
        return text;
    }
    text += &format!("\n{BOLD}keys{BOLD:#}\n");
    let names = diagnosis
        .providers
        .iter()
        .map(|provider| provider.name.chars().count());
    let width = names.max().unwrap_or(0);
    for provider in &diagnosis.providers {
        text += &format!("{}\n", provider_line(provider, width));
    }
    text
}

fn provider_line(provider: &ProviderCheck, width: usize) -> String {
    let (mark, place) = match &provider.key {
        Some(KeyPlace::Variable(name)) => ("✓", name.clone()),
        Some(KeyPlace::File(file)) => ("✓", file.display().to_string()),
        _ if !provider.needs_key => ("✓", "needs none".to_owned()),
        _ => ("·", format!("none: set {}", provider.variable)),
    };
    let reached = match &provider.reached {
        None => String::new(),
        Some(Ok(())) => ", reachable".to_owned(),
        Some(Err(reason)) => format!("\nnot reachable: {reason}"),
    };
    let found = aligned(&printable(&format!("{place}{reached}")), width + 4);
    format!("{mark} {:<width$}  {found}", printable(&provider.name))
}
