//! The registry of secrets, and the redactor that masks every spelling of them in text and in streams.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};
use parking_lot::Mutex;
use serde_json::Value;

use crate::spellings::{Spellings, is_of_encoding, spellings};

/// The text in the place of a secret.
pub(crate) const MASK: &str = "[redacted]";

/// Values shorter than this are refused as secrets: masking them would make unrelated text unreadable.
pub(crate) const SHORTEST_SECRET: usize = 6;

/// Whether a mask stands in any text of a JSON value: what it was made of is not known.
#[must_use]
pub fn has_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MASK),
        Value::Array(items) => items.iter().any(has_mask),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains(MASK) || has_mask(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The secrets known to one run, and what recognises them in text.
///
/// Values are added as they are resolved; every clone sees them.
///
/// ```
/// use dad_core::SecretRegistry;
///
/// let secrets = SecretRegistry::new();
/// secrets.add("correct horse battery");
/// let redactor = secrets.redactor();
/// assert_eq!(redactor.redact("the key is correct horse battery"), "the key is [redacted]");
/// ```
#[derive(Clone, Default)]
pub struct SecretRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    patterns: Patterns,
    /// Made when it is asked for, because secrets come several at a time.
    redactor: Option<Redactor>,
}

/// The patterns of all secrets, for one search.
#[derive(Clone, Default)]
struct Patterns {
    plain: BTreeSet<Vec<u8>>,
    encoded: BTreeSet<Vec<u8>>,
}

impl Patterns {
    fn len(&self) -> usize {
        self.plain.len() + self.encoded.len()
    }

    fn all(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.plain.iter().chain(&self.encoded)
    }
}

impl SecretRegistry {
    /// A registry that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to be masked from now on, also where it occurs percent-encoded, escaped for JSON, HTML, shells or Python, in
    /// hexadecimal digits, in base32, inside base64 (also of its JSON, and twice), or wrapped over lines, with or without a prefix of each line
    /// as in diffs and quotations. Of a value with several lines each that is encoded is masked by itself too.
    ///
    /// Returns whether the value can be masked: one below six bytes cannot.
    pub fn add(&self, secret: &str) -> bool {
        if secret.len() < SHORTEST_SECRET {
            return false;
        }
        let mut state = self.state.lock();
        let before = state.patterns.len();
        let Spellings { plain, encoded } = spellings(secret);
        state
            .patterns
            .plain
            .extend(plain.into_iter().map(String::into_bytes));
        state
            .patterns
            .encoded
            .extend(encoded.into_iter().map(String::into_bytes));
        if state.patterns.len() != before {
            state.redactor = None;
        }
        true
    }

    /// A redactor of the secrets that are known now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut state = self.state.lock();
        let State { patterns, redactor } = &mut *state;
        redactor.get_or_insert_with(|| Redactor::new(patterns)).clone()
    }

    /// Masks secrets in text that arrives in pieces, also those that are added before a piece arrives.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor {
            registry: Some(self.clone()),
            ..self.redactor().stream()
        }
    }
}

impl fmt::Debug for SecretRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRegistry(..)")
    }
}

/// The character in the place of shortened text.
const LEFT_OUT: char = '…';

/// Masks known secrets in text.
#[derive(Clone, Default)]
pub struct Redactor {
    /// `None` also if there are more secrets than memory holds an automaton of.
    search: Option<Arc<Search>>,
    patterns: Arc<Patterns>,
    longest: usize,
}

/// As much of each spelling as its automaton knows, in bytes: an automaton takes hundreds of bytes of memory for each.
const HEAD: usize = 64;

/// Finds spellings by their heads.
struct Finder {
    heads: AhoCorasick,
    /// Of each head the spellings that begin with it, and those that it begins with, the longest first.
    spellings: Vec<Vec<Vec<u8>>>,
}

impl Finder {
    fn new(patterns: &BTreeSet<Vec<u8>>) -> Result<Self, BuildError> {
        let head = |pattern: &Vec<u8>| pattern[..pattern.len().min(HEAD)].to_vec();
        let mut heads: Vec<Vec<u8>> = patterns.iter().map(head).collect();
        heads.dedup();
        let with_head = |head: &Vec<u8>| {
            let longer = patterns.range::<[u8], _>((Bound::Included(head.as_slice()), Bound::Unbounded));
            let longer = longer.take_while(|pattern| pattern.starts_with(head));
            let shorter = (1..head.len()).filter_map(|len| patterns.get(&head[..len]));
            let mut all: Vec<Vec<u8>> = longer.chain(shorter).cloned().collect();
            all.sort_unstable_by_key(|pattern| std::cmp::Reverse(pattern.len()));
            all
        };
        let mut builder = AhoCorasick::builder();
        Ok(Self {
            heads: builder.match_kind(MatchKind::LeftmostLongest).build(&heads)?,
            spellings: heads.iter().map(with_head).collect(),
        })
    }

    /// The places of spellings, in order; of those that overlap, the first.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(head) = self.heads.find(Input::new(bytes).range(at..)) {
            let start = head.start();
            let mut spellings = self.spellings[head.pattern().as_usize()].iter();
            match spellings.find(|spelling| bytes[start..].starts_with(spelling)) {
                Some(spelling) => {
                    at = start + spelling.len();
                    found.push(start..at);
                }
                None => at = start + 1,
            }
        }
        found
    }
}

/// Finds secrets.
struct Search {
    plain: Finder,
    encoded: Finder,
    /// The length of the shortest encoded spelling.
    shortest_encoded: usize,
}

impl Search {
    fn new(patterns: &Patterns) -> Option<Self> {
        Some(Self {
            plain: Finder::new(&patterns.plain).ok()?,
            encoded: Finder::new(&patterns.encoded).ok()?,
            shortest_encoded: patterns.encoded.iter().map(Vec::len).min().unwrap_or(usize::MAX),
        })
    }

    /// The places of secrets, in order, each once.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = self.plain.find(bytes);
        if self.may_be_encoded(bytes) {
            found.extend(self.encoded.find(bytes));
            merge(&mut found);
        }
        found
    }

    /// Whether any word is long enough: most texts have none, and need not be searched twice.
    fn may_be_encoded(&self, bytes: &[u8]) -> bool {
        let mut words = bytes.split(|byte| !is_of_encoding(*byte));
        words.any(|word| word.len() >= self.shortest_encoded)
    }
}

/// Sorts ranges and makes one of those that overlap.
fn merge(ranges: &mut Vec<Range<usize>>) {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, range| {
        let overlaps = next.start < range.end;
        if overlaps {
            range.end = range.end.max(next.end);
        }
        overlaps
    });
}

impl Redactor {
    fn new(patterns: &Patterns) -> Self {
        Self {
            search: Search::new(patterns).map(Arc::new),
            longest: patterns.all().map(Vec::len).max().unwrap_or(0),
            patterns: Arc::new(patterns.clone()),
        }
    }

    /// Whether no secret is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.len() == 0
    }

    /// The text with every known secret masked, also what is left of one before a `…`; borrowed when there was none.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(into_text(masked)),
        };
        match self.redact_before_gaps(&masked) {
            Some(shorter) => Cow::Owned(shorter),
            None => masked,
        }
    }

    /// The same for text that was cut behind its end, where the beginning of a secret may be left.
    #[must_use]
    pub fn redact_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.redact(text);
        match self.begun_at_end(masked.as_bytes(), SHORTEST_SECRET) {
            Some(start) => Cow::Owned(format!("{}{MASK}", &masked[..start])),
            None => masked,
        }
    }

    /// The bytes with every known secret masked; borrowed when there was none.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let Some(search) = &self.search else {
            // There are more secrets than memory holds their automaton: everything is masked.
            return Cow::Owned(MASK.as_bytes().to_vec());
        };
        match masked(bytes, &search.find(bytes)) {
            None => {
                let wrapped = wrapped_matches(search, bytes);
                masked(bytes, &wrapped).map_or(Cow::Borrowed(bytes), Cow::Owned)
            }
            Some(once) => {
                let twice = masked(&once, &wrapped_matches(search, &once));
                Cow::Owned(twice.unwrap_or(once))
            }
        }
    }

    /// Masks what shortening left of secrets: who shortened the text did not know them.
    fn redact_before_gaps(&self, text: &str) -> Option<String> {
        if self.is_empty() || !text.contains(LEFT_OUT) {
            return None;
        }
        let mut pieces: Vec<Cow<'_, str>> = text.split(LEFT_OUT).map(Cow::Borrowed).collect();
        let (_, before_gaps) = pieces.split_last_mut()?;
        let mut found = false;
        for piece in before_gaps {
            if let Some(start) = self.begun_at_end(piece.as_bytes(), SHORTEST_SECRET) {
                *piece = Cow::Owned(format!("{}{MASK}", &piece[..start]));
                found = true;
            }
        }
        found.then(|| pieces.join(LEFT_OUT.encode_utf8(&mut [0; 4])))
    }

    /// The place of a secret that begins before the end and is cut off there, if `at_least` bytes of it are there.
    fn begun_at_end(&self, bytes: &[u8], at_least: usize) -> Option<usize> {
        let from = bytes.len().saturating_sub(self.longest * WRAPPED_AT_MOST);
        let begun = |tail: Unwrapped<'_>| {
            let first = tail.bytes.len().saturating_sub(self.longest.saturating_sub(1));
            let last = tail.bytes.len().checked_sub(at_least)?;
            let start = (first..=last).find(|start| self.begins_secret(&tail.bytes[*start..]))?;
            Some(from + tail.original(start))
        };
        let plain = begun(Unwrapped::new(&bytes[from..], Prefixes::Kept));
        let prefixed = has_prefixes(&bytes[from..])
            .then(|| begun(Unwrapped::new(&bytes[from..], Prefixes::LeftOut)))
            .flatten();
        plain.into_iter().chain(prefixed).min()
    }

    fn begins_secret(&self, bytes: &[u8]) -> bool {
        [&self.patterns.plain, &self.patterns.encoded]
            .into_iter()
            .any(|patterns| {
                let mut following = patterns.range::<[u8], _>((Bound::Included(bytes), Bound::Unbounded));
                following.next().is_some_and(|pattern| pattern.starts_with(bytes))
            })
    }

    /// The number of bytes of a stream that can be shown, whatever comes next.
    fn settled(&self, bytes: &[u8]) -> usize {
        let mut end = self.begun_at_end(bytes, 1).unwrap_or(bytes.len());
        if let Some(search) = &self.search {
            let mut matches = search.find(bytes);
            matches.extend(wrapped_matches(search, bytes));
            // One that began earlier may reach over that end.
            while let Some(over) = matches.iter().find(|m| m.start < end && end < m.end) {
                end = over.start;
            }
        }
        end
    }

    /// Masks secrets in every string of a JSON value, object keys included.
    pub fn redact_json(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.redact(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(fields) => {
                let leaking = fields.keys().any(|key| matches!(self.redact(key), Cow::Owned(_)));
                if leaking {
                    let old = std::mem::take(fields);
                    fields.extend(
                        old.into_iter()
                            .map(|(key, item)| (self.redact(&key).into_owned(), item)),
                    );
                }
                fields.values_mut().for_each(|item| self.redact_json(item));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Masks secrets in text or bytes that arrive in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor {
            registry: None,
            redactor: self.clone(),
            held: Vec::new(),
            has_masked: false,
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

/// Text whose secrets were masked: they begin and end between characters, so that it is text still.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Secrets that are wrapped over lines, as encoders of base64 do, also where each line has a prefix.
fn wrapped_matches(search: &Search, bytes: &[u8]) -> Vec<Range<usize>> {
    let found = |unwrapped: Unwrapped<'_>| -> Vec<Range<usize>> {
        if unwrapped.breaks.is_empty() {
            return Vec::new();
        }
        let found = search.find(&unwrapped.bytes).into_iter();
        found
            .map(|found| unwrapped.original(found.start)..unwrapped.original(found.end - 1) + 1)
            .collect()
    };
    let mut all = found(Unwrapped::new(bytes, Prefixes::Kept));
    if has_prefixes(bytes) {
        all.extend(found(Unwrapped::new(bytes, Prefixes::LeftOut)));
        merge(&mut all);
    }
    all
}

/// The characters that stand before each line of a difference, a quotation or a comment.
const PREFIXES: &[u8] = b"+->|#*";

/// Whether the prefixes of lines belong to the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefixes {
    Kept,
    LeftOut,
}

/// Whether any line but the first has a prefix and one word behind it: what is wrapped has no blanks.
fn has_prefixes(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| b"\n\r\\".contains(byte)) {
        at += next;
        match line_break(&bytes[at..], Prefixes::Kept) {
            0 => at += 1,
            len => {
                at += len;
                let is_prefixed = bytes.get(at).is_some_and(|byte| PREFIXES.contains(byte));
                if is_prefixed && is_one_word(&bytes[at + 1..]) {
                    return true;
                }
            }
        }
    }
    false
}

/// The bytes with a mask in each range, `None` without one.
fn masked(bytes: &[u8], ranges: &[Range<usize>]) -> Option<Vec<u8>> {
    if ranges.is_empty() {
        return None;
    }
    let mut masked = Vec::with_capacity(bytes.len());
    let mut end = 0;
    for range in ranges {
        masked.extend_from_slice(&bytes[end..range.start]);
        masked.extend_from_slice(MASK.as_bytes());
        end = range.end;
    }
    masked.extend_from_slice(&bytes[end..]);
    Some(masked)
}

/// Whether the line that bytes begin with has no blank but at its ends.
fn is_one_word(bytes: &[u8]) -> bool {
    let is_blank = |byte: &u8| b" \t".contains(byte);
    let ends = |byte: &u8| b"\n\r\\".contains(byte);
    let line = &bytes[..bytes.iter().position(ends).unwrap_or(bytes.len())];
    !line.trim_ascii().iter().any(is_blank)
}

/// The factor by which line breaks can lengthen a secret, for a stream to see that one has begun.
const WRAPPED_AT_MOST: usize = 4;

/// Bytes without their line breaks and the indentation behind each.
struct Unwrapped<'a> {
    bytes: Cow<'a, [u8]>,
    /// From which byte on how many are left out before it.
    breaks: Vec<(usize, usize)>,
}

impl<'a> Unwrapped<'a> {
    fn new(bytes: &'a [u8], prefixes: Prefixes) -> Self {
        let mut unwrapped = Vec::new();
        let mut breaks = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(next) = bytes[at..].iter().position(|byte| b"\n\r\\".contains(byte)) {
            at += next;
            match line_break(&bytes[at..], prefixes) {
                0 => at += 1,
                len => {
                    unwrapped.extend_from_slice(&bytes[copied..at]);
                    at += len;
                    breaks.push((unwrapped.len(), at - unwrapped.len()));
                    copied = at;
                }
            }
        }
        if breaks.is_empty() {
            return Self {
                bytes: Cow::Borrowed(bytes),
                breaks,
            };
        }
        unwrapped.extend_from_slice(&bytes[copied..]);
        Self {
            bytes: Cow::Owned(unwrapped),
            breaks,
        }
    }

    /// The place of a byte in the original text.
    fn original(&self, at: usize) -> usize {
        let before = self.breaks.partition_point(|(from, _)| *from <= at);
        at + before.checked_sub(1).map_or(0, |last| self.breaks[last].1)
    }
}

/// The length of a line break that the bytes begin with, also an escaped one, with the indentation behind it, and the
/// prefix if that
/// is left out.
fn line_break(bytes: &[u8], prefixes: Prefixes) -> usize {
    // What ends with a backslash may have been cut within an escape.
    if bytes == b"\\" {
        return 1;
    }
    let ends: [&[u8]; 4] = [b"\n", b"\r", b"\\n", b"\\r"];
    let Some(end) = ends.into_iter().find(|end| bytes.starts_with(end)) else {
        return 0;
    };
    let blanks = |bytes: &[u8]| bytes.iter().take_while(|byte| b" \t".contains(byte)).count();
    let indented = end.len() + blanks(&bytes[end.len()..]);
    let has_prefix = bytes.get(indented).is_some_and(|byte| PREFIXES.contains(byte));
    if has_prefix && prefixes == Prefixes::LeftOut {
        indented + 1 + blanks(&bytes[indented + 1..])
    } else {
        indented
    }
}

/// Masks secrets in a stream, holding back its end while that may be the beginning of a secret.
#[derive(Debug)]
pub struct StreamRedactor {
    /// The registry of secrets that are not known yet.
    registry: Option<SecretRegistry>,
    redactor: Redactor,
    held: Vec<u8>,
    has_masked: bool,
}

impl StreamRedactor {
    /// Takes a piece of text and returns what can be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        let ready = self.take_settled(piece.as_bytes());
        self.masked(ready)
    }

    /// Takes a piece of a stream of bytes and returns what can be shown now.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<u8> {
        let ready = self.take_settled(piece);
        self.masked_bytes(ready)
    }

    /// The rest, once the stream has ended.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.refresh();
        let rest = std::mem::take(&mut self.held);
        self.masked(rest)
    }

    /// The rest of a stream of bytes, once it has ended.
    pub fn finish_bytes(&mut self) -> Vec<u8> {
        self.refresh();
        let rest = std::mem::take(&mut self.held);
        self.masked_bytes(rest)
    }

    /// The rest, once the stream broke: it may have done so within a secret.
    #[must_use]
    pub fn finish_cut(mut self) -> String {
        self.refresh();
        let rest = into_text(std::mem::take(&mut self.held));
        self.redactor.redact_cut(&rest).into_owned()
    }

    /// Whether a secret was masked so far.
    #[must_use]
    pub const fn has_masked(&self) -> bool {
        self.has_masked
    }

    fn take_settled(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.refresh();
        let rest = self.held.split_off(self.redactor.settled(&self.held));
        std::mem::replace(&mut self.held, rest)
    }

    fn masked(&mut self, ready: Vec<u8>) -> String {
        let text = into_text(ready);
        match self.redactor.redact(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => {
                self.has_masked = true;
                masked
            }
        }
    }

    fn masked_bytes(&mut self, ready: Vec<u8>) -> Vec<u8> {
        match self.redactor.redact_bytes(&ready) {
            Cow::Borrowed(_) => ready,
            Cow::Owned(masked) => {
                self.has_masked = true;
                masked
            }
        }
    }

    fn refresh(&mut self) {
        if let Some(registry) = &self.registry {
            self.redactor = registry.redactor();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const SECRET: &str = "sk-s3cr3t/+\"value\"";

    fn registry() -> SecretRegistry {
        let registry = SecretRegistry::new();
        assert!(registry.add(SECRET));
        registry
    }

    #[test]
    fn a_stream_masks_what_became_known_while_it_flowed() {
        let registry = SecretRegistry::new();
        let mut stream = registry.stream();
        assert_eq!(stream.push("the first "), "the first ");
        assert!(registry.add(SECRET));
        let (first, second) = SECRET.split_at(7);
        let shown = stream.push(first) + &stream.push(second) + &stream.finish();
        assert_eq!(shown, MASK);
    }

    /// An automaton of the whole would take gigabytes.
    #[test]
    fn a_secret_of_many_pages_is_masked_and_what_begins_like_it_is_not() {
        let long: String = (0..30_000).map(|number| format!("{number:05}/")).collect();
        let registry = SecretRegistry::new();
        assert!(registry.add(&long) && registry.add("00000/00001/"));
        let redactor = registry.redactor();
        let encoded = STANDARD.encode(&long);
        assert_eq!(
            redactor.redact(&format!("a {long} b {encoded} c")),
            "a [redacted] b [redacted] c"
        );
        let (begun, rest) = long.split_at(1000);
        assert_eq!(
            redactor.redact(&format!("{begun}x{}", &rest[1..])),
            format!("[redacted]{}x{}", &begun[12..], &rest[1..])
        );
        let mut stream = registry.stream();
        let mut shown: String = [begun, rest, " b"].map(|piece| stream.push(piece)).concat();
        shown += &stream.finish();
        assert_eq!(shown, "[redacted] b");
    }

    #[test]
    fn what_is_left_of_a_secret_where_text_was_cut_is_masked() {
        let redactor = registry().redactor();
        for len in SHORTEST_SECRET..=SECRET.len() {
            let left = format!("é {}", &SECRET[..len]);
            assert_eq!(redactor.redact_cut(&left), "é [redacted]", "{len}");
            assert_eq!(
                redactor.redact(&format!("{left}… and")),
                "é [redacted]… and",
                "{len}"
            );
            let mut stream = redactor.stream();
            let shown = stream.push(&left) + &stream.finish_cut();
            assert_eq!(shown, "é [redacted]", "{len}");
        }
        for text in ["", "é", "sk-s3", "sk-s3… …"] {
            assert_eq!(redactor.redact_cut(text), text);
        }
        assert_eq!(redactor.redact("sk-s3cr3t is not it"), "sk-s3cr3t is not it");
    }

    #[test]
    fn a_secret_that_is_wrapped_over_lines_is_masked() {
        let redactor = registry().redactor();
        let encoded = STANDARD.encode(format!("user:{SECRET}{SECRET}"));
        for width in 4..encoded.len() {
            for end in ["\n", "\r\n", "\n    ", "\\n", "\\r\\n"] {
                let lines: Vec<&str> = encoded
                    .as_bytes()
                    .chunks(width)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                let text = format!("Basic {}{end}.", lines.join(end));
                let masked = redactor.redact(&text);
                let rest = masked.replace(end, "");
                assert!(!rest.contains("czNjcjN0"), "{width} {end:?}: {masked}");
                assert!(!rest.contains("cjN0Lysi"), "{width} {end:?}: {masked}");
                assert!(masked.starts_with("Basic ") && masked.ends_with('.'), "{masked}");
                let mut stream = redactor.stream();
                let shown: String = text
                    .chars()
                    .map(|c| stream.push(c.encode_utf8(&mut [0; 4])))
                    .collect();
                assert_eq!(shown + &stream.finish(), masked, "{width} {end:?}");
            }
        }
        let text = "one\r\n  two\\n three\\";
        assert_eq!(redactor.redact(text), text);
    }

    #[test]
    fn a_secret_over_lines_with_a_prefix_each_is_masked() {
        let redactor = registry().redactor();
        let encoded = STANDARD.encode(format!("user:{SECRET}{SECRET}"));
        for prefix in ["+", "-", "> ", "  | ", "# ", " * "] {
            for width in 4..encoded.len() {
                let lines: Vec<&str> = encoded
                    .as_bytes()
                    .chunks(width)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                let text = format!("{prefix}{}\n.", lines.join(&format!("\n{prefix}")));
                let masked = redactor.redact(&text);
                let rest = masked.replace(&format!("\n{prefix}"), "");
                assert!(!rest.contains("czNjcjN0"), "{prefix:?} {width}: {masked}");
                let mut stream = redactor.stream();
                let shown: String = text
                    .chars()
                    .map(|c| stream.push(c.encode_utf8(&mut [0; 4])))
                    .collect();
                assert_eq!(shown + &stream.finish(), masked, "{prefix:?} {width}");
            }
        }
    }

    #[test]
    fn each_line_of_a_private_key_is_masked() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw";
        let registry = SecretRegistry::new();
        let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\nshort=\n-----END PRIVATE KEY-----\n");
        assert!(registry.add(&key));
        let redactor = registry.redactor();
        assert_eq!(redactor.redact(&key), MASK);
        assert_eq!(redactor.redact(&format!("2: {line};")), "2: [redacted];");
        let border = "-----BEGIN PRIVATE KEY-----";
        assert_eq!(redactor.redact(border), border);
    }

    #[test]
    fn only_what_may_be_the_beginning_of_a_secret_is_held_back() {
        let mut stream = registry().stream();
        assert_eq!(stream.push("a task sk"), "a task ");
        assert_eq!(stream.push(" and "), "sk and ");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_text_are_masked() {
        let mut bytes = vec![0xff, 0x00];
        bytes.extend_from_slice(SECRET.as_bytes());
        bytes.push(0xfe);
        let redactor = registry().redactor();
        let wanted = [&[0xff, 0x00], MASK.as_bytes(), &[0xfe]].concat();
        assert_eq!(*redactor.redact_bytes(&bytes), *wanted);
        let mut stream = redactor.stream();
        let mut shown: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| stream.push_bytes(&[*byte]))
            .collect();
        shown.extend(stream.finish_bytes());
        assert_eq!(shown, wanted);
        assert!(stream.has_masked());
    }

    #[test]
    fn a_short_value_is_refused() {
        assert!(!SecretRegistry::new().add("abc"));
    }

    #[test]
    fn keys_and_values_of_json_are_masked() {
        let mut value = serde_json::json!({ SECRET: [SECRET, 1, {"a": format!("<{SECRET}>")}] });
        registry().redactor().redact_json(&mut value);
        assert!(!value.to_string().contains("s3cr3t"), "{value}");
    }

    proptest! {
        #[test]
        fn a_stream_is_masked_however_it_is_cut(cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let text = format!("before é {SECRET}{SECRET} middle {SECRET} after");
            let redactor = registry().redactor();
            let mut stream = redactor.stream();
            let mut out = String::new();
            let mut places: Vec<usize> = cuts.into_iter().filter(|c| *c < text.len() && text.is_char_boundary(*c)).collect();
            places.sort_unstable();
            let mut last = 0;
            for place in places.into_iter().chain([text.len()]) {
                out.push_str(&stream.push(&text[last..place]));
                last = place;
            }
            out.push_str(&stream.finish());
            prop_assert_eq!(out, redactor.redact(&text).into_owned());
        }
    }
}
