//! Somebody's agreement before something executes.

use dad_core::{Clean, Digest, ErrorInfo, HierarchyPath, NodeType, StepStatus};
use dad_events::{ApprovalRequiredEvent, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, RunDriver};
use dad_run::{Answer, ApprovalAnswer, RunError, approval_schema};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::input::{Asker, record_edited};
use crate::waiting::BusyStep;

/// What somebody is to agree to.
pub(crate) struct Intent<'a> {
    /// Whose input may be changed; `None` if there is none to change.
    pub(crate) asker: Option<Asker<'a>>,
    pub(crate) path: &'a HierarchyPath,
    /// The type of the node; `None` for a component.
    pub(crate) node_type: Option<&'a NodeType>,
    /// Settings or variables, rendered.
    pub(crate) settings: Clean<Value>,
    /// What it would do, for people.
    pub(crate) preview: Clean<String>,
    /// Digest of what is shown, which the agreement holds for.
    pub(crate) facts: Digest,
}

/// What came of asking for an agreement.
pub(crate) enum Approval {
    /// It may execute.
    Granted,
    /// It is to be worked out again with another input, which is recorded.
    Edited(Clean<Value>),
    /// It may not.
    Denied(ErrorInfo),
    /// It comes to rest without an answer.
    Pending(StepStatus),
}

/// Who said what.
struct Said {
    source: String,
    question: Option<String>,
    value: Value,
}

impl Intent<'_> {
    /// Asks until somebody has said something, unless somebody agreed to the same before the run was resumed.
    pub(crate) async fn approval(
        self,
        driver: &RunDriver,
        busy: &mut BusyStep<'_>,
        stop: &CancellationToken,
    ) -> Result<Approval, RunError> {
        // What a step asks in the midst of its execution is something else than that it may begin.
        let may_begin = self.asker.is_some();
        if driver.history().is_some_and(|history| {
            history.is_approved(self.path, self.facts) || (may_begin && history.began_as_approved(self.path))
        }) {
            return Ok(Approval::Granted);
        }
        let kind = QuestionKind::Approval;
        let early = driver.answered_meanwhile(self.path, kind, Some(self.facts))?;
        let said = match early {
            Some((question, answer)) => Some(said_outside(answer, question)),
            None => tokio::select! {
                // A handler is not waited for when the run stops; the question stays for whoever answers later.
                () = stop.cancelled() => None,
                said = self.ask_handlers(driver) => said,
            },
        };
        let Said {
            source,
            question,
            value,
        } = match said {
            Some(said) => said,
            None => {
                let question = driver.ask(self.question(driver))?;
                match busy.wait(driver, &question, stop).await {
                    Ok(answer) => said_outside(answer, question),
                    Err(status) => return Ok(Approval::Pending(status)),
                }
            }
        };
        // By what is known now: it may have taken long.
        let value = Clean::redact(value, &driver.handle().secrets().redactor());
        // It was checked by whoever sent it, but anybody may write a file.
        if let Err(reason) = check(&self.check_input(driver), value.get()) {
            let message = format!("in the answer, {reason}");
            return Ok(Approval::Denied(ErrorInfo::new("invalid_input", message)));
        }
        driver.answered(NewAnswer {
            path: self.path,
            kind,
            question: question.as_deref(),
            source: &source,
            facts: Some(self.facts),
            value: &value,
        })?;
        Ok(match ApprovalAnswer::parse(value.get()) {
            Ok(ApprovalAnswer::Yes) => Approval::Granted,
            Ok(ApprovalAnswer::Edited(input)) => {
                Approval::Edited(record_edited(driver, self.path, &source, input)?)
            }
            Ok(ApprovalAnswer::No(reason)) => {
                let reason = reason.unwrap_or_else(|| "without a reason".to_owned());
                Approval::Denied(ErrorInfo::new("denied", format!("it was not approved: {reason}")))
            }
            Err(reason) => Approval::Denied(ErrorInfo::new("invalid_input", reason)),
        })
    }

    fn check_input(&self, driver: &RunDriver) -> dad_events::AnswerCheck {
        match self.asker {
            Some(asker) => asker.check(driver),
            None => Box::new(|_| Err("there is no input that could be changed".to_owned())),
        }
    }

    async fn ask_handlers(&self, driver: &RunDriver) -> Option<Said> {
        let input = self.check_input(driver);
        let event = ApprovalRequiredEvent::new(
            driver.handle().identity().clone(),
            (self.path.clone(), self.node_type.cloned()),
            self.settings.get().clone(),
            self.preview.get().clone(),
            Box::new(move |answer| check(&input, answer)),
        );
        driver.bus().ask(&event).await;
        let value = event.answer()?;
        Some(Said {
            source: "event handler".to_owned(),
            question: None,
            value,
        })
    }

    fn question(&self, driver: &RunDriver) -> NewQuestion {
        NewQuestion {
            path: self.path.clone(),
            kind: QuestionKind::Approval,
            node_type: self.node_type.cloned(),
            schema: approval_schema(
                &self
                    .asker
                    .map_or(Value::Bool(false), |asker| asker.schema(driver)),
            ),
            settings: self.settings.clone(),
            preview: self.preview.clone(),
            facts: Some(self.facts),
        }
    }
}

fn check(input: &dad_events::AnswerCheck, answer: &Value) -> Result<(), String> {
    match ApprovalAnswer::parse(answer)? {
        ApprovalAnswer::Edited(edited) => input(&edited).map_err(|reason| format!("in `input`, {reason}")),
        ApprovalAnswer::Yes | ApprovalAnswer::No(_) => Ok(()),
    }
}

fn said_outside(answer: Answer, question: String) -> Said {
    let (source, value) = match answer {
        Answer::Given { source, value } => (source, value),
        Answer::Denied { source, reason } => (source, json!({ "approve": false, "reason": reason })),
    };
    Said {
        source,
        question: Some(question),
        value,
    }
}
