//! Recalling answers: whether a re-run reuses an answer of its previous run, asks, or offers it.

use dad_core::HierarchyPath;
use dad_events::Origin;
use serde_json::Value;

use crate::error::RunError;
use crate::journal::subject::{AnsweredBy, AskedAgain, RecordedAnswer, Subject};
use crate::rerun::requests::AnswerWish;
use crate::store::view::RunView;

/// The decision of a re-run about a question. A closed set.
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

impl RunView {
    /// The subject of the question that a step or component was answered.
    #[must_use]
    pub fn subject(&self, path: &HierarchyPath) -> Option<&Subject> {
        self.answer_at(path)?.subject.as_ref()
    }

    /// The decision of a re-run of this run about a question: the same question was answered here for the step itself, or for
    /// another iteration of it, or else there may be an answer to offer.
    #[must_use]
    pub fn recall(&self, path: &HierarchyPath, subject: &Subject, wish: AnswerWish) -> Recalled {
        let taken = |path: &HierarchyPath, by| Recalled::Answer {
            path: path.clone(),
            by,
        };
        let same = || match self.subject(path) {
            Some(own) if own.asked == subject.asked => Some(path),
            _ => self.by_question().find(self.answers(), subject.asked),
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
            let origin = Origin::new(self.run_id.clone(), path.clone());
            (value, origin)
        }))
    }
}
