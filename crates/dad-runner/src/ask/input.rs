//! What a step or component is given from outside: before the run, by a handler, or by a person who answers later.

use std::sync::Arc;

use dad_core::{Clean, ErrorInfo, HierarchyPath, StepStatus};
use dad_definition::{Component, NodeElement, Program};
use dad_events::{AnswerCheck, ComponentInputRequiredEvent, NodeInputRequiredEvent, Origin, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, RunDriver};
use dad_run::{
    Answer, AnsweredBy, AskedAgain, ControlKind, Recalled, RunError, RunView, Shown, Side, Subject,
    check_component_input,
};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ask::request::{Asking, Heard};
use crate::ask::subject::AskedIn;
use crate::concurrency::active::BusyStep;
use crate::flow::component::Walk;
use crate::render::scope::Frame;

/// What asking for an input came to.
pub(crate) enum Input {
    /// This is it, if there is one.
    Is(Option<Clean<Value>>),
    /// It is not one.
    Fails(ErrorInfo),
    /// Somebody said that there will be none, and why.
    Denied(String),
    /// It comes to rest without it.
    Pending(StepStatus),
}

/// Who may need an input.
#[derive(Clone, Copy)]
pub(crate) enum Asker<'a> {
    Node(&'a NodeElement),
    Component(&'a Component),
}

/// A step or component that may need an input, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct AskingPlace<'a> {
    pub(crate) asker: Asker<'a>,
    pub(crate) path: &'a HierarchyPath,
    /// The variables around it; the root has none.
    pub(crate) around: Option<&'a Arc<Frame>>,
    pub(crate) side: Side,
}

/// Where an input came from.
struct Found {
    source: String,
    by: AnsweredBy,
    from: Option<Origin>,
    question: Option<String>,
    value: Value,
}

impl Found {
    fn new(by: AnsweredBy, source: impl Into<String>, value: Value) -> Self {
        Self {
            source: source.into(),
            by,
            from: None,
            question: None,
            value,
        }
    }

    fn previous(by: AnsweredBy, (value, origin): (Value, Origin)) -> Self {
        Self {
            from: Some(origin),
            ..Self::new(by, "previous run", value)
        }
    }
}

/// What is known of a question before it is asked.
#[derive(Default)]
struct AboutQuestion {
    /// What it is about; none of an input that is not asked for.
    subject: Option<Subject>,
    /// The answer of the previous run that does not hold for it.
    offered: Option<Value>,
    asked_again: Option<AskedAgain>,
}

/// What was given, as it is recorded.
struct NewInput {
    found: Found,
    about: AboutQuestion,
}

/// The input of a step or component, recorded: given before the run, else, if it asks, the previous run's answer to the same
/// question, else a handler's, else that of a person outside.
pub(crate) async fn input(
    walk: &Walk,
    place: AskingPlace<'_>,
    busy: &mut BusyStep<'_>,
    stop: &CancellationToken,
) -> Result<Input, RunError> {
    let AskingPlace {
        asker, path, side, ..
    } = place;
    let driver = &walk.driver;
    // Answered before the run was resumed: asked once, recorded once.
    let answered = driver.history().map(|history| history.input(path)).transpose()?;
    if let Some(value) = answered.flatten() {
        return Ok(Input::Is(Some(Clean::from_store(value))));
    }
    let asks = asker.asks(&walk.asked_in());
    let subject = asks.then(|| walk.subjects().of(asker, path, place.around));
    let input = match known_before(walk, place, subject)? {
        Known::Found(input) => input,
        Known::Unfit(error) => return Ok(Input::Fails(error)),
        // For what is only taken over nobody is asked.
        Known::Nothing(_) if side == Side::Before || !asks => return Ok(Input::Is(None)),
        Known::Nothing(about) => match ask(walk, (asker, path), &about, busy, stop).await? {
            AskOutcome::Answered(found) => NewInput { found, about },
            AskOutcome::Ends(input) => return Ok(input),
        },
    };
    Ok(Input::Is(Some(record(driver, path, &input)?)))
}

/// Records the input of a step whose result is taken over.
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
        found: Found::previous(AnsweredBy::PreviousRun, answer),
        about: AboutQuestion {
            subject: parent.subject(path).cloned(),
            ..AboutQuestion::default()
        },
    }))
}

/// What asking came to.
enum AskOutcome {
    Answered(Found),
    Ends(Input),
}

/// Asks handlers, then the people outside.
async fn ask(
    walk: &Walk,
    (asker, path): (Asker<'_>, &HierarchyPath),
    about: &AboutQuestion,
    busy: &mut BusyStep<'_>,
    stop: &CancellationToken,
) -> Result<AskOutcome, RunError> {
    let driver = &walk.driver;
    let asking = Asking {
        driver,
        path,
        kind: QuestionKind::Input,
        facts: None,
        check: &asker.check(driver),
        stop,
    };
    let person_asked = Notify::new();
    let handlers = asker.ask_handlers(walk, path, about.offered.clone(), &person_asked);
    let question = |again: Option<AskedAgain>| {
        let mut question = asker.question(walk, path, about);
        question.asked_again = again.or(question.asked_again);
        question
    };
    let heard = match asking.hear((handlers, &person_asked), question, busy).await? {
        Ok(heard) => heard,
        Err(status) => return Ok(AskOutcome::Ends(Input::Pending(status))),
    };
    let Heard { by, question, answer } = heard;
    Ok(match answer {
        Answer::Denied { source, reason } => {
            let told = Some(reason.clone().into());
            driver.control(ControlKind::Fail, Some(path), &source, told)?;
            AskOutcome::Ends(Input::Denied(reason))
        }
        Answer::Given { source, value } => AskOutcome::Answered(Found {
            question,
            ..Found::new(by, source, value)
        }),
    })
}

/// Records the input that a person wanted instead of the one before; of an input that is asked for, `subject` is what about.
pub(crate) fn record_edited(
    driver: &RunDriver,
    path: &HierarchyPath,
    (by, source): (AnsweredBy, &str),
    subject: Option<Subject>,
    value: Value,
) -> Result<Clean<Value>, RunError> {
    let input = NewInput {
        found: Found::new(by, source, value),
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

/// What is known of an input before a person is asked.
enum Known {
    Found(NewInput),
    /// The answer of the previous run has another shape than the one that is asked for now.
    Unfit(ErrorInfo),
    Nothing(AboutQuestion),
}

fn unfit(origin: &Origin, reason: &str) -> ErrorInfo {
    let message = format!(
        "the answer of `{}` in `{}` does not fit: {reason}",
        origin.path, origin.run_id
    );
    ErrorInfo::new("invalid_input", message).with_hint("`--ask PATH` asks again")
}

/// An input for which nobody has to be asked.
fn known_before(walk: &Walk, place: AskingPlace<'_>, subject: Option<Subject>) -> Result<Known, RunError> {
    let AskingPlace {
        asker, path, side, ..
    } = place;
    let driver = &walk.driver;
    let nothing = |subject| AboutQuestion {
        subject,
        ..AboutQuestion::default()
    };
    // What an input gives to the root are variables of the run, and recorded as such.
    let is_root = asker.is_root(driver.handle().program());
    if let Some(given) = driver.handle().given_input(path).filter(|_| !is_root) {
        return Ok(Known::Found(NewInput {
            found: Found::new(AnsweredBy::Given, given.source, given.value),
            about: nothing(subject),
        }));
    }
    let is_alone = driver.plan().is_some_and(|plan| plan.alone);
    let Some(parent) = driver.handle().parent().filter(|_| subject.is_some() || is_alone) else {
        return Ok(Known::Nothing(nothing(subject)));
    };
    // What is before the entry point stays as it is recorded, and a step alone has the input it had.
    if side == Side::Before || is_alone {
        let carried = carried(parent, path)?.filter(|_| !walk.asks_again(path));
        return Ok(carried.map_or_else(|| Known::Nothing(nothing(subject)), Known::Found));
    }
    let Some(subject) = subject else {
        return Ok(Known::Nothing(AboutQuestion::default()));
    };
    Ok(match parent.recall(path, &subject, walk.answer_wish(path)) {
        // The people who were asked before the run was resumed answer it.
        Recalled::Answer { .. } if driver.has_asked(path, QuestionKind::Input) => {
            Known::Nothing(nothing(Some(subject)))
        }
        Recalled::Answer { path, by } => match parent.answer_of(&path)? {
            Some(answer) => match asker.check(driver)(&answer.0) {
                Ok(()) => Known::Found(NewInput {
                    found: Found::previous(by, answer),
                    about: nothing(Some(subject)),
                }),
                Err(reason) => Known::Unfit(unfit(&answer.1, &reason)),
            },
            None => Known::Nothing(nothing(Some(subject))),
        },
        Recalled::Asks { offered, because } => Known::Nothing(AboutQuestion {
            subject: Some(subject),
            offered: offered.map(|path| parent.input(&path)).transpose()?.flatten(),
            asked_again: because,
        }),
    })
}

impl Asker<'_> {
    /// Whether it asks if it was given nothing.
    pub(crate) fn asks(self, asked_in: &AskedIn<'_>) -> bool {
        match self {
            Self::Node(node) => node.asks(),
            Self::Component(component) => component.asks() && !open_variables(component, asked_in).is_empty(),
        }
    }

    fn is_root(self, program: &Program) -> bool {
        matches!(self, Self::Component(component) if component.path == program.root.path)
    }

    async fn ask_handlers(
        self,
        walk: &Walk,
        path: &HierarchyPath,
        previous: Option<Value>,
        person_asked: &Notify,
    ) -> Option<Value> {
        let driver = &walk.driver;
        let identity = driver.handle().identity().clone();
        let check = self.check(driver);
        match self {
            Self::Node(node) => {
                let who = (path.clone(), node.node_type.clone());
                let settings = node.unrendered.clone();
                let event = NodeInputRequiredEvent::new(identity, who, settings, previous, check);
                driver.bus().ask_telling(&event, person_asked).await;
                event.answer()
            }
            Self::Component(component) => {
                let who = (path.clone(), component.kind);
                let variables = open_variables(component, &walk.asked_in());
                let event = ComponentInputRequiredEvent::new(identity, who, variables, previous, check);
                driver.bus().ask_telling(&event, person_asked).await;
                event.answer()
            }
        }
    }

    /// What people outside are asked, who may answer later and from another process.
    fn question(self, walk: &Walk, path: &HierarchyPath, about: &AboutQuestion) -> NewQuestion {
        let asked_in = walk.asked_in();
        let (node_type, settings) = match self {
            Self::Node(node) => (Some(node.node_type.clone()), node.unrendered.clone()),
            Self::Component(component) => (None, open_variables(component, &asked_in).into()),
        };
        NewQuestion {
            path: path.clone(),
            kind: QuestionKind::Input,
            node_type,
            schema: self.schema(&asked_in),
            settings: Clean::redact(settings, &walk.run.secrets().redactor()),
            shown: Shown::default(),
            facts: None,
            subject: about.subject.clone(),
            previous_input: about.offered.clone().map(Clean::from_store),
            asked_again: about.asked_again.clone(),
            at_prompt: false,
        }
    }

    /// JSON Schema of its input.
    pub(crate) fn schema(self, asked_in: &AskedIn<'_>) -> Value {
        match self {
            Self::Node(node) => {
                let info = asked_in.types.node_type(&node.node_type);
                info.map(|info| info.input_schema.clone()).unwrap_or_default()
            }
            Self::Component(component) => {
                let variables = open_variables(component, asked_in);
                let program = asked_in.program;
                let needed = |name: &&String| self.is_root(program) && program.required().contains(name);
                let required: Vec<&String> = variables.keys().filter(needed).collect();
                let properties: Map<String, Value> =
                    variables.keys().map(|name| (name.clone(), json!({}))).collect();
                json!({
                    "type": "object",
                    "required": ["variables"],
                    "additionalProperties": false,
                    "properties": {
                        "variables": {
                            "type": "object",
                            "required": required,
                            "additionalProperties": false,
                            "properties": properties,
                        },
                    },
                })
            }
        }
    }

    /// Checks an input of it.
    pub(crate) fn check(self, driver: &RunDriver) -> AnswerCheck {
        match self {
            Self::Node(node) => {
                let check = driver
                    .handle()
                    .node_types()
                    .node_type(&node.node_type)
                    .map(|info| info.check_input);
                Box::new(move |value| check.map_or(Ok(()), |check| check(value)))
            }
            Self::Component(component) => {
                let (program, path): (Arc<Program>, _) =
                    (Arc::clone(driver.handle().program()), component.path.clone());
                Box::new(move |value| match program.component(&path) {
                    Some(component) => check_component_input(component, &program, value),
                    None => Ok(()),
                })
            }
        }
    }
}

/// The variables that an input may give: of the root those that were not given already, null for those that must be.
pub(crate) fn open_variables(component: &Component, asked_in: &AskedIn<'_>) -> Map<String, Value> {
    let own = component.variables.iter();
    let own = own.map(|variable| (variable.name.clone(), variable.unrendered.clone()));
    if component.path != asked_in.program.root.path {
        return own.collect();
    }
    let required = asked_in.program.required().iter();
    let required = required.map(|name| (name.clone(), Value::Null));
    required
        .chain(own)
        .filter(|(name, _)| !asked_in.given.contains_key(name))
        .collect()
}
