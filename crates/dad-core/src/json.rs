//! JSON that comes from outside: command output, model answers, tool arguments, values of the command line.

use serde_json::Value;

/// Deepest nesting of JSON from outside, as of a definition. What is recorded stands within further levels, and its
/// readers stop at 128.
pub const MAX_JSON_DEPTH: usize = 100;

/// Deepest nesting of a value that is recorded, such as rendered settings or an outcome: more than that of JSON from
/// outside, which may be a part of it. Its files put a few levels around it.
pub const MAX_RECORDED_DEPTH: usize = 115;

/// Why JSON from outside is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not JSON.
    #[error("{0}")]
    Syntax(String),
    /// Lists and objects lie too deep within each other.
    #[error("the value at `{place}` lies deeper than {most} lists and objects within each other")]
    TooDeep {
        /// Where, as `items[3].name`.
        place: String,
        /// The deepest there may be.
        most: usize,
    },
    /// An integer that does not fit into 64 bits, which a reader would round.
    #[error(
        "the integer {number} {} does not fit into 64 bits and would be rounded",
        at(place)
    )]
    Integer {
        /// Where, as `items[3].name`; empty for the value itself.
        place: String,
        /// As it was written, long ones shortened.
        number: String,
    },
}

impl JsonError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "json_syntax",
            Self::TooDeep { .. } => "json_too_deep",
            Self::Integer { .. } => "json_integer",
        }
    }

    /// A hint for the author, if there is one.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Syntax(_) => None,
            Self::TooDeep { .. } => Some("write the inner part as a text of JSON"),
            Self::Integer { .. } => Some("write the integer as a text, in quotes"),
        }
    }
}

fn at(place: &str) -> String {
    match place {
        "" => "of the value".to_owned(),
        place => format!("at `{place}`"),
    }
}

/// Reads JSON from outside, without loss: what is returned can be recorded and read again, and no integer is rounded. A
/// byte order mark before it is passed over.
///
/// # Errors
/// [`JsonError`], if the text is not JSON, lies deeper than [`MAX_JSON_DEPTH`], or holds an integer beyond 64 bits.
pub fn parse_external(text: &str) -> Result<Value, JsonError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let scanned = scan(text);
    match (serde_json::from_str(text), scanned) {
        // A text that its reader refuses only for its depth is valid JSON.
        (_, Err(deep @ JsonError::TooDeep { .. })) => Err(deep),
        (Err(error), _) => Err(JsonError::Syntax(error.to_string())),
        (Ok(_), Err(error)) => Err(error),
        (Ok(value), Ok(())) => Ok(value),
    }
}

/// Checks a value from outside that was not read by [`parse_external`]. How its numbers were written is not known any
/// more, so that only the depth counts.
///
/// # Errors
/// [`JsonError::TooDeep`].
pub fn check(value: &Value) -> Result<(), JsonError> {
    check_within(value, &mut Vec::new(), MAX_JSON_DEPTH)
}

/// Checks a value that is about to be recorded and that may hold others, from outside or not.
///
/// # Errors
/// [`JsonError::TooDeep`] beyond [`MAX_RECORDED_DEPTH`].
pub fn check_recorded(value: &Value) -> Result<(), JsonError> {
    check_within(value, &mut Vec::new(), MAX_RECORDED_DEPTH)
}

fn check_within<'a>(value: &'a Value, path: &mut Vec<Step<'a>>, most: usize) -> Result<(), JsonError> {
    if matches!(value, Value::Array(_) | Value::Object(_)) && path.len() >= most {
        return Err(JsonError::TooDeep {
            place: place(path),
            most,
        });
    }
    let mut within = |step: Step<'a>, item: &'a Value| {
        path.push(step);
        check_within(item, path, most)?;
        path.pop();
        Ok(())
    };
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| within(Step::Index(index), item)),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(key, item)| within(Step::Key(key), item)),
        _ => Ok(()),
    }
}

/// A step from a value to one within it.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Index(usize),
    Key(&'a str),
    /// A key between its quotes, as JSON has it; none before the first.
    Written(&'a str),
}

fn place(path: &[Step<'_>]) -> String {
    let mut place = String::new();
    for step in path {
        let key = match step {
            Step::Index(index) => {
                place.push_str(&format!("[{index}]"));
                continue;
            }
            Step::Key(key) => (*key).to_owned(),
            Step::Written(key) => {
                serde_json::from_str(&format!("\"{key}\"")).unwrap_or_else(|_| (*key).to_owned())
            }
        };
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(&key);
    }
    shortened(&place)
}

fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Looks at the depth and the integers of a text, which may turn out not to be JSON: a reader of numbers does not say
/// that it rounded one.
fn scan(text: &str) -> Result<(), JsonError> {
    let mut path: Vec<Step<'_>> = Vec::new();
    let mut is_key = false;
    let bytes = text.as_bytes();
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let begin = index;
        index += 1;
        match byte {
            b'{' | b'[' if path.len() >= MAX_JSON_DEPTH => {
                return Err(JsonError::TooDeep {
                    place: place(&path),
                    most: MAX_JSON_DEPTH,
                });
            }
            b'{' => {
                path.push(Step::Written(""));
                is_key = true;
            }
            b'[' => {
                path.push(Step::Index(0));
                is_key = false;
            }
            b'}' | b']' => {
                path.pop();
                is_key = false;
            }
            b',' => match path.last_mut() {
                Some(Step::Index(item)) => *item += 1,
                _ => is_key = true,
            },
            b'"' => {
                while bytes.get(index).is_some_and(|byte| *byte != b'"') {
                    index += if bytes[index] == b'\\' { 2 } else { 1 };
                }
                if is_key && let Some(step @ Step::Written(_)) = path.last_mut() {
                    *step = Step::Written(text.get(begin + 1..index).unwrap_or_default());
                    is_key = false;
                }
                index += 1;
            }
            b'-' | b'0'..=b'9' => {
                let is_more = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let more = bytes[index..].iter().take_while(|byte| is_more(byte)).count();
                index += more;
                let number = &text[begin..index];
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Err(JsonError::Integer {
                        place: place(&path),
                        number: shortened(number),
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_is_taken_is_as_it_was_written() {
        let text =
            "\u{feff} {\"a\\\"\": [1, -2.5e3, \"12345678901234567890123\"], \"b\": 18446744073709551615}";
        let wanted = json!({ "a\"": [1, -2500.0, "12345678901234567890123"], "b": u64::MAX });
        assert_eq!(parse_external(text), Ok(wanted));
        assert_eq!(parse_external("-9223372036854775808"), Ok(json!(i64::MIN)));
        assert_eq!(parse_external("1e300"), Ok(json!(1e300)));
    }

    #[test]
    fn no_integer_is_rounded() {
        let refused = |text: &str| parse_external(text).unwrap_err();
        let text = r#"{"x": [1, {"key \"n\"": "é\\", "deep": [0, 123456789012345678901]}]}"#;
        says(
            &refused(text),
            "the integer 123456789012345678901 at `x[1].deep[1]` does not fit into 64 bits and would be rounded",
        );
        says(
            &refused("-9223372036854775809"),
            "the integer -9223372036854775809 of the value does not fit into 64 bits and would be rounded",
        );
        let text = r#"{"a\"b": 18446744073709551616}"#;
        assert_eq!(
            refused(text),
            JsonError::Integer {
                place: "a\"b".to_owned(),
                number: "18446744073709551616".to_owned()
            }
        );
        assert!(refused(&"9".repeat(1000)).to_string().len() < 250);
    }

    fn says(error: &JsonError, wanted: &str) {
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn what_is_taken_can_be_read_again_within_more() {
        assert!(parse_external(&nested(MAX_JSON_DEPTH)).is_ok());
        for depth in [MAX_JSON_DEPTH + 1, 127, 128, 200_000] {
            let error = parse_external(&nested(depth)).unwrap_err();
            assert_eq!(error.code(), "json_too_deep", "{depth}");
        }
        let mut value = json!(1);
        for _ in 0..MAX_JSON_DEPTH {
            value = json!({ "k": value });
        }
        assert_eq!(check(&value), Ok(()));
        let deeper = json!([value]);
        let error = check(&deeper).unwrap_err();
        assert!(error.to_string().contains("`[0].k.k.k"), "{error}");
    }

    #[test]
    fn what_is_not_json_is_reported_as_such() {
        for text in [
            "",
            "{",
            "{\"a\": 1,}",
            "\"\\ud800\"",
            "[1 2]",
            "1e999",
            "\"\\",
            "]]]]",
            "{\"a",
        ] {
            assert_eq!(parse_external(text).unwrap_err().code(), "json_syntax", "{text}");
        }
    }
}
