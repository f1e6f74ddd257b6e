//! Google's generateContent, the protocol of Gemini.
//!
//! Source of the fields: the types of the client google-genai 3.6 for Python.

mod answer;
mod request;

pub(super) use answer::{Stream, read};
pub(super) use request::outgoing;
