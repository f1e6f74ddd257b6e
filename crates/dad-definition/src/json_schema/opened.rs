//! Schemas of finished settings, opened for what stands in a definition: templates and files in the place of values.
//!
//! Of the keywords those are kept that the check of settings understands; the others hold only of finished settings.

use serde_json::{Map, Value, json};

use crate::compile::{common_settings, known_keys};
use crate::json_schema::values::{INCLUDED, STAND_IN, VALUE};
use crate::json_schema::values::{def, fields};
use crate::node_types::NodeTypeInfo;

/// Most `$ref`s that are followed without going deeper.
const MAX_HOPS: usize = 16;

/// Keywords that tell people something.
const ANNOTATIONS: &[&str] = &["title", "description", "default", "examples", "deprecated"];

/// Keywords whose values hold as they are.
const KEPT: &[&str] = &[
    "type",
    "const",
    "enum",
    "required",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

/// The settings of a node type, added to `$defs`.
pub(super) fn open_settings(info: &NodeTypeInfo, name: &str, defs: &mut Map<String, Value>) -> Value {
    let document = &info.settings_schema;
    let common = common_settings()
        .into_iter()
        .filter(|(key, _)| document["properties"].get(key).is_none());
    let common: Vec<(&str, Value)> = common.collect();
    open(document, &format!("node.{}", encoded(name)), &common, defs)
}

/// The arguments of a function, added to `$defs`.
pub(super) fn open_args(document: &Value, name: &str, defs: &mut Map<String, Value>) -> Value {
    open(document, &format!("callback.{}", encoded(name)), &[], defs)
}

fn open(document: &Value, name: &str, common: &[(&str, Value)], defs: &mut Map<String, Value>) -> Value {
    let opening = Opening { document, name };
    for (key, schema) in document["$defs"].as_object().into_iter().flatten() {
        defs.insert(opening.def_name(key), opening.value(schema));
    }
    let common = common
        .iter()
        .map(|(key, schema)| ((*key).to_owned(), opening.value(schema)));
    let mut root = annotations(document);
    root.insert("type".to_owned(), "object".into());
    root.extend(opening.at_root(document, &common.collect()));
    defs.insert(name.to_owned(), Value::Object(root));
    // The whole may stand in a file, but is no template: its keys are known before a run.
    json!({ "if": { "required": ["$json"] }, "then": def("$json"), "else": def(name) })
}

/// The types of a value with those that are written in the place of a text: a number or boolean is the text that is written.
fn with_written(types: &Value) -> Value {
    let mut names: Vec<&str> = match types {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !names.contains(&"string") {
        return types.clone();
    }
    for written in ["number", "boolean"] {
        if !names.contains(&written) {
            names.push(written);
        }
    }
    names.into()
}

/// A name in which nothing has a meaning in a reference, different for different names.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("-{byte:02x}")),
        }
    }
    encoded
}

struct Opening<'a> {
    document: &'a Value,
    /// Its name in `$defs`.
    name: &'a str,
}

impl Opening<'_> {
    fn def_name(&self, key: &str) -> String {
        format!("{}.{}", self.name, encoded(key))
    }

    /// A value, or what may stand in its place.
    fn value(&self, schema: &Value) -> Value {
        let mut opened = annotations(schema);
        let bare = self.bare(schema);
        if bare.is_empty() {
            opened.extend(fields(def(VALUE)));
            return Value::Object(opened);
        }
        if is_def(&bare) {
            opened.extend(bare);
            return Value::Object(opened);
        }
        let instead = def(if accepts_text(schema) { INCLUDED } else { STAND_IN });
        let mut choices = match bare.get("anyOf") {
            Some(Value::Array(choices)) if bare.len() == 1 => choices.clone(),
            _ => vec![Value::Object(bare)],
        };
        choices.push(instead);
        opened.insert("anyOf".to_owned(), choices.into());
        Value::Object(opened)
    }

    /// A value without the forms that may stand in its place, which the caller adds.
    fn bare(&self, schema: &Value) -> Map<String, Value> {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => return fields(json!({ "not": {} })),
            _ => return Map::new(),
        };
        let mut bare = self.own(schema);
        if let Some(target) = self.target(schema) {
            bare.extend(target);
        }
        let all: Vec<Value> = list(schema, "allOf")
            .iter()
            .map(|part| self.value(part))
            .collect();
        self.compose(&mut bare, schema, all, |part| self.alternative(part));
        bare
    }

    /// The same of a whole document, with properties that it may have whatever it says.
    fn at_root(&self, document: &Value, common: &Map<String, Value>) -> Map<String, Value> {
        self.with_common(document, common, 0)
    }

    fn with_common(&self, schema: &Value, common: &Map<String, Value>, hops: usize) -> Map<String, Value> {
        if common.is_empty() || hops > MAX_HOPS {
            return self.bare(schema);
        }
        let Value::Object(schema) = schema else {
            return fields(json!({ "properties": common }));
        };
        let mut bare = self.own(schema);
        if let Some(Value::Object(properties)) = bare.get_mut("properties") {
            properties.extend(common.clone());
        } else {
            bare.insert("properties".to_owned(), common.clone().into());
        }
        if let Some(Value::Array(names)) = bare.get_mut("propertyNames").map(|names| &mut names["enum"]) {
            names.extend(common.keys().map(|key| key.as_str().into()));
        }
        let part = |part: &Value| {
            let mut opened = annotations(part);
            opened.extend(self.with_common(part, common, hops + 1));
            Value::Object(opened)
        };
        // Not by its name, because elsewhere it does not have them.
        let target = self.referenced(schema).map(part);
        let all: Vec<Value> = list(schema, "allOf").iter().map(part).chain(target).collect();
        self.compose(&mut bare, schema, all, part);
        bare
    }

    /// Adds what a schema is composed of.
    fn compose(
        &self,
        bare: &mut Map<String, Value>,
        schema: &Map<String, Value>,
        mut all: Vec<Value>,
        part: impl Fn(&Value) -> Value,
    ) {
        // Several alternatives may accept one template, so that exactly one is never asked for.
        for keyword in ["anyOf", "oneOf"] {
            let parts: Vec<Value> = list(schema, keyword).iter().map(&part).collect();
            match parts.is_empty() {
                true => {}
                false if bare.contains_key("anyOf") => all.push(json!({ "anyOf": parts })),
                false => {
                    bare.insert("anyOf".to_owned(), parts.into());
                }
            }
        }
        if !all.is_empty() {
            bare.insert("allOf".to_owned(), all.into());
        }
    }

    fn alternative(&self, schema: &Value) -> Value {
        let mut opened = annotations(schema);
        opened.extend(self.bare(schema));
        Value::Object(opened)
    }

    /// The schema's own demands, without those of its parts.
    fn own(&self, schema: &Map<String, Value>) -> Map<String, Value> {
        let mut own = Map::new();
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("type", value) if !schema.contains_key("enum") && !schema.contains_key("const") => {
                    own.insert(keyword.clone(), with_written(value));
                }
                (kept, value) if KEPT.contains(&kept) => {
                    own.insert(keyword.clone(), value.clone());
                }
                ("properties", Value::Object(properties)) => {
                    let opened = properties
                        .iter()
                        .map(|(key, property)| (key.clone(), self.value(property)));
                    own.insert(keyword.clone(), opened.collect());
                }
                ("prefixItems", Value::Array(items)) => {
                    own.insert(
                        keyword.clone(),
                        items.iter().map(|item| self.value(item)).collect(),
                    );
                }
                ("items", item) => {
                    own.insert(keyword.clone(), self.value(item));
                }
                _ => {}
            }
        }
        if !schema.contains_key("patternProperties") {
            self.others(schema, &mut own);
        }
        own
    }

    /// The demands of a schema on properties that it does not name.
    fn others(&self, schema: &Map<String, Value>, own: &mut Map<String, Value>) {
        let others = schema.get("additionalProperties");
        let is_false = |keyword: &str| schema.get(keyword) == Some(&Value::Bool(false));
        // Settings refuse unknown keys even if their type forgot to.
        let is_whole = self
            .document
            .as_object()
            .is_some_and(|whole| std::ptr::eq(whole, schema));
        let forgotten = is_whole
            && schema.contains_key("properties")
            && others.is_none()
            && !schema.contains_key("unevaluatedProperties");
        if is_false("additionalProperties") || is_false("unevaluatedProperties") || forgotten {
            let is_composed = ["$ref", "allOf", "anyOf", "oneOf"]
                .iter()
                .any(|keyword| schema.contains_key(*keyword));
            if is_composed {
                let known = known_keys(self.document, schema);
                own.insert("propertyNames".to_owned(), json!({ "enum": known }));
            } else {
                own.insert("additionalProperties".to_owned(), false.into());
            }
        } else if let Some(others @ Value::Object(_)) = others {
            own.insert("additionalProperties".to_owned(), self.value(others));
        }
    }

    fn referenced(&self, schema: &Map<String, Value>) -> Option<&Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.document.pointer(pointer)
    }

    /// The reference of a schema, by its new name. One that leads to no definition is not followed.
    fn target(&self, schema: &Map<String, Value>) -> Option<Map<String, Value>> {
        let pointer = schema.get("$ref")?.as_str()?;
        if pointer == "#" {
            return Some(fields(def(self.name)));
        }
        let key = pointer.strip_prefix("#/$defs/")?;
        self.document["$defs"].get(key)?;
        Some(fields(def(&self.def_name(key))))
    }
}

fn annotations(schema: &Value) -> Map<String, Value> {
    let fields = schema.as_object().into_iter().flatten();
    let kept = fields.filter(|(keyword, _)| ANNOTATIONS.contains(&keyword.as_str()));
    kept.map(|(keyword, value)| (keyword.clone(), value.clone()))
        .collect()
}

fn list<'s>(schema: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether it is only a reference to a definition, in which what may stand in its place is added.
fn is_def(bare: &Map<String, Value>) -> bool {
    // A whole document is none: it is no value.
    let is_part = |target: &str| target.matches('.').count() > 1;
    bare.len() == 1 && bare.get("$ref").and_then(Value::as_str).is_some_and(is_part)
}

/// Whether any text is accepted, those with templates too.
fn accepts_text(schema: &Value) -> bool {
    let composed = ["$ref", "allOf", "anyOf", "oneOf", "const", "enum"];
    match schema {
        Value::Object(schema) if composed.iter().any(|keyword| schema.contains_key(*keyword)) => false,
        Value::Object(schema) => match schema.get("type") {
            Some(Value::String(name)) => name == "string",
            Some(Value::Array(names)) => names.contains(&"string".into()),
            _ => true,
        },
        _ => false,
    }
}
