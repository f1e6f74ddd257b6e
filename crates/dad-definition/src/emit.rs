//! Definitions as YAML and JSON.

use std::fmt::Write;

use dad_core::Definition;
use serde_json::{Map, Value};

use crate::value::parse_number;
use crate::yaml::meant_by_others;

/// Longest key that may stand before `:` without further marks, with some distance to the 1024 of YAML.
const LONGEST_SIMPLE_KEY: usize = 900;

/// A definition as a YAML file that loads as the same definition.
///
/// Texts of several lines become blocks, so that prompts stay readable. Included files are in it; it needs no other.
#[must_use]
pub fn to_yaml(definition: &Definition) -> String {
    // Definitions have only text as keys and finite numbers, so they always serialise.
    to_yaml_value(&serde_json::to_value(definition).unwrap_or_default())
}

/// A value as YAML that is read as the same value, written as [`to_yaml`] does.
#[must_use]
pub fn to_yaml_value(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => write_object(fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, &mut out),
        other => {
            write_inline(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn write_object(fields: &Map<String, Value>, indent: usize, out: &mut String) {
    for (index, (key, value)) in fields.iter().enumerate() {
        // The first key of an element stands behind its dash.
        let behind_dash = index == 0 && out.ends_with("- ");
        if !behind_dash {
            push_spaces(indent, out);
        }
        write_key(key, indent, out);
        write_after_mark(value, indent, out);
    }
}

fn write_key(key: &str, indent: usize, out: &mut String) {
    if is_plain_key(key) {
        out.push_str(key);
        out.push(':');
    } else if key.len() <= LONGEST_SIMPLE_KEY {
        write_quoted(key, out);
        out.push(':');
    } else {
        out.push_str("? ");
        write_quoted(key, out);
        out.push('\n');
        push_spaces(indent, out);
        out.push(':');
    }
}

/// Writes a value behind `key:`.
fn write_after_mark(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write_object(fields, indent + 2, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_list(items, indent + 2, out);
        }
        Value::String(text) if is_block(text) => write_block(text, indent + 2, out),
        scalar => {
            out.push(' ');
            write_inline(scalar, out);
            out.push('\n');
        }
    }
}

fn write_list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        push_spaces(indent, out);
        out.push('-');
        match item {
            Value::Object(fields) if !fields.is_empty() => {
                out.push(' ');
                write_object(fields, indent + 2, out);
            }
            other => write_after_mark(other, indent, out),
        }
    }
}

/// Writes a value that needs no lines of its own.
fn write_inline(value: &Value, out: &mut String) {
    match value {
        Value::String(text) if is_plain(text) => out.push_str(text),
        Value::String(text) => write_quoted(text, out),
        // Numbers, words, and empty lists and objects are written as JSON writes them.
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Whether a text may stand without quotes and is read as text, without a warning.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'))
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !matches!(text, "true" | "false" | "null")
        && meant_by_others(text).is_none()
        && parse_number(text).is_none()
}

fn is_plain_key(key: &str) -> bool {
    is_plain(key) && !key.contains(' ') && key.len() <= LONGEST_SIMPLE_KEY
}

/// Whether a text can be written as a literal block, where nothing can be escaped.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && !text.chars().any(|c| c != '\n' && must_escape(c))
        && body
            .split('\n')
            .all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty())
}

fn write_block(text: &str, indent: usize, out: &mut String) {
    let (mark, body) = match text.strip_suffix('\n') {
        Some(body) => (" |\n", body),
        None => (" |-\n", text),
    };
    out.push_str(mark);
    for line in body.split('\n') {
        if !line.is_empty() {
            push_spaces(indent, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if must_escape(other) => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Characters that YAML does not take as they are, or that would be read as a line break. All fit four digits.
fn must_escape(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn push_spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}
