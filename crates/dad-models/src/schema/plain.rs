//! Copies of schemas with a type: objects, arrays, texts, numbers.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::describe::{add, describe};
use super::merge::{kinds, types};
use super::place::Place;
use super::source::Form;
use super::table::{Enums, Lengths, Maps, Optional, Patterns, Tuples};
use super::write::{Inside, Writer};

type Object = Map<String, Value>;

const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

impl Writer<'_> {
    /// The copy of a schema without references and alternatives.
    pub(super) fn plain(&mut self, map: &Object, place: &Place<'_>, inside: Inside) -> Object {
        let kinds = kinds(map);
        if let Some(unknown) = kinds.iter().find(|kind| !TYPES.contains(kind)) {
            self.refuse(
                &place.key("type"),
                format!("`{unknown}` is no type: one of {}", TYPES.join(", ")),
            );
            return described(map);
        }
        if map.contains_key("enum") || map.contains_key("const") {
            return self.listed(map, &kinds, place);
        }
        match kinds.as_slice() {
            [] => {
                self.refuse(place, "it has no `type`: give it one");
                described(map)
            }
            ["object"] => self.object(map, place, inside),
            ["array"] => self.array(map, place, inside),
            many if many.len() > 1 && many.iter().any(|kind| ["object", "array"].contains(kind)) => {
                self.split(map, many, place, inside)
            }
            _ => self.scalar(map, &kinds),
        }
    }

    /// The types of a list, as alternatives.
    fn split(&mut self, map: &Object, kinds: &[&str], place: &Place<'_>, inside: Inside) -> Object {
        let (notes, rest): (Object, Object) = map
            .clone()
            .into_iter()
            .partition(|(key, _)| super::merge::ANNOTATIONS.contains(&key.as_str()));
        let branches: Vec<Value> = kinds
            .iter()
            .map(|kind| {
                let own = rest.iter().filter(|(key, _)| belongs(key, kind));
                let mut branch: Object = own.map(|(key, value)| (key.clone(), value.clone())).collect();
                branch.insert("type".to_owned(), json!(kind));
                Value::Object(branch)
            })
            .collect();
        let branches: Vec<&Value> = branches.iter().collect();
        self.union(&notes, &branches, place, inside)
    }

    fn scalar(&mut self, map: &Object, kinds: &[&str]) -> Object {
        let mut copy = typed(kinds);
        for (key, value) in map {
            let is_known = match key.as_str() {
                "format" => {
                    kinds.contains(&"string")
                        && value
                            .as_str()
                            .is_some_and(|format| self.rules.formats.contains(&format))
                }
                "pattern" => {
                    kinds.contains(&"string")
                        && self.rules.patterns == Patterns::Simple
                        && value.as_str().is_some_and(is_simple)
                }
                number => {
                    self.rules.numbers.contains(&number)
                        && value.is_number()
                        && kinds.iter().any(|kind| ["integer", "number"].contains(kind))
                }
            };
            if is_known {
                copy.insert(key.clone(), value.clone());
            }
        }
        describe(&mut copy, map);
        copy
    }

    /// The copy of a list of values.
    fn listed(&mut self, map: &Object, kinds: &[&str], place: &Place<'_>) -> Object {
        let mut seen = HashSet::new();
        let all = match (map.get("enum"), map.get("const")) {
            (Some(Value::Array(values)), _) => values.as_slice(),
            (None, Some(only)) => std::slice::from_ref(only),
            _ => &[],
        };
        let values: Vec<&Value> = all
            .iter()
            .filter(|value| kinds.is_empty() || kinds.iter().any(|kind| is_of(value, kind)))
            .filter(|value| seen.insert(value.to_string()))
            .collect();
        if values.is_empty() {
            self.refuse(place, "no value is allowed here: name at least one in `enum`");
            return described(map);
        }
        let is_known = |value: &&Value| match self.rules.enums {
            Enums::Primitives => !value.is_object() && !value.is_array(),
            Enums::TextAndNumbers => value.is_string() || value.is_number(),
        };
        let (known, unknown): (Vec<&Value>, Vec<&Value>) = values.iter().partition(|value| is_known(value));
        let needs_object = |value: &&Value| value.is_object() || value.is_array();
        if unknown.iter().any(needs_object) {
            self.refuse(
                place,
                format!(
                    "{} knows no lists of objects or arrays as fixed values",
                    self.rules.provider
                ),
            );
            return described(map);
        }
        let mut branches = Vec::new();
        if !known.is_empty() {
            let mut copy = typed(&kinds_of(&known, kinds));
            copy.insert("enum".to_owned(), json!(known));
            branches.push(copy);
        }
        if !unknown.is_empty() {
            branches.push(typed(&kinds_of(&unknown, &[])));
        }
        let mut copy = match <[Object; 1]>::try_from(branches) {
            Ok([only]) => only,
            Err(branches) => Object::from_iter([("anyOf".to_owned(), json!(branches))]),
        };
        // `null` is said by its type. One fixed boolean is not.
        let mut left_out = map.clone();
        if unknown.iter().all(|value| value.is_null()) {
            left_out.remove("enum");
            left_out.remove("const");
        }
        describe(&mut copy, &left_out);
        copy
    }

    fn object(&mut self, map: &Object, place: &Place<'_>, inside: Inside) -> Object {
        let none = Object::new();
        let properties = map.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = required(map);
        let mut copies: Vec<(String, Value)> = Vec::with_capacity(properties.len());
        let own = place.key("properties");
        for (name, schema) in properties {
            let is_required = required.contains(name.as_str());
            let place = own.key(name);
            let copy = if is_required {
                self.below(schema, &place, inside)
            } else {
                self.optional(schema, &place, inside.below_optional())
            };
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
        let is_null =
            |branch: &&std::borrow::Cow<'_, Value>| branch.get("type").is_some_and(|kind| kind == "null");
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

    fn array(&mut self, map: &Object, place: &Place<'_>, inside: Inside) -> Object {
        let mut copy = typed(&["array"]);
        let mut map = map.clone();
        let prefix = match map.get("prefixItems") {
            Some(Value::Array(prefix)) if !prefix.is_empty() => prefix.clone(),
            _ => Vec::new(),
        };
        let items = map.get("items").cloned();
        if prefix.is_empty() {
            match &items {
                Some(items) => {
                    let items = self.below(items, &place.key("items"), inside);
                    copy.insert("items".to_owned(), items);
                }
                None => self.refuse(
                    place,
                    "every element is allowed here: give the elements a type with `items`",
                ),
            }
        } else {
            self.tuple(&mut copy, &mut map, &prefix, place, inside);
        }
        for key in ["minItems", "maxItems"] {
            let Some(length) = map.get(key) else {
                continue;
            };
            let is_known = length.as_u64().is_some_and(|length| match self.rules.lengths {
                Lengths::UpTo(most) => length <= most,
                Lengths::NonEmpty => key == "minItems" && length <= 1,
            });
            if is_known {
                copy.insert(key.to_owned(), length.clone());
            }
        }
        describe(&mut copy, &map);
        copy
    }

    /// The elements of an array that has a schema for each position.
    fn tuple(
        &mut self,
        copy: &mut Object,
        map: &mut Object,
        prefix: &[Value],
        place: &Place<'_>,
        inside: Inside,
    ) {
        let own = place.key("prefixItems");
        let rest = map
            .remove("items")
            .filter(|rest| !matches!(self.source.form(rest), Ok(Form::Never | Form::Any)));
        match self.rules.tuples {
            Tuples::Kept => {
                let prefix: Vec<Value> = prefix
                    .iter()
                    .enumerate()
                    .map(|(index, schema)| self.below(schema, &own.index(index), inside))
                    .collect();
                copy.insert("prefixItems".to_owned(), Value::Array(prefix));
                if let Some(rest) = &rest {
                    let rest = self.below(rest, &place.key("items"), inside);
                    copy.insert("items".to_owned(), rest);
                }
            }
            Tuples::AsUnion => {
                let branches: Vec<&Value> = prefix.iter().chain(&rest).collect();
                let items = self.union(&Object::new(), &branches, &own, inside);
                copy.insert("items".to_owned(), Value::Object(items));
            }
        }
        if rest.is_none() {
            let most = map.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
            let most = most.min(prefix.len() as u64);
            map.insert("maxItems".to_owned(), json!(most));
        }
    }
}

/// A copy of a schema that cannot be enforced: only its text.
fn described(map: &Object) -> Object {
    let mut copy = Object::new();
    describe(&mut copy, map);
    copy
}

/// The names of properties that may not be left out.
pub(super) fn required(map: &Object) -> HashSet<&str> {
    let names = map.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn typed(kinds: &[&str]) -> Object {
    let kinds = match kinds {
        [only] => json!(only),
        many => json!(many),
    };
    Object::from_iter([("type".to_owned(), kinds)])
}

/// The types of fixed values, of those that are allowed.
fn kinds_of(values: &[&Value], allowed: &[&str]) -> Vec<&'static str> {
    // `integer` before `number`, which it would be as well.
    let order = [
        "string", "integer", "number", "boolean", "null", "array", "object",
    ];
    let mut kinds: Vec<&str> = Vec::new();
    for value in values {
        let mut fitting = order
            .iter()
            .filter(|kind| is_of(value, kind) && (allowed.is_empty() || allowed.contains(kind)));
        if let Some(kind) = fitting.next()
            && !kinds.contains(kind)
        {
            kinds.push(kind);
        }
    }
    if kinds.contains(&"number") {
        kinds.retain(|kind| *kind != "integer");
    }
    kinds
}

/// Whether a value is of a type.
pub(super) fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
        Value::Number(number) => {
            let is_whole = number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|number| number.fract() == 0.0);
            kind == "number" || kind == "integer" && is_whole
        }
    }
}

/// Whether a keyword says something about values of a type.
fn belongs(key: &str, kind: &str) -> bool {
    const OBJECT: &[&str] = &[
        "additionalProperties",
        "dependencies",
        "maxProperties",
        "minProperties",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
        "unevaluatedProperties",
    ];
    const ARRAY: &[&str] = &[
        "contains",
        "items",
        "maxItems",
        "minItems",
        "prefixItems",
        "uniqueItems",
    ];
    match kind {
        "object" => !ARRAY.contains(&key),
        "array" => !OBJECT.contains(&key),
        _ => !OBJECT.contains(&key) && !ARRAY.contains(&key),
    }
}

/// Whether a copy allows exactly one value.
fn is_fixed(copy: &Value) -> bool {
    copy.get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| values.len() == 1)
}

/// Whether a regular expression needs nothing but repetition, classes and alternatives.
fn is_simple(pattern: &str) -> bool {
    if pattern.contains("(?") {
        return false;
    }
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character == '\\'
            && characters
                .next()
                .is_none_or(|next| next.is_ascii_digit() || "bBkpP".contains(next))
        {
            return false;
        }
    }
    true
}

/// A copy that allows `null` as well.
fn with_null(copy: Value) -> Value {
    let mut copy = match copy {
        Value::Object(copy) => copy,
        other => return other,
    };
    let nothing = json!({ "type": "null" });
    if let Some(Value::Array(branches)) = copy.get_mut("anyOf") {
        branches.push(nothing);
        return Value::Object(copy);
    }
    let is_scalar = !copy.contains_key("enum")
        && copy
            .get("type")
            .is_some_and(|kind| !["object", "array"].contains(&kind.as_str().unwrap_or_default()));
    if is_scalar && let Some(kinds) = copy.get_mut("type") {
        let mut all: Vec<Value> = types(kinds).into_iter().map(Value::from).collect();
        all.push(json!("null"));
        *kinds = Value::Array(all);
        return Value::Object(copy);
    }
    let mut whole = Object::new();
    let description = copy.remove("description");
    whole.insert("anyOf".to_owned(), json!([copy, nothing]));
    add(
        &mut whole,
        description.as_ref().and_then(Value::as_str).unwrap_or_default(),
    );
    Value::Object(whole)
}

/// A copy that does not allow `null`, unless it allows nothing else.
fn without_null(copy: Value) -> Value {
    let mut copy = match copy {
        Value::Object(copy) => copy,
        other => return other,
    };
    if let Some(Value::Array(values)) = copy.get_mut("enum")
        && values.len() > 1
    {
        values.retain(|value| !value.is_null());
    }
    if let Some(kinds @ Value::Array(_)) = copy.get_mut("type") {
        let mut rest = types(kinds);
        rest.retain(|kind| *kind != "null");
        match rest.as_slice() {
            [] => {}
            [only] => *kinds = json!(only),
            many => *kinds = json!(many),
        }
    }
    let Some(Value::Array(branches)) = copy.get_mut("anyOf") else {
        return Value::Object(copy);
    };
    if branches.len() > 1 {
        branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    }
    if branches.len() != 1 || branches.iter().any(|branch| branch.get("$ref").is_some()) {
        return Value::Object(copy);
    }
    let only = copy
        .remove("anyOf")
        .and_then(|mut branches| Some(branches.as_array_mut()?.pop()?));
    let Some(Value::Object(mut only)) = only else {
        return Value::Object(copy);
    };
    let own = only.remove("description");
    describe(&mut only, &copy);
    add(
        &mut only,
        own.as_ref().and_then(Value::as_str).unwrap_or_default(),
    );
    Value::Object(only)
}
