//! Edits of results that a re-run reuses: a step is taken to have said something else.

use std::fmt;

use dad_core::HierarchyPath;
use dad_definition::Program;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::SetupError;
use crate::rerun::value_path::{self, Segment};

/// A change of the outcome of one step that is taken from the previous run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Edit {
    /// The step.
    pub path: HierarchyPath,
    /// The place in its outcome, such as `structured.files[0].name`; the whole outcome if empty.
    pub field: String,
    /// The new value.
    pub value: Value,
}

impl Edit {
    /// A new value at `field` of the outcome of a step, such as `structured.files[0].name`; of the whole outcome if empty.
    #[must_use]
    pub fn new(path: HierarchyPath, field: impl Into<String>, value: Value) -> Self {
        Self {
            path,
            field: field.into(),
            value,
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}.outcome", self.path),
            field if field.starts_with('[') => write!(f, "{}.outcome{field}", self.path),
            field => write!(f, "{}.outcome.{field}", self.path),
        }
    }
}

impl Edit {
    /// Reads `STEP.outcome.FIELD`, as a person writes it. The step is the shortest beginning that names one.
    ///
    /// # Errors
    /// [`SetupError::Edit`] if it names no step of the definition, or no place of an outcome.
    pub fn parse(target: &str, value: Value, program: &Program) -> Result<Self, SetupError> {
        let refused = |reason: String| SetupError::Edit {
            target: target.to_owned(),
            reason,
        };
        let mut unknown = None;
        for (at, _) in target.match_indices(".outcome") {
            let field = &target[at + ".outcome".len()..];
            let field = match field.chars().next() {
                None | Some('[') => field,
                Some('.') if field.len() > 1 => &field[1..],
                Some(_) => continue,
            };
            let selected = target[..at]
                .parse()
                .map_err(|error| refused(format!("{error}")))
                .and_then(|selector| {
                    let selected = program.select_step(&selector);
                    selected.map_err(|error| refused(error.to_string()))
                });
            match selected {
                Ok(selected) => {
                    value_path::parse(field).map_err(refused)?;
                    return Ok(Self {
                        path: selected.first(),
                        field: field.to_owned(),
                        value,
                    });
                }
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        let whole = || refused("it must be STEP.outcome or STEP.outcome.FIELD".to_owned());
        Err(unknown.unwrap_or_else(whole))
    }

    /// Changes an outcome. Where there is nothing at all, objects are made on the way.
    ///
    /// # Errors
    /// [`SetupError::Edit`] if there is something else on the way, an object without the field, or a list that is shorter.
    pub fn apply(&self, outcome: &mut Value) -> Result<(), SetupError> {
        let refused = |reason: String| SetupError::Edit {
            target: self.to_string(),
            reason,
        };
        let mut place = outcome;
        for segment in value_path::parse(&self.field).map_err(refused)? {
            place = match segment {
                Segment::Key(key) => {
                    if place.is_null() {
                        *place = Value::Object(Map::from_iter([(key.clone(), Value::Null)]));
                    }
                    let none = value_path::no_fields(&key, place);
                    let fields = place.as_object_mut().ok_or_else(|| refused(none))?;
                    if !fields.contains_key(&key) {
                        return Err(refused(value_path::unknown_field(&key, fields)));
                    }
                    &mut fields[&key]
                }
                Segment::Index(index) => {
                    let none = value_path::no_items(index, place);
                    let items = place.as_array_mut().ok_or_else(|| refused(none))?;
                    let len = items.len();
                    let item = items.get_mut(index);
                    item.ok_or_else(|| refused(value_path::too_short(index, len)))?
                }
            };
        }
        place.clone_from(&self.value);
        Ok(())
    }
}
