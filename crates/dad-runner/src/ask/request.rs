//! Asking: handlers first, and the people outside as soon as a handler waits for a person, or none of them answers.

use std::pin::pin;

use dad_core::{Clean, Digest, HierarchyPath, StepStatus};
use dad_events::{AnswerCheck, QuestionKind};
use dad_run::driver::{NewQuestion, RunDriver};
use dad_run::{Answer, AnsweredBy, AskedAgain, RunError};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::concurrency::active::BusyStep;

/// Who answers for a handler, as records say.
const HANDLER: &str = "event handler";

/// What a step or component asks.
pub(crate) struct Asking<'a> {
    pub(crate) driver: &'a RunDriver,
    pub(crate) path: &'a HierarchyPath,
    pub(crate) kind: QuestionKind,
    /// What an approval holds for.
    pub(crate) facts: Option<Digest>,
    pub(crate) check: &'a AnswerCheck,
    pub(crate) stop: &'a CancellationToken,
}

/// An answer of the right shape.
pub(crate) struct Heard {
    pub(crate) by: AnsweredBy,
    /// The question, if it is recorded.
    pub(crate) question: Option<String>,
    pub(crate) answer: Answer,
}

impl Heard {
    fn outside(question: String, answer: Answer) -> Self {
        Self {
            by: AnsweredBy::Outside,
            question: Some(question),
            answer,
        }
    }
}

impl Asking<'_> {
    /// Asks until there is an answer of the right shape; else says how the step comes to rest. What was answered while no
    /// process drove the run comes first. `person_asked` is notified when a handler waits for a person: then the question is
    /// recorded, so that it can be answered from elsewhere meanwhile.
    pub(crate) async fn hear(
        &self,
        (handlers, person_asked): (impl Future<Output = Option<Value>>, &Notify),
        question: impl Fn(Option<AskedAgain>) -> NewQuestion,
        busy: &mut BusyStep<'_>,
    ) -> Result<Result<Heard, StepStatus>, RunError> {
        let Self { driver, stop, .. } = self;
        let mut refused = None;
        if let Some((id, answer)) = driver.answered_meanwhile(self.path, self.kind, self.facts)? {
            match self.refusal(&answer) {
                None => return Ok(Ok(Heard::outside(id, answer))),
                again => refused = again,
            }
        }
        let mut asked: Option<String> = None;
        let mut handlers = pin!(handlers);
        let handled = loop {
            // Before it is looked, so that no answer is missed.
            let mut came = pin!(driver.answer_came());
            came.as_mut().enable();
            if let Some((id, answer)) = take_answer(&mut asked, driver) {
                match self.refusal(&answer) {
                    None => return Ok(Ok(Heard::outside(id, answer))),
                    again => asked = Some(driver.ask(question(again))?),
                }
                continue;
            }
            tokio::select! {
                biased;
                // A handler is not waited for when the run stops; the question stays for a later answer.
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
            return self.handled(asked, value).map(Ok);
        }
        loop {
            let id = match asked.take() {
                Some(id) => id,
                None => driver.ask(question(refused.take()))?,
            };
            match busy.wait(driver, &id, stop).await {
                Err(status) => return Ok(Err(status)),
                Ok(answer) => match self.refusal(&answer) {
                    None => return Ok(Ok(Heard::outside(id, answer))),
                    again => refused = again,
                },
            }
        }
    }

    /// The answer of a handler, unless one from outside was accepted before.
    fn handled(&self, asked: Option<String>, value: Value) -> Result<Heard, RunError> {
        if let Some(id) = &asked {
            let clean = Clean::redact(value.clone(), &self.driver.handle().secrets().redactor());
            if !self.driver.claim_answer(id, HANDLER, &clean)?
                && let Some(answer) = self.driver.take_answer(id)
                && self.refusal(&answer).is_none()
            {
                return Ok(Heard::outside(id.clone(), answer));
            }
        }
        Ok(Heard {
            by: AnsweredBy::Handler,
            question: asked,
            answer: Answer::Given {
                source: HANDLER.to_owned(),
                value,
            },
        })
    }

    /// Why an answer from outside is not taken: its sender checked it, but any program may write a file.
    fn refusal(&self, answer: &Answer) -> Option<AskedAgain> {
        /// As much of a reason as is recorded, in characters.
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
        tracing::warn!(path = %self.path, source, reason, "an answer of the wrong shape is not taken");
        Some(AskedAgain::Refused(reason.chars().take(LONGEST).collect()))
    }
}

/// A question and its answer, if it has been asked and answered; then it is no longer asked.
fn take_answer(asked: &mut Option<String>, driver: &RunDriver) -> Option<(String, Answer)> {
    let answer = driver.take_answer(asked.as_deref()?)?;
    asked.take().map(|id| (id, answer))
}
