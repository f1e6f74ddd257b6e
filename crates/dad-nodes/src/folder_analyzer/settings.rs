//! The settings and the input of a folder analysis.

use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::serde_forms::{ObjectTemplate, OneOrMany};
use crate::settings_node::{setters, settings_node};

settings_node!(
    /// Reading a tree of files.
    FolderAnalyzerNode,
    FolderAnalyzerSettings,
    FOLDER_ANALYZER
);

/// The settings of an analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FolderAnalyzerSettings {
    /// Paths of operations are relative to it and never lead out of it; `.` in the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub base_directory: Option<String>,
    /// Whether paths in results are relative to the base directory; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_relative_paths: Option<bool>,
    /// Directories, absolute or relative to the base directory, in which alone operations look, instead of in the base
    /// directory. Only by them can something outside the base directory be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub allowed_directories: Vec<String>,
    /// The operations, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub operations: Vec<FolderAnalysisOperation>,
    /// A template whose value is the list of operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub operations_template: Option<ObjectTemplate>,
    /// Whether the first operation that fails is the last; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
}

setters! {
    impl FolderAnalyzerSettings {
        list allowed_directories: String;
        list operations: FolderAnalysisOperation;
    }
}

impl FolderAnalyzerSettings {
    /// Operations, in their order.
    #[must_use]
    pub fn new(operations: impl IntoIterator<Item = impl Into<FolderAnalysisOperation>>) -> Self {
        Self::default().operations(operations)
    }
}

/// One look at files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FolderAnalysisOperation {
    /// The kind of the operation.
    #[setters(into)]
    pub operation_type: FolderOperationType,
    /// One path or several, relative to the base directory; `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub path: Option<OneOrMany<String>>,
    /// The part of each file that is read: nothing of those of a folder, all of a single one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub content_read_mode: Option<ContentReadMode>,
    /// Files of patterns as in a `.gitignore`, relative to the base directory, that count too. The patterns are relative
    /// to the file's directory if that is around what is looked at, else to the base directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub additional_gitignore_paths: Vec<String>,
    /// Whether paths in results begin with the name of the base directory; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_root_in_path: Option<bool>,
    /// Levels of directories looked into below the path, 0 for the path itself only; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<usize>,
    /// Whether files that git ignores are left out; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respect_gitignore: Option<bool>,
    /// Patterns, as in a `.gitignore`, of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub exclude_patterns: Vec<String>,
    /// Whether results list what was left out, each with the rule or setting that says so; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_ignored: Option<bool>,
    /// Whether names that begin with a dot are looked at; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_hidden: Option<bool>,
    /// The parts that are left out of contents in the mode `full`. Comments and docstrings are known in Rust, Python,
    /// TypeScript and
    /// JavaScript.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub content_exclusions: Vec<ContentExclusion>,
    /// The detail of an outline in the mode `structure`; `detailed` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub content_structure_detail_level: Option<StructureDetailLevel>,
    /// Files above this size, in bytes, are named and not read; 1 MiB by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<u64>,
    /// Words read of each file. A word has 64 bytes at most; a character of Chinese, Japanese or Korean is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_words_per_file: Option<usize>,
    /// Words read of all files together; when they are used up, files are named and not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_words: Option<usize>,
    /// Bytes read of each file, in UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_file: Option<usize>,
    /// Bytes read of all files together; when they are used up, files are named and not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_bytes: Option<usize>,
    /// Tokens read of each file, estimated: one for every three bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_file: Option<usize>,
    /// Tokens read of all files together, estimated: one for every three bytes. When they are used up, files are named and
    /// not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<usize>,
    /// Whether generated and minified files and lock files are recognised and shortened, and notebooks shown as their cells;
    /// false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect_generated: Option<bool>,
    /// Whether words, media type and kind of files, and the numbers of files and directories are reported; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_primary_meta: Option<bool>,
    /// Whether size, times and permissions are reported; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_stats_and_meta: Option<bool>,
    /// Whether a folder is drawn too: false by default, true for `get_structure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate_tree_diagram: Option<bool>,
    /// Levels of a drawing; `max_depth`, else all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_diagram_max_depth: Option<usize>,
    /// Whether drawings show files; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_diagram_include_files: Option<bool>,
    /// Whether `children` of a folder is one list of all files below it, in place of directories in directories; false by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<bool>,
}

setters! {
    impl FolderAnalysisOperation {
        list additional_gitignore_paths: String;
        list exclude_patterns: String;
        list content_exclusions: ContentExclusion;
    }
}

impl FolderAnalysisOperation {
    /// An operation of a type, at the base directory unless it is given a path.
    #[must_use]
    pub fn new(operation_type: FolderOperationType) -> Self {
        Self::default().operation_type(operation_type)
    }
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FolderOperationType {
    /// The tree below a directory, with as much of the files' content as is asked for.
    #[default]
    AnalyzeFolder,
    /// One file, with its content.
    AnalyzeFile,
    /// The names of the files below a directory.
    FindFiles,
    /// The tree below a directory without contents, and its drawing.
    GetStructure,
    /// A drawing of the directory.
    GetTreeDiagram,
}

/// The part of a file that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentReadMode {
    /// Nothing.
    None,
    /// The first five lines, and of them no more than a hundred words.
    Preview,
    /// All of it.
    Full,
    /// An outline of Rust, Python, TypeScript and JavaScript; all of any other file.
    Structure,
}

/// A part that is left out of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentExclusion {
    /// Docstrings and documentation comments.
    DocStrings,
    /// All other comments.
    Comments,
    /// Lines without text, except in strings.
    BlankLines,
}

/// The detail of an outline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StructureDetailLevel {
    /// Imports, and the names of types and functions.
    Basic,
    /// Signatures, documentation and what is inherited too.
    Standard,
    /// Attributes and decorators, type hints, fields, constants and nested definitions too.
    #[default]
    Detailed,
    /// The beginnings of bodies too, without comments.
    Full,
}

/// The input of an analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FolderAnalyzerNodeInput {
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub settings_override: Option<Value>,
}

/// Most errors of one operation that are reported one by one.
pub(super) const MAX_ERRORS: usize = 100;

/// The field for the beginning of a file's content.
pub(super) const PREVIEW: &str = "content_preview";
