//! Words, counted.
//!
//! A word is what stands between white space, with two additions, so that a limit of words is one of text: each character of
//! Chinese, Japanese and Korean counts as one, since they stand without blanks between them, and so do 64 bytes in which
//! no word begins. A text of `n` words has at most `64 * (n + 1)` bytes.

/// Most bytes of a word. Longer than words of languages and most names in code, and short enough to bound a text.
pub(super) const LONGEST: usize = 64;

/// The number of bytes that the fast way looks at together. Between the beginnings of two words in neighbouring blocks there
/// are never more than [`LONGEST`].
const BLOCK: usize = LONGEST / 2;

/// Says where words begin, character after character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WordState {
    in_word: bool,
    /// Bytes since the last word began.
    since: usize,
}

impl WordState {
    /// Whether a word begins with a character.
    pub(super) fn begins(&mut self, character: char) -> bool {
        let is_space = character.is_whitespace();
        let is_word = is_ideograph(character);
        let begins = is_word || (!is_space && !self.in_word);
        self.in_word = !is_space && !is_word;
        self.advance(character.len_utf8(), begins)
    }

    fn advance(&mut self, bytes: usize, begins: bool) -> bool {
        self.since += bytes;
        let begins = begins || self.since > LONGEST;
        if begins {
            self.since = bytes;
        }
        begins
    }
}

/// Whether a character is a word by itself: of Chinese, Japanese or Korean.
const fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{3040}'..='\u{30ff}'     // Hiragana, Katakana
        | '\u{3100}'..='\u{312f}'   // Bopomofo
        | '\u{31a0}'..='\u{31bf}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'   // CJK unified ideographs, extension A
        | '\u{4e00}'..='\u{9fff}'   // CJK unified ideographs
        | '\u{ac00}'..='\u{d7a3}'   // Hangul syllables
        | '\u{f900}'..='\u{faff}'   // CJK compatibility ideographs
        | '\u{ff66}'..='\u{ff9f}'   // Katakana of half width
        | '\u{20000}'..='\u{3ffff}' // further ideographs
    )
}

/// Counts the words of a text that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct WordCounter {
    pub(super) words: usize,
    state: WordState,
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
            self.words += usize::from(self.state.begins(character));
        }
    }

    /// Counts where a word begins after a space: in a block, without a state from byte to byte, so that many are looked at at
    /// once. Where no word begins in a block one may have become too long, so there each byte is looked at.
    fn ascii(&mut self, piece: &[u8]) {
        let Some((first, behind)) = piece.split_first() else {
            return;
        };
        self.words += usize::from(self.state.begins(char::from(*first)));
        let (before, _) = piece[..behind.len()].as_chunks::<BLOCK>();
        let (blocks, rest) = behind.as_chunks::<BLOCK>();
        let mut is_near = self.state.since <= BLOCK;
        let mut last_block: &[u8] = &[];
        for (before, block) in before.iter().zip(blocks) {
            let begun = begun(before, block);
            if begun > 0 && is_near {
                self.words += begun;
                last_block = block;
                continue;
            }
            self.slowly(last_block, before[0], block);
            last_block = &[];
            is_near = self.state.since <= BLOCK;
        }
        self.slowly(last_block, piece[piece.len() - 1 - rest.len()], rest);
    }

    /// Counts byte after byte behind a block that was counted at once, if one was.
    fn slowly(&mut self, last_block: &[u8], before: u8, bytes: &[u8]) {
        self.state.since = since(last_block, self.state.since);
        self.state.in_word = !is_space(before);
        for byte in bytes {
            self.words += usize::from(self.state.begins(char::from(*byte)));
        }
    }
}

/// The number of words that begin in a block, of which each byte stands behind one of `before`.
fn begun(before: &[u8; BLOCK], block: &[u8; BLOCK]) -> usize {
    let begun: u8 = before
        .iter()
        .zip(block)
        .map(|(before, after)| u8::from(is_space(*before) & !is_space(*after)))
        .sum();
    usize::from(begun)
}

/// Bytes since the last word began in a block where one does; what was known before if nothing was skipped.
fn since(block: &[u8], known: usize) -> usize {
    if block.is_empty() {
        return known;
    }
    let mut end = block.len();
    while end > 0 && is_space(block[end - 1]) {
        end -= 1;
    }
    while end > 0 && !is_space(block[end - 1]) {
        end -= 1;
    }
    block.len() - end
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slowly(text: &str) -> usize {
        let mut state = WordState::default();
        text.chars().filter(|character| state.begins(*character)).count()
    }

    #[test]
    fn words_are_what_stands_between_white_space_and_no_longer_than_64_bytes() {
        for (text, words) in [
            ("", 0),
            (" \n", 0),
            ("one two  three\nfour é\u{a0}six\n", 6),
            ("漢字 kana かな", 5),
            ("한국어 텍스트", 6),
            ("日本語abc", 4),
        ] {
            assert_eq!(slowly(text), words, "{text:?}");
            assert_eq!(count(text), words, "{text:?}");
        }
        assert_eq!(count(&"x".repeat(LONGEST)), 1);
        assert_eq!(count(&"x".repeat(LONGEST + 1)), 2);
        assert_eq!(count(&"x".repeat(240_000)), 240_000 / LONGEST);
        assert_eq!(
            count(&format!("a{}b", " ".repeat(1_000_000))),
            1_000_002_usize.div_ceil(LONGEST) + 1
        );
        assert_eq!(count(&"漢".repeat(1000)), 1000);
    }

    proptest! {
        #[test]
        fn pieces_and_blocks_count_as_one_character_after_the_other(
            parts in prop::collection::vec("[ \n]{0,90}|[a-z]{0,90}|[ a]{0,90}|[a 漢é\u{a0}]{0,40}", 0..12),
            cut in 0_usize..400,
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut counter = WordCounter::default();
            let cut = cut.min(bytes.len());
            counter.feed(&bytes[..cut]);
            counter.feed(&bytes[cut..]);
            prop_assert_eq!(counter.words, slowly(&text));
            prop_assert!(text.len() <= LONGEST * (counter.words + 1));
        }
    }
}
