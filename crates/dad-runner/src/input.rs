//! What a step or component is given from outside: before the run, by a handler, or by somebody who answers later.

use std::sync::Arc;

use dad_core::{Clean, ErrorInfo, HierarchyPath, StepStatus};
use dad_definition::{Component, NodeElement, Program};
use dad_events::{AnswerCheck, ComponentInputRequiredEvent, NodeInputRequiredEvent, QuestionKind};
use dad_run::driver::{NewAnswer, NewQuestion, RunDriver};
use dad_run::{Answer, ControlKind, RunError, Side, check_component_input};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::waiting::BusyStep;
use crate::walk::Walk;

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

/// Where an input came from.
struct Found {
    source: String,
    question: Option<String>,
    value: Value,
}

impl Found {
    fn new(source: impl Into<String>, value: Value) -> Self {
        Self {
            source: source.into(),
            question: None,
            value,
        }
    }
}

/// The input of a step or component, recorded: given before the run, else, if it asks, the previous run's answer, else a
/// handler's, else that of somebody outside.
pub(crate) async fn input(
    walk: &Walk,
    asker: Asker<'_>,
    path: &HierarchyPath,
    side: Side,
    busy: &mut BusyStep<'_>,
    stop: &CancellationToken,
) -> Result<Input, RunError> {
    let driver = &walk.driver;
    // Answered before the run was resumed: asked once, recorded once.
    let answered = driver.history().map(|history| history.input(path)).transpose()?;
    if let Some(value) = answered.flatten() {
        return Ok(Input::Is(Some(Clean::from_store(value))));
    }
    let found = match known_before(walk, asker, path)? {
        Some(found) => found,
        // For what is only taken over nobody is asked.
        None if side == Side::Before || !asker.asks(driver) => return Ok(Input::Is(None)),
        None => match ask(walk, asker, path, busy, stop).await? {
            Asking::Answered(found) => found,
            Asking::Ends(input) => return Ok(input),
        },
    };
    Ok(Input::Is(Some(record(driver, path, found)?)))
}

/// Records the input of a step whose result is taken over.
pub(crate) fn carry_input(driver: &RunDriver, path: &HierarchyPath) -> Result<(), RunError> {
    match driver.handle().result_reader().previous_input(path)? {
        Some(value) => record(driver, path, Found::new("previous run", value)).map(drop),
        None => Ok(()),
    }
}

/// What asking came to.
enum Asking {
    Answered(Found),
    Ends(Input),
}

/// Asks handlers, then whoever may answer later; what was answered while nobody drove the run comes first.
async fn ask(
    walk: &Walk,
    asker: Asker<'_>,
    path: &HierarchyPath,
    busy: &mut BusyStep<'_>,
    stop: &CancellationToken,
) -> Result<Asking, RunError> {
    let driver = &walk.driver;
    let (question, answer) = match driver.answered_meanwhile(path, QuestionKind::Input, None)? {
        Some(answered) => answered,
        None => {
            let handled = tokio::select! {
                // A handler is not waited for when the run stops; the question stays for whoever answers later.
                () = stop.cancelled() => None,
                handled = asker.ask_handlers(walk, path) => handled?,
            };
            if let Some(value) = handled {
                return Ok(Asking::Answered(Found::new("event handler", value)));
            }
            let question = driver.ask(asker.question(driver, path))?;
            match busy.wait(driver, &question, stop).await {
                Ok(answer) => (question, answer),
                Err(status) => return Ok(Asking::Ends(Input::Pending(status))),
            }
        }
    };
    Ok(match answer {
        Answer::Denied { source, reason } => {
            let told = Some(reason.clone().into());
            driver.control(ControlKind::Fail, Some(path), &source, told)?;
            Asking::Ends(Input::Denied(reason))
        }
        // It was checked by whoever sent it, but anybody may write a file.
        Answer::Given { source, value } => match asker.check(driver)(&value) {
            Ok(()) => Asking::Answered(Found {
                question: Some(question),
                ..Found::new(source, value)
            }),
            Err(reason) => {
                let message = format!("in the answer, {reason}");
                Asking::Ends(Input::Fails(ErrorInfo::new("invalid_input", message)))
            }
        },
    })
}

/// Records an input that somebody wanted instead of the one before.
pub(crate) fn record_edited(
    driver: &RunDriver,
    path: &HierarchyPath,
    source: &str,
    value: Value,
) -> Result<Clean<Value>, RunError> {
    record(driver, path, Found::new(source, value))
}

fn record(driver: &RunDriver, path: &HierarchyPath, found: Found) -> Result<Clean<Value>, RunError> {
    let Found {
        source,
        question,
        value,
    } = found;
    let value = Clean::redact(value, &driver.handle().secrets().redactor());
    driver.answered(NewAnswer {
        question: question.as_deref(),
        ..NewAnswer::input(path, &source, &value)
    })?;
    Ok(value)
}

/// An input for which nobody has to be asked.
fn known_before(walk: &Walk, asker: Asker<'_>, path: &HierarchyPath) -> Result<Option<Found>, RunError> {
    let driver = &walk.driver;
    if let Some(given) = driver.handle().given_input(path) {
        // What an input gives to the root are variables of the run, and recorded as such.
        return Ok(Some(Found::new(given.source, given.value)).filter(|_| !asker.is_root(driver)));
    }
    let alone = driver.plan().is_some_and(|plan| plan.alone);
    if !(asker.asks(driver) || alone) || walk.asks_again(path) {
        return Ok(None);
    }
    let previous = driver
        .handle()
        .parent()
        .map(|parent| parent.input(path))
        .transpose()?;
    Ok(previous.flatten().map(|value| Found::new("previous run", value)))
}

impl Asker<'_> {
    /// Whether it asks if it was given nothing.
    fn asks(self, driver: &RunDriver) -> bool {
        match self {
            Self::Node(node) => node.asks(),
            Self::Component(component) => component.asks() && !open_variables(component, driver).is_empty(),
        }
    }

    fn is_root(self, driver: &RunDriver) -> bool {
        matches!(self, Self::Component(component) if component.path == driver.handle().program().root.path)
    }

    async fn ask_handlers(self, walk: &Walk, path: &HierarchyPath) -> Result<Option<Value>, RunError> {
        let driver = &walk.driver;
        let identity = driver.handle().identity().clone();
        let previous = driver.handle().result_reader().previous_input(path)?;
        let check = self.check(driver);
        Ok(match self {
            Self::Node(node) => {
                let who = (path.clone(), node.node_type.clone());
                let settings = node.unrendered.clone();
                let event = NodeInputRequiredEvent::new(identity, who, settings, previous, check);
                driver.bus().ask(&event).await;
                event.answer()
            }
            Self::Component(component) => {
                let who = (path.clone(), component.kind);
                let variables = open_variables(component, driver);
                let event = ComponentInputRequiredEvent::new(identity, who, variables, previous, check);
                driver.bus().ask(&event).await;
                event.answer()
            }
        })
    }

    /// What is asked of whoever may answer later, from another process.
    fn question(self, driver: &RunDriver, path: &HierarchyPath) -> NewQuestion {
        let (node_type, settings) = match self {
            Self::Node(node) => (Some(node.node_type.clone()), node.unrendered.clone()),
            Self::Component(component) => (None, open_variables(component, driver).into()),
        };
        NewQuestion {
            path: path.clone(),
            kind: QuestionKind::Input,
            node_type,
            schema: self.schema(driver),
            settings: Clean::redact(settings, &driver.handle().secrets().redactor()),
            preview: Clean::default(),
            facts: None,
        }
    }

    /// JSON Schema of its input.
    pub(crate) fn schema(self, driver: &RunDriver) -> Value {
        match self {
            Self::Node(node) => {
                let info = driver.handle().node_types().node_type(&node.node_type);
                info.map(|info| info.input_schema.clone()).unwrap_or_default()
            }
            Self::Component(component) => {
                let variables = open_variables(component, driver);
                let needed = |name: &&String| {
                    self.is_root(driver) && driver.handle().program().required().contains(name)
                };
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
fn open_variables(component: &Component, driver: &RunDriver) -> Map<String, Value> {
    let own = component.variables.iter();
    let own = own.map(|variable| (variable.name.clone(), variable.unrendered.clone()));
    if component.path != driver.handle().program().root.path {
        return own.collect();
    }
    let required = driver
        .handle()
        .program()
        .required()
        .iter()
        .map(|name| (name.clone(), Value::Null));
    let given = &driver.handle().scope().given_variables;
    required
        .chain(own)
        .filter(|(name, _)| !given.contains_key(name))
        .collect()
}
