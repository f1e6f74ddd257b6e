//! JSON in texts of programs and servers, whose errors show the text around the fault.

use dad_core::json::{JsonError, parse_external};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Characters of a line that an error shows on each side of a fault.
const SHOWN: usize = 40;

/// The number of times that a text's length may be read in the search for a value in it: a text without JSON must not cost
/// more.
const READINGS: usize = 16;

/// Reads a text that is one JSON document.
///
/// # Errors
/// In words, with the text around the fault.
pub(crate) fn json_of(text: &str) -> Result<Value, String> {
    parse_external(text).map_err(|error| described(&error, text))
}

/// Reads the JSON document of a text, which is all of it or, behind lines of other text, begins on a line of its own and reaches
/// to the end.
///
/// # Errors
/// As [`json_of`].
pub(crate) fn last_json_of(text: &str) -> Result<Value, String> {
    match parse_external(text) {
        Err(error @ JsonError::Syntax(_)) => match behind_noise(text) {
            Some(document) => json_of(document),
            None => Err(described(&error, text)),
        },
        read => read.map_err(|error| described(&error, text)),
    }
}

fn described(error: &JsonError, text: &str) -> String {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let near = match error {
        JsonError::Syntax(_) => near(text),
        _ => String::new(),
    };
    format!("{error}{near}{hint}")
}

/// The text around the first fault.
fn near(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return "; it is empty".to_owned();
    }
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else {
        return String::new();
    };
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let mut at = error.column().min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    let (before, behind) = line.split_at(at);
    let from = before
        .char_indices()
        .rev()
        .nth(SHOWN - 1)
        .map_or(0, |(index, _)| index);
    let to = behind
        .char_indices()
        .nth(SHOWN)
        .map_or(behind.len(), |(index, _)| index);
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    let shown = format!(
        "{}{}{}{}",
        cut(from > 0),
        &before[from..],
        &behind[..to],
        cut(to < behind.len())
    );
    match shown.trim() {
        "" => String::new(),
        shown => format!(", near `{shown}`"),
    }
}

/// The document that a text ends with, if other lines stand before it. A part of one that is broken is none.
fn behind_noise(text: &str) -> Option<&str> {
    let mut left = text.len().saturating_mul(READINGS);
    let mut next = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if start < next || !line.trim_start().starts_with(['{', '[']) || is_part(&text[..start]) {
            continue;
        }
        let document = &text[start..];
        let mut values = serde_json::Deserializer::from_str(document).into_iter::<IgnoredAny>();
        match values.next()? {
            Ok(_) => {
                next = start + values.byte_offset();
                left = left.checked_sub(next - start)?;
                if text[next..].trim().is_empty() {
                    return Some(document);
                }
            }
            Err(error) if error.is_eof() => return None,
            Err(error) => left = left.checked_sub(offset(document, &error))?,
        }
    }
    None
}

/// The place that a reader came to.
fn offset(document: &str, error: &serde_json::Error) -> usize {
    let lines = document
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column()
}

/// Whether what follows a text is a part of JSON that began in it.
pub(crate) fn is_part(before: &str) -> bool {
    let before = before.trim_end();
    let item = before.strip_suffix(',').map(str::trim_end);
    before.ends_with(['[', '{'])
        || before.ends_with("\":")
        || item.is_some_and(|item| item.ends_with(|c: char| "}]\"".contains(c) || c.is_ascii_digit()))
}

/// Reads a document a line.
///
/// # Errors
/// As [`json_of`], with the number of the line.
pub(crate) fn json_lines_of(text: &str) -> Result<Value, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line): (usize, &str)| {
        // Each is a text of one line, to its reader.
        let place = |reason: String| reason.replacen(" at line 1 column ", " at column ", 1);
        json_of(line).map_err(|reason| format!("in line {}, {}", index + 1, place(reason)))
    };
    let values: Value = lines.map(read).collect::<Result<_, _>>()?;
    dad_core::json::check(&values).map_err(|error| described(&error, ""))?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_found_behind_other_lines() {
        for (text, value) in [
            ("{\"a\": 1}", json!({ "a": 1 })),
            ("warning: old\n{\"a\": 1}\n\n", json!({ "a": 1 })),
            (
                "[info] one\n[1/3] two\n[1] 4711\n[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n",
                json!([{ "a": 1 }, { "a": 2 }]),
            ),
            ("{\"first\": 1}\n{\"last\": 2}", json!({ "last": 2 })),
            (
                "> tool\n\n{\n  \"a\": {\n    \"b\": []\n  }\n}",
                json!({ "a": { "b": [] } }),
            ),
        ] {
            assert_eq!(last_json_of(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_broken_document_is_no_document() {
        for text in [
            "",
            "nothing",
            "{\"a\": [\n1,\n[2]\n]",
            "{\"a\": oops,\n\"b\":\n[2]",
            "{\"a\": oops,\n\"b\": [\n{\"c\": 1},\n{\"d\": 1}]",
            "{\"a\": 1}\ndone",
            "text {\"a\": 1}",
        ] {
            assert!(last_json_of(text).is_err(), "{text}: {:?}", last_json_of(text));
        }
    }

    #[test]
    fn an_error_shows_the_text_around_the_fault() {
        let long = format!(
            "{{\"a\": \"{}\", \"b\": tru, \"c\": \"{}\"}}",
            "x".repeat(100),
            "é".repeat(100)
        );
        let error = json_of(&long).unwrap_err();
        assert!(
            error.contains("column") && error.contains("\"b\": tru, \"c\""),
            "{error}"
        );
        assert!(error.len() < 300, "{error}");
        assert!(json_of(" \n").unwrap_err().ends_with("it is empty"));
        let error = json_lines_of("{\"a\": 1}\n{\"b\": oops}\n").unwrap_err();
        assert!(
            error.starts_with("in line 2, ") && error.contains("oops"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_json_costs_no_more_than_its_length() {
        let text = "[\n".repeat(200_000);
        let began = std::time::Instant::now();
        assert!(last_json_of(&text).is_err());
        let text = format!("{}x", "[1,\n2],3\n".repeat(100_000));
        assert!(last_json_of(&text).is_err());
        assert!(began.elapsed().as_secs() < 60);
    }
}
