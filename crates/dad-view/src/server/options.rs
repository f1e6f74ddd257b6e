//! The options of a server.

use std::path::PathBuf;

use derive_setters::Setters;

/// The runs that a page shows, and the command that it names.
#[derive(Clone, Debug, Setters)]
#[setters(into)]
#[non_exhaustive]
pub struct ViewOptions {
    /// The directories with runs; those of the project if there is none.
    pub run_roots: Vec<PathBuf>,
    /// The command in the lines to copy; `dhenara` by default.
    pub program: String,
}

impl Default for ViewOptions {
    fn default() -> Self {
        Self {
            run_roots: Vec::new(),
            program: "dhenara".to_owned(),
        }
    }
}
