//! Words, counted and limited.

/// Counts the words of a text that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct WordCounter {
    pub(super) words: usize,
    in_word: bool,
    /// The beginning of a character that the last piece ended in.
    carry: Vec<u8>,
}

impl WordCounter {
    pub(super) fn feed(&mut self, piece: &[u8]) {
        if self.carry.is_empty() && piece.is_ascii() {
            self.ascii(piece);
            return;
        }
        let mut bytes = std::mem::take(&mut self.carry);
        bytes.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        self.carry = bytes.split_off(whole);
        for character in String::from_utf8_lossy(&bytes).chars() {
            self.next(character.is_whitespace());
        }
    }

    /// Counts where a word begins after a space: without a state from byte to byte, so that many are looked at at once.
    fn ascii(&mut self, piece: &[u8]) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            return;
        };
        self.next(is_space(*first));
        // As many as a byte can count.
        for (before, after) in piece[..piece.len() - 1].chunks(255).zip(piece[1..].chunks(255)) {
            let begun: u8 = before
                .iter()
                .zip(after)
                .map(|(before, after)| u8::from(is_space(*before) & !is_space(*after)))
                .sum();
            self.words += usize::from(begun);
        }
        self.in_word = !is_space(*last);
    }

    fn next(&mut self, is_space: bool) {
        self.words += usize::from(!is_space && !self.in_word);
        self.in_word = !is_space;
    }
}

const fn is_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

/// The words of a text.
pub(super) fn count(text: &str) -> usize {
    let mut counter = WordCounter::default();
    counter.feed(text.as_bytes());
    counter.words
}

/// How many words may still be read.
#[derive(Debug)]
pub(super) struct Words {
    /// How many were.
    pub(super) read: usize,
    per_file: usize,
    total: usize,
}

/// The part of a text that may be kept.
pub(super) struct Taken<'a> {
    pub(super) text: &'a str,
    pub(super) is_whole: bool,
}

impl Words {
    pub(super) fn new(per_file: Option<usize>, total: Option<usize>) -> Self {
        Self {
            read: 0,
            per_file: per_file.unwrap_or(usize::MAX),
            total: total.unwrap_or(usize::MAX),
        }
    }

    /// How many words of the next file may be kept; the largest number if there is no limit.
    pub(super) fn left(&self) -> usize {
        match self.total {
            usize::MAX => self.per_file,
            total => self.per_file.min(total.saturating_sub(self.read)),
        }
    }

    pub(super) fn are_used_up(&self) -> bool {
        self.total <= self.read
    }

    /// As much of a text as may be kept, of which no more than `most` words.
    pub(super) fn take<'a>(&mut self, text: &'a str, most: usize) -> Taken<'a> {
        let limit = most.min(self.left());
        if limit == usize::MAX {
            self.read += count(text);
            return Taken { text, is_whole: true };
        }
        let (mut words, mut end, mut in_word) = (0, 0, false);
        for (index, character) in text.char_indices() {
            if character.is_whitespace() {
                in_word = false;
                continue;
            }
            if !in_word {
                if words == limit {
                    self.read += words;
                    return Taken {
                        text: &text[..end],
                        is_whole: false,
                    };
                }
                words += 1;
                in_word = true;
            }
            end = index + character.len_utf8();
        }
        self.read += words;
        Taken { text, is_whole: true }
    }
}
