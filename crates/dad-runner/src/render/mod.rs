//! Templates: the values that they see in a run, and the rendering of settings and expressions.

pub(crate) mod evaluate;
pub(crate) mod preview;
pub(crate) mod reader;
pub(crate) mod scope;
