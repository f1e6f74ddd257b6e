//! A schema as its reader sees it: references followed, conjunctions merged, alternatives in one form.
//!
//! Everything is bounded, because schemas come from files and from servers of tools: nesting by [`MAX_DEPTH`], and the work
//! that references and alternatives multiply by [`ROOM`].

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::merge::{ANNOTATIONS, kinds, narrow};
use super::references::{circles, resolved};

/// The deepest nesting, of a schema as written and of the copy. JSON that deep is refused by most parsers.
pub(super) const MAX_DEPTH: usize = 120;
/// The number of schemas that are looked at, with the values that are copied for references and alternatives: eight for each of
/// the 5,000 properties that OpenAI allows, the largest number of any provider.
const ROOM: usize = 40_000;

type Object = Map<String, Value>;

/// The largest definition that is copied for the text beside a reference to it, in values. Copies count against the limits of
/// providers.
const SMALL: usize = 60;

/// A schema that references lead to.
struct Target {
    /// Whether it leads back to itself.
    is_recursive: bool,
    is_small: bool,
}

/// A schema that is read.
pub(super) struct Source<'a> {
    root: &'a Value,
    /// The schemas that references lead to, by their pointers.
    targets: HashMap<String, Target>,
    room: Cell<usize>,
}

/// The form of a schema after references and conjunctions are gone.
pub(super) enum Form<'s> {
    /// Every value is allowed.
    Any,
    /// No value is allowed.
    Never,
    /// A schema with a name, by its pointer.
    Reference(String),
    /// Alternatives.
    Union {
        /// The annotations of all of them.
        notes: Object,
        /// The alternatives.
        branches: Vec<Cow<'s, Value>>,
        /// The keyword of the schema itself that lists them, if it does.
        key: Option<&'static str>,
    },
    /// A schema without references and alternatives.
    Plain(Cow<'s, Object>),
}

/// Alternatives of a schema, one list of them.
struct Alternatives<'s> {
    branches: Vec<Cow<'s, Value>>,
    key: Option<&'static str>,
}

impl<'a> Source<'a> {
    /// A schema to read.
    ///
    /// # Errors
    /// If it is nested too deeply to be walked.
    pub(super) fn new(root: &'a Value) -> Result<Self, String> {
        check_depth(root)?;
        let targets = circles(root).into_iter().map(|(pointer, is_recursive)| {
            let is_small = root.pointer(&pointer).map_or(0, weight) <= SMALL;
            let target = Target {
                is_recursive,
                is_small,
            };
            (pointer, target)
        });
        let targets = targets.collect();
        Ok(Self {
            root,
            targets,
            room: Cell::new(ROOM),
        })
    }

    /// Makes room for the walk along an answer, which asks for the forms of a few schemas at each of its values.
    pub(super) fn make_room_for(&self, answer: &Value) {
        let room = weight(answer).saturating_mul(64);
        self.room.set(self.room.get().saturating_add(room));
    }

    pub(super) fn root(&self) -> &'a Value {
        self.root
    }

    /// The schema at a pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.root.pointer(pointer)
    }

    /// Whether the schema at a pointer leads back to itself.
    pub(super) fn is_recursive(&self, pointer: &str) -> bool {
        self.targets
            .get(pointer)
            .is_some_and(|target| target.is_recursive)
    }

    /// Takes room for values that are copied.
    pub(super) fn charge(&self, values: usize) -> Result<(), String> {
        let rest = self.room.get().checked_sub(values);
        self.room.set(rest.unwrap_or_default());
        rest.map(|_| ()).ok_or_else(|| {
            format!(
                "the schema has more than {ROOM} values with all its references and alternatives: make it smaller"
            )
        })
    }

    /// The form of a schema.
    ///
    /// # Errors
    /// With the reason, if it is no schema or has none of the forms.
    pub(super) fn form<'s>(&'s self, schema: &'s Value) -> Result<Form<'s>, String> {
        self.expand(schema, 0)
    }

    /// The form of a schema, where a reference is followed.
    ///
    /// # Errors
    /// As [`form`](Self::form).
    pub(super) fn body<'s>(&'s self, schema: &'s Value) -> Result<Form<'s>, String> {
        self.followed(schema, 0)
    }

    fn followed<'s>(&'s self, schema: &'s Value, depth: usize) -> Result<Form<'s>, String> {
        match self.expand(schema, depth)? {
            Form::Reference(pointer) if depth < MAX_DEPTH => {
                let target = self
                    .at(&pointer)
                    .ok_or_else(|| format!("`#{pointer}` does not exist"))?;
                self.followed(target, depth + 1)
            }
            Form::Reference(_) => Err("the reference leads only to other references".to_owned()),
            form => Ok(form),
        }
    }

    fn expand<'s>(&'s self, schema: &'s Value, depth: usize) -> Result<Form<'s>, String> {
        self.charge(1)?;
        if depth >= MAX_DEPTH {
            return Err("references or `allOf` lead on without end".to_owned());
        }
        let map = match schema {
            Value::Bool(true) => return Ok(Form::Any),
            Value::Bool(false) => return Ok(Form::Never),
            Value::Object(map) => map,
            _ => return Err("a schema is an object or a boolean".to_owned()),
        };
        let is_composed = ["$ref", "allOf", "anyOf", "oneOf"]
            .iter()
            .any(|key| map.contains_key(*key));
        if !is_composed {
            let is_any = map.keys().all(|key| ANNOTATIONS.contains(&key.as_str()));
            return Ok(if is_any {
                Form::Any
            } else {
                Form::Plain(Cow::Borrowed(map))
            });
        }
        if let Some(pointer) = self.lone_reference(map)? {
            return Ok(Form::Reference(pointer));
        }
        self.conjunction(map, depth)
    }

    /// The pointer of a schema that is a reference and nothing else. Providers allow no keyword beside `$ref`; a text beside
    /// it is worth a copy of a small definition. Of a large one, and of one that leads back to itself and has no finite copy,
    /// the object around it says the text.
    fn lone_reference(&self, map: &Object) -> Result<Option<String>, String> {
        let Some(reference) = map.get("$ref") else {
            return Ok(None);
        };
        let pointer = resolved(reference)?;
        if self.at(&pointer).is_none() {
            return Err(format!("`$ref` leads to `#{pointer}`, which does not exist"));
        }
        let is_copied = self
            .targets
            .get(&pointer)
            .is_some_and(|target| target.is_small && !target.is_recursive);
        let mut others = map.keys().filter(|key| *key != "$ref");
        let is_lone = others.all(|key| {
            let says_nothing = !["description", "title", "default", "examples"].contains(&key.as_str());
            ANNOTATIONS.contains(&key.as_str()) && (says_nothing || !is_copied)
        });
        Ok(is_lone.then_some(pointer))
    }

    fn conjunction<'s>(&'s self, map: &'s Object, depth: usize) -> Result<Form<'s>, String> {
        let mut all = Object::new();
        for (key, value) in map {
            if !["$ref", "allOf", "anyOf", "oneOf", "$defs", "definitions"].contains(&key.as_str()) {
                self.charge(weight(value))?;
                all.insert(key.clone(), value.clone());
            }
        }
        let mut unions: Vec<Alternatives<'s>> = Vec::new();
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = map.get(key) {
                unions.push(Alternatives {
                    branches: list(key, branches)?.iter().map(Cow::Borrowed).collect(),
                    key: Some(key),
                });
            }
        }
        let target = match map.get("$ref") {
            Some(reference) => self.at(&resolved(reference)?),
            None => None,
        };
        let parts = map
            .get("allOf")
            .map_or(Ok(&[][..]), |parts| list("allOf", parts))?;
        for part in target.into_iter().chain(parts) {
            match self.followed(part, depth + 1)? {
                Form::Any | Form::Reference(_) => {}
                Form::Never => return Ok(Form::Never),
                Form::Plain(plain) => {
                    self.charge(plain.values().map(weight).sum())?;
                    narrow(&mut all, &plain)?;
                }
                Form::Union { notes, branches, .. } => {
                    narrow(&mut all, &notes)?;
                    unions.insert(0, Alternatives { branches, key: None });
                }
            }
        }
        self.distribute(all, unions)
    }

    /// Alternatives of which each is whole: `all` becomes a part of every one.
    fn distribute<'s>(&'s self, all: Object, mut unions: Vec<Alternatives<'s>>) -> Result<Form<'s>, String> {
        let (notes, rest): (Object, Object) = all
            .into_iter()
            .partition(|(key, _)| ANNOTATIONS.contains(&key.as_str()));
        let Some(Alternatives { branches, key }) = unions.pop() else {
            let mut all = notes;
            if rest.is_empty() {
                return Ok(Form::Any);
            }
            all.extend(rest);
            return Ok(Form::Plain(Cow::Owned(all)));
        };
        if rest.is_empty() && unions.is_empty() {
            return Ok(Form::Union { notes, branches, key });
        }
        let mut base: Vec<Value> = vec![Value::Object(rest)];
        base.extend(unions.into_iter().map(|union| {
            let branches: Vec<Value> = union.branches.into_iter().map(Cow::into_owned).collect();
            json!({ "anyOf": branches })
        }));
        let cost: usize = base.iter().map(weight).sum();
        let mut whole = Vec::with_capacity(branches.len());
        for branch in branches {
            self.charge(cost + weight(&branch))?;
            let mut parts = base.clone();
            parts.push(branch.into_owned());
            whole.push(Cow::Owned(json!({ "allOf": parts })));
        }
        Ok(Form::Union {
            notes,
            branches: whole,
            key,
        })
    }

    /// Whether a schema allows `null`.
    pub(super) fn accepts_null(&self, schema: &Value) -> bool {
        self.accepts_null_within(schema, 0)
    }

    fn accepts_null_within(&self, schema: &Value, depth: usize) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        match self.followed(schema, depth) {
            Ok(Form::Any) => true,
            Ok(Form::Plain(map)) => {
                let kinds = kinds(&map);
                let typed = kinds.is_empty() || kinds.contains(&"null");
                let listed = map
                    .get("enum")
                    .and_then(Value::as_array)
                    .is_none_or(|values| values.contains(&Value::Null));
                typed && listed && map.get("const").is_none_or(Value::is_null)
            }
            Ok(Form::Union { branches, .. }) => branches
                .iter()
                .any(|branch| self.accepts_null_within(branch, depth + 1)),
            Ok(Form::Never | Form::Reference(_)) | Err(_) => false,
        }
    }
}

/// The elements of a keyword that has schemas.
fn list<'s>(key: &str, value: &'s Value) -> Result<&'s [Value], String> {
    match value.as_array() {
        Some(schemas) if !schemas.is_empty() => Ok(schemas),
        _ => Err(format!("`{key}` is a list of schemas that is not empty")),
    }
}

/// The number of values in a value.
pub(super) fn weight(value: &Value) -> usize {
    let mut count = 0;
    let mut next = vec![value];
    while let Some(value) = next.pop() {
        count += 1;
        match value {
            Value::Object(map) => next.extend(map.values()),
            Value::Array(values) => next.extend(values),
            _ => {}
        }
    }
    count
}

/// Refuses values that cannot be walked by functions that call themselves.
pub(super) fn check_depth(value: &Value) -> Result<(), String> {
    let mut next = vec![(value, 0)];
    while let Some((value, depth)) = next.pop() {
        if depth > MAX_DEPTH {
            return Err(format!(
                "the schema is nested more than {MAX_DEPTH} levels deep: make it flatter"
            ));
        }
        match value {
            Value::Object(map) => next.extend(map.values().map(|value| (value, depth + 1))),
            Value::Array(values) => next.extend(values.iter().map(|value| (value, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}
