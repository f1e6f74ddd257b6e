//! The input of a file operation node.

use std::path::{Path, PathBuf};

use dad_core::json::parse_external;
use dad_events::NodeInputRequiredEvent;
use dad_nodes::{FileEdit, FileOperation, FileOperationNodeInput, FileOperationType, SearchConfig};
use serde_json::Value;

use super::asker::{Asker, NodeQuestion};
use super::folder_analyzer::keeps_operations;
use super::form::{base_directory, inside, known, patch};
use crate::conversation::{Conversation, YesNo};
use crate::error::TerminalError;
use crate::prompt::Item;

/// The questions for file operations.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FileOperationsInputOptions {
    /// The base directory; the person is asked if there is none.
    pub base_directory: Option<String>,
    /// A JSON file with the list of operations, which replaces the question for them.
    pub file_operations_json_path: Option<PathBuf>,
    /// Whether the changed files are put into the git index, if not as the node says.
    pub stage: Option<bool>,
    /// Whether the changed files are committed, if not as the node says.
    pub commit: Option<bool>,
    /// The message of the commit, if not the node's.
    pub commit_message: Option<String>,
}

const TYPES: [(FileOperationType, &str, &str); 10] = [
    (
        FileOperationType::CreateFile,
        "create_file",
        "give a file its content",
    ),
    (
        FileOperationType::EditFile,
        "edit_file",
        "replace texts in a file",
    ),
    (FileOperationType::DeleteFile, "delete_file", "remove a file"),
    (FileOperationType::MoveFile, "move_file", "move or rename a file"),
    (
        FileOperationType::CreateDirectory,
        "create_directory",
        "make a directory",
    ),
    (
        FileOperationType::DeleteDirectory,
        "delete_directory",
        "remove a directory with everything in it",
    ),
    (
        FileOperationType::ListDirectory,
        "list_directory",
        "list a directory",
    ),
    (
        FileOperationType::SearchFiles,
        "search_files",
        "find what has a name",
    ),
    (
        FileOperationType::GetFileInfo,
        "get_file_info",
        "say what stands under a path",
    ),
    (
        FileOperationType::ListAllowedDirectories,
        "list_allowed_directories",
        "say which directories may be changed",
    ),
];

/// The input of a file operation node: its base directory, and its operations or others, with their content in the
/// person's editor.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn get_file_operations_node_input(
    event: &NodeInputRequiredEvent,
) -> Result<FileOperationNodeInput, TerminalError> {
    get_file_operations_node_input_with(event, &FileOperationsInputOptions::default()).await
}

/// As [`get_file_operations_node_input`], with a base directory, the operations of a file, or options of git.
///
/// # Errors
/// As [`get_file_operations_node_input`]; also [`TerminalError::File`] if the file holds no list of operations.
pub async fn get_file_operations_node_input_with(
    event: &NodeInputRequiredEvent,
    options: &FileOperationsInputOptions,
) -> Result<FileOperationNodeInput, TerminalError> {
    let question = NodeQuestion::from(event);
    ask(&mut Asker::new(&question), options).await
}

pub(crate) async fn ask(
    asker: &mut Asker<'_>,
    options: &FileOperationsInputOptions,
) -> Result<FileOperationNodeInput, TerminalError> {
    let mut input: FileOperationNodeInput = asker.question.begun();
    for (name, value) in [("stage", options.stage), ("commit", options.commit)] {
        if let Some(value) = value {
            patch(&mut input.settings_override, name, value);
        }
    }
    if let Some(message) = &options.commit_message {
        patch(&mut input.settings_override, "commit_message", message.as_str());
    }
    let base = ask_base(asker, options, &mut input).await?;
    if let Some(file) = &options.file_operations_json_path {
        input.operations = Some(read_operations(file)?);
        return Ok(input);
    }
    let count = match &input.operations {
        Some(before) => before.len(),
        None => asker
            .setting("operations")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
    };
    let has_template = input.operations.is_none() && asker.setting("operations_template").is_some();
    let conversation = asker.conversation().await?;
    if !keeps_operations(conversation, count, has_template).await? {
        input.operations = Some(ask_operations(conversation, &base).await?);
    }
    Ok(input)
}

/// The base directory that holds for the answer.
async fn ask_base(
    asker: &mut Asker<'_>,
    options: &FileOperationsInputOptions,
    input: &mut FileOperationNodeInput,
) -> Result<String, TerminalError> {
    let before = input
        .settings_override
        .as_ref()
        .and_then(|patch| patch.get("base_directory"));
    let current = before
        .or_else(|| asker.setting("base_directory"))
        .and_then(Value::as_str);
    let current = current.unwrap_or(".").to_owned();
    let other = match (&options.base_directory, &options.file_operations_json_path) {
        (Some(base), _) => Some(base.clone()),
        (None, Some(_)) => None,
        (None, None) => base_directory(asker.conversation().await?, &current).await?,
    };
    if let Some(base) = &other {
        patch(&mut input.settings_override, "base_directory", base.as_str());
    }
    Ok(other.unwrap_or(current))
}

fn read_operations(file: &Path) -> Result<Vec<FileOperation>, TerminalError> {
    let wrong = |reason: String| TerminalError::File {
        path: file.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let no_list = |error: &dyn std::fmt::Display| wrong(format!("holds no list of operations: {error}"));
    let operations = parse_external(&text).map_err(|error| no_list(&error))?;
    serde_json::from_value(operations).map_err(|error| no_list(&error))
}

async fn ask_operations(
    conversation: &Conversation,
    base: &str,
) -> Result<Vec<FileOperation>, TerminalError> {
    let mut operations: Vec<FileOperation> = Vec::new();
    loop {
        operations.push(ask_operation(conversation, known(base)).await?);
        if !conversation.yes_no("Another operation?", YesNo::No).await? {
            return Ok(operations);
        }
    }
}

async fn ask_operation(
    conversation: &Conversation,
    base: Option<&Path>,
) -> Result<FileOperation, TerminalError> {
    let items = TYPES
        .iter()
        .map(|(_, name, detail)| Item::new(name, detail))
        .collect();
    let (operation_type, ..) = TYPES[conversation.choose("What is to be done?", items, 0).await?];
    let mut operation = FileOperation::new(operation_type);
    match operation_type {
        FileOperationType::MoveFile => {
            operation.source = Some(ask_path(conversation, "source: ").await?);
            operation.destination = Some(ask_path(conversation, "destination: ").await?);
            return Ok(operation);
        }
        FileOperationType::ListAllowedDirectories => return Ok(operation),
        FileOperationType::SearchFiles => {
            let pattern = conversation
                .text("a part of the name, or a pattern: ", None)
                .await?;
            operation.search_config = Some(SearchConfig::new(pattern));
        }
        _ => {}
    }
    let path = match operation_type {
        // The base directory itself.
        FileOperationType::SearchFiles | FileOperationType::ListDirectory => {
            conversation.parsed("path: ", Some("."), inside).await?
        }
        _ => ask_path(conversation, "path: ").await?,
    };
    match operation_type {
        FileOperationType::CreateFile => {
            // A file that is there would be replaced, so its content is what the person begins with.
            let there = base.and_then(|base| std::fs::read_to_string(base.join(&path)).ok());
            let content = conversation
                .long_text("content: ", &there.unwrap_or_default())
                .await?;
            operation.content = Some(format!("{content}\n"));
        }
        FileOperationType::EditFile => operation.edits = Some(ask_edits(conversation).await?),
        _ => {}
    }
    operation.path = Some(path);
    Ok(operation)
}

async fn ask_path(conversation: &Conversation, prompt: &str) -> Result<String, TerminalError> {
    conversation.parsed(prompt, None, inside).await
}

async fn ask_edits(conversation: &Conversation) -> Result<Vec<FileEdit>, TerminalError> {
    let mut edits = Vec::new();
    loop {
        let old_text = conversation
            .long_text("old_text, which stands there once: ", "")
            .await?;
        if old_text.is_empty() {
            conversation.tell("there is nothing to replace in an empty text");
            continue;
        }
        let new_text = conversation.long_text("new_text: ", &old_text).await?;
        edits.push(FileEdit::new(old_text, new_text));
        if !conversation.yes_no("Another replacement?", YesNo::No).await? {
            return Ok(edits);
        }
    }
}
