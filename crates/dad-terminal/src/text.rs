//! Text for the terminal: marks, styles, counts, and escapes for control characters.

use anstyle::{AnsiColor, Style};
use dad_core::{
    HierarchyPath, RunStatus, Segment, StatusCounts, StepStatus, Usage, format_dollars, internal::count,
};
use dad_events::QuestionKind;

pub use dad_core::printable;

/// A text with its colours as a terminal may show it: nothing but the colours acts on it, everything else is
/// [`printable`].
///
/// ```
/// assert_eq!(dad_terminal::internal::only_colours("\u{1b}[31mred\u{1b}[2J"), "\u{1b}[31mred\\u{1b}[2J");
/// ```
#[must_use]
pub fn only_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, escape) = rest.split_at(at);
        shown += &printable(before);
        let parameters = escape[2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match parameters.strip_prefix('m') {
            Some(behind) => {
                shown += &escape[..escape.len() - behind.len()];
                rest = behind;
            }
            None => {
                shown += &printable(&escape[..2]);
                rest = &escape[2..];
            }
        }
    }
    shown + &printable(rest)
}

/// A text as one line of at most `width` characters.
#[must_use]
pub fn one_line(text: &str, width: usize) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), width)
}

/// A line as it is, but of at most `width` characters.
#[must_use]
pub fn cut(line: &str, width: usize) -> String {
    let line = printable(line);
    match line.char_indices().nth(width) {
        None => line,
        Some(_) => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// For what is less important.
pub const DIM: Style = Style::new().dimmed();
/// For names.
pub const BOLD: Style = Style::new().bold();

/// The mark of a step's status and its colour.
#[must_use]
pub fn mark(status: StepStatus, reused: bool) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match status {
        StepStatus::Completed if reused => ("↺", colour(AnsiColor::Cyan)),
        StepStatus::Completed => ("✓", colour(AnsiColor::Green)),
        StepStatus::Skipped => ("–", DIM),
        StepStatus::Waiting => ("?", colour(AnsiColor::Yellow)),
        StepStatus::Running => ("·", colour(AnsiColor::Yellow)),
        status if status.is_failure() => ("✗", colour(AnsiColor::Red)),
        _ => ("·", DIM),
    }
}

/// The state of a step that asks a question of this kind, in words.
#[must_use]
pub const fn waits_for(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Approval => "waits for approval",
        _ => "waits for an answer",
    }
}

/// A price in dollars, in words; `None` for nothing.
#[must_use]
pub fn cost(dollars: f64) -> Option<String> {
    (dollars > 0.0).then(|| format_dollars(dollars))
}

/// A usage, in words; empty for nothing.
#[must_use]
pub fn usage(usage: &Usage) -> String {
    let mut parts = Vec::new();
    if usage.total_tokens > 0 {
        parts.push(usage.tokens_in_words());
    }
    parts.extend(usage.cost.and_then(cost));
    if usage.replayed > 0 {
        parts.push(format!("{} replayed", count(usage.replayed, "call")));
    }
    parts.join(", ")
}

/// The counts of steps by status, in words.
#[must_use]
pub fn counts(counts: &StatusCounts) -> String {
    let mut parts = vec![format!("{} completed", counts.completed)];
    if counts.reused > 0 {
        parts[0] = format!("{} completed ({} reused)", counts.completed, counts.reused);
    }
    for (number, word) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.join(", ")
}

/// The colour of a run's status.
#[must_use]
pub fn run_style(status: RunStatus) -> Style {
    let colour = match status {
        RunStatus::Completed => AnsiColor::Green,
        RunStatus::Running | RunStatus::Waiting | RunStatus::Initialized => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// The blanks before the line of a step or component in a tree. Iterations and branches have no lines of their own, so
/// they do not count.
#[must_use]
pub fn path_indent(path: &HierarchyPath) -> String {
    let elements = path
        .typed_segments()
        .filter(|segment| matches!(segment, Segment::Element(_)));
    "  ".repeat(elements.count().saturating_sub(1))
}

/// The last segment of a path, with the iteration or branch that it stands in.
#[must_use]
pub fn path_name(path: &HierarchyPath) -> String {
    let mut shown = vec![path.leaf()];
    let around = path.segments().rev().skip(1);
    shown.extend(around.take_while(|segment| !matches!(Segment::of(segment), Segment::Element(_))));
    shown.reverse();
    shown.join(".")
}

#[cfg(test)]
mod tests {
    use dad_core::Usage;

    use super::usage;

    #[test]
    fn an_unknown_cost_is_not_shown() {
        let consumed = |cost| usage(&Usage::default().total_tokens(2).cost(cost));
        assert_eq!(consumed(Some(0.0)), "2 tokens");
        assert_eq!(consumed(None), "2 tokens");
        assert_eq!(consumed(Some(0.25)), "2 tokens, $0.2500");
    }
}
