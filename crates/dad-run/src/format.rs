//! The version of each format of a run directory. One rises when what older programs read would change; the page
//! `docs/format/CHANGELOG.md` says what did.

pub(crate) const CHANGES: u32 = 1;
pub(crate) const DEFINITION_FILE: u32 = 1;
pub(crate) const IMPORTED: u32 = 1;
pub(crate) const INBOX: u32 = 1;
pub(crate) const JOURNAL: u32 = 2;
pub(crate) const LABELS: u32 = 1;
pub(crate) const LEASE: u32 = 1;
pub(crate) const MEMO: u32 = 1;
pub(crate) const METADATA: u32 = 1;
pub(crate) const PLAN: u32 = 1;
pub(crate) const QUESTION: u32 = 2;
pub(crate) const RUN_SUMMARY: u32 = 1;
pub(crate) const SPANS: u32 = 1;
pub(crate) const STATIC_INPUTS: u32 = 1;
pub(crate) const WORLD: u32 = 1;
