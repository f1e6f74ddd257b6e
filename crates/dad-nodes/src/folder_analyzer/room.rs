//! Room for text in a result.

use super::FolderAnalysisOperation;
use super::words::{WordState, count};
use crate::tokens::{BYTES_OF_A_TOKEN, estimated};

/// Words and bytes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) words: usize,
    pub(super) bytes: usize,
}

impl Amount {
    pub(super) const ALL: Self = Self {
        words: usize::MAX,
        bytes: usize::MAX,
    };
    const NOTHING: Self = Self { words: 0, bytes: 0 };

    /// The smaller of two amounts.
    pub(super) fn min(self, other: Self) -> Self {
        Self {
            words: self.words.min(other.words),
            bytes: self.bytes.min(other.bytes),
        }
    }

    pub(super) fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// The rest of it after another one; without a limit it never becomes less.
    fn less(self, taken: Self) -> Self {
        let left = |limit: usize, taken: usize| match limit {
            usize::MAX => limit,
            limit => limit.saturating_sub(taken),
        };
        Self {
            words: left(self.words, taken.words),
            bytes: left(self.bytes, taken.bytes),
        }
    }
}

/// The limits of one operation, and what was read.
#[derive(Debug)]
pub(super) struct Room {
    /// The amount that was read.
    pub(super) read: Amount,
    per_file: Amount,
    total: Amount,
    /// The limits of all files together, as the settings have them: name, number, and what it counts.
    totals: Vec<(&'static str, usize, &'static str)>,
    /// Whether bytes or tokens are limited, so that the result says how many were read.
    pub(super) tells_bytes: bool,
}

/// The part of a text that may be kept.
pub(super) struct Taken<'a> {
    pub(super) text: &'a str,
    pub(super) is_whole: bool,
}

impl Room {
    pub(super) fn new(operation: &FolderAnalysisOperation) -> Self {
        let amount = |words: Option<usize>, bytes: Option<usize>, tokens: Option<usize>| {
            let tokens = tokens.map_or(usize::MAX, |tokens| tokens.saturating_mul(BYTES_OF_A_TOKEN));
            Amount {
                words: words.unwrap_or(usize::MAX),
                bytes: bytes.unwrap_or(usize::MAX).min(tokens),
            }
        };
        let FolderAnalysisOperation {
            max_words_per_file,
            max_total_words,
            max_bytes_per_file,
            max_total_bytes,
            max_tokens_per_file,
            max_total_tokens,
            ..
        } = operation;
        let totals = [
            ("max_total_words", max_total_words, "words"),
            ("max_total_bytes", max_total_bytes, "bytes"),
            ("max_total_tokens", max_total_tokens, "tokens"),
        ];
        let in_bytes = [
            max_bytes_per_file,
            max_total_bytes,
            max_tokens_per_file,
            max_total_tokens,
        ];
        Self {
            read: Amount::NOTHING,
            per_file: amount(*max_words_per_file, *max_bytes_per_file, *max_tokens_per_file),
            total: amount(*max_total_words, *max_total_bytes, *max_total_tokens),
            totals: totals
                .into_iter()
                .filter_map(|(name, limit, unit)| Some((name, (*limit)?, unit)))
                .collect(),
            tells_bytes: in_bytes.into_iter().any(Option::is_some),
        }
    }

    /// The amount of the next file that may be kept.
    pub(super) fn left(&self) -> Amount {
        self.per_file.min(self.total.less(self.read))
    }

    /// The limit of all files together that is used up, in words.
    pub(super) fn used_up(&self) -> Option<String> {
        let left = self.total.less(self.read);
        if left.words > 0 && left.bytes > 0 {
            return None;
        }
        let is_used_up = |name: &str, limit: usize| match name {
            "max_total_words" => left.words == 0,
            "max_total_bytes" => self.read.bytes >= limit,
            _ => estimated(self.read.bytes) >= limit,
        };
        let (name, limit, unit) = self
            .totals
            .iter()
            .find(|(name, limit, _)| is_used_up(name, *limit))?;
        Some(format!("the {limit} {unit} of `{name}` are used up"))
    }

    /// As much of a text as may be kept, and no more than `most`.
    pub(super) fn take<'a>(&mut self, text: &'a str, most: Amount) -> Taken<'a> {
        let limit = most.min(self.left());
        let (taken, words) = if limit.words == usize::MAX && limit.bytes >= text.len() {
            let is_whole = true;
            (Taken { text, is_whole }, count(text))
        } else {
            beginning(text, limit)
        };
        self.read.words += words;
        self.read.bytes += taken.text.len();
        taken
    }
}

/// The beginning of a text up to a limit, with its words. Blanks behind the last word are not kept.
fn beginning(text: &str, limit: Amount) -> (Taken<'_>, usize) {
    let (mut state, mut words, mut end) = (WordState::default(), 0, 0);
    for (index, character) in text.char_indices() {
        let after = index + character.len_utf8();
        let begins = state.begins(character);
        if after > limit.bytes || (begins && words == limit.words) {
            let taken = Taken {
                text: &text[..end],
                is_whole: false,
            };
            return (taken, words);
        }
        words += usize::from(begins);
        if !character.is_whitespace() {
            end = after;
        }
    }
    (Taken { text, is_whole: true }, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(operation: serde_json::Value) -> Room {
        Room::new(&serde_json::from_value(operation).unwrap())
    }

    fn take(operation: serde_json::Value, text: &str) -> (String, bool, Amount) {
        let mut room = room(operation);
        let Taken { text, is_whole } = room.take(text, Amount::ALL);
        (text.to_owned(), is_whole, room.read)
    }

    #[test]
    fn each_limit_is_kept_to_the_byte() {
        let of = |limits: serde_json::Value| {
            let mut operation = serde_json::json!({ "operation_type": "analyze_folder" });
            operation
                .as_object_mut()
                .unwrap()
                .extend(limits.as_object().unwrap().clone());
            operation
        };
        let text = "one two é three";
        let amount = |words, bytes| Amount { words, bytes };
        let cases = [
            (serde_json::json!({}), text, true, amount(4, text.len())),
            (
                serde_json::json!({ "max_words_per_file": 2 }),
                "one two",
                false,
                amount(2, 7),
            ),
            (
                serde_json::json!({ "max_bytes_per_file": 9 }),
                "one two",
                false,
                amount(2, 7),
            ),
            (
                serde_json::json!({ "max_bytes_per_file": 10 }),
                "one two é",
                false,
                amount(3, 10),
            ),
            (
                serde_json::json!({ "max_tokens_per_file": 2 }),
                "one tw",
                false,
                amount(2, 6),
            ),
            (
                serde_json::json!({ "max_tokens_per_file": 6 }),
                text,
                true,
                amount(4, text.len()),
            ),
            (
                serde_json::json!({ "max_total_bytes": 0 }),
                "",
                false,
                amount(0, 0),
            ),
        ];
        for (limits, kept, is_whole, read) in cases {
            assert_eq!(
                take(of(limits.clone()), text),
                (kept.to_owned(), is_whole, read),
                "{limits}"
            );
        }
        let mut room = room(of(
            serde_json::json!({ "max_total_tokens": 2, "max_total_bytes": 100 }),
        ));
        assert_eq!(room.used_up(), None);
        room.take("abcdefgh", Amount::ALL);
        assert_eq!(
            room.used_up().unwrap(),
            "the 2 tokens of `max_total_tokens` are used up"
        );
    }

    #[test]
    fn texts_without_blanks_do_not_pass_a_limit_of_words() {
        let operation = serde_json::json!({ "operation_type": "analyze_folder", "max_words_per_file": 10 });
        for text in [
            "x".repeat(240_000),
            "漢字仮名".repeat(50_000),
            " ".repeat(240_000) + "x",
        ] {
            let (kept, is_whole, read) = take(operation.clone(), &text);
            assert!(
                kept.len() <= 640 && !is_whole && read.words <= 10,
                "{} bytes",
                kept.len()
            );
        }
    }
}
