//! `dhenara trace convert`: the spans of a run in the format of another tool.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use dad_observability::{ConvertError, Converted, TraceFormat, convert_trace};
use dad_run::layout::DOT_TRACE;
use dad_terminal::{internal::count, print_line, printable};

use crate::app::App;
use crate::commands::runs::logs::damaged;
use crate::commands::runs::select::original;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::hint::Hint;
use crate::output::new_file::write_new;
use crate::output::out;

/// Convert the spans of a run: for Perfetto (ui.perfetto.dev) and `chrome://tracing`, or for Zipkin. Nothing is sent anywhere.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The format: `chrome` or `zipkin`.
    #[arg(long = "to", value_name = "FORMAT")]
    format: TraceFormat,
    /// The file to make; by default standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Execute for ConvertArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        if entry.is_original {
            return Err(original(&entry, "spans in a format that is read here"));
        }
        let traces = entry.dir.join(DOT_TRACE);
        let convert = |out: &mut dyn Write| {
            convert_trace(&traces, self.format, out).map_err(|error| refused(&error, entry.run_id.as_str()))
        };
        let converted = match self.output.as_deref().filter(|file| *file != Path::new("-")) {
            Some(file) => {
                let converted = write_new(file, "trace_convert", convert)?;
                let name = printable(&file.display().to_string());
                print_line(&format!("{} in `{name}`", count(converted.spans, "span")));
                converted
            }
            None => match convert(&mut BufWriter::new(io::stdout().lock())) {
                Err(error) if out::reader_is_gone() => return Err(error),
                converted => converted?,
            },
        };
        let Converted { damaged: lines, .. } = converted;
        damaged(lines, &traces.join(dad_observability::names::TRACE_FILE));
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

fn refused(error: &ConvertError, run: &str) -> CommandError {
    let shown = CommandError::usage("trace_convert", error.to_string());
    match error {
        ConvertError::NoSpans(_) => shown.with_hint(
            Hint::from("the run was made with `observability: false`, or has not begun; ")
                .command(["runs", "trace", run])
                .text(" shows its times by its journal"),
        ),
        ConvertError::Write(_) => CommandError {
            exit_code: exit_code::FAILED,
            ..shown.with_hint("make room, or write it elsewhere by `-o FILE`")
        },
        _ => CommandError {
            exit_code: exit_code::FAILED,
            ..shown
        },
    }
}
