//! One value of a run, by the step and the place in its result.

use dad_core::{HierarchyPath, PathSelector};
use serde_json::Value;

use crate::error::{RunError, SetupError};
use crate::rerun::value_path;
use crate::store::view::RunView;

/// The fields of a result that are always defined, null where they are left out.
const DEFINED: [&str; 5] = ["outcome", "error", "input", "settings", "output"];

impl RunView {
    /// A value of a run, as templates write its place: `STEP.outcome.results[0].stdout`, `STEP.settings`, or `STEP` for the whole
    /// result. A step is named by its path or the end of it; `output` is the output of the run.
    ///
    /// # Errors
    /// [`SetupError::Step`] if it names no step, or several; [`SetupError::NoValue`] with what there is instead; or if the
    /// result cannot be read.
    ///
    /// ```no_run
    /// let view = dad_run::RunView::open("runs/run_20260102_030405_0a1b2c")?;
    /// println!("{}", view.value("greet.outcome.results[0].stdout")?);
    /// # Ok::<(), dad_run::RunError>(())
    /// ```
    pub fn value(&self, place: &str) -> Result<Value, RunError> {
        let none = |reason: String| SetupError::NoValue {
            run: self.name().into_owned(),
            place: place.to_owned(),
            reason,
        };
        let (value, rest) = match self.split_value(place) {
            Ok((step, rest)) => (self.defined_result(&step)?, rest),
            Err(error) => {
                let in_output = place.strip_prefix("output");
                let in_output = in_output.filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
                match (in_output, self.output()?) {
                    (Some(rest), Some(output)) => (output, rest),
                    _ => return Err(error.into()),
                }
            }
        };
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let path = value_path::parse(rest).map_err(none)?;
        Ok(value_path::get(&value, &path).map_err(none)?.clone())
    }

    /// The step that a place begins with, and the rest: the shortest beginning that names one.
    fn split_value<'p>(&self, place: &'p str) -> Result<(HierarchyPath, &'p str), SetupError> {
        let ends = place.match_indices(['.', '[']).map(|(at, _)| at);
        let mut error = None;
        for end in ends.chain([place.len()]) {
            let (step, rest) = place.split_at(end);
            let found = match step.parse::<PathSelector>() {
                Ok(selector) => self.select_step(&selector).map_err(SetupError::Step),
                Err(error) => Err(error.into()),
            };
            match found {
                Ok(step) => return Ok((step, rest)),
                // What stands before a field of a result was meant to be a step.
                Err(error) if begins_with_field(rest) => return Err(error),
                Err(other) => error = error.or(Some(other)),
            }
        }
        Err(error.unwrap_or_else(|| SetupError::NoValue {
            run: self.name().into_owned(),
            place: place.to_owned(),
            reason: "it names no step".to_owned(),
        }))
    }

    fn defined_result(&self, step: &HierarchyPath) -> Result<Value, RunError> {
        let mut result = self.result(step)?;
        if let Some(fields) = result.as_object_mut() {
            for name in DEFINED {
                fields.entry(name).or_insert(Value::Null);
            }
        }
        Ok(result)
    }
}

/// Whether the rest of a place is a field of a result.
fn begins_with_field(rest: &str) -> bool {
    let names = |field: &str| {
        let behind = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(field));
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '[']))
    };
    DEFINED.iter().any(|field| names(field))
}
