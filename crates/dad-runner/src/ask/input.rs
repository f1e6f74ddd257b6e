//! The input of a step or component: given before the run, by a handler, or by a person who answers later.

use dad_core::{Clean, ErrorInfo, HierarchyPath, StepStatus};
use dad_events::{ComponentInputRequiredEvent, NodeInputRequiredEvent, Origin, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, RunDriver, Shown};
use dad_run::reuse::{AnswerWish, EntryRelation, Recalled};
use dad_run::{Answer, AnsweredBy, AskedAgain, ControlKind, RunError, RunView, Subject};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ask::asker::{Asker, AskingPlace, open_variables};
use crate::ask::request::{AskOutcome, AskRequest, ReceivedAnswer};
use crate::concurrency::active::ActiveStep;
use crate::session::Session;

/// The outcome of asking for an input.
pub(crate) enum InputOutcome {
    /// The input, if there is one.
    Given(Option<Clean<Value>>),
    /// The input does not fit.
    Invalid(ErrorInfo),
    /// The user refused to give one, with this reason.
    Denied(String),
    /// The step suspends without it, with this status.
    Suspended(StepStatus),
}

/// An input, with its source.
struct ReceivedInput {
    source: String,
    by: AnsweredBy,
    from: Option<Origin>,
    question: Option<String>,
    value: Value,
}

impl ReceivedInput {
    fn new(by: AnsweredBy, source: impl Into<String>, value: Value) -> Self {
        Self {
            source: source.into(),
            by,
            from: None,
            question: None,
            value,
        }
    }

    fn previous(by: AnsweredBy, answer: (Value, Origin)) -> Self {
        let (value, origin) = answer;
        Self {
            from: Some(origin),
            ..Self::new(by, "previous run", value)
        }
    }
}

/// The facts about a question that are known before it is asked.
#[derive(Default)]
struct AboutQuestion {
    /// Its subject; `None` for an input that is not asked for.
    subject: Option<Subject>,
    /// The answer of the previous run, which was given to another question and is offered as a proposal.
    offered: Option<Value>,
    asked_again: Option<AskedAgain>,
}

/// An input as it is recorded.
struct NewInput {
    found: ReceivedInput,
    about: AboutQuestion,
}

/// The input of a step or component, recorded: given before the run, else, if it asks, the previous run's answer to the same
/// question, else a handler's, else that of a person outside.
pub(crate) async fn input(
    session: &Session,
    place: AskingPlace<'_>,
    active: &mut ActiveStep<'_>,
    stop: &CancellationToken,
) -> Result<InputOutcome, RunError> {
    let AskingPlace {
        asker,
        path,
        relation,
        ..
    } = place;
    let driver = &session.driver;
    // Answered before the run was resumed: asked once, recorded once.
    let answered = driver.history().map(|history| history.input(path)).transpose()?;
    if let Some(value) = answered.flatten() {
        return Ok(InputOutcome::Given(Some(Clean::from_store(value))));
    }
    let asks = asker.asks(&session.asked_in());
    let subject = asks.then(|| session.subjects().of(asker, path, place.around));
    let input = match known_before(session, place, subject)? {
        KnownInput::Received(input) => input,
        KnownInput::Unfit(error) => return Ok(InputOutcome::Invalid(error)),
        // A result that is only taken over needs no answer.
        KnownInput::Nothing(_) if relation == EntryRelation::Before || !asks => {
            return Ok(InputOutcome::Given(None));
        }
        KnownInput::Nothing(about) => match ask(session, asker, path, &about, active, stop).await? {
            InputAsked::Answered(found) => NewInput { found, about },
            InputAsked::Ended(input) => return Ok(input),
        },
    };
    Ok(InputOutcome::Given(Some(record(driver, path, &input)?)))
}

/// Records the input of a step whose result is reused: a re-run of this run looks for it here.
pub(crate) fn carry_input(driver: &RunDriver, path: &HierarchyPath) -> Result<(), RunError> {
    match driver.handle().parent() {
        Some(parent) => match carried(parent, path)? {
            Some(input) => record(driver, path, &input).map(drop),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The input that the previous run has at a path, with the question it answers there.
fn carried(parent: &RunView, path: &HierarchyPath) -> Result<Option<NewInput>, RunError> {
    let answer = parent.answer_of(path)?;
    Ok(answer.map(|answer| NewInput {
        found: ReceivedInput::previous(AnsweredBy::PreviousRun, answer),
        about: AboutQuestion {
            subject: parent.subject(path).cloned(),
            ..AboutQuestion::default()
        },
    }))
}

/// The outcome of asking handlers and people.
enum InputAsked {
    Answered(ReceivedInput),
    Ended(InputOutcome),
}

/// Asks handlers, then the people outside.
async fn ask(
    session: &Session,
    asker: Asker<'_>,
    path: &HierarchyPath,
    about: &AboutQuestion,
    active: &mut ActiveStep<'_>,
    stop: &CancellationToken,
) -> Result<InputAsked, RunError> {
    let driver = &session.driver;
    let request = AskRequest {
        driver,
        path,
        kind: QuestionKind::Input,
        facts: None,
        check: &asker.check(driver),
        stop,
    };
    let person_asked = Notify::new();
    let handlers = ask_handlers(session, asker, path, about.offered.clone(), &person_asked);
    let question = |again: Option<AskedAgain>| {
        let mut question = new_question(session, asker, path, about);
        question.asked_again = again.or(question.asked_again);
        question
    };
    let received = match request.send(handlers, &person_asked, question, active).await? {
        AskOutcome::Answered(received) => received,
        AskOutcome::Suspended(status) => return Ok(InputAsked::Ended(InputOutcome::Suspended(status))),
    };
    let ReceivedAnswer { by, question, answer } = received;
    Ok(match answer {
        Answer::Denied { source, reason } => {
            let value = Some(reason.clone().into());
            driver.control(ControlKind::Fail, Some(path), &source, value)?;
            InputAsked::Ended(InputOutcome::Denied(reason))
        }
        Answer::Given { source, value } => InputAsked::Answered(ReceivedInput {
            question,
            ..ReceivedInput::new(by, source, value)
        }),
    })
}

/// Records the input by which a person replaced the one before. `subject` is the subject of its question, if it is asked for.
pub(crate) fn record_edited(
    driver: &RunDriver,
    path: &HierarchyPath,
    by: AnsweredBy,
    source: &str,
    subject: Option<Subject>,
    value: Value,
) -> Result<Clean<Value>, RunError> {
    let input = NewInput {
        found: ReceivedInput::new(by, source, value),
        about: AboutQuestion {
            subject,
            ..AboutQuestion::default()
        },
    };
    record(driver, path, &input)
}

fn record(driver: &RunDriver, path: &HierarchyPath, input: &NewInput) -> Result<Clean<Value>, RunError> {
    let NewInput { found, about } = input;
    let value = Clean::redact(found.value.clone(), &driver.handle().secrets().redactor());
    driver.answered(NewAnswer {
        path,
        kind: QuestionKind::Input,
        question: found.question.as_deref(),
        source: &found.source,
        by: found.by,
        from: found.from.as_ref(),
        facts: None,
        subject: about.subject.as_ref(),
        asked_again: about.asked_again.as_ref(),
        value: &value,
        rule: None,
    })?;
    Ok(value)
}

/// The state of an input before a person is asked.
enum KnownInput {
    Received(NewInput),
    /// The answer of the previous run has another shape than the one that is asked for now.
    Unfit(ErrorInfo),
    Nothing(AboutQuestion),
}

fn unfit(origin: &Origin, reason: &str) -> ErrorInfo {
    let message = format!(
        "the answer of `{}` in `{}` does not fit: {reason}",
        origin.path, origin.run_id
    );
    ErrorInfo::new("invalid_input", message)
        .with_hint("start the re-run so that it asks for this input again")
}

/// The input that needs no question, if there is one.
fn known_before(
    session: &Session,
    place: AskingPlace<'_>,
    subject: Option<Subject>,
) -> Result<KnownInput, RunError> {
    let AskingPlace {
        asker,
        path,
        relation,
        ..
    } = place;
    let driver = &session.driver;
    let nothing = |subject| AboutQuestion {
        subject,
        ..AboutQuestion::default()
    };
    // The input of the root gives variables of the run, and is recorded as those.
    let is_root = asker.is_root(driver.handle().program());
    if let Some(given) = driver.handle().given_input(path).filter(|_| !is_root) {
        return Ok(KnownInput::Received(NewInput {
            found: ReceivedInput::new(AnsweredBy::Given, given.source, given.value),
            about: nothing(subject),
        }));
    }
    let is_alone = driver.plan().is_some_and(|plan| plan.alone);
    let Some(parent) = driver.handle().parent().filter(|_| subject.is_some() || is_alone) else {
        return Ok(KnownInput::Nothing(nothing(subject)));
    };
    // Before the entry point the record stands, and a step that executes alone has the input it had.
    if relation == EntryRelation::Before || is_alone {
        let carried =
            carried(parent, path)?.filter(|_| session.requests.of_answer(path) != AnswerWish::AskAgain);
        return Ok(carried.map_or_else(|| KnownInput::Nothing(nothing(subject)), KnownInput::Received));
    }
    let Some(subject) = subject else {
        return Ok(KnownInput::Nothing(AboutQuestion::default()));
    };
    Ok(
        match parent.recall(path, &subject, session.requests.of_answer(path)) {
            // The people who were asked before the run was resumed answer it.
            Recalled::Answer { .. } if driver.has_asked(path, QuestionKind::Input) => {
                KnownInput::Nothing(nothing(Some(subject)))
            }
            Recalled::Answer { path, by } => match parent.answer_of(&path)? {
                Some(answer) => match asker.check(driver)(&answer.0) {
                    Ok(()) => KnownInput::Received(NewInput {
                        found: ReceivedInput::previous(by, answer),
                        about: nothing(Some(subject)),
                    }),
                    Err(reason) => KnownInput::Unfit(unfit(&answer.1, &reason)),
                },
                None => KnownInput::Nothing(nothing(Some(subject))),
            },
            Recalled::Asks { offered, because } => KnownInput::Nothing(AboutQuestion {
                subject: Some(subject),
                offered: offered.map(|path| parent.input(&path)).transpose()?.flatten(),
                asked_again: because,
            }),
        },
    )
}

async fn ask_handlers(
    session: &Session,
    asker: Asker<'_>,
    path: &HierarchyPath,
    previous: Option<Value>,
    person_asked: &Notify,
) -> Option<Value> {
    let driver = &session.driver;
    let identity = driver.handle().identity().clone();
    let check = asker.check(driver);
    match asker {
        Asker::Node(node) => {
            let node_type = node.node_type.clone();
            let settings = node.unrendered.clone();
            let event =
                NodeInputRequiredEvent::new(identity, path.clone(), node_type, settings, previous, check);
            driver
                .bus()
                .ask_telling(&event, &|| person_asked.notify_one())
                .await;
            event.answer()
        }
        Asker::Component(component) => {
            let kind = component.kind;
            let variables = open_variables(component, &session.asked_in());
            let event =
                ComponentInputRequiredEvent::new(identity, path.clone(), kind, variables, previous, check);
            driver
                .bus()
                .ask_telling(&event, &|| person_asked.notify_one())
                .await;
            event.answer()
        }
    }
}

/// The question for people outside, who may answer later and from another process.
fn new_question(
    session: &Session,
    asker: Asker<'_>,
    path: &HierarchyPath,
    about: &AboutQuestion,
) -> NewQuestion {
    let asked_in = session.asked_in();
    let (node_type, settings) = match asker {
        Asker::Node(node) => (Some(node.node_type.clone()), node.unrendered.clone()),
        Asker::Component(component) => (None, open_variables(component, &asked_in).into()),
    };
    NewQuestion {
        path: path.clone(),
        kind: QuestionKind::Input,
        node_type,
        schema: asker.schema(&asked_in),
        settings: Clean::redact(settings, &session.run.secrets().redactor()),
        shown: Shown::default(),
        facts: None,
        subject: about.subject.clone(),
        previous_input: about.offered.clone().map(Clean::from_store),
        asked_again: about.asked_again.clone(),
        at_prompt: false,
    }
}
