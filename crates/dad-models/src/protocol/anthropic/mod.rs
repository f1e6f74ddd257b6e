//! Anthropic's Messages API.
//!
//! Source of the fields and events: the types of the client anthropic 2.14 for Python.

mod answer;
mod request;

pub(super) use answer::{Stream, read};
pub(super) use request::outgoing;
