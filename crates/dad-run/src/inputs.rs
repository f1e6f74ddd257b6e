use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dad_core::{HierarchyPath, PathSelector};
use dad_definition::{NodeTypes, Program, Selected};
use serde_json::{Map, Value};

use crate::error::RunError;
use crate::recorded::check_version;

/// An input that was given before its step asked for it.
#[derive(Clone, Debug)]
pub struct GivenInput {
    /// Who gave it, for people and for the journal.
    pub source: String,
    /// The input.
    pub value: Value,
}

/// A selector and the input for what it names.
#[derive(Clone, Debug)]
pub(crate) struct UnresolvedInput {
    pub(crate) selector: String,
    pub(crate) given: GivenInput,
}

/// The inputs of a run by step; later sources override earlier ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenInputs(HashMap<HierarchyPath, Vec<SelectedInput>>);

/// An input, and of the loops around its step the iterations it is for.
#[derive(Clone, Debug)]
struct SelectedInput {
    selected: Selected,
    given: GivenInput,
}

impl GivenInputs {
    /// The input of a step in the run: the one for its own iteration, else the one for all.
    pub(crate) fn get(&self, path: &HierarchyPath) -> Option<&GivenInput> {
        // Asked at every step, and most runs are given nothing.
        if self.is_empty() {
            return None;
        }
        let inputs = self.0.get(&path.without_iterations())?;
        let mut fitting = inputs.iter().filter(|input| input.selected.matches(path));
        let general = fitting.clone().next_back();
        let own = fitting.rfind(|input| input.selected.has_iterations());
        own.or(general).map(|input| &input.given)
    }

    /// Finds the step of an input and checks the input against the type of the node.
    pub(crate) fn add(
        &mut self,
        input: UnresolvedInput,
        program: &Program,
        types: &dyn NodeTypes,
    ) -> Result<HierarchyPath, RunError> {
        let UnresolvedInput { selector, given } = input;
        let unknown = |source| RunError::UnknownInput {
            origin: given.source.clone(),
            source,
        };
        let selector: PathSelector = selector.parse()?;
        let selected = program.select_step(&selector).map_err(unknown)?;
        let path = selected.path.clone();
        if let Some(step) = program.step(&path)
            && let Some(info) = types.node_type(&step.node_type)
        {
            (info.check_input)(&given.value).map_err(|reason| RunError::InvalidInput {
                path: path.clone(),
                origin: given.source.clone(),
                reason,
            })?;
        }
        let inputs = self.0.entry(path.clone()).or_default();
        inputs.retain(|known| known.selected != selected);
        inputs.push(SelectedInput { selected, given });
        Ok(path)
    }

    /// The inputs as `static_inputs.json` has them.
    pub(crate) fn to_json(&self) -> Value {
        let mut sorted: Vec<_> = self.0.values().flatten().collect();
        sorted.sort_by_cached_key(|input| input.selected.to_string());
        sorted
            .into_iter()
            .map(|input| (input.selected.to_string(), input.given.value.clone()))
            .collect::<Map<_, _>>()
            .into()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads a file of static inputs: an object whose keys are paths or unambiguous suffixes. A file that a person writes
/// need not say its version; the one in a run directory does.
pub(crate) fn read_static_inputs(path: &Path) -> Result<Vec<UnresolvedInput>, RunError> {
    let bytes = std::fs::read(path).map_err(|e| RunError::unreadable(path, e))?;
    let mut map: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|e| RunError::unreadable(path, format!("it must be an object of inputs by step: {e}")))?;
    // A step may have this id, but an input is never a number.
    if let Some(version) = map.get("schema_version").filter(|version| version.is_number()) {
        check_version(version, path)?;
        map.shift_remove("schema_version");
    }
    let source = format!("`{}`", path.display());
    Ok(map
        .into_iter()
        .map(|(selector, value)| UnresolvedInput {
            selector,
            given: GivenInput {
                source: source.clone(),
                value,
            },
        })
        .collect())
}

/// The first file of static inputs there is: the one given by hand, the agent's, the project's.
pub(crate) fn find_static_inputs(
    given: Option<&Path>,
    definition_dir: Option<&Path>,
    project_root: &Path,
) -> Option<PathBuf> {
    if let Some(given) = given {
        return Some(given.to_path_buf());
    }
    let places = definition_dir.into_iter().chain([project_root]);
    places
        .map(|dir| dir.join(crate::layout::STATIC_INPUTS_FILE))
        .find(|file| file.is_file())
}
