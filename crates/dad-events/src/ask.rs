use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use dad_core::{HierarchyPath, NodeType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::RunIdentity;

/// Reads the result of a step that is in scope of a question, by the name a template would use.
pub type ResultLookup = Arc<dyn Fn(&str) -> Result<Option<Value>, String> + Send + Sync>;

/// Checks an answer against the type of the node's input; the error names the field.
pub(crate) type InputCheck = Arc<dyn Fn(&Value) -> Result<(), String> + Send + Sync>;

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Somebody answered before.
    #[error("`{0}` already has its input")]
    AlreadyAnswered(HierarchyPath),
    /// The answer has the wrong shape.
    #[error("the input of `{path}` does not fit: {reason}")]
    WrongShape {
        /// The node.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
    /// Settings that do not fit the type they were asked for.
    #[error("the settings of `{path}` do not fit the type asked for: {reason}")]
    Settings {
        /// The node.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
}

/// What a question is about.
pub struct NodeInputRequired {
    /// The run.
    pub run: Arc<RunIdentity>,
    /// The node.
    pub path: HierarchyPath,
    /// Its type.
    pub node_type: NodeType,
    /// Its settings, templates not rendered.
    pub settings: Value,
    /// What the run this one was started from had been given.
    pub previous_input: Option<Value>,
    results: ResultLookup,
    check: InputCheck,
    answer: Mutex<Option<Value>>,
}

/// A node asks for its input. A cheap handle; the first [`set_input`](Self::set_input) answers.
#[derive(Clone)]
pub struct NodeInputRequiredEvent(Arc<NodeInputRequired>);

impl NodeInputRequiredEvent {
    /// A question; `check` refuses answers of the wrong shape.
    pub fn new(
        run: Arc<RunIdentity>,
        (path, node_type): (HierarchyPath, NodeType),
        settings: Value,
        previous_input: Option<Value>,
        results: ResultLookup,
        check: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let check: InputCheck = Arc::new(check);
        let answer = Mutex::new(None);
        Self(Arc::new(NodeInputRequired {
            run,
            path,
            node_type,
            settings,
            previous_input,
            results,
            check,
            answer,
        }))
    }

    /// Answers. Later handlers are not asked.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`], or [`AskError::WrongShape`], after which another answer can be given.
    pub fn set_input(&self, input: impl Serialize) -> Result<(), AskError> {
        let wrong = |reason: String| AskError::WrongShape {
            path: self.path.clone(),
            reason,
        };
        let value = serde_json::to_value(input).map_err(|error| wrong(error.to_string()))?;
        (self.0.check)(&value).map_err(wrong)?;
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.is_some() {
            return Err(AskError::AlreadyAnswered(self.path.clone()));
        }
        *answer = Some(value);
        Ok(())
    }

    /// Whether somebody has answered.
    #[must_use]
    pub fn handled(&self) -> bool {
        self.0
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// The answer, if there is one.
    #[must_use]
    pub fn answer(&self) -> Option<Value> {
        self.0
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The node's settings as a type, templates not rendered.
    ///
    /// # Errors
    /// [`AskError::Settings`] if a field does not fit, for example because a template stands where the type has a
    /// number.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        serde_json::from_value(self.settings.clone()).map_err(|error| AskError::Settings {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }

    /// The result of a step that the node could refer to by `$hier{name}`; `None` if it was skipped.
    ///
    /// # Errors
    /// If there is no such step, or its result cannot be read.
    pub fn result(&self, name: &str) -> Result<Option<Value>, String> {
        (self.0.results)(name)
    }
}

impl Deref for NodeInputRequiredEvent {
    type Target = NodeInputRequired;

    fn deref(&self) -> &NodeInputRequired {
        &self.0
    }
}

impl fmt::Debug for NodeInputRequiredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeInputRequiredEvent")
            .field("path", &self.path)
            .field("node_type", &self.node_type)
            .field("handled", &self.handled())
            .finish_non_exhaustive()
    }
}
