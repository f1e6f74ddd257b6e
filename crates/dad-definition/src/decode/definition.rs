use dad_core::{ComponentBody, ComponentKind, Definition, DefinitionKind, ElementId, SCHEMA_VERSION};
use indexmap::IndexMap;
use serde_json::Value;

use crate::decode::Cx;
use crate::decode::approvals::approvals;
use crate::decode::element::{elements, required_elements};
use crate::decode::fields::{Fields, text, texts, word};
use crate::decode::options::{OPTION_KEYS, ROOT_OPTION_KEYS, budget, root_options};
use crate::decode::values;
use crate::place::Place;
use crate::problem::Problem;
use crate::program::component_kind;
use crate::value::{Data, Tree};

/// Keys of the root only.
pub(crate) const ROOT_KEYS: &[&str] = &[
    "schema_version",
    "kind",
    "root_id",
    "required",
    "budget",
    "allow_protected",
    "approvals",
    "output",
];

/// Keys of agents and flows at every depth.
pub(crate) const BODY_KEYS: &[&str] = &[
    "description",
    "io_description",
    "variables",
    "elements",
    "finally",
];

pub(crate) fn definition(tree: &Tree, cx: &mut Cx) -> Option<Definition> {
    let root = Place::root();
    let mut fields = Fields::new(tree, &root, "a mapping with `kind` and `elements`", cx)?;
    let kind = header(&mut fields, cx)?;
    let mut definition = Definition::new(kind.unwrap_or(DefinitionKind::Flow));
    if let Some((tree, place)) = fields.take("root_id") {
        definition.root_id = text(tree, &place, "an id", cx).and_then(|id| element_id(id, &place, cx));
    }
    if let Some((tree, place)) = fields.take("required") {
        definition.required = texts(tree, &place, "a list of names", cx);
    }
    if let Some((tree, place)) = fields.take("budget") {
        definition.budget = budget(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("allow_protected") {
        definition.allow_protected = texts(tree, &place, "a list of globs of paths", cx);
    }
    if let Some((tree, place)) = fields.take("approvals") {
        definition.approvals = approvals(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("output") {
        definition.output = Some(values::value(tree, &place, cx)).filter(|output| !output.is_null());
    }
    definition.options = root_options(&mut fields, cx);
    definition.body = body(&mut fields, kind.map(component_kind), cx);
    finish_root(fields, cx);
    Some(definition)
}

/// Takes format and kind. `None` for a format that cannot be read; an unknown kind, which is reported, is `Some(None)`.
pub(super) fn header(fields: &mut Fields<'_>, cx: &mut Cx) -> Option<Option<DefinitionKind>> {
    schema_version(fields, cx).then(|| kind(fields, cx))
}

/// Reports what does not belong to a whole definition.
pub(super) fn finish_root(fields: Fields<'_>, cx: &mut Cx) {
    let known = ROOT_KEYS.iter().chain(ROOT_OPTION_KEYS).chain(BODY_KEYS);
    let known: Vec<&str> = known.copied().collect();
    fields.finish(&known, refused_at_root, cx);
}

fn refused_at_root(key: &str) -> Option<Problem> {
    (OPTION_KEYS.contains(&key) && !ROOT_KEYS.contains(&key)).then(|| {
        let problem = Problem::new(
            "unknown_key",
            format!("`{key}` belongs to an element, not to the whole definition"),
        );
        problem.hint("give it to the elements that it is meant for")
    })
}

/// Whether the format is one that can be read at all; of a newer one nothing else would be worth reporting.
fn schema_version(fields: &mut Fields<'_>, cx: &mut Cx) -> bool {
    let Some((tree, place)) = fields.take("schema_version") else {
        fields.missing(
            "schema_version",
            &format!("write `schema_version: {SCHEMA_VERSION}`"),
            cx,
        );
        return true;
    };
    let version = match &tree.data {
        Data::Number(number) => number.as_u64(),
        _ => None,
    };
    match version {
        Some(version) if version > u64::from(SCHEMA_VERSION) => {
            let message = format!(
                "the definition has the schema version {version}, this program reads up to {SCHEMA_VERSION}"
            );
            let hint = format!("install a newer version of dhenara that reads schema version {version}");
            cx.at(&place, Problem::new("newer_schema_version", message).hint(hint));
            false
        }
        Some(1..) => true,
        _ => {
            cx.wrong_type(&place, &format!("the number `{SCHEMA_VERSION}`"), tree);
            true
        }
    }
}

fn kind(fields: &mut Fields<'_>, cx: &mut Cx) -> Option<DefinitionKind> {
    const KINDS: [(&str, DefinitionKind); 2] =
        [("agent", DefinitionKind::Agent), ("flow", DefinitionKind::Flow)];
    match fields.take("kind") {
        Some((tree, place)) => word(tree, &place, &KINDS, cx),
        None => {
            fields.missing("kind", "write `kind: agent` or `kind: flow`", cx);
            None
        }
    }
}

/// Takes what agents and flows have at every depth. Of an unknown kind, which is reported, any element is allowed.
pub(crate) fn body(fields: &mut Fields<'_>, kind: Option<ComponentKind>, cx: &mut Cx) -> ComponentBody {
    let mut body = ComponentBody::default();
    if let Some((tree, place)) = fields.take("description") {
        body.description = text(tree, &place, "a text", cx).map(str::to_owned);
    }
    if let Some((tree, place)) = fields.take("io_description") {
        body.io_description = text(tree, &place, "a text", cx).map(str::to_owned);
    }
    if let Some((tree, place)) = fields.take("variables") {
        body.variables = variables(tree, &place, cx);
    }
    body.elements = required_elements(fields, "elements", kind, cx);
    if let Some((tree, place)) = fields.take("finally") {
        body.finally = elements(tree, &place, kind, cx);
    }
    body
}

/// Variables in their order.
pub(super) fn variables(tree: &Tree, place: &Place, cx: &mut Cx) -> IndexMap<String, Value> {
    let Data::Map(members) = &tree.data else {
        cx.wrong_type(place, "a mapping from names to values", tree);
        return IndexMap::new();
    };
    match values::object(members, place, cx) {
        Value::Object(variables) => variables.into_iter().collect(),
        _ => IndexMap::new(),
    }
}

/// An id; a text that is none is reported.
pub(crate) fn element_id(text: &str, place: &Place, cx: &mut Cx) -> Option<ElementId> {
    match ElementId::new(text) {
        Ok(id) => Some(id),
        Err(error) => {
            cx.at(place, Problem::new("invalid_id", error.to_string()));
            None
        }
    }
}
