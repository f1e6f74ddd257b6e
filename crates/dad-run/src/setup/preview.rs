//! Previews of a run: its templates' values, without creating a run.

use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, HierarchyPath};
use dad_definition::Program;
use serde_json::{Map, Value};

use crate::error::RunError;
use crate::journal::place::RunPlace;
use crate::live::inputs::{GivenInput, GivenInputs, variables_of};
use crate::live::scope::RunScope;
use crate::setup::context::RunContext;
use crate::store::view::RunView;

/// The program, scope and inputs of a run that is not created: for looking at what would be executed.
#[derive(Debug)]
pub struct RunPreview {
    program: Arc<Program>,
    scope: RunScope,
    inputs: GivenInputs,
    results: Option<Arc<RunView>>,
}

impl RunContext {
    /// Checks everything as [`RunContext::setup_run`] does and gathers what templates would see. With a run, by its
    /// id, a unique prefix of it or `last`, they see its results, and what it was given counts unless this context
    /// gives something else. Nothing is made.
    ///
    /// # Errors
    /// Whatever is wrong with the definition, the run, the variables or the inputs.
    pub fn preview(
        &self,
        definition: &impl AsRef<Definition>,
        run: Option<&str>,
    ) -> Result<RunPreview, RunError> {
        let program = self.program(definition.as_ref())?;
        let results = match run {
            Some(selector) => {
                let entry = self.dirs().catalog().find(selector, Some(self.root_id()))?;
                Some(Arc::new(RunView::open(&entry.dir)?))
            }
            None => None,
        };
        let recorded = results.as_ref().map(|view| view.given_variables()).transpose()?;
        let mut given = recorded.unwrap_or_default();
        // What an older definition was given may be unknown to this one.
        given.retain(|name, _| program.variable_names().contains(&name.as_str()));
        let inputs = self.resolve_inputs(&program)?;
        given.extend(self.given_variables(&program, &inputs));
        Self::check_variables(&program, &given)?;
        let scope = match &results {
            Some(view) => self.scope_of(view.run_id.as_str(), view.dir(), given),
            None => {
                let run_dir = self.dirs().effective_run_root.join("<run_id>");
                self.scope_of("<run_id>", &run_dir, given)
            }
        };
        Ok(RunPreview {
            inputs,
            program: Arc::new(program),
            scope,
            results,
        })
    }
}

impl RunPreview {
    pub(crate) fn new(
        program: Arc<Program>,
        scope: RunScope,
        inputs: GivenInputs,
        results: Option<Arc<RunView>>,
    ) -> Self {
        Self {
            program,
            scope,
            inputs,
            results,
        }
    }

    /// The place where it would be driven.
    #[must_use]
    pub fn place(&self) -> RunPlace {
        self.scope.place.clone()
    }

    /// The checked definition.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The variables that templates of every step would see.
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.scope
    }

    /// The run whose results they would see.
    #[must_use]
    pub fn results(&self) -> Option<&RunView> {
        self.results.as_deref()
    }

    /// The input that is given for a step or component before the run.
    #[must_use]
    pub fn given_input(&self, path: &HierarchyPath) -> Option<&GivenInput> {
        self.inputs.get(path)
    }

    /// The input that a step would have: what is given for it, else what the run recorded.
    ///
    /// # Errors
    /// If the recorded input was kept apart and cannot be read.
    pub fn input(&self, path: &HierarchyPath) -> Result<Option<GivenInput>, RunError> {
        if let Some(given) = self.inputs.get(path) {
            return Ok(Some(given.clone()));
        }
        let Some(view) = &self.results else {
            return Ok(None);
        };
        Ok(view.input(path)?.map(|value| GivenInput {
            source: format!("as in {}", view.run_id),
            value,
        }))
    }

    /// The values that an input gives to variables of a component.
    ///
    /// # Errors
    /// As [`RunPreview::input`].
    pub fn given_component_variables(&self, path: &HierarchyPath) -> Result<Map<String, Value>, RunError> {
        let input = self.input(path)?;
        Ok(input.map(|input| variables_of(&input.value)).unwrap_or_default())
    }

    /// The directory of the run, or the one it would have.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.scope.place.run_dir
    }
}
