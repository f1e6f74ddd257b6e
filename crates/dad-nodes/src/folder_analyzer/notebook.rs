//! Jupyter notebooks as text: what their cells hold, and of what they put out the beginning.

use serde_json::Value;

/// Notebooks above this size, in bytes, are not read unless the settings say another one: most of one are images.
pub(super) const MAX_NOTEBOOK: u64 = 16 << 20;

/// Lines of an output that are kept, and bytes of them.
const OUTPUT_LINES: usize = 5;
const OUTPUT_BYTES: usize = 500;

/// A notebook as text in the percent format (`# %%` before each cell), with its outputs shortened, or what is wrong with it. Its
/// form is that of <https://nbformat.readthedocs.io/en/latest/format_description.html>.
pub(super) fn as_text(notebook: &str) -> Result<String, String> {
    let notebook: Value = serde_json::from_str(notebook)
        .map_err(|error| format!("line {}, column {} is no JSON", error.line(), error.column()))?;
    let cells = notebook["cells"].as_array();
    // Version 3 has its cells in sheets.
    let cells = cells.or_else(|| notebook["worksheets"][0]["cells"].as_array());
    let cells = cells.ok_or("there is no list `cells`")?;
    Ok(cells.iter().map(cell).collect::<Vec<_>>().join("\n"))
}

fn cell(cell: &Value) -> String {
    let mut text = match cell["cell_type"].as_str() {
        Some("code") => "# %%\n".to_owned(),
        kind => format!("# %% [{}]\n", kind.unwrap_or("raw")),
    };
    let source = match &cell["source"] {
        Value::Null => joined(&cell["input"]),
        source => joined(source),
    };
    push_line(&mut text, &source);
    for output in cell["outputs"].as_array().into_iter().flatten() {
        push_line(&mut text, &shown(output));
    }
    text
}

/// The beginning of an output, as a comment.
fn shown(output: &Value) -> String {
    match output["output_type"].as_str() {
        Some("stream") => commented(&joined(&output["text"])),
        Some("error" | "pyerr") => {
            let part = |name: &str| output[name].as_str().unwrap_or_default();
            commented(&format!("{}: {}", part("ename"), part("evalue")))
        }
        _ => {
            let data = output["data"].as_object().or_else(|| output.as_object());
            match data.and_then(|data| data.get("text/plain").or_else(|| data.get("text"))) {
                Some(plain) => commented(&joined(plain)),
                None => {
                    let kinds: Vec<&str> = data
                        .into_iter()
                        .flatten()
                        .map(|(kind, _)| kind.as_str())
                        .collect();
                    commented(&format!("({} left out)", kinds.join(", ")))
                }
            }
        }
    }
}

fn commented(text: &str) -> String {
    let mut end = text.len().min(OUTPUT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut lines: Vec<String> = text[..end]
        .lines()
        .take(OUTPUT_LINES)
        .map(|line| format!("# > {}", last_frame(line)))
        .collect();
    let kept: usize = text[..end]
        .split_inclusive('\n')
        .take(OUTPUT_LINES)
        .map(str::len)
        .sum();
    if kept < text.len() {
        lines.push(format!("# > … ({} bytes in all)", text.len()));
    }
    lines.join("\n")
}

/// The visible end of a line: a progress bar is written over itself again and again.
fn last_frame(line: &str) -> &str {
    line.rsplit('\r')
        .find(|frame| !frame.is_empty())
        .unwrap_or_default()
}

/// A text that may be written as a list of its lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_kept_and_outputs_shortened() {
        let notebook = json!({ "nbformat": 4, "cells": [
            { "cell_type": "markdown", "source": ["# Title\n", "text"] },
            { "cell_type": "code", "source": "plot(x)", "outputs": [
                { "output_type": "stream", "name": "stdout", "text": "1\n2\n3\n4\n5\n6\n" },
                { "output_type": "display_data", "data": { "image/png": "A".repeat(90_000) } },
                { "output_type": "execute_result", "data": { "text/plain": ["<Fig", "ure>"], "image/png": "AAAA" } },
                { "output_type": "error", "ename": "ValueError", "evalue": "é".repeat(400), "traceback": [] },
            ] },
        ] });
        let text = as_text(&notebook.to_string()).unwrap();
        let error = format!("# > ValueError: {}\n# > … (812 bytes in all)\n", "é".repeat(244));
        let wanted = "# %% [markdown]\n# Title\ntext\n\n# %%\nplot(x)\n# > 1\n# > 2\n# > 3\n# > 4\n# > 5\n\
                      # > … (12 bytes in all)\n# > (image/png left out)\n# > <Figure>\n";
        assert_eq!(text, format!("{wanted}{error}"));
        assert_eq!(commented("10 %\r20 %\r100 %\ndone"), "# > 100 %\n# > done");
        let older = json!({ "worksheets": [{ "cells": [{ "cell_type": "code", "input": ["x"], "outputs": [
            { "output_type": "pyout", "text": ["1"] }, { "output_type": "pyerr", "ename": "E", "evalue": "v" },
        ] }] }] });
        assert_eq!(as_text(&older.to_string()).unwrap(), "# %%\nx\n# > 1\n# > E: v\n");
        assert_eq!(as_text("{").unwrap_err(), "line 1, column 1 is no JSON");
        assert_eq!(as_text("{}").unwrap_err(), "there is no list `cells`");
    }
}
