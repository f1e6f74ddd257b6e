//! Forms of settings that are written in several ways: one or many, an object or a template of one.

use dad_core::internal::{in_words, is_about_a_type};
use dad_definition::{Fit, misfits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A template whose value keeps its type, where the settings want a list or object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ObjectTemplate(pub Value);

impl ObjectTemplate {
    /// A template such as `$expr{ $hier{code_generator}.outcome.structured.file_operations }`.
    pub fn new(expression: impl Into<String>) -> Self {
        Self(Value::String(expression.into()))
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Any number.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<T> From<T> for OneOrMany<T> {
    fn from(one: T) -> Self {
        Self::One(one)
    }
}

impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(many: Vec<T>) -> Self {
        Self::Many(many)
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for OneOrMany<String> {
    fn from(many: [T; N]) -> Self {
        Self::Many(many.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for OneOrMany<String> {
    fn from(one: &str) -> Self {
        Self::One(one.to_owned())
    }
}

/// The operations of a node: written one by one, or the value of a template, in which a number stands for its text where a
/// text is wanted.
pub(crate) fn operations<T: serde::de::DeserializeOwned + JsonSchema>(
    mut written: Vec<T>,
    template: Option<&ObjectTemplate>,
) -> Result<Vec<T>, dad_runner::NodeError> {
    let Some(ObjectTemplate(value)) = template else {
        return Ok(written);
    };
    let schema: Value = schemars::schema_for!(Vec<T>).into();
    let value = Fit::of(&schema).fitted(value.clone());
    let wrong = |error: serde_path_to_error::Error<serde_json::Error>| {
        let by_schema = is_about_a_type(error.inner()).then(|| misfits(&schema, &value));
        let (place, reason) = match by_schema.into_iter().flatten().next() {
            Some(misfit) => (misfit.place, misfit.message),
            None => (error.path().to_string(), in_words(error.inner())),
        };
        let message = match place.as_str() {
            "" => format!("the value of `operations_template` is no list of operations: {reason}"),
            place => {
                format!("the value of `operations_template` is no list of operations: at `{place}`: {reason}")
            }
        };
        dad_runner::NodeError::new("operations_template", message).permanent()
    };
    let more: Vec<T> = serde_path_to_error::deserialize(&value).map_err(wrong)?;
    written.extend(more);
    Ok(written)
}
