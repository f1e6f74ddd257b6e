//! `null` in copies that are written.

use serde_json::{Map, Value, json};

use super::describe::{add, describe};
use super::merge::types;

type Object = Map<String, Value>;

/// A copy that allows `null` as well.
pub(super) fn with_null(copy: Value) -> Value {
    let mut copy = match copy {
        Value::Object(copy) => copy,
        other => return other,
    };
    let nothing = json!({ "type": "null" });
    if let Some(Value::Array(branches)) = copy.get_mut("anyOf") {
        branches.push(nothing);
        return Value::Object(copy);
    }
    let is_scalar = !copy.contains_key("enum")
        && copy
            .get("type")
            .is_some_and(|kind| !["object", "array"].contains(&kind.as_str().unwrap_or_default()));
    if is_scalar && let Some(kinds) = copy.get_mut("type") {
        let mut all: Vec<Value> = types(kinds).into_iter().map(Value::from).collect();
        all.push(json!("null"));
        *kinds = Value::Array(all);
        return Value::Object(copy);
    }
    let mut whole = Object::new();
    let description = copy.remove("description");
    whole.insert("anyOf".to_owned(), json!([copy, nothing]));
    add(
        &mut whole,
        description.as_ref().and_then(Value::as_str).unwrap_or_default(),
    );
    Value::Object(whole)
}

/// A copy that does not allow `null`, unless it allows nothing else.
pub(super) fn without_null(copy: Value) -> Value {
    let mut copy = match copy {
        Value::Object(copy) => copy,
        other => return other,
    };
    if let Some(Value::Array(values)) = copy.get_mut("enum")
        && values.len() > 1
    {
        values.retain(|value| !value.is_null());
    }
    if let Some(kinds @ Value::Array(_)) = copy.get_mut("type") {
        let mut rest = types(kinds);
        rest.retain(|kind| *kind != "null");
        match rest.as_slice() {
            [] => {}
            [only] => *kinds = json!(only),
            many => *kinds = json!(many),
        }
    }
    let Some(Value::Array(branches)) = copy.get_mut("anyOf") else {
        return Value::Object(copy);
    };
    if branches.len() > 1 {
        branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    }
    if branches.len() != 1 || branches.iter().any(|branch| branch.get("$ref").is_some()) {
        return Value::Object(copy);
    }
    let only = copy
        .remove("anyOf")
        .and_then(|mut branches| branches.as_array_mut()?.pop());
    let Some(Value::Object(mut only)) = only else {
        return Value::Object(copy);
    };
    let own = only.remove("description");
    describe(&mut only, &copy);
    add(
        &mut only,
        own.as_ref().and_then(Value::as_str).unwrap_or_default(),
    );
    Value::Object(only)
}
