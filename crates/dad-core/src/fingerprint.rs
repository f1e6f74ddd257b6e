//! Fingerprints of steps, by which a re-run knows that a result may be reused.

use std::fmt;
use std::str::FromStr;

use crate::canonical::Digest;

/// The digest of everything that decides what a step does: steps with equal fingerprints do the same. It is written as the
/// version of
/// what is hashed, `:` and 64 hexadecimal digits; version 1 was written without its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    version: u32,
    digest: Digest,
}

/// Why a text is not a [`Fingerprint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint: a version, `:` and 64 hexadecimal digits")]
pub struct ParseFingerprintError(String);

impl Fingerprint {
    /// The version that is computed now.
    pub const VERSION: u32 = 2;

    /// A fingerprint of the present version.
    #[must_use]
    pub const fn new(digest: Digest) -> Self {
        Self {
            version: Self::VERSION,
            digest,
        }
    }

    /// A fingerprint of the first version, to be compared with those of earlier runs.
    #[must_use]
    pub const fn first_version(digest: Digest) -> Self {
        Self { version: 1, digest }
    }

    /// The digest of what was hashed.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// As it is written.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(80);
        if self.version > 1 {
            text.push_str(&self.version.to_string());
            text.push(':');
        }
        text.push_str(&self.digest.0.to_hex());
        text
    }

    /// The version of what was hashed.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let refused = || ParseFingerprintError(text.to_owned());
        let (version, digest) = match text.split_once(':') {
            None => (1, text),
            Some((version, digest)) => (version.parse().map_err(|_| refused())?, digest),
        };
        let digest = digest.parse().map_err(|_| refused())?;
        Ok(Self { version, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_was_written() {
        let digest = Digest::of(b"a");
        for fingerprint in [Fingerprint::new(digest), Fingerprint::first_version(digest)] {
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        assert_ne!(Fingerprint::new(digest), Fingerprint::first_version(digest));
        assert_eq!(Fingerprint::first_version(digest).to_string(), digest.to_string());
        for wrong in ["", "2:", "x:00", "2:00"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
