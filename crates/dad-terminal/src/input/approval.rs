//! Approvals.

use std::path::Path;

use dad_core::{HierarchyPath, StepStatus};
use dad_events::{ApprovalRequiredEvent, HandlerError};
use derive_setters::Setters;
use serde_json::{Value, json};

use super::form;
use super::question::{Verdict, checked, quietly};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::prompt::size;
use crate::screen::{is_interactive, write_line};
use crate::text::{BOLD, DIM, mark, printable};
use dad_core::internal::count;

/// An action that a person is asked to approve.
#[derive(Clone, Copy, Debug, Setters)]
#[non_exhaustive]
pub struct ApprovalQuestion<'a> {
    /// The step or component.
    pub path: &'a HierarchyPath,
    /// Its settings or variables, rendered.
    pub settings: &'a Value,
    /// The preview of its effects; shown instead of the settings unless it is empty.
    pub preview: &'a str,
    /// The file with the whole preview, if `preview` is cut.
    #[setters(into)]
    pub facts_file: Option<&'a Path>,
}

impl<'a> ApprovalQuestion<'a> {
    /// An action with its settings or variables, rendered, and without a preview.
    #[must_use]
    pub fn new(path: &'a HierarchyPath, settings: &'a Value) -> Self {
        Self {
            path,
            settings,
            preview: "",
            facts_file: None,
        }
    }
}

/// Shows an action at the terminal and asks whether it may execute; a handler, usually the last. Without a terminal, or when
/// the person ends the prompt, it gives no answer, so that the run can wait for one from outside.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn ask_approval(event: ApprovalRequiredEvent) -> Result<(), HandlerError> {
    if !is_interactive() || event.handled() {
        return Ok(());
    }
    let question = ApprovalQuestion {
        path: &event.path,
        settings: &event.settings,
        preview: &event.preview,
        facts_file: event.facts_file.as_deref(),
    };
    quietly(ask(&question, |answer| checked(event.set_answer(answer.clone()))).await)
}

/// Shows at the terminal what is about to be executed and asks whether it may, again until `check` takes the answer:
/// `{"approve": true}`, `{"approve": false, "reason": …}` or `{"input": …}`.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn ask_approval_answer(
    question: &ApprovalQuestion<'_>,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(question, |value| Ok(check(value).into())).await
}

async fn ask(
    question: &ApprovalQuestion<'_>,
    take: impl Fn(&Value) -> Result<Verdict, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    const CHOICES: [&str; 5] = [
        "execute it, and the same again in this run",
        "execute it",
        "do not execute it",
        "change its input",
        "read all of it",
    ];
    /// The choice of Enter.
    const DEFAULT: usize = 2;
    let conversation = Conversation::begin().await?;
    let is_cut = show(question);
    let choices = if is_cut { &CHOICES[..] } else { &CHOICES[..4] };
    loop {
        let answer = match conversation
            .decision("Shall it be executed?", choices, DEFAULT)
            .await?
        {
            0 => json!({ "approve": true, "for_run": true }),
            1 => json!({ "approve": true }),
            2 => {
                let parse = |typed: &str| Ok(typed.trim().to_owned());
                match conversation.optional("Why not? ", parse).await? {
                    Some(reason) => json!({ "approve": false, "reason": reason }),
                    None => json!({ "approve": false }),
                }
            }
            4 => {
                conversation.read(&all_of(question)).await?;
                continue;
            }
            _ => {
                let text = conversation.long_text("The input, as JSON ", "{}").await?;
                match form::json(&text) {
                    Ok(input) => json!({ "input": input }),
                    Err(reason) => {
                        conversation.tell(&reason);
                        continue;
                    }
                }
            }
        };
        match take(&answer)? {
            Verdict::Accepted => return Ok(answer),
            Verdict::Refused(reason) => conversation.tell(&format!("this does not fit: {reason}")),
        }
    }
}

/// Rows that the question and its choices take, beside what it is about.
const ROWS_OF_QUESTION: usize = 12;

/// The least that is shown, in lines, however low the screen is.
const FEWEST_LINES: usize = 5;

/// Shows what it is about, as much as the screen holds; says whether that is not all.
fn show(question: &ApprovalQuestion<'_>) -> bool {
    let (sign, style) = mark(StepStatus::Waiting, false);
    let path = question.path;
    write_line(&format!(
        "{style}{sign}{style:#} {BOLD}{path}{BOLD:#} {DIM}needs approval{DIM:#}"
    ));
    let about = printable(&about(question));
    let lines: Vec<&str> = about.lines().collect();
    let fitting = size().1.saturating_sub(ROWS_OF_QUESTION).max(FEWEST_LINES);
    for line in lines.iter().take(fitting) {
        write_line(&format!("  {line}"));
    }
    let hidden = lines.len().saturating_sub(fitting);
    if hidden > 0 {
        write_line(&format!("  {DIM}… and {}{DIM:#}", count(hidden as u64, "line")));
    }
    if let Some(file) = question.facts_file {
        write_line(&format!(
            "  {DIM}all of it:{DIM:#} {}",
            printable(&file.display().to_string())
        ));
    }
    hidden > 0 || question.facts_file.is_some()
}

/// The text that describes the action.
fn about(question: &ApprovalQuestion<'_>) -> String {
    match question.preview {
        "" => serde_json::to_string_pretty(question.settings).unwrap_or_default(),
        preview => preview.to_owned(),
    }
}

/// All of it, from its file if the preview is cut.
fn all_of(question: &ApprovalQuestion<'_>) -> String {
    let file = question.facts_file.map(std::fs::read_to_string);
    let all = match file {
        Some(Ok(text)) => text,
        Some(Err(error)) => format!(
            "{}\n(the file with the rest cannot be read: {error})",
            about(question)
        ),
        None => about(question),
    };
    printable(&all)
}
