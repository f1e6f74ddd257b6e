//! The documents that `--json` prints.

use dad_core::ErrorInfo;
use dad_definition::Problems;
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::output::out;

/// The version of the documents that the command prints.
pub(crate) const FORMAT: u32 = 1;

/// Prints one document on standard output.
pub(crate) fn print(mut document: Value) -> Result<(), CommandError> {
    if let Some(fields) = document.as_object_mut() {
        fields.shift_insert(0, "schema_version".to_owned(), FORMAT.into());
    }
    out::document(&document)
}

/// Prints an error as a document.
pub(crate) fn print_error(error: &CommandError) -> Result<(), CommandError> {
    let mut document = json!({ "code": error.info.code, "message": error.info.message });
    if let Some(path) = &error.info.path {
        document["path"] = json!(path);
    }
    if let Some(hint) = &error.info.hint {
        document["hint"] = json!(hint);
    }
    if let Some(problems) = &error.problems {
        document["problems"] = self::problems(problems);
    }
    print(json!({ "error": document }))
}

/// Problems of definitions, each with its place.
pub(crate) fn problems(problems: &Problems) -> Value {
    let all = problems.iter().map(|problem| {
        json!({
            "code": problem.code,
            "message": problem.message,
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "hint": problem.hint,
        })
    });
    all.collect()
}

/// Steps that could not be executed, in the form of problems; the path is the step's.
pub(crate) fn unready(errors: &[ErrorInfo]) -> Value {
    let all = errors.iter().map(|error| {
        json!({
            "code": error.code,
            "message": error.message,
            "file": null,
            "line": null,
            "column": null,
            "path": error.path,
            "hint": error.hint,
        })
    });
    all.collect()
}
