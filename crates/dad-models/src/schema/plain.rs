//! Copies of schemas without references and alternatives, by their types.

use serde_json::{Map, Value, json};

use super::describe::describe;
use super::merge::{ANNOTATIONS, kinds};
use super::place::Place;
use super::table::Patterns;
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
            .partition(|(key, _)| ANNOTATIONS.contains(&key.as_str()));
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
}

/// A copy of a schema that cannot be enforced: only its text.
pub(super) fn described(map: &Object) -> Object {
    let mut copy = Object::new();
    describe(&mut copy, map);
    copy
}

/// A copy with types and nothing else.
pub(super) fn typed(kinds: &[&str]) -> Object {
    let kinds = match kinds {
        [only] => json!(only),
        many => json!(many),
    };
    Object::from_iter([("type".to_owned(), kinds)])
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
