//! Nodes: the traits that an application implements, the context in which a step executes, and the registry.

pub(crate) mod activity;
pub(crate) mod blocking;
mod callback;
pub(crate) mod common_settings;
pub(crate) mod context;
pub(crate) mod erased;
pub(crate) mod error;
pub(crate) mod lifetime;
mod memo;
pub(crate) mod output;
pub(crate) mod registry;
mod settings;
pub(crate) mod simple;
pub(crate) mod traits;
