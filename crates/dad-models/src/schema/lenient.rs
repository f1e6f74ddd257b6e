//! The copy of a schema that is sent where the provider does not enforce it.
//!
//! It says all that the original says, in JSON Schema. Even so, the parameters of a tool are an object without alternatives at its root
//! (OpenAI: "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level"; Anthropic:
//! "input_schema does not support oneOf, allOf, or anyOf at the top level"), and OpenAI refuses an array without `items`
//! ("array schema missing items", sigoden/aichat#1049) and a pattern that looks around ("regex lookaround is not supported",
//! vercel/ai#21037).

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::describe::add;
use super::merge::types;
use super::references::references;
use super::source::Source;
use super::wrap::{WRAPPER, object_root};

const WRAPPED: &str = "/properties/value";

/// Copies a schema for a request that does not ask for enforcement.
pub(super) fn copy(source: &Source<'_>) -> Value {
    let original = source.root();
    let mut root = match (object_root(source), original) {
        (Some(root), _) => {
            let mut root = root;
            carry_definitions(&mut root, original);
            Value::Object(root)
        }
        (None, original) => {
            let mut wrapper = Map::new();
            carry_definitions(&mut wrapper, original);
            let mut inner = original.clone();
            if let Value::Object(inner) = &mut inner {
                for key in ["$defs", "$schema", "definitions"] {
                    inner.remove(key);
                }
            }
            wrapper.insert("type".to_owned(), json!("object"));
            wrapper.insert("properties".to_owned(), json!({ WRAPPER: inner }));
            wrapper.insert("required".to_owned(), json!([WRAPPER]));
            wrapper.insert("additionalProperties".to_owned(), json!(false));
            let mut wrapper = Value::Object(wrapper);
            move_references(&mut wrapper);
            wrapper
        }
    };
    if let Value::Object(root) = &mut root {
        root.remove("$schema");
    }
    mend(&mut root);
    prune(&mut root);
    root
}

fn carry_definitions(root: &mut Map<String, Value>, original: &Value) {
    for key in ["$defs", "definitions"] {
        if let Some(definitions) = original.get(key) {
            root.insert(key.to_owned(), definitions.clone());
        }
    }
}

/// Lets references to places outside the definitions follow these into the wrapper.
fn move_references(schema: &mut Value) {
    each_schema(schema, |map| {
        if let Some(Value::String(reference)) = map.get_mut("$ref")
            && let Some(pointer) = reference.strip_prefix('#')
            && (pointer.is_empty() || pointer.starts_with('/'))
            && !pointer.starts_with("/$defs/")
            && !pointer.starts_with("/definitions/")
        {
            *reference = format!("#{WRAPPED}{pointer}");
        }
    });
}

/// Gives arrays that have none a schema for their elements, and says patterns that look around in words.
fn mend(schema: &mut Value) {
    each_schema(schema, |map| {
        let is_array = map
            .get("type")
            .is_some_and(|kinds| types(kinds).contains(&"array"));
        if is_array && !map.contains_key("items") {
            map.insert("items".to_owned(), json!({}));
        }
        let looks_around = map
            .get("pattern")
            .and_then(Value::as_str)
            .is_some_and(|pattern| ["(?=", "(?!", "(?<"].iter().any(|look| pattern.contains(look)));
        if looks_around && let Some(Value::String(pattern)) = map.remove("pattern") {
            add(map, &format!("{{pattern: {pattern}}}"));
        }
    });
}

/// Changes each schema within a schema; values that only look like one, as of `const`, stay.
fn each_schema(schema: &mut Value, change: impl Fn(&mut Map<String, Value>)) {
    const NAMED: &[&str] = &[
        "$defs",
        "definitions",
        "dependentSchemas",
        "patternProperties",
        "properties",
    ];
    const VALUES: &[&str] = &["const", "default", "enum", "examples", "required", "type"];
    let mut next = vec![schema];
    while let Some(schema) = next.pop() {
        let map = match schema {
            Value::Object(map) => map,
            Value::Array(schemas) => {
                next.extend(schemas);
                continue;
            }
            _ => continue,
        };
        change(map);
        for (key, value) in map {
            if VALUES.contains(&key.as_str()) {
                continue;
            }
            if !NAMED.contains(&key.as_str()) {
                next.push(value);
            } else if let Value::Object(named) = value {
                next.extend(named.values_mut());
            }
        }
    }
}

/// Takes away the definitions that no reference leads to.
fn prune(root: &mut Value) {
    let mut reached: HashSet<(&str, String)> = HashSet::new();
    let mut next: Vec<String> = references(root, true).into_iter().collect();
    let mut seen: HashSet<String> = next.iter().cloned().collect();
    while let Some(pointer) = next.pop() {
        for key in ["$defs", "definitions"] {
            let Some(rest) = pointer.strip_prefix(&format!("/{key}/")) else {
                continue;
            };
            let name = rest.split('/').next().unwrap_or_default();
            let entry = format!("/{key}/{name}");
            if !reached.insert((key, name.replace("~1", "/").replace("~0", "~"))) {
                continue;
            }
            let found = root.pointer(&entry).map(|schema| references(schema, false));
            let new = found
                .unwrap_or_default()
                .into_iter()
                .filter(|pointer| seen.insert(pointer.clone()));
            next.extend(new);
        }
    }
    let Value::Object(root) = root else {
        return;
    };
    for key in ["$defs", "definitions"] {
        if let Some(Value::Object(definitions)) = root.get_mut(key) {
            definitions.retain(|name, _| reached.contains(&(key, name.clone())));
            if definitions.is_empty() {
                root.remove(key);
            }
        }
    }
}
