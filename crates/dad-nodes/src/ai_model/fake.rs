//! Answers without a provider.

use dad_core::Usage;
use dad_models::ModelResponse;
use dad_runner::NodeOutput;
use serde_json::{Map, Value, json};

use crate::ai_model::AIModelNodeOutcome;
use crate::ai_model::AIModelNodeSettings;
use crate::ai_model::answer::StructuredSchema;

/// The largest depth of made-up values.
const DEEPEST: usize = 16;

/// The result of a step that calls no model: a text that says so, or the smallest value of the wanted shape. It has the form of
/// the result of a call, for the readers that a test tries.
pub(super) fn output(settings: &AIModelNodeSettings, schema: Option<&StructuredSchema>) -> NodeOutput {
    let model = settings.models.first().map_or("no model", String::as_str);
    let (outcome, text) = match schema {
        None => {
            let text = format!("A made-up answer of {model}.");
            (AIModelNodeOutcome::of_text(&text), text)
        }
        Some(schema) => {
            let schema = schema.for_model();
            let structured = value(schema, schema, DEEPEST);
            let text = structured.to_string();
            (AIModelNodeOutcome::of_structure(structured), text)
        }
    };
    let (provider, name) = model.split_once('/').unwrap_or(("none", model));
    let response = json!(ModelResponse::of_text(name, provider, text));
    NodeOutput::new(json!(outcome))
        .with_output(json!({ "data": { "response": response } }))
        .with_usage(Usage::default())
        .with_summary(format!("{model}, made up"))
}

/// A small value that obeys a schema as far as its keywords are known here.
fn value(schema: &Value, root: &Value, deepest: usize) -> Value {
    if deepest == 0 {
        return Value::Null;
    }
    if let Some(given) = ["const", "default"].iter().find_map(|key| schema.get(key)) {
        return given.clone();
    }
    let first = |key: &str| schema.get(key)?.as_array()?.first();
    if let Some(given) = first("enum").or_else(|| first("examples")) {
        return given.clone();
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| value(target, root, deepest - 1));
    }
    if let Some(one) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| first(key)) {
        return value(one, root, deepest - 1);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("object") => object(schema, root, deepest),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            let item = schema.get("items").unwrap_or(&Value::Bool(true));
            (0..least.min(100))
                .map(|_| value(item, root, deepest - 1))
                .collect()
        }
        Some("string") => text(schema).into(),
        Some("integer") => json!(least(schema).ceil() as i64),
        Some("number") => json!(least(schema)),
        Some("boolean") => false.into(),
        None if schema.get("properties").is_some() => object(schema, root, deepest),
        _ => Value::Null,
    }
}

/// All required members, and no others.
fn object(schema: &Value, root: &Value, deepest: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let members = names.map(|name| {
        let member = schema
            .get("properties")
            .and_then(|properties| properties.get(name));
        let member = member.map_or(Value::Null, |member| value(member, root, deepest - 1));
        (name.to_owned(), member)
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn text(schema: &Value) -> String {
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    let text = "made up";
    if text.len() as u64 >= least {
        text.to_owned()
    } else {
        text.chars().cycle().take(least.min(10_000) as usize).collect()
    }
}

/// The smallest number, or nothing.
fn least(schema: &Value) -> f64 {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    match (bound("minimum"), bound("exclusiveMinimum"), bound("maximum")) {
        (Some(minimum), ..) => minimum.max(0.0),
        (None, Some(above), _) => above.max(0.0) + 1.0,
        (None, None, Some(maximum)) => maximum.min(0.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_obeys_its_schema() {
        let schema = json!({
            "type": "object",
            "required": ["name", "count", "kind", "parts", "more"],
            "properties": {
                "name": { "type": "string", "minLength": 12 },
                "count": { "type": "integer", "minimum": 3 },
                "kind": { "enum": ["a", "b"] },
                "parts": { "type": "array", "minItems": 2, "items": { "$ref": "#/$defs/part" } },
                "more": { "anyOf": [{ "type": ["number", "null"], "exclusiveMinimum": 1 }] },
                "left_out": { "type": "string" },
            },
            "$defs": { "part": { "type": "object", "required": ["yes"], "properties": { "yes": { "const": true } } } },
        });
        let fake = value(&schema, &schema, DEEPEST);
        assert!(jsonschema::is_valid(&schema, &fake), "{fake}");
        assert_eq!(fake["parts"], json!([{ "yes": true }, { "yes": true }]));
    }
}
