use dad_core::{HierarchyPath, PathSelector, RunStatus, format_duration};
use dad_run::{Catalog, Dirs, RunEntry, RunView, find_project_root};
use serde_json::json;

use crate::args::Place;
use crate::error::CommandError;
use crate::{exit_code, json, show};

fn catalog(place: &Place) -> Result<Catalog, CommandError> {
    let project_root = match &place.project_root {
        Some(root) => root.clone(),
        // Runs of a flow without a project lie beside it.
        None => find_project_root().unwrap_or_else(|_| ".".into()),
    };
    let dirs = Dirs::new(
        &project_root,
        place.run_root.as_deref(),
        place.run_root_subpath.as_deref(),
    )?;
    Ok(dirs.catalog())
}

/// `dhenara runs list`.
pub(crate) fn list(place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let runs = catalog(place)?.list()?;
    if as_json {
        json::print(json!({ "runs": runs.iter().map(entry_json).collect::<Vec<_>>() }));
        return Ok(exit_code::DONE);
    }
    if runs.is_empty() {
        anstream::eprintln!("there are no runs yet; `dhenara run agent NAME` makes one");
    }
    for run in &runs {
        json::print_text(&entry_line(run));
    }
    Ok(exit_code::DONE)
}

fn entry_json(run: &RunEntry) -> serde_json::Value {
    json!({
        "run_id": run.run_id,
        "run_dir": run.dir,
        "root_id": run.root_id,
        "status": run.status,
        "created_at": run.created_at,
        "last_record_at": run.last_record_at,
        "parent": run.parent,
        "counts": run.totals.map(|totals| totals.counts),
        "usage": run.totals.map(|totals| totals.usage),
    })
}

fn entry_line(run: &RunEntry) -> String {
    let style = dad_terminal::run_style(run.status);
    let mut line = format!("{style}{:<11}{style:#} {}", run.status.as_str(), run.run_id);
    if let Some(root) = &run.root_id {
        line += &format!("  {root}");
    }
    if let Some(created) = run.created_at {
        line += &format!("  {}", created.strftime("%Y-%m-%d %H:%M:%S UTC"));
    }
    if let (Some(begin), Some(end)) = (run.created_at, run.last_record_at)
        && run.status != RunStatus::Running
        && let Ok(took) = (end - begin).try_into()
    {
        line += &format!("  {}", format_duration(took));
    }
    if let Some(totals) = &run.totals {
        line += &format!("  {} steps", totals.counts.total());
        if let Some(cost) = totals.usage.cost {
            line += &format!("  ${cost:.4}");
        }
    }
    if let Some(parent) = &run.parent {
        line += &format!("  from {parent}");
    }
    line
}

/// `dhenara runs show RUN [PATH]`.
pub(crate) fn show(run: &str, path: Option<&str>, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let entry = catalog(place)?.find(run, None)?;
    let view = RunView::open(&entry.dir)?;
    let Some(path) = path else {
        show::run(&view, as_json);
        return Ok(exit_code::DONE);
    };
    let selector: PathSelector = path.parse().map_err(dad_run::RunError::from)?;
    let paths: Vec<&HierarchyPath> = view.entries.keys().collect();
    let path = selector
        .select(paths.iter().copied())
        .map_err(|error| unknown_step(&error, &view))?;
    show::step(&view, path, as_json)?;
    Ok(exit_code::DONE)
}

fn unknown_step(error: &dad_core::SelectError, view: &RunView) -> CommandError {
    let code = match error {
        dad_core::SelectError::Ambiguous { .. } => "ambiguous_path",
        _ => "unknown_path",
    };
    CommandError::usage(code, error.to_string())
        .with_hint(format!("`dhenara runs show {}` lists all steps", view.run_id))
}
