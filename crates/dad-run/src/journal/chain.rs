//! The chain that binds each line of a journal to the lines before it.
//!
//! Let `H` be blake3 over the sum of the line before (16 zeros for the first line) and the line without its code and its sum.
//! A driver that has an [`OriginKey`] ends the line with `"mac"`: the first 16 bytes of keyed blake3 over the code of the line
//! before (32 zeros if it has none) and the 32 bytes of `H`. Every line of format 2 ends with `"sum"`: the first 8 bytes of
//! blake3 over what `H` was made of, and then the code as it stands in the line, if there is one. So each line is hashed once.
//! The sum shows damage to every reader; the code shows its author to those who have the key.

use blake3::{Hash, Hasher};

use crate::origin_key::OriginKey;

/// A sum as it stands in a line: 8 bytes in lower-case hexadecimal digits.
pub(crate) type Sum = [u8; 16];
/// A code as it stands in a line: 16 bytes in lower-case hexadecimal digits.
pub(crate) type Mac = [u8; 32];

/// Before the first line.
pub(crate) const NO_SUM: Sum = [b'0'; 16];
/// Before the first line with a code.
const NO_MAC: Mac = [b'0'; 32];

const SUM_FIELD: &[u8] = b",\"sum\":\"";
pub(crate) const MAC_FIELD: &[u8] = b",\"mac\":\"";
pub(crate) const END: &[u8] = b"\"}";

/// The end of a chain: what the next line is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) sum: Sum,
    pub(crate) mac: Mac,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            sum: NO_SUM,
            mac: NO_MAC,
        }
    }
}

impl Link {
    /// Ends a line, a JSON object without its line feed, and returns what the next one is bound to.
    pub(crate) fn seal(&self, line: &mut Vec<u8>, key: Option<&OriginKey>) -> Self {
        let mut hasher = hash_line(&self.sum, &[line]);
        let mut mac = NO_MAC;
        if let Some(key) = key {
            mac = mac_of(key, &self.mac, &hasher);
            append(line, MAC_FIELD, &mac);
            hasher.update(&mac);
        }
        let sum = digits(&hasher.finalize());
        append(line, SUM_FIELD, &sum);
        Self { sum, mac }
    }
}

/// The verdict on a line that was compared with its own sum and code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    /// The line that was written there.
    pub(crate) is_whole: bool,
    /// Written by a driver that has the key.
    pub(crate) is_mine: bool,
}

/// A line taken apart, with what it says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    /// The line without its code, its sum and its last brace.
    body: &'a [u8],
    has_mac: bool,
    /// The link for the next line, as this one states it.
    pub(crate) stated: Link,
}

impl<'a> Sealed<'a> {
    /// Takes a line, without its line feed, apart; `None` if it does not end with a sum.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let (summed, sum) = split(line.strip_suffix(END)?, SUM_FIELD)?;
        // The brace is what `split` left out.
        let signed = summed.strip_suffix(b"\"").and_then(|text| split(text, MAC_FIELD));
        let (body, mac) = signed.unwrap_or((summed, NO_MAC));
        Some(Self {
            body,
            has_mac: signed.is_some(),
            stated: Link { sum, mac },
        })
    }

    /// Whether the line is the one that was written behind a line with that sum.
    pub(crate) fn is_whole(&self, before: &Sum) -> bool {
        let before = Link {
            sum: *before,
            mac: NO_MAC,
        };
        self.verify(&before, None).is_whole
    }

    /// Whether the line has a code at all.
    pub(crate) const fn has_mac(&self) -> bool {
        self.has_mac
    }

    /// Compares the line with what it says of itself, behind a line that states this. Hashes it once.
    pub(crate) fn verify(&self, before: &Link, key: Option<&OriginKey>) -> Verified {
        let mut hasher = self.hash(&before.sum);
        let is_by = |key| self.has_mac && mac_of(key, &before.mac, &hasher) == self.stated.mac;
        let is_mine = key.is_some_and(is_by);
        if self.has_mac {
            hasher.update(&self.stated.mac);
        }
        Verified {
            is_whole: digits(&hasher.finalize()) == self.stated.sum,
            is_mine,
        }
    }

    fn hash(&self, before: &Sum) -> Hasher {
        hash_line(before, &[self.body, b"}"])
    }
}

/// Adds a field of hexadecimal digits to the end of an object.
pub(crate) fn append(line: &mut Vec<u8>, field: &[u8], digits: &[u8]) {
    line.pop();
    for part in [field, digits, END] {
        line.extend_from_slice(part);
    }
}

/// Takes a field of hexadecimal digits off the end of a text.
pub(crate) fn split<'a, const N: usize>(text: &'a [u8], field: &[u8]) -> Option<(&'a [u8], [u8; N])> {
    let (rest, digits) = text.split_last_chunk::<N>()?;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.iter().all(is_digit).then_some(())?;
    Some((rest.strip_suffix(field)?, *digits))
}

fn hash_line(before: &Sum, parts: &[&[u8]]) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(before);
    for part in parts {
        hasher.update(part);
    }
    hasher
}

fn mac_of(key: &OriginKey, before: &Mac, line: &Hasher) -> Mac {
    let mut coded = [0; 64];
    coded[..32].copy_from_slice(before);
    coded[32..].copy_from_slice(line.finalize().as_bytes());
    digits(&key.code(&coded))
}

/// The first bytes of a hash in hexadecimal digits, as many as there is room for.
pub(crate) fn digits<const N: usize>(hash: &Hash) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; N];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash.as_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bound_to_those_before_it_and_to_its_author() {
        let key = OriginKey::from_bytes([7; 32]);
        let mut first = br#"{"seq":1,"type":"a"}"#.to_vec();
        let after_first = Link::default().seal(&mut first, Some(&key));
        let mut second = br#"{"seq":2,"type":"b"}"#.to_vec();
        after_first.seal(&mut second, Some(&key));
        assert_eq!(
            String::from_utf8_lossy(&second),
            r#"{"seq":2,"type":"b","mac":"bc6c65cc302721b23ad77c9da0dd515e","sum":"fdedd8ef6246659b"}"#,
            "the second format stays what it is"
        );

        let read = Sealed::read(&second).unwrap();
        assert!(read.is_whole(&after_first.sum));
        assert!(!read.is_whole(&NO_SUM), "it stands behind another line");
        assert!(read.verify(&after_first, Some(&key)).is_mine);
        let other = OriginKey::from_bytes([8; 32]);
        assert!(!read.verify(&after_first, Some(&other)).is_mine);

        for bit in 0..second.len() * 8 {
            let mut flipped = second.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_whole = Sealed::read(&flipped).is_some_and(|line| line.is_whole(&after_first.sum));
            assert!(!is_whole, "bit {bit}");
        }
    }

    #[test]
    fn a_line_without_a_key_has_a_sum_alone() {
        let mut line = br#"{"seq":1}"#.to_vec();
        Link::default().seal(&mut line, None);
        let read = Sealed::read(&line).unwrap();
        assert!(read.is_whole(&NO_SUM) && !read.has_mac());
        assert!(Sealed::read(br#"{"seq":1}"#).is_none());
    }
}
