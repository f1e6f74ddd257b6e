//! Replacing texts, and showing what that changed.

use std::borrow::Cow;
use std::time::Duration;

use dad_runner::NodeError;
use similar::TextDiff;

use super::FileEdit;
use super::indentation::{self, line_places};
use super::nearest::not_found;
use super::result::Refused;

/// The longest difference that is shown, in bytes.
const LONGEST_DIFF: usize = 256 * 1024;

/// The time for which two versions of a file are compared before the difference becomes a coarse one.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// The number of places that an error names for a text that must have one.
const MAX_PLACES: usize = 20;

/// The mark at the beginning of a file that says in which form of Unicode it is. It is no part of the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

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
        let message = "`old_text` is empty; `create_file` gives a file its whole content";
        return Err(("empty_edit", message.to_owned()));
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
        Some(at) => {
            let new = with_line_ends_at(text, *at, new);
            Ok([&text[..*at], &new, &text[at + old.len()..]].concat())
        }
        None => Err(made_before(text, new, not_found(text, old))),
    }
}

/// The same error, which says so if what is to be written is there: a model that calls twice is then not led astray by the
/// place that is nearest to the old text.
fn made_before(text: &str, new: &str, (code, message): Refused) -> Refused {
    match places(text, new).as_slice() {
        [at] if !new.trim().is_empty() => {
            let line = line_of(text, *at);
            (
                code,
                format!("{message}; `new_text` stands at line {line}, perhaps the edit was made before"),
            )
        }
        _ => (code, message),
    }
}

/// A text whose line ends become those of the line that a place of a file is in, or of the line before if that is the last.
fn with_line_ends_at<'a>(file: &str, at: usize, text: &'a str) -> Cow<'a, str> {
    let is_crlf = match file[at..].find('\n') {
        Some(end) => file[..at + end].ends_with('\r'),
        None => file[..at]
            .rfind('\n')
            .is_some_and(|end| file[..end].ends_with('\r')),
    };
    match (is_crlf, text.contains('\n')) {
        (_, false) => text.into(),
        (true, true) => text.replace("\r\n", "\n").replace('\n', "\r\n").into(),
        (false, true) => text.replace("\r\n", "\n").into(),
    }
}

/// The number, from 1, of the line that a byte is in.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The places of a text, places that overlap each other among them, as many as are named.
fn places(text: &str, wanted: &str) -> Vec<usize> {
    let step = wanted.chars().next().map_or(1, char::len_utf8);
    let next = |from: usize| Some(from + text.get(from..)?.find(wanted)?);
    std::iter::successors(next(0), |at| next(at + step))
        .take(MAX_PLACES)
        .collect()
}

fn ambiguous(lines: impl Iterator<Item = usize>) -> Refused {
    let lines: Vec<String> = lines.take(MAX_PLACES).map(|line| line.to_string()).collect();
    let count = match lines.len() {
        MAX_PLACES => format!("{MAX_PLACES} times or more"),
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
    use proptest::prelude::*;

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
    fn an_edit_that_was_perhaps_made_before_says_so() {
        let again = edit("a\nx = 2\n", "x = 1", "x = 2", false).unwrap_err();
        assert!(
            again.ends_with("`new_text` stands at line 2, perhaps the edit was made before"),
            "{again}"
        );
        let often = edit("x = 2\nx = 2\n", "x = 1", "x = 2", false).unwrap_err();
        assert!(!often.contains("made before"), "{often}");
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
            // In a file with several kinds it is that of the line.
            ("a\r\nb\nc", "b", "x\ny", "a\r\nx\ny\nc"),
            ("a\r\nb\nc", "a", "x\ny", "x\r\ny\r\nb\nc"),
            ("a\nb\r\nc", "c", "x\ny", "a\nb\r\nx\r\ny"),
            ("\u{feff}a\nb\n", "a", "x", "\u{feff}x\nb\n"),
            ("\u{feff}a\nb\n", "\u{feff}a\n", "\u{feff}x\n", "\u{feff}x\nb\n"),
            ("a\nb", "b", "c", "a\nc"),
            ("a\nb\n", "b", "c\r\nd", "a\nc\nd\n"),
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

    /// Lines of code: their levels, each at most one deeper than the one before.
    fn levels() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0_usize..=5, 1..20).prop_map(|wanted| {
            let mut levels: Vec<usize> = Vec::new();
            for level in wanted {
                let most = levels.last().map_or(0, |last| last + 1);
                levels.push(level.min(most));
            }
            levels
        })
    }

    fn unit() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["\t", " ", "  ", "   ", "    ", "        "])
    }

    /// Lines with words that no two of them share.
    fn rendered<'a>(
        lines: impl IntoIterator<Item = &'a (i64, String)>,
        margin: i64,
        unit: &str,
        line_end: &str,
    ) -> Option<String> {
        let mut text = String::new();
        for (level, word) in lines {
            let count = usize::try_from(level + margin).ok()?;
            text.push_str(&unit.repeat(count));
            text.push_str(word);
            text.push_str(line_end);
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn an_edit_replaces_what_a_plain_replacement_would(
            parts in prop::collection::vec("[a-zé \t\u{1f600}]{0,8}", 1..30),
            line_end in prop::sample::select(vec!["\n", "\r\n"]),
            (has_mark, ends) in any::<(bool, bool)>(),
            (from, len) in (0_usize..30, 1_usize..6),
            new in prop::collection::vec("[A-Z \t]{0,6}", 0..5),
        ) {
            // Numbers make each line the only one of its kind.
            let lines: Vec<String> = parts.iter().enumerate().map(|(at, text)| format!("{at}:{text}")).collect();
            let from = from % lines.len();
            let to = (from + len).min(lines.len());
            let mark = if has_mark { "\u{feff}" } else { "" };
            let last = if ends { line_end } else { "" };
            let joined = |lines: &[String]| lines.join(line_end);
            let old = joined(&lines[from..to]);
            let before = lines[..from].iter().map(|line| format!("{line}{line_end}")).collect::<String>();
            let after = lines[to..].iter().map(|line| format!("{line_end}{line}")).collect::<String>();
            let text = format!("{mark}{before}{old}{after}{last}");
            prop_assume!(text.matches(&*old).count() == 1);
            let has_line_end = text.contains('\n');
            let new_in_file = new.join(if has_line_end { line_end } else { "\n" });
            let edited = edit(&text, &old, &new.join("\n"), false);
            prop_assert_eq!(edited.unwrap(), format!("{mark}{before}{new_in_file}{after}{last}"));
        }

        #[test]
        fn kept_indentation_is_that_of_the_file(
            (levels, new_levels) in (levels(), levels()),
            (unit, given) in (unit(), unit()),
            line_end in prop::sample::select(vec!["\n", "\r\n"]),
            (from, len) in (0_usize..20, 1_usize..6),
            (margin, up) in (0_i64..4, 0_i64..3),
        ) {
            let lines: Vec<(i64, String)> = levels
                .iter()
                .enumerate()
                .map(|(at, level)| (i64::try_from(*level).unwrap(), format!("line{at}()")))
                .collect();
            let from = from % lines.len();
            let to = (from + len).min(lines.len());
            let (base, old) = (lines[from].0, &lines[from..to]);
            let new: Vec<(i64, String)> = new_levels
                .iter()
                .enumerate()
                .map(|(at, level)| (i64::try_from(*level).unwrap() - up, format!("new{at}()")))
                .collect();
            // The given texts begin at another margin, and are not indented at all where the file is least.
            let least = old.iter().map(|(level, _)| level - base).min().unwrap().min(0);
            let margin = margin - least + up;
            let file = |lines: &[(i64, String)], margin| rendered(lines, margin, unit, line_end);
            let relative: Vec<(i64, String)> = old.iter().map(|(level, word)| (level - base, word.clone())).collect();
            let given_old = rendered(&relative, margin, given, "\n").unwrap();
            let given_new = rendered(&new, margin, given, "\n").unwrap();
            // One level more than the line before shows what a step is, in the file and in the given texts.
            let shows = |levels: &mut dyn Iterator<Item = i64>| {
                let levels: Vec<i64> = levels.collect();
                levels.windows(2).any(|pair| pair[1] == pair[0] + 1)
            };
            let first = std::iter::once(0);
            prop_assume!(shows(&mut lines.iter().map(|line| line.0)));
            prop_assume!(
                shows(&mut relative.iter().map(|line| line.0)) || shows(&mut first.chain(new.iter().map(|line| line.0)))
            );
            let text = file(&lines, 0).unwrap();
            let edited = edit(&text, &given_old, &given_new, true);
            match file(&new, base) {
                Some(new) => {
                    let wanted = [file(&lines[..from], 0).unwrap(), new, file(&lines[to..], 0).unwrap()].concat();
                    prop_assert_eq!(edited.unwrap(), wanted);
                }
                None => {
                    let refused = edited.unwrap_err();
                    prop_assert!(refused.contains("left of the margin"), "{}", refused);
                }
            }
        }
    }
}
