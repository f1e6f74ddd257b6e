//! A scope over plain JSON, with step results found by the end of their path.

use std::collections::HashMap;

use dad_template::{Scope, ScopeError, Value};

/// The fields of every step result; the last three where its kind has them.
const FIELDS: [&str; 8] = [
    "executable_type",
    "node_identifier",
    "execution_status",
    "input",
    "output",
    "outcome",
    "error",
    "created_at",
];

#[derive(Default)]
pub(crate) struct TestScope {
    /// Innermost first.
    pub(crate) levels: Vec<HashMap<String, Value>>,
    /// Results by the path of their step.
    pub(crate) steps: Vec<(String, Value)>,
    /// The path of the component that evaluates.
    pub(crate) current: String,
}

impl TestScope {
    pub(crate) fn with(variables: &serde_json::Value) -> Self {
        let mut scope = TestScope::default();
        scope.push(variables);
        scope
    }

    /// Adds a level outside those that are there.
    pub(crate) fn push(&mut self, variables: &serde_json::Value) {
        let entries = variables.as_object().into_iter().flatten();
        self.levels.push(
            entries
                .map(|(name, value)| (name.clone(), Value::from(value)))
                .collect(),
        );
    }

    pub(crate) fn steps(&mut self, results: &serde_json::Value) {
        for (path, result) in results.as_object().into_iter().flatten() {
            let mut fields = serde_json::Map::new();
            for field in FIELDS {
                fields.insert(field.to_owned(), result.get(field).cloned().unwrap_or_default());
            }
            self.steps
                .push((path.clone(), Value::from(serde_json::Value::Object(fields))));
        }
    }
}

impl Scope for TestScope {
    fn variable(&self, name: &str) -> Result<Option<Value>, ScopeError> {
        if name == "unreadable" {
            return Err(ScopeError::new("the store is gone"));
        }
        Ok(self.levels.iter().find_map(|level| level.get(name)).cloned())
    }

    /// The nearest enclosing component first, then outward, then any path that ends so.
    fn step(&self, reference: &str) -> Result<Option<Value>, ScopeError> {
        let mut base = self.current.as_str();
        loop {
            let wanted = if base.is_empty() {
                reference.to_owned()
            } else {
                format!("{base}.{reference}")
            };
            if let Some((_, result)) = self.steps.iter().find(|(path, _)| *path == wanted) {
                return Ok(Some(result.clone()));
            }
            if base.is_empty() {
                break;
            }
            base = base.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        let suffix = format!(".{reference}");
        Ok(self
            .steps
            .iter()
            .find(|(path, _)| path.ends_with(&suffix))
            .map(|(_, result)| result.clone()))
    }
}
