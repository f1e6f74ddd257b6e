//! Inputs that are given before their step asks: static inputs, and their checks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dad_core::{HierarchyPath, PathSelector, json, nearest};
use dad_definition::{Component, NodeTypes, Program, Selected};
use serde_json::{Map, Value};

use crate::document::check_version;
use crate::error::{RunError, SetupError};
use crate::format;

/// The only field of an input of a component.
const VARIABLES: &str = "variables";

/// The longest file of static inputs, in bytes.
const LONGEST_FILE: u64 = 64 << 20;

/// An input that was given before its step asked for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GivenInput {
    /// The party that gave it, for people and for the journal.
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

    /// Whether a step has an input in any iteration.
    pub(crate) fn has(&self, path: &HierarchyPath) -> bool {
        self.0.contains_key(&path.without_iterations())
    }

    /// Finds the step or component of an input and checks the input against what it takes.
    pub(crate) fn add(
        &mut self,
        input: UnresolvedInput,
        program: &Program,
        types: &dyn NodeTypes,
    ) -> Result<HierarchyPath, SetupError> {
        let UnresolvedInput { selector, given } = input;
        let unknown = |reason| SetupError::UnknownInput {
            origin: given.source.clone(),
            reason,
        };
        let selector: PathSelector = selector.parse()?;
        let selected = program.select(&selector).map_err(unknown)?;
        let path = selected.path.clone();
        let checked = match (program.step(&path), program.component(&path)) {
            (Some(step), _) => types
                .node_type(&step.node_type)
                .map_or(Ok(()), |info| (info.check_input)(&given.value)),
            (None, Some(component)) => check_component_input(component, program, &given.value),
            (None, None) => Err("a branch takes no input".to_owned()),
        };
        let checked = checked.and_then(|()| json::check(&given.value).map_err(|error| error.to_string()));
        checked.map_err(|reason| SetupError::InvalidInput {
            path: path.clone(),
            origin: given.source.clone(),
            reason,
        })?;
        let inputs = self.0.entry(path.clone()).or_default();
        inputs.retain(|known| known.selected != selected);
        inputs.push(SelectedInput { selected, given });
        Ok(path)
    }

    /// The variables that are given to the root component.
    pub(crate) fn root_variables(&self, root: &HierarchyPath) -> Map<String, Value> {
        self.get(root)
            .map(|given| variables_of(&given.value))
            .unwrap_or_default()
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

/// Checks an input of a component, which gives its variables other values: `{"variables": {"name": value}}`.
///
/// # Errors
/// Which field does not fit, and what was expected.
pub fn check_component_input(component: &Component, program: &Program, input: &Value) -> Result<(), String> {
    let mut known: Vec<&str> = component
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    if component.path == program.root.path {
        known = program.variable_names();
    }
    check_variables(&component.path, &known, input)
}

/// Whether an input of a component gives only variables that are known.
pub(crate) fn check_variables(path: &HierarchyPath, known: &[&str], input: &Value) -> Result<(), String> {
    let fields = input.as_object().ok_or("an input must be an object")?;
    if let Some(key) = fields.keys().find(|key| *key != VARIABLES) {
        return Err(format!(
            "unknown field `{key}`, an input of a component has only `{VARIABLES}`"
        ));
    }
    let variables = fields.get(VARIABLES).and_then(Value::as_object);
    let variables = variables.ok_or(format!("`{VARIABLES}` must be an object of values by name"))?;
    let Some(unknown) = variables.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let near = nearest(unknown, known.iter().copied());
    let near = near
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    Err(format!("`{path}` takes no variable `{unknown}`{near}"))
}

/// The variables in an input of a component.
#[must_use]
pub fn variables_of(input: &Value) -> Map<String, Value> {
    let variables = input.get(VARIABLES).and_then(Value::as_object);
    variables.cloned().unwrap_or_default()
}

/// Refuses a value from outside that could not be read again if it was recorded.
pub(crate) fn check_external(what: &str, value: &Value) -> Result<(), SetupError> {
    json::check(value).map_err(|error| SetupError::Unrecordable {
        what: what.to_owned(),
        reason: error.to_string(),
    })
}

/// Reads a file of static inputs: an object whose keys are paths or unambiguous suffixes. A file that a person writes
/// need not say its version; the one in a run directory does.
pub(crate) fn read_static_inputs(path: &Path) -> Result<Vec<UnresolvedInput>, RunError> {
    let unusable = |reason: String| SetupError::InputFile {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if !metadata.is_file() {
        // A pipe would be waited for, perhaps for ever.
        return Err(unusable("it is not a regular file".to_owned()).into());
    }
    if metadata.len() > LONGEST_FILE {
        return Err(unusable(format!("it is longer than {} MiB", LONGEST_FILE >> 20)).into());
    }
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    parse_static_inputs(path, &bytes)
}

/// Static inputs in the text of a file.
pub(crate) fn parse_static_inputs(path: &Path, bytes: &[u8]) -> Result<Vec<UnresolvedInput>, RunError> {
    let unusable = |reason: String| SetupError::InputFile {
        path: path.to_path_buf(),
        reason,
    };
    let text = std::str::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
    let mut map: Map<String, Value> = match json::parse_external(text) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(unusable("it must be an object of inputs by step".to_owned()).into()),
        Err(error) => {
            let reason = dad_core::internal::in_words(&error);
            return Err(unusable(format!("it must be an object of inputs by step: {reason}")).into());
        }
    };
    // A step may have this id, but an input is never a number.
    if let Some(version) = map.get("schema_version").filter(|version| version.is_number()) {
        check_version(version, path, format::STATIC_INPUTS)?;
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
