//! The definition in a run directory: the executed one, with a digest of each step for comparison.

use std::path::Path;

use dad_core::{Definition, Digest, HierarchyPath};
use dad_definition::{Program, SpanMap, load_str};
use dad_fs::{Dir, Durability};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Versioned, check_version, to_file_text, write_new_json};
use crate::error::RunError;
use crate::files::{RunFiles, in_dot_run};
use crate::format;
use crate::layout::{DEFINITION, DEFINITIONS, SPANS};
use crate::store::definition_parts::other_parts;

/// The definition of a run as its directory has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedDefinition {
    /// The definition, with the files that it included in it.
    pub definition: Definition,
    pub(super) steps: IndexMap<HierarchyPath, Digest>,
    /// The places of its parts in files; `None` of a definition that was built in Rust.
    pub spans: Option<SpanMap>,
}

/// The differences of a definition from the one that a run was started with, by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefinitionChanges {
    /// Steps that do something else.
    pub changed: Vec<HierarchyPath>,
    /// Steps that are new.
    pub added: Vec<HierarchyPath>,
    /// Steps that are gone.
    pub removed: Vec<HierarchyPath>,
    /// Parts without a digest of their own that differ, in words: variables, conditions, loops, options of components.
    pub others: Vec<String>,
    /// Whether anything differs at all.
    pub any: bool,
}

impl RecordedDefinition {
    /// The steps of it, in document order, each with its digest.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (&HierarchyPath, Digest)> {
        self.steps.iter().map(|(path, digest)| (path, *digest))
    }

    /// Compares a definition with the recorded one.
    #[must_use]
    pub fn changes_to(&self, current: &Program) -> DefinitionChanges {
        let mut changes = DefinitionChanges {
            any: self.definition != *current.definition,
            others: other_parts(&self.definition, &current.definition),
            ..DefinitionChanges::default()
        };
        for step in current.steps() {
            match self.steps.get(&step.path) {
                None => changes.added.push(step.path.clone()),
                Some(digest) if *digest != step.digest => changes.changed.push(step.path.clone()),
                Some(_) => {}
            }
        }
        let gone = self.steps.keys().filter(|path| current.step(path).is_none());
        changes.removed.extend(gone.cloned());
        changes
    }
}

#[derive(Serialize, Deserialize)]
struct DefinitionFile<T> {
    definition: T,
    steps: IndexMap<HierarchyPath, Digest>,
}

impl<'p> DefinitionFile<&'p Definition> {
    fn of(program: &'p Program) -> Self {
        let steps = program.steps().map(|step| (step.path.clone(), step.digest));
        Self {
            definition: &program.definition,
            steps: steps.collect(),
        }
    }
}

/// The name of a definition in `.run/definitions/`.
fn file_name(digest: Digest) -> String {
    format!("{digest}.json")
}

/// Writes the definition that a resumed run executes, unless it executed that before.
pub(crate) fn record_definition(
    dot_run: &Dir,
    program: &Program,
    durability: Durability,
) -> Result<(), RunError> {
    let all = dot_run.create_dir_all(DEFINITIONS)?;
    let name = file_name(program.digest);
    if all.kind(&name)?.is_none() {
        let text = to_file_text(
            &name,
            &Versioned::new(format::DEFINITION_FILE, DefinitionFile::of(program)),
        )?;
        all.publish(&name, &text, durability)?;
    }
    if durability == Durability::Disk {
        dot_run.sync()?;
    }
    Ok(())
}

/// Writes the definition of a run that is made, and where its parts come from.
pub(crate) fn write_definition(
    dot_run: &Dir,
    program: &Program,
    spans: Option<&SpanMap>,
    durability: Durability,
) -> Result<(), RunError> {
    let file = DefinitionFile::of(program);
    let file = Versioned::new(format::DEFINITION_FILE, file);
    write_new_json(dot_run, DEFINITION, &file, durability)?;
    let all = dot_run.create_dir(DEFINITIONS)?;
    write_new_json(&all, &file_name(program.digest), &file, durability)?;
    if let Some(spans) = spans {
        write_new_json(dot_run, SPANS, &Versioned::new(format::SPANS, spans), durability)?;
    }
    Ok(())
}

/// Reads the definition of a run back, which must be the one that the journal has the digest of: among those that the run
/// executed, or the one that it began with.
pub(crate) fn read_definition(
    run: &dyn RunFiles,
    recorded: Option<Digest>,
) -> Result<RecordedDefinition, RunError> {
    let executed = recorded.map(|digest| in_dot_run(DEFINITIONS).join(file_name(digest)));
    let read = executed.map(|name| Ok::<_, RunError>(run.read_optional(&name)?.map(|bytes| (name, bytes))));
    let first = in_dot_run(DEFINITION);
    let (name, bytes) = match read.transpose()?.flatten() {
        Some(read) => read,
        None => (first.clone(), run.read(&first)?),
    };
    parse_definition(run, &name, &bytes, recorded)
}

/// Reads a file that must hold the definition of a digest.
pub(crate) fn read_definition_file(
    run: &dyn RunFiles,
    name: &Path,
    recorded: Option<Digest>,
) -> Result<RecordedDefinition, RunError> {
    parse_definition(run, name, &run.read(name)?, recorded)
}

fn parse_definition(
    run: &dyn RunFiles,
    name: &Path,
    bytes: &[u8],
    recorded: Option<Digest>,
) -> Result<RecordedDefinition, RunError> {
    let path = run.path_of(name);
    let file: DefinitionFile<Value> = decode(bytes, &path, format::DEFINITION_FILE)?;
    if recorded.is_some_and(|recorded| recorded != Digest::of_json(&file.definition)) {
        return Err(RunError::Corrupt {
            path,
            reason: "its digest differs".to_owned(),
        });
    }
    let shown = path.to_string_lossy();
    let loaded = load_str(&file.definition.to_string(), &shown, None, None)
        .map_err(|problems| RunError::unreadable(&path, problems))?;
    let name = in_dot_run(SPANS);
    let spans = match run.read_optional(&name)? {
        Some(bytes) => Some(decode(&bytes, &run.path_of(&name), format::SPANS)?),
        None => None,
    };
    Ok(RecordedDefinition {
        definition: loaded.definition,
        steps: file.steps,
        spans,
    })
}

fn decode<T: DeserializeOwned>(bytes: &[u8], path: &Path, supported: u32) -> Result<T, RunError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| RunError::unreadable(path, e))?;
    if let Some(version) = value.get("schema_version") {
        check_version(version, path, supported)?;
    }
    serde_json::from_value(value).map_err(|e| RunError::unreadable(path, e))
}
