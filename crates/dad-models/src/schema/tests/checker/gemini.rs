//! The rules of Gemini.

use serde_json::Value;

use super::graph::{edges, has_circle};
use super::{Node, Whole};

pub(super) fn gemini_keywords(node: &Node<'_>) -> Option<String> {
    let unknown = node.unknown(&[
        "$anchor",
        "$defs",
        "$id",
        "$ref",
        "additionalProperties",
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "prefixItems",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    ])?;
    Some(format!(
        "Invalid JSON payload received. Unknown name \"{unknown}\" at 'response_json_schema{}': Cannot find field.",
        node.path.iter().map(|key| format!(".{key}")).collect::<String>()
    ))
}

pub(super) fn gemini_siblings(node: &Node<'_>) -> Option<String> {
    node.map.get("$ref")?;
    let is_alone = node.map.keys().all(|key| key.starts_with('$'));
    (!is_alone).then(|| {
        "If $ref is set on a sub-schema, no other properties, except for than those starting as a `$`, may be set.".to_owned()
    })
}

pub(super) fn gemini_enum(node: &Node<'_>) -> Option<String> {
    let values = node.map.get("enum")?.as_array()?;
    let is_known = values.iter().all(|value| value.is_string() || value.is_number());
    (!is_known || values.is_empty()).then(|| "`enum` is supported for strings and numbers".to_owned())
}

pub(super) fn gemini_recursion(whole: &Whole<'_>) -> Option<String> {
    let counts = |whole: &Whole<'_>, node: &Node<'_>| {
        // A reference counts unless a property on its way may be left out.
        let mut schema = whole.root;
        let mut steps = node.path.iter();
        while let Some(step) = steps.next() {
            let parent = schema;
            let Some(below) = schema.get(step) else {
                return true;
            };
            schema = below;
            if !["properties", "$defs", "anyOf", "prefixItems", "oneOf"].contains(&step.as_str()) {
                continue;
            }
            let Some(name) = steps.next() else {
                return true;
            };
            let required = parent.get("required").and_then(Value::as_array);
            let is_required = required.is_some_and(|names| names.iter().any(|own| own == name.as_str()));
            if step == "properties" && !is_required {
                return false;
            }
            let below = match schema {
                Value::Array(list) => name.parse().ok().and_then(|index: usize| list.get(index)),
                other => other.get(name),
            };
            match below {
                Some(below) => schema = below,
                None => return true,
            }
        }
        true
    };
    has_circle(edges(whole, counts))
        .then(|| "Cyclic references may only be used within non-required properties.".to_owned())
}
