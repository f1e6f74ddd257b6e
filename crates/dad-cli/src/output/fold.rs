//! Lines that fit the width of a screen: texts are broken between words, never within an id, a path or a command.

use crate::output::program;

/// The indentation that a word gets which does not fit otherwise.
const LEAST: usize = 4;

/// A text that begins at a column, with further lines that begin at `hanging`. Without a width only its own lines are kept. A
/// text in back ticks is one word if it fits the screen, and a command of this program always, so that it can be copied.
pub(crate) fn fold(text: &str, column: usize, hanging: usize, width: Option<usize>) -> String {
    let mut shown = String::new();
    for (number, line) in text.trim_end().lines().enumerate() {
        if number == 0 {
            fold_line(&mut shown, line, column, hanging, width);
        } else {
            new_line(&mut shown, hanging);
            fold_line(&mut shown, line, hanging, hanging, width);
        }
    }
    shown
}

fn fold_line(shown: &mut String, line: &str, mut at: usize, hanging: usize, width: Option<usize>) {
    let Some(width) = width else {
        shown.push_str(line);
        return;
    };
    let mut gap = 0;
    for word in words(line, width) {
        if word.is_empty() {
            gap += 1;
            continue;
        }
        let length = word.chars().count();
        let indent = hanging.min(width.saturating_sub(length)).max(hanging.min(LEAST));
        if at + gap + length > width && at > indent {
            new_line(shown, indent);
            at = indent;
        } else {
            shown.extend(std::iter::repeat_n(' ', gap));
            at += gap;
        }
        shown.push_str(word);
        at += length;
        gap = 1;
    }
}

fn new_line(shown: &mut String, indent: usize) {
    shown.truncate(shown.trim_end_matches(' ').len());
    shown.push('\n');
    shown.extend(std::iter::repeat_n(' ', indent));
}

/// The words of a line; of several blanks in a row, each but the first is an empty word.
fn words(line: &str, width: usize) -> Vec<&str> {
    let own = format!("{} ", program::name());
    if line.starts_with(&own) {
        return vec![line];
    }
    let mut words = Vec::new();
    let mut left = line;
    while !left.is_empty() {
        let mut in_ticks = false;
        let end = left.find(|c| {
            in_ticks ^= c == '`';
            c == ' ' && !in_ticks
        });
        let end = end.unwrap_or(left.len());
        let is_own = left.trim_start_matches('`').starts_with(&own);
        // A back tick that is never closed encloses nothing.
        let is_word = !in_ticks && (is_own || left[..end].chars().count() + LEAST <= width);
        let end = if is_word { Some(end) } else { left.find(' ') };
        let (word, rest) = left.split_at(end.unwrap_or(left.len()));
        words.push(word);
        left = rest.strip_prefix(' ').unwrap_or(rest);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, width: usize, expected: &str) {
        assert_eq!(
            format!("  error  {}", fold(text, 9, 9, Some(width))),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn lines_break_between_words() {
        check("one two  three", 23, "  error  one two  three");
        check("one two  three", 22, "  error  one two\n         three");
        check(
            "one\n  two three\n",
            15,
            "  error  one\n           two\n         three",
        );
        check("", 10, "  error  ");
    }

    #[test]
    fn commands_and_long_words_stay_whole() {
        check(
            "try `a --b c` twice",
            20,
            "  error  try\n         `a --b c`\n         twice",
        );
        check("a_long_path/to/b", 20, "  error  \n    a_long_path/to/b");
        check(
            "a_very_long_path/to/b",
            10,
            "  error  \n    a_very_long_path/to/b",
        );
        check("`a --bbb c`", 12, "  error  `a\n       --bbb\n         c`");
        check(
            "by `dhenara answer run_1`",
            14,
            "  error  by\n    `dhenara answer run_1`",
        );
        check("dhenara resume a", 14, "  error  \n    dhenara resume a");
        check("it`s a b", 13, "  error  it`s\n         a b");
    }

    #[test]
    fn a_file_gets_whole_lines() {
        assert_eq!(fold("one two\nthree", 1, 2, None), "one two\n  three");
    }
}
