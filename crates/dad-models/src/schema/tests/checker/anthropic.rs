//! The rules of Anthropic.

use serde_json::Value;

use super::graph::{edges, has_circle};
use super::{Node, Whole, root_is_object};

pub(super) fn anthropic_root(whole: &Whole<'_>) -> Option<String> {
    root_is_object(whole).or_else(|| {
        ["oneOf", "allOf", "anyOf"]
            .iter()
            .any(|key| whole.root.get(key).is_some())
            .then(|| "input_schema does not support oneOf, allOf, or anyOf at the top level".to_owned())
    })
}

pub(super) fn anthropic_keywords(node: &Node<'_>) -> Option<String> {
    let unknown = node.unknown(&[
        "$defs",
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "default",
        "definitions",
        "description",
        "enum",
        "format",
        "items",
        "minItems",
        "properties",
        "required",
        "title",
        "type",
    ])?;
    Some(format!(
        "For '{}' type, property '{unknown}' is not supported",
        node.kinds().first().copied().unwrap_or("any")
    ))
}

pub(super) fn anthropic_closed(node: &Node<'_>) -> Option<String> {
    let is_open = node.is("object") && node.map.get("additionalProperties") != Some(&Value::Bool(false));
    is_open.then(|| "For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned())
}

pub(super) fn anthropic_min_items(node: &Node<'_>) -> Option<String> {
    let length = node.map.get("minItems")?;
    (length.as_u64().is_none_or(|length| length > 1))
        .then(|| "For 'array' type, 'minItems' values other than 0 or 1 are not supported".to_owned())
}

pub(super) fn anthropic_format(node: &Node<'_>) -> Option<String> {
    let format = node.map.get("format")?.as_str().unwrap_or_default();
    let known = [
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ];
    (!known.contains(&format)).then(|| format!("For 'string' type, format '{format}' is not supported"))
}

pub(super) fn anthropic_type(node: &Node<'_>) -> Option<String> {
    let says = ["type", "anyOf", "allOf", "enum", "const", "$ref"];
    let is_typed = says.iter().any(|key| node.map.contains_key(*key));
    (!is_typed).then(|| "Schema must have a 'type', 'anyOf', 'oneOf', or 'allOf' field".to_owned())
}

pub(super) fn anthropic_recursion(whole: &Whole<'_>) -> Option<String> {
    has_circle(edges(whole, |_, _| true)).then(|| "Recursive schemas are not supported".to_owned())
}

pub(super) fn anthropic_choices(whole: &Whole<'_>) -> Option<String> {
    let optional: usize = whole
        .nodes
        .iter()
        .map(|node| {
            let required = node.required();
            node.properties()
                .filter(|(name, _)| !required.contains(name.as_str()))
                .count()
        })
        .sum();
    let is_union = |node: &&Node<'_>| {
        node.map.contains_key("anyOf") || node.map.get("type").is_some_and(Value::is_array)
    };
    let unions = whole.nodes.iter().filter(is_union).count();
    if unions > 16 {
        return Some(format!(
            "Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf, limit: 16)"
        ));
    }
    (optional > 24).then(|| format!("Schemas contains too many optional parameters ({optional}, limit: 24)"))
}
