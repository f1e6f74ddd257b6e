//! Lines that fit the width of a screen: texts are broken between words, never within an id, a path or a command.

/// The indentation that a word gets which does not fit otherwise.
const LEAST: usize = 4;
/// The most columns of a cell of a row, behind a gap of several blanks, that is not broken.
const CELL: usize = 24;
/// The indentation, below its own, of a line that goes on.
const HANGING: usize = 2;

/// Folds texts for a screen.
#[derive(Clone, Copy, Debug)]
pub struct Fold<'a> {
    /// The columns of the screen; without a width, only the lines of a text itself are kept.
    pub width: Option<usize>,
    /// The name of the program, whose commands stay whole.
    pub program: &'a str,
}

impl Fold<'_> {
    /// A text that begins at a column, with further lines that begin at `hanging`. A text in back ticks is one word if it fits the
    /// screen, and a command of the program always, so that it can be copied.
    #[must_use]
    pub fn text(self, text: &str, column: usize, hanging: usize) -> String {
        let mut shown = String::new();
        for (number, line) in text.trim_end().lines().enumerate() {
            if number == 0 {
                self.line(&mut shown, line, column, hanging);
            } else {
                new_line(&mut shown, hanging);
                self.line(&mut shown, line, hanging, hanging);
            }
        }
        shown
    }

    /// Lines of any origin: those that are too wide go on below their own beginning.
    #[must_use]
    pub fn lines(self, text: &str) -> String {
        if self.width.is_none_or(|width| text.len() <= width) {
            return text.to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            if self.width.is_some_and(|width| columns(line) > width) {
                let rest = line.trim_start_matches(' ');
                let indent = line.len() - rest.len();
                shown.push_str(&line[..indent]);
                self.line(&mut shown, rest, indent, indent + HANGING);
            } else {
                shown.push_str(line);
            }
            shown.push_str(end);
        }
        shown
    }

    fn line(self, shown: &mut String, line: &str, at: usize, hanging: usize) {
        match self.width {
            Some(width) => fold_line(shown, line, at, hanging, width, self.program),
            None => shown.push_str(line),
        }
    }
}

/// The columns that a text takes; colours take none.
pub(crate) fn columns(text: &str) -> usize {
    let plain = anstream::adapter::strip_str(text);
    plain.map(|part| part.chars().count()).sum()
}

fn fold_line(shown: &mut String, line: &str, mut at: usize, hanging: usize, width: usize, program: &str) {
    let (mut gap, mut has_begun) = (0, false);
    let words = words(line, width, program);
    for (number, word) in words.iter().copied().enumerate() {
        if word.is_empty() {
            gap += 1;
            continue;
        }
        let length = match columns(word) {
            length if gap > 1 && has_begun => cell(&words[number..]).unwrap_or(length),
            length => length,
        };
        let indent = hanging.min(width.saturating_sub(length)).max(hanging.min(LEAST));
        if at + gap + length > width && at > indent {
            new_line(shown, indent);
            at = indent;
        } else {
            shown.extend(std::iter::repeat_n(' ', gap));
            at += gap;
        }
        shown.push_str(word);
        at += columns(word);
        gap = 1;
        has_begun = true;
    }
}

/// The columns of the words up to the next wide gap, if they are few enough to stay together as one cell of a row.
fn cell(words: &[&str]) -> Option<usize> {
    let words = words.iter().take_while(|word| !word.is_empty());
    let length = words
        .map(|word| columns(word) + 1)
        .sum::<usize>()
        .saturating_sub(1);
    (length <= CELL).then_some(length)
}

fn new_line(shown: &mut String, indent: usize) {
    shown.truncate(shown.trim_end_matches(' ').len());
    shown.push('\n');
    shown.extend(std::iter::repeat_n(' ', indent));
}

/// The words of a line; of several blanks in a row, each but the first is an empty word.
fn words<'l>(line: &'l str, width: usize, program: &str) -> Vec<&'l str> {
    let own = format!("{program} ");
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
        let is_word = !in_ticks && (is_own || columns(&left[..end]) + LEAST <= width);
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

    const fn at(width: usize) -> Fold<'static> {
        Fold {
            width: Some(width),
            program: "dhenara",
        }
    }

    #[track_caller]
    fn check(text: &str, width: usize, expected: &str) {
        assert_eq!(
            format!("  error  {}", at(width).text(text, 9, 9)),
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
        let file = Fold { width: None, ..at(1) };
        assert_eq!(file.text("one two\nthree", 1, 2), "one two\n  three");
        assert_eq!(file.lines("one two three"), "one two three");
    }

    #[test]
    fn lines_that_are_too_wide_go_on_below_their_beginning() {
        assert_eq!(
            at(16).lines("  one two three four\nfits\n\n    `dhenara runs list --json` x\n"),
            "  one two three\n    four\nfits\n\n    `dhenara runs list --json`\n      x\n"
        );
        let red = "\u{1b}[31mone\u{1b}[0m two";
        assert_eq!(at(7).lines(red), red);
        assert_eq!(at(6).lines(red), red.replace(' ', "\n  "));
        assert_eq!(at(15).lines("step  1 ms  1 command"), "step  1 ms\n  1 command");
    }
}
