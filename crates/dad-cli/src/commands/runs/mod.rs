//! `dhenara runs`: the commands that look at recorded runs, repair and remove them.

pub(crate) mod list;
mod original;
pub(crate) mod prune;
mod removal;
pub(crate) mod remove;
pub(crate) mod repair;
pub(crate) mod select;
pub(crate) mod show;
pub(crate) mod undo;
pub(crate) mod verify;
pub(crate) mod why;
