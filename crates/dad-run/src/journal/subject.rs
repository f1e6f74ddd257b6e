//! The subject of a question. A re-run reuses an answer of its previous run only for the same subject.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use dad_core::{Digest, HierarchyPath};
use dad_events::QuestionKind;
use derive_setters::Setters;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::journal::stored::StoredValue;
use crate::journal::text::RecordText;

/// No more parts of a subject are recorded by name; its digest counts all of them.
const MOST_PARTS: usize = 32;

/// The name of a part of a [`Subject`].
pub type PartName = RecordText<120>;

/// The part that holds what is asked for.
const SCHEMA: &str = "schema";

/// The part that holds the items of the loops around.
const ITEM: &str = "item";

/// The subject of a question: what is asked for, the items of the loops around, and the values that its templates read
/// besides the answer itself. Texts of the definition do not count, nor does the number of an iteration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// Stands for all of it.
    pub asked: Digest,
    /// The parts by name, each with the beginning of its digest, so that it can be said which of them differs.
    pub parts: BTreeMap<PartName, String>,
}

impl Subject {
    /// The subject of a question. `salt` is that of the run, so that short values cannot be guessed from their digests; a
    /// re-run has that of its previous run.
    #[must_use]
    pub fn new(salt: &str, kind: QuestionKind, path: &HierarchyPath, about: &About) -> Self {
        let digest = |value: &Value| Digest::of_json(&json!({ "salt": salt, "value": value })).to_string();
        let items = (!about.items.is_empty()).then(|| (ITEM, digest(&json!(about.items))));
        let reads = about
            .reads
            .iter()
            .map(|(name, value)| (name.as_str(), digest(value)));
        let first = [(SCHEMA, digest(&about.schema))].into_iter().chain(items);
        let parts: Vec<(&str, String)> = first.chain(reads).collect();
        let path = path.without_iterations();
        let asked = json!({ "salt": salt, "kind": kind, "path": path, "parts": parts });
        let recorded = parts.iter().take(MOST_PARTS);
        Self {
            asked: Digest::of_json(&asked),
            parts: recorded
                .map(|(name, digest)| (PartName::from(*name), digest[..16].to_owned()))
                .collect(),
        }
    }

    /// As a record has it; of runs that did not record what they asked there is none.
    pub(crate) fn recorded(asked: Option<Digest>, parts: BTreeMap<PartName, String>) -> Option<Self> {
        asked.map(|asked| Self { asked, parts })
    }

    /// Whether both are about the same item, or neither stands in a loop.
    pub(crate) fn has_item_of(&self, other: &Self) -> bool {
        let item = PartName::from(ITEM);
        self.parts.get(&item) == other.parts.get(&item)
    }

    /// The names of the parts that differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<PartName> {
        let names: BTreeSet<&PartName> = self.parts.keys().chain(other.parts.keys()).collect();
        let differs = |name: &&PartName| self.parts.get(*name) != other.parts.get(*name);
        names.into_iter().filter(differs).cloned().collect()
    }
}

/// The parts of a [`Subject`].
#[derive(Clone, Debug, Default, Setters)]
#[non_exhaustive]
pub struct About {
    /// JSON Schema of the answer.
    pub schema: Value,
    /// The items of the loops around, the innermost first; of a loop without items the number of the pass.
    pub items: Vec<Value>,
    /// The values that the templates read besides the answer, by their names: `$var{name}`, `$hier{step}.outcome.field`.
    pub reads: BTreeMap<String, Value>,
}

/// The way an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnsweredBy {
    /// It was given before the run, or before the step was reached.
    Given,
    /// An event handler answered, such as the one that asks at the terminal.
    Handler,
    /// It was written to the inbox of the run, by another process.
    Outside,
    /// The previous run asked the same question, or its result was taken without asking.
    PreviousRun,
    /// A rule decided about an approval.
    Rule,
    /// The previous run has it, and the user wanted it to be used whatever was asked.
    ReuseAnswers,
    /// In a way of a newer version.
    #[serde(other)]
    Unknown,
}

/// Why a question is asked although there is an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AskedAgain {
    /// These parts of the question are others.
    Differs(Vec<PartName>),
    /// The previous run did not record what it asked.
    NotRecorded,
    /// The user wanted to be asked.
    Wanted,
    /// The answer that was given in this run has the wrong shape, and this is what is wrong with it.
    Refused(String),
}

impl std::fmt::Display for AskedAgain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs(names) => match names.as_slice() {
                [] => f.write_str("what was asked differs"),
                [name] => write!(f, "{} differs", part_in_words(name)),
                several => {
                    let names: Vec<String> = several.iter().map(|name| part_in_words(name)).collect();
                    write!(f, "{} differ", names.join(", "))
                }
            },
            Self::NotRecorded => f.write_str("the previous run did not record what it asked"),
            Self::Wanted => f.write_str("the user wants to be asked"),
            Self::Refused(reason) => write!(f, "the answer before did not fit: {reason}"),
        }
    }
}

fn part_in_words(name: &str) -> String {
    match name {
        SCHEMA => "what is asked for".to_owned(),
        ITEM => "the item of the loop".to_owned(),
        name => format!("`{name}`"),
    }
}

/// The answer of a step or component, as a run recorded it.
#[derive(Clone, Debug)]
pub(crate) struct RecordedAnswer {
    pub(crate) input: StoredValue,
    pub(crate) subject: Option<Subject>,
}

/// Finds answers by what was asked.
#[derive(Debug, Default)]
pub(crate) struct AnswersByQuestion(OnceLock<HashMap<Digest, HierarchyPath>>);

impl AnswersByQuestion {
    /// Of several iterations that were asked the same, the first that was answered.
    pub(crate) fn find(
        &self,
        answers: &IndexMap<HierarchyPath, RecordedAnswer>,
        asked: Digest,
    ) -> Option<&HierarchyPath> {
        let by_question = self.0.get_or_init(|| {
            let mut found = HashMap::new();
            for (path, answer) in answers {
                if let Some(subject) = &answer.subject {
                    found.entry(subject.asked).or_insert_with(|| path.clone());
                }
            }
            found
        });
        by_question.get(&asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(path: &str, items: &[&str], reads: &[(&str, &str)]) -> Subject {
        let reads = reads
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        let about = About {
            schema: json!({ "type": "object" }),
            items: items.iter().map(|item| json!(item)).collect(),
            reads: reads.collect(),
        };
        Subject::new("salt", QuestionKind::Input, &path.parse().unwrap(), &about)
    }

    #[test]
    fn the_number_of_an_iteration_does_not_count_and_everything_else_does() {
        let first = subject("f.each.iter_0.ask", &["a"], &[("greeting", "hello")]);
        assert_eq!(
            first,
            subject("f.each.iter_7.ask", &["a"], &[("greeting", "hello")])
        );
        let others = [
            subject("f.each.iter_0.ask", &["b"], &[("greeting", "hello")]),
            subject("f.each.iter_0.ask", &["a"], &[("greeting", "bye")]),
            subject("f.each.iter_0.ask", &["a"], &[]),
            subject("f.each.iter_0.other", &["a"], &[("greeting", "hello")]),
            subject("f.each.iter_0.ask", &["a", "a"], &[("greeting", "hello")]),
        ];
        for other in &others {
            assert_ne!(first.asked, other.asked, "{other:?}");
        }
        assert_eq!(first.differing(&others[0]), ["item".into()]);
        assert_eq!(first.differing(&others[1]), ["greeting".into()]);
        assert_eq!(first.differing(&others[2]), ["greeting".into()]);
    }

    #[test]
    fn what_is_recorded_of_it_is_bounded_and_what_counts_is_not() {
        let names: Vec<String> = (0..100).map(|n| format!("{n:03}{}", "x".repeat(500))).collect();
        let mut reads: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let one = subject("f.ask", &[], &reads);
        assert_eq!(one.parts.len(), MOST_PARTS);
        assert!(one.parts.keys().all(|name| name.len() < 150));
        reads[99].1 = "w";
        let other = subject("f.ask", &[], &reads);
        assert_ne!(one.asked, other.asked);
        assert_eq!(
            AskedAgain::Differs(one.differing(&other)).to_string(),
            "what was asked differs"
        );
    }
}
