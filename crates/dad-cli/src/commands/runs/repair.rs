//! `dhenara runs repair`.

use std::path::Path;

use clap::Args;
use dad_core::{HierarchyPath, PathSelector};
use dad_run::{Repair, RepairDecision, SetupError, UncertainStep};
use dad_terminal::{internal::count, print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::runs::select::selector;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::hint::Hint;
use crate::output::summary::command_in;
use crate::output::{json, out};

/// Make a run with a damaged journal one that can be resumed: its whole beginning stays, and steps with an effect of
/// which it is not known how far they got are decided about.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Its id, or a unique beginning of it.
    run: String,
    #[command(flatten)]
    options: RepairOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct RepairOptions {
    #[command(flatten)]
    place: Place,
    /// Say what is damaged and which steps are uncertain, without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Execute an uncertain step again when the run is resumed.
    #[arg(long, value_name = "PATH")]
    redo: Vec<String>,
    /// Take the result of an uncertain step as a whole line behind the damage has it.
    #[arg(long, value_name = "PATH")]
    accept: Vec<String>,
    /// Count an uncertain step as skipped.
    #[arg(long, value_name = "PATH")]
    skip: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for RepairArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        repair(app, &self.run, &self.options)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            ..CommonOptions::default()
        }
    }
}

fn repair(app: &App, run: &str, options: &RepairOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    if run == "last" || run.starts_with("last~") {
        let message =
            format!("`{run}` names no run here: a damaged journal may not say when its run was made");
        let hint = Hint::from("name the run by its id; ")
            .command(["runs", "list"])
            .text(" shows the ids");
        return Err(CommandError::usage("unknown_run", message).with_hint(hint));
    }
    let run_dir = project.own_runs()?.find_dir(run)?;
    let name = run_dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let found = Repair::find(&run_dir)?.ok_or(SetupError::NothingToRepair(name.clone()))?;
    let decided = decisions(&found, options)?;
    if !options.dry_run {
        Repair::apply(&run_dir, project.user().origin_key_to_drive()?, &decided)?;
    }
    if options.json {
        json::print(document(&name, &found, &decided, options.dry_run))?;
    } else {
        tell(&run_dir, &found, &decided, options)?;
        print_line(&if options.dry_run {
            let command = command_in(&["runs", "repair", &name], &options.place);
            format!("nothing was changed; `{command}`, with a decision about each undecided step, repairs it")
        } else {
            let command = command_in(&["resume", &name], &options.place);
            format!("the journal is whole again; `{command}` resumes the run")
        });
    }
    Ok(exit_code::DONE)
}

/// The decisions of the options about the uncertain steps.
fn decisions(
    found: &Repair,
    options: &RepairOptions,
) -> Result<Vec<(HierarchyPath, RepairDecision)>, CommandError> {
    let given = [
        (&options.redo, RepairDecision::Redo),
        (&options.accept, RepairDecision::Accept),
        (&options.skip, RepairDecision::Skip),
    ];
    let mut decided: Vec<(HierarchyPath, RepairDecision)> = Vec::new();
    for (paths, decision) in given {
        for text in paths {
            let path = step(found, &selector(text)?)?;
            if decided.iter().any(|(other, _)| *other == path) {
                let message = format!("two decisions are given about `{path}`");
                return Err(CommandError::usage("decided_twice", message));
            }
            decided.push((path, decision));
        }
    }
    Ok(decided)
}

fn step(found: &Repair, selector: &PathSelector) -> Result<HierarchyPath, CommandError> {
    let paths = found.uncertain.iter().map(|step| &step.path);
    let selected = selector.select(paths);
    selected.cloned().map_err(|error| {
        CommandError::usage("unknown_path", error.to_string())
            .with_hint("`--dry-run` lists the steps that are to be decided about")
    })
}

/// The decision about a step, as the document names it.
fn outcome(step: &UncertainStep, decided: &[(HierarchyPath, RepairDecision)]) -> &'static str {
    let decision = decided.iter().find(|(path, _)| *path == step.path);
    match decision.map(|(_, decision)| *decision) {
        Some(RepairDecision::Accept) => "accept",
        Some(RepairDecision::Skip) => "skip",
        Some(RepairDecision::Redo) => "redo",
        None if step.has_effect => "undecided",
        None => "redo",
    }
}

fn document(name: &str, found: &Repair, decided: &[(HierarchyPath, RepairDecision)], dry_run: bool) -> Value {
    let steps = found.uncertain.iter().map(|step| {
        json!({
            "path": step.path,
            "effect": step.has_effect,
            "acceptable": step.committed.is_some(),
            "decision": outcome(step, decided),
        })
    });
    json!({
        "run_id": name,
        "dry_run": dry_run,
        "line": found.line,
        "reason": found.reason,
        "kept_records": found.kept,
        "kept_bytes": found.cut_at,
        "readable_behind": found.readable_behind,
        "uncertain": steps.collect::<Vec<_>>(),
    })
}

fn tell(
    run_dir: &Path,
    found: &Repair,
    decided: &[(HierarchyPath, RepairDecision)],
    options: &RepairOptions,
) -> Result<(), CommandError> {
    let name = run_dir.file_name().unwrap_or_default().to_string_lossy();
    let behind = count(found.readable_behind, "line");
    let lines = [
        format!(
            "{name}: line {} of the journal is damaged: {}",
            found.line, found.reason
        ),
        format!(
            "{} before it are whole and stay; {behind} behind it can be read",
            count(found.kept, "record")
        ),
    ];
    for line in lines {
        out::lines(&printable(&line))?;
    }
    for step in &found.uncertain {
        let kind = match (step.has_effect, &step.committed) {
            (true, Some(_)) => "may have had its effect; a whole line has its result",
            (true, None) => "may have had its effect",
            (false, Some(_)) => "has no effect; a whole line has its result",
            (false, None) => "has no effect",
        };
        let becomes = match outcome(step, decided) {
            "accept" => "its result is accepted",
            "skip" => "it is skipped",
            "redo" => "it executes again",
            _ => "decide: --redo, --accept or --skip",
        };
        out::lines(&printable(&format!("  {}  {kind}: {becomes}", step.path)))?;
    }
    if options.dry_run {
        return Ok(());
    }
    out::lines("the damaged journal is kept in .run/torn/")
}
