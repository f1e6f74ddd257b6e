//! Expectations of the outputs of runs, and whether they hold.

use std::collections::HashMap;

use dad_definition::misfits;
use dad_template::{Limits, Template, Value as TemplateValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::batch::judge::Judge;

/// Expectations of the output of a run; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Expectation {
    /// The output itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// Texts that the output contains; of an output that is no text, its JSON.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub contains: Vec<String>,
    /// A JSON Schema that the output fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// An expression that is true, over `$var{output}` and the variables of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A model that judges the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
}

/// Whether the output of a run is what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether all that was expected holds.
    pub passed: bool,
    /// Each expectation that does not hold, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text, or a list of texts")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

impl Verdict {
    /// The same with another expectation that does not hold, if there is one.
    pub(super) fn and(mut self, reason: Option<String>) -> Self {
        self.reasons.extend(reason);
        self.passed = self.reasons.is_empty();
        self
    }
}

impl Expectation {
    /// Looks for mistakes in the expectation itself.
    ///
    /// # Errors
    /// The mistake, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err(
                "`expect` expects nothing; it holds `equals`, `contains`, `schema`, `expression` or `judge`"
                    .to_owned(),
            );
        }
        if let Some(expression) = &self.expression {
            let template = Template::parse(expression).map_err(|error| format!("`expression`: {error}"))?;
            if !template.is_single_placeholder() {
                return Err(format!(
                    "`expression` is a text, `{expression}`; write it as `$expr{{ … }}`, with `$var{{output}}` for the output"
                ));
            }
        }
        Ok(())
    }

    /// Compares the output of a run with the expectation, all but its judge.
    #[must_use]
    pub fn verdict(&self, output: &Value, variables: &Map<String, Value>) -> Verdict {
        let mut reasons = Vec::new();
        if let Some(wanted) = &self.equals
            && wanted != output
        {
            reasons.push(format!("is not {wanted}"));
        }
        let text = text_of(output);
        let missing = self.contains.iter().filter(|part| !text.contains(*part));
        reasons.extend(missing.map(|part| format!("does not contain `{part}`")));
        if let Some(schema) = &self.schema {
            let problems = misfits(schema, output);
            reasons.extend(
                problems
                    .iter()
                    .map(|problem| format!("does not fit its schema: {}", problem.message)),
            );
        }
        if let Some(expression) = &self.expression {
            reasons.extend(denial(expression, output, variables));
        }
        Verdict {
            passed: reasons.is_empty(),
            reasons,
        }
    }
}

/// An output as text: of one that is no text, its JSON.
pub(super) fn text_of(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Why an expression is not true.
fn denial(expression: &str, output: &Value, variables: &Map<String, Value>) -> Option<String> {
    let mut scope: HashMap<String, TemplateValue> = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect();
    scope.insert("output".to_owned(), output.into());
    let template = match Template::parse(expression) {
        Ok(template) => template,
        Err(error) => return Some(format!("`{expression}`: {error}")),
    };
    match template.evaluate(&scope, &Limits::DEFAULT) {
        Ok(TemplateValue::Bool(true)) => None,
        Ok(TemplateValue::Bool(false)) => Some(format!("`{expression}` is false")),
        Ok(_) => Some(format!("`{expression}` is neither true nor false")),
        Err(error) => Some(format!("`{expression}`: {error}")),
    }
}
