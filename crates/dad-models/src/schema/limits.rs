//! The limits of providers for the size of a schema, counted in the copy.
//!
//! * OpenAI: 5,000 properties, 10 levels of nesting, 120,000 characters in names and values, 1,000 values of `enum`, and 15,000
//!   characters in an `enum` of more than 250 texts. (The guide of structured outputs, *Supported schemas*.)
//! * Anthropic: 24 properties that may be left out and 16 unions, in all strict schemas of a request together, and 20
//!   strict tools. (The guide of structured outputs, *Schema complexity limits*; the refusal is "Schemas contains
//!   too many parameters with union types", vercel/ai#17268.)

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::table::Limits;
use super::write::Written;

const MAX_PROPERTIES: usize = 5_000;
const MAX_LEVELS: usize = 10;
const MAX_CHARACTERS: usize = 120_000;
const MAX_VALUES: usize = 1_000;
const LARGE_ENUM: usize = 250;
const MAX_LARGE_ENUM_CHARACTERS: usize = 15_000;
const MAX_OPTIONAL: usize = 24;
const MAX_UNIONS: usize = 16;
const MAX_STRICT: usize = 20;

/// The longest chain of definitions that is followed. Longer ones count as too large.
const MAX_CHAIN: usize = 200;

/// The first limit that a copy exceeds.
pub(super) fn exceeded(copy: &Written, limits: Limits) -> Option<String> {
    match limits {
        Limits::None => None,
        Limits::Sizes => sizes_exceeded(copy),
        Limits::Choices => Choices::of(&copy.root, &copy.definitions).exceeded(),
    }
}

/// The first limit that the strict schemas of a request exceed together.
pub(super) fn exceeded_together<'s>(
    schemas: impl IntoIterator<Item = &'s Value>,
    limits: Limits,
) -> Option<String> {
    if limits != Limits::Choices {
        return None;
    }
    let none = Map::new();
    let mut count = 0;
    let mut sum = Choices::default();
    for schema in schemas {
        count += 1;
        if let Some(root) = schema.as_object() {
            let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&none);
            sum.add(Choices::of(root, definitions));
        }
    }
    let is_too_many = count > MAX_STRICT;
    is_too_many
        .then(|| {
            format!(
                "the request has {count} strict schemas, and Anthropic allows {MAX_STRICT}: use fewer tools"
            )
        })
        .or_else(|| sum.exceeded())
}

/// The choices of a copy, as Anthropic counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Choices {
    optional: usize,
    unions: usize,
}

impl Choices {
    fn of(root: &Map<String, Value>, definitions: &Map<String, Value>) -> Self {
        let mut counter = Counter {
            definitions,
            known: HashMap::new(),
        };
        counter.total(root, 0)
    }

    fn add(&mut self, other: Self) {
        self.optional = self.optional.saturating_add(other.optional);
        self.unions = self.unions.saturating_add(other.unions);
    }

    fn exceeded(self) -> Option<String> {
        let Self { optional, unions } = self;
        if optional > MAX_OPTIONAL {
            return Some(format!(
                "{optional} properties may be left out, and Anthropic allows {MAX_OPTIONAL}: require more of them"
            ));
        }
        (unions > MAX_UNIONS).then(|| {
            format!(
                "{unions} places have alternatives or several types, and Anthropic allows {MAX_UNIONS}: use fewer"
            )
        })
    }
}

fn sizes_exceeded(copy: &Written) -> Option<String> {
    let mut sizes = Sizes::default();
    sizes.add(&copy.root);
    for (name, definition) in &copy.definitions {
        sizes.characters += name.chars().count();
        if let Some(definition) = definition.as_object() {
            sizes.add(definition);
        }
    }
    let levels = Levels {
        copy,
        known: HashMap::new(),
    }
    .deepest(&copy.root, 0);
    let too_many = [
        (sizes.properties, MAX_PROPERTIES, "properties"),
        (levels, MAX_LEVELS, "levels of objects"),
        (sizes.values, MAX_VALUES, "values in all `enum`s"),
        (sizes.characters, MAX_CHARACTERS, "characters in names and values"),
        (
            sizes.large_enum,
            MAX_LARGE_ENUM_CHARACTERS,
            "characters in one `enum` of more than 250 values",
        ),
    ];
    too_many
        .into_iter()
        .find(|(count, most, _)| count > most)
        .map(|(count, most, what)| {
            format!("the schema has {count} {what}, and OpenAI allows {most}: make it smaller")
        })
}

#[derive(Default)]
struct Sizes {
    properties: usize,
    values: usize,
    characters: usize,
    large_enum: usize,
}

impl Sizes {
    fn add(&mut self, schema: &Map<String, Value>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            self.properties += properties.len();
            self.characters += properties.keys().map(|name| name.chars().count()).sum::<usize>();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let texts = values.iter().filter_map(Value::as_str);
            let characters: usize = texts.map(|text| text.chars().count()).sum();
            self.values += values.len();
            self.characters += characters;
            if values.len() > LARGE_ENUM {
                self.large_enum = self.large_enum.max(characters);
            }
        }
        for below in children(schema) {
            self.add(below);
        }
    }
}

/// The schemas directly below a copy.
fn children(schema: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let named = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values);
    let listed = ["anyOf", "prefixItems"]
        .into_iter()
        .filter_map(|key| schema.get(key)?.as_array())
        .flatten();
    let single = ["items", "additionalProperties"]
        .into_iter()
        .filter_map(|key| schema.get(key));
    named.chain(listed).chain(single).filter_map(Value::as_object)
}

/// The definition that a copy refers to.
fn definition<'c>(
    definitions: &'c Map<String, Value>,
    schema: &Map<String, Value>,
) -> Option<(&'c String, &'c Map<String, Value>)> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let (name, definition) = definitions.get_key_value(&name)?;
    Some((name, definition.as_object()?))
}

/// The nesting of objects. A definition that leads back to itself has no depth; it counts as no level.
struct Levels<'c> {
    copy: &'c Written,
    known: HashMap<&'c str, usize>,
}

impl<'c> Levels<'c> {
    fn deepest(&mut self, schema: &Map<String, Value>, chain: usize) -> usize {
        if chain > MAX_CHAIN {
            return usize::MAX;
        }
        if let Some((name, definition)) = definition(&self.copy.definitions, schema) {
            if self.copy.circles.contains(name) {
                return 0;
            }
            if let Some(known) = self.known.get(name.as_str()) {
                return *known;
            }
            let levels = self.deepest(definition, chain + 1);
            self.known.insert(name, levels);
            return levels;
        }
        let below = children(schema).map(|below| self.deepest(below, chain + 1)).max();
        let own = usize::from(schema.contains_key("properties"));
        below.unwrap_or_default().saturating_add(own)
    }
}

/// The choices of a copy where each definition counts as often as it is referred to.
struct Counter<'c> {
    definitions: &'c Map<String, Value>,
    known: HashMap<&'c str, Choices>,
}

impl<'c> Counter<'c> {
    fn total(&mut self, schema: &Map<String, Value>, chain: usize) -> Choices {
        if chain > MAX_CHAIN {
            return Choices {
                optional: usize::MAX,
                unions: usize::MAX,
            };
        }
        if let Some((name, definition)) = definition(self.definitions, schema) {
            if let Some(known) = self.known.get(name.as_str()) {
                return *known;
            }
            let total = self.total(definition, chain + 1);
            self.known.insert(name, total);
            return total;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.map_or(0, Vec::len);
        let is_union = schema.contains_key("anyOf") || schema.get("type").is_some_and(Value::is_array);
        let mut total = Choices {
            optional: properties.map_or(0, |properties| properties.len().saturating_sub(required)),
            unions: usize::from(is_union),
        };
        for below in children(schema) {
            let below = self.total(below, chain + 1);
            total.add(below);
        }
        total
    }
}
