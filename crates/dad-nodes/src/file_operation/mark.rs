//! Marks: the state of a place as plans hold it, without its content.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use dad_core::Digest;
use dad_fs::{Attributes, EntryKind};
use dad_runner::NodeError;
use serde::{Deserialize, Serialize};

use super::place::{Place, Roots};
use super::state::State;

/// The state of a place, without its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Mark {
    Absent,
    Directory {
        #[serde(flatten)]
        kept: Kept,
    },
    Link {
        text: Arc<str>,
    },
    File {
        blake3: Digest,
        len: u64,
        #[serde(flatten)]
        kept: Kept,
        /// Whether the content is not kept, because a secret stands in it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
    },
}

/// [`Attributes`] as a plan holds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    executable: bool,
    /// The numbers of user and group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<(u32, u32)>,
    /// Seconds and nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<(u64, u32)>,
    /// In base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extended: BTreeMap<String, String>,
}

impl Kept {
    fn of(attributes: &Attributes) -> Self {
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let extended = attributes.extended.iter();
        Self {
            mode: attributes.mode,
            executable: attributes.executable,
            owner: attributes.owner,
            modified: attributes
                .modified
                .and_then(since_1970)
                .map(|since| (since.as_secs(), since.subsec_nanos())),
            extended: extended
                .map(|(name, value)| (name.clone(), BASE64_STANDARD.encode(value)))
                .collect(),
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        let time = |(secs, nanos)| UNIX_EPOCH.checked_add(Duration::new(secs, nanos));
        let decoded =
            |(name, value): (&String, &String)| Some((name.clone(), BASE64_STANDARD.decode(value).ok()?));
        let mut attributes = Attributes::default();
        // A plan that was changed by hand gives no other bits than a file can have.
        attributes.mode = self.mode.map(|mode| mode & 0o7777);
        attributes.executable = self.executable;
        attributes.owner = self.owner;
        attributes.modified = self.modified.and_then(time);
        attributes.extended = self.extended.iter().filter_map(decoded).collect();
        attributes
    }
}

impl Mark {
    pub(super) fn of(state: &State) -> Self {
        match state {
            State::Absent => Self::Absent,
            State::Directory(attributes) => Self::Directory {
                kept: Kept::of(attributes),
            },
            State::Link(text) => Self::Link {
                text: Arc::clone(text),
            },
            State::File(content) => Self::File {
                blake3: content.digest(),
                len: content.bytes.len() as u64,
                kept: Kept::of(&content.attributes),
                withheld: false,
            },
        }
    }

    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it is what stands at a place.
    pub(super) fn stands(&self, roots: &Roots, place: &Place) -> bool {
        look_at(roots, place, self).is_ok_and(|found| self.is(&found))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        // Those of a file that a plan makes are known once it stands.
        let modes = || match (self.mode(), other.mode()) {
            (Some(mode), Some(other)) => mode == other,
            _ => true,
        };
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Directory { .. }, Self::Directory { .. }) => modes(),
            (Self::Link { text }, Self::Link { text: other }) => text == other,
            (Self::File { blake3, .. }, Self::File { blake3: digest, .. }) => blake3 == digest && modes(),
            _ => false,
        }
    }

    pub(super) fn is(&self, found: &Found) -> bool {
        match (self, found) {
            (Self::Absent, Found::Nothing) | (Self::Directory { .. }, Found::Directory) => true,
            (Self::Link { text }, Found::Link(there)) => **text == **there,
            (Self::File { blake3, .. }, Found::File(digest, _)) => blake3 == digest,
            _ => false,
        }
    }

    pub(super) const fn mode(&self) -> Option<u32> {
        match self {
            Self::File { kept, .. } | Self::Directory { kept } => kept.mode,
            _ => None,
        }
    }

    /// The permission bits where they are all that is different from another mark.
    pub(super) fn other_mode(&self, other: &Self) -> Option<u32> {
        match (self, other) {
            (Self::File { blake3, kept, .. }, Self::File { blake3: of_other, .. }) if blake3 == of_other => {
                kept.mode
            }
            (Self::Directory { kept }, Self::Directory { kept: of_other }) => {
                kept.mode.filter(|_| of_other.mode.is_some())
            }
            _ => None,
        }
    }

    /// The order in which changes are made: what is new before what goes, directories around what is in them.
    pub(super) const fn rank(&self, before: &Self) -> u8 {
        match (self, before) {
            (Self::Directory { .. }, _) => 0,
            (Self::File { .. } | Self::Link { .. }, _) => 1,
            (Self::Absent, Self::Directory { .. }) => 3,
            (Self::Absent, _) => 2,
        }
    }
}

/// The present state of a place.
pub(super) enum Found {
    Nothing,
    Directory,
    Link(String),
    /// With its permission bits.
    File(Digest, Option<u32>),
    /// Something else, perhaps what.
    Other(Option<&'static str>),
}

pub(super) fn look_at(roots: &Roots, place: &Place, expected: &Mark) -> Result<Found, NodeError> {
    let parent = match roots.parent_of(place) {
        Ok(Some(parent)) => parent,
        Ok(None) => return Ok(Found::Nothing),
        Err(error) if matches!(&*error.info.code, "link" | "not_a_directory") => {
            return Ok(Found::Other(Some("below what is no directory any more")));
        }
        Err(error) => return Err(error),
    };
    Ok(match parent.kind(place.name())? {
        None => Found::Nothing,
        Some(EntryKind::Dir) => Found::Directory,
        Some(EntryKind::Symlink) => match (expected, parent.link_target(place.name())) {
            (Mark::Link { .. }, Ok(target)) => Found::Link(target.to_string_lossy().into_owned()),
            _ => Found::Other(Some("a symbolic link now")),
        },
        Some(EntryKind::Other) => Found::Other(Some("a device, socket or pipe now")),
        Some(EntryKind::File) => {
            // A file of another length is another file and need not be read.
            let longest = match expected {
                Mark::File { len, .. } => *len,
                Mark::Absent | Mark::Directory { .. } | Mark::Link { .. } => 0,
            };
            match parent.read_regular(place.name(), longest) {
                Ok((bytes, attributes)) => Found::File(Digest::of(&bytes), attributes.mode),
                Err(_) => Found::Other(None),
            }
        }
    })
}
