//! Nodes: the traits that an application implements, the context that a step gets, and the registry.

pub(crate) mod blocking;
pub(crate) mod callback;
pub(crate) mod common_settings;
pub(crate) mod context;
pub(crate) mod erased;
pub(crate) mod error;
pub(crate) mod lifetime;
pub(crate) mod memo;
pub(crate) mod output;
pub(crate) mod registry;
pub(crate) mod settings;
pub(crate) mod traits;
