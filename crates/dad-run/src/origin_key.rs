//! The key that tells the user's own runs from those of others.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use blake3::Hasher;
use dad_fs::{Dir, Durability, FsError};

use crate::error::RunError;

/// The name of the key's file in a directory of a user's state.
const FILE: &str = "origin.key";
/// The context from which the key of a journal's codes is derived.
const JOURNAL_CONTEXT: &str = "dhenara 2026 journal";
/// The context from which the name of a key is derived.
const ID_CONTEXT: &str = "dhenara 2026 key id";
/// The context from which the key of previews is derived.
const PREVIEW_CONTEXT: &str = "dhenara 2026 preview";
const MEMO_CONTEXT: &str = "dhenara 2026 memo";

/// The secret of a user or team by which they tell their own runs from those of others: drivers sign each line of a journal
/// with it.
///
/// A holder of the key can make runs that look like its owner's, so that no process which a run starts is given it.
#[derive(Clone, PartialEq, Eq)]
pub struct OriginKey {
    bytes: [u8; 32],
    journal: [u8; 32],
}

impl OriginKey {
    /// A key from its 32 bytes, which should be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let journal = blake3::derive_key(JOURNAL_CONTEXT, &bytes);
        Self { bytes, journal }
    }

    /// A key from 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`RunError::OriginKey`] if it is anything else; the error does not repeat the text.
    pub fn from_hex(text: &str) -> Result<Self, RunError> {
        let bytes = blake3::Hash::from_hex(text.trim());
        let bytes = bytes.map_err(|_| RunError::OriginKey {
            path: None,
            reason: "it must be 64 hexadecimal digits".to_owned(),
        })?;
        Ok(Self::from_bytes(*bytes.as_bytes()))
    }

    /// Reads the key in a directory of a user's state, such as `~/.local/state/dhenara`. If there is none yet, one is made:
    /// the directory can then be entered by its owner alone, and the file be read by no other user.
    ///
    /// # Errors
    /// [`RunError::OriginKey`] if the file belongs to another user, if other users can read it, or if it is unreadable or
    /// no key.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, RunError> {
        let path = state_dir.join(FILE);
        let refused = |reason: String| RunError::OriginKey {
            path: Some(path.clone()),
            reason,
        };
        let failed = |error: FsError| refused(error.source.to_string());
        let dir = Dir::create_private(state_dir).map_err(failed)?;
        if dir.kind(FILE).map_err(failed)?.is_none() {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|error| refused(error.to_string()))?;
            let text = format!("{}\n", blake3::Hash::from_bytes(bytes).to_hex());
            // Another process may have made one meanwhile: then that one counts.
            dir.publish(FILE, text.as_bytes(), Durability::Disk)
                .map_err(failed)?;
        }
        Self::read(&dir)
    }

    /// Reads the key as [`load_or_create`](Self::load_or_create) does, and makes nothing: `None` if there is no key yet.
    ///
    /// # Errors
    /// As there.
    pub fn load(state_dir: &Path) -> Result<Option<Self>, RunError> {
        let failed = |error: FsError| RunError::OriginKey {
            path: Some(state_dir.join(FILE)),
            reason: error.source.to_string(),
        };
        let is_missing =
            |error: &FsError| [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind());
        let dir = match Dir::open(state_dir) {
            Err(error) if is_missing(&error) => return Ok(None),
            dir => dir.map_err(failed)?,
        };
        match dir.kind(FILE).map_err(failed)? {
            None => Ok(None),
            Some(_) => Self::read(&dir).map(Some),
        }
    }

    /// A key that no run is signed with, for a user who has no key: no run that is signed is theirs.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn unused() -> Result<Self, RunError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| RunError::Random(error.to_string()))?;
        Ok(Self::from_bytes(bytes))
    }

    fn read(dir: &Dir) -> Result<Self, RunError> {
        let refused = |reason: String| RunError::OriginKey {
            path: Some(dir.path().join(FILE)),
            reason,
        };
        let text = dir
            .read_private(FILE, 1024)
            .map_err(|error| refused(error.source.to_string()))?;
        let text = String::from_utf8(text).map_err(|_| refused("it is no text".to_owned()))?;
        Self::from_hex(&text).map_err(|_| refused("it must be 64 hexadecimal digits".to_owned()))
    }

    /// The name of the key in journals; it reveals nothing about the key.
    #[must_use]
    pub fn id(&self) -> String {
        let id = blake3::Hash::from_bytes(blake3::derive_key(ID_CONTEXT, &self.bytes));
        id.to_hex()[..16].to_owned()
    }

    /// The code of a line of a journal.
    pub(crate) fn code(&self, line: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.journal, line)
    }

    /// The key that signs lines of memos.
    pub(crate) fn memo_key(&self) -> [u8; 32] {
        blake3::derive_key(MEMO_CONTEXT, &self.bytes)
    }

    /// Hashes previews.
    pub(crate) fn preview_hasher(&self) -> Hasher {
        Hasher::new_keyed(&blake3::derive_key(PREVIEW_CONTEXT, &self.bytes))
    }
}

impl fmt::Debug for OriginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OriginKey").field(&self.id()).finish()
    }
}
