//! A request for an answer. It goes to handlers first, and to people outside as soon as a handler waits for a person, or
//! no handler answers.

use std::pin::pin;

use dad_core::{Clean, Digest, HierarchyPath, StepStatus};
use dad_events::{AnswerCheck, QuestionKind};
use dad_run::driver::{NewQuestion, RunDriver};
use dad_run::{Answer, AnsweredBy, AskedAgain, RunError};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::concurrency::active::{ActiveStep, Waited};

/// The source of a handler's answer, in records.
const HANDLER: &str = "event handler";

/// A request for an answer to a step or component.
pub(crate) struct AskRequest<'a> {
    pub(crate) driver: &'a RunDriver,
    pub(crate) path: &'a HierarchyPath,
    pub(crate) kind: QuestionKind,
    /// The digest of the facts that an approval holds for.
    pub(crate) facts: Option<Digest>,
    pub(crate) check: &'a AnswerCheck,
    pub(crate) stop: &'a CancellationToken,
}

/// An answer of the right shape.
pub(crate) struct ReceivedAnswer {
    pub(crate) by: AnsweredBy,
    /// The question, if it is recorded.
    pub(crate) question: Option<String>,
    pub(crate) answer: Answer,
}

/// The end of a request.
pub(crate) enum AskOutcome {
    Answered(ReceivedAnswer),
    /// The step suspends with this status.
    Suspended(StepStatus),
}

impl AskOutcome {
    fn outside(question: String, answer: Answer) -> Self {
        Self::Answered(ReceivedAnswer::outside(question, answer))
    }
}

impl ReceivedAnswer {
    fn outside(question: String, answer: Answer) -> Self {
        Self {
            by: AnsweredBy::Outside,
            question: Some(question),
            answer,
        }
    }
}

impl AskRequest<'_> {
    /// Asks until there is an answer of the right shape, or the step suspends. An answer that was given while no process
    /// drove the run comes first. `person_asked` is notified when a handler waits for a person: then the question is
    /// recorded, so that another process can answer it meanwhile.
    pub(crate) async fn send(
        &self,
        handlers: impl Future<Output = Option<Value>>,
        person_asked: &Notify,
        question: impl Fn(Option<AskedAgain>) -> NewQuestion,
        active: &mut ActiveStep<'_>,
    ) -> Result<AskOutcome, RunError> {
        let Self { driver, stop, .. } = self;
        let mut refused = None;
        if let Some((id, answer)) = driver.answered_meanwhile(self.path, self.kind, self.facts)? {
            match self.refusal(&answer) {
                None => return Ok(AskOutcome::outside(id, answer)),
                again => refused = again,
            }
        }
        let mut asked: Option<String> = None;
        let mut handlers = pin!(handlers);
        let handled = loop {
            // Registered before the answer is looked for, so that none between the two is missed.
            let came = driver.answer_came();
            if let Some((id, answer)) = take_answer(&mut asked, driver) {
                match self.refusal(&answer) {
                    None => return Ok(AskOutcome::outside(id, answer)),
                    again => asked = Some(driver.ask(question(again))?),
                }
                continue;
            }
            tokio::select! {
                biased;
                // A stopped run does not wait for its handlers; the question stays open for a later answer.
                () = stop.cancelled() => break None,
                handled = &mut handlers => break handled,
                () = person_asked.notified(), if asked.is_none() => {
                    let at_prompt = true;
                    asked = Some(driver.ask(NewQuestion { at_prompt, ..question(refused.take()) })?);
                }
                () = came, if asked.is_some() => {}
            }
        };
        if let Some(value) = handled {
            return self.handled(asked, value).map(AskOutcome::Answered);
        }
        loop {
            let id = match asked.take() {
                Some(id) => id,
                None => driver.ask(question(refused.take()))?,
            };
            match active.wait(driver, &id, stop).await {
                Waited::Suspended(status) => return Ok(AskOutcome::Suspended(status)),
                Waited::Answered(answer) => match self.refusal(&answer) {
                    None => return Ok(AskOutcome::outside(id, answer)),
                    again => refused = again,
                },
            }
        }
    }

    /// The answer of a handler, unless one from outside was accepted before.
    fn handled(&self, asked: Option<String>, value: Value) -> Result<ReceivedAnswer, RunError> {
        if let Some(id) = &asked {
            let clean = Clean::redact(value.clone(), &self.driver.handle().secrets().redactor());
            if !self.driver.claim_answer(id, HANDLER, &clean)?
                && let Some(answer) = self.driver.take_answer(id)
                && self.refusal(&answer).is_none()
            {
                return Ok(ReceivedAnswer::outside(id.clone(), answer));
            }
        }
        Ok(ReceivedAnswer {
            by: AnsweredBy::Handler,
            question: asked,
            answer: Answer::Given {
                source: HANDLER.to_owned(),
                value,
            },
        })
    }

    /// The reason to refuse an answer from outside: its sender checked it, but any program can write such a file.
    fn refusal(&self, answer: &Answer) -> Option<AskedAgain> {
        /// The longest reason that is recorded, in characters.
        const LONGEST: usize = 500;
        let Answer::Given { value, source } = answer else {
            return None;
        };
        let reason = (self.check)(value).err()?;
        let reason = self
            .driver
            .handle()
            .secrets()
            .redactor()
            .redact(&reason)
            .into_owned();
        tracing::warn!(path = %self.path, source, reason, "an answer of the wrong shape was refused");
        Some(AskedAgain::Refused(reason.chars().take(LONGEST).collect()))
    }
}

/// Takes the answer to an open question, if there is one; the question is closed by that.
fn take_answer(asked: &mut Option<String>, driver: &RunDriver) -> Option<(String, Answer)> {
    let answer = driver.take_answer(asked.as_deref()?)?;
    asked.take().map(|id| (id, answer))
}
