use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
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
    patterns: BTreeSet<String>,
    /// Made when it is asked for, because secrets come several at a time.
    redactor: Option<Redactor>,
}

impl SecretRegistry {
    /// A registry that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to be masked from now on, also where it occurs percent-encoded, escaped for JSON or inside base64.
    ///
    /// Returns whether the value can be masked: one below six bytes cannot.
    pub fn add(&self, secret: &str) -> bool {
        if secret.len() < SHORTEST_SECRET {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.patterns.len();
        state.patterns.extend(spellings(secret));
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
    let mut all = vec![secret.to_owned(), escaped[1..escaped.len() - 1].to_owned()];
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
    all
}

/// What encoders of addresses leave as it is beside letters, digits and `-_.~`: nothing by RFC 3986, `/` in paths, and what
/// those of JavaScript do for a component and for a whole address.
const LEFT_AS_THEY_ARE: [&[u8]; 4] = [b"", b"/", b"!'()*", b"!'()*;/?:@&=+$,#"];

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
    patterns: Arc<BTreeSet<String>>,
    longest: usize,
}

impl Redactor {
    fn new(patterns: &BTreeSet<String>) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let longest = patterns.iter().map(String::len).max().unwrap_or(0);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns);
        // Building fails only for more patterns than memory holds; masking everything is then the safe answer.
        Self {
            automaton: automaton.ok().map(Arc::new),
            patterns: Arc::new(patterns.clone()),
            longest,
        }
    }

    /// The text with every known secret masked, also what is left of one before a `…`; borrowed when there was none.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.redact_whole(text);
        match self.redact_before_gaps(&masked) {
            Some(shorter) => Cow::Owned(shorter),
            None => masked,
        }
    }

    /// The same for text that was cut behind its end, where the beginning of a secret may be left.
    #[must_use]
    pub fn redact_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.redact(text);
        match self.begun_at_end(&masked) {
            Some(start) => Cow::Owned(format!("{}{MASK}", &masked[..start])),
            None => masked,
        }
    }

    fn redact_whole<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.automaton {
            Some(automaton) if automaton.is_match(text) => {
                Cow::Owned(automaton.replace_all(text, &vec![MASK; automaton.patterns_len()]))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Masks what shortening left of secrets: who shortened the text did not know them.
    fn redact_before_gaps(&self, text: &str) -> Option<String> {
        if self.patterns.is_empty() || !text.contains(LEFT_OUT) {
            return None;
        }
        let mut pieces: Vec<Cow<'_, str>> = text.split(LEFT_OUT).map(Cow::Borrowed).collect();
        let (_, before_gaps) = pieces.split_last_mut()?;
        let mut found = false;
        for piece in before_gaps {
            if let Some(start) = self.begun_at_end(piece) {
                *piece = Cow::Owned(format!("{}{MASK}", &piece[..start]));
                found = true;
            }
        }
        found.then(|| pieces.join(LEFT_OUT.encode_utf8(&mut [0; 4])))
    }

    /// Where a secret begins that the end of the text cuts off.
    fn begun_at_end(&self, text: &str) -> Option<usize> {
        let first = text.len().saturating_sub(self.longest.saturating_sub(1));
        let last = text.len().checked_sub(SHORTEST_SECRET)?;
        (first..=last).find(|start| text.get(*start..).is_some_and(|rest| self.begins_secret(rest)))
    }

    fn begins_secret(&self, text: &str) -> bool {
        let mut following = self
            .patterns
            .range::<str, _>((Bound::Included(text), Bound::Unbounded));
        following.next().is_some_and(|pattern| pattern.starts_with(text))
    }

    /// Masks secrets in every string of a JSON value, object keys included.
    pub fn redact_json(&self, value: &mut Value) {
        if self.automaton.is_none() {
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

    /// Masks secrets in text that arrives in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor {
            registry: None,
            redactor: self.clone(),
            held: String::new(),
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

/// Masks secrets in a stream, holding back as much text as a secret could still be cut in.
#[derive(Debug)]
pub struct StreamRedactor {
    /// Where secrets come from that are not known yet.
    registry: Option<SecretRegistry>,
    redactor: Redactor,
    held: String,
}

impl StreamRedactor {
    /// Takes a piece and returns what can be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.refresh();
        let Some(automaton) = &self.redactor.automaton else {
            return std::mem::take(&mut self.held);
        };
        // Everything but the last `longest - 1` bytes can no longer become part of a secret, unless a match that
        // began earlier still touches them.
        let mut cut = self
            .held
            .len()
            .saturating_sub(self.redactor.longest.saturating_sub(1));
        for found in automaton.find_iter(&self.held) {
            if found.start() < cut && found.end() > cut {
                cut = found.start();
            }
        }
        while !self.held.is_char_boundary(cut) {
            cut -= 1;
        }
        let rest = self.held.split_off(cut);
        let ready = std::mem::replace(&mut self.held, rest);
        self.redactor.redact(&ready).into_owned()
    }

    /// The rest, once the stream has ended.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.refresh();
        self.redactor.redact(&self.held).into_owned()
    }

    /// The rest, once the stream broke: it may have done so within a secret.
    #[must_use]
    pub fn finish_cut(mut self) -> String {
        self.refresh();
        self.redactor.redact_cut(&self.held).into_owned()
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
        for text in [SECRET.to_owned(), json]
            .into_iter()
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
