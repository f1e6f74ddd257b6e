//! The commands: one file each, with the arguments beside the function.

pub(crate) mod answer;
pub(crate) mod cancel;
pub(crate) mod render;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod step;
pub(crate) mod trust;
pub(crate) mod validate;

use crate::app::App;
use crate::error::CommandError;
use crate::options::Place;

/// A command with its arguments.
pub(crate) trait Execute {
    /// Executes the command, and returns its exit code.
    fn execute(&self, app: &App) -> Result<u8, CommandError>;

    /// The place of the runs, which hints repeat.
    fn place(&self) -> Place {
        Place::default()
    }

    /// Whether an error is printed as a JSON document.
    fn wants_json(&self) -> bool {
        false
    }

    /// Whether no question is asked at the terminal.
    fn forbids_prompts(&self) -> bool {
        false
    }
}
