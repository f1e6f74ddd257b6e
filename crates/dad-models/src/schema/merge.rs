//! The intersection of two schemas without references and alternatives.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Keywords that say something about a value and allow or forbid none.
pub(super) const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keywords of which the larger value is the stricter one.
const LOWER_BOUNDS: &[&str] = &[
    "exclusiveMinimum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
];
/// Keywords of which the smaller value is the stricter one.
const UPPER_BOUNDS: &[&str] = &[
    "exclusiveMaximum",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
];

/// Narrows `all` to the values that obey `other` too. Annotations of `all` win.
///
/// # Errors
/// If no one schema without `allOf` says the same.
pub(super) fn narrow(all: &mut Map<String, Value>, other: &Map<String, Value>) -> Result<(), String> {
    check_closed(all, other)?;
    check_closed(other, all)?;
    check_positions(all, other)?;
    check_positions(other, all)?;
    for (key, theirs) in other {
        let (key, theirs) = if key == "const" {
            ("enum", &Value::Array(vec![theirs.clone()]))
        } else {
            (key.as_str(), theirs)
        };
        if key == "enum"
            && let Some(only) = all.remove("const")
        {
            all.insert("enum".to_owned(), json!([only]));
        }
        match all.get_mut(key) {
            None => {
                all.insert(key.to_owned(), theirs.clone());
            }
            Some(_) if ANNOTATIONS.contains(&key) => {}
            Some(ours) if ours == theirs => {}
            Some(ours) => both(key, ours, theirs)?,
        }
    }
    Ok(())
}

/// Refuses properties that the other side forbids by `additionalProperties`.
fn check_closed(side: &Map<String, Value>, other: &Map<String, Value>) -> Result<(), String> {
    if matches!(side.get("additionalProperties"), None | Some(Value::Bool(true))) {
        return Ok(());
    }
    let named = side.get("properties").and_then(Value::as_object);
    let others = other.get("properties").and_then(Value::as_object);
    let mut names = others.into_iter().flatten();
    names
        .find(|(name, _)| !named.is_some_and(|named| named.contains_key(*name)))
        .map_or(Ok(()), |(name, _)| {
            Err(format!(
                "`additionalProperties` forbids the property `{name}`, which the other part of the schema names"
            ))
        })
}

/// Refuses elements by position beside `items` of the other side, which are for every position there.
fn check_positions(side: &Map<String, Value>, other: &Map<String, Value>) -> Result<(), String> {
    let is_apart = side.contains_key("prefixItems")
        && ["prefixItems", "items"]
            .iter()
            .any(|key| other.contains_key(*key) && side.get(*key) != other.get(*key));
    if is_apart {
        return Err(
            "two parts of the schema differ in the elements of an array: write them as one".to_owned(),
        );
    }
    Ok(())
}

fn both(key: &str, ours: &mut Value, theirs: &Value) -> Result<(), String> {
    let differ = || {
        format!("two parts of the schema differ in `{key}`, and only one schema can be sent: write it as one")
    };
    match (key, &mut *ours, theirs) {
        ("properties", Value::Object(ours), Value::Object(theirs)) => {
            for (name, schema) in theirs {
                match ours.get_mut(name) {
                    None => {
                        ours.insert(name.clone(), schema.clone());
                    }
                    Some(own) if own == schema => {}
                    Some(own) => *own = json!({ "allOf": [own.take(), schema] }),
                }
            }
        }
        ("items", ..) => *ours = json!({ "allOf": [ours.take(), theirs] }),
        ("required", Value::Array(ours), Value::Array(theirs)) => {
            let known: HashSet<String> = ours.iter().map(Value::to_string).collect();
            let new = theirs.iter().filter(|name| !known.contains(&name.to_string()));
            ours.extend(new.cloned());
        }
        ("enum", Value::Array(ours), Value::Array(theirs)) => {
            let theirs: HashSet<String> = theirs.iter().map(Value::to_string).collect();
            ours.retain(|value| theirs.contains(&value.to_string()));
            if ours.is_empty() {
                return Err("no value is allowed by all parts of the schema".to_owned());
            }
        }
        ("type", ..) => {
            let kept = common_types(ours, theirs);
            if kept.is_empty() {
                return Err("no type is allowed by all parts of the schema".to_owned());
            }
            *ours = json!(kept);
        }
        ("additionalProperties", Value::Bool(true), _) => *ours = theirs.clone(),
        ("additionalProperties", Value::Bool(false), _) | ("additionalProperties", _, Value::Bool(true)) => {}
        ("additionalProperties", _, Value::Bool(false)) => *ours = Value::Bool(false),
        (_, Value::Number(our), Value::Number(their)) => {
            let is_stricter = if LOWER_BOUNDS.contains(&key) {
                their.as_f64() > our.as_f64()
            } else if UPPER_BOUNDS.contains(&key) {
                their.as_f64() < our.as_f64()
            } else {
                return Err(differ());
            };
            if is_stricter {
                *ours = theirs.clone();
            }
        }
        _ => return Err(differ()),
    }
    Ok(())
}

/// The types of a schema's `type`.
pub(super) fn types(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn common_types(ours: &Value, theirs: &Value) -> Vec<String> {
    let (ours, theirs) = (types(ours), types(theirs));
    let allows = |list: &[&str], kind: &str| list.contains(&kind);
    // Every integer is a number.
    let integer = |list: &[&str]| allows(list, "integer") || allows(list, "number");
    let mut kept: Vec<String> = Vec::new();
    for kind in ours.iter().chain(&theirs) {
        let is_common = match *kind {
            "integer" => integer(&ours) && integer(&theirs),
            kind => allows(&ours, kind) && allows(&theirs, kind),
        };
        if is_common && !kept.iter().any(|known| known == kind) {
            kept.push((*kind).to_owned());
        }
    }
    if kept.iter().any(|kind| kind == "number") {
        kept.retain(|kind| kind != "integer");
    }
    kept
}

/// The types of a schema, said or implied by its keywords.
pub(super) fn kinds(map: &Map<String, Value>) -> Vec<&str> {
    match map.get("type") {
        Some(kinds) => {
            let mut seen = HashSet::new();
            let mut kinds = types(kinds);
            kinds.retain(|kind| seen.insert(*kind));
            kinds
        }
        None if ["properties", "required", "additionalProperties"]
            .iter()
            .any(|key| map.contains_key(*key)) =>
        {
            vec!["object"]
        }
        None if ["items", "prefixItems"].iter().any(|key| map.contains_key(*key)) => vec!["array"],
        None => Vec::new(),
    }
}
