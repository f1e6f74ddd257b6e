use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use dad_fs::{Dir, Durability, EntryKind};
use dad_run::RunHandle;
use dad_runner::{Node, NodeContext, NodeError, NodeOutput, World};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use similar::TextDiff;

use crate::git;
use crate::serde_forms::ObjectTemplate;
use crate::settings_node::settings_node;

settings_node!(
    /// Changing files.
    FileOperationNode,
    FileOperationNodeSettings,
    FILE_OPERATION
);

/// What is changed, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOperationNodeSettings {
    /// Paths of operations are relative to it and never lead out of it; `.` in the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_directory: Option<String>,
    /// What is done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<FileOperation>,
    /// A template whose value is the list of operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations_template: Option<ObjectTemplate>,
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
    pub commit_message: Option<String>,
}

/// One change, or one look. Fields a model fills with null count as left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOperation {
    /// What is done.
    #[serde(rename = "type")]
    pub operation_type: FileOperationType,
    /// The file or directory, relative to the base directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The content of a file to create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The replacements in a file to edit, made one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Vec<FileEdit>>,
    /// Whether the change is only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// What is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Not used by the supported types; null is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Not used by the supported types; null is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_config: Option<Value>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileOperationType {
    /// Gives a file its content; one that exists is replaced.
    #[default]
    CreateFile,
    /// Replaces texts in a file.
    EditFile,
    /// Removes a file.
    DeleteFile,
    /// Makes a directory and those above it.
    CreateDirectory,
    /// Moves a file.
    MoveFile,
    /// Lists a directory.
    ListDirectory,
    /// Says what stands under a path.
    GetFileInfo,
}

/// One replacement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEdit {
    /// A text that stands in the file exactly once.
    pub old_text: String,
    /// What stands there afterwards.
    pub new_text: String,
}

/// What can be given to file operations from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOperationNodeInput {
    /// Other operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<FileOperation>>,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_override: Option<Value>,
}

/// Executes `file_operation`.
#[derive(Debug, Default)]
pub(crate) struct FileOperationExecutor;

#[async_trait]
impl Node for FileOperationExecutor {
    type Settings = FileOperationNodeSettings;
    type Input = FileOperationNodeInput;
    const TYPE: &'static str = "file_operation";
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        (
            "use_relative_paths",
            "paths are always relative to `base_directory`",
        ),
        ("allowed_directories", "operations never leave `base_directory`"),
        ("fail_fast", "all operations are made, or none"),
        ("on_failure", "all operations are made, or none"),
        (
            "preserve_indentation",
            "texts are replaced exactly as they are written",
        ),
    ];

    async fn world(&self, _: &FileOperationNodeSettings) -> Result<World, NodeError> {
        Ok(World::Effect)
    }

    async fn preview(
        &self,
        settings: &FileOperationNodeSettings,
        input: Option<&FileOperationNodeInput>,
        run: &RunHandle,
    ) -> Result<String, NodeError> {
        let operations = operations(settings, input)?;
        let base = base_directory(settings, run);
        let looked = tokio::task::spawn_blocking(move || preview(&base, &operations)).await;
        looked.unwrap_or_else(|error| Err(NodeError::from_error("file_operation", &error)))
    }

    fn state(
        &self,
        settings: &FileOperationNodeSettings,
        input: Option<&FileOperationNodeInput>,
        cx: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        let operations = operations(settings, input)?;
        Ok(Some(
            json!({ "base_directory": base_directory(settings, cx.run()), "operations": operations }),
        ))
    }

    async fn execute(
        &self,
        settings: FileOperationNodeSettings,
        input: Option<FileOperationNodeInput>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        let operations = operations(&settings, input.as_ref())?;
        let base = base_directory(&settings, cx.run());
        let with_diff = settings.return_diff_format.unwrap_or(true);
        let place = base.clone();
        let durability = cx.run().durability();
        let change = move || change_all(&place, &operations, with_diff, durability);
        let changed = tokio::task::spawn_blocking(change).await;
        let changed = changed.unwrap_or_else(|error| Err(NodeError::from_error("file_operation", &error)))?;
        record_in_git(&settings, &base, &changed)
            .await
            .map_err(|error| error.with_partial(changed.output(&base)))?;
        Ok(changed.output(&base))
    }
}

fn operations(
    settings: &FileOperationNodeSettings,
    input: Option<&FileOperationNodeInput>,
) -> Result<Vec<FileOperation>, NodeError> {
    if let Some(given) = input.and_then(|input| input.operations.clone()) {
        return Ok(given);
    }
    crate::serde_forms::operations(&settings.operations, settings.operations_template.as_ref())
}

fn base_directory(settings: &FileOperationNodeSettings, run: &RunHandle) -> PathBuf {
    run.identity()
        .run_dir
        .join(settings.base_directory.as_deref().unwrap_or("."))
}

async fn record_in_git(
    settings: &FileOperationNodeSettings,
    base: &Path,
    changed: &Changed,
) -> Result<(), NodeError> {
    let commit = settings.commit.unwrap_or(false);
    if !commit && !settings.stage.unwrap_or(false) {
        return Ok(());
    }
    let touched = &changed.touched;
    git::stage(base, touched).await?;
    if commit {
        let differing = git::changed(base, touched).await?;
        let message = settings.commit_message.as_deref().unwrap_or("Change files");
        git::commit(base, &differing, message).await?;
    }
    Ok(())
}

/// What the operations came to.
struct Changed {
    results: Vec<Value>,
    /// Files that were changed, or had been already.
    touched: Vec<String>,
}

impl Changed {
    fn output(&self, base: &Path) -> NodeOutput {
        let unchanged = self
            .results
            .iter()
            .filter(|result| result["unchanged"] == true)
            .count();
        let count = self.results.len();
        let data = json!({
            "base_directory": base,
            "success": true,
            "operations_count": count,
            "successful_operations": count,
            "failed_operations": 0,
        });
        let summary = match unchanged {
            0 => format!("{count} operations"),
            n => format!("{count} operations, {n} unchanged"),
        };
        NodeOutput::new(json!({ "base_directory": base, "results": self.results }))
            .with_output(json!({ "data": data }))
            .with_summary(summary)
    }
}

/// The files as they will be: what each path held before and what it is to hold. `None` means it does not exist.
#[derive(Default)]
struct Tree {
    before: BTreeMap<String, Option<Vec<u8>>>,
    after: BTreeMap<String, Option<Vec<u8>>>,
    directories: Vec<String>,
}

/// Computes every content first, then makes all changes; if one cannot be made, those before it are taken back.
fn change_all(
    base: &Path,
    operations: &[FileOperation],
    with_diff: bool,
    durability: Durability,
) -> Result<Changed, NodeError> {
    let dir = Dir::open(base).map_err(|error| NodeError::from_error("base_directory", &error).permanent())?;
    let mut tree = Tree::default();
    let mut results = Vec::new();
    let mut touched = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let number = index + 1;
        let planned = tree
            .plan(&dir, operation, with_diff)
            .map_err(|error| at_operation(error, number, operation))?;
        if operation.dry_run != Some(true) {
            touched.extend(planned.touched);
        }
        results.push(planned.result);
    }
    tree.apply(&dir, durability)?;
    touched.sort();
    touched.dedup();
    Ok(Changed { results, touched })
}

/// The differences that all changes together would make.
fn preview(base: &Path, operations: &[FileOperation]) -> Result<String, NodeError> {
    let dir = Dir::open(base).map_err(|error| NodeError::from_error("base_directory", &error).permanent())?;
    let mut tree = Tree::default();
    let mut lines = vec![format!("in {}", base.display())];
    for (index, operation) in operations.iter().enumerate() {
        let number = index + 1;
        let planned = tree
            .plan(&dir, operation, true)
            .map_err(|error| at_operation(error, number, operation))?;
        let text = |name: &str| planned.result[name].as_str().unwrap_or_default().to_owned();
        let unchanged = if planned.result["unchanged"] == true {
            ", which is so already"
        } else {
            ""
        };
        lines.push(format!("{number}. {} {}{unchanged}", text("type"), text("path")));
        lines.push(text("diff"));
    }
    lines.retain(|line| !line.is_empty());
    Ok(lines.join("\n"))
}

fn at_operation(mut error: NodeError, number: usize, operation: &FileOperation) -> NodeError {
    let kind = serde_json::to_value(operation.operation_type).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default().to_owned();
    error.info.message = format!("operation {number} ({kind}): {}", error.info.message);
    if error.info.hint.is_none() {
        error = error.with_hint("nothing was changed");
    }
    error.permanent()
}

struct Planned {
    result: Value,
    touched: Vec<String>,
}

impl Tree {
    fn plan(&mut self, dir: &Dir, operation: &FileOperation, with_diff: bool) -> Result<Planned, NodeError> {
        match operation.operation_type {
            FileOperationType::CreateFile => {
                let path = path_of(operation.path.as_deref(), "path")?;
                let content = operation.content.clone().ok_or_else(|| missing("content"))?;
                self.write(dir, operation, path, Some(content.into_bytes()), with_diff)
            }
            FileOperationType::EditFile => {
                let path = path_of(operation.path.as_deref(), "path")?;
                let edits = operation.edits.as_deref().filter(|edits| !edits.is_empty());
                let edited = self.edit(dir, &path, edits.ok_or_else(|| missing("edits"))?)?;
                self.write(dir, operation, path, Some(edited.into_bytes()), with_diff)
            }
            FileOperationType::DeleteFile => {
                let path = path_of(operation.path.as_deref(), "path")?;
                self.write(dir, operation, path, None, with_diff)
            }
            FileOperationType::MoveFile => self.plan_move(dir, operation),
            FileOperationType::CreateDirectory => self.plan_directory(dir, operation),
            FileOperationType::ListDirectory => list(dir, operation),
            FileOperationType::GetFileInfo => info(dir, operation),
        }
    }

    /// What a path holds after the operations planned so far.
    fn content(&mut self, dir: &Dir, path: &str) -> Result<Option<Vec<u8>>, NodeError> {
        if let Some(planned) = self.after.get(path) {
            return Ok(planned.clone());
        }
        let before = match dir.kind(path)? {
            None => None,
            Some(EntryKind::File) => Some(dir.read(path)?),
            Some(kind) => {
                let what = match kind {
                    EntryKind::Dir => "a directory",
                    EntryKind::Symlink => "a symbolic link, which is not followed",
                    _ => "not a regular file",
                };
                return Err(NodeError::new("not_a_file", format!("`{path}` is {what}")));
            }
        };
        self.before.insert(path.to_owned(), before.clone());
        Ok(before)
    }

    fn write(
        &mut self,
        dir: &Dir,
        operation: &FileOperation,
        path: String,
        content: Option<Vec<u8>>,
        with_diff: bool,
    ) -> Result<Planned, NodeError> {
        let before = self.content(dir, &path)?;
        let mut result = json!({ "type": operation.operation_type, "path": path, "success": true });
        if before == content {
            result["unchanged"] = true.into();
        } else if with_diff {
            result["diff"] = diff(&path, before.as_deref(), content.as_deref()).into();
        }
        if operation.dry_run == Some(true) {
            result["dry_run"] = true.into();
        } else {
            self.after.insert(path.clone(), content);
        }
        Ok(Planned {
            result,
            touched: vec![path],
        })
    }

    fn edit(&mut self, dir: &Dir, path: &str, edits: &[FileEdit]) -> Result<String, NodeError> {
        let bytes = self.content(dir, path)?;
        let bytes = bytes.ok_or_else(|| NodeError::new("not_found", format!("`{path}` does not exist")))?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| NodeError::new("not_text", format!("`{path}` is not text in UTF-8")))?;
        for (index, edit) in edits.iter().enumerate() {
            text = apply_edit(path, index + 1, text, edit)?;
        }
        Ok(text)
    }

    fn plan_move(&mut self, dir: &Dir, operation: &FileOperation) -> Result<Planned, NodeError> {
        let source = path_of(operation.source.as_deref(), "source")?;
        let destination = path_of(operation.destination.as_deref(), "destination")?;
        let moved = self.content(dir, &source)?;
        let there = self.content(dir, &destination)?;
        let mut result = json!({ "type": operation.operation_type, "path": source, "destination": destination, "success": true });
        let touched = vec![source.clone(), destination.clone()];
        match (moved, there) {
            (None, None) => Err(NodeError::new("not_found", format!("`{source}` does not exist"))),
            (Some(_), Some(_)) => Err(NodeError::new("exists", format!("`{destination}` exists"))),
            (None, Some(_)) => {
                result["unchanged"] = true.into();
                Ok(Planned { result, touched })
            }
            (Some(content), None) => {
                if operation.dry_run == Some(true) {
                    result["dry_run"] = true.into();
                } else {
                    self.after.insert(source, None);
                    self.after.insert(destination, Some(content));
                }
                Ok(Planned { result, touched })
            }
        }
    }

    fn plan_directory(&mut self, dir: &Dir, operation: &FileOperation) -> Result<Planned, NodeError> {
        let path = path_of(operation.path.as_deref(), "path")?;
        let mut result = json!({ "type": operation.operation_type, "path": path, "success": true });
        match dir.kind(&path)? {
            Some(EntryKind::Dir) => result["unchanged"] = true.into(),
            Some(_) => {
                return Err(NodeError::new(
                    "exists",
                    format!("`{path}` exists and is no directory"),
                ));
            }
            None if operation.dry_run == Some(true) => result["dry_run"] = true.into(),
            None => self.directories.push(path),
        }
        Ok(Planned {
            result,
            touched: Vec::new(),
        })
    }

    fn apply(&self, dir: &Dir, durability: Durability) -> Result<(), NodeError> {
        for path in &self.directories {
            make_dirs(dir, path, durability)?;
        }
        let mut done: Vec<&String> = Vec::new();
        for (path, content) in &self.after {
            if self.before.get(path) == Some(content) {
                continue;
            }
            if let Err(error) = put(dir, path, content.as_deref(), durability) {
                self.take_back(dir, &done, durability);
                return Err(NodeError::from_error("file_operation", &error)
                    .with_hint("the changes before it were taken back"));
            }
            done.push(path);
        }
        Ok(())
    }

    fn take_back(&self, dir: &Dir, done: &[&String], durability: Durability) {
        for path in done {
            let before = self.before.get(*path).cloned().flatten();
            if let Err(error) = put(dir, path, before.as_deref(), durability) {
                tracing::error!(path = %path, %error, "a change could not be taken back");
            }
        }
    }
}

/// Gives a path its content, or removes it.
fn put(dir: &Dir, path: &str, content: Option<&[u8]>, durability: Durability) -> dad_fs::FsResult<()> {
    match content {
        Some(content) => {
            if let Some((parent, _)) = path.rsplit_once('/') {
                make_dirs(dir, parent, durability)?;
            }
            dir.replace(path, content, durability)
        }
        None => match dir.remove_file(path) {
            Err(error) if error.is_not_found() => Ok(()),
            Ok(()) if durability == Durability::Disk => dir.sync_name(path),
            removed => removed,
        },
    }
}

fn make_dirs(dir: &Dir, path: &str, durability: Durability) -> dad_fs::FsResult<()> {
    dir.create_dir_all(path)?;
    match durability {
        Durability::Process => Ok(()),
        Durability::Disk => dir.sync_path(path),
    }
}

fn missing(field: &str) -> NodeError {
    NodeError::new("missing_field", format!("`{field}` is missing"))
}

/// A path inside the base directory, normal and with `/`.
fn path_of(path: Option<&str>, field: &str) -> Result<String, NodeError> {
    let path = path
        .filter(|path| !path.is_empty())
        .ok_or_else(|| missing(field))?;
    let mut segments = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(segment) => segments.push(segment.to_string_lossy().into_owned()),
            Component::CurDir => {}
            _ => {
                return Err(NodeError::new(
                    "outside",
                    format!("`{path}` leads out of the base directory"),
                ));
            }
        }
    }
    if segments
        .iter()
        .any(|segment| segment.eq_ignore_ascii_case(".git"))
    {
        return Err(NodeError::new(
            "outside",
            format!("`{path}` is the repository's own data"),
        ));
    }
    match segments.is_empty() {
        true => Err(NodeError::new(
            "outside",
            format!("`{path}` is the base directory itself"),
        )),
        false => Ok(segments.join("/")),
    }
}

fn apply_edit(path: &str, number: usize, text: String, edit: &FileEdit) -> Result<String, NodeError> {
    let FileEdit { old_text, new_text } = edit;
    let refused =
        |code: &str, message: String| NodeError::new(code, format!("edit {number} of `{path}`: {message}"));
    if old_text.is_empty() {
        return Err(refused("empty_edit", "`old_text` is empty".to_owned()));
    }
    // A replacement that holds what it replaces could be made again and again; its result counts first.
    let made = !new_text.is_empty() && text.contains(new_text.as_str());
    if made && (new_text.contains(old_text.as_str()) || !text.contains(old_text.as_str())) {
        return Ok(text);
    }
    let places: Vec<usize> = text.match_indices(old_text.as_str()).map(|(at, _)| at).collect();
    match places.as_slice() {
        [_] => Ok(text.replacen(old_text.as_str(), new_text, 1)),
        [] => {
            let first = old_text.lines().next().unwrap_or_default();
            Err(refused(
                "edit_not_found",
                format!("the text that begins with `{first}` is not in the file"),
            ))
        }
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|at| (text[..*at].matches('\n').count() + 1).to_string())
                .collect();
            let message = format!(
                "the text stands there {} times, at lines {}",
                several.len(),
                lines.join(", ")
            );
            Err(refused("edit_ambiguous", message))
        }
    }
}

fn diff(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (old, new) = (text(before), text(after));
    let name = |side: &str, there: bool| {
        if there {
            format!("{side}/{path}")
        } else {
            "/dev/null".to_owned()
        }
    };
    let (old_name, new_name) = (name("a", old.is_some()), name("b", new.is_some()));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .header(&old_name, &new_name)
        .to_string()
}

fn list(dir: &Dir, operation: &FileOperation) -> Result<Planned, NodeError> {
    let listed = match operation.path.as_deref() {
        None | Some("." | "") => dir.clone(),
        path => dir.open_dir(path_of(path, "path")?)?,
    };
    let entries = listed.entries()?;
    let entries: Vec<Value> = entries
        .iter()
        .map(|entry| json!({ "name": entry.name, "kind": kind_name(entry.kind) }))
        .collect();
    let path = operation.path.as_deref().unwrap_or(".");
    let result =
        json!({ "type": operation.operation_type, "path": path, "success": true, "entries": entries });
    Ok(Planned {
        result,
        touched: Vec::new(),
    })
}

fn info(dir: &Dir, operation: &FileOperation) -> Result<Planned, NodeError> {
    let path = path_of(operation.path.as_deref(), "path")?;
    let kind = dir
        .kind(&path)?
        .ok_or_else(|| NodeError::new("not_found", format!("`{path}` does not exist")))?;
    let size = dir.len(&path)?;
    let info = json!({ "kind": kind_name(kind), "size": size });
    let result = json!({ "type": operation.operation_type, "path": path, "success": true, "info": info });
    Ok(Planned {
        result,
        touched: Vec::new(),
    })
}

const fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Dir => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Other => "other",
    }
}
