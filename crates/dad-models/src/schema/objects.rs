//! Copies of objects.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::describe::{add, describe};
use super::nulls::{with_null, without_null};
use super::place::Place;
use super::plain::typed;
use super::source::Form;
use super::table::{Maps, Optional};
use super::write::{Inside, Writer};

type Object = Map<String, Value>;

impl Writer<'_> {
    pub(super) fn object(&mut self, map: &Object, place: &Place<'_>, inside: Inside) -> Object {
        let none = Object::new();
        let properties = map.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = required(map);
        let mut copies: Vec<(String, Value)> = Vec::with_capacity(properties.len());
        let mut lines = Vec::new();
        let own = place.key("properties");
        for (name, schema) in properties {
            let is_required = required.contains(name.as_str());
            let place = own.key(name);
            let copy = if is_required {
                self.below(schema, &place, inside)
            } else {
                self.optional(schema, &place, inside.below_optional())
            };
            if let Some(text) = text_beside(schema).filter(|_| copy.get("description").is_none()) {
                lines.push(format!("- {name}: {text}"));
            }
            copies.push((name.clone(), copy));
        }
        if self.rules.optional == Optional::AsNull {
            // A property with one fixed value tells alternatives apart, if it comes first.
            copies.sort_by_key(|(_, copy)| !is_fixed(copy));
        }
        let mut copy = typed(&["object"]);
        let sent: Vec<String> = match self.rules.optional {
            Optional::AsNull => copies.iter().map(|(name, _)| name.clone()).collect(),
            Optional::NotNull | Optional::Kept => {
                let names = copies.iter().map(|(name, _)| name);
                names
                    .filter(|name| required.contains(name.as_str()))
                    .cloned()
                    .collect()
            }
        };
        copy.insert("properties".to_owned(), copies.into_iter().collect());
        // OpenAI wants the list even of an object without properties.
        if !sent.is_empty() || self.rules.optional == Optional::AsNull {
            copy.insert("required".to_owned(), json!(sent));
        }
        let keys = self.other_keys(map, properties, &required, place, inside);
        copy.insert("additionalProperties".to_owned(), keys);
        describe(&mut copy, map);
        add(&mut copy, &lines.join("\n"));
        copy
    }

    /// `additionalProperties` of a copy: open only where the provider cannot enforce the original.
    fn other_keys(
        &mut self,
        map: &Object,
        properties: &Object,
        required: &HashSet<&str>,
        place: &Place<'_>,
        inside: Inside,
    ) -> Value {
        let provider = self.rules.provider;
        let unknown = ["patternProperties", "unevaluatedProperties", "dependencies"]
            .into_iter()
            .find(|key| match map.get(*key) {
                None | Some(Value::Bool(false)) => false,
                Some(Value::Object(none)) => !none.is_empty() || *key == "unevaluatedProperties",
                Some(_) => true,
            });
        if let Some(key) = unknown {
            self.refuse(&place.key(key), format!("{provider} does not know `{key}`"));
            return Value::Bool(true);
        }
        if let Some(unnamed) = required.iter().find(|name| !properties.contains_key(**name)) {
            let reason =
                format!("`{unnamed}` is required and is none of the properties: name it in `properties`");
            self.refuse(&place.key("required"), reason);
            return Value::Bool(true);
        }
        let others = map.get("additionalProperties");
        if let Some(schema) = others.filter(|others| others.is_object())
            && self.rules.maps == Maps::OfSchema
        {
            return self.below(schema, &place.key("additionalProperties"), inside);
        }
        match others {
            Some(Value::Bool(false)) => Value::Bool(false),
            None if map.contains_key("properties") => Value::Bool(false),
            Some(_) => {
                let reason = format!(
                    "{provider} knows only objects whose keys are all named in `properties`: use an array of objects with a key and a value"
                );
                self.refuse(&place.key("additionalProperties"), reason);
                Value::Bool(true)
            }
            None => {
                let reason = "every object is allowed here: name its keys in `properties`";
                self.refuse(place, reason);
                Value::Bool(true)
            }
        }
    }

    /// The copy of a property that may be left out.
    fn optional(&mut self, schema: &Value, place: &Place<'_>, inside: Inside) -> Value {
        match self.rules.optional {
            Optional::Kept => self.below(schema, place, inside),
            Optional::AsNull => {
                let copy = self.below(schema, place, inside);
                if self.source.accepts_null(schema) {
                    copy
                } else {
                    with_null(copy)
                }
            }
            Optional::NotNull => {
                let rest = self.beside_null(schema);
                let copy = self.below(rest.as_ref().unwrap_or(schema), place, inside);
                without_null(copy)
            }
        }
    }

    /// The only other alternative of a schema that may be `null`.
    fn beside_null(&self, schema: &Value) -> Option<Value> {
        let Ok(Form::Union { notes, branches, .. }) = self.source.form(schema) else {
            return None;
        };
        let is_null = |branch: &&Cow<'_, Value>| branch.get("type").is_some_and(|kind| kind == "null");
        let rest: Vec<_> = branches.iter().filter(|branch| !is_null(branch)).collect();
        let [only] = rest.as_slice() else {
            return None;
        };
        if notes.is_empty() {
            return Some(only.as_ref().clone());
        }
        let mut whole = notes;
        whole.insert("allOf".to_owned(), json!([only]));
        Some(Value::Object(whole))
    }
}

/// The text beside a reference, where a copy has none.
fn text_beside(schema: &Value) -> Option<String> {
    let map = schema.as_object().filter(|map| map.contains_key("$ref"))?;
    let mut copy = Object::new();
    describe(&mut copy, map);
    Some(copy.get("description")?.as_str()?.to_owned())
}

/// The names of properties that may not be left out.
pub(super) fn required(map: &Object) -> HashSet<&str> {
    let names = map.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a copy allows exactly one value.
fn is_fixed(copy: &Value) -> bool {
    copy.get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| values.len() == 1)
}
