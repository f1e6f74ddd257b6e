//! Components: agents and flows at every depth, written in place or in a file of their own.

use dad_core::{ComponentBody, ComponentKind};

use crate::decode::Cx;
use crate::decode::element::{elements, required_elements};
use crate::decode::fields::{Fields, text, texts};
use crate::decode::options::{OPTION_KEYS, ROOT_OPTION_KEYS};
use crate::decode::root::{BODY_KEYS, ROOT_KEYS, finish_root, header};
use crate::decode::used::{self, USE};
use crate::decode::values::variables;
use crate::place::Place;
use crate::problem::Problem;
use crate::program::component_kind;
use crate::value::Tree;

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

pub(super) fn component(mut fields: Fields<'_>, inside: ComponentKind, cx: &mut Cx) -> Option<ComponentBody> {
    if fields.has(USE) {
        return component_of_file(fields, inside, cx);
    }
    let body = body(&mut fields, Some(inside), cx);
    let known: Vec<&str> = BODY_KEYS
        .iter()
        .chain(OPTION_KEYS)
        .chain(&[USE])
        .copied()
        .collect();
    fields.finish(&known, refused_below_root, cx);
    Some(body)
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

fn component_of_file(fields: Fields<'_>, kind: ComponentKind, cx: &mut Cx) -> Option<ComponentBody> {
    let part = used::open_part(fields, cx)?;
    cx.includes.enter(part.file);
    let decoded = body_of(&part.tree, &part.place, kind, cx);
    cx.includes.leave();
    let (mut body, required) = decoded?;
    body.variables = part.variables(body.variables, &required, cx);
    Some(body)
}

/// The component of a whole definition, and the variables that it requires.
fn body_of(
    tree: &Tree,
    place: &Place,
    kind: ComponentKind,
    cx: &mut Cx,
) -> Option<(ComponentBody, Vec<String>)> {
    let mut fields = Fields::new(tree, place, "a mapping with `kind` and `elements`", cx)?;
    let found = header(&mut fields, cx)?;
    if let Some(found) = found.map(component_kind).filter(|found| *found != kind) {
        let message =
            format!("the file holds a definition of kind `{found}`, here stands a part of kind `{kind}`");
        cx.at(&place.key("kind"), Problem::new("wrong_kind", message));
        return None;
    }
    let required = match fields.take("required") {
        Some((tree, place)) => texts(tree, &place, "a list of names", cx),
        None => Vec::new(),
    };
    // They say how the file is run by itself.
    for key in ["root_id", "output", "budget", "allow_protected", "approvals"]
        .iter()
        .chain(ROOT_OPTION_KEYS)
    {
        fields.take(key);
    }
    let body = body(&mut fields, Some(kind), cx);
    finish_root(fields, cx);
    Some((body, required))
}
