//! `dhenara runs show`.

use std::time::Duration;

use clap::Args;
use dad_core::{ErrorInfo, HierarchyPath, RunStatus, StepStatus, format_duration, format_size};
use dad_run::{Labels, OriginalRun, RunDocument, RunView, StepCommitted, ViewEntry};
use dad_terminal::{
    BOLD, DIM,
    internal::{count, mark, path_indent, path_name, run_style, waits_for},
    output_width, printable,
};
use serde::Serialize;

use crate::app::App;
use crate::commands::runs::select::{missing, select, selector};
use crate::commands::runs::show_step::Part;
use crate::commands::runs::{original, show_step};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::fold::fold;
use crate::output::hint::Hint;
use crate::output::summary::{answer_commands, command_in, error_at, made_at, paid};
use crate::output::tree::{self, Line};
use crate::output::{answers, json, out};

/// The width of a step's summary in the tree.
const SUMMARY: usize = 70;
/// The width of the column of names in the tree; it is at most a third of the screen.
const NAME: usize = 28;

/// Show a run, or one of its steps: its prompt, answers, calls of tools, output and changes of files.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// A step, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Show every iteration of loops that had many.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ShowArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        show(app, self)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            paged: true,
            ..CommonOptions::default()
        }
    }
}

fn show(app: &App, arguments: &ShowArgs) -> Result<u8, CommandError> {
    let as_json = arguments.json;
    let path = arguments.path.as_deref();
    let project = app.project_or_here(&arguments.place)?;
    let entry = project.runs()?.find(&arguments.run, None)?;
    if let Some(original) = OriginalRun::open(entry.clone())? {
        let paths = original.elements.iter().map(|element| &element.path);
        match path {
            None => original::run(&original, as_json)?,
            Some(_) if arguments.part.is_given() => return Err(show_step::not_recorded(&entry)),
            Some(path) => original::step(&original, select(path, paths, &entry)?, as_json)?,
        }
        return Ok(exit_code::DONE);
    }
    let found = project.run_of(project.view(&entry)?);
    let view = found.view();
    match path {
        None => run(view, arguments)?,
        Some(text) => {
            let selector = selector(text)?;
            let path = selector.select(view.entries().map(|(path, _)| path));
            let path = path.map_err(|error| missing(view, &selector, &error, &entry));
            show_step::show(&found, path?, arguments.part, as_json)?;
        }
    }
    Ok(exit_code::DONE)
}

/// Shows a run and its tree.
fn run(view: &RunView, arguments: &ShowArgs) -> Result<(), CommandError> {
    if arguments.json {
        out::document(&Document {
            schema_version: json::FORMAT,
            run: view.document(),
        })?;
        return Ok(());
    }
    let width = output_width();
    let mut text = String::new();
    let mut print = |line: &str| {
        text += line;
        text.push('\n');
    };
    let style = run_style(view.status);
    print(&format!(
        "{BOLD}{}{BOLD:#}  {style}{}{style:#}",
        view.run_id, view.status
    ));
    for (name, value) in rows(view, &arguments.place)? {
        print(&format!(
            "  {DIM}{name:<9}{DIM:#} {}",
            fold(&printable(&value), 12, 12, width)
        ));
    }
    if view.torn {
        print("  the last line of the journal was cut off by a crash and is ignored");
    }
    let is_driven = view.status == RunStatus::Running;
    for line in tree::lines(view, arguments.all) {
        print(&match line {
            Line::Entry(path, entry) => entry_line(path, entry, is_driven, width),
            Line::Gap(gap) => gap.line(width),
        });
    }
    out::lines(&text)?;
    Ok(())
}

/// The facts about a run besides its tree, by name.
fn rows(view: &RunView, place: &Place) -> Result<Vec<(&'static str, String)>, CommandError> {
    let mut rows = Vec::new();
    if let Some(parent) = &view.parent {
        rows.push(("from", parent.to_string()));
        // A plan that cannot be read is no reason not to show the run.
        let plan = view.plan().ok().flatten();
        if let Some(plan) = plan.filter(|plan| plan.root_parent != *parent) {
            rows.push(("first", plan.root_parent.to_string()));
        }
    }
    if let Some(error) = &view.error {
        rows.push(("error", error_at(error)));
        let hint = Hint::recorded(error, &view.name());
        rows.extend(hint.map(|hint| ("hint", hint.in_place(place))));
    }
    let took = Duration::try_from(view.last_record_at.duration_since(view.created_at));
    let took = took.ok().filter(|_| view.status != RunStatus::Running);
    let took = took.map_or(String::new(), |took| format!(", took {}", format_duration(took)));
    rows.push(("made", format!("{}{took}", made_at(view.created_at))));
    let totals = view.totals;
    if totals.counts.total() > 0 {
        rows.push(("steps", dad_terminal::internal::counts(&totals.counts)));
    }
    if totals.usage.calls > 0 || totals.usage.replayed > 0 {
        rows.push(("model", paid(&totals.usage)));
    }
    let (files, bytes) = size(view)?;
    if files > 0 {
        rows.push((
            "size",
            format!("{}, {}", count(files, "file"), format_size(bytes)),
        ));
    }
    match Labels::read(view.dir()) {
        Ok(labels) => rows.extend(label_rows(&labels)),
        Err(error) => rows.push(("labels", error.to_string())),
    }
    rows.push(("artifacts", view.dir().display().to_string()));
    let run = &*view.name();
    rows.extend(
        view.open_questions()
            .map(|open| ("asks", answers::asked(view, open))),
    );
    rows.extend(answer_commands(view, |words| command_in(words, place)).map(|command| ("next", command)));
    let open = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::Interrupted];
    if open.contains(&view.status) {
        rows.push(("next", command_in(&["resume", run], place)));
    }
    Ok(rows)
}

fn label_rows(labels: &Labels) -> Vec<(&'static str, String)> {
    let tags: Vec<String> = labels.tags.iter().map(ToString::to_string).collect();
    let tags = (!tags.is_empty()).then(|| ("tags", tags.join(" ")));
    let note = labels.note.clone().map(|note| ("note", note));
    tags.into_iter().chain(note).collect()
}

/// The files of its steps, as the journal names them.
fn size(view: &RunView) -> Result<(u64, u64), CommandError> {
    let (mut files, mut bytes) = (0, 0);
    for step in view.steps() {
        for artifact in view.artifacts(step)? {
            files += 1;
            bytes += artifact.len;
        }
    }
    Ok((files, bytes))
}

fn entry_line(path: &HierarchyPath, entry: &ViewEntry, is_driven: bool, width: Option<usize>) -> String {
    let (sign, text) = match entry {
        ViewEntry::Component { status, error, .. } => {
            let text = match status {
                StepStatus::Completed => String::new(),
                // No process drives the run any more.
                StepStatus::Running if !is_driven => "did not end".to_owned(),
                status => {
                    let error = error.as_ref().and_then(|error| own_error(path, error));
                    let error = error.map_or(String::new(), |error| format!("  {error}"));
                    format!("{status}{error}")
                }
            };
            return component_line(path, &text, width);
        }
        ViewEntry::Waiting { kind, .. } => (
            Some(mark(StepStatus::Waiting, false)),
            waits_for(*kind).to_owned(),
        ),
        ViewEntry::Running { attempt, .. } => {
            let word = if is_driven { "running" } else { "did not end" };
            let text = format!("{word}, attempt {attempt}");
            (Some(mark(StepStatus::Running, false)), text)
        }
        ViewEntry::Step(step) => (Some(mark(step.status, step.is_taken())), details(step, SUMMARY)),
        other => (None, other.status().to_string()),
    };
    let indent = format!("  {}", path_indent(path));
    let names = width.map_or(NAME, |width| NAME.min(width / 3));
    let head = format!("{:<names$}  ", path_name(path));
    let sign_width = if sign.is_some() { 2 } else { 0 };
    let sign = sign.map_or(String::new(), |(sign, style)| format!("{style}{sign}{style:#} "));
    let column = indent.len() + sign_width + head.chars().count();
    let text = fold(&text, column, indent.len() + 4, width);
    format!("{indent}{sign}{head}{DIM}{text}{DIM:#}")
}

fn component_line(path: &HierarchyPath, text: &str, width: Option<usize>) -> String {
    let indent = format!("  {}", path_indent(path));
    let name = path_name(path);
    if text.is_empty() {
        return format!("{indent}{BOLD}{name}{BOLD:#}");
    }
    let column = indent.len() + name.chars().count() + 2;
    let text = fold(text, column, indent.len() + 4, width);
    format!("{indent}{BOLD}{name}{BOLD:#}  {DIM}{text}{DIM:#}")
}

/// The error of the component itself; the error of an element is shown with the element.
fn own_error(path: &HierarchyPath, error: &ErrorInfo) -> Option<String> {
    let is_own = error.path.as_ref() == Some(path);
    is_own.then(|| dad_terminal::internal::one_line(&error.message, 120))
}

/// The end of a step in words, with its summary cut at a width, and its error in short.
fn details(step: &StepCommitted, width: usize) -> String {
    let error = step
        .error
        .as_ref()
        .map(|error| dad_terminal::internal::one_line(&error.message, 120));
    let parts: Vec<String> = [end(step, width)].into_iter().chain(error).collect();
    parts.join("  ")
}

/// The end of a step in words but for its error, with its summary cut at a width.
pub(super) fn end(step: &StepCommitted, width: usize) -> String {
    let mut parts = vec![match (&step.reused_from, &step.edited_from) {
        (Some(origin), None) => format!("from {}", origin.run_id),
        (Some(origin), Some(_)) | (None, Some(origin)) => {
            format!("from {}, with a changed outcome", origin.run_id)
        }
        (None, None) => format_duration(Duration::from_millis(step.duration_ms)),
    }];
    if step.status != StepStatus::Completed {
        parts.push(step.status.to_string());
    }
    parts.extend(
        step.summary
            .as_ref()
            .map(|summary| dad_terminal::internal::one_line(summary, width)),
    );
    parts.extend(step.cost.and_then(dad_terminal::internal::cost));
    parts.join("  ")
}

/// A run as `--json` prints it: its steps are written one by one, for there may be very many.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    run: RunDocument<'a>,
}
