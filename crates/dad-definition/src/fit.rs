//! Texts where a schema wants texts: what is written as a number or boolean there, and what one placeholder alone comes to.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::place::Place;
use crate::spans::SpanMap;
use crate::tree::TemplateTree;

/// Most places of a schema that are looked at.
const MAX_SCHEMAS: usize = 4000;

/// The demands of a schema at a place, as far as they matter for texts.
///
/// ```
/// use dad_definition::Fit;
/// use serde_json::json;
///
/// let fit = Fit::of(&json!({ "type": "string" }));
/// assert_eq!(fit.fitted(json!(8080)), "8080");
/// assert_eq!(fit.fitted(json!({ "a": 1 })), r#"{"a":1}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// Whether a text may stand there.
    text: bool,
    booleans: bool,
    numbers: bool,
    lists: bool,
    objects: bool,
    items: Option<Box<Self>>,
    fields: HashMap<String, Self>,
    others: Option<Box<Self>>,
}

impl Fit {
    /// The demands of a JSON Schema, as `schemars` makes it.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let mut reading = Reading {
            document,
            followed: Vec::new(),
            left: MAX_SCHEMAS,
        };
        reading.fit(&[document])
    }

    /// Whether nothing that it is given changes.
    fn is_plain(&self) -> bool {
        let takes_all = self.booleans && self.numbers && self.lists && self.objects;
        let inside = [&self.items, &self.others].into_iter().flatten();
        (!self.text || takes_all)
            && inside
                .map(|fit| &**fit)
                .chain(self.fields.values())
                .all(Self::is_plain)
    }

    /// Whether texts, numbers and booleans may stand there, and nothing in which others stand, as among the arguments of a
    /// program.
    const fn is_of_scalars(&self) -> bool {
        self.text && self.numbers && self.booleans && !self.lists && !self.objects
    }

    fn field(&self, key: &str) -> Option<&Self> {
        self.fields.get(key).or(self.others.as_deref())
    }

    /// The value of a placeholder that stands alone: its text where a text is wanted and such a value is not, of a list or
    /// object compact JSON. What stands within it becomes its text only if it is a number or boolean.
    #[must_use]
    pub fn fitted(&self, value: Value) -> Value {
        let becomes_text = match &value {
            Value::Array(_) => !self.lists,
            Value::Object(_) => !self.objects,
            _ => false,
        };
        match becomes_text && self.text {
            true => text_of(&value).into(),
            false => self.within(value),
        }
    }

    fn within(&self, value: Value) -> Value {
        match value {
            Value::Bool(_) if self.text && !self.booleans => text_of(&value).into(),
            Value::Number(_) if self.text && !self.numbers => text_of(&value).into(),
            Value::Array(items) => {
                let item = |item| match &self.items {
                    Some(fit) => fit.within(item),
                    None => item,
                };
                items.into_iter().map(item).collect()
            }
            Value::Object(fields) => {
                let field = |(key, field): (String, Value)| {
                    let fitted = match self.field(&key) {
                        Some(fit) => fit.within(field),
                        None => field,
                    };
                    (key, fitted)
                };
                Value::Object(fields.into_iter().map(field).collect())
            }
            other => other,
        }
    }

    /// Puts the text that was written in the place of a number or boolean where a text is wanted.
    pub(crate) fn write(&self, value: &mut Value, place: &Place, spans: &SpanMap) {
        match value {
            Value::Bool(_) if self.text && !self.booleans => *value = written(value, place, spans),
            Value::Number(_) if self.text && !self.numbers => *value = written(value, place, spans),
            // Where any scalar may stand it becomes a text later, which is another one now and then.
            Value::Number(_) if self.is_of_scalars() => {
                let written = written(value, place, spans);
                if written != text_of(value) {
                    *value = written;
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if let Some(fit) = &self.items {
                        fit.write(item, &place.index(index), spans);
                    }
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    if let Some(fit) = self.field(key) {
                        fit.write(field, &place.key(key), spans);
                    }
                }
            }
            _ => {}
        }
    }

    /// A tree whose templates that are one placeholder give what is wanted where they stand.
    pub(super) fn tree(&self, tree: TemplateTree) -> TemplateTree {
        match tree {
            TemplateTree::Template(template) if template.is_single_placeholder() && !self.is_plain() => {
                TemplateTree::Fitted(template, self.clone().into())
            }
            TemplateTree::Array(items) => {
                let item = |item| match &self.items {
                    Some(fit) => fit.tree(item),
                    None => item,
                };
                TemplateTree::Array(items.into_iter().map(item).collect())
            }
            TemplateTree::Object(fields) => {
                let field = |(key, field): (String, TemplateTree)| {
                    let fitted = match self.field(&key) {
                        Some(fit) => fit.tree(field),
                        None => field,
                    };
                    (key, fitted)
                };
                TemplateTree::Object(fields.into_iter().map(field).collect())
            }
            other => other,
        }
    }
}

/// The text of a number or boolean as it is written in its file, else as templates have it.
fn written(value: &Value, place: &Place, spans: &SpanMap) -> Value {
    let written = spans.written(place.as_str()).map(str::to_owned);
    written.unwrap_or_else(|| text_of(value)).into()
}

fn text_of(value: &Value) -> String {
    dad_template::Value::from(value).to_text()
}

/// Reads a schema document, in which a schema may contain itself.
struct Reading<'a> {
    document: &'a Value,
    /// The references that were followed to the present place.
    followed: Vec<&'a str>,
    /// The number of places that may still be looked at.
    left: usize,
}

impl<'a> Reading<'a> {
    /// The demands of any of several schemas.
    fn fit(&mut self, schemas: &[&'a Value]) -> Fit {
        let before = self.followed.len();
        let mut flat = Vec::new();
        for schema in schemas {
            self.flatten(schema, &mut flat);
        }
        let accepts = |names: &[&str]| flat.iter().any(|schema| accepts(schema, names));
        let inside = |keyword: &str| -> Vec<&'a Value> {
            let found = flat.iter().filter_map(|schema| schema.get(keyword));
            found.filter(|schema| schema.is_object()).collect()
        };
        let mut properties: BTreeMap<&String, Vec<&'a Value>> = BTreeMap::new();
        for schema in inside("properties") {
            for (name, property) in schema.as_object().into_iter().flatten() {
                properties.entry(name).or_default().push(property);
            }
        }
        let fit = Fit {
            text: accepts(&["string"]),
            booleans: accepts(&["boolean"]),
            numbers: accepts(&["integer", "number"]),
            lists: accepts(&["array"]),
            objects: accepts(&["object"]),
            items: self.deeper(&inside("items")).map(Box::new),
            others: self.deeper(&inside("additionalProperties")).map(Box::new),
            fields: properties
                .into_iter()
                .filter_map(|(name, schemas)| Some((name.clone(), self.deeper(&schemas)?)))
                .collect(),
        };
        self.followed.truncate(before);
        fit
    }

    fn deeper(&mut self, schemas: &[&'a Value]) -> Option<Fit> {
        if schemas.is_empty() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.fit(schemas))
    }

    /// The schemas that a value may follow: the schema itself, what it refers to, and its alternatives. What is referred to
    /// within itself is left out, so that there is an end.
    fn flatten(&mut self, schema: &'a Value, out: &mut Vec<&'a Map<String, Value>>) {
        let Some(schema) = schema.as_object() else {
            return;
        };
        out.push(schema);
        let pointer = schema.get("$ref").and_then(Value::as_str);
        if let Some(pointer) = pointer.filter(|pointer| !self.followed.contains(pointer)) {
            self.followed.push(pointer);
            let target = pointer
                .strip_prefix('#')
                .and_then(|pointer| self.document.pointer(pointer));
            target.into_iter().for_each(|target| self.flatten(target, out));
        }
        let alternatives = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|keyword| schema.get(keyword)?.as_array())
            .flatten();
        for schema in alternatives {
            self.flatten(schema, out);
        }
    }
}

/// Whether a schema by itself accepts values of one of these types: one that is made of others leaves it to them.
fn accepts(schema: &Map<String, Value>, names: &[&str]) -> bool {
    let is_made_of_others = ["$ref", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword));
    match schema.get("type") {
        Some(Value::String(name)) => names.contains(&name.as_str()),
        Some(Value::Array(types)) => types
            .iter()
            .filter_map(Value::as_str)
            .any(|name| names.contains(&name)),
        _ => match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
            (Some(constant), _) => is_of(constant, names),
            (None, Some(constants)) => constants.iter().any(|constant| is_of(constant, names)),
            (None, None) => !is_made_of_others,
        },
    }
}

fn is_of(value: &Value, names: &[&str]) -> bool {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    names.contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "text": { "type": ["string", "null"] },
                "any": { "description": "anything" },
                "several": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
                "texts": { "type": "object", "additionalProperties": { "type": "string" } },
                "number": { "type": "integer" },
                "ops": { "type": "array", "items": { "$ref": "#/$defs/op" } },
            },
            "$defs": { "op": { "oneOf": [
                { "type": "object", "properties": { "type": { "const": "a" }, "content": { "type": "string" } } },
                { "type": "object", "properties": { "type": { "const": "b" }, "depth": { "type": "integer" } } },
            ] } },
        })
    }

    #[test]
    fn a_value_becomes_its_text_where_a_text_alone_is_wanted() {
        let fit = Fit::of(&schema());
        let at = |path: &str, value: Value| {
            let inside = path.split('.').try_fold(&fit, |fit, step| match step {
                "[]" => fit.items.as_deref(),
                "*" => fit.others.as_deref(),
                key => fit.fields.get(key),
            });
            inside.map(|fit| fit.fitted(value))
        };
        assert_eq!(at("text", json!(8080)), Some(json!("8080")));
        assert_eq!(at("text", json!({ "a": [1] })), Some(json!("{\"a\":[1]}")));
        assert_eq!(at("text", json!(null)), Some(json!(null)));
        assert_eq!(at("any", json!(true)), Some(json!(true)));
        assert_eq!(at("several", json!(1.5)), Some(json!("1.5")));
        assert_eq!(at("several", json!(["a", 2])), Some(json!(["a", "2"])));
        assert_eq!(at("several", json!({})), Some(json!("{}")));
        assert_eq!(
            at("texts", json!({ "P": 1, "Q": true, "R": [] })),
            Some(json!({ "P": "1", "Q": "true", "R": [] }))
        );
        assert_eq!(at("number", json!(3)), Some(json!(3)));
        assert_eq!(
            at("ops", json!([{ "content": 5, "depth": 5 }])),
            Some(json!([{ "content": "5", "depth": 5 }]))
        );
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        let inner: Map<String, Value> = ["a", "b", "c", "d", "e", "f"]
            .into_iter()
            .map(|name| (name.to_owned(), json!({ "$ref": "#/$defs/tree" })))
            .chain([("name".to_owned(), json!({ "type": "string" }))])
            .collect();
        let document = json!({
            "$ref": "#/$defs/tree",
            "$defs": { "tree": { "type": "object", "properties": inner } },
        });
        let fit = Fit::of(&document);
        assert_eq!(
            fit.fitted(json!({ "name": 1, "a": { "b": 2 } })),
            json!({ "name": "1", "a": { "b": 2 } })
        );
    }

    #[test]
    fn what_is_written_as_a_number_stays_a_number_where_one_is_wanted() {
        let mut value =
            json!({ "text": 1.5, "number": 2, "ops": [{ "content": false, "depth": 1 }], "any": 1, "x": 1 });
        Fit::of(&schema()).write(&mut value, &Place::root(), &SpanMap::default());
        let wanted = json!({ "text": "1.5", "number": 2, "ops": [{ "content": "false", "depth": 1 }], "any": 1, "x": 1 });
        assert_eq!(value, wanted);
    }
}
