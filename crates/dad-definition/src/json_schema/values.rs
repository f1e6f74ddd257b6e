//! Values that stand in many places of a definition.

use dad_core::{MAX_ID_LENGTH, RESERVED_IDS};
use serde_json::{Map, Value, json};

use crate::decode::INCLUDE_KEYS;
use crate::validate::{KEYWORDS, RUN_VARIABLES};

/// An object that stands for a file, of any kind.
pub(super) const INCLUDED: &str = "included";
/// A template or file in the place of any value.
pub(super) const STAND_IN: &str = "stand_in";
/// Any value.
pub(super) const VALUE: &str = "value";

pub(super) fn defs() -> Map<String, Value> {
    let identifier = "^[A-Za-z_][A-Za-z0-9_]*$";
    let variable_name = r"^[\p{Alphabetic}_][\p{Alphabetic}\p{N}_]*$";
    let reserved = RESERVED_IDS.join("|");
    let taken: Vec<&str> = RUN_VARIABLES.iter().chain(KEYWORDS).copied().collect();
    let names_a_file: Vec<Value> = INCLUDE_KEYS
        .iter()
        .map(|key| json!({ "required": [key] }))
        .collect();
    fields(json!({
        "id": {
            "description": "An id: letters, digits and `_`, unique among its siblings also without case.",
            "type": "string",
            "pattern": format!("^[A-Za-z0-9_]{{1,{MAX_ID_LENGTH}}}$"),
            "not": { "pattern": format!("^(?:{reserved}|iter_[0-9]+)$") },
        },
        "variable_name": { "type": "string", "pattern": variable_name, "not": { "enum": taken } },
        "variables": {
            "description": "Variables, evaluated in this order when the component is entered. Texts are templates.",
            "type": "object",
            "propertyNames": def("variable_name"),
            "additionalProperties": def(VALUE),
        },
        "event_names": {
            "type": "array",
            "items": { "type": "string", "pattern": identifier, "examples": ["node_input_required"] },
        },
        "duration": {
            "anyOf": [
                { "type": "number", "minimum": 0 },
                {
                    "type": "string",
                    "pattern": r"^\s*\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*(?:ms|s|m|h|d)?\s*$",
                },
            ],
            "examples": ["500ms", "30s", "5m", "2h", "1d"],
        },
        "condition": {
            "anyOf": [
                { "type": "boolean" },
                { "description": "A template of a boolean.", "type": "string", "pattern": r"\$" },
                def(INCLUDED),
            ],
        },
        VALUE: {
            "if": { "type": "object", "anyOf": names_a_file },
            "then": def(INCLUDED),
            "items": def(VALUE),
            "additionalProperties": def(VALUE),
        },
        INCLUDED: { "anyOf": [def("$file"), def("$json")] },
        "$file": named_file("$file", "The text of a file, which is a template, as if it stood here."),
        "$json": named_file("$json", "The content of a JSON file, in which nothing is a template."),
        STAND_IN: {
            "anyOf": [
                {
                    "description": "A template. One that is exactly one placeholder keeps the type of its value.",
                    "type": "string",
                    "pattern": r"\$(?:expr|var|hier)\{",
                },
                def(INCLUDED),
            ],
        },
    }))
}

fn named_file(key: &str, description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "required": [key],
        "additionalProperties": false,
        "properties": {
            key: { "description": "A file relative to this one, inside the project.", "type": "string" },
        },
    })
}

/// A reference to one of `$defs`.
pub(super) fn def(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The same with a description of its own.
pub(super) fn described(name: &str, description: &str) -> Value {
    json!({ "description": description, "$ref": format!("#/$defs/{name}") })
}

/// The fields of an object of `json!`.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
