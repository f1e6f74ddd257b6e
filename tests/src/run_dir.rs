//! The check of a run directory against the formats.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dhenara::types::Digest;
use serde_json::Value;

use crate::schemas::Schemas;
use crate::telemetry::Telemetry;

/// The contents of a run directory.
#[derive(Clone, Debug, Default)]
pub struct RunFiles {
    /// Every file, relative to the run directory, with `/`.
    pub files: BTreeSet<String>,
    /// The schemas its files are described by.
    pub schemas: BTreeSet<String>,
}

/// The kind of a file of a run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One document of a schema.
    Document(&'static str),
    /// One document a line.
    Lines(&'static str),
    /// Any JSON, under the digest of its bytes.
    Stored,
    /// Nothing is promised about its content.
    Opaque,
}

/// Checks a run directory.
///
/// # Panics
/// With everything that is wrong.
#[track_caller]
pub fn validate_run_dir(dir: &Path) -> RunFiles {
    let (files, problems) = check_run_dir(dir);
    assert!(
        problems.is_empty(),
        "in `{}`:\n{}",
        dir.display(),
        problems.join("\n")
    );
    files
}

/// The run directories at any depth below `dir`.
#[must_use]
pub fn find_run_dirs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        if dir.join(".run").is_dir() {
            // Without a first record it is what a process left that died while it made one.
            let journal = std::fs::read(dir.join(".run/journal.jsonl")).unwrap_or_default();
            if journal.contains(&b'\n') {
                found.push(dir);
            }
            continue;
        }
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(
            dirs.filter(|entry| entry.file_name() != ".git")
                .map(|entry| entry.path()),
        );
    }
    found.sort();
    found
}

/// Checks a run directory and says everything that is wrong with it.
#[must_use]
pub fn check_run_dir(dir: &Path) -> (RunFiles, Vec<String>) {
    let mut check = Check {
        dir,
        found: RunFiles::default(),
        problems: Vec::new(),
        journal: Vec::new(),
    };
    list(dir, "", &mut check.found.files);
    for file in check.found.files.clone() {
        match kind(&file) {
            None => check.problems.push(format!("`{file}` is of no known kind")),
            Some(kind) => check.file(&file, kind),
        }
    }
    check.evidence();
    (check.found, check.problems)
}

fn list(dir: &Path, prefix: &str, files: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name);
        }
    }
}

fn is_original(bytes: &[u8]) -> bool {
    let result: Value = serde_json::from_slice(bytes).unwrap_or_default();
    result.get("schema_version").is_none() && result.get("execution_status").is_some()
}

fn is_uncommitted(file: &str) -> bool {
    [".run/stage/", ".run/attempts/"]
        .iter()
        .any(|place| file.starts_with(place))
}

/// The kind of a file, by its place.
fn kind(file: &str) -> Option<Kind> {
    let segments: Vec<&str> = file.split('/').collect();
    match segments.as_slice() {
        [".run", "definition.json"] => Some(Kind::Document("definition")),
        [".run", "definitions", _] => Some(Kind::Document("definition")),
        [".run", "torn", _] | ["output.json"] => Some(Kind::Opaque),
        [".run", "spans.json"] => Some(Kind::Document("spans")),
        [".run", "journal.jsonl"] => Some(Kind::Lines("journal")),
        [".run", "plan.json"] => Some(Kind::Document("plan")),
        [".run", "imported.json"] => Some(Kind::Document("imported")),
        [".run", "labels.json"] => Some(Kind::Document("labels")),
        [".run", "lease"] => Some(Kind::Document("lease")),
        [".run", "questions", _] => Some(Kind::Document("question")),
        [".run", "inbox", _] => Some(Kind::Document("inbox")),
        [".run", "values", _] => Some(Kind::Stored),
        [".run", "stage" | "attempts", _, rest @ ..] => step_file(rest),
        [".trace", "dad_metadata.json"] => Some(Kind::Document("dad_metadata")),
        [".trace", "export.json"] => Some(Kind::Document("export")),
        [".trace", "trace.jsonl"] => Some(Kind::Lines("trace")),
        [".trace", "metrics.jsonl"] => Some(Kind::Lines("metrics")),
        [".trace", "logs.jsonl"] => Some(Kind::Lines("logs")),
        ["static_inputs", "static_inputs.json"] => Some(Kind::Document("static_inputs")),
        ["static_inputs", ..] => Some(Kind::Opaque),
        ["run_summary.json"] => Some(Kind::Document("run_summary")),
        [root, ..] if root.starts_with('.') => None,
        [_, .., "component_result.json"] => Some(Kind::Document("component_result")),
        [root, rest @ ..] if !root.is_empty() => {
            let custom = rest.iter().position(|segment| *segment == "custom-artifacts");
            let from = custom.unwrap_or(match rest {
                [.., "file_changes", file] if is_file_change(file) => rest.len() - 2,
                _ => rest.len().checked_sub(1)?,
            });
            // The directories before are the root component, at least, and the step.
            if from == 0 { None } else { step_file(&rest[from..]) }
        }
        _ => None,
    }
}

/// Whether a file belongs to those of a change, and not to a step that is called like their directory.
fn is_file_change(file: &str) -> bool {
    let is_digest = file.len() == 64 && file.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest || ["plan.json", "taken_back.json"].contains(&file)
}

/// The kind of a file, by its place in the directory of a step.
fn step_file(rest: &[&str]) -> Option<Kind> {
    match rest {
        ["result.json"] => Some(Kind::Document("result")),
        ["outcome.json"] => Some(Kind::Document("outcome")),
        ["state.json"] => Some(Kind::Document("state")),
        ["world.json"] => Some(Kind::Document("world")),
        ["changes.json"] => Some(Kind::Document("changes")),
        ["memo.jsonl"] => Some(Kind::Lines("memo")),
        ["stdout.log" | "stderr.log" | "stream.txt" | "outcome.txt"] => Some(Kind::Opaque),
        ["custom-artifacts", _, ..] => Some(Kind::Opaque),
        ["file_changes", "plan.json" | "taken_back.json"] => Some(Kind::Document("file_changes")),
        ["file_changes", file] if is_file_change(file) => Some(Kind::Opaque),
        _ => None,
    }
}

struct Check<'a> {
    dir: &'a Path,
    found: RunFiles,
    problems: Vec<String>,
    journal: Vec<Value>,
}

impl Check<'_> {
    fn problem(&mut self, file: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("`{file}`: {problem}"));
    }

    fn file(&mut self, file: &str, kind: Kind) {
        let bytes = match std::fs::read(self.dir.join(file)) {
            Ok(bytes) => bytes,
            Err(error) => return self.problem(file, error),
        };
        match kind {
            Kind::Opaque => {}
            // Cut off by the death of a process; what is not committed may be.
            Kind::Document(_) if is_uncommitted(file) && serde_json::from_slice::<Value>(&bytes).is_err() => {
            }
            // Taken over from a run of the original system, whose documents say no version.
            Kind::Document("result") if is_original(&bytes) => {}
            Kind::Document(schema) => {
                self.found.schemas.insert(schema.to_owned());
                self.value(file, schema, &bytes);
            }
            Kind::Lines(schema) => self.lines(file, schema, &bytes),
            Kind::Stored => {
                let end = if file.ends_with(".txt") { "txt" } else { "json" };
                if end == "json" {
                    self.value(file, "outcome", &bytes);
                }
                let name = format!("{}.{end}", Digest::of(&bytes));
                if !file.ends_with(&name) {
                    self.problem(file, format_args!("its content belongs under `{name}`"));
                }
            }
        }
    }

    fn lines(&mut self, file: &str, schema: &'static str, bytes: &[u8]) {
        // A last line without its end is what a crash leaves.
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let lines = bytes[..whole]
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty());
        for (index, line) in lines.enumerate() {
            self.found.schemas.insert(schema.to_owned());
            let place = format!("{file}:{}", index + 1);
            if let Some(value) = self.value(&place, schema, line)
                && schema == "journal"
            {
                self.journal.push(value);
            }
        }
    }

    fn value(&mut self, place: &str, schema: &str, bytes: &[u8]) -> Option<Value> {
        let value: Value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(error) => {
                self.problem(place, error);
                return None;
            }
        };
        for problem in Schemas::get().problems(schema, &value) {
            self.problem(place, problem);
        }
        Some(value)
    }

    /// Checks that the files are those the journal speaks of.
    fn evidence(&mut self) {
        let journal = std::mem::take(&mut self.journal);
        let id = self
            .dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match journal.first() {
            Some(first) if first["type"] == "run_created" && first["run_id"] == id.as_str() => {}
            _ => self.problem("journal", "its first record does not create this run"),
        }
        let mut committed: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (index, record) in journal.iter().enumerate() {
            if record["seq"] != index + 1 {
                self.problem(
                    "journal",
                    format_args!("record {} is out of order", record["seq"]),
                );
            }
            if record["type"] == "step_committed" {
                let dir = record["path"].as_str().unwrap_or_default().replace('.', "/");
                let artifacts = self.artifacts(&record["artifacts"]);
                committed.insert(dir, artifacts);
            }
        }
        self.committed_files(&committed);
        self.uncommitted_files(&committed);
        // A process may have been killed behind the seal and before its telemetry was complete.
        self.problems.extend(Telemetry::read(self.dir).problems(false));
    }

    /// The list of a record's artifacts, which long lists keep in a file of their own.
    fn artifacts(&mut self, artifacts: &Value) -> Vec<Value> {
        let Some(stored) = artifacts.get("stored") else {
            return artifacts.as_array().cloned().unwrap_or_default();
        };
        let file = format!(
            ".run/values/{}.json",
            stored["blake3"].as_str().unwrap_or_default()
        );
        let read = std::fs::read(self.dir.join(&file)).map_err(|e| e.to_string());
        match read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string())) {
            Ok(list) => list,
            Err(error) => {
                self.problem(&file, error);
                Vec::new()
            }
        }
    }

    fn committed_files(&mut self, committed: &BTreeMap<String, Vec<Value>>) {
        for (dir, artifacts) in committed {
            for artifact in artifacts {
                let file = format!("{dir}/{}", artifact["name"].as_str().unwrap_or_default());
                match std::fs::read(self.dir.join(&file)) {
                    Err(error) => self.problem(&file, error),
                    Ok(bytes) => {
                        if artifact["len"] != bytes.len()
                            || artifact["blake3"] != Digest::of(&bytes).to_string()
                        {
                            self.problem(&file, "it is not the file that was recorded");
                        }
                    }
                }
            }
        }
    }

    /// A file in the tree of components that no record names has no business there.
    fn uncommitted_files(&mut self, committed: &BTreeMap<String, Vec<Value>>) {
        let mut named = BTreeSet::new();
        for (dir, artifacts) in committed {
            let names = artifacts.iter().filter_map(|artifact| artifact["name"].as_str());
            named.extend(names.map(|name| format!("{dir}/{name}")));
        }
        let outside = |file: &str| {
            file.starts_with('.')
                || file.starts_with("static_inputs/")
                || ["run_summary.json", "output.json"].contains(&file)
                || file.ends_with("component_result.json")
        };
        for file in self.found.files.clone() {
            if !outside(&file) && !named.contains(&file) {
                self.problem(&file, "no committed step has it");
            }
        }
    }
}
