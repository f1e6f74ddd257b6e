//! Run ids: a prefix, the kind of run, the time in UTC and a random end.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::canonical::Digest;
use crate::id::ElementId;

/// Longest run id in bytes; it is the name of a directory.
const MAX_RUN_ID_LENGTH: usize = 200;

/// The id of a run: `[<prefix>_](run|rerun)_<YYYYmmdd>_<HHMMSS>_<6 hex>`, time in UTC, or one given by hand.
///
/// The alphabet is letters, digits, `_` and `-`: the id is the name of the run's directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// Whether a run started afresh or from another run. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Started afresh.
    Run,
    /// Started from a previous run.
    Rerun,
}

/// Why a text is not a [`RunId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a run id; it is made of letters, digits, `_` and `-`, starts with a letter or digit, is at most {MAX_RUN_ID_LENGTH} bytes long and is not `global_data`"
)]
pub struct RunIdError(String);

impl RunId {
    /// A new id for a run started at `at`; `random` tells runs of one second apart.
    ///
    /// # Errors
    /// [`RunIdError`] if the prefix holds characters that a run id may not hold.
    pub fn generate(
        kind: RunKind,
        prefix: Option<&str>,
        at: Timestamp,
        random: u32,
    ) -> Result<Self, RunIdError> {
        let word = match kind {
            RunKind::Run => "run",
            RunKind::Rerun => "rerun",
        };
        let prefix = prefix
            .filter(|p| !p.is_empty())
            .map(|p| format!("{p}_"))
            .unwrap_or_default();
        format!(
            "{prefix}{word}_{}_{:06x}",
            at.strftime("%Y%m%d_%H%M%S"),
            random & 0x00ff_ffff
        )
        .parse()
    }

    /// The id of the run that is started once under a key: `key_<24 hex>`, which `root_id` and `key` decide alone.
    ///
    /// ```
    /// use dad_core::{ElementId, RunId};
    ///
    /// let root = ElementId::new("report_root")?;
    /// let monday = RunId::of_key(&root, "2026-11-30");
    /// assert_eq!(monday, RunId::of_key(&root, "2026-11-30"));
    /// assert_ne!(monday, RunId::of_key(&root, "2026-12-01"));
    /// # Ok::<(), dad_core::IdError>(())
    /// ```
    #[must_use]
    pub fn of_key(root_id: &ElementId, key: &str) -> Self {
        // No id holds the character between them.
        let digest = Digest::of(format!("{root_id}\n{key}").as_bytes());
        Self(format!("key_{}", &digest.to_string()[..24]).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let good = !text.is_empty()
            && text.len() <= MAX_RUN_ID_LENGTH
            && text.bytes().all(alphabet)
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && !text.eq_ignore_ascii_case("global_data");
        if good {
            Ok(Self(text.into()))
        } else {
            Err(RunIdError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for RunId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_prefix_kind_time_and_suffix() {
        let at: Timestamp = "2025-11-23T14:15:16Z".parse().unwrap();
        let id = RunId::generate(RunKind::Rerun, Some("test"), at, 0x9f3a1c).unwrap();
        assert_eq!(id.as_str(), "test_rerun_20251123_141516_9f3a1c");
        assert!(RunId::generate(RunKind::Run, Some("../x"), at, 1).is_err());
        for bad in ["", "..", "a/b", ".hidden", "a b", "global_data", "-x"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
