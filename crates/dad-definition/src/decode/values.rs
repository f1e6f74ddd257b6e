//! Values that stay as they are written: variables, settings, included files, ids.

use dad_core::ElementId;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::decode::Cx;
use crate::decode::fields::text;
use crate::json;
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::value::{Costs, Data, MAX_DEPTH, Member, Tree};

/// Keys of an object that stands for a file.
pub(crate) const INCLUDE_KEYS: &[&str] = &["$file", "$json"];

/// A JSON value whose strings are templates, with the files in it that `$file` and `$json` name.
pub(crate) fn value(tree: &Tree, place: &Place, cx: &mut Cx) -> Value {
    match &tree.data {
        Data::Null | Data::Refused => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Number(number) => Value::Number(number.clone()),
        Data::Text(text) => Value::String(text.clone()),
        Data::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| value(item, &place.index(index), cx))
            .collect(),
        Data::Map(members) => match members
            .iter()
            .find(|member| INCLUDE_KEYS.contains(&member.key.as_str()))
        {
            Some(include) if members.len() == 1 => included(include, place, cx),
            Some(include) => {
                let message = format!("`{}` must be the only key", include.key);
                cx.at_key(&place.key(&include.key), Problem::new("include_mixed", message));
                Value::Null
            }
            None => object(members, place, cx),
        },
    }
}

/// The members of a mapping as an object.
pub(crate) fn object(members: &[Member], place: &Place, cx: &mut Cx) -> Value {
    let fields = members.iter().map(|member| {
        let field = value(&member.value, &place.key(&member.key), cx);
        (member.key.clone(), field)
    });
    Value::Object(fields.collect())
}

fn included(include: &Member, place: &Place, cx: &mut Cx) -> Value {
    let name_place = place.key(&include.key);
    let Some(name) = text(&include.value, &name_place, "the path of a file", cx) else {
        return Value::Null;
    };
    let file = match cx.includes.read(name, &mut cx.spans) {
        Ok(file) => file,
        Err(problem) => {
            cx.at(&name_place, *problem);
            return Value::Null;
        }
    };
    let Some(source) = cx.spans.sources().get(file) else {
        return Value::Null;
    };
    let text = source.text.clone();
    if include.key == "$file" {
        cx.spans.move_to_file(place.as_str(), file, text.len());
        return Value::String(text.as_ref().to_owned());
    }
    let Some(tree) = json::parse(&text, file, &cx.spans, &mut cx.report) else {
        return Value::Null;
    };
    let depth = Place::parse(place.as_str()).map_or(0, |steps| steps.len());
    let mut inlining = Inlining {
        costs: &mut cx.costs,
        problem: None,
    };
    let value = inlining.value(&tree, depth, place.as_str().len());
    match inlining.problem {
        Some(problem) => {
            cx.at(&name_place, problem);
            Value::Null
        }
        None => value,
    }
}

/// Turns data into a value of a definition: every string is escaped, so that no template is found in it.
struct Inlining<'a> {
    costs: &'a mut Costs,
    /// Ends it.
    problem: Option<Problem>,
}

impl Inlining<'_> {
    fn value(&mut self, tree: &Tree, depth: usize, place: usize) -> Value {
        if self.problem.is_some() {
            return Value::Null;
        }
        if depth > MAX_DEPTH {
            let message = format!("with this file values are nested more than {MAX_DEPTH} levels deep");
            self.problem = Some(Problem::new("too_deep", message));
        }
        if !self.costs.add(place) {
            self.problem = Some(Costs::problem());
        }
        match &tree.data {
            Data::Null | Data::Refused => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(dad_template::escape(text).into_owned()),
            Data::List(items) => {
                // A place grows by the brackets around a number.
                items
                    .iter()
                    .map(|item| self.value(item, depth + 1, place + 4))
                    .collect()
            }
            Data::Map(members) => {
                let mut object = Map::with_capacity(members.len());
                for Member { key, value, .. } in members {
                    if INCLUDE_KEYS.contains(&key.as_str()) {
                        let message = format!(
                            "this file has the key {}, which is not followed in data",
                            quoted(key)
                        );
                        self.problem = Some(Problem::new("include_nested", message));
                    }
                    object.insert(key.clone(), self.value(value, depth + 1, place + key.len() + 4));
                }
                Value::Object(object)
            }
        }
    }
}

/// Variables in their order.
pub(super) fn variables(tree: &Tree, place: &Place, cx: &mut Cx) -> IndexMap<String, Value> {
    let Data::Map(members) = &tree.data else {
        cx.wrong_type(place, "a mapping from names to values", tree);
        return IndexMap::new();
    };
    match object(members, place, cx) {
        Value::Object(variables) => variables.into_iter().collect(),
        _ => IndexMap::new(),
    }
}

/// An id; a text that is none is reported.
pub(crate) fn element_id(text: &str, place: &Place, cx: &mut Cx) -> Option<ElementId> {
    match ElementId::new(text) {
        Ok(id) => Some(id),
        Err(error) => {
            let problem = Problem::new("invalid_id", error.to_string());
            let near: String = text
                .chars()
                .map(|c| {
                    if c == '_' || c.is_ascii_alphanumeric() {
                        c
                    } else {
                        '_'
                    }
                })
                .collect();
            let is_near = near != text
                && near.starts_with(|c: char| c.is_ascii_alphanumeric())
                && ElementId::new(&near).is_ok();
            cx.at(
                place,
                if is_near {
                    problem.hint(format!("write `{near}`"))
                } else {
                    problem
                },
            );
            None
        }
    }
}

/// A value that must be an object.
pub(super) fn mapping(tree: &Tree, place: &Place, cx: &mut Cx) -> Value {
    match &tree.data {
        Data::Map(_) => {
            let value = value(tree, place, cx);
            if !value.is_object() && !cx.report.has_errors() {
                cx.at(place, Problem::new("wrong_type", "settings must be a mapping"));
            }
            value
        }
        _ => {
            cx.wrong_type(place, "a mapping", tree);
            Value::Object(Map::new())
        }
    }
}
