//! The rule of OpenAI for alternatives: "Objects provided via 'anyOf' must not share identical first keys. Consider adding a
//! discriminator key".
//!
//! Objects that begin with a key of the same name are accepted if its values differ (livekit/agents#5302 shows such a schema
//! at work). Older models accept more; how much is not documented.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::kinds::Unfit;
use super::table::{Optional, Rules};

/// The deepest alternatives within alternatives that are looked at.
const MAX_LEVELS: usize = 8;
/// The most alternatives that are looked at, all together.
const MAX_HEADS: usize = 20_000;

/// Alternatives of a copy.
pub(super) struct Choice {
    /// The place in the original.
    pub(super) pointer: String,
    /// The beginning of each.
    pub(super) heads: Vec<Heads>,
}

/// The beginnings of the objects of one alternative.
pub(super) enum Heads {
    /// No object.
    None,
    /// An object.
    Object(Head),
    /// A definition.
    Definition(String),
    /// Alternatives again.
    Several(Vec<Heads>),
}

/// The beginning of an object.
pub(super) struct Head {
    key: String,
    /// The fixed values of the key, or none if it is free.
    values: Option<Vec<String>>,
}

impl Heads {
    /// The beginnings of a copy.
    pub(super) fn of(copy: &Value) -> Self {
        Self::within(copy, 0)
    }

    fn within(copy: &Value, level: usize) -> Self {
        if let Some(reference) = copy.get("$ref").and_then(Value::as_str) {
            return Self::Definition(reference.to_owned());
        }
        if let Some(branches) = copy.get("anyOf").and_then(Value::as_array) {
            let deeper = branches
                .iter()
                .filter(|_| level < MAX_LEVELS)
                .map(|branch| Self::within(branch, level + 1));
            return Self::Several(deeper.collect());
        }
        let first = copy.get("properties").and_then(Value::as_object);
        match first.and_then(|properties| properties.iter().next()) {
            Some((key, schema)) => {
                let values = schema.get("enum").and_then(Value::as_array);
                Self::Object(Head {
                    key: key.clone(),
                    values: values.map(|values| values.iter().map(Value::to_string).collect()),
                })
            }
            None => Self::None,
        }
    }
}

/// The first alternatives that cannot be told apart by their first keys.
pub(super) fn first_clash(
    choices: &[Choice],
    definitions: &Map<String, Value>,
    rules: &Rules,
) -> Option<Unfit> {
    // Other providers have no such rule.
    if rules.optional != Optional::AsNull {
        return None;
    }
    let heads: HashMap<String, Heads> = definitions
        .iter()
        .map(|(name, copy)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            (format!("#/$defs/{name}"), Heads::of(copy))
        })
        .collect();
    let mut left = MAX_HEADS;
    choices.iter().find_map(|choice| {
        let mut seen = Seen::default();
        let mut next: Vec<(&Heads, usize)> = choice.heads.iter().map(|heads| (heads, 0)).collect();
        while let Some((head, level)) = next.pop() {
            left = left.saturating_sub(1);
            let clash = match head {
                Heads::None => None,
                Heads::Object(head) => seen.add(head),
                Heads::Definition(name) => {
                    let known = heads.get(name).filter(|_| level < MAX_LEVELS);
                    next.extend(known.map(|heads| (heads, level + 1)));
                    None
                }
                Heads::Several(several) => {
                    next.extend(several.iter().map(|heads| (heads, level)));
                    None
                }
            };
            let clash = clash.or_else(|| (left == 0).then(|| "there are too many alternatives".to_owned()));
            if let Some(reason) = clash {
                return Some(Unfit {
                    pointer: choice.pointer.clone(),
                    reason,
                });
            }
        }
        None
    })
}

#[derive(Default)]
struct Seen<'h> {
    free: HashSet<&'h str>,
    fixed: HashMap<&'h str, HashSet<&'h str>>,
}

impl<'h> Seen<'h> {
    fn add(&mut self, head: &'h Head) -> Option<String> {
        let key = head.key.as_str();
        let is_clash = match &head.values {
            None => self.fixed.contains_key(key) || !self.free.insert(key),
            Some(values) => {
                let known = self.fixed.entry(key).or_default();
                // Each value once: an alternative may name one twice.
                let own: HashSet<&str> = values.iter().map(String::as_str).collect();
                let is_known = own.iter().any(|value| known.contains(value));
                known.extend(own);
                is_known || self.free.contains(key)
            }
        };
        is_clash.then(|| {
            format!(
                "objects of several alternatives begin with `{key}`, and OpenAI cannot tell them apart: give each a property with a fixed value of its own (`const`)"
            )
        })
    }
}
