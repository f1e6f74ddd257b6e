//! Values that obey a schema, as a model held to it writes them.

use serde_json::{Map, Value, json};

/// The number of levels from which on a value is as small as its schema allows.
const DEEP: usize = 6;

/// A value that obeys a schema.
pub(super) fn example(schema: &Value) -> Value {
    made(schema, schema, 0)
}

fn made(schema: &Value, root: &Value, depth: usize) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| made(target, root, depth + 1));
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.first().cloned().unwrap_or_default();
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            return made(branch(branches, root, depth), root, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) if depth > DEEP && kinds.iter().any(|kind| kind == "null") => "null",
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        kind => kind.and_then(Value::as_str).unwrap_or("string"),
    };
    match kind {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, depth),
        "string" => text(schema),
        "integer" => json!(number(schema) as i64),
        "number" => json!(number(schema)),
        "boolean" => true.into(),
        _ => Value::Null,
    }
}

/// The first branch, or where a value is deep the smallest: one without properties or references.
fn branch<'a>(branches: &'a [Value], root: &Value, depth: usize) -> &'a Value {
    let is_small = |branch: &&Value| {
        let branch = branch
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| root.pointer(&reference[1..]))
            .unwrap_or(branch);
        let text = branch.to_string();
        !text.contains("$ref")
    };
    let small = (depth > DEEP).then(|| branches.iter().find(is_small)).flatten();
    small.or(branches.first()).unwrap_or(&Value::Null)
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let none = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|own| own == name));
    let wanted = properties
        .iter()
        .filter(|(name, _)| depth <= DEEP || is_required(name));
    let mut fields: Map<String, Value> = wanted
        .map(|(name, schema)| (name.clone(), made(schema, root, depth + 1)))
        .collect();
    if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
        fields.insert("key".to_owned(), made(others, root, depth + 1));
    }
    Value::Object(fields)
}

fn array(schema: &Value, root: &Value, depth: usize) -> Value {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    let prefix = schema.get("prefixItems").and_then(Value::as_array);
    let prefix = prefix.map_or(&[][..], Vec::as_slice);
    let usual = u64::from(depth <= DEEP);
    let length = usize::try_from(least.max(usual)).unwrap_or(1).max(prefix.len());
    let items = schema.get("items").unwrap_or(&Value::Null);
    let elements = (0..length).map(|at| made(prefix.get(at).unwrap_or(items), root, depth + 1));
    Value::Array(elements.collect())
}

fn text(schema: &Value) -> Value {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-11-30T10:00:00Z".into(),
        Some("date") => "2026-11-30".into(),
        Some("uri") => "https://example.com/".into(),
        Some("email") => "a@example.com".into(),
        _ => "t".into(),
    }
}

/// A small number, which is exact.
fn number(schema: &Value) -> f64 {
    let least = ["minimum", "exclusiveMinimum"]
        .iter()
        .find_map(|key| schema.get(*key)?.as_f64());
    least.unwrap_or(0.0).max(0.0) + 1.0
}
