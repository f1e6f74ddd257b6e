//! The dhenara command, as a library and a binary.
//!
//! A project that has agents, nodes or handlers in Rust makes a binary of its own that knows them:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     dad_cli::App::new().nodes(dad_nodes::builtin_nodes()).run()
//! }
//! ```
//!
//! Progress and messages go to standard error, results to standard output. Exit codes are in [`exit_code`].

mod app;
mod cli;
mod commands;
mod descriptors;
mod error;
pub mod exit_code;
mod logging;
mod options;
mod output;
mod reference;
mod session;
mod signals;
mod words;

pub use app::App;
pub use cli::main;
pub use reference::reference;
