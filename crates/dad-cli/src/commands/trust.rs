use std::path::Path;

use dad_terminal::{print_line, printable};

use crate::app::App;
use crate::error::CommandError;
use crate::exit_code;

/// `dhenara trust DIR`: the user obeys a project of another user from now on.
pub(crate) fn trust(app: &App, project: &Path) -> Result<u8, CommandError> {
    let project = app.user()?.trust_project(project)?;
    let path = printable(&project.to_string_lossy());
    print_line(&format!("the project `{path}` is obeyed from now on"));
    Ok(exit_code::DONE)
}
