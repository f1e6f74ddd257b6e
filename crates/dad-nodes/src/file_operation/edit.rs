//! Replacing texts, and showing what that changed.

use std::time::Duration;

use dad_runner::NodeError;
use similar::TextDiff;

use super::FileEdit;

/// The longest difference that is shown, in bytes.
const LONGEST_DIFF: usize = 256 * 1024;

/// How long two versions of a file are compared before the difference becomes a coarse one.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// The lines that are looked through for the place that was perhaps meant.
const LINES_LOOKED_AT: usize = 5_000;

/// How many places of a text are told that must have one.
const MOST_PLACES: usize = 20;

/// How replacements are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Whether texts are also found without their indentation.
    pub(crate) preserve_indentation: bool,
    /// Whether a record says that they were made before, so that one whose result stands there is not made upon itself.
    pub(crate) is_vouched: bool,
}

/// Makes replacements one after the other.
pub(crate) fn apply_edits(
    path: &str,
    text: String,
    edits: &[FileEdit],
    how: How,
) -> Result<String, NodeError> {
    let mut text = text;
    for (index, edit) in edits.iter().enumerate() {
        text = apply_edit(text, edit, how).map_err(|(code, message)| {
            NodeError::new(code, format!("edit {} of `{path}`: {message}", index + 1))
        })?;
    }
    Ok(text)
}

type Refused = (&'static str, String);

fn apply_edit(text: String, edit: &FileEdit, how: How) -> Result<String, Refused> {
    let FileEdit { old_text, new_text } = edit;
    if old_text.is_empty() {
        return Err(("empty_edit", "`old_text` is empty".to_owned()));
    }
    if how.is_vouched && is_made(&text, old_text, new_text) {
        return Ok(text);
    }
    match places(&text, old_text).as_slice() {
        [_] => Ok(text.replacen(old_text.as_str(), new_text, 1)),
        [] if how.preserve_indentation => indented(&text, old_text, new_text),
        [] => Err(not_found(&text, old_text)),
        several => {
            let lines = several.iter().map(|at| text[..*at].matches('\n').count() + 1);
            Err(ambiguous(lines))
        }
    }
}

/// Where a text stands, places that overlap each other among them, as many as are told.
fn places(text: &str, wanted: &str) -> Vec<usize> {
    let step = wanted.chars().next().map_or(1, char::len_utf8);
    let next = |from: usize| Some(from + text.get(from..)?.find(wanted)?);
    std::iter::successors(next(0), |at| next(at + step))
        .take(MOST_PLACES)
        .collect()
}

/// Whether a replacement that was made before still stands: its result is there, and what it replaces stands nowhere
/// else.
fn is_made(text: &str, old: &str, new: &str) -> bool {
    if new.trim().is_empty() || old == new {
        return false;
    }
    let there = places(text, new).len();
    let left = places(text, old).len();
    match places(new, old).len() {
        0 => there == 1 && left == 0,
        within => there > 0 && left == within * there,
    }
}

fn ambiguous(lines: impl Iterator<Item = usize>) -> Refused {
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
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

fn not_found(text: &str, old: &str) -> Refused {
    let first = old
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let nearest = nearest(text, old).map_or_else(String::new, |near| format!("; {near}"));
    let message = format!(
        "the text that begins with `{}` is not in the file{nearest}",
        short(first.trim_start())
    );
    ("edit_not_found", message)
}

/// The place that was perhaps meant: where most lines agree but for their indentation, else the line most like the first.
fn nearest(text: &str, old: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(LINES_LOOKED_AT).collect();
    let wanted: Vec<&str> = old.lines().collect();
    let agreeing = |at: usize| {
        let pairs = lines[at..].iter().zip(&wanted);
        pairs
            .filter(|(line, wanted)| !wanted.trim().is_empty() && line.trim() == wanted.trim())
            .count()
    };
    let best = (0..lines.len()).map(|at| (agreeing(at), at)).rev().max()?;
    // Of equally good places the first.
    let at = (0..lines.len()).find(|at| agreeing(*at) == best.0)?;
    if best.0 > 0 {
        let differing = lines[at..]
            .iter()
            .zip(&wanted)
            .enumerate()
            .find(|(_, (a, b))| a != b);
        return Some(match differing {
            Some((offset, (line, wanted))) => format!(
                "the nearest place is line {}, where line {} is `{}` and not `{}`",
                at + 1,
                at + offset + 1,
                short(line),
                short(wanted)
            ),
            None => format!("the nearest place is line {}, where the file ends sooner", at + 1),
        });
    }
    let first = wanted.iter().find(|line| !line.trim().is_empty())?;
    let first = short(first.trim_start());
    let likeness =
        |line: &str| TextDiff::from_chars(first.as_str(), short(line.trim_start()).as_str()).ratio();
    let (line, ratio) = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| (index, likeness(line)))
        .max_by(|(a_at, a), (b_at, b)| a.total_cmp(b).then(b_at.cmp(a_at)))?;
    (ratio > 0.3).then(|| {
        format!(
            "the nearest place is line {}: `{}`",
            line + 1,
            short(lines[line].trim_start())
        )
    })
}

/// A line as messages show it.
fn short(line: &str) -> String {
    let line = line.trim_end();
    let mut shown: String = line.chars().take(100).collect();
    if line.chars().nth(100).is_some() {
        shown.push('…');
    }
    shown
}

fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Replaces whole lines that differ from the text only in their indentation, which the new lines get.
fn indented(text: &str, old: &str, new: &str) -> Result<String, Refused> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let wanted: Vec<&str> = old.lines().collect();
    let fits = |at: &usize| {
        let there = lines.get(*at..*at + wanted.len());
        there.is_some_and(|there| there.iter().zip(&wanted).all(|(a, b)| a.trim() == b.trim()))
    };
    let places: Vec<usize> = (0..lines.len()).filter(fits).collect();
    let at = match places.as_slice() {
        [at] => *at,
        [] => return Err(not_found(text, old)),
        several => return Err(ambiguous(several.iter().map(|at| at + 1))),
    };
    let is_text = |line: &&str| !line.trim().is_empty();
    let first = wanted.iter().position(is_text).unwrap_or(0);
    let (had, has) = (indent_of(wanted[first]), indent_of(lines[at + first]));
    let mut replaced: String = lines[..at].concat();
    for line in new.split_inclusive('\n') {
        if is_text(&line) {
            replaced.push_str(has);
            replaced.push_str(line.strip_prefix(had).unwrap_or(line.trim_start()));
        } else {
            replaced.push_str(line.trim_start_matches([' ', '\t']));
        }
    }
    let last = lines[at + wanted.len() - 1];
    if last.ends_with('\n') && !new.is_empty() && !new.ends_with('\n') {
        replaced.push('\n');
    }
    replaced.push_str(&lines[at + wanted.len()..].concat());
    Ok(replaced)
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

    fn edit(text: &str, old: &str, new: &str, indentation: bool) -> Result<String, String> {
        edit_vouched(text, old, new, indentation, false)
    }

    fn edit_vouched(
        text: &str,
        old: &str,
        new: &str,
        preserve_indentation: bool,
        is_vouched: bool,
    ) -> Result<String, String> {
        let how = How {
            preserve_indentation,
            is_vouched,
        };
        let edit = FileEdit {
            old_text: old.to_owned(),
            new_text: new.to_owned(),
        };
        apply_edits("f", text.to_owned(), &[edit], how).map_err(|error| error.info.message)
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
                 where line 2 is `    let count = 1;` and not `let count = 1;`",
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
    fn indentation_of_the_file_is_kept_where_that_is_asked_for() {
        let text = "if a:\n        one()\n        if b:\n            two()\nend\n";
        let replaced = edit(
            text,
            "one()\nif b:\n    two()",
            "three()\nif c:\n    four()",
            true,
        );
        assert_eq!(
            replaced.unwrap(),
            "if a:\n        three()\n        if c:\n            four()\nend\n"
        );
        assert!(edit(text, "one()\nif b:", "x", false).is_err());
        assert!(
            edit("  a\n    a\nb", "\ta\n", "x", true)
                .unwrap_err()
                .contains("at lines 1, 2")
        );
    }

    #[test]
    fn what_a_record_says_was_made_is_not_made_again() {
        let again = |text, old, new| edit_vouched(text, old, new, false, true);
        assert_eq!(again("x = 12\n", "x = 1", "x = 12").unwrap(), "x = 12\n");
        assert_eq!(again("b\n", "a", "b").unwrap(), "b\n");
        // A result that stands everywhere says nothing.
        assert!(again("}\n}\n", "a", "}").is_err());
        assert!(again("x = 12\nx = 1\n", "x = 1", "x = 12").is_err());
    }

    #[test]
    fn what_no_record_says_was_made_is_not_taken_for_made() {
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
}
