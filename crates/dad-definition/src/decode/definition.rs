//! Whole definitions.

use dad_core::{Definition, DefinitionKind};

use crate::decode::Cx;
use crate::decode::approvals::approvals;
use crate::decode::component::body;
use crate::decode::fields::{Fields, text, texts};
use crate::decode::options::{budget, root_options};
use crate::decode::root::{finish_root, header};
use crate::decode::values;
use crate::decode::values::element_id;
use crate::place::Place;
use crate::program::component_kind;
use crate::value::Tree;

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
