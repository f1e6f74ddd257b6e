//! The output of a node, in a form that can be recorded and read back, without secrets.

use std::any::Any;

use dad_core::json::check_recorded;
use dad_core::{Clean, Redactor, Usage};
use serde::Serialize;
use serde_json::Value;

use crate::node::error::NodeError;

/// The output of a node.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeOutput<T = Value> {
    /// The outcome, which other steps use.
    pub outcome: T,
    /// Further output worth keeping, in the node's own shape.
    pub output: Option<Value>,
    /// The usage.
    pub usage: Usage,
    /// A summary of the node's work, in one line.
    pub summary: Option<String>,
}

impl<T> NodeOutput<T> {
    /// An output that is only an outcome.
    #[must_use]
    pub fn new(outcome: T) -> Self {
        Self {
            outcome,
            output: None,
            usage: Usage::default(),
            summary: None,
        }
    }

    /// The same with another outcome.
    #[must_use]
    pub fn map<U>(self, outcome: impl FnOnce(T) -> U) -> NodeOutput<U> {
        NodeOutput {
            outcome: outcome(self.outcome),
            output: self.output,
            usage: self.usage,
            summary: self.summary,
        }
    }

    /// The same with further output worth keeping.
    #[must_use]
    pub fn with_output(mut self, output: Value) -> Self {
        self.output = Some(output);
        self
    }

    /// The same with a usage.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The same with a summary in one line.
    #[must_use]
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
}

impl<T: Serialize + 'static> NodeOutput<T> {
    /// The same as JSON.
    ///
    /// # Errors
    /// If JSON cannot hold the outcome.
    pub fn into_json(self) -> Result<NodeOutput, NodeError> {
        let usage = self.usage;
        let mut failed = None;
        let output = self.map(|outcome| {
            json_of(outcome).unwrap_or_else(|error| {
                failed = Some(error);
                Value::Null
            })
        });
        match failed {
            None => Ok(output),
            Some(error) => {
                let spent = NodeOutput::default().with_usage(usage);
                Err(NodeError::from_error("outcome", &error)
                    .permanent()
                    .with_partial(spent))
            }
        }
    }
}

/// Serialises an outcome; one that is JSON already is moved.
fn json_of<T: Serialize + 'static>(outcome: T) -> Result<Value, serde_json::Error> {
    let mut outcome = Some(outcome);
    let any: &mut dyn Any = &mut outcome;
    match any.downcast_mut::<Option<Value>>() {
        Some(json) => Ok(json.take().unwrap_or_default()),
        None => serde_json::to_value(outcome),
    }
}

/// The output of a node, unless its record could not be read back.
pub(crate) fn recordable(executed: Result<NodeOutput, NodeError>) -> Result<NodeOutput, NodeError> {
    let (unfit, usage) = {
        let output = match &executed {
            Ok(output) => output,
            Err(error) => &error.partial,
        };
        let values = [Some(&output.outcome), output.output.as_ref()];
        let unfit = values
            .into_iter()
            .flatten()
            .find_map(|value| check_recorded(value).err());
        (unfit, output.usage)
    };
    // The usage counts in any case.
    let spent = || NodeOutput {
        usage,
        ..NodeOutput::default()
    };
    match (unfit, executed) {
        (None, executed) => executed,
        (Some(unfit), Ok(_)) => {
            let message = format!("what the node gives cannot be recorded: {unfit}");
            let error = NodeError::new(unfit.code(), message).permanent();
            Err(error.with_partial(spent()))
        }
        (Some(_), Err(error)) => Err(error.with_partial(spent())),
    }
}

/// The output of a node without secrets, as it is recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct CleanOutput {
    pub(crate) outcome: Clean<Value>,
    pub(crate) output: Option<Clean<Value>>,
    pub(crate) usage: Usage,
    pub(crate) summary: Option<Clean<String>>,
}

impl CleanOutput {
    pub(crate) fn of(output: NodeOutput, redactor: &Redactor) -> Self {
        Self {
            outcome: Clean::redact(output.outcome, redactor),
            output: output.output.map(|output| Clean::redact(output, redactor)),
            usage: output.usage,
            summary: output.summary.map(|summary| Clean::redact(summary, redactor)),
        }
    }
}
