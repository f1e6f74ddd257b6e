//! Answers to a copy, brought back to the form of the original.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::merge::kinds;
use super::objects::required;
use super::source::{Form, MAX_DEPTH, Source};
use super::values::is_of;

/// The walk through an answer beside its schema.
pub(super) struct Restorer<'a> {
    pub(super) source: &'a Source<'a>,
}

impl Restorer<'_> {
    /// Takes away each `null` that stands for a property that was left out.
    pub(super) fn clean(&self, value: &mut Value, schema: &Value, depth: usize) {
        if depth >= MAX_DEPTH || !(value.is_object() || value.is_array()) {
            return;
        }
        match self.source.body(schema) {
            Ok(Form::Plain(map)) => self.clean_plain(value, &map, depth),
            Ok(Form::Union { branches, .. }) => {
                if let Some(branch) = self.fitting(value, &branches, depth) {
                    self.clean(value, branch, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn clean_plain(&self, value: &mut Value, map: &Map<String, Value>, depth: usize) {
        match value {
            Value::Object(object) => {
                let required = required(map);
                let properties = map.get("properties").and_then(Value::as_object);
                let schema_of = |name: &str| properties.and_then(|properties| properties.get(name));
                object.retain(|name, value| {
                    let is_left_out = value.is_null()
                        && !required.contains(name.as_str())
                        && schema_of(name).is_some_and(|schema| !self.source.accepts_null(schema));
                    !is_left_out
                });
                let others = map.get("additionalProperties");
                for (name, value) in object {
                    if let Some(schema) = schema_of(name).or(others) {
                        self.clean(value, schema, depth + 1);
                    }
                }
            }
            Value::Array(elements) => {
                let prefix = map.get("prefixItems").and_then(Value::as_array);
                let items = map.get("items");
                for (index, element) in elements.iter_mut().enumerate() {
                    let own = prefix.and_then(|prefix| prefix.get(index));
                    if let Some(schema) = own.or(items) {
                        self.clean(element, schema, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    /// The alternative that an answer was made for: the first whose properties are exactly those of the answer, or else the
    /// first that could be meant.
    fn fitting<'b>(&self, value: &Value, branches: &'b [Cow<'_, Value>], depth: usize) -> Option<&'b Value> {
        let mut possible = None;
        for branch in branches {
            match self.fit(value, branch, depth) {
                Fit::Exact => return Some(branch),
                Fit::Possible => {
                    possible.get_or_insert(branch.as_ref());
                }
                Fit::None => {}
            }
        }
        possible
    }

    fn fit(&self, value: &Value, schema: &Value, depth: usize) -> Fit {
        if depth >= MAX_DEPTH {
            return Fit::None;
        }
        match self.source.body(schema) {
            Ok(Form::Any) => Fit::Possible,
            Ok(Form::Plain(map)) => self.fit_plain(value, &map, depth),
            Ok(Form::Union { branches, .. }) => branches
                .iter()
                .map(|branch| self.fit(value, branch, depth + 1))
                .max()
                .unwrap_or(Fit::None),
            _ => Fit::None,
        }
    }

    fn fit_plain(&self, value: &Value, map: &Map<String, Value>, depth: usize) -> Fit {
        let kinds = kinds(map);
        let is_typed = kinds.is_empty() || kinds.iter().any(|kind| is_of(value, kind));
        let listed = map.get("enum").and_then(Value::as_array);
        let is_listed = listed.is_none_or(|values| values.contains(value))
            && map.get("const").is_none_or(|only| only == value);
        if !is_typed || !is_listed {
            return Fit::None;
        }
        let Value::Object(object) = value else {
            return Fit::Possible;
        };
        let none = Map::new();
        let properties = map.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let has_all = required(map).iter().all(|name| object.contains_key(*name));
        let is_known = |name: &String| properties.contains_key(name);
        let is_open = !matches!(map.get("additionalProperties"), Some(Value::Bool(false)));
        let has_no_other = is_open || object.keys().all(is_known);
        let values_fit = properties.iter().all(|(name, schema)| match object.get(name) {
            // The `null` of a property that is left out.
            None | Some(Value::Null) => true,
            Some(value) => self.fit(value, schema, depth + 1) != Fit::None,
        });
        if !has_all || !has_no_other || !values_fit {
            return Fit::None;
        }
        if properties.len() == object.len() && object.keys().all(is_known) {
            Fit::Exact
        } else {
            Fit::Possible
        }
    }
}

/// The relation of an answer to an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    None,
    Possible,
    Exact,
}
