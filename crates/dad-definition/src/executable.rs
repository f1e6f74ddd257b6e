//! The parts of a definition that this version cannot execute. None of them may be ignored in silence.

use dad_core::{Definition, Element, ElementKind, ElementOptions};

use crate::place::Place;
use crate::problem::{Problem, Problems, Report};
use crate::program::{COMPONENT_INPUT_REQUIRED, NODE_INPUT_REQUIRED};
use crate::spans::SpanMap;

/// Checks that everything a definition says can be executed. What loads and compiles may still hold options that this
/// version would have to ignore, such as retries of a component.
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
    pre_events(
        &definition.options,
        COMPONENT_INPUT_REQUIRED,
        &Place::root(),
        &mut found,
    );
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
    if let ElementKind::Node(_) | ElementKind::Callback(_) = element.kind {
        pre_events(&element.options, NODE_INPUT_REQUIRED, place, found);
        return;
    }
    pre_events(&element.options, COMPONENT_INPUT_REQUIRED, place, found);
    let on_nodes = [
        ("retry", element.options.retry.is_some()),
        ("budget", element.options.budget.is_some()),
    ];
    for (key, _) in on_nodes.into_iter().filter(|(_, given)| *given) {
        found.push(not_yet(key, place, "only nodes have it so far"));
    }
    for (key, list) in element.kind.lists() {
        in_list(list, &place.key(key), found);
    }
}

/// Refuses events before an element that it does not know.
fn pre_events(options: &ElementOptions, known: &str, place: &Place, found: &mut Vec<(Place, Problem)>) {
    if options.pre_events.iter().any(|event| event != known) {
        let why = format!("the only event before it is `{known}`");
        found.push(not_yet("pre_events", place, &why));
    }
}

fn not_yet(key: &str, place: &Place, why: &str) -> (Place, Problem) {
    let message = format!("`{key}` cannot be executed here in this version: {why}");
    (place.key(key), Problem::new("unsupported_key", message))
}
