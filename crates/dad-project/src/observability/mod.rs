//! Observability: the settings of signals and their receivers, from the environment, the project and its user.

mod config;
mod receivers;
mod resolve;
mod variables;

pub use config::{Observability, SignalConfig};
pub use receivers::TraceReceiver;
pub(crate) use variables::header_secrets;
