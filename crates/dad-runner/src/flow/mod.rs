//! Components: sequences, parallel elements, conditionals and loops.

pub(crate) mod component;
pub(crate) mod loops;
