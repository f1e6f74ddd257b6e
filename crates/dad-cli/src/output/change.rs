//! The differences of values as lines: before and after, or a diff whose changed words stand out.

use std::ops::Range;

use anstyle::{AnsiColor, Style};
use dad_run::{Change, ChangeKind, changed_words, internal::shorten_diff};
use dad_terminal::{BOLD, printable};

/// Longer lines of a difference are shown around what differs; `--json` has them whole.
const LINE: usize = 240;

const REMOVED: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const ADDED: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));

/// A change as lines that a terminal may show, behind two blanks.
pub(crate) fn change_text(change: &Change) -> String {
    let name = match change.kind {
        // There is only one.
        ChangeKind::NodeType => format!("  {BOLD}{}{BOLD:#}", change.kind.as_str()),
        kind if change.name.is_empty() => format!("  {BOLD}{}{BOLD:#}", kind.as_str()),
        kind => format!("  {} {BOLD}{}{BOLD:#}", kind.as_str(), printable(&change.name)),
    };
    let text = |text: &Option<String>| text.as_deref().map(printable);
    match (text(&change.before), text(&change.after), &change.diff) {
        (_, _, Some(diff)) => format!("{name}\n{}", diff_text(&shorten_diff(diff, LINE))),
        (Some(before), Some(after), None) => format!("{name}: {before} → {after}\n"),
        (Some(before), None, None) => format!("{name}: gone, was {before}\n"),
        (None, Some(after), None) => format!("{name}: new, {after}\n"),
        (None, None, None) => format!("{name}\n"),
    }
}

/// A unified diff with colours. Where as many lines were added as removed, the words that differ are bold.
fn diff_text(diff: &str) -> String {
    let lines: Vec<&str> = diff.lines().collect();
    let mut text = String::new();
    let mut at = 0;
    while at < lines.len() {
        let run = |sign: char, from: usize| {
            let signed = lines[from..].iter().take_while(|line| line.starts_with(sign));
            signed.count()
        };
        let removed = run('-', at);
        let added = run('+', at + removed);
        if removed + added == 0 {
            text += &format!("    {}\n", printable(lines[at]));
            at += 1;
            continue;
        }
        let (before, after) = (
            &lines[at..at + removed],
            &lines[at + removed..at + removed + added],
        );
        let is_paired = removed == added;
        let words = |index: usize| changed_words(&before[index][1..], &after[index][1..]);
        for (index, line) in before.iter().enumerate() {
            let parts = if is_paired {
                words(index).before
            } else {
                Vec::new()
            };
            text += &signed_line(line, REMOVED, &parts);
        }
        for (index, line) in after.iter().enumerate() {
            let parts = if is_paired { words(index).after } else { Vec::new() };
            text += &signed_line(line, ADDED, &parts);
        }
        at += removed + added;
    }
    text
}

/// A line with its sign, whose changed parts are bold.
fn signed_line(line: &str, style: Style, parts: &[Range<usize>]) -> String {
    let (sign, line) = line.split_at(1);
    let bold = style.bold();
    let mut text = format!("    {style}{sign}{style:#}");
    let mut at = 0;
    for part in parts {
        let (same, changed) = (&line[at..part.start], &line[part.clone()]);
        text += &format!(
            "{style}{}{style:#}{bold}{}{bold:#}",
            printable(same),
            printable(changed)
        );
        at = part.end;
    }
    format!("{text}{style}{}{style:#}\n", printable(&line[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_differ_are_bold() {
        let text = diff_text("@@ -1 +1 @@\n-say hello\n+say goodbye\n same");
        let (red, green) = (REMOVED.bold(), ADDED.bold());
        assert!(text.contains(&format!("{red}hello{red:#}")), "{text:?}");
        assert!(text.contains(&format!("{green}goodbye{green:#}")), "{text:?}");
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "    @@ -1 +1 @@\n    -say hello\n    +say goodbye\n     same\n"
        );
    }
}
