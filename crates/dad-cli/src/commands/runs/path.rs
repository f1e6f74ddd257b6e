//! `dhenara runs path` and `dhenara runs open`: the directory of a run or step.

use std::path::PathBuf;

use clap::Args;
use dad_project::Project;
use dad_terminal::print_line;

use crate::app::App;
use crate::commands::runs::select::select;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::out;
use crate::output::program;

/// A run, or a step or component of it.
#[derive(Debug, Args)]
struct Target {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it. An id may be that of a damaged run.
    run: String,
    /// A step or component, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Target {
    fn dir(&self, app: &App) -> Result<PathBuf, CommandError> {
        let project = app.project_or_here(&self.place)?;
        match &self.path {
            None => run_dir(&project, &self.run),
            Some(path) => {
                let entry = project.runs()?.find(&self.run, None)?;
                let view = project.view(&entry)?;
                let path = select(path, view.entries().map(|(path, _)| path), &entry)?;
                Ok(view.dir_of(path))
            }
        }
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

/// The directory of a run, which may be damaged if it is named by its id.
fn run_dir(project: &Project, run: &str) -> Result<PathBuf, CommandError> {
    let runs = project.runs()?;
    if run.starts_with("last") {
        return Ok(runs.find(run, None)?.dir);
    }
    Ok(runs.find_dir(run)?)
}

/// Print the directory of a run, or of one of its steps.
#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    #[command(flatten)]
    target: Target,
}

impl Execute for PathArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let dir = self.target.dir(app)?;
        out::exact(&dir.display().to_string())?;
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        self.target.common()
    }
}

/// Open the directory of a run, or of one of its steps: in `$VISUAL` or `$EDITOR`, else in what the system opens directories with.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    target: Target,
}

impl Execute for OpenArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let dir = self.target.dir(app)?;
        print_line(&format!("opening {}", dir.display()));
        dad_terminal::open_in_editor(&dir).map_err(|error| {
            CommandError::usage("editor", error.to_string()).with_hint(format!(
                "name your editor in `VISUAL` or `EDITOR`; `{}` prints the directory",
                program::command("runs path")
            ))
        })?;
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        self.target.common()
    }
}
