//! Elements that decide what is executed, and how often.

use dad_core::{
    Callback, ComponentKind, Conditional, ElementKind, ForEach, OnExhausted, OnLimit, Parallel, Repeat,
};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::decode::element::{elements, required_elements};
use crate::decode::fields::{Fields, text, whole, word};
use crate::decode::options::OPTION_KEYS;
use crate::decode::values::{mapping, variables};
use crate::decode::{Cx, values};
use crate::value::Data;

const CONDITIONAL_KEYS: &[&str] = &[
    "description",
    "variables",
    "statement",
    "true_branch",
    "false_branch",
];

const FOR_EACH_KEYS: &[&str] = &[
    "description",
    "variables",
    "statement",
    "item_var",
    "index_var",
    "start_index",
    "max_iterations",
    "on_limit",
    "max_concurrency",
    "until",
    "body",
];

const REPEAT_KEYS: &[&str] = &[
    "description",
    "variables",
    "until",
    "index_var",
    "max_iterations",
    "on_exhausted",
    "body",
];

const PARALLEL_KEYS: &[&str] = &["description", "elements"];

const CALLBACK_KEYS: &[&str] = &["function", "args"];

pub(super) fn conditional(mut fields: Fields<'_>, inside: Option<ComponentKind>, cx: &mut Cx) -> ElementKind {
    let mut conditional = Conditional::default();
    conditional.description = description(&mut fields, cx);
    conditional.variables = own_variables(&mut fields, cx);
    conditional.statement = required(
        &mut fields,
        "statement",
        "write what chooses: `statement: \"$expr{…}\"`",
        cx,
    );
    if !fields.has("true_branch") && !fields.has("false_branch") {
        fields.missing(
            "true_branch",
            "list what is executed if the statement is true",
            cx,
        );
    }
    if let Some((tree, place)) = fields.take("true_branch") {
        conditional.true_branch = elements(tree, &place, inside, cx);
    }
    if let Some((tree, place)) = fields.take("false_branch") {
        conditional.false_branch = elements(tree, &place, inside, cx);
    }
    finish(fields, CONDITIONAL_KEYS, cx);
    ElementKind::Conditional(conditional)
}

pub(super) fn for_each(mut fields: Fields<'_>, inside: Option<ComponentKind>, cx: &mut Cx) -> ElementKind {
    let mut for_each = ForEach::default();
    for_each.description = description(&mut fields, cx);
    for_each.variables = own_variables(&mut fields, cx);
    for_each.statement = required(
        &mut fields,
        "statement",
        "write what is looped over: a list, or a template of a list or `range`",
        cx,
    );
    if let Some(name) = name(&mut fields, "item_var", cx) {
        for_each.item_var = name;
    }
    if let Some(name) = name(&mut fields, "index_var", cx) {
        for_each.index_var = name;
    }
    if let Some((tree, place)) = fields.take("start_index") {
        for_each.start_index = values::value(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("max_iterations") {
        for_each.max_iterations = whole(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("on_limit") {
        let words = [OnLimit::Fail, OnLimit::Truncate].map(|value| (value.as_str(), value));
        for_each.on_limit = word(tree, &place, &words, cx).unwrap_or_default();
    }
    if let Some((tree, place)) = fields.take("max_concurrency") {
        for_each.max_concurrency = whole(tree, &place, cx).unwrap_or(1);
    }
    if let Some((tree, place)) = fields.take("until") {
        for_each.until = Some(values::value(tree, &place, cx)).filter(|until| !until.is_null());
    }
    for_each.body = required_elements(&mut fields, "body", inside, cx);
    finish(fields, FOR_EACH_KEYS, cx);
    ElementKind::ForEach(for_each)
}

pub(super) fn repeat(mut fields: Fields<'_>, inside: Option<ComponentKind>, cx: &mut Cx) -> ElementKind {
    let mut repeat = Repeat::default();
    repeat.description = description(&mut fields, cx);
    repeat.variables = own_variables(&mut fields, cx);
    repeat.until = required(
        &mut fields,
        "until",
        "write what ends the loop: `until: \"$expr{…}\"`",
        cx,
    );
    match fields.take("max_iterations") {
        Some((tree, place)) => repeat.max_iterations = whole(tree, &place, cx).unwrap_or(1),
        None => fields.missing("max_iterations", "say how many passes there may be at most", cx),
    }
    if let Some(name) = name(&mut fields, "index_var", cx) {
        repeat.index_var = name;
    }
    if let Some((tree, place)) = fields.take("on_exhausted") {
        let words = [OnExhausted::Fail, OnExhausted::Continue].map(|value| (value.as_str(), value));
        repeat.on_exhausted = word(tree, &place, &words, cx).unwrap_or_default();
    }
    repeat.body = required_elements(&mut fields, "body", inside, cx);
    finish(fields, REPEAT_KEYS, cx);
    ElementKind::Repeat(repeat)
}

pub(super) fn parallel(mut fields: Fields<'_>, inside: Option<ComponentKind>, cx: &mut Cx) -> ElementKind {
    let mut parallel = Parallel::default();
    parallel.description = description(&mut fields, cx);
    parallel.elements = required_elements(&mut fields, "elements", inside, cx);
    finish(fields, PARALLEL_KEYS, cx);
    ElementKind::Parallel(parallel)
}

pub(super) fn callback(mut fields: Fields<'_>, cx: &mut Cx) -> Option<ElementKind> {
    let function = name(&mut fields, "function", cx);
    if !fields.has("function") {
        fields.missing(
            "function",
            "name the function of the application that is called",
            cx,
        );
    }
    let args = match fields.take("args") {
        Some((tree, place)) => mapping(tree, &place, cx),
        None => Value::Object(Map::new()),
    };
    finish(fields, CALLBACK_KEYS, cx);
    let mut callback = Callback::new(function?);
    callback.args = args;
    Some(ElementKind::Callback(callback))
}

fn description(fields: &mut Fields<'_>, cx: &mut Cx) -> Option<String> {
    let (tree, place) = fields.take("description")?;
    text(tree, &place, "a text", cx).map(str::to_owned)
}

fn own_variables(fields: &mut Fields<'_>, cx: &mut Cx) -> IndexMap<String, Value> {
    let taken = fields.take("variables");
    taken.map_or_else(IndexMap::new, |(tree, place)| variables(tree, &place, cx))
}

fn name(fields: &mut Fields<'_>, key: &str, cx: &mut Cx) -> Option<String> {
    let (tree, place) = fields.take(key)?;
    text(tree, &place, "a name", cx).map(str::to_owned)
}

/// The value of a key that must be there.
fn required(fields: &mut Fields<'_>, key: &str, hint: &str, cx: &mut Cx) -> Value {
    match fields.take(key) {
        Some((tree, place)) => {
            let value = values::value(tree, &place, cx);
            if matches!(tree.data, Data::Null) {
                cx.wrong_type(&place, "a value or a template", tree);
            }
            value
        }
        None => {
            fields.missing(key, hint, cx);
            Value::Null
        }
    }
}

fn finish(fields: Fields<'_>, own: &[&str], cx: &mut Cx) {
    let known: Vec<&str> = own.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, |_| None, cx);
}
