//! Steps that execute at the same time: their places and file descriptors, and the count of those that are active.

pub(crate) mod active;
pub(crate) mod branches;
pub(crate) mod room;
