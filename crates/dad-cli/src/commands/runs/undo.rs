//! `dhenara runs undo`.

use std::path::Path;

use clap::Args;
use dad_nodes::{Undo, UndoAction, UndoError, UndoStep};
use dad_run::RunEntry;
use dad_terminal::{print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::runs::select::{not_found, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::summary::command_in;
use crate::output::{json, out};
use crate::session::origin::check_origin;

/// Take back what the file operations of a run changed: all of them, or those of one step. What was changed since is
/// named and left as it is.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The step, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    options: UndoOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct UndoOptions {
    #[command(flatten)]
    place: Place,
    /// Say what would be taken back, without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Obey the records of a run of another user.
    #[arg(long)]
    trust: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for UndoArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        undo(app, &self.run, self.path.as_deref(), &self.options)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            ..CommonOptions::default()
        }
    }
}

fn undo(app: &App, run: &str, path: Option<&str>, options: &UndoOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_whole(run)?;
    let view = project.view(&entry)?;
    if !options.trust {
        check_origin(app, &project, &view)?;
    }
    let step = path
        .map(|path| {
            view.select_step(&selector(path)?)
                .map_err(|error| not_found(&error, &entry))
        })
        .transpose()?;
    let undo = Undo::find(&view, step.as_ref(), project.root()).map_err(refused)?;
    if !options.dry_run {
        undo.apply().map_err(refused)?;
    }
    if options.json {
        json::print(document(&entry, &undo, options.dry_run))?;
        return Ok(exit_code::DONE);
    }
    show(&undo, project.root(), options.dry_run)?;
    if undo.steps().is_empty() {
        print_line("no file operation of it changed anything");
    } else if options.dry_run {
        let command = command_in(&["runs", "undo", entry.run_id.as_str()], &options.place);
        print_line(&format!("nothing was changed; `{command}` takes this back"));
    }
    for step in undo.steps().iter().filter(|step| !step.commits.is_empty()) {
        let commits = step.commits.join(" ");
        print_line(&printable(&format!(
            "the commits of {} stay; `git revert {commits}` takes them back",
            step.path
        )));
    }
    Ok(exit_code::DONE)
}

fn refused(error: UndoError) -> CommandError {
    let error = match error {
        UndoError::Run(error) => return error.into(),
        error => error,
    };
    let (code, exit_code, hint) = match &error {
        UndoError::Driven(_) => ("run_driven", exit_code::REFUSED, None),
        UndoError::Changed { .. } => (
            "changed_since",
            exit_code::REFUSED,
            Some(
                "`file_changes/` of the step holds what stood there before, in files named by their digests",
            ),
        ),
        UndoError::Withheld { .. } => ("withheld", exit_code::REFUSED, None),
        _ => ("undo", exit_code::FAILED, None),
    };
    let mut refused = CommandError::usage(code, error.to_string());
    refused.exit_code = exit_code;
    match hint {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    }
}

const fn word(action: UndoAction) -> &'static str {
    match action {
        UndoAction::Restore => "restore",
        UndoAction::Remove => "remove",
        UndoAction::Keep => "keep",
        _ => "nothing",
    }
}

fn show(undo: &Undo, project: &Path, dry_run: bool) -> Result<(), CommandError> {
    for step in undo.steps() {
        out::lines(&printable(step.path.as_str()))?;
        for change in &step.changes {
            let path = change.path.strip_prefix(project).unwrap_or(&change.path);
            let (word, note) = match (change.action, dry_run) {
                (UndoAction::Keep, _) => ("kept", " (it holds other entries)"),
                (UndoAction::Restore, true) => ("restore", ""),
                (UndoAction::Restore, false) => ("restored", ""),
                (UndoAction::Remove, true) => ("remove", ""),
                (UndoAction::Remove, false) => ("removed", ""),
                _ => ("same", " (it is as it was before the step)"),
            };
            out::lines(&printable(&format!("  {word:<8} {}{note}", path.display())))?;
        }
    }
    Ok(())
}

fn document(entry: &RunEntry, undo: &Undo, dry_run: bool) -> Value {
    let step = |step: &UndoStep| {
        let changes = step.changes.iter();
        let changes = changes.map(|change| json!({ "path": change.path, "action": word(change.action) }));
        json!({
            "path": step.path,
            "changes": changes.collect::<Vec<_>>(),
            "commits": step.commits,
        })
    };
    json!({
        "run_id": entry.run_id,
        "dry_run": dry_run,
        "steps": undo.steps().iter().map(step).collect::<Vec<_>>(),
    })
}
