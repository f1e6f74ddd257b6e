//! JSON Schema for values that are not rendered yet: a template may stand anywhere.
//!
//! Only what `schemars` writes is understood; a keyword that is not is not checked here, and the node's own typed
//! settings check it when they are rendered.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::compile::view::{Kind, View};
use crate::node_types::SettingsProblem;
use crate::place::Place;
use crate::problem::{MAX_PROBLEMS, Problem, quoted};
use crate::spans::SpanMap;

/// Most `$ref`s that are followed without going deeper into the value.
const MAX_HOPS: usize = 16;

/// Something wrong with settings, not yet in a file.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    code: &'static str,
    message: String,
    hint: Option<String>,
    place: Place,
    at_key: bool,
}

impl Finding {
    fn new(code: &'static str, message: String, place: &Place) -> Self {
        Self {
            code,
            message,
            hint: None,
            place: place.clone(),
            at_key: false,
        }
    }

    pub(super) fn at_key(code: &'static str, message: String, place: &Place) -> Self {
        Self {
            at_key: true,
            ..Self::new(code, message, place)
        }
    }

    fn nearest<'n>(mut self, wanted: &str, candidates: impl IntoIterator<Item = &'n str>) -> Self {
        self.hint = dad_core::nearest(wanted, candidates).map(|name| format!("did you mean `{name}`?"));
        self
    }

    /// The finding as one about settings by themselves.
    pub(super) fn into_settings_problem(self) -> SettingsProblem {
        SettingsProblem {
            place: self.place.to_string(),
            code: self.code,
            message: self.message,
            hint: self.hint,
        }
    }

    pub(super) fn into_problem(self, spans: &SpanMap) -> Problem {
        let problem = Problem::new(self.code, self.message);
        let problem = if self.at_key {
            problem.at_key(spans, &self.place)
        } else {
            problem.at(spans, &self.place)
        };
        Problem {
            hint: self.hint,
            ..problem
        }
    }
}

/// Checks values against one schema document.
pub(super) struct Checker<'a> {
    document: &'a Value,
    /// Places about which everything is said.
    settled: &'a HashSet<String>,
}

impl<'a> Checker<'a> {
    pub(super) const fn new(document: &'a Value, settled: &'a HashSet<String>) -> Self {
        Self { document, settled }
    }

    /// Everything about a value that the schema does not allow.
    pub(super) fn check(&self, view: View<'_>, place: &Place) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.value(self.document, view, place, 0, &mut findings);
        self.forgotten(view, place, &mut findings);
        findings
    }

    /// Reports keys that the document does not name, if it says nothing about others: a misspelt setting must not be
    /// ignored in silence because its type forgot to refuse unknown ones.
    fn forgotten(&self, view: View<'_>, place: &Place, out: &mut Vec<Finding>) {
        let Some(schema) = self.document.as_object() else {
            return;
        };
        let others = [
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
        ];
        if schema.contains_key("properties") && !others.iter().any(|keyword| schema.contains_key(*keyword)) {
            let mut known = Vec::new();
            self.property_names(schema, 0, &mut known);
            for (key, _) in view.fields() {
                self.unknown(key, &known, place, out);
            }
        }
    }

    /// Reports a key that is not among the known ones.
    fn unknown(&self, key: &str, known: &[&str], place: &Place, out: &mut Vec<Finding>) {
        let place = place.key(key);
        if known.contains(&key) || self.settled.contains(place.as_str()) {
            return;
        }
        let finding = Finding::at_key("unknown_key", format!("unknown key {}", quoted(key)), &place);
        // More are not shown, and looking for the nearest of many names takes time.
        let known = if out.len() < MAX_PROBLEMS { known } else { &[] };
        let mut finding = finding.nearest(key, known.iter().copied());
        if finding.hint.is_none() && !known.is_empty() {
            finding.hint = Some(format!("the keys here are {}", known.join(", ")));
        }
        out.push(finding);
    }

    fn value(&self, schema: &Value, view: View<'_>, place: &Place, hops: usize, out: &mut Vec<Finding>) {
        if view.kind() == Kind::Any || self.settled.contains(place.as_str()) {
            return;
        }
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => {
                out.push(Finding::at_key(
                    "unknown_key",
                    "nothing is allowed here".to_owned(),
                    place,
                ));
                return;
            }
            _ => return,
        };
        if hops > MAX_HOPS {
            return;
        }
        if let Some(target) = self.referenced(schema) {
            self.value(target, view, place, hops + 1, out);
        }
        for part in parts(schema, "allOf") {
            self.value(part, view, place, hops + 1, out);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(alternatives)) = schema.get(keyword) {
                self.alternatives(alternatives, view, place, hops + 1, out);
            }
        }
        if !self.accepts_kind(schema, view.kind()) {
            out.push(wrong_type(&type_words(schema), view, place));
            return;
        }
        constant(schema, view, place, out);
        bounds(schema, view, place, out);
        match view.kind() {
            Kind::List => self.list(schema, view, place, out),
            Kind::Object => self.object(schema, view, place, out),
            _ => {}
        }
    }

    fn referenced(&self, schema: &Map<String, Value>) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.document.pointer(pointer)
    }

    /// The schema itself, or what it refers to if it does nothing else.
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let mut resolved = schema;
        for _ in 0..MAX_HOPS {
            match resolved.as_object().and_then(|schema| self.referenced(schema)) {
                Some(target) => resolved = target,
                None => break,
            }
        }
        resolved
    }

    fn accepts_kind(&self, schema: &Map<String, Value>, kind: Kind) -> bool {
        let accepts = |name: &str| match kind {
            Kind::Null => name == "null",
            Kind::Boolean => name == "boolean",
            Kind::Integer => name == "integer" || name == "number",
            Kind::Number => name == "number",
            Kind::Text => name == "string",
            Kind::List => name == "array",
            Kind::Object => name == "object",
            Kind::Any => true,
        };
        let names = type_names(schema);
        names.is_empty() || names.into_iter().any(accepts)
    }

    fn list(&self, schema: &Map<String, Value>, view: View<'_>, place: &Place, out: &mut Vec<Finding>) {
        let first: &[Value] = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice);
        for (index, item) in view.items().into_iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                self.value(schema, item, &place.index(index), 0, out);
            }
        }
    }

    fn object(&self, schema: &Map<String, Value>, view: View<'_>, place: &Place, out: &mut Vec<Finding>) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let closed = others == Some(&Value::Bool(false))
            || schema.get("unevaluatedProperties") == Some(&Value::Bool(false));
        let mut known = Vec::new();
        if closed {
            self.property_names(schema, 0, &mut known);
        }
        let has_patterns = schema.contains_key("patternProperties");
        for (key, field) in view.fields() {
            match properties.and_then(|properties| properties.get(key)) {
                Some(property) => self.value(property, field, &place.key(key), 0, out),
                None if has_patterns => {}
                None if closed => self.unknown(key, &known, place, out),
                None => {
                    if let Some(others @ Value::Object(_)) = others {
                        self.value(others, field, &place.key(key), 0, out);
                    }
                }
            }
        }
        for key in parts(schema, "required").iter().filter_map(Value::as_str) {
            if view.field(key).is_none() {
                let message = format!("the key `{key}` is missing");
                out.push(Finding::new("missing_key", message, place));
            }
        }
    }

    /// All keys that a schema and what it is made of name.
    fn property_names<'s>(&'s self, schema: &'s Map<String, Value>, hops: usize, names: &mut Vec<&'s str>) {
        if hops > MAX_HOPS {
            return;
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            names.extend(properties.keys().map(String::as_str));
        }
        let composed = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .flat_map(|keyword| parts(schema, keyword));
        for part in composed
            .chain(self.referenced(schema))
            .filter_map(Value::as_object)
        {
            self.property_names(part, hops + 1, names);
        }
    }

    /// Reports a value that fits none of several schemas, in the words of the one that was most likely meant.
    fn alternatives(
        &self,
        alternatives: &[Value],
        view: View<'_>,
        place: &Place,
        hops: usize,
        out: &mut Vec<Finding>,
    ) {
        let alternatives: Vec<&Value> = alternatives.iter().map(|schema| self.resolved(schema)).collect();
        let words: Vec<&Value> = alternatives.iter().flat_map(|schema| constants(schema)).collect();
        // Nothing is put into words about the others if one is the very value.
        if view.literal().is_some_and(|value| words.contains(&value)) {
            return;
        }
        let is_of_kind = |schema: &&Value| {
            let schema = schema.as_object();
            schema.is_none_or(|schema| self.accepts_kind(schema, view.kind()))
        };
        let mut of_kind: Vec<(&Value, Vec<Finding>)> = Vec::new();
        for schema in alternatives.iter().copied().filter(is_of_kind) {
            let mut findings = Vec::new();
            self.value(schema, view, place, hops, &mut findings);
            if findings.is_empty() {
                return;
            }
            of_kind.push((schema, findings));
        }
        if of_kind.is_empty() {
            let mut wanted: Vec<String> = Vec::new();
            for word in alternatives
                .iter()
                .filter_map(|schema| schema.as_object())
                .flat_map(type_words)
            {
                if !wanted.contains(&word) {
                    wanted.push(word);
                }
            }
            out.push(wrong_type(&wanted, view, place));
            return;
        }
        if of_kind.iter().all(|(schema, _)| !constants(schema).is_empty()) {
            out.push(wrong_constant(&words, view, place));
            return;
        }
        let schemas: Vec<&Value> = of_kind.iter().map(|(schema, _)| *schema).collect();
        if let Some(finding) = wrong_tag(&schemas, view, place) {
            out.push(finding);
            return;
        }
        let tagged = of_kind.iter().find(|(schema, _)| has_tag_of(schema, view));
        let fewest = || of_kind.iter().min_by_key(|(_, findings)| findings.len());
        if let Some((_, findings)) = tagged.or_else(fewest) {
            out.extend(findings.iter().cloned());
        }
    }
}

/// All keys that a schema of a document and what it is made of name.
pub(crate) fn known_keys(document: &Value, schema: &Map<String, Value>) -> Vec<String> {
    let settled = HashSet::new();
    let checker = Checker::new(document, &settled);
    let mut names = Vec::new();
    checker.property_names(schema, 0, &mut names);
    names.into_iter().map(str::to_owned).collect()
}

/// The schemas, or names, of a keyword whose value is a list.
fn parts<'s>(schema: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn type_names(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The types that a schema allows, in words of messages. Null is left out where something else is allowed.
fn type_words(schema: &Map<String, Value>) -> Vec<String> {
    let names = type_names(schema);
    let only_null = names == ["null"];
    let words = names
        .into_iter()
        .filter(|name| *name != "null" || only_null)
        .map(|name| match name {
            "string" => "a text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            "array" => "a list",
            "object" => "a mapping",
            "null" => "`null`",
            other => other,
        });
    words.map(str::to_owned).collect()
}

fn wrong_type(wanted: &[String], view: View<'_>, place: &Place) -> Finding {
    let wanted: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "`null`" || wanted.len() == 1)
        .collect();
    let message = format!("expected {}, found {}", wanted.join(" or "), view.describe());
    let mut finding = Finding::new("wrong_type", message, place);
    if view.kind() == Kind::Text && view.literal().is_none() {
        finding.hint = Some("a text that is exactly one placeholder keeps the type of its value".to_owned());
    }
    // So YAML reads a text with a colon and a blank in it.
    if view.kind() == Kind::Object && view.fields().len() == 1 && wanted.contains(&"a text") {
        finding.hint = Some("a text with `: ` in it is put in quotes: `'…: …'`".to_owned());
    }
    finding
}

/// The values of `const` and `enum`.
fn constants(schema: &Value) -> Vec<&Value> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(constant), _) => vec![constant],
        (None, Some(Value::Array(constants))) => constants.iter().collect(),
        _ => Vec::new(),
    }
}

fn constant(schema: &Map<String, Value>, view: View<'_>, place: &Place, out: &mut Vec<Finding>) {
    let allowed: Vec<&Value> = match (schema.get("const"), schema.get("enum")) {
        (Some(constant), _) => vec![constant],
        (None, Some(Value::Array(constants))) => constants.iter().collect(),
        _ => return,
    };
    // A text with placeholders may become the right one.
    let possible = match view.literal() {
        Some(value) => allowed.contains(&value),
        None => view.kind() != Kind::Text || allowed.iter().any(|value| value.is_string()),
    };
    if !possible {
        out.push(wrong_constant(&allowed, view, place));
    }
}

fn wrong_constant(allowed: &[&Value], view: View<'_>, place: &Place) -> Finding {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<String> = allowed
        .iter()
        .filter(|value| !value.is_null())
        .map(|value| shown(value))
        .collect();
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let wanted = match listed.as_slice() {
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    };
    let finding = Finding::new(
        "wrong_value",
        format!("expected {wanted}, found {}", view.describe()),
        place,
    );
    match view.literal().and_then(Value::as_str) {
        Some(text) => finding.nearest(text, names.iter().map(String::as_str)),
        None => finding,
    }
}

fn bounds(schema: &Map<String, Value>, view: View<'_>, place: &Place, out: &mut Vec<Finding>) {
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    if let Some(number) = view
        .literal()
        .filter(|value| value.is_number())
        .and_then(Value::as_f64)
    {
        let refused = [
            (limit("minimum").filter(|limit| number < *limit), "at least"),
            (limit("maximum").filter(|limit| number > *limit), "at most"),
            (
                limit("exclusiveMinimum").filter(|limit| number <= *limit),
                "more than",
            ),
            (
                limit("exclusiveMaximum").filter(|limit| number >= *limit),
                "less than",
            ),
        ];
        for (limit, words) in refused {
            if let Some(limit) = limit {
                let message = format!("expected {words} {limit}, found {}", view.describe());
                out.push(Finding::new("wrong_value", message, place));
            }
        }
    }
    if view.kind() == Kind::List {
        let count = view.items().len();
        let limit = |keyword: &str| {
            schema
                .get(keyword)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        if let Some(limit) = limit("minItems").filter(|limit| count < *limit) {
            let message = format!("the list needs at least {limit} elements, it has {count}");
            out.push(Finding::new("wrong_value", message, place));
        }
        if let Some(limit) = limit("maxItems").filter(|limit| count > *limit) {
            let message = format!("the list may have at most {limit} elements, it has {count}");
            out.push(Finding::new("wrong_value", message, place));
        }
    }
}

/// The key that tells alternatives apart: in each of them it has a constant.
fn tag_of<'s>(schemas: &[&'s Value]) -> Option<&'s str> {
    let properties = schemas.first()?.get("properties")?.as_object()?;
    let is_tag = |key: &&String| schemas.iter().all(|schema| tag_value(schema, key).is_some());
    properties.keys().find(is_tag).map(String::as_str)
}

fn tag_value<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    constants(schema.get("properties")?.get(key)?).first().copied()
}

/// A tag that no alternative has.
fn wrong_tag(schemas: &[&Value], view: View<'_>, place: &Place) -> Option<Finding> {
    let tag = tag_of(schemas)?;
    let allowed: Vec<&Value> = schemas
        .iter()
        .filter_map(|schema| tag_value(schema, tag))
        .collect();
    let Some(field) = view.field(tag) else {
        let listed: Vec<String> = allowed
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        let mut finding = Finding::new("missing_key", format!("the key `{tag}` is missing"), place);
        finding.hint = Some(format!("it is one of {}", listed.join(", ")));
        return Some(finding);
    };
    let value = field.literal()?;
    (!allowed.contains(&value)).then(|| wrong_constant(&allowed, field, &place.key(tag)))
}

fn has_tag_of(schema: &Value, view: View<'_>) -> bool {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return false;
    };
    properties.keys().any(|key| {
        let value = view.field(key).and_then(View::literal);
        value.is_some() && tag_value(schema, key) == value
    })
}
