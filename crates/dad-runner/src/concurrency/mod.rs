//! Steps that execute at the same time: their places, file descriptors and waiting.

pub(crate) mod active;
pub(crate) mod room;
