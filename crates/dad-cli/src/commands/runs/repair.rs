use std::path::Path;

use dad_core::{HierarchyPath, PathSelector};
use dad_run::{Repair, RepairDecision, RunError, UncertainStep};
use dad_terminal::{count, print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::RepairOptions;
use crate::error::CommandError;
use crate::runs::selector;
use crate::summary::command_in;
use crate::{exit_code, json, out};

/// `dhenara runs repair RUN`.
pub(crate) fn repair(app: &App, run: &str, options: &RepairOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let run_dir = project.own_runs()?.find_dir(run)?;
    let name = run_dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let found = Repair::find(&run_dir)?.ok_or(RunError::NothingToRepair(name.clone()))?;
    let decided = decisions(&found, options)?;
    if !options.dry_run {
        Repair::apply(&run_dir, project.user().origin_key_to_drive()?, &decided)?;
    }
    if options.json {
        json::print(document(&name, &found, &decided, options.dry_run))?;
    } else {
        tell(&run_dir, &found, &decided, options)?;
        let command = match options.dry_run {
            true => command_in(&["runs", "repair", &name], &options.place),
            false => command_in(&["resume", &name], &options.place),
        };
        print_line(&match options.dry_run {
            true => format!(
                "nothing was changed; `{command}`, with a decision about each undecided step, repairs it"
            ),
            false => format!("the journal is whole again; `{command}` continues the run"),
        });
    }
    Ok(exit_code::DONE)
}

/// What the options say about the uncertain steps.
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

/// What becomes of a step.
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
