//! Values without secrets.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::result::{ErrorInfo, StepResult};
use crate::secret::Redactor;

/// A value in which every secret is masked that was known when the value came into the run. What records something takes
/// these, so that nothing is recorded that was not looked through, and nothing is looked through twice.
///
/// It is made at the places where values enter, and in no other way: it is never read from JSON.
///
/// ```
/// use dad_core::{Clean, SecretRegistry};
///
/// let secrets = SecretRegistry::new();
/// secrets.add("a-long-secret");
/// let said = Clean::redact("it is a-long-secret".to_owned(), &secrets.redactor());
/// assert_eq!(said.get(), "it is [redacted]");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Clean<T>(T);

/// A value that can be looked through for secrets.
pub trait Redact {
    /// Masks the secrets in it.
    fn redact_with(&mut self, redactor: &Redactor);
}

impl<T> Clean<T> {
    /// Masks a value where it enters the run: an answer, an output, an input, the text of an error.
    #[must_use]
    pub fn redact(mut value: T, redactor: &Redactor) -> Self
    where
        T: Redact,
    {
        value.redact_with(redactor);
        Self(value)
    }

    /// Masks a value that templates made of others: parts that are clean may be a secret when they are put together, and the
    /// text around them is the definition's.
    #[must_use]
    pub fn render(value: T, redactor: &Redactor) -> Self
    where
        T: Redact,
    {
        Self::redact(value, redactor)
    }

    /// Takes a value that the run has recorded itself, whose digest or line was verified when it was read.
    #[must_use]
    pub const fn from_store(value: T) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The value, to be changed or shown. What is made of it is not clean any more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Clean<Map<String, Value>> {
    /// The same as one JSON value.
    #[must_use]
    pub fn into_json(self) -> Clean<Value> {
        Clean(self.0.into())
    }
}

impl<T> AsRef<T> for Clean<T> {
    fn as_ref(&self) -> &T {
        &self.0
    }
}

impl Redact for String {
    fn redact_with(&mut self, redactor: &Redactor) {
        if let std::borrow::Cow::Owned(masked) = redactor.redact(self) {
            *self = masked;
        }
    }
}

impl Redact for Value {
    fn redact_with(&mut self, redactor: &Redactor) {
        redactor.redact_json(self);
    }
}

impl Redact for Map<String, Value> {
    fn redact_with(&mut self, redactor: &Redactor) {
        let mut all = Value::Object(std::mem::take(self));
        redactor.redact_json(&mut all);
        if let Value::Object(all) = all {
            *self = all;
        }
    }
}

impl Redact for ErrorInfo {
    fn redact_with(&mut self, redactor: &Redactor) {
        self.message.redact_with(redactor);
        if let Some(hint) = &mut self.hint {
            hint.redact_with(redactor);
        }
    }
}

/// The values in a step's result, each without secrets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StepValues {
    /// The input that the step was given from outside.
    pub input: Option<Clean<Value>>,
    /// Its settings, rendered.
    pub settings: Option<Clean<Value>>,
    /// Everything it gave besides its outcome.
    pub output: Option<Clean<Value>>,
    /// The outcome, which other steps use.
    pub outcome: Option<Clean<Value>>,
    /// Why it did not end well.
    pub error: Option<Clean<ErrorInfo>>,
}

impl StepResult {
    /// The same result with these values in the place of its own; the rest of it is names, numbers and times.
    #[must_use]
    pub fn with_values(self, values: StepValues) -> Clean<Self> {
        let StepValues {
            input,
            settings,
            output,
            outcome,
            error,
        } = values;
        Clean(Self {
            input: input.map(Clean::into_inner),
            settings: settings.map(Clean::into_inner),
            output: output.map(Clean::into_inner),
            outcome: outcome.map(Clean::into_inner),
            error: error.map(Clean::into_inner),
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::SecretRegistry;

    #[test]
    fn everything_that_is_text_is_masked() {
        let secrets = SecretRegistry::new();
        assert!(secrets.add("a-long-secret"));
        let redactor = secrets.redactor();
        let json = json!({ "a-long-secret": ["x a-long-secret"], "n": 1 });
        let masked = json!({ "[redacted]": ["x [redacted]"], "n": 1 });
        assert_eq!(Clean::redact(json.clone(), &redactor).get(), &masked);
        let map = json.as_object().unwrap().clone();
        assert_eq!(Value::from(Clean::render(map, &redactor).into_inner()), masked);
        let error = ErrorInfo::new("code", "no a-long-secret").with_hint("use a-long-secret");
        let error = Clean::redact(error, &redactor).into_inner();
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            ("no [redacted]", Some("use [redacted]"))
        );
    }
}
