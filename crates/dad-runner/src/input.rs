use dad_core::{ErrorInfo, HierarchyPath};
use dad_definition::NodeElement;
use dad_events::{EventType, NodeInputRequiredEvent, ResultLookup};
use dad_run::{QuestionKind, RunError, RunHandle};
use serde_json::Value;

/// Where the input of a step came from.
pub(crate) struct FoundInput {
    pub(crate) source: String,
    pub(crate) value: Value,
}

/// What looking for the input of a step gave.
pub(crate) enum InputOutcome {
    /// The step runs without one.
    None,
    /// Somebody gave it.
    Given(FoundInput),
    /// It was given before the run was resumed.
    Recorded(Value),
    /// It asks and nobody answers yet: the id of the question.
    Asked(String),
}

/// The input of a step: given before the run, else, if the step asks, the previous run's answer, else a handler's.
pub(crate) async fn find_input(
    run: &RunHandle,
    node: &NodeElement,
    path: &HierarchyPath,
    results: &ResultLookup,
) -> Result<InputOutcome, RunError> {
    // Answered before the run was resumed: asked once, recorded once.
    let answered = run.history().map(|history| history.input(path)).transpose()?;
    if let Some(value) = answered.flatten() {
        return Ok(InputOutcome::Recorded(value));
    }
    if let Some(given) = run.given_input(path) {
        return Ok(InputOutcome::Given(FoundInput {
            source: given.source,
            value: given.value,
        }));
    }
    let asks = node
        .options
        .pre_events
        .iter()
        .any(|event| event == EventType::NodeInputRequired.as_str());
    let alone = run.plan().is_some_and(|plan| plan.alone);
    if !asks && !alone {
        return Ok(InputOutcome::None);
    }
    let previous = run
        .parent()
        .map(|parent| parent.input(path))
        .transpose()?
        .flatten();
    if let Some(value) = previous {
        return Ok(InputOutcome::Given(FoundInput {
            source: "previous run".to_owned(),
            value,
        }));
    }
    if !asks {
        return Ok(InputOutcome::None);
    }
    Ok(match ask_handlers(run, node, path, results).await {
        Some(value) => InputOutcome::Given(FoundInput {
            source: "event handler".to_owned(),
            value,
        }),
        None => InputOutcome::Asked(ask_outside(run, node, path)?),
    })
}

async fn ask_handlers(
    run: &RunHandle,
    node: &NodeElement,
    path: &HierarchyPath,
    results: &ResultLookup,
) -> Option<Value> {
    let check = run
        .node_types()
        .node_type(&node.node_type)
        .map(|info| info.check_input);
    let event = NodeInputRequiredEvent::new(
        run.identity().clone(),
        (path.clone(), node.node_type.clone()),
        node.unrendered.clone(),
        None,
        results.clone(),
        move |value| check.map_or(Ok(()), |check| check(value)),
    );
    run.bus().ask_node_input(&event).await;
    event.answer()
}

/// Asks whoever may answer later, from another process.
fn ask_outside(run: &RunHandle, node: &NodeElement, path: &HierarchyPath) -> Result<String, RunError> {
    let info = run.node_types().node_type(&node.node_type);
    let schema = info.map(|info| info.input_schema.clone()).unwrap_or_default();
    let settings = node.unrendered.clone();
    run.ask(path, &node.node_type, QuestionKind::Input, schema, settings)
}

/// Whether an answer from outside fits the node; it was checked by whoever sent it, but anybody may write a file.
pub(crate) fn check_answer(run: &RunHandle, node: &NodeElement, value: &Value) -> Result<(), ErrorInfo> {
    let info = run.node_types().node_type(&node.node_type);
    let checked = info.map_or(Ok(()), |info| (info.check_input)(value));
    checked.map_err(|reason| ErrorInfo::new("invalid_input", format!("in the answer, {reason}")))
}
