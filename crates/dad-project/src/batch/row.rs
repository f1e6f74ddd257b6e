//! The rows of a batch, one JSON object in a line each.

use std::collections::HashSet;

use dad_core::internal::in_words;
use dad_core::json::parse_external;
use dad_core::nearest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::batch::expectation::Expectation;
use crate::error::ProjectError;

/// The most rows of a batch.
const MAX_ROWS: usize = 100_000;

/// One input of a batch: the variables and inputs of a run, and what its output is expected to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchRow {
    /// Its name, unique in the batch; by default the number of its line.
    #[serde(default)]
    pub id: String,
    /// The variables of the root component.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// The inputs of steps and components, by path.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// Expectations of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
}

/// The keys of a row.
const KEYS: [&str; 4] = ["id", "variables", "inputs", "expect"];

impl BatchRow {
    /// A row of variables.
    #[must_use]
    pub fn new(id: impl Into<String>, variables: Map<String, Value>) -> Self {
        Self {
            id: id.into(),
            variables,
            ..Self::default()
        }
    }

    /// The rows of a text with one JSON object in a line; blank lines are passed over.
    ///
    /// # Errors
    /// [`ProjectError::Rows`] with every line that is no row, for a file of the given name.
    pub fn parse_lines(text: &str, file: &str) -> Result<Vec<Self>, ProjectError> {
        const SHOWN: usize = 20;
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        let mut named = HashSet::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            match row(line, number).and_then(|row| unique(row, &mut named)) {
                Ok(row) => rows.push(row),
                Err(reason) => problems.push(format!("{file}:{number}: {reason}")),
            }
            if problems.len() == SHOWN {
                break;
            }
        }
        if rows.is_empty() && problems.is_empty() {
            problems.push(format!("{file}: there are no rows in it"));
        }
        if rows.len() > MAX_ROWS {
            problems.push(format!("{file}: there are more than {MAX_ROWS} rows in it"));
        }
        if problems.is_empty() {
            Ok(rows)
        } else {
            Err(ProjectError::Rows(problems))
        }
    }
}

fn row(line: &str, number: u64) -> Result<BatchRow, String> {
    let value =
        parse_external(line).map_err(|error| format!("it is no JSON object: {}", in_words(&error)))?;
    let Value::Object(fields) = &value else {
        return Err("a row is an object such as `{\"variables\": {\"tone\": \"calm\"}}`".to_owned());
    };
    if let Some(unknown) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = nearest(unknown, KEYS.iter().copied());
        return Err(match near {
            Some(near) => format!("unknown key `{unknown}`; did you mean `{near}`?"),
            None => format!("unknown key `{unknown}`; variables stand in `variables`"),
        });
    }
    let mut row: BatchRow = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if row.id.is_empty() {
        row.id = number.to_string();
    }
    row.expect.as_ref().map_or(Ok(()), Expectation::check)?;
    Ok(row)
}

fn unique(row: BatchRow, named: &mut HashSet<String>) -> Result<BatchRow, String> {
    if named.insert(row.id.clone()) {
        Ok(row)
    } else {
        Err(format!("there is a row `{}` before it", row.id))
    }
}
