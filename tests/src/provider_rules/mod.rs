//! The rules of model providers, as data with their sources, for the servers that tests talk to.
//!
//! They share no code with the crates: a rule that both got wrong the same way would prove nothing.

pub mod schema;
