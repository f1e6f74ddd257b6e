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

mod answer;
mod app;
mod args;
mod cancel;
mod descriptors;
mod error;
pub mod exit_code;
mod foreign;
mod given;
mod hint;
mod json;
mod notes;
mod original;
mod out;
mod place;
mod remove;
mod render;
mod repair;
mod resume;
mod run;
mod runs;
mod schema;
mod show;
mod signals;
mod step;
mod summary;
mod tree;
mod trust;
mod undo;
mod validate;
mod why;

pub use app::{App, main};
