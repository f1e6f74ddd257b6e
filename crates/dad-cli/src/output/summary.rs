//! The summary of a run, and the commands that come next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{ErrorInfo, NodeType, RunStatus, Timestamp, Usage, format_duration, shell_word};
use dad_events::{Event, EventBody, RunObserver};
use dad_run::{RunView, find_project_root};
use dad_runner::RunReport;
use dad_terminal::{
    DIM,
    internal::{count, error_width, run_style},
    output_width, print_line, printable,
};
use parking_lot::Mutex;
use serde_json::Value;

use crate::options::Place;
use crate::output::fold::fold;
use crate::output::hint::Hint;
use crate::output::{answers, program};

/// The most questions that are shown with the command that answers them.
const MAX_ANSWERS: usize = 5;

/// The options that the next command must repeat.
#[derive(Clone)]
pub(crate) struct Invocation {
    /// The place of runs, as options.
    place: Vec<String>,
}

impl Invocation {
    pub(crate) fn new(place: &Place, project_root: &Path) -> Self {
        let mut place = place.clone();
        // The next command is typed in this directory, from where the project may not be found.
        if !find_project_root().is_ok_and(|found| found == project_root) {
            place
                .project_root
                .get_or_insert_with(|| project_root.to_path_buf());
        }
        Self {
            place: place_words(&place),
        }
    }
}

impl Invocation {
    /// A command line for the same place.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let place = self.place.iter().map(String::as_str);
        line(words.iter().copied().chain(place))
    }
}

/// A command line for a place.
pub(crate) fn command_in(words: &[&str], place: &Place) -> String {
    let place = place_words(place);
    line(words.iter().copied().chain(place.iter().map(String::as_str)))
}

fn place_words(place: &Place) -> Vec<String> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let options = [
        ("--project-root", place.project_root.as_ref().map(path)),
        ("--run-root", place.run_root.as_ref().map(path)),
        ("--run-root-subpath", place.run_root_subpath.clone()),
    ];
    options
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]))
        .flatten()
        .collect()
}

/// A command line that a shell reads back as these words.
fn line<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(shell_word).collect();
    std::iter::once(program::name())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Notes the steps that changed files, for the summary.
#[derive(Default)]
pub(crate) struct Changes {
    steps: Mutex<Vec<PathBuf>>,
}

#[async_trait]
impl RunObserver for Changes {
    fn name(&self) -> &str {
        "changed files"
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        for event in events {
            if let EventBody::StepEnded(ended) = &event.body
                && ended.node_type == NodeType::FILE_OPERATION
                && ended.taken_from().is_none()
            {
                self.steps.lock().push(ended.dir.clone());
            }
        }
    }
}

impl Changes {
    /// The changes: directories, each with a line per file.
    fn read(&self) -> Vec<(String, Vec<String>)> {
        let steps = self.steps.lock().clone();
        let outcomes = steps.iter().filter_map(|dir| {
            let bytes = std::fs::read(dir.join("outcome.json")).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let changed = outcomes.map(|outcome| {
            // Without `.` at its end.
            let base: PathBuf = Path::new(outcome["base_directory"].as_str().unwrap_or_default())
                .components()
                .collect();
            let base = base.display().to_string();
            let results = outcome["results"].as_array().cloned().unwrap_or_default();
            let made = results
                .iter()
                .filter(|result| result["success"] != false)
                .filter(|result| result["unchanged"] != true && result["dry_run"] != true);
            (base, made.filter_map(change_line).collect())
        });
        changed
            .filter(|(_, lines): &(String, Vec<String>)| !lines.is_empty())
            .collect()
    }
}

fn change_line(result: &Value) -> Option<String> {
    let word = match result["type"].as_str()? {
        "create_file" => "created",
        "edit_file" => "edited",
        "delete_file" => "deleted",
        "create_directory" => "made",
        "move_file" => "moved",
        _ => return None,
    };
    Some(format!(
        "{word} {}",
        dad_terminal::internal::one_line(result["path"].as_str()?, 90)
    ))
}

/// Prints the summary of a run and the next command to standard error.
pub(crate) fn show_summary(
    report: &RunReport,
    view: Option<&RunView>,
    changes: &Changes,
    invocation: &Invocation,
) {
    let style = run_style(report.status).bold();
    let counts = &report.totals.counts;
    print_line("");
    print_line(&format!(
        "{style}{}{style:#} {} in {}",
        report.status,
        report.run_id,
        format_duration(report.duration)
    ));
    let mut steps = format!("{} completed", counts.completed);
    if counts.reused > 0 {
        steps += &format!(", of them {} reused", counts.reused);
    }
    if counts.failed > 0 {
        steps += &format!(", {} failed", counts.failed);
    }
    if counts.skipped > 0 {
        steps += &format!(", {} skipped", counts.skipped);
    }
    row("steps", &steps);
    let usage = &report.totals.usage;
    if usage.calls > 0 || usage.replayed > 0 {
        row("model", &paid(usage));
    }
    if let Some(error) = &report.error {
        row("error", &error_at(error));
        if let Some(hint) = Hint::recorded(error, report.run_id.as_str()) {
            row("hint", &hint.with_commands(|words| invocation.command(words)));
        }
    }
    if let Some(view) = view {
        for open in view.open_questions() {
            row("asks", &answers::asked(view, open));
        }
    }
    for (base, lines) in changes.read() {
        row("changed", &format!("in {base}"));
        for line in lines {
            row("", &line);
        }
    }
    row("artifacts", &report.run_dir.display().to_string());
    for warning in &report.warnings {
        row("warning", warning);
    }
    for (label, command) in next_commands(report, view, invocation) {
        row(label, &command);
    }
}

/// A time as people read it.
pub(crate) fn made_at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An error with its path.
pub(crate) fn error_at(error: &ErrorInfo) -> String {
    // Some messages name the place themselves.
    let path = error
        .path
        .as_ref()
        .filter(|path| !error.message.contains(path.as_str()));
    let place = path.map(|path| format!("{path}: ")).unwrap_or_default();
    format!("{place}{}", printable(&error.message))
}

/// A path as a terminal may show it.
pub(crate) fn place_of(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// Prints a fact about a run by its name.
pub(crate) fn row(name: &str, text: &str) {
    let text = fold(&printable(text), 12, 12, error_width());
    print_line(&format!("  {DIM}{name:<9}{DIM:#} {text}"));
}

/// A text on standard output that begins at a column, as its further lines do.
pub(crate) fn aligned(text: &str, column: usize) -> String {
    fold(text, column, column, output_width())
}

/// The commands that the user most likely needs next, in their order.
fn next_commands(
    report: &RunReport,
    view: Option<&RunView>,
    invocation: &Invocation,
) -> Vec<(&'static str, String)> {
    const NEXT: &str = "next";
    let name = report.run_dir.file_name().unwrap_or_default().to_string_lossy();
    let run = &*name;
    let show = |step: Option<&str>| {
        let words: Vec<&str> = ["runs", "show", run].into_iter().chain(step).collect();
        (NEXT, invocation.command(&words))
    };
    let Some(view) = view else {
        // Its directory was removed, or its journal cannot be read: the list says which.
        return vec![(NEXT, invocation.command(&["runs", "list"]))];
    };
    match (report.status, report.first_failures.first()) {
        (RunStatus::Waiting, _) => answer_commands(view, |words| invocation.command(words))
            .map(|command| (NEXT, command))
            .collect(),
        // As it is, the step would most likely fail again: its prompt, answer and output come first.
        (RunStatus::Failed, Some(failed)) => {
            let resume = ("then", resume_command(run, &failed.error, invocation));
            vec![show(Some(failed.path.as_str())), resume]
        }
        (RunStatus::Failed | RunStatus::Cancelled, _) => {
            vec![(NEXT, invocation.command(&["resume", run]))]
        }
        _ => vec![show(view.steps().last().map(|step| step.path.as_str()))],
    }
}

/// The commands that answer the questions of a run; a run that asks much shows the first ones.
pub(crate) fn answer_commands(
    view: &RunView,
    command: impl Fn(&[&str]) -> String,
) -> impl Iterator<Item = String> {
    view.open_questions().take(MAX_ANSWERS).map(move |open| {
        let words = answers::command(view, open);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        command(&words)
    })
}

/// The command that resumes a run once the cause of an error is mended.
fn resume_command(run: &str, error: &ErrorInfo, invocation: &Invocation) -> String {
    let is_of_definition = error.code == "template";
    let current: &[&str] = if is_of_definition {
        &["--definition", "current"]
    } else {
        &[]
    };
    invocation.command(&[&["resume", run], current].concat())
}

/// The usage of model calls: what was paid, and the number of calls that were replayed.
pub(crate) fn paid(usage: &Usage) -> String {
    let mut parts = Vec::new();
    if usage.calls > 0 {
        parts.push(count(usage.calls, "call"));
        parts.push(usage.tokens_in_words());
        parts.extend(match usage.cost {
            None => Some("unknown price".to_owned()),
            Some(cost) => dad_terminal::internal::cost(cost),
        });
    }
    if usage.replayed > 0 {
        parts.push(format!("{} replayed", count(usage.replayed, "call")));
    }
    parts.join(", ")
}
