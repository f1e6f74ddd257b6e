//! Errors of reading JSON as a type, in the words of its user instead of those of the program.

use std::fmt::Display;

/// The problem with a value that a type refuses, as `serde` says it, without the names of types in the program.
///
/// ```
/// let error = serde_json::from_str::<u64>("\"5\"").unwrap_err();
/// assert_eq!(dad_core::internal::in_words(&error), "expected a whole number that is not negative, found the text \"5\" at line 1 column 3");
/// ```
#[must_use]
pub fn in_words(error: &impl Display) -> String {
    let reported = error.to_string();
    let (reported, place) = match reported.find(" at line ") {
        Some(at) => (&reported[..at], &reported[at..]),
        None => (reported.as_str(), ""),
    };
    format!("{}{place}", reworded(reported))
}

/// Whether an error of reading JSON is about the type of a value, so that a schema can say better what is wanted.
#[must_use]
pub fn is_about_a_type(error: &impl Display) -> bool {
    let reported = error.to_string();
    [
        "invalid type",
        "invalid value",
        "invalid length",
        "data did not match",
    ]
    .iter()
    .any(|beginning| reported.starts_with(beginning))
}

fn reworded(reported: &str) -> String {
    let parts = |beginning: &str| reported.strip_prefix(beginning)?.rsplit_once(", expected ");
    if let Some((found, wanted)) = parts("invalid type: ").or_else(|| parts("invalid value: ")) {
        return format!(
            "expected {}, found {}",
            wanted_in_words(wanted),
            found_in_words(found)
        );
    }
    if let Some((length, wanted)) = parts("invalid length ") {
        return format!("expected {}, found {length} of them", wanted_in_words(wanted));
    }
    if reported.starts_with("data did not match any variant of untagged enum") {
        return "it has none of the forms that may stand here".to_owned();
    }
    match reported.strip_prefix("unknown variant ") {
        Some(rest) => format!("unknown value {rest}"),
        None => no_json(reported).unwrap_or(reported).to_owned(),
    }
}

/// Why a text is no JSON; nothing for any other error.
fn no_json(reported: &str) -> Option<&'static str> {
    Some(match reported {
        "EOF while parsing a value" => "it ends where a value is expected",
        "EOF while parsing a list" => "it ends within a list",
        "EOF while parsing an object" => "it ends within an object",
        "EOF while parsing a string" => "it ends within a text",
        "expected value" => "a JSON value is expected",
        "expected ident" => "`true`, `false` or `null` is expected",
        "trailing characters" => "something follows its end",
        "key must be a string" => "a key must be a text in double quotes",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a line break or control character in a text is written as an escape, such as `\\n`"
        }
        _ => return None,
    })
}

fn found_in_words(found: &str) -> String {
    let (kind, value) = match found.find(['`', '"']) {
        Some(at) => (found[..at].trim_end(), &found[at..]),
        None => (found, ""),
    };
    let kind = match kind {
        "integer" | "floating point" => "the number ",
        "string" | "character" => "the text ",
        "boolean" => "",
        "null" | "unit value" | "Option value" => "nothing",
        "sequence" => "a list",
        "map" => "a mapping",
        _ => return found.to_owned(),
    };
    format!("{kind}{value}")
}

fn wanted_in_words(wanted: &str) -> String {
    let is_type = |kinds: &[&str]| kinds.iter().any(|kind| wanted.starts_with(kind));
    let words = match wanted {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "str" | "string" | "path string" | "a character" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "unit" => "nothing",
        "string or map" | "variant identifier" => "a name",
        _ if wanted.starts_with("a nonzero ") => "a whole number above 0",
        _ if is_type(&["tuple ", "a tuple", "an array"]) => "a list",
        _ if is_type(&[
            "struct ",
            "internally tagged enum ",
            "adjacently tagged enum ",
            "newtype struct ",
        ]) =>
        {
            "a mapping"
        }
        _ if is_type(&["enum "]) => "one of the names that may stand here",
        _ if is_type(&["unit struct ", "unit variant "]) => "nothing",
        _ => wanted,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        _a: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Either {
        One { _b: String },
        Other { _c: bool },
    }

    #[derive(Debug, Deserialize)]
    enum Named {
        #[serde(rename = "x")]
        _X,
    }

    fn said<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: serde_json::Value) -> String {
        in_words(&serde_json::from_value::<T>(json).unwrap_err())
    }

    #[test]
    fn no_name_of_a_type_is_said() {
        use serde_json::json;
        assert_eq!(
            said::<String>(json!(8080)),
            "expected a text, found the number `8080`"
        );
        assert_eq!(said::<Vec<String>>(json!({})), "expected a list, found a mapping");
        assert_eq!(
            said::<Inner>(json!([true])),
            "expected a whole number that is not negative, found `true`"
        );
        assert_eq!(
            said::<Inner>(json!("s")),
            "expected a mapping, found the text \"s\""
        );
        assert_eq!(
            said::<Either>(json!(1)),
            "it has none of the forms that may stand here"
        );
        assert_eq!(said::<Named>(json!("y")), "unknown value `y`, expected `x`");
        assert_eq!(
            said::<u8>(json!(-1)),
            "expected a whole number that is not negative, found the number `-1`"
        );
        assert_eq!(
            said::<bool>(json!(null)),
            "expected `true` or `false`, found nothing"
        );
        assert_eq!(said::<Inner>(json!({})), "missing field `_a`");
    }
}
