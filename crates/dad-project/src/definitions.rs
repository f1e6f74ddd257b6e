//! The definitions of a project: agents that are built in, and files.

use std::path::{Path, PathBuf};

use dad_core::{Definition, DefinitionKind, ElementId};
use dad_definition::{Checked, Loaded, Problem, SpanMap, check_file};
use dad_run::RunContextBuilder;

use crate::error::ProjectError;
use crate::project::Project;

/// The directory of a project's agents, one directory each.
pub(crate) const AGENTS: [&str; 2] = ["agents", "src/agents"];

/// The directory of a project's flows, one file each.
pub(crate) const FLOWS: &str = "flows";

/// The ends of the names of definition files.
const ENDS: [&str; 3] = ["yaml", "yml", "json"];

/// A definition of a project that was found and checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundDefinition {
    /// The definition.
    pub definition: Definition,
    /// The id of its root component.
    pub root_id: String,
    /// The places of its parts in files; `None` of one that is built in.
    pub spans: Option<SpanMap>,
    /// The directory of its file.
    pub dir: Option<PathBuf>,
    /// Warnings about it.
    pub warnings: Vec<Problem>,
}

impl AsRef<Definition> for FoundDefinition {
    fn as_ref(&self) -> &Definition {
        &self.definition
    }
}

impl FoundDefinition {
    /// Says in a context where the definition is written, for messages and for the static inputs beside it.
    #[must_use]
    pub fn placed(&self, mut context: RunContextBuilder) -> RunContextBuilder {
        if let Some(spans) = &self.spans {
            context = context.spans(spans.clone());
        }
        match &self.dir {
            Some(dir) => context.definition_dir(dir),
            None => context,
        }
    }

    fn built_in(definition: &Definition, name: &str) -> Self {
        let root_id = definition.root_id.as_ref();
        Self {
            definition: definition.clone(),
            root_id: root_id.map_or_else(|| format!("{name}_root"), ToString::to_string),
            spans: None,
            dir: None,
            warnings: Vec::new(),
        }
    }
}

impl Project {
    /// The names of the agents there are: those that are built in, then those in files.
    #[must_use]
    pub fn agents(&self) -> Vec<String> {
        let built_in = self.definitions_built_in().iter();
        let built_in = built_in.filter(|(_, definition)| definition.kind == DefinitionKind::Agent);
        let built_in = built_in.map(|(name, _)| name.clone());
        built_in.chain(self.agents_in_files()).collect()
    }

    /// The names of the agents that files of the project define, sorted.
    #[must_use]
    pub fn agents_in_files(&self) -> Vec<String> {
        let folders = AGENTS.map(|folder| self.root().join(folder));
        let entries = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| self.file_of(name).is_some()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The agent of a name: one that is built in, or the one in the project's `agents/NAME/agent.yaml`.
    ///
    /// # Errors
    /// If there is none, or its file has problems.
    pub fn agent(&self, name: &str) -> Result<FoundDefinition, ProjectError> {
        match self.built_in_of(name, DefinitionKind::Agent) {
            Some(agent) => Ok(FoundDefinition::built_in(agent, name)),
            None => self.load_kind(&self.agent_file(name)?, name, DefinitionKind::Agent),
        }
    }

    fn built_in_of(&self, name: &str, kind: DefinitionKind) -> Option<&Definition> {
        let mut built_in = self.definitions_built_in().iter();
        let found = built_in.find(|(known, definition)| known == name && definition.kind == kind);
        found.map(|(_, definition)| definition)
    }

    /// The file of an agent.
    ///
    /// # Errors
    /// If there is none, or no agent can have that name.
    pub fn agent_file(&self, name: &str) -> Result<PathBuf, ProjectError> {
        ElementId::new(name).map_err(ProjectError::AgentName)?;
        self.file_of(name).ok_or_else(|| ProjectError::UnknownAgent {
            name: name.to_owned(),
            root: self.root().to_path_buf(),
            known: self.agents(),
        })
    }

    /// The names of the flows there are: those that are built in, then those in files of `flows/`.
    #[must_use]
    pub fn flows(&self) -> Vec<String> {
        let built_in = self.definitions_built_in().iter();
        let built_in = built_in.filter(|(_, definition)| definition.kind == DefinitionKind::Flow);
        let built_in = built_in.map(|(name, _)| name.clone());
        built_in.chain(self.flows_in_files()).collect()
    }

    /// The names of the flows that files of `flows/` define, sorted.
    #[must_use]
    pub fn flows_in_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join(FLOWS))
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()));
        let mut names: Vec<String> = names.filter(|name| self.flow_file(name).is_some()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The file of a flow: `flows/NAME.yaml`, if there is one.
    #[must_use]
    pub fn flow_file(&self, name: &str) -> Option<PathBuf> {
        ElementId::new(name).ok()?;
        let mut files = ENDS
            .map(|end| self.root().join(FLOWS).join(format!("{name}.{end}")))
            .into_iter();
        files.find(|file| file.is_file())
    }

    /// The flow in a file, which need not lie in the project; or the one of a name, which is built in or lies in
    /// `flows/NAME.yaml`.
    ///
    /// # Errors
    /// If it cannot be read, has problems, or is an agent.
    pub fn flow(&self, file: impl AsRef<Path>) -> Result<FoundDefinition, ProjectError> {
        let file = file.as_ref();
        let name = file.to_string_lossy();
        if let Some(flow) = self.built_in_of(&name, DefinitionKind::Flow) {
            return Ok(FoundDefinition::built_in(flow, &name));
        }
        let is_name = ElementId::new(&*name).is_ok() && !file.is_file();
        if !is_name {
            return self.load_kind(file, &name_of(file), DefinitionKind::Flow);
        }
        let named = self
            .flow_file(&name)
            .ok_or_else(|| ProjectError::UnknownDefinition {
                kind: Some(DefinitionKind::Flow),
                name: name.to_string(),
                root: self.root().to_path_buf(),
                known: self.flows(),
            })?;
        self.load_kind(&named, &name, DefinitionKind::Flow)
    }

    /// The definition in a file, checked: an agent that lies as those of a project do is called after its directory, every
    /// other definition after its file.
    ///
    /// # Errors
    /// If it cannot be read, or has problems.
    pub fn definition_in(&self, file: impl AsRef<Path>) -> Result<FoundDefinition, ProjectError> {
        let file = file.as_ref();
        self.load(file, &name_of_definition(file))
    }

    fn file_of(&self, name: &str) -> Option<PathBuf> {
        let folders = AGENTS.map(|folder| self.root().join(folder).join(name));
        let files = folders
            .iter()
            .flat_map(|folder| ENDS.map(|end| folder.join(format!("agent.{end}"))));
        files.into_iter().find(|file| file.is_file())
    }

    fn load_kind(
        &self,
        file: &Path,
        name: &str,
        wanted: DefinitionKind,
    ) -> Result<FoundDefinition, ProjectError> {
        let found = self.load(file, name)?;
        if found.definition.kind == wanted {
            Ok(found)
        } else {
            Err(ProjectError::WrongKind {
                file: file.to_path_buf(),
                kind: found.definition.kind,
            })
        }
    }

    /// The definition of a file, checked; `name` is what its root is called after.
    fn load(&self, file: &Path, name: &str) -> Result<FoundDefinition, ProjectError> {
        let Checked { loaded, program, .. } =
            check_file(file, Some(self.root()), name, self.node_registry())?;
        let Loaded {
            definition,
            spans,
            warnings,
            ..
        } = loaded;
        Ok(FoundDefinition {
            definition,
            root_id: program.root.id.to_string(),
            spans: Some(spans),
            dir: file.parent().map(Path::to_path_buf),
            warnings,
        })
    }
}

/// The name for the root of a file's definition.
fn name_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// The name for the root of the definition in a file: an agent is named after its directory, every other definition after its
/// file.
#[must_use]
pub fn name_of_definition(file: &Path) -> String {
    let directory = file.parent().and_then(Path::file_name);
    match directory {
        Some(directory) if file.file_stem().is_some_and(|stem| stem == "agent") => {
            name_of(Path::new(directory))
        }
        _ => name_of(file),
    }
}
