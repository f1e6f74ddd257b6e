//! What can be written in a definition, but not be executed by this version. Nothing of it may be ignored in silence.

use dad_core::{Definition, Element, ElementKind, ElementOptions};

use crate::place::Place;
use crate::problem::{Problem, Problems, Report};
use crate::spans::SpanMap;

/// The events that a node can be asked to publish before it executes.
const NODE_PRE_EVENTS: &[&str] = &["node_input_required"];

/// Checks that everything a definition says can be executed. What loads and compiles may still hold options that this
/// version would have to ignore, such as a budget.
///
/// # Errors
/// [`Problems`] with every such option.
pub fn check_executable(definition: &Definition, spans: Option<&SpanMap>) -> Result<(), Problems> {
    let no_spans = SpanMap::default();
    let spans = spans.unwrap_or(&no_spans);
    let mut report = Report::default();
    check_into(definition, spans, &mut report);
    report.finish(spans.sources()).map(drop)
}

/// Reports every option that would be ignored.
pub(crate) fn check_into(definition: &Definition, spans: &SpanMap, report: &mut Report) {
    for (place, problem) in refused(definition) {
        report.add(problem.at_key(spans, &place));
    }
}

/// Everything of a definition that cannot be executed, and where it stands.
fn refused(definition: &Definition) -> Vec<(Place, Problem)> {
    let mut found = Vec::new();
    if definition.budget.is_some() {
        found.push(not_yet(
            "budget",
            &Place::root(),
            "no call would be stopped by it",
        ));
    }
    let body = &definition.body;
    for (key, list) in [("elements", &body.elements), ("finally", &body.finally)] {
        in_list(list, &Place::root().key(key), &mut found);
    }
    found
}

fn in_list(list: &[Element], place: &Place, found: &mut Vec<(Place, Problem)>) {
    for (index, element) in list.iter().enumerate() {
        in_element(element, &place.index(index), found);
    }
}

fn in_element(element: &Element, place: &Place, found: &mut Vec<(Place, Problem)>) {
    let ElementOptions {
        pre_events,
        post_events,
        timeout: _,
        retry,
        on_error: _,
        reuse: _,
        requires_approval,
    } = &element.options;
    if *requires_approval {
        found.push(not_yet("requires_approval", place, "nobody would be asked"));
    }
    if let ElementKind::Node(_) | ElementKind::Callback(_) = element.kind {
        let unknown = |event: &&String| !NODE_PRE_EVENTS.contains(&event.as_str());
        if pre_events.iter().any(|event| unknown(&event)) {
            let why = "a node can only ask by `node_input_required`";
            found.push(not_yet("pre_events", place, why));
        }
        return;
    }
    let on_components = [
        ("pre_events", !pre_events.is_empty()),
        ("post_events", !post_events.is_empty()),
        ("retry", retry.is_some()),
    ];
    for (key, given) in on_components {
        if given {
            found.push(not_yet(key, place, "only nodes have it so far"));
        }
    }
    for (key, list) in element.kind.lists() {
        in_list(list, &place.key(key), found);
    }
}

fn not_yet(key: &str, place: &Place, why: &str) -> (Place, Problem) {
    let message = format!("`{key}` cannot be executed here in this version: {why}");
    (place.key(key), Problem::new("unsupported_key", message))
}
