//! Exporters: they read the files of a run and give their records to a receiver of OTLP, or print them.
//!
//! The files are the queue. An exporter follows them, and stores in `.trace/export.json` how far a receiver acknowledged
//! each. What could not be sent stays in the files, and a later [`push`](Pusher::push) continues behind the last
//! acknowledged batch. So each record arrives at least once: a batch whose answer was lost is sent again, with the same ids.

mod console;
mod destination;
mod endpoint;
mod failure;
mod follow;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod lines;
mod message;
mod offsets;
mod push;
mod route;

pub use endpoint::{Endpoint, EndpointError};
pub use failure::ExportError;
pub(crate) use follow::{Followers, Print};
pub use push::{PushReport, Pusher, SignalReport};
