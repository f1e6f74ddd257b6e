//! The pipeline of a step, from its place in the run to its record.

pub(crate) mod attempt;
pub(crate) mod effects;
pub(crate) mod fingerprint;
pub(crate) mod pipeline;
pub(crate) mod stop;
