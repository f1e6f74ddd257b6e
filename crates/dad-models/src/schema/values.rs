//! Copies of lists of fixed values.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::describe::describe;
use super::place::Place;
use super::plain::{described, typed};
use super::table::Enums;
use super::write::Writer;

type Object = Map<String, Value>;

impl Writer<'_> {
    /// The copy of a list of values.
    pub(super) fn listed(&mut self, map: &Object, kinds: &[&str], place: &Place<'_>) -> Object {
        let mut seen = HashSet::new();
        let all = match (map.get("enum"), map.get("const")) {
            (Some(Value::Array(values)), _) => values.as_slice(),
            (None, Some(only)) => std::slice::from_ref(only),
            _ => &[],
        };
        let values: Vec<&Value> = all
            .iter()
            .filter(|value| kinds.is_empty() || kinds.iter().any(|kind| is_of(value, kind)))
            .filter(|value| seen.insert(value.to_string()))
            .collect();
        if values.is_empty() {
            self.refuse(place, "no value is allowed here: name at least one in `enum`");
            return described(map);
        }
        let is_known = |value: &&Value| match self.rules.enums {
            Enums::Primitives => !value.is_object() && !value.is_array(),
            Enums::TextAndNumbers => value.is_string() || value.is_number(),
        };
        let (known, unknown): (Vec<&Value>, Vec<&Value>) = values.iter().partition(|value| is_known(value));
        let needs_object = |value: &&Value| value.is_object() || value.is_array();
        if unknown.iter().any(needs_object) {
            self.refuse(
                place,
                format!(
                    "{} knows no lists of objects or arrays as fixed values",
                    self.rules.provider
                ),
            );
            return described(map);
        }
        let mut branches = Vec::new();
        if !known.is_empty() {
            let mut copy = typed(&kinds_of(&known, kinds));
            copy.insert("enum".to_owned(), json!(known));
            branches.push(copy);
        }
        if !unknown.is_empty() {
            branches.push(typed(&kinds_of(&unknown, &[])));
        }
        let mut copy = match <[Object; 1]>::try_from(branches) {
            Ok([only]) => only,
            Err(branches) => Object::from_iter([("anyOf".to_owned(), json!(branches))]),
        };
        // `null` is said by its type. One fixed boolean is not.
        let mut left_out = map.clone();
        if unknown.iter().all(|value| value.is_null()) {
            left_out.remove("enum");
            left_out.remove("const");
        }
        describe(&mut copy, &left_out);
        copy
    }
}

/// The types of fixed values, of those that are allowed.
fn kinds_of(values: &[&Value], allowed: &[&str]) -> Vec<&'static str> {
    // `integer` before `number`, which it would be as well.
    let order = [
        "string", "integer", "number", "boolean", "null", "array", "object",
    ];
    let mut kinds: Vec<&str> = Vec::new();
    for value in values {
        let mut fitting = order
            .iter()
            .filter(|kind| is_of(value, kind) && (allowed.is_empty() || allowed.contains(kind)));
        if let Some(kind) = fitting.next()
            && !kinds.contains(kind)
        {
            kinds.push(kind);
        }
    }
    if kinds.contains(&"number") {
        kinds.retain(|kind| *kind != "integer");
    }
    kinds
}

/// Whether a value is of a type.
pub(super) fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
        Value::Number(number) => {
            let is_whole = number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|number| number.fract() == 0.0);
            kind == "number" || kind == "integer" && is_whole
        }
    }
}
