use dad_core::{ComponentKind, Element, ElementId, ElementKind, ElementOptions, NodeDefinition, NodeType};
use serde_json::{Map, Value};

use crate::decode::Cx;
use crate::decode::definition::{BODY_KEYS, ROOT_KEYS, body, element_id};
use crate::decode::fields::{Fields, items, text};
use crate::decode::options::{OPTION_KEYS, options};
use crate::decode::values;
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::value::{Data, Tree};

/// The keys that say what an element is, of which each element has exactly one.
const KIND_KEYS: &[&str] = &["node", "flow", "subflow", "subagent"];

/// Keys of elements that this version knows and does not execute.
const LATER_KEYS: &[&str] = &["conditional", "for_each", "repeat", "parallel", "callback"];

/// Keys of the elements above; near them no other key would be meant.
const LATER_FIELDS: &[&str] = &["use"];

const NODE_KEYS: &[&str] = &["node", "type", "settings"];

pub(crate) fn elements(tree: &Tree, place: &Place, kind: Option<ComponentKind>, cx: &mut Cx) -> Vec<Element> {
    let items = items(tree, place, "a list of elements", cx);
    let elements = items.iter().enumerate();
    elements
        .filter_map(|(index, item)| element(item, &place.index(index), kind, cx))
        .collect()
}

fn element(tree: &Tree, place: &Place, kind: Option<ComponentKind>, cx: &mut Cx) -> Option<Element> {
    let mut fields = Fields::new(
        tree,
        place,
        "an element: a mapping with a key such as `node: ID`",
        cx,
    )?;
    let key = kind_key(&fields, kind, cx)?;
    let (id_tree, id_place) = fields.take(key)?;
    let id = text(id_tree, &id_place, "an id", cx).and_then(|id| element_id(id, &id_place, cx));
    if let Some(problem) = kind.and_then(|kind| not_allowed(key, kind)) {
        cx.at_key(&id_place, problem);
    }
    let options = options(&mut fields, cx);
    if key == "node" {
        node(fields, id, options, cx)
    } else {
        component(fields, key, id, options, cx)
    }
}

/// The one key that says what the element is.
fn kind_key<'t>(fields: &Fields<'t>, kind: Option<ComponentKind>, cx: &mut Cx) -> Option<&'t str> {
    let is_kind = |key: &&str| KIND_KEYS.contains(key) || LATER_KEYS.contains(key);
    let mut found = fields.keys().filter(is_kind);
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
        (Some(key), None) if LATER_KEYS.contains(&key) => {
            cx.at_key(&fields.place.key(key), unsupported(key));
            None
        }
        (Some(key), None) => Some(key),
    }
}

fn unsupported(key: &str) -> Problem {
    Problem::new(
        "unsupported_key",
        format!("`{key}` is not supported yet in this version"),
    )
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
        Some(ComponentKind::Agent) => &["flow", "subagent"],
        Some(ComponentKind::Flow) => &["node", "subflow"],
        _ => KIND_KEYS,
    }
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

fn node(
    mut fields: Fields<'_>,
    id: Option<ElementId>,
    options: ElementOptions,
    cx: &mut Cx,
) -> Option<Element> {
    let node_type = match fields.take("type") {
        Some((tree, place)) => text(tree, &place, "the name of a node type", cx).map(NodeType::new),
        None => {
            fields.missing("type", "name the type of the node, such as `type: command`", cx);
            None
        }
    };
    let settings = match fields.take("settings") {
        Some((tree, place)) => settings(tree, &place, cx),
        None => Value::Object(Map::new()),
    };
    let known: Vec<&str> = NODE_KEYS.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, |key| refused_in_node(key).or_else(|| later(key)), cx);
    let kind = ElementKind::Node(NodeDefinition {
        node_type: node_type?,
        settings,
    });
    Some(Element {
        id: id?,
        kind,
        options,
    })
}

fn refused_in_node(key: &str) -> Option<Problem> {
    BODY_KEYS.contains(&key).then(|| {
        let problem = Problem::new("unknown_key", format!("a node has no `{key}`"));
        match key {
            "variables" => problem.hint("give variables to the flow around it"),
            _ => problem,
        }
    })
}

fn later(key: &str) -> Option<Problem> {
    LATER_FIELDS.contains(&key).then(|| unsupported(key))
}

fn settings(tree: &Tree, place: &Place, cx: &mut Cx) -> Value {
    match &tree.data {
        Data::Map(_) => {
            let value = values::value(tree, place, cx);
            if !value.is_object() && !cx.report.has_errors() {
                cx.at(place, Problem::new("wrong_type", "settings must be a mapping"));
            }
            value
        }
        _ => {
            cx.wrong_type(place, "a mapping", tree);
            Value::Null
        }
    }
}

fn component(
    mut fields: Fields<'_>,
    key: &str,
    id: Option<ElementId>,
    options: ElementOptions,
    cx: &mut Cx,
) -> Option<Element> {
    let inside = if key == "subagent" {
        ComponentKind::Agent
    } else {
        ComponentKind::Flow
    };
    if fields.has("use") {
        // The elements would be in the other file, so that they are missing here is no problem of its own.
        cx.at_key(&fields.place.key("use"), unsupported("use"));
        return None;
    }
    let body = body(&mut fields, Some(inside), cx);
    let known: Vec<&str> = BODY_KEYS.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, refused_below_root, cx);
    let kind = match key {
        "flow" => ElementKind::Flow(body),
        "subflow" => ElementKind::Subflow(body),
        _ => ElementKind::Subagent(body),
    };
    Some(Element {
        id: id?,
        kind,
        options,
    })
}

fn refused_below_root(key: &str) -> Option<Problem> {
    ROOT_KEYS.contains(&key).then(|| {
        let problem = Problem::new(
            "unknown_key",
            format!("`{key}` belongs to the whole definition, not to a part of it"),
        );
        match key {
            "required" => problem.hint("give the part `variables`, which it takes from around it"),
            _ => problem.hint("write it at the top of the file"),
        }
    })
}
