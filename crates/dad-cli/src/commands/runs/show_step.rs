//! `dhenara runs show RUN STEP`: one step, as a person reads it.

use clap::Args;
use dad_core::{ErrorInfo, HierarchyPath, NodeType, StepStatus};
use dad_nodes::{CommandNodeOutcome, file_diffs};
use dad_project::{AttemptTranscript, ModelTurn, ProjectRun, Transcript, Turn};
use dad_run::{Question, RunEntry, RunView, StepCommitted, ViewEntry, layout};
use dad_terminal::{
    BOLD, DIM,
    internal::{mark, waits_for},
    output_width, printable,
};
use serde_json::{Value, json};

use crate::commands::runs::show::end;
use crate::error::CommandError;
use crate::output::hint::Hint;
use crate::output::readable::{indented, readable};
use crate::output::summary::{aligned, error_at, place_of};
use crate::output::{json, out};

/// The blanks before the lines of a section.
const INDENT: usize = 2;

/// The settings of a model call that its conversation shows.
const IN_CONVERSATION: [&str; 3] = ["system_instructions", "context", "prompt"];

/// The one part of a step that is wanted.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false, requires = "path")]
pub(crate) struct Part {
    /// Print the prompt of the step alone.
    #[arg(long)]
    prompt: bool,
    /// Print the last answer of the model alone.
    #[arg(long)]
    answer: bool,
    /// Print the conversations with models alone, of failed attempts too.
    #[arg(long)]
    messages: bool,
    /// Print the paths of the step's files alone.
    #[arg(long)]
    files: bool,
}

impl Part {
    pub(crate) const fn is_given(self) -> bool {
        self.prompt || self.answer || self.messages || self.files
    }
}

/// The error for a part of a step of the original system.
pub(crate) fn not_recorded(run: &RunEntry) -> CommandError {
    let message = format!(
        "`{}` is of the original system, which recorded no conversations",
        run.run_id
    );
    CommandError::usage("not_recorded", message).with_hint("`runs show` without a part shows its results")
}

/// Shows one step, or one part of it.
pub(crate) fn show(
    run: &ProjectRun,
    path: &HierarchyPath,
    part: Part,
    as_json: bool,
) -> Result<(), CommandError> {
    if part.is_given() {
        return show_part(run, path, part, as_json);
    }
    match run.view().step(path) {
        Some(step) if as_json => document(run.view(), step),
        Some(step) => ended(run, step),
        None => not_ended(run, path, as_json),
    }
}

fn show_part(run: &ProjectRun, path: &HierarchyPath, part: Part, as_json: bool) -> Result<(), CommandError> {
    let view = run.view();
    if part.files {
        let files = match view.step(path) {
            Some(step) => view.artifacts(step)?,
            None => Vec::new(),
        };
        if as_json {
            return json::print(json!({ "path": path, "dir": view.dir_of(path), "files": files }));
        }
        let dir = view.dir_of(path);
        let lines = files
            .iter()
            .map(|file| dir.join(&file.name).display().to_string() + "\n");
        return out::raw(&lines.collect::<String>());
    }
    let transcript = run.transcript(path.as_str())?;
    if transcript.attempts.iter().all(|attempt| attempt.turns.is_empty()) {
        let message = format!("`{path}` asked no model in `{}`", view.run_id);
        let field = format!("{path}.outcome");
        let hint = Hint::default()
            .command(["runs", "get", &view.name(), &field])
            .text(" prints its outcome");
        return Err(CommandError::usage("no_conversation", message).with_hint(hint));
    }
    if part.messages {
        return if as_json {
            json::print(json!(transcript))
        } else {
            out::lines(&conversation(&transcript))
        };
    }
    let name = if part.prompt { "prompt" } else { "answer" };
    let text = if part.prompt {
        transcript.prompt().map(str::to_owned)
    } else {
        match transcript.answer() {
            Some(answer) => Some(answer.to_owned()),
            // A step in test mode has an outcome and asked no model.
            None => view
                .result(path)
                .ok()
                .and_then(|result| answer_in(&result["outcome"])),
        }
    };
    let Some(text) = text else {
        let message = format!("`{path}` has no {name} in `{}`", view.run_id);
        return Err(CommandError::usage("no_part", message)
            .with_hint("`--messages` shows how far its conversation came"));
    };
    if as_json {
        return json::print(json!({ "path": path, name: text }));
    }
    out::raw(&text)
}

fn answer_in(outcome: &Value) -> Option<String> {
    let structured = outcome.get("structured").filter(|value| !value.is_null());
    let text = outcome["text"].as_str().map(str::to_owned);
    text.or_else(|| structured.map(ToString::to_string))
}

fn document(view: &RunView, step: &StepCommitted) -> Result<(), CommandError> {
    let artifacts = view.artifacts(step)?;
    let result = result_of(view, step)?;
    json::print(json!({ "path": step.path, "committed": step, "artifacts": artifacts, "result": result }))
}

/// The result of a step; null of one that the user settled, which has no files.
fn result_of(view: &RunView, step: &StepCommitted) -> Result<Value, CommandError> {
    if step.has_files() {
        Ok(view.result(&step.path)?)
    } else {
        Ok(Value::Null)
    }
}

/// Shows a step that has not ended: its question, and its conversation as far as it came.
fn not_ended(run: &ProjectRun, path: &HierarchyPath, as_json: bool) -> Result<(), CommandError> {
    let view = run.view();
    let entry = view.entry(path);
    let status = entry.map_or(StepStatus::Pending, ViewEntry::status);
    let error = match entry {
        Some(ViewEntry::Component { error, .. }) => error.as_ref(),
        _ => None,
    };
    if as_json {
        let mut document = json!({ "path": path, "status": status });
        if let Some(error) = error {
            document["error"] = json!(error);
        }
        return json::print(document);
    }
    out::lines(&format!("{BOLD}{path}{BOLD:#}  {status}"))?;
    if let Some(error) = error {
        out::lines(&format!("  {DIM}error{DIM:#} {}", aligned(&error_at(error), 8)))?;
    }
    for open in view.open_questions().filter(|open| open.path == *path) {
        print_question(view, &view.question(&open.id)?)?;
    }
    if !matches!(entry, Some(ViewEntry::Component { .. })) {
        let told = conversation(&run.transcript(path.as_str())?);
        if !told.is_empty() {
            out::lines(&told)?;
        }
    }
    out::lines(&format!(
        "  {DIM}artifacts{DIM:#} {}",
        place_of(&view.dir_of(path))
    ))
}

/// Prints the question of a step in full.
fn print_question(view: &RunView, question: &Question) -> Result<(), CommandError> {
    out::lines(&format!(
        "{BOLD}{}{BOLD:#} ({})",
        waits_for(question.kind),
        question.id
    ))?;
    match question.preview.as_str() {
        "" => out::lines(&readable(&question.settings, INDENT))?,
        preview => out::lines(&printable(preview))?,
    }
    if let Some(before) = &question.previous_input {
        let before = readable(before, 2 * INDENT);
        out::lines(&format!("  {DIM}answered before{DIM:#}\n{before}"))?;
    }
    match view.facts_file(question)? {
        Some(file) => out::lines(&format!("  {DIM}all of it{DIM:#} {}", place_of(&file))),
        None => Ok(()),
    }
}

/// Shows a step that ended: its input, settings, conversation or outcome, error and files.
fn ended(run: &ProjectRun, step: &StepCommitted) -> Result<(), CommandError> {
    let view = run.view();
    let result = result_of(view, step)?;
    let (sign, style) = mark(step.status, step.is_taken());
    let mut text = format!(
        "{style}{sign}{style:#} {BOLD}{}{BOLD:#}  {}\n",
        step.path,
        end(step, usize::MAX)
    );
    let node_type = result["node_type"].as_str().unwrap_or_default();
    if let Some(input) = result.get("input") {
        text += &section("input", &readable(input, INDENT));
    }
    let transcript = run.transcript(step.path.as_str())?;
    let has_conversation = transcript
        .attempts
        .iter()
        .any(|attempt| !attempt.turns.is_empty());
    if let Some(settings) = result.get("settings") {
        text += &section("settings", &settings_text(settings, has_conversation));
    }
    text += &conversation(&transcript);
    if let Some(outcome) = result.get("outcome") {
        text += &outcome_text(view, step, node_type, outcome, transcript.answer())?;
    } else {
        text += &left_output(view, &step.path)?;
    }
    if let Some(error) = result.get("error") {
        text += &section("error", &error_text(error));
    }
    if step.has_files() {
        text += &format!("{BOLD}files{BOLD:#} {}\n", place_of(&view.dir_of(&step.path)));
        for artifact in view.artifacts(step)? {
            text += &format!("  {:>10}  {}\n", artifact.len, printable(&artifact.name));
        }
    }
    out::lines(&text)
}

/// A section; nothing if it has no lines.
fn section(name: &str, lines: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{BOLD}{name}{BOLD:#}\n{lines}")
}

fn settings_text(settings: &Value, has_conversation: bool) -> String {
    let mut settings = settings.clone();
    if let Some(fields) = settings.as_object_mut().filter(|_| has_conversation) {
        fields.retain(|name, _| !IN_CONVERSATION.contains(&name.as_str()));
    }
    readable(&settings, INDENT)
}

fn error_text(error: &Value) -> String {
    let Ok(error) = serde_json::from_value::<ErrorInfo>(error.clone()) else {
        return readable(error, INDENT);
    };
    let mut text = indented(&error_at(&error), INDENT);
    text += &format!("  {DIM}code{DIM:#} {}\n", printable(&error.code));
    if let Some(hint) = &error.hint {
        text += &format!("  {DIM}hint{DIM:#} {}\n", aligned(&printable(hint), 7));
    }
    text
}

/// The outcome of a step in the form that fits its node.
fn outcome_text(
    view: &RunView,
    step: &StepCommitted,
    node_type: &str,
    outcome: &Value,
    answer: Option<&str>,
) -> Result<String, CommandError> {
    if node_type == NodeType::COMMAND.as_str()
        && let Ok(outcome) = serde_json::from_value::<CommandNodeOutcome>(outcome.clone())
    {
        return Ok(commands_text(&outcome));
    }
    if node_type == NodeType::FILE_OPERATION.as_str() {
        let diffs = file_diffs(view, &step.path)?;
        let diffs: String = diffs.iter().map(|file| indented(&file.diff, INDENT)).collect();
        let outcome = readable(&without_diffs(outcome), INDENT);
        return Ok(section("outcome", &outcome) + &section("changes", &diffs));
    }
    if let Some(answer) = answer
        && is_answer(outcome, answer)
    {
        // The conversation ends with it.
        return Ok(String::new());
    }
    Ok(section("outcome", &readable(outcome, INDENT)))
}

/// An outcome of file operations without the differences, which stand beside it in full.
fn without_diffs(outcome: &Value) -> Value {
    let mut outcome = outcome.clone();
    let results = outcome.get_mut("results").and_then(Value::as_array_mut);
    for result in results.into_iter().flatten().filter_map(Value::as_object_mut) {
        result.shift_remove("diff");
    }
    outcome
}

/// Whether an outcome says no more than the last answer of the model.
fn is_answer(outcome: &Value, answer: &str) -> bool {
    let files = outcome["files"].as_array();
    let has_files = files.is_some_and(|files| !files.is_empty());
    let is_text = outcome["text"].as_str() == Some(answer);
    !has_files && (is_text || as_structure(answer).is_some_and(|answer| answer == outcome["structured"]))
}

/// An answer that is a JSON object or list.
fn as_structure(answer: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(answer).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

fn commands_text(outcome: &CommandNodeOutcome) -> String {
    let mut text = String::new();
    for result in &outcome.results {
        let end = match result.returncode {
            Some(code) => format!("exit code {code}"),
            None => "did not end by itself".to_owned(),
        };
        let command = aligned(&printable(&result.command), INDENT);
        let last = command.lines().last().unwrap_or_default().chars().count();
        let is_full = output_width().is_some_and(|width| INDENT + last + 2 + end.len() > width);
        let gap = if is_full { "\n  " } else { "  " };
        text += &format!("{BOLD}$ {command}{BOLD:#}{gap}{DIM}{end}{DIM:#}\n");
        for (name, output) in [("stdout", &result.stdout), ("stderr", &result.stderr)] {
            if !output.is_empty() {
                text += &format!("  {DIM}{name}{DIM:#}\n{}", indented(output, 2 * INDENT));
            }
        }
    }
    if let Some(structured) = &outcome.structured {
        text += &section("structured", &readable(structured, INDENT));
    }
    text
}

/// The printed output of a command that ended without an outcome.
fn left_output(view: &RunView, path: &HierarchyPath) -> Result<String, CommandError> {
    let mut text = String::new();
    for (name, file) in [("stdout", layout::STDOUT), ("stderr", layout::STDERR)] {
        if let Some(output) = view.recorded_file(path, file)? {
            text += &section(name, &indented(&String::from_utf8_lossy(&output), INDENT));
        }
    }
    Ok(text)
}

/// The conversations of all attempts. An attempt that was not the only one has a heading.
fn conversation(transcript: &Transcript) -> String {
    let several = transcript.attempts.len() > 1;
    let mut text = String::new();
    for attempt in &transcript.attempts {
        if several {
            text += &attempt_heading(attempt);
        }
        text.extend(attempt.turns.iter().map(turn_text));
    }
    text
}

fn attempt_heading(attempt: &AttemptTranscript) -> String {
    let AttemptTranscript { attempt, .. } = attempt;
    let (sign, style) = mark(attempt.status, false);
    let why = attempt
        .error
        .as_ref()
        .map(|error| format!(": {}", error_at(error)));
    format!(
        "{style}{sign}{style:#} {BOLD}attempt {}{BOLD:#} {}{}\n",
        attempt.attempt,
        attempt.status,
        printable(&why.unwrap_or_default())
            .trim_end()
            .replace('\n', &format!("\n{:INDENT$}", ""))
    )
}

fn turn_text(turn: &Turn) -> String {
    match turn {
        Turn::System { text } => section("system", &indented(text, INDENT)),
        Turn::User { text, files } => section("user", &(indented(text, INDENT) + &names(files))),
        Turn::Assistant(answer) => answer_text(answer),
        Turn::Tool {
            name, text, files, ..
        } => {
            let heading = format!("tool {}", printable(name));
            section(heading.trim_end(), &(said(text) + &names(files)))
        }
        Turn::Failed { model, error } => {
            let heading = format!("{} gave no answer", printable(model));
            section(&heading, &indented(&error.message, INDENT))
        }
        _ => String::new(),
    }
}

/// A text of a model or tool, which may be JSON.
fn said(text: &str) -> String {
    match as_structure(text) {
        Some(structure) => readable(&structure, INDENT),
        None => indented(text, INDENT),
    }
}

fn names(files: &[String]) -> String {
    let names = files
        .iter()
        .map(|name| format!("  {DIM}file{DIM:#} {}\n", printable(name)));
    names.collect()
}

fn answer_text(answer: &ModelTurn) -> String {
    let mut about: Vec<String> = answer.model.iter().map(|model| printable(model)).collect();
    let used = answer.usage.as_ref().map(dad_terminal::internal::usage);
    about.extend(used.filter(|used| !used.is_empty()));
    let mut text = format!("{BOLD}assistant{BOLD:#}  {DIM}{}{DIM:#}", about.join(", "));
    text = format!("{}\n", text.trim_end());
    if let Some(reasoning) = &answer.reasoning {
        text += &format!("  {DIM}reasoning{DIM:#}\n{}", indented(reasoning, 2 * INDENT));
    }
    text += &said(&answer.text);
    if let Some(refusal) = &answer.refusal {
        text += &format!("  {DIM}refused{DIM:#}\n{}", indented(refusal, 2 * INDENT));
    }
    for call in &answer.tool_calls {
        text += &format!(
            "  {DIM}calls{DIM:#} {}\n{}",
            printable(&call.name),
            readable(&call.arguments, 2 * INDENT)
        );
    }
    text
}
