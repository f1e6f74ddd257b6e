//! An example that each rule refuses.

use serde_json::{Value, json};

use super::Provider::{Anthropic, Gemini, OpenAi};
use super::{RULES, When, check_schema};

/// A schema that passes every rule.
fn sound() -> Value {
    json!({
        "type": "object",
        "properties": { "a": { "type": "string" } },
        "required": ["a"],
        "additionalProperties": false,
    })
}

/// A sound schema whose property is another one.
fn with(property: &Value) -> Value {
    let mut schema = sound();
    schema["properties"]["a"] = property.clone();
    schema
}

fn object(names: &[&str], required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn wide() -> Value {
    let names: Vec<String> = (0..5_001).map(|index| format!("p{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    object(&names, &names)
}

fn optional() -> Value {
    let names: Vec<String> = (0..25).map(|index| format!("p{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    object(&names, &[])
}

fn circle() -> Value {
    let mut schema = with(&json!({ "$ref": "#/$defs/d" }));
    schema["$defs"] = json!({ "d": with(&json!({ "$ref": "#/$defs/d" })) });
    schema
}

/// A rule, a schema, and a part of the refusal.
type Example = (&'static str, Value, &'static str);

/// A text with one more keyword.
fn text(key: &str, value: &Value) -> Value {
    with(&json!({ "type": "string", key: value }))
}

/// A schema with alternatives at its root.
fn composed() -> Value {
    let mut composed = sound();
    composed["anyOf"] = json!([sound()]);
    composed
}

fn listed() -> Value {
    with(&json!({ "type": "string", "enum": [{ "a": 1 }] }))
}

fn beside() -> Value {
    with(&json!({ "$ref": "#", "description": "d" }))
}

fn openai() -> Vec<Example> {
    let alike = with(&json!({ "anyOf": [object(&["n"], &["n"]), object(&["n", "m"], &["n", "m"])] }));
    vec![
        (
            "openai-root",
            json!({ "type": "array", "items": sound() }),
            "JSON Schema of 'type: \"object\"'",
        ),
        ("openai-root-composition", composed(), "at the top level"),
        (
            "openai-array-items",
            with(&json!({ "type": "array" })),
            "In context=('properties', 'a'), array schema missing items",
        ),
        (
            "openai-lookaround",
            text("pattern", &json!("^(?!a)")),
            "regex lookaround is not supported",
        ),
        (
            "openai-keywords",
            text("minLength", &json!(1)),
            "In context=('properties', 'a'), 'minLength' is not permitted",
        ),
        (
            "openai-one-of",
            with(&json!({ "oneOf": [{ "type": "string" }] })),
            "'oneOf' is not permitted",
        ),
        (
            "openai-ref-siblings",
            beside(),
            "$ref cannot have keywords {'description'}",
        ),
        (
            "openai-closed",
            with(&json!({ "type": "object", "properties": {}, "required": [] })),
            "'additionalProperties' is required",
        ),
        ("openai-required", object(&["a", "b"], &["a"]), "Missing 'b'"),
        ("openai-type", with(&json!({})), "must have a 'type' key"),
        (
            "openai-format",
            text("format", &json!("uri")),
            "'uri' is not a valid format",
        ),
        ("openai-enum", listed(), "enum values must be"),
        ("openai-first-keys", alike, "must not share identical first keys"),
        ("openai-limits", wide(), "5001 object properties exceeds limit"),
        (
            "openai-references",
            with(&json!({ "$ref": "#/$defs/d" })),
            "which was not found",
        ),
    ]
}

fn others() -> Vec<Example> {
    vec![
        ("anthropic-root", composed(), "input_schema does not support"),
        (
            "anthropic-keywords",
            with(&json!({ "type": "integer", "minimum": 0 })),
            "For 'integer' type, property 'minimum' is not supported",
        ),
        (
            "anthropic-closed",
            with(&json!({ "type": "object" })),
            "must be explicitly set to false",
        ),
        (
            "anthropic-min-items",
            with(&json!({ "type": "array", "items": sound(), "minItems": 2 })),
            "values other than 0 or 1",
        ),
        (
            "anthropic-format",
            text("format", &json!("regex")),
            "format 'regex' is not supported",
        ),
        ("anthropic-enum", listed(), "enum values must be"),
        (
            "anthropic-type",
            with(&json!({ "title": "t" })),
            "Schema must have a 'type'",
        ),
        (
            "anthropic-references",
            with(&json!({ "$ref": "#/$defs/d" })),
            "which was not found",
        ),
        ("anthropic-recursion", circle(), "Recursive schemas"),
        (
            "anthropic-choices",
            optional(),
            "too many optional parameters (25, limit: 24)",
        ),
        (
            "gemini-keywords",
            with(&json!({ "type": "string", "const": "a" })),
            "Unknown name \"const\" at 'response_json_schema.properties.a'",
        ),
        ("gemini-ref-siblings", beside(), "no other properties"),
        (
            "gemini-enum",
            with(&json!({ "type": "boolean", "enum": [true] })),
            "for strings and numbers",
        ),
        (
            "gemini-references",
            with(&json!({ "$ref": "#/$defs/d" })),
            "which was not found",
        ),
        ("gemini-recursion", circle(), "within non-required properties"),
    ]
}

#[test]
fn each_rule_refuses_its_example_and_nothing_sound() {
    for provider in [OpenAi, Anthropic, Gemini] {
        for strict in [true, false] {
            assert_eq!(check_schema(provider, &sound(), strict), Ok(()));
        }
    }
    let examples: Vec<Example> = openai().into_iter().chain(others()).collect();
    for rule in RULES {
        let mut own = examples.iter().filter(|(id, ..)| *id == rule.id);
        let Some((_, schema, refusal)) = own.next() else {
            panic!("the rule {} has no example", rule.id);
        };
        let strict = rule.when != When::Lenient;
        let found = check_schema(rule.provider, schema, strict).unwrap_err();
        assert!(found.contains(refusal), "{}: {found}", rule.id);
        if rule.when == When::Strict {
            assert_eq!(check_schema(rule.provider, schema, false), Ok(()), "{}", rule.id);
        }
        assert!(!rule.source.is_empty());
    }
}
