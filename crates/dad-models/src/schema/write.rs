//! The walk that writes the copy of a schema by the rules of a provider.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::choices::{Choice, Heads};
use super::describe::{add, describe};
use super::kinds::Unfit;
use super::place::Place;
use super::source::{Form, MAX_DEPTH, Source};
use super::table::{Recursion, Rules, Unenforced};

type Object = Map<String, Value>;

/// A copy, and the first place that the provider cannot enforce.
pub(super) struct Written {
    pub(super) root: Object,
    pub(super) definitions: Object,
    /// The names of the definitions that lead back to themselves.
    pub(super) circles: HashSet<String>,
    pub(super) unfit: Option<Unfit>,
}

/// The surroundings of a schema.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    depth: usize,
    /// Whether the definition that is written belongs to a circle of references.
    in_circle: bool,
    /// Whether a property that may be left out lies between the definition and this place.
    is_below_optional: bool,
}

impl Inside {
    /// The surroundings of a definition or of the root.
    fn top(in_circle: bool) -> Self {
        Self {
            depth: 0,
            in_circle,
            is_below_optional: false,
        }
    }

    /// The surroundings below a property that may be left out.
    pub(super) fn below_optional(self) -> Self {
        Self {
            is_below_optional: true,
            ..self
        }
    }

    fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

/// The writer of one copy.
pub(super) struct Writer<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) rules: &'static Rules,
    names: HashMap<String, String>,
    taken: HashSet<String>,
    /// The last number that a name needed to be another one. It only grows, so that no name is tried twice.
    number: usize,
    waiting: VecDeque<String>,
    choices: Vec<Choice>,
    unfit: Option<Unfit>,
}

/// Writes the copy of a schema.
pub(super) fn write(source: &Source<'_>, rules: &'static Rules) -> Written {
    let mut writer = Writer {
        source,
        rules,
        names: HashMap::new(),
        taken: HashSet::new(),
        number: 0,
        waiting: VecDeque::new(),
        choices: Vec::new(),
        unfit: None,
    };
    let inside = Inside::top(source.is_recursive(""));
    let root = writer.body(source.root(), &Place::ROOT, inside);
    let mut definitions = Object::new();
    let mut circles = HashSet::new();
    while let Some(pointer) = writer.waiting.pop_front() {
        let Some(schema) = source.at(&pointer) else {
            continue;
        };
        let inside = Inside::top(source.is_recursive(&pointer));
        let copy = writer.body(schema, &Place::At(&pointer), inside);
        let name = writer.name(&pointer);
        if inside.in_circle {
            circles.insert(name.clone());
        }
        definitions.insert(name, Value::Object(copy));
    }
    if let Some(unfit) = super::choices::first_clash(&writer.choices, &definitions, rules) {
        writer.unfit.get_or_insert(unfit);
    }
    Written {
        root,
        definitions,
        circles,
        unfit: writer.unfit,
    }
}

impl<'a> Writer<'a> {
    /// Notes a place that the provider cannot enforce. The first one is reported.
    pub(super) fn refuse(&mut self, place: &Place<'_>, reason: impl Into<String>) {
        if self.unfit.is_none() {
            self.unfit = Some(Unfit {
                pointer: place.pointer(),
                reason: reason.into(),
            });
        }
    }

    /// The copy of a schema.
    pub(super) fn schema(&mut self, schema: &Value, place: &Place<'_>, inside: Inside) -> Object {
        let source = self.source;
        let form = source.form(schema);
        self.written(form, place, inside)
    }

    /// The copy of a schema, which is never a reference.
    fn body(&mut self, schema: &Value, place: &Place<'_>, inside: Inside) -> Object {
        let source = self.source;
        let form = source.body(schema);
        self.written(form, place, inside)
    }

    fn written(&mut self, form: Result<Form<'_>, String>, place: &Place<'_>, inside: Inside) -> Object {
        if inside.depth >= MAX_DEPTH {
            self.refuse(
                place,
                format!("nested more than {MAX_DEPTH} levels deep: make it flatter"),
            );
            return Object::new();
        }
        if self.unfit.is_some() && self.rules.unenforced == Unenforced::Original {
            // The copy is not sent.
            return Object::new();
        }
        match form {
            Ok(Form::Any) => {
                self.refuse(place, "every value is allowed here: give it a type");
                Object::new()
            }
            Ok(Form::Never) => {
                self.refuse(place, "no value is allowed here");
                Object::new()
            }
            Ok(Form::Reference(pointer)) => self.reference(&pointer, place, inside),
            Ok(Form::Union { notes, branches, key }) => {
                let branches: Vec<&Value> = branches.iter().map(AsRef::as_ref).collect();
                match key {
                    Some(key) => self.union(&notes, &branches, &place.key(key), inside),
                    None => self.union(&notes, &branches, place, inside),
                }
            }
            Ok(Form::Plain(map)) => self.plain(&map, place, inside.deeper()),
            Err(reason) => {
                self.refuse(place, reason);
                Object::new()
            }
        }
    }

    fn reference(&mut self, pointer: &str, place: &Place<'_>, inside: Inside) -> Object {
        if self.source.is_recursive(pointer) {
            let provider = self.rules.provider;
            match self.rules.recursion {
                Recursion::Nowhere => {
                    self.refuse(
                        place,
                        format!("{provider} knows no schema that leads back to itself"),
                    );
                }
                Recursion::BelowOptional if inside.in_circle && !inside.is_below_optional => {
                    self.refuse(
                        place,
                        format!("{provider} knows schemas that lead back to themselves only below properties that may be left out"),
                    );
                }
                Recursion::Anywhere | Recursion::BelowOptional => {}
            }
        }
        let name = self.name(pointer);
        let name = name.replace('~', "~0").replace('/', "~1");
        Object::from_iter([("$ref".to_owned(), json!(format!("#/$defs/{name}")))])
    }

    /// The name of a definition, the same for the same pointer.
    fn name(&mut self, pointer: &str) -> String {
        if let Some(name) = self.names.get(pointer) {
            return name.clone();
        }
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let last = if last.is_empty() { "Root" } else { last };
        let last = last.replace("~1", "/").replace("~0", "~");
        let mut name = last.clone();
        while !self.taken.insert(name.clone()) {
            self.number += 1;
            name = format!("{last}{}", self.number);
        }
        self.names.insert(pointer.to_owned(), name.clone());
        self.waiting.push_back(pointer.to_owned());
        name
    }

    /// The copy of alternatives. Fixed texts among them become one list of values: alternatives are what providers limit most.
    pub(super) fn union(
        &mut self,
        notes: &Object,
        branches: &[&Value],
        place: &Place<'_>,
        inside: Inside,
    ) -> Object {
        let mut texts = Texts::default();
        let mut copies: Vec<Value> = Vec::new();
        let mut first_text = None;
        for (index, branch) in branches.iter().enumerate() {
            if let Ok(Form::Plain(map)) = self.source.form(branch)
                && texts.take(&map)
            {
                first_text.get_or_insert(copies.len());
                continue;
            }
            if matches!(self.source.form(branch), Ok(Form::Never)) {
                continue;
            }
            let copy = self.schema(branch, &place.index(index), inside.deeper());
            copies.push(Value::Object(copy));
        }
        if let Some(position) = first_text {
            copies.insert(position, Value::Object(texts.into_schema()));
        }
        let mut seen = HashSet::new();
        copies.retain(|copy| seen.insert(copy.to_string()));
        if copies.is_empty() {
            self.refuse(place, "no value is allowed here");
        }
        let is_single = copies.len() <= 1;
        let mut copy = match copies.pop() {
            Some(Value::Object(copy)) if is_single && !copy.contains_key("$ref") => copy,
            last => {
                copies.extend(last);
                self.choices.push(Choice {
                    pointer: place.pointer(),
                    heads: copies.iter().map(Heads::of).collect(),
                });
                Object::from_iter([("anyOf".to_owned(), Value::Array(copies))])
            }
        };
        let own = copy.remove("description");
        describe(&mut copy, notes);
        add(
            &mut copy,
            own.as_ref().and_then(Value::as_str).unwrap_or_default(),
        );
        copy
    }

    /// The copy of a schema below another one.
    pub(super) fn below(&mut self, schema: &Value, place: &Place<'_>, inside: Inside) -> Value {
        Value::Object(self.schema(schema, place, inside.deeper()))
    }
}

/// Alternatives that are fixed texts.
#[derive(Default)]
struct Texts {
    values: Vec<Value>,
    seen: HashSet<String>,
    lines: Vec<String>,
}

impl Texts {
    /// Takes a schema if it is a list of fixed texts and nothing else.
    fn take(&mut self, map: &Object) -> bool {
        let known = ["type", "const", "enum", "description", "title", "deprecated"];
        let values = match (map.get("enum"), map.get("const")) {
            (Some(Value::Array(values)), None) => values.as_slice(),
            (None, Some(only)) => std::slice::from_ref(only),
            _ => return false,
        };
        let is_text = map.get("type").is_none_or(|kind| kind == "string")
            && !values.is_empty()
            && values.iter().all(Value::is_string)
            && map.keys().all(|key| known.contains(&key.as_str()));
        if !is_text {
            return false;
        }
        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        if let Some(description) = map.get("description").and_then(Value::as_str) {
            self.lines.push(format!("- {}: {description}", texts.join(", ")));
        }
        for text in texts {
            if self.seen.insert(text.to_owned()) {
                self.values.push(json!(text));
            }
        }
        true
    }

    fn into_schema(self) -> Object {
        let mut schema = Object::from_iter([
            ("type".to_owned(), json!("string")),
            ("enum".to_owned(), Value::Array(self.values)),
        ]);
        add(&mut schema, &self.lines.join("\n"));
        schema
    }
}
