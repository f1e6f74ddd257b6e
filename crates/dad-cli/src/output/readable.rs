//! JSON values as people read them: a field a line, and texts of several lines as they are.

use dad_core::printable;
use serde_json::Value;

/// Lists and objects without texts of several lines stand on one line of at most this many characters.
const ONE_LINE: usize = 80;

/// A value with every line behind `indent` blanks. A terminal may show it.
pub(crate) fn readable(value: &Value, indent: usize) -> String {
    let mut text = String::new();
    write(&mut text, value, indent);
    text
}

/// A text with every line behind `indent` blanks. A terminal may show it.
pub(crate) fn indented(text: &str, indent: usize) -> String {
    let line = |line: &str| match printable(line) {
        line if line.is_empty() => "\n".to_owned(),
        line => format!("{:indent$}{line}\n", ""),
    };
    text.lines().map(line).collect()
}

fn write(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let label = format!("{:indent$}{}:", "", printable(&name.replace('\n', "\\n")));
                write_behind(text, &label, value, indent);
            }
        }
        Value::Array(items) if !items.is_empty() && on_one_line(value).is_none() => {
            for item in items {
                write_item(text, item, indent);
            }
        }
        Value::String(string) if !string.is_empty() => *text += &indented(string, indent),
        Value::String(_) => text.push('\n'),
        value => *text += &format!("{:indent$}{}\n", "", printable(&value.to_string())),
    }
}

/// Writes a value behind a label, on its line if it has one line itself.
fn write_behind(text: &mut String, label: &str, value: &Value, indent: usize) {
    match on_one_line(value) {
        Some(line) => *text += &format!("{label} {}\n", printable(&line)),
        None => {
            *text += &format!("{label}\n");
            write(text, value, indent + 2);
        }
    }
}

/// Writes an item of a list: its first line stands behind the dash.
fn write_item(text: &mut String, item: &Value, indent: usize) {
    let lines = readable(item, indent + 2);
    match lines.strip_prefix(&" ".repeat(indent + 2)) {
        Some(lines) => *text += &format!("{:indent$}- {lines}", ""),
        None => *text += &format!("{:indent$}-\n{lines}", ""),
    }
}

/// A value that reads well on one line.
fn on_one_line(value: &Value) -> Option<String> {
    match value {
        Value::String(string) if string.is_empty() => Some("\"\"".to_owned()),
        Value::String(string) => {
            let line = string.strip_suffix('\n').unwrap_or(string);
            (!line.contains('\n')).then(|| line.to_owned())
        }
        Value::Array(items) if items.iter().all(is_short) => short(value),
        Value::Object(fields) if fields.is_empty() => short(value),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(string) => !string.contains('\n'),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

fn short(value: &Value) -> Option<String> {
    let line = value.to_string();
    (line.chars().count() <= ONE_LINE).then_some(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_several_lines_stand_as_they_are() {
        let value = json!({
            "prompt": "one\n  two\n\nthree",
            "models": ["a/b", "c/d"],
            "commands": [["sh", "-c", "a\nb"], ["ls"]],
            "none": null,
            "empty": "",
            "objects": [{ "name": "x", "text": "1\n2" }, {}],
            "escape": "\u{1b}[2J",
            "ends\n": "a line\n",
        });
        let lines = [
            "  prompt:",
            "    one",
            "      two",
            "",
            "    three",
            "  models: [\"a/b\",\"c/d\"]",
            "  commands:",
            "    - - sh",
            "      - -c",
            "      - a",
            "        b",
            "    - [\"ls\"]",
            "  none: null",
            "  empty: \"\"",
            "  objects:",
            "    - name: x",
            "      text:",
            "        1",
            "        2",
            "    - {}",
            "  escape: \\u{1b}[2J",
            "  ends\\n: a line",
        ];
        assert_eq!(readable(&value, 2).lines().collect::<Vec<_>>(), lines);
    }
}
