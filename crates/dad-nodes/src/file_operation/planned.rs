//! The results of planned operations, before anything changes.

use super::FileOperation;
use super::place::Place;
use super::result::type_name;
use dad_runner::NodeError;
use serde_json::{Value, json};

/// The results of the operations.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub(crate) results: Vec<Planning>,
    /// Why the first that failed did, and how many did.
    pub(crate) failure: Option<NodeError>,
    pub(crate) failures: usize,
}

/// The result of one operation.
#[derive(Debug)]
pub(crate) struct Planning {
    pub(crate) result: Value,
    /// The changed places.
    pub(crate) touched: Vec<Place>,
    /// The places that it names, of one that may change something.
    pub(super) named: Vec<Place>,
}

impl Planning {
    pub(crate) fn of(result: Value) -> Self {
        Self {
            result,
            touched: Vec::new(),
            named: Vec::new(),
        }
    }
}

impl Planned {
    pub(super) fn fail(&mut self, error: &NodeError, number: usize, operation: &FileOperation) {
        let kind = type_name(operation.operation_type);
        let shown = operation.path.as_deref().or(operation.source.as_deref());
        let mut result = json!({ "type": kind, "path": shown, "success": false });
        result["error"] = error.info.message.clone().into();
        self.results.push(Planning::of(result));
        self.failures += 1;
        if self.failure.is_none() {
            let mut error = error.clone();
            error.info.message = format!("operation {number} ({kind}): {}", error.info.message);
            self.failure = Some(error.permanent());
        }
    }
}
