use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dad_core::Timestamp;
use dad_fs::{Dir, EntryKind};
use dad_runner::{Node, NodeContext, NodeError, NodeOutput, ReadSet, World};
use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::serde_forms::{ObjectTemplate, OneOrMany};
use crate::settings_node::settings_node;

/// Files above this size, in bytes, are named and not read by default.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// How many words a preview holds.
const PREVIEW_WORDS: usize = 100;

/// How many bytes at the beginning of a file tell whether it is text.
const SNIFFED: usize = 8000;

settings_node!(
    /// Reading a tree of files.
    FolderAnalyzerNode,
    FolderAnalyzerSettings,
    FOLDER_ANALYZER
);

/// What is read, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderAnalyzerSettings {
    /// Paths of operations are relative to it and never lead out of it; `.` in the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_directory: Option<String>,
    /// What is done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<FolderAnalysisOperation>,
    /// A template whose value is the list of operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations_template: Option<ObjectTemplate>,
    /// Whether the first operation that fails is the last; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
}

/// One look at files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderAnalysisOperation {
    /// What is looked at.
    pub operation_type: FolderOperationType,
    /// One path or several, relative to the base directory; `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<OneOrMany<String>>,
    /// How much of each file is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_read_mode: Option<ContentReadMode>,
    /// Directories below the path; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<usize>,
    /// Whether files that git ignores are left out; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respect_gitignore: Option<bool>,
    /// Patterns, as in a `.gitignore`, of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_patterns: Vec<String>,
    /// Whether names that begin with a dot are looked at; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_hidden: Option<bool>,
    /// Files above this size, in bytes, are named and not read; 1 MiB by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<u64>,
    /// Words read of each file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_words_per_file: Option<usize>,
    /// Words read of all files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_words: Option<usize>,
}

/// What an operation looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FolderOperationType {
    /// The files below a directory, with as much of their content as is asked for.
    #[default]
    AnalyzeFolder,
    /// One file, with its content.
    AnalyzeFile,
    /// The names of the files below a directory.
    FindFiles,
    /// A drawing of the directory, files included.
    GetStructure,
    /// A drawing of the directory, files included.
    GetTreeDiagram,
}

impl FolderOperationType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AnalyzeFolder => "analyze_folder",
            Self::AnalyzeFile => "analyze_file",
            Self::FindFiles => "find_files",
            Self::GetStructure => "get_structure",
            Self::GetTreeDiagram => "get_tree_diagram",
        }
    }
}

/// How much of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentReadMode {
    /// Nothing.
    None,
    /// The first hundred words.
    Preview,
    /// All of it.
    Full,
}

/// What can be given to an analysis from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderAnalyzerNodeInput {
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_override: Option<Value>,
}

/// Executes `folder_analyzer`.
#[derive(Debug, Default)]
pub(crate) struct FolderAnalyzerExecutor;

#[async_trait]
impl Node for FolderAnalyzerExecutor {
    type Settings = FolderAnalyzerSettings;
    type Input = FolderAnalyzerNodeInput;
    const TYPE: &'static str = "folder_analyzer";
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        (
            "use_relative_paths",
            "paths are always relative to `base_directory`",
        ),
        ("allowed_directories", "an analysis never leaves `base_directory`"),
        (
            "operations.additional_gitignore_paths",
            "use `exclude_patterns` in this version",
        ),
        (
            "operations.include_root_in_path",
            "paths are always relative to `base_directory`",
        ),
        (
            "operations.content_exclusions",
            "contents are not stripped in this version",
        ),
        (
            "operations.content_structure_detail_level",
            "outlines are not made in this version",
        ),
        (
            "operations.include_primary_meta",
            "files are not described in this version",
        ),
        (
            "operations.include_stats_and_meta",
            "files are not described in this version",
        ),
        (
            "operations.generate_tree_diagram",
            "use `operation_type: get_tree_diagram`",
        ),
        (
            "operations.tree_diagram_max_depth",
            "use `operation_type: get_tree_diagram` with `max_depth`",
        ),
        (
            "operations.tree_diagram_include_files",
            "drawings always hold files in this version",
        ),
    ];

    async fn world(&self, settings: &FolderAnalyzerSettings) -> Result<World, NodeError> {
        // A relative base lies in the run directory, which is new for every run, so nothing there is compared.
        let Some(base) = settings
            .base_directory
            .clone()
            .map(PathBuf::from)
            .filter(|base| base.is_absolute())
        else {
            return Ok(World::Effect);
        };
        let operations = operations(settings)?;
        blocking(move || reads(&base, &operations).map(World::Reads)).await
    }

    async fn execute(
        &self,
        settings: FolderAnalyzerSettings,
        _: Option<FolderAnalyzerNodeInput>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        let operations = operations(&settings)?;
        let base = cx
            .run()
            .identity()
            .run_dir
            .join(settings.base_directory.as_deref().unwrap_or("."));
        let fail_fast = settings.fail_fast.unwrap_or(true);
        let output = blocking(move || analyze(&base, &operations, fail_fast)).await?;
        Ok(output)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(NodeError::from_error("folder_analyzer", &error)))
}

fn operations(settings: &FolderAnalyzerSettings) -> Result<Vec<FolderAnalysisOperation>, NodeError> {
    crate::serde_forms::operations(&settings.operations, settings.operations_template.as_ref())
}

/// One file that an operation found.
struct Found {
    /// Relative to the base directory, with `/`.
    path: String,
    kind: EntryKind,
    len: u64,
    modified: Option<Timestamp>,
}

/// What is below a path, in the order of the names.
fn walk(base: &Path, path: &str, operation: &FolderAnalysisOperation) -> Result<Vec<Found>, NodeError> {
    let start = contained(base, path)?;
    let mut builder = WalkBuilder::new(&start);
    let respect = operation.respect_gitignore.unwrap_or(true);
    builder
        .standard_filters(false)
        .hidden(!operation.include_hidden.unwrap_or(false))
        .git_ignore(respect)
        .git_exclude(respect)
        .ignore(respect)
        .parents(respect)
        .require_git(false)
        .follow_links(false)
        .max_depth(operation.max_depth)
        .sort_by_file_name(Ord::cmp);
    builder.overrides(excludes(&start, &operation.exclude_patterns)?);
    let mut found = Vec::new();
    for entry in builder.build() {
        let entry = entry.map_err(|error| NodeError::new("folder", error.to_string()))?;
        if entry.depth() == 0 && !entry.path().is_file() {
            continue;
        }
        let metadata = entry
            .metadata()
            .map_err(|error| NodeError::new("folder", error.to_string()))?;
        let kind = match entry.file_type() {
            Some(t) if t.is_file() => EntryKind::File,
            Some(t) if t.is_dir() => EntryKind::Dir,
            Some(t) if t.is_symlink() => EntryKind::Symlink,
            _ => EntryKind::Other,
        };
        let modified = metadata.modified().ok().and_then(|time| time.try_into().ok());
        let relative = entry.path().strip_prefix(base).unwrap_or(entry.path());
        found.push(Found {
            path: relative.to_string_lossy().replace('\\', "/"),
            kind,
            len: metadata.len(),
            modified,
        });
    }
    Ok(found)
}

fn excludes(start: &Path, patterns: &[String]) -> Result<ignore::overrides::Override, NodeError> {
    let wrong = |error: ignore::Error| NodeError::new("exclude_patterns", error.to_string()).permanent();
    let mut builder = OverrideBuilder::new(start);
    // The repository's own data is never part of the tree it describes.
    for pattern in patterns.iter().map(String::as_str).chain([".git"]) {
        builder.add(&format!("!{pattern}")).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

/// The place of a path inside the base, whatever links stand on the way.
fn contained(base: &Path, path: &str) -> Result<PathBuf, NodeError> {
    let missing = |error: std::io::Error| {
        NodeError::new("folder", format!("`{path}` in `{}`: {error}", base.display()))
    };
    let base = base.canonicalize().map_err(|error| {
        NodeError::new(
            "base_directory",
            format!("the base directory `{}` cannot be used: {error}", base.display()),
        )
        .permanent()
    })?;
    let place = base.join(path).canonicalize().map_err(missing)?;
    if !place.starts_with(&base) {
        return Err(
            NodeError::new("outside", format!("`{path}` lies outside `{}`", base.display())).permanent(),
        );
    }
    Ok(place)
}

/// What changes when the content of a file does.
fn stamp(len: u64, modified: Option<Timestamp>) -> String {
    match modified {
        Some(modified) => format!("{len} bytes, changed {modified}"),
        None => format!("{len} bytes"),
    }
}

/// Everything the operations would read, with sizes and times of change.
fn reads(base: &Path, operations: &[FolderAnalysisOperation]) -> Result<ReadSet, NodeError> {
    let base = canonical(base)?;
    let mut found = ReadSet::default();
    for operation in operations {
        for path in paths(operation) {
            for entry in walk(&base, path, operation)? {
                // What is in a directory stands for it: its own time changes with every temporary file.
                let stamp = match entry.kind {
                    EntryKind::Dir => "directory".to_owned(),
                    _ => stamp(entry.len, entry.modified),
                };
                found.reads.insert(entry.path, stamp);
            }
        }
    }
    Ok(found)
}

fn canonical(base: &Path) -> Result<PathBuf, NodeError> {
    contained(base, ".")
}

fn paths(operation: &FolderAnalysisOperation) -> Vec<&str> {
    match &operation.path {
        None => vec!["."],
        Some(paths) => paths.as_slice().iter().map(String::as_str).collect(),
    }
}

fn analyze(
    base: &Path,
    operations: &[FolderAnalysisOperation],
    fail_fast: bool,
) -> Result<NodeOutput, NodeError> {
    let base = canonical(base)?;
    let dir = Dir::open(&base)?;
    let mut results = Vec::new();
    let mut failure = None;
    let mut words = 0;
    for operation in operations {
        for path in paths(operation) {
            match look(&base, &dir, path, operation) {
                Ok((result, read)) => {
                    words += read;
                    results.push(result);
                }
                Err(error) => {
                    let message = error.info.message.clone();
                    let kind = operation.operation_type.as_str();
                    results.push(
                        json!({ "operation_type": kind, "path": path, "success": false, "error": message }),
                    );
                    failure.get_or_insert(error);
                }
            }
        }
        if failure.is_some() && fail_fast {
            break;
        }
    }
    let succeeded = results.iter().filter(|result| result["success"] == true).count();
    let data = json!({
        "base_directory": base,
        "success": failure.is_none(),
        "operations_count": results.len(),
        "successful_operations": succeeded,
        "failed_operations": results.len() - succeeded,
        "words_read": words,
    });
    let summary = format!("{succeeded} of {} operations, {words} words", results.len());
    let output = NodeOutput::new(json!({ "base_directory": base, "results": results }))
        .with_output(json!({ "data": data }))
        .with_summary(summary);
    match failure {
        Some(error) if fail_fast => Err(error.with_partial(output)),
        _ => Ok(output),
    }
}

/// Does one operation on one path; returns its result and how many words were read.
fn look(
    base: &Path,
    dir: &Dir,
    path: &str,
    operation: &FolderAnalysisOperation,
) -> Result<(Value, usize), NodeError> {
    let kind = operation.operation_type;
    let mut result = json!({ "operation_type": kind.as_str(), "path": path, "success": true });
    let mut words = Words::new(operation);
    match kind {
        FolderOperationType::AnalyzeFolder => {
            let found = walk(base, path, operation)?;
            let mode = operation.content_read_mode.unwrap_or(ContentReadMode::None);
            let files = found.iter().filter(|found| found.kind != EntryKind::Dir);
            let children: Vec<Value> = files
                .map(|found| describe(dir, found, mode, operation, &mut words))
                .collect::<Result<_, _>>()?;
            result["analysis"] = json!({ "path": path, "children": children });
        }
        FolderOperationType::AnalyzeFile => {
            contained(base, path)?;
            let len = dir.len(path)?.unwrap_or(0);
            let found = Found {
                path: path.to_owned(),
                kind: EntryKind::File,
                len,
                modified: None,
            };
            let mode = operation.content_read_mode.unwrap_or(ContentReadMode::Full);
            result["file_info"] = describe(dir, &found, mode, operation, &mut words)?;
        }
        FolderOperationType::FindFiles => {
            let found = walk(base, path, operation)?;
            let names = found
                .into_iter()
                .filter(|found| found.kind == EntryKind::File)
                .map(|found| found.path);
            result["files_found"] = names.collect::<Vec<_>>().into();
        }
        FolderOperationType::GetStructure | FolderOperationType::GetTreeDiagram => {
            let start = contained(base, path)?;
            let name = start
                .file_name()
                .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
            let below = start.strip_prefix(base).unwrap_or(Path::new("")).to_path_buf();
            result["tree_diagram"] = draw(&name, &below, &walk(base, path, operation)?).into();
        }
    }
    if matches!(
        kind,
        FolderOperationType::AnalyzeFolder | FolderOperationType::AnalyzeFile
    ) {
        result["words_read"] = words.read.into();
    }
    Ok((result, words.read))
}

/// How many words may still be read.
struct Words {
    read: usize,
    per_file: usize,
    total: usize,
}

impl Words {
    fn new(operation: &FolderAnalysisOperation) -> Self {
        Self {
            read: 0,
            per_file: operation.max_words_per_file.unwrap_or(usize::MAX),
            total: operation.max_total_words.unwrap_or(usize::MAX),
        }
    }

    /// As much of a text as may be read, and whether that is all of it.
    fn take<'a>(&mut self, text: &'a str, mode: ContentReadMode) -> (&'a str, bool) {
        let preview = if mode == ContentReadMode::Preview {
            PREVIEW_WORDS
        } else {
            usize::MAX
        };
        let limit = preview
            .min(self.per_file)
            .min(self.total.saturating_sub(self.read));
        let mut count = 0;
        let mut end = 0;
        let mut in_word = false;
        for (index, character) in text.char_indices() {
            if character.is_whitespace() {
                in_word = false;
            } else if !in_word {
                if count == limit {
                    self.read += count;
                    return (text[..end].trim_end(), false);
                }
                in_word = true;
                count += 1;
            }
            end = index + character.len_utf8();
        }
        self.read += count;
        (text, true)
    }
}

fn describe(
    dir: &Dir,
    found: &Found,
    mode: ContentReadMode,
    operation: &FolderAnalysisOperation,
    words: &mut Words,
) -> Result<Value, NodeError> {
    let mut info = json!({ "path": found.path });
    if found.kind == EntryKind::Symlink {
        // Reported and never followed: it may lead anywhere.
        info["symlink"] = true.into();
        return Ok(info);
    }
    if mode == ContentReadMode::None || found.kind != EntryKind::File {
        return Ok(info);
    }
    let limit = operation.max_file_size.unwrap_or(MAX_FILE_SIZE);
    if found.len > limit {
        info["content_left_out"] =
            format!("{} bytes are more than `max_file_size` {limit}", found.len).into();
        return Ok(info);
    }
    let bytes = dir.read(&found.path)?;
    if bytes[..bytes.len().min(SNIFFED)].contains(&0) {
        info["content_left_out"] = "the file is not text".into();
        return Ok(info);
    }
    let text = String::from_utf8_lossy(&bytes);
    let (taken, whole) = words.take(&text, mode);
    info["content"] = taken.into();
    if !whole {
        info["truncated"] = true.into();
    }
    Ok(info)
}

/// Draws a directory as text, the way the `tree` program does.
fn draw(name: &str, below: &Path, found: &[Found]) -> String {
    let mut lines = vec![name.to_owned()];
    let entries: Vec<(Vec<&str>, EntryKind)> = found
        .iter()
        .filter_map(|found| {
            let relative = Path::new(&found.path).strip_prefix(below).ok()?;
            Some((
                relative
                    .components()
                    .filter_map(|c| c.as_os_str().to_str())
                    .collect(),
                found.kind,
            ))
        })
        .collect();
    draw_level(&entries, 0, "", &mut lines);
    lines.join("\n")
}

fn draw_level(entries: &[(Vec<&str>, EntryKind)], depth: usize, indent: &str, lines: &mut Vec<String>) {
    let mut groups: Vec<(&str, usize, usize)> = Vec::new();
    for (index, (segments, _)) in entries.iter().enumerate() {
        let Some(segment) = segments.get(depth) else {
            continue;
        };
        match groups.last_mut() {
            Some((name, _, end)) if name == segment => *end = index + 1,
            _ => groups.push((segment, index, index + 1)),
        }
    }
    let last = groups.len().saturating_sub(1);
    for (number, (name, begin, end)) in groups.into_iter().enumerate() {
        let (branch, deeper) = if number == last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        lines.push(format!("{indent}{branch}{name}"));
        draw_level(
            &entries[begin..end],
            depth + 1,
            &format!("{indent}{deeper}"),
            lines,
        );
    }
}
