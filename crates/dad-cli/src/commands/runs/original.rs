//! `dhenara runs show` for a run of the original system.

use dad_core::{HierarchyPath, StepStatus};
use dad_run::{OriginalElement, OriginalRun};
use dad_terminal::{
    BOLD, DIM,
    internal::{mark, run_style},
};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::output::readable::readable;
use crate::output::summary::{made_at, place_of};
use crate::output::{json, out};

/// Shows a run and its tree.
pub(crate) fn run(run: &OriginalRun, as_json: bool) -> Result<(), CommandError> {
    let entry = &run.entry;
    if as_json {
        json::print(json!({
            "original": true,
            "run_id": entry.run_id,
            "run_dir": entry.dir,
            "status": entry.status,
            "parent": entry.parent,
            "created_at": entry.created_at,
            "last_record_at": entry.last_record_at,
            "steps": run.elements.iter().map(element_json).collect::<Vec<_>>(),
        }))?;
        return Ok(());
    }
    let style = run_style(entry.status);
    out::lines(&format!(
        "{BOLD}{}{BOLD:#}  {style}{}{style:#}  {DIM}by the original system{DIM:#}",
        entry.run_id, entry.status
    ))?;
    if let Some(parent) = &entry.parent {
        out::lines(&format!("  {DIM}from{DIM:#}      {parent}"))?;
    }
    if let Some(created_at) = entry.created_at {
        let made = made_at(created_at).replace("UTC", "local time");
        out::lines(&format!("  {DIM}made{DIM:#}      {made}"))?;
    }
    out::lines(&format!("  {DIM}artifacts{DIM:#} {}", place_of(&entry.dir)))?;
    for element in &run.elements {
        out::lines(&element_line(element))?;
    }
    Ok(())
}

fn element_json(element: &OriginalElement) -> Value {
    let kind = if element.status.is_some() {
        "step"
    } else {
        "component"
    };
    json!({ "path": element.path, "kind": kind, "status": element.status })
}

fn element_line(element: &OriginalElement) -> String {
    let indent = "  ".repeat(element.path.segments().count());
    let name = element.path.leaf();
    match element.status {
        None => format!("{indent}{BOLD}{name}{BOLD:#}"),
        Some(status) => {
            let (sign, style) = mark(status, false);
            let word = if status == StepStatus::Completed {
                ""
            } else {
                status.as_str()
            };
            let line = format!("{indent}{style}{sign}{style:#} {name:<28}  {DIM}{word}{DIM:#}");
            line.trim_end().to_owned()
        }
    }
}

/// Shows one step with its result.
pub(crate) fn step(run: &OriginalRun, path: &HierarchyPath, as_json: bool) -> Result<(), CommandError> {
    let element = run.elements.iter().find(|element| element.path == *path);
    let status = element.and_then(|element| element.status);
    let result = match status {
        Some(_) => run.result(path)?,
        None => Value::Null,
    };
    if as_json {
        json::print(json!({ "original": true, "path": path, "status": status, "result": result }))?;
        return Ok(());
    }
    let word = status.map(StepStatus::as_str).unwrap_or_default();
    out::lines(format!("{BOLD}{path}{BOLD:#}  {word}").trim_end())?;
    for part in ["input", "outcome", "error"] {
        if let Some(value) = result.get(part) {
            out::lines(&format!("{BOLD}{part}{BOLD:#}"))?;
            out::lines(&readable(value, 2))?;
        }
    }
    let dir = run.entry.dir.join(path.to_relative_dir());
    out::lines(&format!("{BOLD}files{BOLD:#} {}", place_of(&dir)))?;
    Ok(())
}
