//! `dhenara runs`: the commands that look at recorded runs, repair and remove them.

pub(crate) mod archive;
pub(crate) mod cost;
pub(crate) mod diff;
pub(crate) mod filter;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod label;
pub(crate) mod list;
pub(crate) mod logs;
mod original;
#[cfg(feature = "view")]
mod page;
pub(crate) mod path;
pub(crate) mod prune;
mod removal;
pub(crate) mod remove;
pub(crate) mod repair;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod show;
mod show_step;
pub(crate) mod table;
pub(crate) mod trace;
pub(crate) mod undo;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod why;
