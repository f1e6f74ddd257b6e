//! The state of one place: a file's content, a directory, a link, or nothing.

use dad_core::Digest;
use dad_fs::{Attributes, EntryKind};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The state of a place.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Absent,
    Directory(Arc<Attributes>),
    File(Arc<Content>),
    /// A symbolic link, with its text. It is removed and moved as itself and never followed.
    Link(Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(super) digest: OnceLock<Digest>,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>, attributes: Attributes) -> Self {
        Self {
            bytes,
            attributes,
            digest: OnceLock::new(),
        }
    }

    /// Of the bytes. Results, plans and images ask for it, and it is computed once.
    pub(crate) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }

    pub(super) const fn permissions(&self) -> (Option<u32>, bool) {
        (self.attributes.mode, self.attributes.executable)
    }
}

impl State {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            // One that is made anew has the usual bits, whichever those are.
            (Self::Directory(a), Self::Directory(b)) => match (a.mode, b.mode) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            },
            (Self::File(a), Self::File(b)) => {
                Arc::ptr_eq(a, b) || (a.bytes == b.bytes && a.permissions() == b.permissions())
            }
            (Self::Link(a), Self::Link(b)) => a == b,
            _ => false,
        }
    }

    /// The state for comparisons: null, `directory`, the text of a link, or the digest of a file.
    pub(crate) fn fact(&self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Directory(_) => "directory".into(),
            Self::Link(text) => format!("link to {text}").into(),
            Self::File(content) => {
                let executable = if content.attributes.is_executable() {
                    " executable"
                } else {
                    ""
                };
                format!("{}{executable}", content.digest()).into()
            }
        }
    }

    pub(super) const fn kind(&self) -> Option<EntryKind> {
        match self {
            Self::Absent => None,
            Self::Directory(_) => Some(EntryKind::Dir),
            Self::File(_) => Some(EntryKind::File),
            Self::Link(_) => Some(EntryKind::Symlink),
        }
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(content) => Some(&content.bytes),
            Self::Absent | Self::Directory(_) | Self::Link(_) => None,
        }
    }

    /// One that is new, with the attributes that the system gives.
    pub(super) fn new_directory() -> Self {
        Self::Directory(Arc::default())
    }
}
