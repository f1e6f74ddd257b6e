//! The input of a folder analyzer.

use dad_events::NodeInputRequiredEvent;
use dad_nodes::{
    ContentReadMode, FolderAnalysisOperation, FolderAnalyzerNodeInput, FolderOperationType, OneOrMany,
};
use serde_json::Value;

use super::asker::{Asker, NodeQuestion};
use super::form::{base_directory, inside, known, list, patch};
use crate::conversation::{Conversation, YesNo};
use crate::error::TerminalError;
use crate::prompt::Item;

/// The questions for a folder analyzer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FolderAnalyzerInputOptions {
    /// The base directory; the person is asked if there is none.
    pub base_directory: Option<String>,
    /// Lists of patterns to choose one from, of what is left out.
    pub predefined_exclusion_patterns: Vec<Vec<String>>,
}

const TYPES: [(FolderOperationType, &str, &str); 5] = [
    (
        FolderOperationType::AnalyzeFolder,
        "analyze_folder",
        "the files below a directory, with their content",
    ),
    (
        FolderOperationType::AnalyzeFile,
        "analyze_file",
        "one file, with its content",
    ),
    (
        FolderOperationType::FindFiles,
        "find_files",
        "the names of the files below a directory",
    ),
    (
        FolderOperationType::GetStructure,
        "get_structure",
        "the structure of a directory",
    ),
    (
        FolderOperationType::GetTreeDiagram,
        "get_tree_diagram",
        "a drawing of a directory",
    ),
];

const MODES: [(ContentReadMode, &str, &str); 3] = [
    (ContentReadMode::Full, "full", "all of each file"),
    (ContentReadMode::Preview, "preview", "the first hundred words"),
    (ContentReadMode::None, "none", "names only"),
];

/// The input of a folder analyzer: its base directory, and its operations or others.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn get_folder_analyzer_node_input(
    event: &NodeInputRequiredEvent,
) -> Result<FolderAnalyzerNodeInput, TerminalError> {
    get_folder_analyzer_node_input_with(event, &FolderAnalyzerInputOptions::default()).await
}

/// As [`get_folder_analyzer_node_input`], with a base directory or lists of patterns to choose from.
///
/// # Errors
/// As [`get_folder_analyzer_node_input`].
pub async fn get_folder_analyzer_node_input_with(
    event: &NodeInputRequiredEvent,
    options: &FolderAnalyzerInputOptions,
) -> Result<FolderAnalyzerNodeInput, TerminalError> {
    let question = NodeQuestion::from(event);
    ask(&mut Asker::new(&question), options).await
}

pub(crate) async fn ask(
    asker: &mut Asker<'_>,
    options: &FolderAnalyzerInputOptions,
) -> Result<FolderAnalyzerNodeInput, TerminalError> {
    let mut input: FolderAnalyzerNodeInput = asker.question.begun();
    let before = input.settings_override.clone().unwrap_or_default();
    let setting = |name: &str| before.get(name).or_else(|| asker.setting(name));
    let current = setting("base_directory")
        .and_then(Value::as_str)
        .unwrap_or(".")
        .to_owned();
    let count = setting("operations")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let has_template = setting("operations_template").is_some();
    let conversation = asker.conversation().await?;
    let other = match &options.base_directory {
        Some(base) => Some(base.clone()),
        None => base_directory(conversation, &current).await?,
    };
    if let Some(base) = &other {
        patch(&mut input.settings_override, "base_directory", base.as_str());
    }
    if keeps_operations(conversation, count, has_template).await? {
        return Ok(input);
    }
    let base = other.unwrap_or(current);
    let operations = ask_operations(conversation, &base, &options.predefined_exclusion_patterns).await?;
    let operations = serde_json::to_value(operations).map_err(|error| TerminalError::Io(error.into()))?;
    patch(&mut input.settings_override, "operations", operations);
    if has_template {
        // Its operations would be added to those given here.
        patch(&mut input.settings_override, "operations_template", Value::Null);
    }
    Ok(input)
}

/// Whether what the definition says is done, if it says anything.
pub(crate) async fn keeps_operations(
    conversation: &Conversation,
    count: usize,
    has_template: bool,
) -> Result<bool, TerminalError> {
    let said = match (count, has_template) {
        (0, false) => return Ok(false),
        (_, true) => "those of the definition".to_owned(),
        (1, false) => "the one of the definition".to_owned(),
        (count, false) => format!("the {count} of the definition"),
    };
    let items = vec![Item::new(&said, ""), Item::new("others", "")];
    Ok(conversation.choose("Which operations?", items, 0).await? == 0)
}

async fn ask_operations(
    conversation: &Conversation,
    base: &str,
    predefined: &[Vec<String>],
) -> Result<Vec<FolderAnalysisOperation>, TerminalError> {
    let mut operations = Vec::new();
    loop {
        operations.push(ask_operation(conversation, base, predefined).await?);
        if !conversation.yes_no("Another operation?", YesNo::No).await? {
            return Ok(operations);
        }
    }
}

async fn ask_operation(
    conversation: &Conversation,
    base: &str,
    predefined: &[Vec<String>],
) -> Result<FolderAnalysisOperation, TerminalError> {
    let items = TYPES
        .iter()
        .map(|(_, name, detail)| Item::new(name, detail))
        .collect();
    let (operation_type, ..) = TYPES[conversation.choose("What is to be done?", items, 0).await?];
    let mut operation = FolderAnalysisOperation::new(operation_type)
        .path(ask_paths(conversation, base, operation_type).await?);
    if matches!(
        operation_type,
        FolderOperationType::AnalyzeFolder | FolderOperationType::AnalyzeFile
    ) {
        let items = MODES
            .iter()
            .map(|(_, name, detail)| Item::new(name, detail))
            .collect();
        let (mode, ..) = MODES[conversation.choose("How much is read?", items, 0).await?];
        operation.content_read_mode = Some(mode);
    }
    if operation_type == FolderOperationType::AnalyzeFile {
        return Ok(operation);
    }
    operation.respect_gitignore = Some(
        conversation
            .yes_no("Leave out what git ignores?", YesNo::Yes)
            .await?,
    );
    operation.include_hidden = Some(conversation.yes_no("Look at hidden files?", YesNo::No).await?);
    operation.exclude_patterns = ask_predefined(conversation, predefined).await?;
    if conversation
        .yes_no("Set more (depth, patterns, limits)?", YesNo::No)
        .await?
    {
        ask_more(conversation, &mut operation).await?;
    }
    Ok(operation)
}

async fn ask_paths(
    conversation: &Conversation,
    base: &str,
    operation_type: FolderOperationType,
) -> Result<OneOrMany<String>, TerminalError> {
    let base = known(base).map(std::path::Path::to_path_buf);
    let parse = move |typed: &str| {
        let paths: Vec<String> = list(typed)
            .iter()
            .map(|path| inside(path))
            .collect::<Result<_, _>>()?;
        let is_missing = |path: &&String| base.as_ref().is_some_and(|base| !base.join(path).exists());
        match paths.iter().find(is_missing) {
            Some(path) => Err(format!("there is no `{path}` in the base directory")),
            None => Ok(paths),
        }
    };
    let default = (operation_type != FolderOperationType::AnalyzeFile).then_some(".");
    let prompt = "Path in it, or several with commas ";
    let mut paths = conversation.parsed(prompt, default, parse).await?;
    Ok(match paths.len() {
        1 => OneOrMany::One(paths.remove(0)),
        _ => OneOrMany::Many(paths),
    })
}

async fn ask_predefined(
    conversation: &Conversation,
    predefined: &[Vec<String>],
) -> Result<Vec<String>, TerminalError> {
    if predefined.is_empty() {
        return Ok(Vec::new());
    }
    let labels = predefined.iter().map(|patterns| patterns.join(", "));
    let labels: Vec<String> = labels.chain(["nothing".to_owned()]).collect();
    let chosen = conversation.choice("What is left out?", &labels, 0).await?;
    Ok(predefined.get(chosen).cloned().unwrap_or_default())
}

async fn ask_more(
    conversation: &Conversation,
    operation: &mut FolderAnalysisOperation,
) -> Result<(), TerminalError> {
    let patterns = conversation
        .optional(
            "more patterns to leave out, with commas (empty for none): ",
            |typed| Ok(list(typed)),
        )
        .await?;
    operation.exclude_patterns.extend(patterns.unwrap_or_default());
    let depth = ask_limit(conversation, "max_depth (empty for all): ").await?;
    operation.max_depth = depth.and_then(|depth| depth.try_into().ok());
    let size = ask_limit(conversation, "max_file_size in KiB (empty for 1024): ").await?;
    operation.max_file_size = size.map(|kib| kib.saturating_mul(1024));
    let words = ask_limit(conversation, "max_words_per_file (empty for all): ").await?;
    operation.max_words_per_file = words.and_then(|words| words.try_into().ok());
    let words = ask_limit(conversation, "max_total_words (empty for all): ").await?;
    operation.max_total_words = words.and_then(|words| words.try_into().ok());
    Ok(())
}

async fn ask_limit(conversation: &Conversation, prompt: &str) -> Result<Option<u64>, TerminalError> {
    let parse = |typed: &str| match typed.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("type a number from 1".to_owned()),
    };
    conversation.optional(prompt, parse).await
}
