//! Source files, and lines and columns in them.

use std::sync::Arc;

use dad_core::Digest;

/// A file that a definition was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFile {
    /// As it is shown to people: relative to the project where possible.
    pub path: String,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// Its text, without a byte order mark.
    pub text: Arc<str>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<String>, text: &str) -> Self {
        let blake3 = Digest::of(text.as_bytes());
        Self {
            path: path.into(),
            blake3,
            text: text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        }
    }
}

/// Finds lines and columns of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    text: Arc<str>,
    /// The beginnings of lines, and some places in between, so that a file of one long line is no slower than others.
    marks: Arc<[Mark]>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: usize,
    line: u32,
    column: u32,
}

/// Bytes between two marks of one line.
const MARK_DISTANCE: usize = 512;

impl Lines {
    pub(crate) fn new(text: Arc<str>) -> Self {
        let mut mark = Mark {
            offset: 0,
            line: 1,
            column: 1,
        };
        let mut marks = vec![mark];
        let (mut line, mut column) = (1_u32, 1_u32);
        for (offset, character) in text.char_indices() {
            if offset >= mark.offset + MARK_DISTANCE {
                mark = Mark { offset, line, column };
                marks.push(mark);
            }
            if character == '\n' {
                (line, column) = (line.saturating_add(1), 1);
                mark = Mark {
                    offset: offset + 1,
                    line,
                    column,
                };
                marks.push(mark);
            } else {
                column = column.saturating_add(1);
            }
        }
        Self {
            marks: marks.into(),
            text,
        }
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let mark = self.marks[after.saturating_sub(1)];
        let between = self
            .text
            .get(mark.offset..offset)
            .map_or(0, |text| text.chars().count());
        (
            mark.line,
            mark.column
                .saturating_add(u32::try_from(between).unwrap_or(u32::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = format!("é\n{}\nend", "ö".repeat(1000));
        let lines = Lines::new(text.into());
        for (offset, position) in [
            (0, (1, 1)),
            (2, (1, 2)),
            (3, (2, 1)),
            (2003, (2, 1001)),
            (2004, (3, 1)),
        ] {
            assert_eq!(lines.position(offset), position, "{offset}");
        }
    }
}
