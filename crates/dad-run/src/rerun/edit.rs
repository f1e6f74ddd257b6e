//! Edits of results that a re-run reuses: a step is taken to have said something else.

use std::fmt;

use dad_core::{HierarchyPath, nearest};
use dad_definition::Program;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::SetupError;

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
                    segments(field).map_err(refused)?;
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
        for segment in segments(&self.field).map_err(refused)? {
            place = match segment {
                Segment::Key(key) => {
                    if place.is_null() {
                        *place = Value::Object(Map::from_iter([(key.to_owned(), Value::Null)]));
                    }
                    let found = type_of(place);
                    let fields = place.as_object_mut();
                    let fields = fields.ok_or_else(|| refused(format!("`{key}` stands in {found}")))?;
                    if !fields.contains_key(key) {
                        return Err(refused(unknown_field(key, fields)));
                    }
                    &mut fields[key]
                }
                Segment::Index(index) => {
                    let found = type_of(place);
                    let items = place.as_array_mut();
                    let items = items.ok_or_else(|| refused(format!("`[{index}]` stands in {found}")))?;
                    let len = items.len();
                    let item = items.get_mut(index);
                    item.ok_or_else(|| refused(format!("there is no `[{index}]` in a list of {len}")))?
                }
            };
        }
        place.clone_from(&self.value);
        Ok(())
    }
}

fn unknown_field(key: &str, fields: &Map<String, Value>) -> String {
    let names = || fields.keys().map(String::as_str);
    match nearest(key, names()) {
        Some(near) => format!("it has no `{key}`, but `{near}`"),
        None if fields.is_empty() => format!("it has no `{key}`, and nothing else"),
        None => format!(
            "it has no `{key}`, but {}",
            names()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

/// The steps from an outcome to a place in it.
fn segments(field: &str) -> Result<Vec<Segment<'_>>, String> {
    let mut found = Vec::new();
    if field.is_empty() {
        return Ok(found);
    }
    for part in field.split('.') {
        let (key, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        let only_indices = key.is_empty() && found.is_empty() && !indices.is_empty();
        if key.is_empty() && !only_indices {
            return Err(format!("`{field}` has an empty name"));
        }
        if !key.is_empty() {
            found.push(Segment::Key(key));
        }
        for index in indices.split_inclusive(']') {
            let number = index.strip_prefix('[').and_then(|index| index.strip_suffix(']'));
            let number = number.and_then(|number| number.parse().ok());
            found.push(Segment::Index(
                number.ok_or_else(|| format!("`{index}` is no index of a list"))?,
            ));
        }
    }
    Ok(found)
}
