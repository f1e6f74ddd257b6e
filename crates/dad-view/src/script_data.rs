//! JSON within an HTML document: nothing in it ends the element that holds it.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a value as the content of a `<script type="application/json">`.
pub(crate) fn write_json<W: Write>(value: &impl Serialize, out: W) -> io::Result<()> {
    Ok(serde_json::to_writer(ScriptData(out), value)?)
}

/// Writes `<` and the two separators of lines that JavaScript knows besides as escapes. In JSON all three stand in strings alone.
struct ScriptData<W>(W);

impl<W: Write> Write for ScriptData<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | 0xe2)) {
            self.0.write_all(&rest[..at])?;
            rest = &rest[at..];
            // A string is given in whole characters.
            let (escape, len): (&[u8], usize) = match rest {
                [b'<', ..] => (b"\\u003c", 1),
                [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
                [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
                _ => (&rest[..1], 1),
            };
            self.0.write_all(escape)?;
            rest = &rest[len..];
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_value_comes_back_and_has_no_markup() {
        let value = json!({ "</script><!--": "a < b \u{2028}\u{2029} … €" });
        let mut written = Vec::new();
        write_json(&value, &mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(!written.contains(['<', '\u{2028}', '\u{2029}']), "{written}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }
}
