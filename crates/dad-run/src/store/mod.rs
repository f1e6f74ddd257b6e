//! Runs on disk, as readers see them: views, the catalogue, retention, verification and repair.
//!
//! Everything here works without driving a run. It uses `journal` and `rerun`; `live` and `setup` use it.

pub(crate) mod archive;
pub(crate) mod artifacts;
pub(crate) mod attempts;
pub(crate) mod catalog;
pub(crate) mod children;
pub(crate) mod consumption;
pub(crate) mod decisions;
pub(crate) mod definition_file;
pub(crate) mod definition_parts;
pub(crate) mod diff;
pub(crate) mod event_replay;
pub(crate) mod filter;
pub(crate) mod follow;
pub(crate) mod graph;
pub(crate) mod imported;
pub(crate) mod index;
pub(crate) mod inventory;
pub(crate) mod labels;
pub(crate) mod lease;
pub(crate) mod memo_file;
pub(crate) mod message;
pub(crate) mod needs_parent;
pub(crate) mod original;
pub(crate) mod ownership;
pub(crate) mod prune;
pub(crate) mod question_file;
pub(crate) mod recall;
pub(crate) mod repair;
pub(crate) mod results;
pub(crate) mod retention;
pub(crate) mod run_document;
pub(crate) mod run_entry;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod timeline;
pub(crate) mod value;
pub(crate) mod verify;
pub(crate) mod view;
