//! The commands: one file each, with the arguments beside the function.

pub(crate) mod agents;
pub(crate) mod answer;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod each;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod new;
pub(crate) mod render;
pub(crate) mod rerun;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod step;
pub(crate) mod trace;
pub(crate) mod trust;
pub(crate) mod validate;
#[cfg(feature = "view")]
pub(crate) mod view;
pub(crate) mod wait;

use crate::app::App;
use crate::error::CommandError;
use crate::options::Place;

/// Options of a command that concern the program itself.
#[derive(Default)]
pub(crate) struct CommonOptions {
    /// The place of the runs, which hints repeat.
    pub(crate) place: Place,
    /// Whether an error is printed as a JSON document.
    pub(crate) json: bool,
    /// Whether no question is asked at the terminal.
    pub(crate) no_input: bool,
    /// Whether a result that does not fit on the screen is shown in the pager.
    pub(crate) paged: bool,
}

/// A command with its arguments.
pub(crate) trait Execute {
    /// Executes the command, and returns its exit code.
    fn execute(&self, app: &App) -> Result<u8, CommandError>;

    /// The options that concern the program itself.
    fn common(&self) -> CommonOptions {
        CommonOptions::default()
    }
}
