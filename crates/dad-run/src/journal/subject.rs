//! What a question is about. A re-run uses an answer of its previous run again only for the same question.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use dad_core::{Digest, HierarchyPath};
use dad_events::{Origin, QuestionKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::RunError;
use crate::journal::record::StoredValue;
use crate::journal::text::RecordText;
use crate::view::RunView;

/// No more parts of a subject are recorded by name; its digest counts all of them.
const MOST_PARTS: usize = 32;

/// The name of a part of a [`Subject`].
pub type PartName = RecordText<120>;

/// The part that holds what is asked for.
const SCHEMA: &str = "schema";

/// The part that holds the items of the loops around.
const ITEM: &str = "item";

/// What a question is about: what is asked for, the items of the loops around, and the values that its templates read
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
    fn has_item_of(&self, other: &Self) -> bool {
        let item = PartName::from(ITEM);
        self.parts.get(&item) == other.parts.get(&item)
    }

    /// The names of the parts that differ.
    fn differing(&self, other: &Self) -> Vec<PartName> {
        let names: BTreeSet<&PartName> = self.parts.keys().chain(other.parts.keys()).collect();
        let differs = |name: &&PartName| self.parts.get(*name) != other.parts.get(*name);
        names.into_iter().filter(differs).cloned().collect()
    }
}

/// What makes up a [`Subject`].
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What is asked for.
    pub schema: Value,
    /// The items of the loops around, the innermost first; of a loop without items the number of the pass.
    pub items: Vec<Value>,
    /// What the templates read besides the answer, by the name they read it by: `$var{name}`, `$hier{step}.outcome.field`.
    pub reads: BTreeMap<String, Value>,
}

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnsweredBy {
    /// It was given before the run, or before the step was reached.
    Given,
    /// An event handler answered, such as the one that asks at the terminal.
    Handler,
    /// It was written to the inbox of the run, by `dhenara answer` or another program.
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
            Self::Wanted => f.write_str("`--ask` wants it"),
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

/// What the user wants of the answers of the previous run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerWish {
    /// Used for the same question.
    #[default]
    SameQuestion,
    /// Used whatever was asked.
    ByPath,
    /// Asked again.
    AskAgain,
}

/// What a re-run does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It uses this answer of the previous run.
    Answer {
        /// The step or component there.
        path: HierarchyPath,
        /// Why.
        by: AnsweredBy,
    },
    /// It asks.
    Asks {
        /// Whose answer there is offered, if there is one to the same question about something else.
        offered: Option<HierarchyPath>,
        /// Why it asks although there is one.
        because: Option<AskedAgain>,
    },
}

/// What was given to a step or component, as a run recorded it.
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
    fn find(&self, view: &RunView, asked: Digest) -> Option<&HierarchyPath> {
        let by_question = self.0.get_or_init(|| {
            let mut found = HashMap::new();
            for (path, answer) in view.answers() {
                if let Some(subject) = &answer.subject {
                    found.entry(subject.asked).or_insert_with(|| path.clone());
                }
            }
            found
        });
        by_question.get(&asked)
    }
}

impl RunView {
    /// What the question was about whose answer a step or component was given.
    #[must_use]
    pub fn subject(&self, path: &HierarchyPath) -> Option<&Subject> {
        self.answer_at(path)?.subject.as_ref()
    }

    /// What a re-run of this run does about a question: the same question was answered here for the step itself, or for
    /// another iteration of it, or else there may be an answer to offer.
    #[must_use]
    pub fn recall(&self, path: &HierarchyPath, subject: &Subject, wish: AnswerWish) -> Recalled {
        let taken = |path: &HierarchyPath, by| Recalled::Answer {
            path: path.clone(),
            by,
        };
        let same = || match self.subject(path) {
            Some(own) if own.asked == subject.asked => Some(path),
            _ => self.by_question().find(self, subject.asked),
        };
        match wish {
            AnswerWish::ByPath if self.answer_at(path).is_some() => taken(path, AnsweredBy::ReuseAnswers),
            AnswerWish::AskAgain => {
                let offered = same().cloned().or_else(|| self.offered(path, subject));
                let because = offered.is_some().then_some(AskedAgain::Wanted);
                Recalled::Asks { offered, because }
            }
            AnswerWish::ByPath | AnswerWish::SameQuestion => match same() {
                Some(found) => taken(found, AnsweredBy::PreviousRun),
                None => self.asks(path, subject),
            },
        }
    }

    fn asks(&self, path: &HierarchyPath, subject: &Subject) -> Recalled {
        let offered = self.offered(path, subject);
        let because = offered.as_ref().map(|offered| match self.subject(offered) {
            Some(before) => AskedAgain::Differs(subject.differing(before)),
            None => AskedAgain::NotRecorded,
        });
        Recalled::Asks { offered, because }
    }

    /// The answer that was given about the same item. One about another item is not even offered: a person who presses
    /// Enter would give it.
    fn offered(&self, path: &HierarchyPath, subject: &Subject) -> Option<HierarchyPath> {
        let is_about_item = |answer: &RecordedAnswer| {
            let before = answer.subject.as_ref();
            before.is_none_or(|before| before.has_item_of(subject))
        };
        if self.answer_at(path).is_some_and(is_about_item) {
            return Some(path.clone());
        }
        let place = path.without_iterations();
        let others = self
            .answers()
            .iter()
            .filter(|(_, answer)| answer.subject.is_some());
        let mut others = others.filter(|(_, answer)| is_about_item(answer));
        let found = others.find(|(other, _)| *other != path && other.without_iterations() == place);
        found.map(|(other, _)| other.clone())
    }

    /// The answer of a step or component, and where it stands.
    ///
    /// # Errors
    /// If it was kept apart and cannot be read.
    pub fn answer_of(&self, path: &HierarchyPath) -> Result<Option<(Value, Origin)>, RunError> {
        let value = self.input(path)?;
        Ok(value.map(|value| {
            let origin = Origin {
                run_id: self.run_id.clone(),
                path: path.clone(),
            };
            (value, origin)
        }))
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
