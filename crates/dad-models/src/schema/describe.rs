//! Constraints that a provider does not know, as text for the model: `{minimum: 0}`, as the official client of Anthropic does.

use serde_json::{Map, Value};

/// The longest text of one keyword's value. The model is helped by a pattern, not by a page.
const MAX_TEXT: usize = 500;

/// Keywords that help a model to answer, where the provider does not know them.
const DESCRIBED: &[&str] = &[
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "pattern",
    "prefixItems",
    "propertyNames",
    "then",
    "uniqueItems",
];

/// Puts the title and the description of a schema into its copy, with the keywords that the copy does not have.
pub(super) fn describe(copy: &mut Map<String, Value>, schema: &Map<String, Value>) {
    let left_out: Vec<String> = schema
        .iter()
        .filter(|(key, value)| {
            let says_nothing = key.as_str() == "default" && value.is_null()
                || key.as_str() == "uniqueItems" && **value == Value::Bool(false)
                || key.as_str() == "const" && copy.contains_key("enum");
            DESCRIBED.contains(&key.as_str()) && !copy.contains_key(*key) && !says_nothing
        })
        .map(|(key, value)| format!("{key}: {}", text(value)))
        .collect();
    if let Some(title) = schema.get("title").filter(|title| title.is_string()) {
        copy.insert("title".to_owned(), title.clone());
    }
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        add(copy, description);
    }
    if !left_out.is_empty() {
        add(copy, &format!("{{{}}}", left_out.join(", ")));
    }
}

/// Appends a paragraph to the description of a schema.
pub(super) fn add(copy: &mut Map<String, Value>, paragraph: &str) {
    if paragraph.is_empty() {
        return;
    }
    let description = match copy.get("description").and_then(Value::as_str) {
        Some(before) => format!("{before}\n\n{paragraph}"),
        None => paragraph.to_owned(),
    };
    copy.insert("description".to_owned(), Value::String(description));
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
