//! `dhenara runs export` and `dhenara runs import`: runs as archives.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use dad_terminal::{internal::count, print_line, printable};
use serde_json::json;

use crate::app::App;
#[cfg(feature = "view")]
use crate::commands::runs::page;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::new_file::write_new;
use crate::output::program;
use crate::output::summary::command_in;
use crate::output::{json, out};

/// Write a run into one file: an archive that another machine imports, or a page for people. Its journal, results and conversations
/// go with it, and known secrets are masked in it as in the run.
#[derive(Debug, Args)]
#[cfg_attr(
    feature = "view",
    command(group(clap::ArgGroup::new("form").required(true).args(["tar", "html"])))
)]
pub(crate) struct ExportArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The archive to make, in the format tar; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    #[cfg_attr(
        feature = "view",
        arg(required_unless_present = "html", conflicts_with = "html")
    )]
    #[cfg_attr(not(feature = "view"), arg(required = true))]
    tar: Option<PathBuf>,
    #[cfg(feature = "view")]
    #[command(flatten)]
    page: page::PageOptions,
    #[command(flatten)]
    place: Place,
}

impl Execute for ExportArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        let view = project.view(&entry)?;
        let Some(tar) = &self.tar else {
            #[cfg(feature = "view")]
            page::write(&project.run_of(view), &self.page)?;
            return Ok(exit_code::DONE);
        };
        if tar == Path::new("-") {
            refuse_terminal("archive", "an archive")?;
            view.export(io::stdout().lock())?;
            return Ok(exit_code::DONE);
        }
        let files = write_new(tar, "archive", |archive| Ok(view.export(archive)?))?;
        let name = printable(&tar.display().to_string());
        print_line(&format!("{}: {} in `{name}`", entry.run_id, count(files, "file")));
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

/// Refuses to write what no person reads to a terminal.
pub(crate) fn refuse_terminal(code: &str, what: &str) -> Result<(), CommandError> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let error = CommandError::usage(code, format!("{what} is not written to a terminal"));
    Err(error.with_hint("name a file, or send standard output to one"))
}

/// Make a run of an archive that `runs export` wrote. It counts as another user's run: looking at it executes nothing, and `resume`,
/// `answer` and `run step` refuse it without `--trust`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The archive; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ImportArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let runs = app.project_or_here(&self.place)?.runs_in_root()?;
        let imported = if self.file == Path::new("-") {
            runs.import(io::stdin().lock())?
        } else {
            let unreadable = |reason: String| {
                let message = format!("the archive: `{}` cannot be read: {reason}", self.file.display());
                CommandError::usage("archive", message).with_hint(makes_one())
            };
            if self.file.is_dir() {
                return Err(unreadable("it is a directory".to_owned()));
            }
            let file = std::fs::File::open(&self.file).map_err(|error| unreadable(error.to_string()))?;
            runs.import(io::BufReader::new(file)).map_err(|error| {
                let code = error.code().to_owned();
                let error = CommandError::from(error);
                match &*code {
                    "archive" => error.with_hint(makes_one()),
                    "run_exists" => error.with_hint("`--run-root DIR` imports it into another directory"),
                    _ => error,
                }
            })?
        };
        let damage = &imported.verification.damage;
        if self.json {
            json::print(json!({
                "run_id": imported.run_id,
                "run_dir": imported.dir,
                "files": imported.files,
                "damage": damage,
            }))?;
        } else {
            out::lines(imported.run_id.as_str())?;
            print_line(&format!(
                "imported {}; it counts as another user's run, and `last` never means it",
                count(imported.files, "file")
            ));
            for damage in damage {
                let file = damage.path.strip_prefix(&imported.dir).unwrap_or(&damage.path);
                print_line(&printable(&format!("{}: {}", file.display(), damage.reason)));
            }
            let next = command_in(&["runs", "show", imported.run_id.as_str()], &self.place);
            print_line(&format!("look at it with `{next}`"));
        }
        Ok(if damage.is_empty() {
            exit_code::DONE
        } else {
            exit_code::DAMAGE
        })
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// The hint for an archive that cannot be imported.
fn makes_one() -> String {
    format!(
        "`{}` makes an archive",
        program::command("runs export RUN --tar FILE")
    )
}
