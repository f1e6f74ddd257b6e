//! The project of a command, from the options of its command line.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use dad_core::{nearest, shell_word};
use dad_project::{Project, ProjectError, User};
use dad_run::SetupError;

use crate::app::App;
use crate::error::CommandError;
use crate::options::{Driving, Place};
use crate::output::hint::Hint;
use crate::output::program;

impl App {
    /// The user of this process, whose environment and configuration are read once.
    pub(crate) fn user(&self) -> Result<&User, CommandError> {
        if let Some(user) = self.user.get() {
            return Ok(user);
        }
        let user = User::from_environment()?;
        Ok(self.user.get_or_init(|| user))
    }

    /// The project that is named, or the one around the current directory.
    pub(crate) fn project(&self, place: &Place) -> Result<Project, CommandError> {
        let user = self.user()?;
        let project = match &place.project_root {
            Some(root) => user.open(root).map_err(|error| not_at(root, error))?,
            None => user.find(current_dir()?).map_err(not_found)?,
        };
        Ok(self.added_to(project, place))
    }

    /// The project, or where there is none the current directory, which has the runs of the flows in it.
    pub(crate) fn project_or_here(&self, place: &Place) -> Result<Project, CommandError> {
        let user = self.user()?;
        let project = match &place.project_root {
            Some(root) => user.open(root).map_err(|error| not_at(root, error))?,
            None => user.find_or_here(current_dir()?)?,
        };
        Ok(self.added_to(project, place))
    }

    /// The project that is named, or the one that a file lies in; a file outside of any is its own, with its runs beside it.
    pub(crate) fn project_of(&self, file: &Path, place: &Place) -> Result<Project, CommandError> {
        if place.project_root.is_some() {
            return self.project(place);
        }
        let file = file.canonicalize().map_err(|error| no_file(file, &error))?;
        let dir = file.parent().unwrap_or(Path::new("/"));
        let project = self.user()?.find_or_here(dir)?;
        Ok(self.added_to(project, place))
    }

    /// The project of an agent or flow by its name: the one around the current directory, which may be none if the definition
    /// is built in.
    pub(crate) fn project_of_name(&self, name: &str, place: &Place) -> Result<Project, CommandError> {
        if self.definitions.iter().any(|(known, _)| known == name) {
            self.project_or_here(place)
        } else {
            self.project(place)
        }
    }

    /// A project with what this program adds, and with the run root of the command line.
    fn added_to(&self, project: Project, place: &Place) -> Project {
        let mut project = self.extended(project);
        if let Some(root) = &place.run_root {
            project = project.run_root(root);
        }
        match &place.run_root_subpath {
            Some(subpath) => project.run_root_subpath(subpath),
            None => project,
        }
    }
}

/// The error for a directory that was named and is no project.
fn not_at(root: &Path, error: ProjectError) -> CommandError {
    let is_missing = is_missing(&error) && !root.exists();
    let error = CommandError::from(error);
    if is_missing {
        error.with_hint(format!(
            "`{} {}` makes a project there",
            program::command("init"),
            shell_word(&root.display().to_string())
        ))
    } else {
        error
    }
}

/// Whether an error is that there is no project.
fn is_missing(error: &ProjectError) -> bool {
    matches!(error, ProjectError::Run(error) if matches!(error.setup(), Some(SetupError::Project { .. })))
}

/// The error for a file of a definition that is not there, with the nearest one that is.
fn no_file(file: &Path, error: &io::Error) -> CommandError {
    let refused = CommandError::from(ProjectError::Unreadable {
        path: file.to_path_buf(),
        reason: error.to_string(),
    });
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let files = dir.read_dir().into_iter().flatten().flatten();
    let files = files.map(|entry| entry.path()).filter(|path| {
        let end = path.extension().and_then(OsStr::to_str);
        end.is_some_and(|end| ["yaml", "yml", "json"].contains(&end)) && path.is_file()
    });
    let names: Vec<String> = files
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let wanted = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let near = nearest(wanted, names.iter().map(String::as_str)).map(|near| file.with_file_name(near));
    match near {
        Some(near) => refused.with_hint(format!("did you mean `{}`?", near.display())),
        None => refused.with_hint(
            Hint::from("name a file that is there, or a definition that ")
                .command(["agents"])
                .text(" lists"),
        ),
    }
}

/// The error where no project lies around the current directory, with the command that makes one.
fn not_found(error: ProjectError) -> CommandError {
    let is_missing = is_missing(&error);
    let error = CommandError::from(error);
    if is_missing {
        error.with_hint(format!(
            "`{}` makes a project here; `--project-root DIR` names another one",
            program::command("init")
        ))
    } else {
        error
    }
}

fn current_dir() -> Result<PathBuf, SetupError> {
    std::env::current_dir().map_err(|error| SetupError::Project {
        path: PathBuf::from("."),
        reason: error.to_string(),
    })
}

/// A project with the environment, models, replay source and budget of its runs.
pub(crate) fn driven(
    mut project: Project,
    env: Option<&str>,
    driving: &Driving,
) -> Result<Project, CommandError> {
    if let Some(env) = env {
        project = project.environment(env)?;
    }
    if let Some(run) = &driving.replay {
        project = project.replay(run)?;
    }
    match &*driving.models {
        [] => {}
        [model] => project = project.ask_model(model),
        _ => {
            let message = "`--model` is given several times";
            return Err(CommandError::usage("option", message)
                .with_hint("keep one of them; with `--each FILE` each line is run with every model"));
        }
    }
    Ok(project.budget(driving.budget.unwrap_or_default()))
}
