//! The transformation from outside: by the types of users, against a checker of the documented rules, and beside the official
//! clients.

mod cases;
mod fitting;
mod generated;
mod official;
mod rules;
mod structs;
mod types;

use serde_json::{Map, Value};

use super::Dialect;

/// It shares no code with the crate. The servers of the tests of the whole system include it by path.
#[expect(unreachable_pub, reason = "a public module of another crate")]
mod checker;

const DIALECTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini];

/// Checks a copy by the documented rules.
fn check(dialect: Dialect, schema: &Value, strict: bool) -> Result<(), String> {
    let provider = match dialect {
        Dialect::OpenAi => checker::Provider::OpenAi,
        Dialect::Anthropic => checker::Provider::Anthropic,
        Dialect::Gemini => checker::Provider::Gemini,
    };
    checker::check_schema(provider, schema, strict)
}

/// Makes of a value an answer that obeys a copy: with `null` for what the copy requires and the value leaves out.
fn dress(value: &Value, schema: &Value, root: &Value) -> Option<Value> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return dress(value, root.pointer(&reference[1..])?, root);
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        return branches.iter().find_map(|branch| dress(value, branch, root));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.contains(value)
    {
        return None;
    }
    let kinds = match schema.get("type")? {
        Value::String(kind) => vec![kind.as_str()],
        kinds => kinds.as_array()?.iter().filter_map(Value::as_str).collect(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_number = kind == "integer" && kinds.contains(&"number");
    if !kinds.contains(&kind) && !is_number {
        return None;
    }
    match value {
        Value::Object(object) => dress_object(object, schema, root),
        Value::Array(elements) => {
            let prefix = schema.get("prefixItems").and_then(Value::as_array);
            let dressed = elements.iter().enumerate().map(|(index, element)| {
                let own = prefix.and_then(|prefix| prefix.get(index));
                dress(element, own.or(schema.get("items"))?, root)
            });
            dressed.collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        other => Some(other.clone()),
    }
}

fn dress_object(object: &Map<String, Value>, schema: &Value, root: &Value) -> Option<Value> {
    let none = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut dressed = Map::new();
    for (name, own) in properties {
        let is_required = required.contains(&name.as_str());
        match object.get(name) {
            Some(value) => match dress(value, own, root) {
                Some(value) => {
                    dressed.insert(name.clone(), value);
                }
                None if value.is_null() && !is_required => {}
                None => return None,
            },
            None if is_required => {
                dressed.insert(name.clone(), dress(&Value::Null, own, root)?);
            }
            None => {}
        }
    }
    let others = object.iter().filter(|(name, _)| !properties.contains_key(*name));
    for (name, value) in others {
        match schema.get("additionalProperties") {
            Some(own) if own.is_object() => {
                dressed.insert(name.clone(), dress(value, own, root)?);
            }
            _ => return None,
        }
    }
    Some(Value::Object(dressed))
}
