use dad_core::SCHEMA_VERSION;
use dad_definition::Problems;
use dad_run::Unreadable;
use dad_runner::RunReport;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::CommandError;

/// Prints one document on standard output; a reader that went away is no error.
pub(crate) fn print(mut document: Value) {
    if let Some(fields) = document.as_object_mut() {
        fields.shift_insert(0, "schema_version".to_owned(), SCHEMA_VERSION.into());
    }
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    print_text(&text);
}

/// Prints a document that says its version itself, piece by piece as it is made.
pub(crate) fn print_large(document: &impl Serialize) {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let written = serde_json::to_writer_pretty(&mut out, document);
    if written.is_ok() {
        let _ = writeln!(out).and_then(|()| out.flush());
    }
}

/// Prints a text as lines on standard output; a reader that went away is no error.
pub(crate) fn print_text(text: &str) {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
}

pub(crate) fn print_error(error: &CommandError) {
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
    print(json!({ "error": document }));
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

/// Runs that cannot be read.
pub(crate) fn unreadable(runs: &[Unreadable]) -> Value {
    runs.iter()
        .map(|run| json!({ "run_dir": run.dir, "reason": run.reason }))
        .collect()
}

/// A run as `--json` prints it.
pub(crate) fn report(report: &RunReport) -> Value {
    json!({
        "run_id": report.run_id,
        "run_dir": report.run_dir,
        "status": report.status,
        "duration_seconds": report.duration.as_secs_f64(),
        "counts": report.totals.counts,
        "usage": report.totals.usage,
        "error": report.error,
        "first_failures": report.first_failures,
        "warnings": report.warnings,
        "output": report.output,
    })
}
