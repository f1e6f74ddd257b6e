//! Texts with the placeholders of other tools, which stay as they are: a warning names the form that was probably meant.

use std::ops::Range;

use serde_json::Value;

use crate::compile::Compiler;
use crate::place::Place;
use crate::problem::{Problem, Severity, quoted};

/// The words of placeholders, with other words that are taken for them.
const WORDS: &[(&str, &[&str])] = &[
    (
        "var",
        &[
            "variable",
            "vars",
            "variables",
            "param",
            "params",
            "input",
            "inputs",
        ],
    ),
    ("expr", &["exp", "expression", "eval"]),
    ("hier", &["hierarchy", "step", "steps", "ref"]),
    ("secret", &["secrets"]),
];

/// A part of a text, and the placeholder it should be.
struct Found {
    part: Range<usize>,
    meant: String,
}

impl Compiler<'_> {
    /// Warns of what is a placeholder elsewhere. In a shell, `$name` is a variable of the shell.
    pub(super) fn foreign_placeholders(&mut self, settings: &Value, is_shell: bool, place: &Place) {
        match settings {
            Value::String(text) => {
                if self.report.is_full_for(Severity::Warning) || !(text.contains('$') || text.contains("{{"))
                {
                    return;
                }
                for Found { part, meant } in self.foreign_in(text, is_shell) {
                    let written = quoted(text.get(part.clone()).unwrap_or_default());
                    let message = format!("{written} is no placeholder and stays as it is");
                    let problem =
                        Problem::new("foreign_placeholder", message).hint(format!("did you mean `{meant}`?"));
                    self.report
                        .add(problem.warning().within(self.spans, place, text, part));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.foreign_placeholders(item, is_shell, &place.index(index));
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.foreign_placeholders(field, is_shell, &place.key(key));
                }
            }
            _ => {}
        }
    }

    fn foreign_in(&self, text: &str, is_shell: bool) -> Vec<Found> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("{{") {
            let inner = text[at + 2..].split_once("}}").map(|(inner, _)| inner);
            let is_of_another = text[..at].ends_with('$');
            if let Some(inner) = inner.filter(|inner| !is_of_another && self.names.contains(inner.trim())) {
                let part = at..at + 4 + inner.len();
                let meant = format!("$var{{{}}}", inner.trim());
                found.push(Found { part, meant });
            }
        }
        for (at, _) in text.match_indices('$') {
            let is_escaped = text[..at].ends_with('$') || text[at + 1..].starts_with('$');
            if !is_escaped {
                found.extend(self.foreign_at(text, at, is_shell));
            }
        }
        found
    }

    /// The foreign placeholder that begins with the `$` at a place.
    fn foreign_at(&self, text: &str, at: usize, is_shell: bool) -> Option<Found> {
        let behind = &text[at + 1..];
        if let Some((name, _)) = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let is_meant = !is_shell && self.names.contains(name.trim());
            return is_meant.then(|| Found {
                part: at..at + 3 + name.len(),
                meant: format!("$var{{{}}}", name.trim()),
            });
        }
        let end = behind.find(|c: char| c != '_' && !c.is_alphanumeric());
        let (word, rest) = behind.split_at(end.unwrap_or(behind.len()));
        let bracket = rest.chars().next().filter(|c| ['{', '('].contains(c));
        if bracket.is_none() {
            let is_meant = !is_shell && self.names.contains(word);
            return is_meant.then(|| Found {
                part: at..at + 1 + word.len(),
                meant: format!("$var{{{word}}}"),
            });
        }
        let lower = word.to_lowercase();
        let (meant, _) = WORDS
            .iter()
            .find(|(meant, others)| lower == *meant || others.contains(&&*lower))?;
        // Before a round bracket any word but these is the name of a function.
        let is_foreign = match bracket {
            Some('{') => word != *meant,
            _ => word == *meant,
        };
        is_foreign.then(|| Found {
            part: at..at + 2 + word.len(),
            meant: format!("${meant}{{"),
        })
    }
}
