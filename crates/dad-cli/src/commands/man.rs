//! `dhenara man`.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;
use dad_fs::{Dir, Durability, FsResult, Gate};
use dad_terminal::{internal::count, print_line};

use crate::app::App;
use crate::commands::Execute;
use crate::error::CommandError;
use crate::exit_code;
use crate::output::out;
use crate::output::summary::place_of;

/// Write the manual pages: that of each command into a directory, or the first one to standard output.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory, such as `~/.local/share/man/man1`; it is made if it is missing, and pages in it are replaced.
    dir: Option<PathBuf>,
}

impl Execute for ManArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let wrong = |error: &dyn Display| {
            CommandError::usage("manual", format!("the manual pages cannot be made: {error}"))
        };
        let pages = pages(app.known.clone()).map_err(|error| wrong(&error))?;
        let Some(path) = &self.dir else {
            out::exact(pages.first().map_or("", |(_, page)| page))?;
            return Ok(exit_code::DONE);
        };
        write(path, &pages)
            .map_err(|error| wrong(&error).with_hint("name a directory that you may write"))?;
        print_line(&format!(
            "{} in `{}`",
            count(pages.len() as u64, "page"),
            place_of(path)
        ));
        Ok(exit_code::DONE)
    }
}

fn write(path: &Path, pages: &[(String, String)]) -> FsResult<()> {
    // Pages are for all users of the machine who may read the directory.
    let dir = Dir::create_all_with(path, Gate::default())?.shared_as_it_is()?;
    let mut pages = pages.iter();
    pages.try_for_each(|(name, page)| dir.replace(name, page.as_bytes(), Durability::Process))
}

/// The pages by their file names, each before those of its subcommands.
pub(crate) fn pages(known: clap::Command) -> io::Result<Vec<(String, String)>> {
    let mut known = known.disable_help_subcommand(true);
    known.build();
    let source = known.render_version().trim_end().to_owned();
    let mut pages = Vec::new();
    let mut left = vec![known];
    while let Some(command) = left.pop() {
        let inside: Vec<&clap::Command> = command.get_subcommands().collect();
        left.extend(inside.into_iter().rev().cloned());
        let page = Man::new(command).source(&source);
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.push((page.get_filename(), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(pages)
}
