use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// What stands where a secret was.
const MASK: &str = "[redacted]";

/// Values shorter than this are refused as secrets: masking them would make unrelated text unreadable.
const SHORTEST_SECRET: usize = 6;

/// The secrets known to one run, and what recognises them in text.
///
/// Values are added as they are resolved; every clone sees them.
#[derive(Clone, Default)]
pub struct SecretRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    patterns: BTreeSet<Vec<u8>>,
    /// Made when it is asked for, because secrets come several at a time.
    redactor: Option<Redactor>,
}

impl SecretRegistry {
    /// A registry that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to be masked from now on, also where it occurs percent-encoded, escaped for JSON, inside base64, or
    /// wrapped over lines. Of a value with several lines each that is encoded is masked by itself too.
    ///
    /// Returns whether the value can be masked: one below six bytes cannot.
    pub fn add(&self, secret: &str) -> bool {
        if secret.len() < SHORTEST_SECRET {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.patterns.len();
        state
            .patterns
            .extend(spellings(secret).into_iter().map(String::into_bytes));
        if state.patterns.len() != before {
            state.redactor = None;
        }
        true
    }

    /// What masks the secrets known now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The ways a secret is written where it must not be read.
fn spellings(secret: &str) -> Vec<String> {
    let escaped = Value::String(secret.to_owned()).to_string();
    let escaped = &escaped[1..escaped.len() - 1];
    let mut all = vec![secret.to_owned(), escaped.to_owned(), escaped.replace('/', "\\/")];
    for special in ESCAPED_IN_JSON {
        all.push(escape_in_json(escaped, special, false));
        all.push(escape_in_json(escaped, special, true));
    }
    for (apostrophe, others) in [("&#39;", ""), ("&#x27;", "+`="), ("&apos;", "")] {
        all.push(escape_in_html(secret, apostrophe, others));
    }
    for unescaped in LEFT_AS_THEY_ARE {
        let encoded = percent_encode(secret, unescaped);
        all.push(lowercase_escapes(&encoded));
        // In forms a space is a plus.
        all.push(encoded.replace("%20", "+"));
        all.push(encoded);
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        all.extend((0..3).filter_map(|offset| base64_core(engine, secret.as_bytes(), offset)));
    }
    let lines = secret.lines().map(str::trim);
    all.extend(lines.filter(|line| is_encoded(line)).map(str::to_owned));
    all
}

/// Whether a line of a secret says nothing to a reader, as those of a private key do.
fn is_encoded(line: &str) -> bool {
    const SHORTEST_LINE: usize = 32;
    line.len() >= SHORTEST_LINE
        && line
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
        && !line.starts_with("--")
}

/// What encoders of addresses leave as it is beside letters, digits and `-_.~`: nothing by RFC 3986, `/` in paths, and what
/// those of JavaScript do for a component and for a whole address.
const LEFT_AS_THEY_ARE: [&[u8]; 4] = [b"", b"/", b"!'()*", b"!'()*;/?:@&=+$,#"];

/// What encoders of JSON write as `\\u` and four digits although nothing asks for it: those of Go, of .NET, and of who wants
/// to be safe in HTML.
const ESCAPED_IN_JSON: [&str; 3] = ["<>&", "<>&'+`", "<>&'+`/="];

fn escape_in_json(escaped: &str, special: &str, upper: bool) -> String {
    let escape = |c: char| match (special.contains(c), upper) {
        (false, _) => c.to_string(),
        (true, false) => format!("\\u{:04x}", u32::from(c)),
        (true, true) => format!("\\u{:04X}", u32::from(c)),
    };
    let text: String = escaped.chars().map(escape).collect();
    match special.contains('\'') {
        // Who escapes apostrophes so does it with quotation marks too.
        true => text.replace("\\\"", "\\u0022"),
        false => text,
    }
}

fn escape_in_html(text: &str, apostrophe: &str, others: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => apostrophe.to_owned(),
        c if others.contains(c) => format!("&#x{:X};", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn percent_encode(text: &str, unescaped: &[u8]) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ if unescaped.contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The same with the digits of escapes in lower case.
fn lowercase_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        text.push('%');
        text.push_str(&digits.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

/// The base64 characters that depend on the secret alone when `offset` other bytes stand before it.
fn base64_core(engine: &GeneralPurpose, secret: &[u8], offset: usize) -> Option<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, offset)
        .chain(secret.iter().copied())
        .collect();
    let whole = padded.len() / 3 * 3;
    let encoded = engine.encode(&padded[..whole]);
    let skip = if offset == 0 { 0 } else { 4 };
    encoded
        .get(skip..)
        .filter(|core| core.len() >= SHORTEST_SECRET)
        .map(str::to_owned)
}

/// What stands where text was shortened.
const LEFT_OUT: char = '…';

/// Masks known secrets in text.
#[derive(Clone, Default)]
pub struct Redactor {
    automaton: Option<Arc<AhoCorasick>>,
    patterns: Arc<BTreeSet<Vec<u8>>>,
    longest: usize,
}

impl Redactor {
    fn new(patterns: &BTreeSet<Vec<u8>>) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns);
        Self {
            automaton: automaton.ok().map(Arc::new),
            patterns: Arc::new(patterns.clone()),
            longest,
        }
    }

    /// Whether no secret is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
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
        let Some(automaton) = &self.automaton else {
            // There are more secrets than memory holds their automaton: everything is masked.
            return Cow::Owned(MASK.as_bytes().to_vec());
        };
        match masked(bytes, &plain_matches(automaton, bytes)) {
            None => {
                masked(bytes, &wrapped_matches(automaton, bytes)).map_or(Cow::Borrowed(bytes), Cow::Owned)
            }
            Some(once) => {
                let twice = masked(&once, &wrapped_matches(automaton, &once));
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

    /// Where a secret begins that the end cuts off, if `at_least` bytes of it are there.
    fn begun_at_end(&self, bytes: &[u8], at_least: usize) -> Option<usize> {
        let from = bytes.len().saturating_sub(self.longest * WRAPPED_AT_MOST);
        let tail = Unwrapped::new(&bytes[from..]);
        let first = tail.bytes.len().saturating_sub(self.longest.saturating_sub(1));
        let last = tail.bytes.len().checked_sub(at_least)?;
        let start = (first..=last).find(|start| self.begins_secret(&tail.bytes[*start..]))?;
        Some(from + tail.original(start))
    }

    fn begins_secret(&self, bytes: &[u8]) -> bool {
        let mut following = self
            .patterns
            .range::<[u8], _>((Bound::Included(bytes), Bound::Unbounded));
        following.next().is_some_and(|pattern| pattern.starts_with(bytes))
    }

    /// How much of a stream can be shown, whatever comes next.
    fn settled(&self, bytes: &[u8]) -> usize {
        let mut end = self.begun_at_end(bytes, 1).unwrap_or(bytes.len());
        if let Some(automaton) = &self.automaton {
            let mut matches = plain_matches(automaton, bytes);
            matches.extend(wrapped_matches(automaton, bytes));
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

fn plain_matches(automaton: &AhoCorasick, bytes: &[u8]) -> Vec<Range<usize>> {
    automaton.find_iter(bytes).map(|found| found.range()).collect()
}

/// Secrets that are wrapped over lines, as encoders of base64 do.
fn wrapped_matches(automaton: &AhoCorasick, bytes: &[u8]) -> Vec<Range<usize>> {
    let unwrapped = Unwrapped::new(bytes);
    if unwrapped.breaks.is_empty() {
        return Vec::new();
    }
    automaton
        .find_iter(&*unwrapped.bytes)
        .map(|found| unwrapped.original(found.start())..unwrapped.original(found.end() - 1) + 1)
        .collect()
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

/// How many times longer than itself a secret can be by line breaks, for a stream to see that one has begun.
const WRAPPED_AT_MOST: usize = 4;

/// Bytes without their line breaks and the indentation behind each.
struct Unwrapped<'a> {
    bytes: Cow<'a, [u8]>,
    /// From which byte on how many are left out before it.
    breaks: Vec<(usize, usize)>,
}

impl<'a> Unwrapped<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut unwrapped = Vec::new();
        let mut breaks = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(next) = bytes[at..].iter().position(|byte| b"\n\r\\".contains(byte)) {
            at += next;
            match line_break(&bytes[at..]) {
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

    /// Where a byte stood before.
    fn original(&self, at: usize) -> usize {
        let before = self.breaks.partition_point(|(from, _)| *from <= at);
        at + before.checked_sub(1).map_or(0, |last| self.breaks[last].1)
    }
}

/// How long the line break is that bytes begin with, also one that is escaped, with the indentation behind it.
fn line_break(bytes: &[u8]) -> usize {
    // What ends with a backslash may have been cut within an escape.
    if bytes == b"\\" {
        return 1;
    }
    let ends: [&[u8]; 4] = [b"\n", b"\r", b"\\n", b"\\r"];
    let Some(end) = ends.into_iter().find(|end| bytes.starts_with(end)) else {
        return 0;
    };
    let behind = &bytes[end.len()..];
    end.len() + behind.iter().take_while(|byte| b" \t".contains(byte)).count()
}

/// Masks secrets in a stream, holding back its end while that may be the beginning of a secret.
#[derive(Debug)]
pub struct StreamRedactor {
    /// Where secrets come from that are not known yet.
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
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    const SECRET: &str = "sk-s3cr3t/+\"value\"";

    fn registry() -> SecretRegistry {
        let registry = SecretRegistry::new();
        assert!(registry.add(SECRET));
        registry
    }

    #[test]
    fn every_spelling_is_masked() {
        let redactor = registry().redactor();
        let json = Value::String(format!("x {SECRET} y")).to_string();
        let addresses = LEFT_AS_THEY_ARE.map(|unescaped| percent_encode(SECRET, unescaped));
        let lower = addresses.clone().map(|text| lowercase_escapes(&text));
        assert!(lower[0].contains("%2f%2b"), "{lower:?}");
        let others = [
            r#"sk-s3cr3t\/+\"value\""#,
            r#"sk-s3cr3t/\u002B\u0022value\u0022"#,
            r#"sk-s3cr3t\u002f\u002b\u0022value\u0022"#,
            "sk-s3cr3t/+&quot;value&quot;",
            "sk-s3cr3t/&#x2B;&quot;value&quot;",
        ];
        for text in [SECRET.to_owned(), json]
            .into_iter()
            .chain(others.map(str::to_owned))
            .chain(addresses)
            .chain(lower)
        {
            let masked = redactor.redact(&text);
            assert!(masked.contains(MASK), "{masked}");
        }
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD.encode(format!("{before}{SECRET}after"));
            assert!(redactor.redact(&text).contains(MASK), "{before}: {text}");
            let text = URL_SAFE.encode(format!("{before}{SECRET}after"));
            assert!(redactor.redact(&text).contains(MASK), "{before}: {text}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
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
