//! Components: sequences, parallel elements, conditionals and loops, and the whole definition.

mod component;
mod conditional;
mod content;
mod loops;
mod root;
mod sequence;

pub(crate) use root::DefinitionOutcome;
