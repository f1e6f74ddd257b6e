//! The session of a command that drives a run: its project, the context of the run, and the process that drives it.

pub(crate) mod context;
pub(crate) mod detach;
pub(crate) mod drive;
pub(crate) mod inputs;
pub(crate) mod origin;
pub(crate) mod project;
mod replay_notes;
