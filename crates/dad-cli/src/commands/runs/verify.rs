//! `dhenara runs verify`.

use clap::Args;
use dad_run::{Origin, OriginalRun, RunView, Verification};
use dad_terminal::{internal::count, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{json, out};

/// Check that every file of a run is the one that was recorded.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for VerifyArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        verify(app, &self.run, &self.place, self.json)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

fn verify(app: &App, run: &str, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let project = app.project_or_here(place)?;
    let entry = project.runs()?.find(run, None)?;
    if let Some(original) = OriginalRun::open(entry.clone())? {
        return report(&original.view()?, &original.verify()?, as_json);
    }
    let view = project.view(&entry)?;
    let found = view.verify()?;
    report(&view, &found, as_json)
}

/// Prints the findings, and returns the exit code.
fn report(view: &RunView, found: &Verification, as_json: bool) -> Result<u8, CommandError> {
    let is_whole = found.damage.is_empty();
    if as_json {
        json::print(json!({
            "run_id": view.run_id,
            "origin": view.origin(),
            "whole": is_whole,
            "torn": view.torn,
            "found": found,
        }))?;
    } else {
        print(view, found)?;
    }
    Ok(if is_whole {
        exit_code::DONE
    } else {
        exit_code::DAMAGE
    })
}

/// A remark about the origin of a run that is not the user's own.
fn foreign(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Mine => None,
        Origin::Foreign => Some("it is not signed with your key, or was changed since"),
        Origin::Unchecked => Some("its origin was not checked, because there is no key here"),
        _ => Some("it is not signed"),
    }
}

fn print(view: &RunView, found: &Verification) -> Result<(), CommandError> {
    if view.torn {
        out::lines("the last line of the journal was cut off by a crash and is ignored")?;
    }
    if let Some(origin) = foreign(view.origin()).filter(|_| !view.is_original()) {
        out::lines(origin)?;
    }
    for damage in &found.damage {
        let file = damage.path.strip_prefix(view.dir()).unwrap_or(&damage.path);
        out::lines(&printable(&format!("{}: {}", file.display(), damage.reason)))?;
    }
    let (steps, files) = (count(found.steps, "step"), count(found.files, "file"));
    let verdict = match found.damage.len() as u64 {
        0 if view.is_original() => "all can be read; the original system recorded no digests".to_owned(),
        0 => "all as recorded".to_owned(),
        damaged if view.is_original() => format!("{damaged} of them cannot be read"),
        damaged => format!("{damaged} of them not as recorded"),
    };
    out::lines(&format!("{}: {steps}, {files}, {verdict}", view.run_id))
}
