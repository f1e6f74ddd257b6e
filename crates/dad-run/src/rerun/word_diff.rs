//! The words that differ between a line of a difference and the line that it became.

use std::ops::Range;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// The time for one line; what is not compared by then counts as changed.
const TIME: Duration = Duration::from_millis(20);

/// The parts of two lines that differ, as ranges of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WordChange {
    /// In the earlier line.
    pub before: Vec<Range<usize>>,
    /// In the later line.
    pub after: Vec<Range<usize>>,
}

/// Compares two lines word by word. Neighbouring words that differ are one part.
///
/// ```
/// let change = dad_run::changed_words("say hello to Ada", "say goodbye to Ada");
/// assert_eq!((change.before, change.after), (vec![4..9], vec![4..11]));
/// ```
#[must_use]
pub fn changed_words(before: &str, after: &str) -> WordChange {
    let diff = TextDiff::configure().timeout(TIME).diff_words(before, after);
    let mut change = WordChange::default();
    let (mut at_before, mut at_after) = (0, 0);
    for part in diff.iter_all_changes() {
        let len = part.value().len();
        match part.tag() {
            ChangeTag::Equal => {
                at_before += len;
                at_after += len;
            }
            ChangeTag::Delete => {
                add(&mut change.before, at_before..at_before + len);
                at_before += len;
            }
            ChangeTag::Insert => {
                add(&mut change.after, at_after..at_after + len);
                at_after += len;
            }
        }
    }
    change
}

fn add(parts: &mut Vec<Range<usize>>, part: Range<usize>) {
    match parts.last_mut().filter(|last| last.end == part.start) {
        Some(last) => last.end = part.end,
        None => parts.push(part),
    }
}
