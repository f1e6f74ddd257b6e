//! The agreement of a person, handler or rule before something executes.

use dad_core::{Clean, Digest, ErrorInfo, HierarchyPath, NodeType, Redactor, RuleDecision, StepStatus};
use dad_definition::Intended;
use dad_events::{AnswerCheck, ApprovalRequiredEvent, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, RunDriver};
use dad_run::{
    Answer, AnsweredBy, ApprovalAnswer, AskedAgain, Ruling, RunError, Shown, Subject, approval_schema,
};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ask::input::{Asker, record_edited};
use crate::ask::request::{Asking, Heard};
use crate::concurrency::active::BusyStep;
use crate::flow::component::Walk;

/// What is to be agreed to.
pub(crate) struct Intent<'a> {
    /// Whose input may be changed; `None` if there is none to change.
    pub(crate) asker: Option<Asker<'a>>,
    pub(crate) path: &'a HierarchyPath,
    /// What its input is asked about; none if it is not asked for.
    pub(crate) subject: Option<Subject>,
    /// The type of the node; `None` for a component.
    pub(crate) node_type: Option<&'a NodeType>,
    /// Settings or variables, rendered.
    pub(crate) settings: Clean<Value>,
    /// What it would do, for people.
    pub(crate) preview: Clean<String>,
    /// The call of a tool that a model wants, if that is what it is about.
    pub(crate) call: Option<CleanCall<'a>>,
    /// Digest of what is shown, which the agreement holds for.
    pub(crate) facts: Digest,
}

/// A call of a tool that a model wants.
#[derive(Clone, Copy, Debug)]
pub struct WantedCall<'a> {
    /// The name of the tool.
    pub tool: &'a str,
    /// What the model gives.
    pub arguments: &'a Value,
    /// The type of the node behind the tool, else the name of the callback.
    pub node: &'a NodeType,
    /// The settings of that node, with what the definition fixed.
    pub settings: &'a Value,
}

/// The same without secrets.
pub(crate) struct CleanCall<'a> {
    tool: &'a str,
    arguments: Clean<Value>,
    node: &'a NodeType,
    settings: Clean<Value>,
}

impl<'a> CleanCall<'a> {
    pub(crate) fn new(call: &WantedCall<'a>, redactor: &Redactor) -> Self {
        Self {
            tool: call.tool,
            arguments: Clean::redact(call.arguments.clone(), redactor),
            node: call.node,
            settings: Clean::redact(call.settings.clone(), redactor),
        }
    }

    /// As questions show it.
    pub(crate) fn shown(&self, redactor: &Redactor) -> Clean<Value> {
        Clean::render(
            json!({ "tool": self.tool, "arguments": self.arguments.get() }),
            redactor,
        )
    }

    /// As rules are about it.
    pub(crate) fn intended<'i>(&'i self, at: Intended<'i>) -> Intended<'i> {
        Intended {
            tool: Some(self.tool),
            arguments: self.arguments.get(),
            target: Some((self.node, self.settings.get())),
            ..at
        }
    }
}

/// Who agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// A person, or a handler, who was shown what it would do.
    Shown,
    /// A rule.
    Rule,
}

/// What came of asking for an agreement.
pub(crate) enum Approval {
    /// It may execute.
    Granted(Agreement),
    /// It is to be worked out again with another input, which is recorded.
    Edited(Clean<Value>),
    /// It may not.
    Denied(ErrorInfo),
    /// It comes to rest without an answer.
    Pending(StepStatus),
}

impl Intent<'_> {
    /// Asks until there is an answer, unless a person agreed to the same before the run was resumed.
    pub(crate) async fn approval(
        self,
        walk: &Walk,
        busy: &mut BusyStep<'_>,
        stop: &CancellationToken,
    ) -> Result<Approval, RunError> {
        let driver = &walk.driver;
        let ruling = self.ruling(driver);
        if let Some(ruling) = ruling
            .as_ref()
            .filter(|ruling| ruling.rule.decision == RuleDecision::Deny)
        {
            return self.ruled(driver, ruling);
        }
        // What a step asks in the midst of its execution is something else than that it may begin.
        let may_begin = self.asker.is_some();
        if driver.history().is_some_and(|history| {
            history.is_approved(self.path, self.facts) || (may_begin && history.began_as_approved(self.path))
        }) {
            return Ok(Approval::Granted(Agreement::Shown));
        }
        if let Some(ruling) = ruling.filter(|ruling| ruling.rule.decision == RuleDecision::Allow) {
            return self.ruled(driver, &ruling);
        }
        let shown = driver.shown(self.preview.clone())?;
        let person_asked = Notify::new();
        let handlers = self.ask_handlers(driver, &shown, &person_asked);
        let input = self.check_input(driver);
        let asking = Asking {
            driver,
            path: self.path,
            kind: QuestionKind::Approval,
            facts: Some(self.facts),
            check: &(Box::new(move |answer: &Value| check(&input, answer)) as AnswerCheck),
            stop,
        };
        let question = |again| self.question(walk, shown.clone(), again);
        let heard = match asking.hear((handlers, &person_asked), question, busy).await? {
            Ok(heard) => heard,
            Err(status) => return Ok(Approval::Pending(status)),
        };
        let Heard { by, question, answer } = heard;
        let (source, value) = match answer {
            Answer::Given { source, value } => (source, value),
            Answer::Denied { source, reason } => (source, json!({ "approve": false, "reason": reason })),
        };
        // By what is known now: it may have taken long.
        let value = Clean::redact(value, &driver.handle().secrets().redactor());
        let parsed = ApprovalAnswer::parse(value.get());
        let for_run = matches!(parsed, Ok(ApprovalAnswer::Yes { for_run: true }));
        let rule = for_run.then(|| driver.rule_for_run(&self.intended(driver)));
        driver.answered(NewAnswer {
            path: self.path,
            kind: QuestionKind::Approval,
            question: question.as_deref(),
            source: &source,
            by,
            from: None,
            facts: Some(self.facts),
            subject: None,
            asked_again: None,
            value: &value,
            rule: rule.as_ref(),
        })?;
        Ok(match parsed {
            Ok(ApprovalAnswer::Yes { .. }) => Approval::Granted(Agreement::Shown),
            Ok(ApprovalAnswer::Edited(input)) => {
                let who = (by, source.as_str());
                Approval::Edited(record_edited(driver, self.path, who, self.subject, input)?)
            }
            Ok(ApprovalAnswer::No(reason)) => {
                let reason = reason.unwrap_or_else(|| "without a reason".to_owned());
                Approval::Denied(ErrorInfo::new("denied", format!("it was not approved: {reason}")))
            }
            Err(reason) => Approval::Denied(ErrorInfo::new("invalid_input", reason)),
        })
    }

    fn ruling(&self, driver: &RunDriver) -> Option<Ruling> {
        driver
            .has_rules()
            .then(|| driver.ruling(&self.intended(driver)))
            .flatten()
    }

    /// What rules are about.
    fn intended<'i>(&'i self, driver: &'i RunDriver) -> Intended<'i> {
        let at = driver.intended(self.path);
        match &self.call {
            Some(call) => call.intended(at),
            None => Intended {
                node: self.node_type,
                arguments: self.settings.get(),
                ..at
            },
        }
    }

    /// Records what a rule decides.
    fn ruled(&self, driver: &RunDriver, ruling: &Ruling) -> Result<Approval, RunError> {
        let source = ruling.origin.in_words();
        let is_allowed = ruling.rule.decision == RuleDecision::Allow;
        let value = match is_allowed {
            true => json!({ "approve": true }),
            false => json!({ "approve": false, "reason": source }),
        };
        driver.answered(NewAnswer {
            path: self.path,
            kind: QuestionKind::Approval,
            question: None,
            source,
            by: AnsweredBy::Rule,
            from: None,
            facts: Some(self.facts),
            subject: None,
            asked_again: None,
            value: &Clean::redact(value, &driver.handle().secrets().redactor()),
            rule: Some(&ruling.rule),
        })?;
        Ok(match is_allowed {
            true => Approval::Granted(Agreement::Rule),
            false => Approval::Denied(ErrorInfo::new("denied", format!("{source} denies it"))),
        })
    }

    fn check_input(&self, driver: &RunDriver) -> AnswerCheck {
        match self.asker {
            Some(asker) => asker.check(driver),
            None => Box::new(|_| Err("there is no input that could be changed".to_owned())),
        }
    }

    async fn ask_handlers(&self, driver: &RunDriver, shown: &Shown, person_asked: &Notify) -> Option<Value> {
        let input = self.check_input(driver);
        let run_dir = &driver.handle().identity().run_dir;
        let file = shown.file.as_ref().map(|file| run_dir.join(&file.path));
        let event = ApprovalRequiredEvent::new(
            driver.handle().identity().clone(),
            (self.path.clone(), self.node_type.cloned()),
            self.settings.get().clone(),
            (shown.text.get().clone(), file),
            Box::new(move |answer| check(&input, answer)),
        );
        driver.bus().ask_telling(&event, person_asked).await;
        event.answer()
    }

    fn question(&self, walk: &Walk, shown: Shown, asked_again: Option<AskedAgain>) -> NewQuestion {
        let asked_in = walk.asked_in();
        NewQuestion {
            path: self.path.clone(),
            kind: QuestionKind::Approval,
            node_type: self.node_type.cloned(),
            schema: approval_schema(
                &self
                    .asker
                    .map_or(Value::Bool(false), |asker| asker.schema(&asked_in)),
            ),
            settings: self.settings.clone(),
            shown,
            facts: Some(self.facts),
            subject: None,
            previous_input: None,
            asked_again,
            at_prompt: false,
        }
    }
}

fn check(input: &AnswerCheck, answer: &Value) -> Result<(), String> {
    match ApprovalAnswer::parse(answer)? {
        ApprovalAnswer::Edited(edited) => input(&edited).map_err(|reason| format!("in `input`, {reason}")),
        ApprovalAnswer::Yes { .. } | ApprovalAnswer::No(_) => Ok(()),
    }
}
