//! Answering a question of a run from outside: the rules that say which question an answer is for, and which answers are
//! accepted.

use dad_core::PathSelector;
use dad_definition::NodeTypes;
use dad_events::QuestionKind;
use serde_json::Value;

use crate::error::{RunError, SetupError};
use crate::journal::state::OpenQuestion;
use crate::live::approval::ApprovalAnswer;
use crate::live::inputs::{check_external, check_variables};
use crate::store::message::{Answer, MessageBody, send};
use crate::store::question_file::Question;
use crate::store::view::RunView;

impl RunView {
    /// The question that is meant: by its id, by the path of the step or component that asks, or the only one.
    ///
    /// # Errors
    /// If none is meant, or several.
    pub fn open_question(&self, which: Option<&str>) -> Result<&OpenQuestion, SetupError> {
        let open: Vec<&OpenQuestion> = self.open_questions().collect();
        let run = || self.name().into_owned();
        let listed = || {
            let lines = open.iter().map(|open| format!("{} ({})", open.path, open.id));
            lines.collect::<Vec<_>>().join(", ")
        };
        let Some(which) = which else {
            return match open.as_slice() {
                [only] => Ok(only),
                [] => Err(SetupError::NoQuestion(run())),
                _ => Err(SetupError::AmbiguousQuestion {
                    run: run(),
                    questions: listed(),
                }),
            };
        };
        if let Some(open) = open.iter().find(|open| open.id == which) {
            return Ok(open);
        }
        let selector: PathSelector = which.parse()?;
        let selected = selector.select(open.iter().map(|open| &open.path));
        let found = selected
            .ok()
            .and_then(|path| open.iter().find(|open| open.path == *path));
        found.copied().ok_or_else(|| {
            let is_there = selector.select(self.entries().map(|(path, _)| path)).is_ok();
            SetupError::UnknownQuestion {
                run: run(),
                which: which.to_owned(),
                is_there,
                questions: listed(),
            }
        })
    }

    /// Whether an answer has the shape that its question wants, as far as the types of nodes are known here.
    ///
    /// # Errors
    /// Which field does not fit, and what was expected.
    pub fn check_answer(
        &self,
        question: &Question,
        value: &Value,
        types: &dyn NodeTypes,
    ) -> Result<(), String> {
        if question.kind != QuestionKind::Approval {
            return check_input(question, value, types);
        }
        match ApprovalAnswer::parse(value)? {
            // What a model wants to be done in the midst of a step is not an input of the step.
            ApprovalAnswer::Edited(_)
                if question.schema.pointer("/oneOf/2/properties/input") == Some(&false.into()) =>
            {
                Err("there is no input that could be changed; approve or deny".to_owned())
            }
            ApprovalAnswer::Edited(input) => check_input(question, &input, types),
            _ => Ok(()),
        }
    }

    /// Answers a question of the run, whether a process drives it or not; `which` as of
    /// [`open_question`](Self::open_question). Of several who try, one succeeds: says whether this was the first answer. A
    /// run that no process drives has to be resumed with it.
    ///
    /// # Errors
    /// If there is no such question, the answer has the wrong shape, nests too deep or is too long to be recorded, or cannot
    /// be written.
    pub fn answer(
        &self,
        which: Option<&str>,
        answer: Answer,
        types: &dyn NodeTypes,
    ) -> Result<bool, RunError> {
        let open = self.open_question(which)?;
        if let Answer::Given { value, .. } = &answer {
            let question = self.question(&open.id)?;
            check_external("the answer", value)?;
            self.check_answer(&question, value, types)
                .map_err(|reason| SetupError::InvalidAnswer {
                    path: open.path.clone(),
                    reason,
                })?;
        }
        let name = format!("{}.json", open.id);
        let question = open.id.clone();
        let (source, body) = match answer {
            Answer::Given { source, value } => (
                source,
                MessageBody::Answer {
                    question,
                    input: value,
                },
            ),
            Answer::Denied { source, reason } => (source, MessageBody::Deny { question, reason }),
        };
        send(self.dir(), &name, &source, body)
    }
}

fn check_input(question: &Question, input: &Value, types: &dyn NodeTypes) -> Result<(), String> {
    match &question.node_type {
        // A type that this program does not know is checked by the process that drives the run, which asks again.
        Some(node_type) => {
            let info = types.node_type(node_type);
            info.map_or(Ok(()), |info| (info.check_input)(input))
        }
        None => {
            let asked = question.settings.as_object().into_iter().flatten();
            let names: Vec<&str> = asked.map(|(name, _)| name.as_str()).collect();
            check_variables(&question.path, &names, input)
        }
    }
}
