//! Questions that no handler in the process answers: they survive the process, and so do their answers.

use dad_core::{ApprovalRule, Clean, Digest, HierarchyPath, NodeType};
use dad_events::{EventBody, Origin, QuestionAnswered, QuestionAsked, QuestionKind};
use dad_fs::Durability;
use serde_json::{Value, json};

use crate::document::to_file_text;
use crate::error::RunError;
use crate::format;
use crate::journal::record::RecordBody;
use crate::journal::state::OpenQuestion;
use crate::journal::subject::{AnsweredBy, AskedAgain, Subject};
use crate::journal::values::store_value;
use crate::layout::QUESTIONS;
use crate::live::driver::RunDriver;
use crate::live::shown::Shown;
use crate::store::message::{Answer, MessageBody, send};
use crate::store::question_file::Question;

/// A question to be asked; see [`Question`] for its fields.
#[derive(Clone, Debug)]
pub struct NewQuestion {
    /// The step or component.
    pub path: HierarchyPath,
    /// The kind of the requested answer.
    pub kind: QuestionKind,
    /// The type of the node; `None` for a component.
    pub node_type: Option<NodeType>,
    /// JSON Schema of the answer.
    pub schema: Value,
    /// Settings or variables.
    pub settings: Clean<Value>,
    /// The preview, for people.
    pub shown: Shown,
    /// The digest of the facts that an approval covers.
    pub facts: Option<Digest>,
    /// The subject of an input.
    pub subject: Option<Subject>,
    /// The answer of the previous run.
    pub previous_input: Option<Clean<Value>>,
    /// Why it is asked although there is an answer.
    pub asked_again: Option<AskedAgain>,
    /// Whether a handler asks a person for it now.
    pub at_prompt: bool,
}

/// An answer to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct NewAnswer<'a> {
    /// The step or component.
    pub path: &'a HierarchyPath,
    /// The requested name.
    pub kind: QuestionKind,
    /// The question, if one was asked.
    pub question: Option<&'a str>,
    /// The party that gave it, for people.
    pub source: &'a str,
    /// The way it came about.
    pub by: AnsweredBy,
    /// The place in the previous run that it is reused from.
    pub from: Option<&'a Origin>,
    /// The digest of the facts that an approval covers.
    pub facts: Option<Digest>,
    /// The subject of an input; none if it was not asked for.
    pub subject: Option<&'a Subject>,
    /// Why it was asked although the previous run has an answer.
    pub asked_again: Option<&'a AskedAgain>,
    /// The answer.
    pub value: &'a Clean<Value>,
    /// Of an approval: the rule that decided, or by which it counts for the rest of the run.
    pub rule: Option<&'a ApprovalRule>,
}

impl RunDriver {
    /// Asks a question that others may answer later, and gives its id. Asked again, it is the same question.
    ///
    /// # Errors
    /// If the run has ended, or the question cannot be written.
    pub fn ask(&self, asked: NewQuestion) -> Result<String, RunError> {
        let inner = self.inner();
        if let Some(id) = self.asked_before(&asked.path, asked.kind, asked.facts)? {
            return Ok(id);
        }
        let NewQuestion {
            path,
            kind,
            node_type,
            schema,
            settings,
            shown,
            facts,
            subject,
            previous_input,
            asked_again,
            at_prompt,
        } = asked;
        let subject = subject.filter(|_| inner.tells_subjects());
        let (asked, about) = subject.map(|subject| (subject.asked, subject.parts)).unzip();
        // One that was answered or settled otherwise is asked anew: what lies in the inbox for it no longer counts.
        let in_history = self.history().map_or(0, |view| view.times_asked(&path));
        let before = {
            let mut state = inner.state();
            let here = state.asked.entry(path.clone()).or_default();
            *here += 1;
            in_history + *here - 1
        };
        let digest = Digest::of(format!("{path}\n{kind}\n{before}").as_bytes());
        let id = format!("{kind}_{}", &digest.to_string()[..12]);
        let question = Question {
            schema_version: format::QUESTION,
            id: id.clone(),
            path: path.clone(),
            kind,
            asked_at: self.handle().now(),
            node_type,
            schema,
            settings: settings.into_inner(),
            preview: shown.text.into_inner(),
            facts,
            facts_file: shown.file,
            asked,
            previous_input: previous_input.map(Clean::into_inner),
        };
        let questions = inner.dot_run.create_dir_all(QUESTIONS)?;
        let name = format!("{id}.json");
        let text = to_file_text(&name, &question)?;
        questions.replace(&name, &text, inner.durability)?;
        if inner.durability == Durability::Disk {
            inner.dot_run.sync()?;
        }
        let body = RecordBody::Question {
            id: id.clone(),
            path: path.clone(),
            kind,
            schema: store_value(&inner.dot_run, question.schema, inner.durability)?,
            file: Some(Digest::of(&text)),
            asked,
            about: about.unwrap_or_default(),
            asked_again,
            facts_file: question.facts_file.map(|file| file.stored),
        };
        let event = EventBody::QuestionAsked(QuestionAsked::new(id.clone(), path, kind).at_prompt(at_prompt));
        inner.record(&body, Some(event))?;
        Ok(id)
    }

    /// The answer from outside to a question that the run asked before it was resumed, and the id of the question; given
    /// once.
    ///
    /// # Errors
    /// If the question cannot be read.
    pub fn answered_meanwhile(
        &self,
        path: &HierarchyPath,
        kind: QuestionKind,
        facts: Option<Digest>,
    ) -> Result<Option<(String, Answer)>, RunError> {
        let Some(id) = self.asked_before(path, kind, facts)? else {
            return Ok(None);
        };
        Ok(self.take_answer(&id).map(|answer| (id, answer)))
    }

    /// Whether a step or component waits for an answer since before the run was resumed.
    #[must_use]
    pub fn has_asked(&self, path: &HierarchyPath, kind: QuestionKind) -> bool {
        let is_open = |open: &OpenQuestion| open.path == *path && open.kind == kind;
        self.history()
            .is_some_and(|history| history.open_questions().any(is_open))
    }

    /// The same question, if the run asked it before it was resumed and it has no answer.
    fn asked_before(
        &self,
        path: &HierarchyPath,
        kind: QuestionKind,
        facts: Option<Digest>,
    ) -> Result<Option<String>, RunError> {
        let inner = self.inner();
        let Some(history) = self.history() else {
            return Ok(None);
        };
        let is_same = |open: &&OpenQuestion| open.path == *path && open.kind == kind;
        let Some(open) = history.open_questions().find(is_same) else {
            return Ok(None);
        };
        if inner.state().taken.contains(&open.id) {
            return Ok(None);
        }
        // An approval of something else is another question.
        let same = facts.is_none() || history.question(&open.id)?.facts == facts;
        Ok(same.then(|| open.id.clone()))
    }

    /// The answer from outside to a question; given once.
    #[must_use]
    pub fn take_answer(&self, id: &str) -> Option<Answer> {
        let mut state = self.inner().state();
        let answer = state.answers.remove(id)?;
        state.taken.insert(id.to_owned());
        Some(answer)
    }

    /// Has the answer of a handler count for a question that others could answer too; `false` if one of them was first, whose
    /// answer is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn claim_answer(&self, id: &str, source: &str, value: &Clean<Value>) -> Result<bool, RunError> {
        let body = MessageBody::Answer {
            question: id.to_owned(),
            input: value.get().clone(),
        };
        let is_first = send(self.inner().dir.path(), &format!("{id}.json"), source, body)?;
        if is_first {
            self.inner().state().taken.insert(id.to_owned());
        } else {
            self.read_inbox();
        }
        Ok(is_first)
    }

    /// Notes what a step or component was given as its input, or what was answered about executing it.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn answered(&self, answer: NewAnswer<'_>) -> Result<(), RunError> {
        let inner = self.inner();
        let subject = answer.subject.filter(|_| inner.tells_subjects());
        let body = RecordBody::Answered {
            path: answer.path.clone(),
            kind: answer.kind,
            facts: answer.facts,
            id: answer.question.map(str::to_owned),
            source: answer.source.into(),
            by: Some(answer.by),
            from: answer.from.cloned(),
            asked: subject.map(|subject| subject.asked),
            about: subject.map(|subject| subject.parts.clone()).unwrap_or_default(),
            asked_again: answer.asked_again.cloned(),
            input: store_value(&inner.dot_run, answer.value.get().clone(), inner.durability)?,
            rule: answer
                .rule
                .map(|rule| store_value(&inner.dot_run, json!(rule), inner.durability))
                .transpose()?,
        };
        let mut event = QuestionAnswered::new(answer.path.clone(), answer.kind, answer.source);
        event.id = answer.question.map(str::to_owned);
        inner.record(&body, Some(EventBody::QuestionAnswered(event)))?;
        if let Some(rule) = answer.rule.filter(|_| answer.by != AnsweredBy::Rule) {
            self.rule_the_rest(rule.clone());
        }
        Ok(())
    }

    /// Resolves when another answer has come since this was called.
    pub fn answer_came(&self) -> impl Future<Output = ()> + Send + Unpin {
        let mut came = Box::pin(self.inner().answer_came.notified());
        // Without it, an answer that comes before the first poll would be missed.
        came.as_mut().enable();
        came
    }
}
