//! `dhenara runs export --html`: a run as a page for people.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use dad_project::ProjectRun;
use dad_terminal::{internal::count, print_line, printable};
use dad_view::{ExportOptions, ViewError, export_html};

use crate::commands::runs::archive::refuse_terminal;
use crate::error::CommandError;
use crate::output::new_file::write_new;
use crate::output::program;

/// A megabyte, in bytes.
const MEGABYTE: u64 = 1_000_000;

/// The page to make.
#[derive(Debug, Args)]
pub(crate) struct PageOptions {
    /// Make one HTML file that shows the run in a browser, without network.
    #[arg(long, requires = "output")]
    html: bool,
    /// The page to make; `-` for standard output.
    #[arg(short, long, value_name = "FILE", requires = "html")]
    output: Option<PathBuf>,
    /// Leave out files, results and conversations of more than so many megabytes.
    #[arg(long, value_name = "MB", default_value_t = 1, requires = "html")]
    max_file: u64,
    /// Leave out the details of later steps once those before have so many megabytes.
    #[arg(long, value_name = "MB", default_value_t = 50, requires = "html")]
    max_total: u64,
}

/// Writes the page of a run.
pub(crate) fn write(run: &ProjectRun, page: &PageOptions) -> Result<(), CommandError> {
    let options = ExportOptions::default()
        .max_file(page.max_file.saturating_mul(MEGABYTE))
        .max_total(page.max_total.saturating_mul(MEGABYTE))
        .program(program::name());
    let file = page.output.as_deref().unwrap_or(Path::new("-"));
    if file == Path::new("-") {
        refuse_terminal("page", "a page")?;
        export_html(run, &options, io::stdout().lock()).map_err(in_words)?;
        return Ok(());
    }
    let exported = write_new(file, "page", |page| {
        export_html(run, &options, page).map_err(in_words)
    })?;
    let name = printable(&file.display().to_string());
    let run_id = &run.view().run_id;
    print_line(&format!(
        "{run_id}: {} in `{name}`",
        count(exported.steps as u64, "step")
    ));
    if exported.left_out > 0 {
        print_line(&format!(
            "the details of {} are left out, because the page holds at most {} MB of them; `--max-total` holds more",
            count(exported.left_out as u64, "later step"),
            page.max_total
        ));
    }
    Ok(())
}

fn in_words(error: ViewError) -> CommandError {
    match error {
        ViewError::Run(error) => error.into(),
        ViewError::Project(error) => error.into(),
        // An error of writing that has a reason below says that one.
        error => {
            let reason = std::error::Error::source(&error).map(|source| format!(": {source}"));
            CommandError::usage("page", format!("{error}{}", reason.unwrap_or_default()))
                .with_hint("choose a place with room, where you may write")
        }
    }
}
