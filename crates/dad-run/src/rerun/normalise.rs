//! Texts without the run ids and directories that differ between runs though nothing changed.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;

use crate::journal::place::RunPlace;

/// Replaces what differs between runs though nothing changed: run ids and directories stand as their variables' names.
#[derive(Debug)]
pub struct Normaliser {
    automaton: Option<AhoCorasick>,
    names: Vec<String>,
}

impl Normaliser {
    /// Replaces each text by the name beside it. Of texts that overlap the longest wins, so that a run directory is
    /// not taken for the run root it lies in.
    #[must_use]
    pub fn new(replacements: &[(String, &str)]) -> Self {
        let wanted: Vec<_> = replacements.iter().filter(|(text, _)| !text.is_empty()).collect();
        let texts = wanted.iter().map(|(text, _)| text);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // The other kinds search faster, but to make one takes longer than the searches of a short run.
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .build(texts)
            .ok();
        let names = wanted.iter().map(|(_, name)| format!("$var{{{name}}}")).collect();
        Self { automaton, names }
    }

    /// Replaces where runs were driven.
    #[must_use]
    pub fn of_places(places: impl IntoIterator<Item = RunPlace>) -> Self {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let mut replacements = Vec::new();
        for place in places {
            replacements.extend([
                (text(&place.run_dir), "run_dir"),
                (place.run_id, "run_id"),
                (text(&place.run_root), "run_root"),
                (text(&place.project_root), "project_root"),
            ]);
        }
        replacements.sort();
        replacements.dedup();
        Self::new(&replacements)
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.automaton {
            Some(automaton) if automaton.is_match(text) => {
                Cow::Owned(automaton.replace_all(text, &self.names))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// A value with the names in all of its texts.
    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, item)| (self.text(key).into_owned(), self.value(item)))
                .collect(),
            scalar => scalar.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_wins() {
        let normaliser = Normaliser::new(&[
            ("/p/runs/run_1".to_owned(), "run_dir"),
            ("run_1".to_owned(), "run_id"),
            ("/p/runs".to_owned(), "run_root"),
            ("/p".to_owned(), "project_root"),
        ]);
        let text = normaliser.text("/p/runs/run_1/x /p/runs/y /p/z").into_owned();
        assert_eq!(text, "$var{run_dir}/x $var{run_root}/y $var{project_root}/z");
    }
}
