use std::path::Path;

use dad_core::{HierarchyPath, StepStatus};
use dad_events::{ApprovalRequiredEvent, HandlerError};
use serde_json::{Value, json};

use super::form;
use super::question::{checked, quietly};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::screen::{is_interactive, write_line};
use crate::text::{BOLD, DIM, mark, printable};

/// What a person is to agree to.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalQuestion<'a> {
    /// The step or component.
    pub path: &'a HierarchyPath,
    /// Its settings or variables, rendered.
    pub settings: &'a Value,
    /// What it would do; shown instead of the settings unless it is empty.
    pub preview: &'a str,
    /// The file with all of what it would do, if `preview` is cut.
    pub facts_file: Option<&'a Path>,
}

/// Shows at the terminal what is about to be executed and asks whether it may; a handler, usually the last. Without a
/// terminal it answers nothing, and neither does a person who ends the prompt, so that the run can wait for somebody
/// outside.
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
/// [`TerminalError::NoTerminal`] if nobody can be asked, or if the person ends the prompt.
pub async fn ask_approval_answer(
    question: &ApprovalQuestion<'_>,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(question, |value| Ok(check(value))).await
}

async fn ask(
    question: &ApprovalQuestion<'_>,
    take: impl Fn(&Value) -> Result<Result<(), String>, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    const CHOICES: [&str; 3] = ["execute it", "do not execute it", "change its input"];
    let conversation = Conversation::begin().await?;
    show(question);
    loop {
        let answer = match conversation
            .decision("Shall it be executed?", &CHOICES, 1)
            .await?
        {
            0 => json!({ "approve": true }),
            1 => {
                let parse = |typed: &str| Ok(typed.trim().to_owned());
                match conversation.optional("Why not? ", parse).await? {
                    Some(reason) => json!({ "approve": false, "reason": reason }),
                    None => json!({ "approve": false }),
                }
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
            Ok(()) => return Ok(answer),
            Err(reason) => conversation.tell(&format!("this does not fit: {reason}")),
        }
    }
}

fn show(question: &ApprovalQuestion<'_>) {
    let (sign, style) = mark(StepStatus::Waiting, false);
    let path = question.path;
    write_line(&format!(
        "{style}{sign}{style:#} {BOLD}{path}{BOLD:#} {DIM}needs approval{DIM:#}"
    ));
    let about = match question.preview {
        "" => serde_json::to_string_pretty(question.settings).unwrap_or_default(),
        preview => preview.to_owned(),
    };
    for line in printable(&about).lines() {
        write_line(&format!("  {line}"));
    }
    if let Some(file) = question.facts_file {
        write_line(&format!(
            "  {DIM}all of it:{DIM:#} {}",
            printable(&file.display().to_string())
        ));
    }
}
