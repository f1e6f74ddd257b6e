//! Components that stand in a file of their own.

use dad_core::{ComponentBody, ComponentKind};
use indexmap::IndexMap;
use serde_json::Value;

use crate::decode::definition::{BODY_KEYS, header, variables};
use crate::decode::fields::{Fields, text, texts};
use crate::decode::options::{OPTION_KEYS, ROOT_OPTION_KEYS};
use crate::decode::{Cx, definition};
use crate::load::parse;
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::program::component_kind;
use crate::value::{Costs, Recording, Tree};

/// The key that names the file.
pub(super) const USE: &str = "use";

/// What a component may say beside the file that it stands in.
const KEYS: &[&str] = &[USE, "variables"];

/// The component of the file that `use` names, with the variables that stand beside it.
pub(super) fn component(mut fields: Fields<'_>, kind: ComponentKind, cx: &mut Cx) -> Option<ComponentBody> {
    let place = fields.place.clone();
    let file = fields.take(USE).and_then(|(tree, place)| {
        let name = text(tree, &place, "the path of a file", cx)?;
        open(name, &place, cx)
    });
    let given = fields.take("variables");
    let known: Vec<&str> = KEYS.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, refused_beside_use, cx);
    let file = file?;
    let tree = file_tree(file, &place, cx);
    // After the places of the file, some of which are those of what stands beside `use`.
    let overrides = given.map_or_else(IndexMap::new, |(tree, place)| {
        record_again(tree, &place, cx);
        variables(tree, &place, cx)
    });
    let body = tree.and_then(|tree| {
        cx.includes.enter(file);
        let body = body_of(&tree, &place, kind, cx);
        cx.includes.leave();
        body
    });
    let (mut body, required) = body?;
    body.variables = merged(body.variables, overrides, &required, &place, cx);
    Some(body)
}

fn refused_beside_use(key: &str) -> Option<Problem> {
    BODY_KEYS.contains(&key).then(|| {
        let message = format!("`{key}` stands in the file that `{USE}` names, not beside it");
        Problem::new("unknown_key", message)
    })
}

fn open(name: &str, place: &Place, cx: &mut Cx) -> Option<usize> {
    match cx.includes.open(name, &mut cx.spans) {
        Ok(file) => Some(file),
        Err(problem) => {
            cx.at(place, *problem);
            None
        }
    }
}

/// The content of a file; the places in it continue those of the element.
fn file_tree(file: usize, place: &Place, cx: &mut Cx) -> Option<Tree> {
    let source = cx.spans.sources().get(file)?.clone();
    let tree = parse(&source.text, &source.path, file, &cx.spans, &mut cx.report)?;
    let mut recording = Recording {
        spans: &mut cx.spans,
        costs: &mut cx.costs,
        file,
    };
    if tree.record_members(&mut recording, place) {
        return Some(tree);
    }
    cx.report.add(Costs::problem().in_file(&source.path));
    None
}

fn record_again(tree: &Tree, place: &Place, cx: &mut Cx) {
    let file = cx.includes.current();
    let mut recording = Recording {
        spans: &mut cx.spans,
        costs: &mut cx.costs,
        file,
    };
    tree.record_members(&mut recording, place);
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
    let body = definition::body(&mut fields, Some(kind), cx);
    definition::finish_root(fields, cx);
    Some((body, required))
}

/// Variables of a file with those given beside `use` in their place. What is given comes first, because it sees what
/// is around the component and not what the file defines.
fn merged(
    mut own: IndexMap<String, Value>,
    given: IndexMap<String, Value>,
    required: &[String],
    place: &Place,
    cx: &mut Cx,
) -> IndexMap<String, Value> {
    let variables = place.key("variables");
    for name in given.keys() {
        if own.shift_remove(name).is_none() && !required.contains(name) {
            let message = format!("the file has no variable {}", quoted(name));
            let names = own.keys().chain(required).map(String::as_str);
            let problem = Problem::new("unknown_variable", message).nearest(name, names);
            cx.at_key(&variables.key(name), problem);
        }
    }
    for name in required.iter().filter(|name| !given.contains_key(*name)) {
        let message = format!("the file requires the variable {}", quoted(name));
        let hint = format!("give it beside `{USE}`: `variables: {{ {name}: … }}`");
        cx.at(
            &place.key(USE),
            Problem::new("missing_variable", message).hint(hint),
        );
    }
    let mut all = given;
    for name in required {
        // Of one that is missing nothing more is said where it is used.
        all.entry(name.clone()).or_default();
    }
    all.extend(own);
    all
}
