//! The templates that are measured.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;

use dhenara::template::{Limits, Scope, ScopeError, Template, Value};
use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;

/// A case of the report.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) once: Box<dyn Fn() -> Outcome<()>>,
}

impl Case {
    fn new(name: &'static str, once: impl Fn() -> Outcome<()> + 'static) -> Self {
        Self {
            name,
            once: Box::new(once),
        }
    }
}

pub(crate) fn all() -> Outcome<Vec<Case>> {
    let mut cases = prompt()?;
    cases.extend(result()?);
    cases.push(comprehension()?);
    Ok(cases)
}

/// The size of the prompt's text in bytes.
const PROMPT_BYTES: usize = 20_000;
const PLACEHOLDERS: usize = 50;

fn prompt() -> Outcome<Vec<Case>> {
    let text = prompt_text();
    let template = Template::parse(&text)?;
    assert!(text.len().abs_diff(PROMPT_BYTES) < 500, "{} bytes", text.len());
    assert_eq!(template.placeholders().count(), PLACEHOLDERS);
    let scope = HashMap::from([
        ("task".to_owned(), Value::from("sort the list")),
        (
            "check".to_owned(),
            Value::from(json!({ "name": "build", "tries": [1, 2, 3] })),
        ),
    ]);
    Ok(vec![
        Case::new("parse a prompt of 20 kB with 50 placeholders", move || {
            black_box(Template::parse(black_box(&text))?);
            Ok(())
        }),
        Case::new("render it", move || {
            black_box(template.render(black_box(&scope), &Limits::default())?);
            Ok(())
        }),
    ])
}

/// Plain text with placeholders at even distances, of which some are expressions.
fn prompt_text() -> String {
    const PLACES: [&str; 3] = [
        "$var{task}",
        "$expr{check.name}",
        "$expr{ len(check.tries) > 2 ? task : 'none' }",
    ];
    let between = PROMPT_BYTES / PLACEHOLDERS - 25;
    let plain: String = "You write code that works; \n"
        .chars()
        .cycle()
        .take(between)
        .collect();
    (0..PLACEHOLDERS)
        .map(|index| format!("{plain}{}", PLACES[index % PLACES.len()]))
        .collect()
}

/// A step whose result is in a file, as those of a run are.
struct Stored {
    file: PathBuf,
    /// Removes the file in the end.
    _dir: TempDir,
}

impl Scope for Stored {
    fn variable(&self, _: &str) -> Result<Option<Value>, ScopeError> {
        Ok(None)
    }

    fn step(&self, _: &str) -> Result<Option<Value>, ScopeError> {
        let unreadable = |error: &dyn std::fmt::Display| ScopeError::new(error.to_string());
        let bytes = fs::read(&self.file).map_err(|error| unreadable(&error))?;
        let result: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        Ok(Some(result.into()))
    }
}

fn result() -> Outcome<Vec<Case>> {
    let files: Vec<_> = (0..1000)
        .map(|index| json!({ "path": format!("src/file_{index}.rs"), "content": "x".repeat(1000), "size": index }))
        .collect();
    let result = json!({ "outcome": { "files": files }, "error": null });
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("result.json");
    #[expect(clippy::disallowed_methods, reason = "a file that no run owns")]
    fs::write(&file, result.to_string())?;
    let stored = Stored { file, _dir: dir };
    let in_memory = InMemory(result.into());
    let field = Template::parse("$expr{ $hier{analysis}.outcome.files[900].path }")?;
    let same_field = field.clone();
    Ok(vec![
        Case::new("read a field of a result of 1 MB from its file", move || {
            expect_path(&field.render(black_box(&stored), &Limits::default())?)
        }),
        Case::new("the same field of a result in memory", move || {
            expect_path(&same_field.render(black_box(&in_memory), &Limits::default())?)
        }),
    ])
}

fn expect_path(rendered: &str) -> Outcome<()> {
    match rendered {
        "src/file_900.rs" => Ok(()),
        other => Err(format!("rendered `{other}`").into()),
    }
}

struct InMemory(Value);

impl Scope for InMemory {
    fn variable(&self, _: &str) -> Result<Option<Value>, ScopeError> {
        Ok(None)
    }

    fn step(&self, _: &str) -> Result<Option<Value>, ScopeError> {
        Ok(Some(self.0.clone()))
    }
}

fn comprehension() -> Outcome<Case> {
    let items: Vec<_> = (0..10_000)
        .map(|index| json!({ "name": format!("item {index}"), "size": index }))
        .collect();
    let scope = HashMap::from([("items".to_owned(), Value::from(json!(items)))]);
    let template = Template::parse("$expr{py: [item.name for item in items if item.size % 2 == 0]}")?;
    Ok(Case::new(
        "a comprehension over 10 000 items",
        move || match template.evaluate(black_box(&scope), &Limits::default())?.len() {
            Some(5_000) => Ok(()),
            other => Err(format!("{other:?} items").into()),
        },
    ))
}
