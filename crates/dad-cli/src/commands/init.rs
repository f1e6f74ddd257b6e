//! `dhenara init`.

use std::path::{Path, PathBuf};

use clap::Args;
use dad_core::shell_word;
use dad_project::NewFiles;
use dad_terminal::DIM;
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::output::program;
use crate::output::summary::place_of;
use crate::output::{json, out};

/// Make a project: its configuration, schemas for editors, and an agent that runs at once.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory, which is made if it is missing. Files in it that exist are kept as they are.
    #[arg(default_value = ".", hide_default_value = true)]
    dir: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for InitArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let made = app.user()?.create_project(&self.dir, &app.nodes)?;
        let dir = self.dir.to_string_lossy();
        let enter = (self.dir != Path::new(".")).then(|| format!("cd {}", shell_word(&dir)));
        let commands = ["agents", "run hello", "runs show last", "new agent NAME"];
        let next: Vec<String> = enter.into_iter().chain(commands.map(program::command)).collect();
        report(&made, &next, self.json)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// Reports files that were made, and the commands to type next.
pub(super) fn report(made: &NewFiles, next: &[String], as_json: bool) -> Result<u8, CommandError> {
    if as_json {
        json::print(json!({
            "root": made.root,
            "created": made.created,
            "kept": made.kept,
            "next": next,
        }))?;
        return Ok(exit_code::DONE);
    }
    let rows = |word: &str, files: &[PathBuf]| -> String {
        let rows = files
            .iter()
            .map(|file| format!("{DIM}{word:<8}{DIM:#} {}\n", place_of(file)));
        rows.collect()
    };
    let mut text = rows("created", &made.created) + &rows("kept", &made.kept);
    text += "\nnext\n";
    for command in next {
        text += &format!("  {command}\n");
    }
    out::lines(&text)?;
    Ok(exit_code::DONE)
}
