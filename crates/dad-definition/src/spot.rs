//! Places within a text, seen from its spelling in the file.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The spelling of a text in its file, as far as it matters for finding a part of it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// Not a text.
    #[default]
    Other,
    /// The whole file, as it is.
    Verbatim,
    Plain,
    Single,
    Double,
    /// A block scalar after `|`.
    Literal,
    /// A block scalar after `>`.
    Folded,
}

impl Style {
    // By reference because serde asks for it.
    pub(crate) fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

/// Finds a part of a text value in its file: `span` is where the whole value stands.
///
/// Follows the rules of YAML for escapes, folding and indentation, and gives up rather than point at the wrong place.
pub(crate) fn locate(
    file: &str,
    span: Range<usize>,
    style: Style,
    value: &str,
    part: Range<usize>,
) -> Option<Range<usize>> {
    let start = position(file, &span, style, value, part.start)?;
    // The last character and not the end, because what comes after it may be an escape or a new line.
    let last = value.get(part.clone())?.char_indices().next_back();
    let end = match last {
        None => start,
        Some((at, character)) => {
            let at = position(file, &span, style, value, part.start + at)?;
            let width = if file.get(at..)?.starts_with(character) {
                character.len_utf8()
            } else {
                1
            };
            at + width
        }
    };
    (start <= end && file.is_char_boundary(end)).then_some(start..end)
}

fn position(file: &str, span: &Range<usize>, style: Style, value: &str, offset: usize) -> Option<usize> {
    match style {
        Style::Other => None,
        Style::Verbatim => file.is_char_boundary(offset).then_some(offset),
        Style::Literal => in_literal(file, span, value, offset),
        Style::Plain | Style::Folded => walk(file, span.clone(), value, offset, None),
        Style::Single => walk(file, span.start + 1..span.end, value, offset, Some('\'')),
        Style::Double => walk(file, span.start + 1..span.end, value, offset, Some('"')),
    }
}

/// In a literal block every line of the value is the end of a line of the file.
fn in_literal(file: &str, span: &Range<usize>, value: &str, offset: usize) -> Option<usize> {
    // The span begins in the first line that is not blank.
    let blank = value.len() - value.trim_start_matches('\n').len();
    if offset < blank {
        return None;
    }
    let before = value.get(blank..offset)?;
    let line_start = before.rfind('\n').map_or(blank, |at| blank + at + 1);
    let line = value.get(line_start..)?.split('\n').next()?;
    let first_line = file.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let number = before.matches('\n').count();
    let mut raw_start = first_line;
    for _ in 0..number {
        raw_start += file.get(raw_start..)?.find('\n')? + 1;
    }
    let raw = file.get(raw_start..)?.split('\n').next()?;
    let raw = raw.strip_suffix('\r').unwrap_or(raw);
    raw.ends_with(line)
        .then(|| raw_start + raw.len() - line.len() + (offset - line_start))
}

/// Walks through file and value side by side.
fn walk(file: &str, span: Range<usize>, value: &str, offset: usize, quote: Option<char>) -> Option<usize> {
    let raw = file.get(span.clone())?;
    let mut raw_at = 0;
    let mut value_at = 0;
    while value_at < offset {
        let wanted = value.get(value_at..)?.chars().next()?;
        let rest = raw.get(raw_at..)?;
        let found = rest.chars().next()?;
        if let Some(folded) = folded_length(rest).filter(|_| wanted == ' ' || wanted == '\n') {
            raw_at += folded;
            value_at +=
                value.get(value_at..)?.len() - value.get(value_at..)?.trim_start_matches([' ', '\n']).len();
            continue;
        }
        raw_at += match (quote, found) {
            (Some('"'), '\\') => {
                if let Some(continued) = continuation_length(rest) {
                    raw_at += continued;
                    continue;
                }
                escape_length(rest)
            }
            (Some('\''), '\'') => 2,
            _ if found == wanted => found.len_utf8(),
            _ => return None,
        };
        value_at += wanted.len_utf8();
    }
    if let Some(continued) = raw
        .get(raw_at..)
        .filter(|_| quote == Some('"'))
        .and_then(continuation_length)
    {
        raw_at += continued;
    }
    let found = span.start + raw_at;
    (value_at == offset && file.is_char_boundary(found)).then_some(found)
}

/// Length of a line break with the white space around it, which the value has as one space or some line breaks.
fn folded_length(rest: &str) -> Option<usize> {
    let length = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    rest.get(..length)?.contains('\n').then_some(length)
}

/// Length of a backslash at the end of a line with the white space after it, which the value does not have.
fn continuation_length(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('\\')?;
    let after = after.strip_prefix('\r').unwrap_or(after).strip_prefix('\n')?;
    Some(rest.len() - after.trim_start_matches([' ', '\t', '\r', '\n']).len())
}

fn escape_length(rest: &str) -> usize {
    match rest.chars().nth(1) {
        Some('x') => 4,
        // A pair of JSON escapes is one character.
        Some('u') if is_high_surrogate(rest) => 12,
        Some('u') => 6,
        Some('U') => 10,
        Some(other) => 1 + other.len_utf8(),
        None => 1,
    }
}

fn is_high_surrogate(rest: &str) -> bool {
    let digits = rest
        .get(2..6)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    digits.is_some_and(|unit| (0xd800..0xdc00).contains(&unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, style: Style, value: &str, wanted: &str) {
        let start = match style {
            Style::Literal | Style::Folded => file.find('\n').unwrap() + 3,
            _ => 3,
        };
        let at = value.find(wanted).unwrap();
        let span = locate(file, start..file.len(), style, value, at..at + wanted.len()).unwrap();
        assert_eq!(file[span].chars().next(), wanted.chars().next());
    }

    #[test]
    fn parts_are_found_in_every_style() {
        check("a: one two", Style::Plain, "one two", "two");
        check("a: one\n  two\n  three", Style::Plain, "one two three", "three");
        check("a: 'it''s Xy'", Style::Single, "it's Xy", "Xy");
        check(
            r#"a: "\u00e9\n\x41 \ud83d\ude00 Xy""#,
            Style::Double,
            "é\nA 😀 Xy",
            "Xy",
        );
        check("a: \"one \\\n   Xy\"", Style::Double, "one Xy", "Xy");
        check(
            "a: |\n  one\n    two\n\n  Xy\n",
            Style::Literal,
            "one\n  two\n\nXy\n",
            "Xy",
        );
        check("a: >\n  one\n  two Xy\n", Style::Folded, "one two Xy\n", "Xy");
    }
}
