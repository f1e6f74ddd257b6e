//! `dhenara trust`.

use std::path::PathBuf;

use clap::Args;
use dad_terminal::{print_line, printable};

use crate::app::App;
use crate::commands::Execute;
use crate::error::CommandError;
use crate::exit_code;

/// Obey a project that belongs to another user from now on: its configuration decides which commands run and where keys
/// go.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The project.
    dir: PathBuf,
}

impl Execute for TrustArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.user()?.trust_project(&self.dir)?;
        let path = printable(&project.to_string_lossy());
        print_line(&format!("the project `{path}` is obeyed from now on"));
        Ok(exit_code::DONE)
    }
}
