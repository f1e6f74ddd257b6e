//! Replacing texts, and showing what that changed.

use std::borrow::Cow;
use std::time::Duration;

use dad_runner::NodeError;
use similar::TextDiff;

use super::FileEdit;
use super::indentation::{self, line_places};
use super::nearest::not_found;

/// The longest difference that is shown, in bytes.
const LONGEST_DIFF: usize = 256 * 1024;

/// How long two versions of a file are compared before the difference becomes a coarse one.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// How many places of a text are named that must have one.
const MOST_PLACES: usize = 20;

/// The mark at the beginning of a file that says in which form of Unicode it is. It is no part of the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Code and message of an edit that cannot be made.
pub(super) type Refused = (&'static str, String);

/// Makes replacements one after the other.
pub(crate) fn apply_edits(
    path: &str,
    text: &str,
    edits: &[FileEdit],
    preserve_indentation: bool,
) -> Result<String, NodeError> {
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (&text[..BYTE_ORDER_MARK.len_utf8()], rest),
        None => ("", text),
    };
    let edited = edits
        .iter()
        .enumerate()
        .try_fold(text.to_owned(), |text, (index, edit)| {
            apply_edit(&text, edit, preserve_indentation).map_err(|(code, message)| {
                NodeError::new(code, format!("edit {} of `{path}`: {message}", index + 1))
            })
        })?;
    Ok(format!("{mark}{edited}"))
}

fn apply_edit(text: &str, edit: &FileEdit, preserve_indentation: bool) -> Result<String, Refused> {
    let (old, new) = match edit.old_text.strip_prefix(BYTE_ORDER_MARK) {
        Some(old) => (
            old,
            edit.new_text
                .strip_prefix(BYTE_ORDER_MARK)
                .unwrap_or(&edit.new_text),
        ),
        None => (&*edit.old_text, &*edit.new_text),
    };
    if old.is_empty() {
        return Err(("empty_edit", "`old_text` is empty".to_owned()));
    }
    let exact = places(text, old);
    if exact.len() > 1 {
        return Err(ambiguous(exact.iter().map(|at| line_of(text, *at))));
    }
    if preserve_indentation {
        let lines = line_places(text, old);
        let is_same = |at: &usize| lines.contains(&(line_of(text, *at) - 1));
        if exact.first().is_none_or(is_same) {
            return match lines.as_slice() {
                [at] => indentation::replace_lines(text, *at, old, new),
                [] => Err(not_found(text, old)),
                several => Err(ambiguous(several.iter().map(|at| at + 1))),
            };
        }
    }
    match exact.first() {
        Some(at) => Ok([
            &text[..*at],
            &with_line_ends_of(text, new),
            &text[at + old.len()..],
        ]
        .concat()),
        None => Err(not_found(text, old)),
    }
}

/// A text whose line ends become those of a file, if all of those are alike.
fn with_line_ends_of<'a>(file: &str, text: &'a str) -> Cow<'a, str> {
    let feeds = file.matches('\n').count();
    let is_crlf = feeds > 0 && file.matches("\r\n").count() == feeds;
    match is_crlf && text.contains('\n') {
        true => text.replace("\r\n", "\n").replace('\n', "\r\n").into(),
        false => text.into(),
    }
}

/// The number, from 1, of the line that a byte is in.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where a text stands, places that overlap each other among them, as many as are named.
fn places(text: &str, wanted: &str) -> Vec<usize> {
    let step = wanted.chars().next().map_or(1, char::len_utf8);
    let next = |from: usize| Some(from + text.get(from..)?.find(wanted)?);
    std::iter::successors(next(0), |at| next(at + step))
        .take(MOST_PLACES)
        .collect()
}

fn ambiguous(lines: impl Iterator<Item = usize>) -> Refused {
    let lines: Vec<String> = lines.take(MOST_PLACES).map(|line| line.to_string()).collect();
    let count = match lines.len() {
        MOST_PLACES => format!("{MOST_PLACES} times or more"),
        count => format!("{count} times"),
    };
    let message = format!(
        "the text stands there {count}, at lines {}; give more of what is around it",
        lines.join(", ")
    );
    ("edit_ambiguous", message)
}

/// The difference of two versions, `None` where there is no file.
pub(crate) fn diff(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let name = |side: &str, there: bool| match there {
        true => format!("{side}/{path}"),
        false => "/dev/null".to_owned(),
    };
    let (old_name, new_name) = (name("a", before.is_some()), name("b", after.is_some()));
    let text = |bytes: Option<&[u8]>| {
        let bytes = bytes.unwrap_or_default();
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
            .map(str::to_owned)
    };
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        return format!("Binary files {old_name} and {new_name} differ\n");
    };
    let mut shown = TextDiff::configure()
        .timeout(DIFF_TIME)
        .diff_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .header(&old_name, &new_name)
        .to_string();
    if shown.len() > LONGEST_DIFF {
        let len = shown.len();
        let mut cut = LONGEST_DIFF;
        while !shown.is_char_boundary(cut) {
            cut -= 1;
        }
        shown.truncate(cut);
        shown.push_str(&format!("\n… {} of {len} bytes left out …\n", len - cut));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, old: &str, new: &str, preserve_indentation: bool) -> Result<String, String> {
        let edit = FileEdit {
            old_text: old.to_owned(),
            new_text: new.to_owned(),
        };
        apply_edits("f", text, &[edit], preserve_indentation).map_err(|error| error.info.message)
    }

    #[test]
    fn a_failure_says_where_the_text_almost_is() {
        let text = "fn main() {\n    let count = 1;\n    print(count);\n}\n";
        let cases = [
            (
                "let counter = 1;",
                "edit 1 of `f`: the text that begins with `let counter = 1;` is not in the file; the nearest place is line 2: \
                 `let count = 1;`",
            ),
            (
                "let count = 1;\nprint(counter);",
                "edit 1 of `f`: the text that begins with `let count = 1;` is not in the file; the nearest place is line 2, \
                 where line 3 of the file is `    print(count);` and line 2 of the text is `print(counter);`",
            ),
        ];
        for (old, message) in cases {
            assert_eq!(edit(text, old, "x", false).unwrap_err(), message);
        }
        assert_eq!(
            edit("a\nb\na\n", "a", "c", false).unwrap_err(),
            "edit 1 of `f`: the text stands there 2 times, at lines 1, 3; give more of what is around it"
        );
    }

    #[test]
    fn a_text_that_is_not_there_is_not_taken_for_replaced() {
        for (text, old, new) in [
            ("verbose = false\n", "debug = true", "debug = false"),
            ("verbose = false\n", "true", "false"),
            ("return a + b;\n", "return a + b;  // TODO", "return a + b;"),
            ("foo()\r\nbar()\r\n", "foo()\nbar()", "foo()"),
        ] {
            let refused = edit(text, old, new, false).unwrap_err();
            assert!(refused.contains("is not in the file"), "{refused}");
        }
        assert_eq!(edit("x = 12\n", "x = 1", "x = 12", false).unwrap(), "x = 122\n");
    }

    #[test]
    fn a_text_that_overlaps_itself_is_ambiguous() {
        let three = "x = 1\nx = 1\nx = 1\n";
        assert_eq!(
            edit(three, "x = 1\nx = 1\n", "x = 2\nx = 1\n", false).unwrap_err(),
            "edit 1 of `f`: the text stands there 2 times, at lines 1, 2; give more of what is around it"
        );
        assert!(edit("aaa", "aa", "b", false).is_err());
        assert!(edit("ééé", "éé", "b", false).is_err());
        assert_eq!(edit("éé\n", "éé", "b", false).unwrap(), "b\n");
        let many = edit(&"a\n".repeat(100_000), "a\n", "b", false).unwrap_err();
        assert!(many.contains("20 times or more"), "{many}");
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_of_the_file_stay() {
        for (text, old, new, wanted) in [
            ("a\r\nb\r\n", "b", "c\nd", "a\r\nc\r\nd\r\n"),
            ("a\r\nb\r\n", "a\r\nb", "c\r\nd\ne", "c\r\nd\r\ne\r\n"),
            // Of a file with several kinds none is its own.
            ("a\r\nb\nc", "b", "x\ny", "a\r\nx\ny\nc"),
            ("\u{feff}a\nb\n", "a", "x", "\u{feff}x\nb\n"),
            ("\u{feff}a\nb\n", "\u{feff}a\n", "\u{feff}x\n", "\u{feff}x\nb\n"),
            ("a\nb", "b", "c", "a\nc"),
        ] {
            assert_eq!(edit(text, old, new, false).unwrap(), wanted, "{text:?} {old:?}");
        }
        let marked = edit("\u{feff}if a:\r\n  b()\r\n", "if a:\nb()\n", "if c:\nd()\n", true);
        assert!(marked.is_err(), "{marked:?}");
        let marked = edit(
            "\u{feff}if a:\r\n  b()\r\n",
            "if a:\n  b()\n",
            "if c:\n  d()\n",
            true,
        );
        assert_eq!(marked.unwrap(), "\u{feff}if c:\r\n  d()\r\n");
    }
}
