//! Places in JSON values, as templates write them: `results[0].stdout`, `files["a b"]`.

use dad_core::nearest;
use serde_json::{Map, Value};

/// A part of the way from a value to a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// The way from a value to a place in it; empty for the value itself. The error says what is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<Vec<Segment>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (segment, behind) = match rest.strip_prefix('[') {
            Some(inside) => bracket(inside, rest)?,
            None => {
                let name = if found.is_empty() {
                    Some(rest)
                } else {
                    rest.strip_prefix('.')
                };
                let name = name.ok_or_else(|| format!("a `.` is missing before `{rest}`"))?;
                let (key, behind) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
                if key.is_empty() {
                    return Err(format!("`{text}` has an empty name"));
                }
                (Segment::Key(key.to_owned()), behind)
            }
        };
        found.push(segment);
        rest = behind;
    }
    Ok(found)
}

/// The way from an object to one of its fields, as [`parse`] reads it behind another part.
pub(crate) fn step_to(key: &str) -> String {
    if key.is_empty() || key.contains(['.', '[', ']', '"']) {
        format!("[{}]", Value::from(key))
    } else {
        format!(".{key}")
    }
}

/// An index or quoted key, and what stands behind its bracket.
fn bracket<'t>(inside: &'t str, whole: &str) -> Result<(Segment, &'t str), String> {
    let unclosed = || format!("`{whole}` has no closing bracket");
    if inside.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let key = values.next().and_then(Result::ok).ok_or_else(unclosed)?;
        let behind = &inside[values.byte_offset()..];
        return Ok((Segment::Key(key), behind.strip_prefix(']').ok_or_else(unclosed)?));
    }
    let (index, behind) = inside.split_once(']').ok_or_else(unclosed)?;
    let number = index
        .parse()
        .map_err(|_| format!("`[{index}]` is no index of a list"))?;
    Ok((Segment::Index(number), behind))
}

/// The place in a value. The error says what there is instead.
pub(crate) fn get<'v>(value: &'v Value, path: &[Segment]) -> Result<&'v Value, String> {
    let mut place = value;
    for segment in path {
        place = match segment {
            Segment::Key(key) => {
                let fields = place.as_object().ok_or_else(|| no_fields(key, place))?;
                fields.get(key).ok_or_else(|| unknown_field(key, fields))?
            }
            Segment::Index(index) => {
                let items = place.as_array().ok_or_else(|| no_items(*index, place))?;
                items.get(*index).ok_or_else(|| too_short(*index, items.len()))?
            }
        };
    }
    Ok(place)
}

pub(crate) fn no_fields(key: &str, value: &Value) -> String {
    let is_index = value.is_array() && key.chars().all(|c| c.is_ascii_digit());
    let instead = if is_index {
        format!(": write `[{key}]`")
    } else {
        String::new()
    };
    format!("`{key}` stands in {}{instead}", type_of(value))
}

pub(crate) fn no_items(index: usize, value: &Value) -> String {
    format!("`[{index}]` stands in {}", type_of(value))
}

pub(crate) fn too_short(index: usize, len: usize) -> String {
    format!("there is no `[{index}]` in a list of {len}")
}

pub(crate) fn unknown_field(key: &str, fields: &Map<String, Value>) -> String {
    let names = || fields.keys().map(String::as_str);
    match nearest(key, names()) {
        Some(near) => format!("it has no `{key}`, but `{near}`"),
        None if fields.is_empty() => format!("it has no `{key}`, and nothing else"),
        None => format!(
            "it has no `{key}`, but {}",
            names()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_found_as_templates_write_it() {
        let value = json!({ "a": [{ "b c": 1, "d": "text" }], "e.f": null });
        let at = |text: &str| parse(text).and_then(|path| get(&value, &path).cloned());
        assert_eq!(at(""), Ok(value.clone()));
        assert_eq!(at("a[0].d"), Ok(json!("text")));
        assert_eq!(at("a[0][\"b c\"]"), Ok(json!(1)));
        assert_eq!(at("[\"e.f\"]"), Ok(json!(null)));
        for (wrong, why) in [
            ("a[1]", "there is no `[1]` in a list of 1"),
            ("a.b", "`b` stands in a list"),
            ("a.0", "`0` stands in a list: write `[0]`"),
            ("a[0].dd", "it has no `dd`, but `d`"),
            ("a[0].d[2]", "`[2]` stands in a text"),
            ("a[0]d", "a `.` is missing before `d`"),
            ("a..b", "`a..b` has an empty name"),
            ("a[-1]", "`[-1]` is no index of a list"),
            ("a[0", "`[0` has no closing bracket"),
            ("a[\"x", "`[\"x` has no closing bracket"),
        ] {
            assert_eq!(at(wrong), Err(why.to_owned()), "{wrong}");
        }
    }
}
