//! The parts that the tests of the whole system share: the formats of `docs/format/`, and a check of run directories against
//! them.
//!
//! A run directory is checked file by file: every document and every line of one against its schema, every file of a
//! committed step against the length and digest in the journal. A file that is of no known kind is a problem, so that
//! no format comes into being without its schema.

mod journal;
mod project;
pub mod provider_rules;
mod run_dir;
mod schemas;
pub mod strict_server;
mod telemetry;

pub use journal::{Draw, hex_key, origin_key, seal, seal_with, with_sums};
pub use project::TestProject;
pub use run_dir::{RunFiles, check_run_dir, find_run_dirs, validate_run_dir};
pub use schemas::{Schemas, format_dir};
pub use telemetry::{Telemetry, TelemetryRecord, TelemetrySpan};
