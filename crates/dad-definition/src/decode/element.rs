//! Elements and lists of elements.

use dad_core::{ComponentKind, Element, ElementId, ElementKind, NodeDefinition, NodeType, Parallel};
use serde_json::{Map, Value};

use crate::decode::component::component;
use crate::decode::fields::{Fields, items, text};
use crate::decode::options::{OPTION_KEYS, options};
use crate::decode::root::{BODY_KEYS, ROOT_KEYS};
use crate::decode::values::{element_id, mapping};
use crate::decode::{Cx, control};
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::value::Tree;

/// The keys that say what an element is, of which each element has exactly one.
const KIND_KEYS: &[&str] = &[
    "node",
    "flow",
    "subflow",
    "subagent",
    "conditional",
    "for_each",
    "repeat",
    "parallel",
    "callback",
];

const NODE_KEYS: &[&str] = &["node", "type", "settings"];

pub(crate) fn elements(tree: &Tree, place: &Place, kind: Option<ComponentKind>, cx: &mut Cx) -> Vec<Element> {
    let items = items(tree, place, "a list of elements", cx);
    let elements = items.iter().enumerate();
    elements
        .filter_map(|(index, item)| element(item, &place.index(index), kind, cx).or_else(|| stand_in(index)))
        .collect()
}

/// Stands in for an element about which something is reported, so that those after it keep their places.
fn stand_in(index: usize) -> Option<Element> {
    let id = ElementId::new(format!("refused_{index}")).ok()?;
    Some(Element::new(id, ElementKind::Parallel(Parallel::default())))
}

/// The elements under a key that must be there.
pub(super) fn required_elements(
    fields: &mut Fields<'_>,
    key: &str,
    inside: Option<ComponentKind>,
    cx: &mut Cx,
) -> Vec<Element> {
    match fields.take(key) {
        Some((tree, place)) => elements(tree, &place, inside, cx),
        None => {
            fields.missing(key, "list what is executed, in order", cx);
            Vec::new()
        }
    }
}

fn element(tree: &Tree, place: &Place, inside: Option<ComponentKind>, cx: &mut Cx) -> Option<Element> {
    let mut fields = Fields::new(
        tree,
        place,
        "an element: a mapping with a key such as `node: ID`",
        cx,
    )?;
    let Some(key) = kind_key(&fields, inside, cx) else {
        cx.dropped.extend(fields.texts().map(str::to_owned));
        return None;
    };
    let (id_tree, id_place) = fields.take(key)?;
    let name = text(id_tree, &id_place, "an id", cx);
    let id = name.and_then(|name| element_id(name, &id_place, cx));
    if let Some(problem) = inside.and_then(|inside| not_allowed(key, inside)) {
        cx.at_key(&id_place, problem);
    }
    let options = options(&mut fields, cx);
    let kind = match key {
        "node" => node(fields, cx),
        "flow" => component(fields, ComponentKind::Flow, cx).map(ElementKind::Flow),
        "subflow" => component(fields, ComponentKind::Flow, cx).map(ElementKind::Subflow),
        "subagent" => component(fields, ComponentKind::Agent, cx).map(ElementKind::Subagent),
        "conditional" => Some(control::conditional(fields, inside, cx)),
        "for_each" => Some(control::for_each(fields, inside, cx)),
        "repeat" => Some(control::repeat(fields, inside, cx)),
        "parallel" => Some(control::parallel(fields, inside, cx)),
        _ => control::callback(fields, cx),
    };
    if let (Some(id), Some(kind)) = (id, kind) {
        let mut element = Element::new(id, kind);
        element.options = options;
        return Some(element);
    }
    cx.dropped.extend(name.map(str::to_owned));
    None
}

/// The one key that says what the element is.
fn kind_key<'t>(fields: &Fields<'t>, kind: Option<ComponentKind>, cx: &mut Cx) -> Option<&'t str> {
    let mut found = fields.keys().filter(|key| KIND_KEYS.contains(key));
    match (found.next(), found.next()) {
        (None, _) => {
            no_kind_key(fields, kind, cx);
            None
        }
        (Some(first), Some(second)) => {
            let message = format!("an element is one thing, this one has both `{first}` and `{second}`");
            let hint = "begin a new element with `-` for the second";
            cx.at_key(
                &fields.place.key(second),
                Problem::new("several_kinds", message).hint(hint),
            );
            None
        }
        (Some(key), None) => Some(key),
    }
}

fn no_kind_key(fields: &Fields<'_>, kind: Option<ComponentKind>, cx: &mut Cx) {
    let here = allowed(kind);
    let known = |key: &str| {
        NODE_KEYS.contains(&key)
            || BODY_KEYS.contains(&key)
            || OPTION_KEYS.contains(&key)
            || ROOT_KEYS.contains(&key)
    };
    let slip = fields
        .keys()
        .filter(|key| !known(key))
        .find_map(|key| dad_core::nearest(key, here.iter().copied()).map(|meant| (key, meant)));
    if let Some((key, meant)) = slip {
        let problem = Problem::new("unknown_key", format!("unknown key {}", quoted(key)));
        cx.at_key(
            &fields.place.key(key),
            problem.hint(format!("did you mean `{meant}`?")),
        );
        return;
    }
    let names: Vec<String> = here.iter().map(|key| format!("`{key}`")).collect();
    let message = "this element does not say what it is";
    let hint = format!("write one of the keys {} with the element's id", names.join(", "));
    let problem = Problem::new("missing_kind", message).hint(hint);
    match fields.keys().next() {
        Some(first) => {
            let problem = problem
                .at_key(&cx.spans, &fields.place.key(first))
                .place(&fields.place);
            cx.report.add(problem);
        }
        None => cx.at(&fields.place, problem),
    }
}

fn allowed(kind: Option<ComponentKind>) -> &'static [&'static str] {
    match kind {
        Some(ComponentKind::Agent) => &[
            "flow",
            "subagent",
            "conditional",
            "for_each",
            "repeat",
            "parallel",
            "callback",
        ],
        Some(ComponentKind::Flow) => &[
            "node",
            "subflow",
            "conditional",
            "for_each",
            "repeat",
            "parallel",
            "callback",
        ],
        _ => KIND_KEYS,
    }
}

/// The keys of elements that may stand in an agent or flow.
pub(crate) fn allowed_elements(inside: ComponentKind) -> &'static [&'static str] {
    allowed(Some(inside))
}

/// Why an element of this kind may not stand in a component of that kind.
pub(crate) fn not_allowed(key: &str, inside: ComponentKind) -> Option<Problem> {
    if allowed(Some(inside)).contains(&key) {
        return None;
    }
    let hint = match (inside, key) {
        (ComponentKind::Agent, "node") => "put it into a `flow`, which an agent may contain",
        (ComponentKind::Agent, "subflow") => "write `flow`, which is its name in an agent",
        (ComponentKind::Flow, "flow") => "write `subflow`, which is its name in a flow",
        _ => "only an agent may contain an agent",
    };
    let message = format!(
        "`{key}` may not stand directly in {} {inside}",
        if inside == ComponentKind::Agent { "an" } else { "a" }
    );
    Some(Problem::new("element_not_allowed", message).hint(hint))
}

fn node(mut fields: Fields<'_>, cx: &mut Cx) -> Option<ElementKind> {
    let node_type = match fields.take("type") {
        Some((tree, place)) => text(tree, &place, "the name of a node type", cx).map(NodeType::new),
        None => {
            fields.missing("type", "name the type of the node, such as `type: command`", cx);
            None
        }
    };
    let settings = match fields.take("settings") {
        Some((tree, place)) => mapping(tree, &place, cx),
        None => Value::Object(Map::new()),
    };
    let known: Vec<&str> = NODE_KEYS.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, |key| refused_in_node(key, &known), cx);
    Some(ElementKind::Node(NodeDefinition::new(node_type?, settings)))
}

fn refused_in_node(key: &str, known: &[&str]) -> Option<Problem> {
    if BODY_KEYS.contains(&key) {
        let problem = Problem::new("unknown_key", format!("a node has no `{key}`"));
        return Some(match key {
            "variables" => problem.hint("give variables to the flow around it"),
            _ => problem,
        });
    }
    // A node's own keys are the most likely ones that stand one level too high.
    dad_core::nearest(key, known.iter().copied()).is_none().then(|| {
        let problem = Problem::new("unknown_key", format!("unknown key {}", quoted(key)));
        problem.hint(format!(
            "the settings of a node stand in `settings`; its other keys are {}",
            known
                .iter()
                .copied()
                .filter(|known| !["node", "settings"].contains(known))
                .collect::<Vec<_>>()
                .join(", ")
        ))
    })
}
