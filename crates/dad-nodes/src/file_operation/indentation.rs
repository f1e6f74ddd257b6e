//! Replacing whole lines that differ from a text only in their indentation: the new lines are shifted by the difference,
//! in the unit of the file.

use std::collections::BTreeMap;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::nearest::not_found;
use super::result::Refused;

/// The lines of a file from which its unit of indentation is taken.
const LINES_LOOKED_AT: usize = 5_000;

/// The most blanks that are one step of indentation.
const WIDEST: usize = 8;

/// The width of a tab beside blanks where nothing says more.
const USUAL: usize = 4;

/// The lines, from 0, at which a text stands if indentation, line ends and blanks at the end are not looked at.
pub(super) fn line_places(text: &str, old: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let wanted: Vec<&str> = old.lines().map(str::trim).collect();
    let last = (lines.len() + 1).saturating_sub(wanted.len());
    (0..last)
        .filter(|at| lines[*at..at + wanted.len()] == wanted)
        .collect()
}

/// Replaces the lines that begin at a place by new ones, which get the indentation and the line ends of the file.
pub(super) fn replace_lines(text: &str, at: usize, old: &str, new: &str) -> Result<String, Refused> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let wanted: Vec<&str> = old.lines().collect();
    let end = at + wanted.len();
    let Some(there) = lines.get(at..end) else {
        return Err(not_found(text, old));
    };
    let new: Vec<&str> = new.lines().collect();
    let shift = Shift::new(text, there, &wanted, &new)?;
    let ends_with_feed = there.last().is_some_and(|line| line.ends_with('\n'));
    let line_end = line_end_of(there).or_else(|| line_end_of(&lines)).unwrap_or("\n");
    let mut replaced: String = lines[..at].concat();
    for (index, (line, kept)) in new.iter().zip(kept_lines(&wanted, &new)).enumerate() {
        let kept = kept.map(|kept| there[kept]);
        let is_last = index + 1 == new.len();
        match kept {
            Some(kept) => replaced.push_str(kept.trim_end_matches(['\r', '\n'])),
            None if line.trim().is_empty() => {}
            None => {
                let shifted = shift
                    .indent(indent_of(line))
                    .ok_or_else(|| too_far_left(index + 1))?;
                replaced.push_str(&shifted);
                replaced.push_str(line.trim_start());
            }
        }
        if !is_last || ends_with_feed {
            let own = kept.and_then(|kept| line_end_of(&[kept]));
            replaced.push_str(own.unwrap_or(line_end));
        }
    }
    replaced.push_str(&lines[end..].concat());
    Ok(replaced)
}

/// For each new line the old one that it is, if it is one: what an edit does not change stays in the file as it is, with
/// blanks at its end and its line end.
fn kept_lines(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let mut kept = vec![None; new.len()];
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = op
        {
            for offset in 0..len {
                kept[new_index + offset] = Some(old_index + offset);
            }
        }
    }
    kept
}

fn too_far_left(line: usize) -> Refused {
    let message = format!(
        "line {line} of `new_text` would stand left of the margin: it is less indented than `old_text` is in the file; give \
         both texts with the indentation of the file"
    );
    ("edit_indentation", message)
}

fn line_end_of<'a>(lines: &[&str]) -> Option<&'a str> {
    let line = lines.iter().find(|line| line.ends_with('\n'))?;
    Some(if line.ends_with("\r\n") { "\r\n" } else { "\n" })
}

fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn is_text(line: &&str) -> bool {
    !line.trim().is_empty()
}

/// The width of an indentation, in blanks.
fn width(indent: &str, tab: usize) -> usize {
    indent.chars().map(|c| if c == '\t' { tab } else { 1 }).sum()
}

/// One step of indentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Blanks(usize),
    Tab,
}

impl Unit {
    /// The step by which lines are most often indented more than the line before.
    fn of<'a>(texts: impl IntoIterator<Item = Vec<&'a str>>) -> Option<Self> {
        let mut steps: BTreeMap<Self, usize> = BTreeMap::new();
        for text in texts {
            let indents: Vec<&str> = text.into_iter().filter(is_text).map(indent_of).collect();
            for pair in indents.windows(2) {
                if let Some(step) = pair[1].strip_prefix(pair[0]).and_then(Self::of_step) {
                    *steps.entry(step).or_default() += 1;
                }
            }
        }
        // Of several the widest: a narrower one is more often there to align something.
        let most = steps.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(unit, _)| unit)
    }

    fn of_step(step: &str) -> Option<Self> {
        match step {
            "\t" => Some(Self::Tab),
            "" => None,
            _ if step.len() <= WIDEST && step.bytes().all(|byte| byte == b' ') => {
                Some(Self::Blanks(step.len()))
            }
            _ => None,
        }
    }

    const fn width(self) -> usize {
        match self {
            Self::Blanks(width) => width,
            Self::Tab => USUAL,
        }
    }

    fn steps(self, count: usize) -> String {
        match self {
            Self::Blanks(width) => " ".repeat(width * count),
            Self::Tab => "\t".repeat(count),
        }
    }
}

/// Which indentation of the file an indentation of the given texts stands for.
struct Shift<'a> {
    /// Indentations of lines of the old text, with those of the same lines in the file.
    pairs: Vec<(&'a str, &'a str)>,
    given: Unit,
    file: Unit,
}

impl<'a> Shift<'a> {
    fn new(text: &str, there: &[&'a str], wanted: &[&'a str], new: &[&str]) -> Result<Self, Refused> {
        let both = wanted.iter().zip(there).filter(|(wanted, _)| is_text(wanted));
        let pairs: Vec<(&str, &str)> = both
            .map(|(wanted, there)| (indent_of(wanted), indent_of(there)))
            .collect();
        let differing = |(had, has): &(&str, &str)| {
            let first = pairs.iter().find(|(other, _)| other == had);
            first.is_some_and(|(_, other)| other != has)
        };
        if pairs.iter().any(differing) {
            let message = "lines of `old_text` that are indented alike are indented differently in the file; give the text with \
                           the indentation of the file";
            return Err(("edit_indentation", message.to_owned()));
        }
        let first = wanted.iter().copied().find(is_text);
        let after_first = first.into_iter().chain(new.iter().copied()).collect();
        let given = Unit::of([wanted.to_vec(), after_first]);
        let file = Unit::of([text.lines().take(LINES_LOOKED_AT).collect()]);
        let has_tab = pairs.iter().any(|(_, has)| has.contains('\t'));
        let file = file.or(has_tab.then_some(Unit::Tab)).or(given);
        let (given, file) = match (given, file) {
            (Some(given), Some(file)) => (given, file),
            (None, Some(file)) => (file, file),
            _ => (Unit::Blanks(USUAL), Unit::Blanks(USUAL)),
        };
        // What is aligned to something else than a step is shifted by blanks, not by steps.
        let is_aligned = |line: &&str| !width(indent_of(line), given.width()).is_multiple_of(given.width());
        let mut lines = wanted.iter().chain(new).filter(|line| is_text(line));
        let file = match (given, file) {
            (Unit::Blanks(_), Unit::Blanks(_)) if lines.any(is_aligned) => given,
            _ => file,
        };
        Ok(Self { pairs, given, file })
    }

    /// The indentation of a new line; `None` if it would stand left of the margin.
    fn indent(&self, wanted: &str) -> Option<String> {
        let given = |indent: &str| width(indent, self.given.width());
        let at = given(wanted);
        let nearest = self.pairs.iter().min_by_key(|(had, _)| given(had).abs_diff(at));
        let Some((had, has)) = nearest else {
            return Some(wanted.to_owned());
        };
        if *had == wanted {
            return Some((*has).to_owned());
        }
        let (step, by) = (
            self.given.width().cast_signed(),
            at.checked_signed_diff(given(had))?,
        );
        let (steps, rest) = (by.div_euclid(step), by.rem_euclid(step).unsigned_abs());
        if let Ok(steps) = usize::try_from(steps) {
            return Some([*has, &self.file.steps(steps), &" ".repeat(rest)].concat());
        }
        let tab = self.file.width();
        let fewer = steps.unsigned_abs() * tab;
        let left = (width(has, tab) + rest).checked_sub(fewer)?;
        let ends = has.char_indices().map(|(at, c)| at + c.len_utf8());
        let ends: Vec<usize> = std::iter::once(0).chain(ends).collect();
        let kept = *ends.iter().rev().find(|end| width(&has[..**end], tab) <= left)?;
        let kept = &has[..kept];
        Some([kept, &" ".repeat(left - width(kept, tab))].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, old: &str, new: &str) -> Result<String, String> {
        let places = line_places(text, old);
        assert_eq!(places.len(), 1, "{places:?}");
        replace_lines(text, places[0], old, new).map_err(|(_, message)| message)
    }

    #[test]
    fn lines_are_shifted_by_the_difference() {
        let text = "if a:\n        one()\n        if b:\n            two()\nend\n";
        assert_eq!(
            replaced(text, "one()\nif b:\n    two()", "three()\nif c:\n    four()").unwrap(),
            "if a:\n        three()\n        if c:\n            four()\nend\n"
        );
        let text = "def f():\n        if a:\n            x = 1\n        else:\n            y = 2\n";
        assert_eq!(
            replaced(
                text,
                "    x = 1\nelse:\n    y = 2\n",
                "    x = 3\nelse:\n    y = 4\n"
            )
            .unwrap(),
            "def f():\n        if a:\n            x = 3\n        else:\n            y = 4\n"
        );
    }

    #[test]
    fn steps_become_those_of_the_file() {
        let tabs = "def f():\n\tif a:\n\t\tone()\n";
        assert_eq!(
            replaced(
                tabs,
                "if a:\n    one()\n",
                "if b:\n    two()\n    if c:\n        three()\n"
            )
            .unwrap(),
            "def f():\n\tif b:\n\t\ttwo()\n\t\tif c:\n\t\t\tthree()\n"
        );
        let make = "all:\n\tgcc a.c\n\techo done\n";
        assert_eq!(
            replaced(make, "all:\n    gcc a.c\n", "all:\n    gcc -O2 a.c\n").unwrap(),
            "all:\n\tgcc -O2 a.c\n\techo done\n"
        );
        let blanks = "a {\n  b {\n    c();\n  }\n}\n";
        assert_eq!(
            replaced(blanks, "b {\n\tc();\n}\n", "b {\n\tif d {\n\t\tc();\n\t}\n}\n").unwrap(),
            "a {\n  b {\n    if d {\n      c();\n    }\n  }\n}\n"
        );
        // Two blanks of the given text are four of the file.
        let four = "def f():\n    if a:\n        one()\n    end()\n";
        assert_eq!(
            replaced(four, "end()", "if b:\n  two()\n").unwrap(),
            "def f():\n    if a:\n        one()\n    if b:\n        two()\n"
        );
        // What is aligned stays aligned.
        assert_eq!(
            replaced(four, "end()", "end(a,\n    b,\n      c)").unwrap(),
            "def f():\n    if a:\n        one()\n    end(a,\n        b,\n          c)\n"
        );
    }

    #[test]
    fn lines_that_an_edit_does_not_change_stay_as_they_are() {
        // A line break of Markdown is two blanks at the end of a line.
        let text = "  intro  \r\n  old\n  end\t\r\n";
        assert_eq!(
            replaced(text, "intro\nold\nend", "intro\nnew\nmore\nend").unwrap(),
            "  intro  \r\n  new\r\n  more\r\n  end\t\r\n"
        );
        assert_eq!(replaced("a  \nb", "a\nb", "a\nb\nc").unwrap(), "a  \nb\nc");
    }

    #[test]
    fn less_than_no_indentation_is_refused() {
        let text = "if a:\n    one()\n";
        let refused = replaced(text, "        one()", "        two()\nthree()").unwrap_err();
        assert!(refused.contains("line 2 of `new_text`"), "{refused}");
        assert_eq!(
            replaced(text, "    one()", "    two()\nthree()").unwrap(),
            "if a:\n    two()\nthree()\n"
        );
        // Blanks that are no blanks of ASCII are as wide as one.
        let wide = "if a:\n\u{a0}\u{a0}\u{3000}\u{3000}one()\n";
        assert_eq!(
            replaced(wide, "    one()\n", "    two()\n  three()\n").unwrap(),
            "if a:\n\u{a0}\u{a0}\u{3000}\u{3000}two()\n\u{a0}\u{a0}three()\n"
        );
        let flat = replaced("  a\n    b\n", "a\nb", "a\nc").unwrap_err();
        assert!(flat.contains("indented differently"), "{flat}");
    }

    #[test]
    fn line_ends_and_the_end_of_the_file_stay() {
        assert_eq!(
            replaced("if a {\r\n    one();\r\n}\r\n", "one();\n", "two();\nthree();\n").unwrap(),
            "if a {\r\n    two();\r\n    three();\r\n}\r\n"
        );
        assert_eq!(replaced("a\n  b", "b\n", "c\nd\n").unwrap(), "a\n  c\n  d");
        assert_eq!(replaced("a\n  b\nc\n", "b\n", "").unwrap(), "a\nc\n");
        assert_eq!(
            replaced("a\n  b\nc\n", "b", "x\n\ny").unwrap(),
            "a\n  x\n\n  y\nc\n"
        );
    }
}
