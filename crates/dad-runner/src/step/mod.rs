//! The pipeline of a step, from its place in the run to its announcement.

mod attempt;
pub(crate) mod decision;
pub(crate) mod effects;
pub(crate) mod executor;
pub(crate) mod fingerprint;
mod finish;
pub(crate) mod outcome;
pub(crate) mod pipeline;
pub(crate) mod place;
mod restored;
pub(crate) mod stop;
