//! The definition that a run is continued with, which may have changed since the run was started.

use dad_core::{Definition, HierarchyPath};
use dad_definition::{Program, SpanMap, check_file, compile};
use dad_run::{DefinitionChanges, RecordedDefinition, RunView, internal::adopted};

use crate::error::ProjectError;
use crate::project::Project;

/// The definition that a run is resumed with. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionChoice {
    /// The one it was started with.
    Recorded,
    /// The one there is now, for what still executes.
    Current,
}

impl Project {
    /// The definition to continue a run with. Without a choice it is the recorded one, which must be the one there is now.
    ///
    /// # Errors
    /// [`ProjectError::DefinitionChanged`] with what differs, or what is wrong with the one that was chosen.
    pub fn definition_of(
        &self,
        run: &RunView,
        choice: Option<DefinitionChoice>,
    ) -> Result<Definition, ProjectError> {
        Ok(self.placed_definition_of(run, choice)?.definition)
    }

    /// As [`definition_of`](Self::definition_of), with the places of its parts.
    pub(crate) fn placed_definition_of(
        &self,
        run: &RunView,
        choice: Option<DefinitionChoice>,
    ) -> Result<PlacedDefinition, ProjectError> {
        let recorded = run.definition()?;
        if choice == Some(DefinitionChoice::Recorded) {
            return Ok(recorded.into());
        }
        let current = self.current(run, &recorded);
        match (current, choice) {
            (Ok(Some(current)), Some(_)) => Ok(current.into()),
            (Ok(None), Some(_)) => Err(ProjectError::NoDefinition),
            (Err(error), Some(_)) => Err(error),
            // A definition that was made in Rust by another program cannot change under this one.
            (Ok(None), None) => Ok(recorded.into()),
            (Ok(Some(current)), None) => match recorded.changes_to(&current.program) {
                changes if changes.any => Err(ProjectError::DefinitionChanged(listed(&changes))),
                _ => Ok(recorded.into()),
            },
            (Err(error), None) => Err(ProjectError::DefinitionChanged(format!(
                "the one there is now has problems: {}",
                error.to_info().message
            ))),
        }
    }

    /// The definition of a run as it is now: the file it was read from, or one that is built in; the recorded one if neither is
    /// known.
    ///
    /// # Errors
    /// The problem with it.
    pub fn current_definition(&self, run: &RunView) -> Result<Definition, ProjectError> {
        Ok(self.placed_current_definition(run)?.definition)
    }

    /// As [`current_definition`](Self::current_definition), with the places of its parts.
    pub(crate) fn placed_current_definition(&self, run: &RunView) -> Result<PlacedDefinition, ProjectError> {
        let recorded = run.definition()?;
        let current = self.current(run, &recorded)?;
        Ok(current.map_or_else(|| recorded.into(), Into::into))
    }

    /// The definition as it is now, with what the run made of it: the models that it asks, and no secret.
    fn current(
        &self,
        run: &RunView,
        recorded: &RecordedDefinition,
    ) -> Result<Option<CurrentDefinition>, ProjectError> {
        let models = run.settings().models;
        let file = recorded.spans.as_ref().and_then(|spans| spans.files().next());
        if let Some((file, _)) = file {
            let root_id = run.root_id.as_str();
            let name = root_id.strip_suffix("_root").unwrap_or(root_id);
            let checked = check_file(
                &self.root().join(file),
                Some(self.root()),
                name,
                self.node_registry(),
            )?;
            let spans = Some(checked.loaded.spans);
            let definition = adopted(&checked.program.definition, &models, self.secrets())?;
            let program = if *definition == *checked.program.definition {
                checked.program
            } else {
                compile(&definition, &run.root_id, self.node_registry(), None)?
            };
            return Ok(Some(CurrentDefinition { program, spans }));
        }
        let built_in = self.definitions_built_in().iter();
        let compiled = built_in.filter_map(|(_, definition)| {
            let definition = adopted(definition, &models, self.secrets()).ok()?;
            compile(&definition, &run.root_id, self.node_registry(), None).ok()
        });
        let mut of_root =
            compiled.filter(|program| program.definition.root_id.as_ref() == Some(&run.root_id));
        let program = of_root.next();
        Ok(program.map(|program| CurrentDefinition { program, spans: None }))
    }

    /// Whether a definition holds known secrets, which its runs see as `[redacted]`.
    #[must_use]
    pub fn holds_secrets(&self, definition: &Definition) -> bool {
        adopted(definition, &[], self.secrets()).is_ok_and(|masked| *masked != *definition)
    }
}

/// A definition with the places of its parts.
pub(crate) struct PlacedDefinition {
    pub(crate) definition: Definition,
    /// `None` of a definition that was built in Rust.
    pub(crate) spans: Option<SpanMap>,
}

impl From<RecordedDefinition> for PlacedDefinition {
    fn from(recorded: RecordedDefinition) -> Self {
        Self {
            definition: recorded.definition,
            spans: recorded.spans,
        }
    }
}

/// The definition of a run as it is now.
struct CurrentDefinition {
    program: Program,
    spans: Option<SpanMap>,
}

impl From<CurrentDefinition> for PlacedDefinition {
    fn from(current: CurrentDefinition) -> Self {
        Self {
            definition: (*current.program.definition).clone(),
            spans: current.spans,
        }
    }
}

/// The differences, in words.
fn listed(changes: &DefinitionChanges) -> String {
    let named = |word: &str, paths: &[HierarchyPath]| {
        let names: Vec<&str> = paths.iter().map(HierarchyPath::as_str).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let others = (!changes.others.is_empty()).then(|| format!("differs in {}", changes.others.join(", ")));
    let parts = [
        named("changed", &changes.changed),
        named("added", &changes.added),
        named("removed", &changes.removed),
        others,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "the order of its elements differs".to_owned()
    } else {
        parts.join("; ")
    }
}
