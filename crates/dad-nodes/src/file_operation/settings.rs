//! The settings and the input of a file operation.

use crate::serde_forms::ObjectTemplate;
use crate::settings_node::{setters, settings_node};
use dad_runner::NodeError;
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

settings_node!(
    /// Changing files.
    FileOperationNode,
    FileOperationNodeSettings,
    FILE_OPERATION
);

/// The settings of file operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FileOperationNodeSettings {
    /// Paths of operations are relative to it and never lead out of it; `.` in the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub base_directory: Option<String>,
    /// Whether paths must be relative to the base directory. Else a path may also be absolute, if it lies in the base
    /// directory or in one of `allowed_directories`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_relative_paths: Option<bool>,
    /// Further directories that absolute paths may lie in. None of them is left, just as the base directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub allowed_directories: Vec<String>,
    /// The operations, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub operations: Vec<FileOperation>,
    /// A template whose value is the list of operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub operations_template: Option<ObjectTemplate>,
    /// Whether no operation behind a failed one is planned; false by default, so that all failures are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
    /// The consequence of a failed operation for the others; `rollback` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub on_failure: Option<OnFailure>,
    /// Whether a text to replace is also found where only its indentation differs, which then is kept; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_indentation: Option<bool>,
    /// Whether each result holds the difference; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_diff_format: Option<bool>,
    /// Whether the changed files are put into the git index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<bool>,
    /// Whether the changed files, and nothing else, are committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<bool>,
    /// The message of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub commit_message: Option<String>,
    /// Whether a commit executes the hooks of the repository, if they are what they were before the step; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_hooks: Option<bool>,
}

setters! {
    impl FileOperationNodeSettings {
        list allowed_directories: String;
        list operations: FileOperation;
    }
}

impl FileOperationNodeSettings {
    /// Operations, in their order.
    #[must_use]
    pub fn new(operations: impl IntoIterator<Item = impl Into<FileOperation>>) -> Self {
        Self::default().operations(operations)
    }
}

impl FileOperationNodeSettings {
    /// # Errors
    /// If it is empty.
    pub(super) fn message_of_commit(&self) -> Result<&str, NodeError> {
        match self.commit_message.as_deref() {
            None => Ok("Change files"),
            Some(message) if message.trim().is_empty() => {
                let message = "`commit_message` is empty; nothing was changed";
                Err(NodeError::new("commit_message", message)
                    .with_hint("leave it out for `Change files`")
                    .permanent())
            }
            Some(message) => Ok(message),
        }
    }

    pub(super) fn uses_git(&self) -> bool {
        self.commit.unwrap_or(false) || self.stage.unwrap_or(false)
    }
}

/// The consequence of a failed operation for the others. The step fails either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// None of them is made.
    #[default]
    Rollback,
    /// Those that can be made are.
    Keep,
}

/// One change, or one look. Fields a model fills with null count as left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FileOperation {
    /// The kind of the operation.
    #[serde(rename = "type")]
    #[setters(into)]
    pub operation_type: FileOperationType,
    /// The file or directory, relative to the base directory. Looks without one are at the base directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub path: Option<String>,
    /// The content of a file to create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub content: Option<String>,
    /// The replacements in a file to edit, made one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub edits: Option<Vec<FileEdit>>,
    /// Whether the change is only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// The path that is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub source: Option<String>,
    /// The path that it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub destination: Option<String>,
    /// Several files or directories in place of `path`, each with a result of its own; not for files that are created or
    /// edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub paths: Option<Vec<String>>,
    /// Whether it is no failure if what is to be removed or moved is not there; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_ok: Option<bool>,
    /// Of `set_executable`, whether the file may be executed; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// The criteria of a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub search_config: Option<SearchConfig>,
}

setters! {
    impl FileOperation {
        optional_list edits: FileEdit;
        optional_list paths: String;
    }
}

impl FileOperation {
    /// An operation of a type; the setters give it what the type needs.
    #[must_use]
    pub fn new(operation_type: FileOperationType) -> Self {
        Self::default().operation_type(operation_type)
    }
}

/// The criteria of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct SearchConfig {
    /// With wildcards or `/`, a pattern as in `.gitignore`; else a part of the name, in any case.
    #[setters(into)]
    pub pattern: String,
    /// Patterns as in `.gitignore` of what is left out, with everything below it.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<Vec<String>>")]
    #[setters(skip)]
    pub exclude_patterns: Vec<String>,
}

setters! {
    impl SearchConfig {
        list exclude_patterns: String;
    }
}

impl SearchConfig {
    /// A search for a pattern.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self::default().pattern(pattern)
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileOperationType {
    /// Gives a file its content. One that exists is replaced, and keeps what it has beside its content.
    #[default]
    CreateFile,
    /// Replaces texts in a file.
    EditFile,
    /// Allows or forbids to execute a file, to those who may read it.
    SetExecutable,
    /// Removes a file, or a symbolic link.
    DeleteFile,
    /// Makes a directory and those above it.
    CreateDirectory,
    /// Removes a directory with everything in it.
    DeleteDirectory,
    /// Moves a file, a symbolic link, or a directory with everything in it.
    MoveFile,
    /// Lists a directory.
    ListDirectory,
    /// Finds files and directories by their names.
    SearchFiles,
    /// Says what stands under a path.
    GetFileInfo,
    /// Says which directories operations may work in.
    ListAllowedDirectories,
}

impl FileOperationType {
    /// The fields that an operation needs, of several one.
    pub(super) const fn needs(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::CreateFile => &[&["path"], &["content"]],
            Self::EditFile => &[&["path"], &["edits"]],
            Self::DeleteFile
            | Self::SetExecutable
            | Self::CreateDirectory
            | Self::DeleteDirectory
            | Self::GetFileInfo => &[&["path", "paths"]],
            Self::MoveFile => &[&["source"], &["destination"]],
            Self::SearchFiles => &[&["search_config"]],
            Self::ListDirectory | Self::ListAllowedDirectories => &[],
        }
    }

    pub(super) const fn is_look(self) -> bool {
        matches!(
            self,
            Self::ListDirectory | Self::SearchFiles | Self::GetFileInfo | Self::ListAllowedDirectories
        )
    }
}

/// One replacement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FileEdit {
    /// A text that stands in the file exactly once, with everything that is blank.
    #[setters(into)]
    pub old_text: String,
    /// The text in its place afterwards.
    #[setters(into)]
    pub new_text: String,
}

impl FileEdit {
    /// The replacement of one text by another.
    #[must_use]
    pub fn new(old_text: impl Into<String>, new_text: impl Into<String>) -> Self {
        Self::default().old_text(old_text).new_text(new_text)
    }
}

/// The input of file operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FileOperationNodeInput {
    /// Other operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub operations: Option<Vec<FileOperation>>,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub settings_override: Option<Value>,
}

setters! {
    impl FileOperationNodeInput {
        optional_list operations: FileOperation;
    }
}
