use std::collections::HashMap;
use std::time::Duration;

use dad_core::{HierarchyPath, Segment, StepStatus, format_duration};
use dad_run::{Decision, PlannedStep, RunView, StepCommitted, ViewEntry};
use dad_terminal::{BOLD, DIM, mark, path_indent, path_name, run_style};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::json;

/// A line of a plan.
pub(crate) fn planned_line(step: &PlannedStep) -> String {
    let (word, detail) = match &step.decision {
        Decision::Reuse { origin } => ("reuse", format!(", from {}", origin.run_id)),
        Decision::Execute => ("execute", String::new()),
        Decision::DependsOn { paths } if paths.is_empty() => ("depends", String::new()),
        Decision::DependsOn { paths } => {
            let names: Vec<&str> = paths.iter().map(HierarchyPath::as_str).collect();
            ("depends", format!("; depends on {}", names.join(", ")))
        }
    };
    format!("{word:<8} {}  {DIM}{}{detail}{DIM:#}", step.path, step.reason)
}

/// Shows a run and its tree.
pub(crate) fn run(view: &RunView, as_json: bool) {
    if as_json {
        json::print(run_json(view));
        return;
    }
    let style = run_style(view.status);
    json::print_text(&format!(
        "{BOLD}{}{BOLD:#}  {style}{}{style:#}",
        view.run_id, view.status
    ));
    if let Some(parent) = &view.parent {
        json::print_text(&format!("  {DIM}from{DIM:#}      {parent}"));
    }
    if let Some(error) = &view.error {
        json::print_text(&format!(
            "  {DIM}error{DIM:#}     {}",
            dad_terminal::printable(&error.message)
        ));
    }
    json::print_text(&format!("  {DIM}made{DIM:#}      {}", view.created_at));
    json::print_text(&format!("  {DIM}artifacts{DIM:#} {}", view.dir().display()));
    if view.torn {
        json::print_text("  the last line of the journal was cut off by a crash and is ignored");
    }
    for (path, entry) in in_tree_order(view) {
        json::print_text(&entry_line(path, entry));
    }
}

/// Components and steps as a tree: what ran at the same time stands together, iterations by their number.
fn in_tree_order(view: &RunView) -> Vec<(&HierarchyPath, &ViewEntry)> {
    let mut children: HashMap<Option<&HierarchyPath>, Vec<usize>> = HashMap::new();
    for (index, path) in view.entries.keys().enumerate() {
        let mut around = path.parent();
        while let Some(parent) = around.take_if(|parent| !view.entries.contains_key(parent)) {
            around = parent.parent();
        }
        let parent = around.and_then(|parent| view.entries.get_key_value(&parent));
        children
            .entry(parent.map(|(path, _)| path))
            .or_default()
            .push(index);
    }
    let iteration = |index: &usize| {
        let path = view.entries.get_index(*index).map(|(path, _)| path)?;
        let Segment::Iteration(iteration) = path.typed_segments().rev().nth(1)? else {
            return None;
        };
        Some(iteration)
    };
    let mut ordered = Vec::with_capacity(view.entries.len());
    let mut stack = vec![None];
    while let Some(at) = stack.pop() {
        let entry = at.and_then(|index| view.entries.get_index(index));
        ordered.extend(entry);
        if let Some(mut inside) = children.remove(&entry.map(|(path, _)| path)) {
            inside.sort_by_key(iteration);
            stack.extend(inside.into_iter().rev().map(Some));
        }
    }
    ordered
}

fn entry_line(path: &HierarchyPath, entry: &ViewEntry) -> String {
    let indent = format!("  {}", path_indent(path));
    let name = path_name(path);
    match entry {
        ViewEntry::Component { status, .. } => match status {
            StepStatus::Completed => format!("{indent}{BOLD}{name}{BOLD:#}"),
            status => format!("{indent}{BOLD}{name}{BOLD:#}  {DIM}{status}{DIM:#}"),
        },
        ViewEntry::Running { attempt, .. } => {
            let (sign, style) = mark(StepStatus::Running, false);
            format!("{indent}{style}{sign}{style:#} {name:<28}  {DIM}did not end, attempt {attempt}{DIM:#}")
        }
        ViewEntry::Step(step) => {
            let (sign, style) = mark(step.status, step.is_taken());
            format!(
                "{indent}{style}{sign}{style:#} {name:<28}  {DIM}{}{DIM:#}",
                details(step)
            )
        }
    }
}

fn details(step: &StepCommitted) -> String {
    let mut parts = vec![match (&step.reused_from, &step.edited_from) {
        (Some(origin), _) => format!("from {}", origin.run_id),
        (None, Some(origin)) => format!("from {}, with a changed outcome", origin.run_id),
        (None, None) => format_duration(Duration::from_millis(step.duration_ms)),
    }];
    if step.status != StepStatus::Completed {
        parts.push(step.status.to_string());
    }
    parts.extend(
        step.summary
            .as_ref()
            .map(|summary| dad_terminal::one_line(summary, 70)),
    );
    parts.extend(step.cost.map(|cost| format!("${cost:.4}")));
    parts.extend(
        step.error
            .as_ref()
            .map(|error| dad_terminal::one_line(&error.message, 120)),
    );
    parts.join("  ")
}

fn run_json(view: &RunView) -> Value {
    let steps = view.entries.iter().map(|(path, entry)| match entry {
        ViewEntry::Component { status, totals } => {
            json!({ "path": path, "kind": "component", "status": status, "totals": totals })
        }
        ViewEntry::Running { attempt, started_at } => {
            json!({ "path": path, "kind": "step", "status": "running", "attempt": attempt, "started_at": started_at })
        }
        ViewEntry::Step(step) => {
            let mut value = json!({ "path": path, "kind": "step" });
            let committed = serde_json::to_value(step).unwrap_or_default();
            if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), committed) {
                fields.extend(more);
            }
            value
        }
    });
    json!({
        "run_id": view.run_id,
        "run_dir": view.dir(),
        "root_id": view.root_id,
        "status": view.status,
        "error": view.error,
        "parent": view.parent,
        "created_at": view.created_at,
        "last_record_at": view.last_record_at,
        "totals": view.totals,
        "torn": view.torn,
        "steps": steps.collect::<Vec<_>>(),
    })
}

/// Shows one step: what it was given, what it did, what came out, and its files.
pub(crate) fn step(view: &RunView, path: &HierarchyPath, as_json: bool) -> Result<(), CommandError> {
    let Some(step) = view.step(path) else {
        let status = view
            .entries
            .get(path)
            .map_or(StepStatus::Pending, ViewEntry::status);
        if as_json {
            json::print(json!({ "path": path, "status": status }));
        } else {
            json::print_text(&format!("{BOLD}{path}{BOLD:#}  {status}"));
            json::print_text(&format!(
                "  {DIM}artifacts{DIM:#} {}",
                view.dir_of(path).display()
            ));
        }
        return Ok(());
    };
    let artifacts = view.artifacts(step)?;
    let result = if artifacts.is_empty() {
        Value::Null
    } else {
        view.result(path)?
    };
    if as_json {
        json::print(json!({ "path": path, "committed": step, "artifacts": artifacts, "result": result }));
        return Ok(());
    }
    let (sign, style) = mark(step.status, step.is_taken());
    json::print_text(&format!(
        "{style}{sign}{style:#} {BOLD}{path}{BOLD:#}  {}",
        details(step)
    ));
    for part in ["input", "settings", "outcome", "error"] {
        if let Some(value) = result.get(part) {
            json::print_text(&format!("{BOLD}{part}{BOLD:#}"));
            let text = serde_json::to_string_pretty(value).unwrap_or_default();
            json::print_text(&dad_terminal::printable(&text));
        }
    }
    json::print_text(&format!("{BOLD}files{BOLD:#} {}", view.dir_of(path).display()));
    for artifact in artifacts {
        json::print_text(&format!("  {:>10}  {}", artifact.len, artifact.name));
    }
    Ok(())
}
