//! From options to a run that is driven: the builder, the checks, creating a run and resuming one.
//!
//! The top floor: it uses all others, and nothing in this crate uses it but the root.

pub(crate) mod builder;
pub(crate) mod context;
pub(crate) mod create;
pub(crate) mod dirs;
pub(crate) mod drive;
pub(crate) mod leftovers;
pub(crate) mod options;
pub(crate) mod prepare;
pub(crate) mod preview;
pub(crate) mod project;
pub(crate) mod rerun_options;
pub(crate) mod rerun_plan;
pub(crate) mod resume;
pub(crate) mod secrets;
