//! The agreement of a person, handler or rule before something executes.

use dad_core::{Clean, Digest, ErrorInfo, HierarchyPath, NodeType, Redactor, RuleDecision, StepStatus};
use dad_definition::Intended;
use dad_events::{AnswerCheck, ApprovalRequiredEvent, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, Ruling, RunDriver, Shown, approval_schema};
use dad_run::{Answer, AnsweredBy, ApprovalAnswer, AskedAgain, RunError, Subject};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ask::asker::Asker;
use crate::ask::input::record_edited;
use crate::ask::request::{AskOutcome, AskRequest, ReceivedAnswer};
use crate::concurrency::active::ActiveStep;
use crate::session::Session;

/// An action that needs approval.
pub(crate) struct Intent<'a> {
    /// The step or component whose input the answer may change; `None` if there is no input to change.
    pub(crate) asker: Option<Asker<'a>>,
    pub(crate) path: &'a HierarchyPath,
    /// The subject of the question for its input; `None` if its input is not asked for.
    pub(crate) subject: Option<Subject>,
    /// The type of the node; `None` for a component.
    pub(crate) node_type: Option<&'a NodeType>,
    /// Settings or variables, rendered.
    pub(crate) settings: Clean<Value>,
    /// The preview of its effects, for people.
    pub(crate) preview: Clean<String>,
    /// The tool call that a model requests, if that is the action.
    pub(crate) call: Option<CleanCall<'a>>,
    /// The digest of the facts that are shown; the agreement holds for them only.
    pub(crate) facts: Digest,
}

/// A tool call that a model requests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WantedCall<'a> {
    /// The name of the tool.
    pub tool: &'a str,
    /// The arguments that the model gives.
    pub arguments: &'a Value,
    /// The type of the node behind the tool, else the name of the callback.
    pub node: &'a NodeType,
    /// The settings of that node, with those that the definition fixes.
    pub settings: &'a Value,
}

impl<'a> WantedCall<'a> {
    /// The call of a tool with a model's arguments, and the node behind it with its settings.
    #[must_use]
    pub fn new(tool: &'a str, arguments: &'a Value, node: &'a NodeType, settings: &'a Value) -> Self {
        Self {
            tool,
            arguments,
            node,
            settings,
        }
    }
}

/// The same call without secrets.
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

    /// The call as questions show it.
    pub(crate) fn shown(&self, redactor: &Redactor) -> Clean<Value> {
        Clean::render(
            json!({ "tool": self.tool, "arguments": self.arguments.get() }),
            redactor,
        )
    }

    /// The call as rules match it.
    pub(crate) fn intended<'i>(&'i self, at: Intended<'i>) -> Intended<'i> {
        at.tool(self.tool)
            .arguments(self.arguments.get())
            .target((self.node, self.settings.get()))
    }
}

/// The origin of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Agreement {
    /// A person or handler to whom the preview was shown.
    Shown,
    /// A rule.
    Rule,
}

/// The outcome of asking for approval.
pub(crate) enum Approval {
    /// It may execute.
    Granted(Agreement),
    /// The step or component is rendered again with this input, which is recorded.
    Edited(Clean<Value>),
    /// It may not execute.
    Denied(ErrorInfo),
    /// The step or component suspends without an answer, with this status.
    Suspended(StepStatus),
}

impl Intent<'_> {
    /// Asks until there is an answer, unless a person agreed to the same before the run was resumed.
    pub(crate) async fn approval(
        self,
        session: &Session,
        active: &mut ActiveStep<'_>,
        stop: &CancellationToken,
    ) -> Result<Approval, RunError> {
        let driver = &session.driver;
        let ruling = self.ruling(driver);
        if let Some(ruling) = ruling
            .as_ref()
            .filter(|ruling| ruling.rule.decision == RuleDecision::Deny)
        {
            return self.ruled(driver, ruling);
        }
        // An approval to begin does not cover a question that the step asks while it executes.
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
        let request = AskRequest {
            driver,
            path: self.path,
            kind: QuestionKind::Approval,
            facts: Some(self.facts),
            check: &(Box::new(move |answer: &Value| check(&input, answer)) as AnswerCheck),
            stop,
        };
        let question = |again| self.question(session, shown.clone(), again);
        let received = match request.send(handlers, &person_asked, question, active).await? {
            AskOutcome::Answered(received) => received,
            AskOutcome::Suspended(status) => return Ok(Approval::Suspended(status)),
        };
        let ReceivedAnswer { by, question, answer } = received;
        let (source, value) = match answer {
            Answer::Given { source, value } => (source, value),
            Answer::Denied { source, reason } => (source, json!({ "approve": false, "reason": reason })),
        };
        // Secrets may have been added while the answer was awaited.
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
                let edited = record_edited(driver, self.path, by, &source, self.subject, input)?;
                Approval::Edited(edited)
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

    /// The action as rules match it.
    fn intended<'i>(&'i self, driver: &'i RunDriver) -> Intended<'i> {
        let at = driver.intended(self.path);
        match &self.call {
            Some(call) => call.intended(at),
            None => {
                let mut intended = at.arguments(self.settings.get());
                intended.node = self.node_type;
                intended
            }
        }
    }

    /// Records the decision of a rule.
    fn ruled(&self, driver: &RunDriver, ruling: &Ruling) -> Result<Approval, RunError> {
        let source = ruling.origin.in_words();
        let is_allowed = ruling.rule.decision == RuleDecision::Allow;
        let value = if is_allowed {
            json!({ "approve": true })
        } else {
            json!({ "approve": false, "reason": source })
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
        Ok(if is_allowed {
            Approval::Granted(Agreement::Rule)
        } else {
            Approval::Denied(ErrorInfo::new("denied", format!("{source} denies it")))
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
            self.path.clone(),
            self.node_type.cloned(),
            self.settings.get().clone(),
            shown.text.get().clone(),
            file,
            Box::new(move |answer| check(&input, answer)),
        );
        driver
            .bus()
            .ask_telling(&event, &|| person_asked.notify_one())
            .await;
        event.answer()
    }

    fn question(&self, session: &Session, shown: Shown, asked_again: Option<AskedAgain>) -> NewQuestion {
        let asked_in = session.asked_in();
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
