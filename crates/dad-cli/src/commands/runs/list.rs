use std::collections::BTreeSet;
use std::time::Duration;

use dad_core::{
    HierarchyPath, PathSelector, RunStatus, SelectError, Timestamp, format_duration, format_size,
};
use dad_run::{Origin, OriginalRun, RunEntry, RunError, RunView, Unreadable, Verification, ViewEntry};
use dad_terminal::{count, print_line, printable};
use serde_json::json;

use crate::app::App;
use crate::args::Place;
use crate::error::CommandError;
use crate::summary::command_in;
use crate::{exit_code, json, original, out, show};

/// `dhenara runs list`.
pub(crate) fn list(app: &App, place: &Place, with_size: bool, as_json: bool) -> Result<u8, CommandError> {
    // What is proposed below is never a run of another user.
    let catalog = app.project_or_here(place)?.own_runs()?;
    let (runs, sizes, unreadable): (Vec<RunEntry>, Vec<Option<u64>>, Vec<Unreadable>) = if with_size {
        let found = catalog.inventory()?;
        let runs = found.runs.into_iter();
        let (runs, sizes) = runs.map(|run| (run.entry, Some(run.bytes))).unzip();
        (runs, sizes, found.unreadable)
    } else {
        let found = catalog.listing()?;
        let sizes = vec![None; found.runs.len()];
        (found.runs, sizes, found.unreadable)
    };
    if as_json {
        let runs = runs.iter().zip(&sizes);
        let runs = runs.map(|(run, bytes)| entry_json(run, *bytes));
        json::print(json!({
            "runs": runs.collect::<Vec<_>>(),
            "unreadable": json::unreadable(&unreadable),
        }))?;
        return Ok(exit_code::DONE);
    }
    if runs.is_empty() && unreadable.is_empty() {
        print_line("there are no runs yet; `dhenara run agent NAME` makes one");
    }
    let width = |text: fn(&RunEntry) -> String| runs.iter().map(|run| text(run).len()).max().unwrap_or(0);
    let widths = COLUMNS.map(width);
    let mut lines = String::new();
    for (run, bytes) in runs.iter().zip(sizes) {
        lines += &entry_line(run, bytes, widths);
        lines.push('\n');
    }
    if !lines.is_empty() {
        out::lines(&lines)?;
    }
    for run in &unreadable {
        print_line(&format!("left out: {}", printable(&run.reason)));
    }
    if let Some(run) = runs
        .iter()
        .rfind(|run| run.status == RunStatus::Waiting && catalog.may_mean(run))
    {
        let next = command_in(&["answer", run.run_id.as_str()], place);
        print_line(&format!("answer the newest waiting run with `{next}`"));
    }
    if let Some(run) = runs.iter().rfind(|run| can_resume(run) && catalog.may_mean(run)) {
        let next = command_in(&["resume", run.run_id.as_str()], place);
        print_line(&format!("resume the newest unfinished run with `{next}`"));
    }
    Ok(exit_code::DONE)
}

/// Whether a run can be resumed right now.
fn can_resume(run: &RunEntry) -> bool {
    let open = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::Interrupted];
    !run.is_original && open.contains(&run.status)
}

fn entry_json(run: &RunEntry, bytes: Option<u64>) -> serde_json::Value {
    let mut entry = json!({
        "run_id": run.run_id,
        "run_dir": run.dir,
        "root_id": run.root_id,
        "original": run.is_original,
        "status": run.status,
        "created_at": run.created_at,
        "last_record_at": run.last_record_at,
        "parent": run.parent,
        "counts": run.totals.map(|totals| totals.counts),
        "usage": run.totals.map(|totals| totals.usage),
        "open_questions": run.open_questions,
    });
    if let Some(bytes) = bytes {
        entry["bytes"] = bytes.into();
    }
    entry
}

/// The columns between the status and what a run was started from.
const COLUMNS: [fn(&RunEntry) -> String; 6] = [
    |run| run.run_id.to_string(),
    |run| run.root_id.as_ref().map(ToString::to_string).unwrap_or_default(),
    |run| {
        let made = run.created_at.map(made_at).unwrap_or_default();
        match run.is_original {
            true => made.replace("UTC", "local time"),
            false => made,
        }
    },
    |run| duration(run).map(format_duration).unwrap_or_default(),
    |run| {
        let totals = run.totals;
        let steps = totals.map(|totals| match totals.counts.failed {
            0 => count(totals.counts.total(), "step"),
            failed => format!("{}, {failed} failed", count(totals.counts.total(), "step")),
        });
        steps.unwrap_or_default()
    },
    |run| {
        let usage = run.totals.map(|totals| totals.usage).unwrap_or_default();
        let paid = usage.cost.and_then(dad_terminal::cost);
        let replayed = (usage.replayed > 0).then(|| "replayed".to_owned());
        paid.or(replayed).unwrap_or_default()
    },
];

/// A time as people read it.
pub(crate) fn made_at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn duration(run: &RunEntry) -> Option<Duration> {
    let (begin, end) = (run.created_at?, run.last_record_at?);
    let ended = run.status != RunStatus::Running;
    ended.then(|| (end - begin).try_into().ok()).flatten()
}

/// A line of the list; a column that no run has anything for is left out.
fn entry_line(run: &RunEntry, bytes: Option<u64>, widths: [usize; COLUMNS.len()]) -> String {
    let style = dad_terminal::run_style(run.status);
    let status = match run.open_questions {
        0 => run.status.to_string(),
        open => format!("{} ({open})", run.status),
    };
    let mut line = format!("{style}{status:<11}{style:#}");
    for (index, (column, width)) in COLUMNS
        .iter()
        .zip(widths)
        .enumerate()
        .filter(|(_, (_, width))| *width > 0)
    {
        let gap = if index == 0 { " " } else { "  " };
        line += &format!("{gap}{:<width$}", column(run));
    }
    if let Some(bytes) = bytes {
        line += &format!("  {:>8}", format_size(bytes));
    }
    if let Some(parent) = &run.parent {
        line += &format!("  from {parent}");
    }
    line.trim_end().to_owned()
}

/// `dhenara runs verify RUN`.
pub(crate) fn verify(app: &App, run: &str, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let project = app.project_or_here(place)?;
    let entry = project.runs()?.find(run, None)?;
    if let Some(original) = OriginalRun::open(entry.clone())? {
        return told(&original.view()?, &original.verify()?, as_json);
    }
    let view = project.view(&entry)?;
    let found = view.verify()?;
    told(&view, &found, as_json)
}

/// Tells what was found, and gives the exit code.
fn told(view: &RunView, found: &Verification, as_json: bool) -> Result<u8, CommandError> {
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
        tell(view, found)?;
    }
    Ok(match is_whole {
        true => exit_code::DONE,
        false => exit_code::DAMAGE,
    })
}

/// What a user should know of a run that is not their own.
fn foreign(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Mine => None,
        Origin::Foreign => Some("it is not signed with your key, or was changed since"),
        Origin::Unchecked => Some("its origin was not checked, because there is no key here"),
        _ => Some("it is not signed"),
    }
}

fn tell(view: &RunView, found: &Verification) -> Result<(), CommandError> {
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

/// `dhenara runs why RUN PATH`.
pub(crate) fn why(
    app: &App,
    run: &str,
    path: &str,
    place: &Place,
    as_json: bool,
) -> Result<u8, CommandError> {
    let project = app.project_or_here(place)?;
    let entry = project.runs()?.find(run, None)?;
    let view = project.view(&entry)?;
    let path = step_of(&selector(path)?, &view).map_err(|error| not_found(&error, &entry))?;
    crate::why::why(&view, &path, as_json)?;
    Ok(exit_code::DONE)
}

/// The step that a person means, be it one that the run did not come to.
pub(crate) fn step_of(selector: &PathSelector, view: &RunView) -> Result<HierarchyPath, SelectError> {
    let is_step = |entry: &ViewEntry| !matches!(entry, ViewEntry::Component { .. });
    let (steps, components): (Vec<_>, Vec<_>) = view.entries.iter().partition(|(_, entry)| is_step(entry));
    let paths = |entries: Vec<(_, _)>| entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let (steps, components) = (paths(steps), paths(components));
    match selector.select(steps.iter().copied()) {
        Err(error @ SelectError::Unknown { .. }) => match selector.select(components) {
            Ok(component) => Err(SelectError::not_a_step(selector, component, steps)),
            Err(_) => unreached(selector, view).ok_or(error),
        },
        found => found.cloned(),
    }
}

/// The step or component of the definition that a selector means.
pub(crate) fn unreached(selector: &PathSelector, view: &RunView) -> Option<HierarchyPath> {
    let definition = view.definition().ok()?;
    let selector = selector.without_iterations()?;
    let steps = definition.steps.keys();
    let around = |path: &HierarchyPath| std::iter::successors(Some(path.clone()), HierarchyPath::parent);
    let all: BTreeSet<HierarchyPath> = steps.flat_map(around).collect();
    selector.select(&all).ok().cloned()
}

/// `dhenara runs show RUN [PATH]`.
pub(crate) fn show(
    app: &App,
    run: &str,
    path: Option<&str>,
    place: &Place,
    shown: &show::Shown,
) -> Result<u8, CommandError> {
    let as_json = shown.json;
    let project = app.project_or_here(place)?;
    let entry = project.runs()?.find(run, None)?;
    if let Some(original) = OriginalRun::open(entry.clone())? {
        let paths = original.elements.iter().map(|element| &element.path);
        match path {
            None => original::run(&original, as_json)?,
            Some(path) => original::step(&original, select(path, paths, &entry)?, as_json)?,
        }
        return Ok(exit_code::DONE);
    }
    let view = project.view(&entry)?;
    match path {
        None => show::run(&view, place, shown)?,
        Some(path) => {
            let selector = selector(path)?;
            let found = selector.select(view.entries.keys());
            let found = found.map_err(|error| match unreached(&selector, &view) {
                Some(path) if matches!(error, SelectError::Unknown { .. }) => not_reached(&path, &entry),
                _ => not_found(&error, &entry),
            });
            show::step(&view, found?, as_json)?;
        }
    }
    Ok(exit_code::DONE)
}

/// That the run did not come to a step or component of its definition.
pub(crate) fn not_reached(path: &HierarchyPath, run: &RunEntry) -> CommandError {
    let message = format!("`{path}` was not reached in `{}`", run.run_id);
    CommandError::usage("not_reached", message).with_hint(lists_steps(run))
}

fn lists_steps(run: &RunEntry) -> String {
    format!("`dhenara runs show {}` lists all steps", run.run_id)
}

/// What a person calls a step or component.
pub(crate) fn selector(text: &str) -> Result<PathSelector, CommandError> {
    Ok(text.parse().map_err(RunError::from)?)
}

/// Why a selector means no one step or component of a run.
pub(crate) fn not_found(error: &SelectError, run: &RunEntry) -> CommandError {
    let code = match error {
        SelectError::Ambiguous { .. } => "ambiguous_path",
        _ => "unknown_path",
    };
    CommandError::usage(code, error.to_string()).with_hint(lists_steps(run))
}

/// The component or step that a person means.
fn select<'a>(
    path: &str,
    paths: impl Iterator<Item = &'a HierarchyPath>,
    run: &RunEntry,
) -> Result<&'a HierarchyPath, CommandError> {
    selector(path)?
        .select(paths)
        .map_err(|error| not_found(&error, run))
}
