//! The schemas that the official clients send, beside ours.
//!
//! `tests/clients/schemas.py` makes them, and `schemas.json` keeps them. Every difference is wanted, and
//! has its reason here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::{Dialect, Strictness, fit};
use super::DIALECTS;
use super::cases::cases;

/// The cases that are compared.
const COMPARED: &[&str] = &[
    "optionals",
    "defaults",
    "internal",
    "external",
    "described",
    "bounded",
    "lengths",
    "dates",
    "tree",
    "file_operations",
    "tupled",
    "patterned",
];

/// The sides that have a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum In {
    Ours,
    Theirs,
    /// Both, with other values.
    Both,
}

/// A wanted difference: the provider, the keyword, the sides that have it, the reason.
struct Wanted(Dialect, &'static str, In, &'static str);

use Dialect::{Anthropic, Gemini, OpenAi};

const UNUSED: &str = "a definition that no reference leads to, or whose references are copies";
const CIRCLE: &str =
    "a reference to the root, which is a definition of its own: the root may be put into an object";
const META: &str =
    "says nothing to a model: the version of JSON Schema, or that something was left out which ours keeps";
const ONE_OF: &str = "the client leaves `oneOf`, which the provider refuses or reads as `anyOf`";
const DESCRIBED: &str =
    "the client leaves a keyword that the provider does not list; ours says it in the description";
const NULLABLE: &str = "the client requires a property that may be left out; ours may be `null`, which is taken out of the answer";
const TUPLE: &str =
    "the client leaves or drops `prefixItems`; ours has a schema for the elements that the provider knows";
const ROOT: &str = "the client leaves a root that is no object; ours puts it into one";
const NOT_NULL: &str =
    "a property that may be left out need not be `null` too: each union counts against a limit";
const SIBLINGS: &str = "the client drops or leaves keywords beside `$ref`; ours copies the definition, as no provider allows them";
const ONE_VALUE: &str =
    "`const` and an `enum` of one value say the same; ours writes one form for all providers";
const DESCRIBED_OTHERWISE: &str = "the same constraints in another order or notation: JSON, not Python";
const TYPED: &str = "the client drops the type beside fixed values; the provider's own examples have it";
const RECURSION: &str =
    "the provider does not know the recursion of the schema, so it is not asked to enforce it";
const CLOSED: &str = "the client leaves objects open; closed ones keep a model from inventing keys";
const SPLIT: &str =
    "a list among several types: ours writes an alternative for each, with the keywords of that type";
const STATES: &str = "long bounds of arrays make a schema that the provider refuses as too large";

const WANTED: &[Wanted] = &[
    Wanted(OpenAi, "$defs", In::Theirs, UNUSED),
    Wanted(OpenAi, "$defs", In::Ours, CIRCLE),
    Wanted(OpenAi, "$ref", In::Both, CIRCLE),
    Wanted(OpenAi, "$schema", In::Theirs, META),
    Wanted(OpenAi, "a name", In::Theirs, UNUSED),
    Wanted(OpenAi, "anyOf", In::Ours, ONE_OF),
    Wanted(OpenAi, "oneOf", In::Theirs, ONE_OF),
    Wanted(OpenAi, "default", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "description", In::Ours, DESCRIBED),
    Wanted(OpenAi, "description", In::Both, DESCRIBED),
    Wanted(OpenAi, "enum", In::Theirs, NULLABLE),
    Wanted(OpenAi, "type", In::Theirs, NULLABLE),
    Wanted(OpenAi, "type", In::Both, NULLABLE),
    Wanted(OpenAi, "items", In::Theirs, SPLIT),
    Wanted(OpenAi, "items", In::Ours, TUPLE),
    Wanted(OpenAi, "prefixItems", In::Theirs, TUPLE),
    Wanted(OpenAi, "examples", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "format", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "maxLength", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "minLength", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "pattern", In::Theirs, DESCRIBED),
    Wanted(OpenAi, "the root", In::Both, ROOT),
    Wanted(Anthropic, "$defs", In::Theirs, UNUSED),
    Wanted(Anthropic, "$ref", In::Ours, NOT_NULL),
    Wanted(Anthropic, "$ref", In::Theirs, SIBLINGS),
    Wanted(Anthropic, "additionalProperties", In::Ours, SIBLINGS),
    Wanted(Anthropic, "anyOf", In::Theirs, NOT_NULL),
    Wanted(Anthropic, "const", In::Theirs, ONE_VALUE),
    Wanted(Anthropic, "enum", In::Ours, ONE_VALUE),
    Wanted(Anthropic, "description", In::Ours, SIBLINGS),
    Wanted(Anthropic, "description", In::Theirs, META),
    Wanted(Anthropic, "description", In::Both, DESCRIBED_OTHERWISE),
    Wanted(Anthropic, "items", In::Ours, TUPLE),
    Wanted(Anthropic, "properties", In::Ours, SIBLINGS),
    Wanted(Anthropic, "required", In::Ours, SIBLINGS),
    Wanted(Anthropic, "the root", In::Both, ROOT),
    Wanted(Anthropic, "title", In::Ours, SIBLINGS),
    Wanted(Anthropic, "type", In::Ours, TYPED),
    Wanted(Anthropic, "not enforced", In::Ours, RECURSION),
    Wanted(Gemini, "$defs", In::Theirs, UNUSED),
    Wanted(Gemini, "a name", In::Theirs, UNUSED),
    Wanted(Gemini, "$ref", In::Theirs, SIBLINGS),
    Wanted(Gemini, "$schema", In::Theirs, META),
    Wanted(Gemini, "additionalProperties", In::Ours, CLOSED),
    Wanted(Gemini, "anyOf", In::Ours, ONE_OF),
    Wanted(Gemini, "oneOf", In::Theirs, ONE_OF),
    Wanted(Gemini, "default", In::Theirs, DESCRIBED),
    Wanted(Gemini, "description", In::Ours, DESCRIBED),
    Wanted(Gemini, "description", In::Both, DESCRIBED),
    Wanted(Gemini, "enum", In::Ours, SIBLINGS),
    Wanted(Gemini, "examples", In::Theirs, DESCRIBED),
    Wanted(Gemini, "exclusiveMinimum", In::Theirs, DESCRIBED),
    Wanted(Gemini, "format", In::Theirs, DESCRIBED),
    Wanted(Gemini, "maxItems", In::Theirs, STATES),
    Wanted(Gemini, "maxLength", In::Theirs, DESCRIBED),
    Wanted(Gemini, "minLength", In::Theirs, DESCRIBED),
    Wanted(Gemini, "pattern", In::Theirs, DESCRIBED),
    Wanted(Gemini, "properties", In::Ours, SIBLINGS),
    Wanted(Gemini, "required", In::Ours, SIBLINGS),
    Wanted(Gemini, "type", In::Ours, SIBLINGS),
    Wanted(Gemini, "type", In::Theirs, SPLIT),
    Wanted(Gemini, "items", In::Theirs, SPLIT),
    Wanted(Gemini, "not enforced", In::Ours, RECURSION),
];

/// The differences, each with its first place.
type Found = BTreeMap<(String, In), String>;

/// The differences of two schemas, by keyword.
fn differences(ours: &Value, theirs: &Value, keyword: &str, place: &str, found: &mut Found) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let is_named = ["properties", "$defs"].contains(&keyword);
                let below = if is_named { keyword_of(name) } else { name.clone() };
                let place = format!("{place}/{name}");
                match (ours.get(name), theirs.get(name)) {
                    (Some(ours), Some(theirs)) => differences(ours, theirs, &below, &place, found),
                    (Some(_), None) => {
                        found.entry((below, In::Ours)).or_insert(place);
                    }
                    (None, _) => {
                        found.entry((below, In::Theirs)).or_insert(place);
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if keyword == "required" => {
            let ours: BTreeSet<String> = ours.iter().map(Value::to_string).collect();
            let theirs: BTreeSet<String> = theirs.iter().map(Value::to_string).collect();
            if ours != theirs {
                found
                    .entry((keyword.to_owned(), In::Both))
                    .or_insert_with(|| place.to_owned());
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(ours, theirs, "", &format!("{place}/{index}"), found);
            }
        }
        (ours, theirs) if ours == theirs => {}
        _ => {
            found
                .entry((keyword.to_owned(), In::Both))
                .or_insert_with(|| place.to_owned());
        }
    }
}

/// A name of the user, which is no keyword.
fn keyword_of(_: &str) -> String {
    "a name".to_owned()
}

fn stored() -> Map<String, Value> {
    serde_json::from_str(include_str!("schemas.json")).unwrap()
}

#[test]
fn differences_from_the_official_clients_have_their_reasons() {
    let stored = stored();
    let cases = cases();
    let input: Map<String, Value> = cases
        .iter()
        .filter(|case| COMPARED.contains(&case.name))
        .map(|case| (case.name.to_owned(), case.schema.clone()))
        .collect();
    assert_eq!(input.len(), COMPARED.len());
    let is_current = input
        .iter()
        .all(|(name, schema)| stored.get(name).is_some_and(|stored| stored["input"] == *schema));
    assert!(
        is_current,
        "schemas.json is of other schemas. Write to it the output of tests/clients/schemas.py for:\n{}",
        Value::Object(input)
    );
    for dialect in DIALECTS {
        let client = match dialect {
            OpenAi => "openai",
            Anthropic => "anthropic",
            Gemini => "gemini",
        };
        let mut found = Found::new();
        for (name, schema) in &input {
            let mut ours = fit(schema, dialect, Strictness::Auto).unwrap();
            if !ours.strict {
                found.insert(("not enforced".to_owned(), In::Ours), name.clone());
                continue;
            }
            if ours.schema["properties"]["value"].is_object() {
                found.insert(("the root".to_owned(), In::Both), name.clone());
                ours.schema = ours.schema["properties"]["value"].take();
            }
            differences(&ours.schema, &stored[name][client], "", name, &mut found);
        }
        let wanted: BTreeSet<(String, In)> = WANTED
            .iter()
            .filter(|wanted| wanted.0 == dialect)
            .map(|wanted| (wanted.1.to_owned(), wanted.2))
            .collect();
        assert!(WANTED.iter().all(|wanted| wanted.3.len() > 20));
        let places = found.clone();
        let found: BTreeSet<(String, In)> = found.into_keys().collect();
        assert_eq!(found, wanted, "{client}: {places:#?}");
    }
}
