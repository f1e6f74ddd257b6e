//! Results of operations, and the codes of refusals.

use super::{FileOperation, FileOperationType};
use dad_runner::NodeError;
use serde_json::{Value, json};

/// The fact of a preview that names the files which tools obey.
pub(super) const PROTECTED: &str = "protected";

/// The code of an operation that names a field which it does not use.
pub(super) const UNUSED_FIELD: &str = "unused_field";

/// The message for `executable` on an operation other than `set_executable`.
pub(super) const NOT_EXECUTABLE: &str =
    "`executable` is a field of `set_executable`; add such an operation behind this one";

pub(crate) fn done(operation: &FileOperation, shown: &str) -> Value {
    json!({ "type": operation.operation_type, "path": shown, "success": true })
}

pub(crate) fn not_found(shown: &str) -> NodeError {
    NodeError::new("not_found", format!("`{shown}` does not exist"))
}

pub(crate) fn type_name(operation: FileOperationType) -> String {
    let name = serde_json::to_value(operation).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// Code and message of an edit that cannot be made.
pub(super) type Refused = (&'static str, String);
