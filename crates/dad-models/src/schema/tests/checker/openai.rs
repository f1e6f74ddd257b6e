//! The rules of OpenAI.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Node, Whole, context, target};

pub(super) fn openai_root_composition(whole: &Whole<'_>) -> Option<String> {
    ["oneOf", "anyOf", "allOf", "enum", "not"]
        .iter()
        .any(|key| whole.root.get(key).is_some())
        .then(|| {
            "In context=(), schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
                .to_owned()
        })
}

pub(super) fn openai_items(node: &Node<'_>) -> Option<String> {
    let is_missing = node.is("array") && !node.map.contains_key("items");
    is_missing.then(|| node.says("array schema missing items."))?
}

pub(super) fn openai_lookaround(node: &Node<'_>) -> Option<String> {
    let pattern = node.map.get("pattern")?.as_str()?;
    let looks = ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|look| pattern.contains(look));
    looks.then(|| {
        format!(
            "Invalid JSON schema: regex lookaround is not supported. Found at $.{}.pattern.",
            node.path.join(".")
        )
    })
}

pub(super) fn openai_keywords(node: &Node<'_>) -> Option<String> {
    let unknown = node.unknown(&[
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "definitions",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "oneOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    ])?;
    node.says(&format!("'{unknown}' is not permitted."))
}

pub(super) fn openai_one_of(node: &Node<'_>) -> Option<String> {
    node.map
        .contains_key("oneOf")
        .then(|| node.says("'oneOf' is not permitted."))?
}

pub(super) fn openai_siblings(node: &Node<'_>) -> Option<String> {
    node.map.get("$ref")?;
    let sibling = node.unknown(&["$ref"])?;
    Some(format!(
        "context={}, $ref cannot have keywords {{'{sibling}'}}.",
        context(&node.path)
    ))
}

pub(super) fn openai_closed(node: &Node<'_>) -> Option<String> {
    let is_open = node.is("object") && node.map.get("additionalProperties") != Some(&Value::Bool(false));
    is_open.then(|| node.says("'additionalProperties' is required to be supplied and to be false."))?
}

pub(super) fn openai_required(node: &Node<'_>) -> Option<String> {
    const RULE: &str =
        "'required' is required to be supplied and to be an array including every key in properties.";
    if !node.is("object") {
        return None;
    }
    let required = node.required();
    let named: HashSet<&str> = node.properties().map(|(name, _)| name.as_str()).collect();
    if let Some(missing) = named.iter().find(|name| !required.contains(*name)) {
        return node.says(&format!("{RULE} Missing '{missing}'."));
    }
    let extra = required.iter().find(|name| !named.contains(*name))?;
    node.says(&format!("{RULE} Extra required key '{extra}' supplied."))
}

const TYPES: &[&str] = &[
    "string", "number", "boolean", "integer", "object", "array", "null",
];

pub(super) fn openai_type(node: &Node<'_>) -> Option<String> {
    let kinds = node.kinds();
    if kinds.is_empty() && !node.map.contains_key("anyOf") && !node.map.contains_key("$ref") {
        return node.says("schema must have a 'type' key.");
    }
    let unknown = kinds.iter().find(|kind| !TYPES.contains(kind))?;
    node.says(&format!(
        "'{unknown}' is not valid under any of the given schemas."
    ))
}

pub(super) fn openai_format(node: &Node<'_>) -> Option<String> {
    let format = node.map.get("format")?.as_str().unwrap_or_default();
    let known = [
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    ];
    (!known.contains(&format)).then(|| node.says(&format!("'{format}' is not a valid format.")))?
}

pub(super) fn openai_first_keys(whole: &Whole<'_>) -> Option<String> {
    const RULE: &str = "Invalid schema: Objects provided via 'anyOf' must not share identical first keys. Consider adding a discriminator key or rearranging the properties to ensure the first key is unique.";
    whole.nodes.iter().find_map(|node| {
        let branches = node.map.get("anyOf")?.as_array()?;
        let mut free = HashSet::new();
        let mut fixed: HashMap<&str, HashSet<String>> = HashMap::new();
        for branch in branches {
            let branch = match branch.get("$ref").and_then(Value::as_str) {
                Some(reference) => target(whole, reference)?,
                None => branch,
            };
            let Some((key, schema)) = branch
                .get("properties")
                .and_then(Value::as_object)
                .and_then(|properties| properties.iter().next())
            else {
                continue;
            };
            let listed = schema.get("enum").and_then(Value::as_array).cloned();
            let values = listed.or_else(|| schema.get("const").map(|only| vec![only.clone()]));
            let shares = match values {
                None => !free.insert(key.as_str()) || fixed.contains_key(key.as_str()),
                Some(values) => {
                    let values: HashSet<String> = values.iter().map(Value::to_string).collect();
                    let known = fixed.entry(key).or_default();
                    let shares = !known.is_disjoint(&values) || free.contains(key.as_str());
                    known.extend(values);
                    shares
                }
            };
            if shares {
                return Some(RULE.to_owned());
            }
        }
        None
    })
}

pub(super) fn openai_limits(whole: &Whole<'_>) -> Option<String> {
    let (mut properties, mut values, mut characters) = (0, 0, 0);
    for node in &whole.nodes {
        for key in ["properties", "$defs", "definitions"] {
            let names = node.map.get(key).and_then(Value::as_object);
            characters += names.map_or(0, |names| names.keys().map(|name| name.chars().count()).sum());
        }
        properties += node.properties().count();
        let listed = node.map.get("enum").and_then(Value::as_array);
        let listed = listed.map_or(&[][..], Vec::as_slice);
        let texts = listed
            .iter()
            .chain(node.map.get("const"))
            .filter_map(Value::as_str);
        let length: usize = texts.map(|text| text.chars().count()).sum();
        values += listed.len();
        characters += length;
        if listed.len() > 250 && length > 15_000 {
            return node.says("enum has too many characters: 15000 are allowed for more than 250 values.");
        }
        // Of the objects that are written one within another.
        let levels = node.path.iter().filter(|key| *key == "properties").count();
        if levels > 10 {
            return Some(format!("{levels} levels of nesting exceeds limit of 10."));
        }
    }
    if properties > 5_000 {
        return Some(format!("{properties} object properties exceeds limit of 5000."));
    }
    if values > 1_000 {
        return Some(format!("{values} enum values exceeds limit of 1000."));
    }
    (characters > 120_000)
        .then(|| format!("{characters} characters in names and values exceeds limit of 120000."))
}
