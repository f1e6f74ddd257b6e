//! `dhenara cancel`.

use clap::Args;
use dad_core::{HierarchyPath, RunStatus, SelectError};
use dad_run::{RunEntry, RunView, ViewEntry, request_cancel};

use crate::app::App;
use crate::commands::runs::select::{not_found, selector, unreached};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::hint::Hint;
use crate::output::out;

/// Stop a run that another process drives, or one step or component of it; committed steps stand.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// A step or component, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Execute for CancelArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        cancel(app, &self.run, self.path.as_deref(), &self.place)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

fn cancel(app: &App, run: &str, path: Option<&str>, place: &Place) -> Result<u8, CommandError> {
    let catalog = app.project_or_here(place)?.own_runs()?;
    let entry = catalog.find(run, None)?;
    let view = RunView::open(&entry.dir)?;
    if view.status != RunStatus::Running {
        return Err(not_driven(&entry, view.status));
    }
    let path = path.map(|path| open_at(path, &view, &entry)).transpose()?;
    request_cancel(view.dir(), path.as_ref(), "dhenara cancel")?;
    // A run reads its messages before it suspends: one that still runs now takes this one.
    let status = catalog.find(entry.run_id.as_str(), None)?.status;
    if ![RunStatus::Running, RunStatus::Cancelled].contains(&status) {
        return Err(not_driven(&entry, status));
    }
    let what = path.map_or_else(
        || entry.run_id.to_string(),
        |path| format!("{path} of {}", entry.run_id),
    );
    out::lines(&format!(
        "{what} is to stop; `dhenara runs show {}` tells how it ended",
        entry.run_id
    ))?;
    Ok(exit_code::DONE)
}

/// The error for a run that no process drives.
fn not_driven(run: &RunEntry, status: RunStatus) -> CommandError {
    let id = &run.run_id;
    match status {
        RunStatus::Waiting => {
            let hint = Hint::default()
                .text("answer with ")
                .command(["answer", id.as_str()])
                .text(", deny with ")
                .command(["answer", id.as_str(), "--deny", "REASON"])
                .text(", or remove the run with ")
                .command(["runs", "rm", id.as_str(), "--force"]);
            refused(format!(
                "`{id}` waits for an answer: no process drives it until then"
            ))
            .with_hint(hint)
        }
        status => refused(format!("`{id}` is {status}: no process drives it")).with_hint(
            Hint::default()
                .text("only what executes can be stopped; ")
                .command(["runs", "list"])
                .text(" shows what does"),
        ),
    }
}

fn refused(message: String) -> CommandError {
    let mut error = CommandError::usage("not_running", message);
    error.exit_code = exit_code::REFUSED;
    error
}

/// The step or component that the path means, unless it has ended.
fn open_at(path: &str, view: &RunView, run: &RunEntry) -> Result<HierarchyPath, CommandError> {
    let selector = selector(path)?;
    let is_open = |entry: &ViewEntry| !entry.status().is_terminal();
    let open = view.entries().filter(|(_, entry)| is_open(entry));
    let error = match selector.select(open.map(|(path, _)| path)) {
        Err(error @ SelectError::Unknown { .. }) => error,
        found => return found.cloned().map_err(|error| not_found(&error, run)),
    };
    let ended = selector.select(view.entries().map(|(path, _)| path)).ok();
    let ended = ended.and_then(|path| Some((path, view.entry(path)?.status())));
    Err(match (ended, unreached(&selector, view)) {
        (Some((path, status)), _) => refused(format!("`{path}` has ended already: it is {status}")),
        (None, Some(path)) => refused(format!("`{path}` is not reached yet")),
        (None, None) => not_found(&error, run),
    })
}
