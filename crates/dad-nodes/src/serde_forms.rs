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

impl From<&str> for OneOrMany<String> {
    fn from(one: &str) -> Self {
        Self::One(one.to_owned())
    }
}

/// The operations of a node: written one by one, or the value of a template.
pub(crate) fn operations<T: serde::de::DeserializeOwned>(
    mut written: Vec<T>,
    template: Option<&ObjectTemplate>,
) -> Result<Vec<T>, dad_runner::NodeError> {
    let Some(ObjectTemplate(value)) = template else {
        return Ok(written);
    };
    let wrong = |error: serde_path_to_error::Error<serde_json::Error>| {
        let place = error.path().to_string();
        let message = format!(
            "the value of `operations_template` is no list of operations: at `{place}`: {}",
            error.inner()
        );
        dad_runner::NodeError::new("operations_template", message).permanent()
    };
    let more: Vec<T> = serde_path_to_error::deserialize(value).map_err(wrong)?;
    written.extend(more);
    Ok(written)
}
