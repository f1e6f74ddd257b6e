use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use dad_core::{Digest, NodeType};
use dad_run::RunPlace;
use serde_json::{Value, json};

use crate::node::World;

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
    pub(crate) fn of_places(places: impl IntoIterator<Item = RunPlace>) -> Self {
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
    pub(crate) fn value(&self, value: &Value) -> Value {
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

    /// The digest of all that decides what a step does.
    #[must_use]
    pub fn fingerprint(
        &self,
        node_type: &NodeType,
        version: u32,
        settings: &Value,
        input: Option<&Value>,
        world: &World,
    ) -> Digest {
        let world = match world {
            World::Pure => json!("pure"),
            World::Reads(reads) => json!({ "reads": reads.digest() }),
            World::Effect => json!("effect"),
        };
        Digest::of_json(&json!({
            "node_type": node_type,
            "version": version,
            "settings": self.value(settings),
            "input": input.map(|input| self.value(input)),
            "world": world,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normaliser(run: &str) -> Normaliser {
        Normaliser::new(&[
            (format!("/p/runs/{run}"), "run_dir"),
            (run.to_owned(), "run_id"),
            ("/p/runs".to_owned(), "run_root"),
            ("/p".to_owned(), "project_root"),
        ])
    }

    fn fingerprint(run: &str, world: &World) -> Digest {
        let settings = json!({"prompt": format!("see /p/runs/{run}/x of {run}, not /p/runs/shared")});
        normaliser(run).fingerprint(&NodeType::AI_MODEL_CALL, 1, &settings, None, world)
    }

    fn reads(stamp: &str) -> World {
        World::Reads([("file".to_owned(), stamp.to_owned())].into_iter().collect())
    }

    #[test]
    fn run_id_and_directory_do_not_count() {
        assert_eq!(
            fingerprint("run_1", &World::Pure),
            fingerprint("run_2", &World::Pure)
        );
        assert_ne!(
            fingerprint("run_1", &World::Pure),
            fingerprint("run_1", &World::Effect)
        );
        assert_ne!(
            fingerprint("run_1", &reads("a")),
            fingerprint("run_1", &reads("b"))
        );
    }

    #[test]
    fn the_longest_text_wins() {
        let text = normaliser("run_1")
            .text("/p/runs/run_1/x /p/runs/y /p/z")
            .into_owned();
        assert_eq!(text, "$var{run_dir}/x $var{run_root}/y $var{project_root}/z");
    }
}
