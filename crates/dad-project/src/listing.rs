//! The list of a project's definitions: what each is for, and the values that it takes.

use std::path::{Path, PathBuf};

use dad_core::{Definition, DefinitionKind};
use dad_definition::{Problems, load_file};
use serde_json::Value;

use crate::error::ProjectError;
use crate::project::Project;

/// An agent or flow of a project.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefinitionEntry {
    /// Whether it is an agent or a flow.
    pub kind: DefinitionKind,
    /// The name by which it is run.
    pub name: String,
    /// Its file, relative to the project; `None` of one that is built into the program.
    pub file: Option<PathBuf>,
    /// Its description for people.
    pub description: Option<String>,
    /// Its variables: those that must be given, then the others in their order.
    pub variables: Vec<VariableEntry>,
    /// The problems of a file that cannot be read as a definition.
    pub problems: Option<Problems>,
}

/// A variable of a definition.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VariableEntry {
    /// Its name.
    pub name: String,
    /// Its value in the definition, a template if it is a text; `None` of one that must be given.
    pub default: Option<Value>,
}

impl DefinitionEntry {
    fn new(kind: DefinitionKind, name: &str, file: Option<PathBuf>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            file,
            description: None,
            variables: Vec::new(),
            problems: None,
        }
    }

    fn described_by(self, definition: &Definition) -> Self {
        let required = definition.required.iter().map(|name| (name, None));
        let others = definition.body.variables.iter();
        let variables = required.chain(others.map(|(name, value)| (name, Some(value.clone()))));
        Self {
            description: definition.body.description.clone(),
            variables: variables
                .map(|(name, default)| VariableEntry {
                    name: name.clone(),
                    default,
                })
                .collect(),
            ..self
        }
    }
}

impl Project {
    /// The agents and flows there are: those that are built in, then the agents and the flows in files. A file with problems is
    /// listed with them.
    #[must_use]
    pub fn definitions(&self) -> Vec<DefinitionEntry> {
        let built_in = self.definitions_built_in().iter().map(|(name, definition)| {
            DefinitionEntry::new(definition.kind, name, None).described_by(definition)
        });
        let agents = self.agents_in_files().into_iter().filter_map(|name| {
            let file = self.agent_file(&name).ok()?;
            Some(self.entry(DefinitionKind::Agent, &name, &file))
        });
        let flows = self.flows_in_files().into_iter().filter_map(|name| {
            let file = self.flow_file(&name)?;
            Some(self.entry(DefinitionKind::Flow, &name, &file))
        });
        built_in.chain(agents).chain(flows).collect()
    }

    fn entry(&self, kind: DefinitionKind, name: &str, file: &Path) -> DefinitionEntry {
        let shown = file.strip_prefix(self.root()).unwrap_or(file);
        let entry = DefinitionEntry::new(kind, name, Some(shown.to_path_buf()));
        match load_file(file, Some(self.root())) {
            Ok(loaded) => entry.described_by(&loaded.definition),
            Err(problems) => DefinitionEntry {
                problems: Some(problems),
                ..entry
            },
        }
    }

    /// The kind of the definition that a name means: an agent or a flow, built in or in a file.
    ///
    /// # Errors
    /// [`ProjectError::AmbiguousName`] if there are an agent and a flow of that name, [`ProjectError::UnknownDefinition`] if
    /// there is neither.
    pub fn kind_of(&self, name: &str) -> Result<DefinitionKind, ProjectError> {
        let (agents, flows) = (self.agents(), self.flows());
        let has = |names: &[String]| names.iter().any(|known| known == name);
        match (has(&agents), has(&flows)) {
            (true, true) => Err(ProjectError::AmbiguousName {
                name: name.to_owned(),
            }),
            (true, false) => Ok(DefinitionKind::Agent),
            (false, true) => Ok(DefinitionKind::Flow),
            (false, false) => Err(ProjectError::UnknownDefinition {
                kind: None,
                name: name.to_owned(),
                root: self.root().to_path_buf(),
                known: [agents, flows].concat(),
            }),
        }
    }
}
