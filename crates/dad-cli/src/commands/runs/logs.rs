//! `dhenara runs logs`: the log records of a run and what its steps printed.

use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use dad_core::{Timestamp, format_size};
use dad_observability::{DamagedLines, LogLevel};
use dad_project::{LogFilter, LogLine, LogSource, RunLogs};
use dad_terminal::{DIM, internal::count, print_line, printable};

use crate::app::App;
use crate::commands::runs::select::{missing, original, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::out;
use crate::output::summary::{Invocation, place_of};
use crate::output::timeline::short;
use crate::session::drive::{runtime, unheard};
use crate::signals::Signals;

/// The time between two looks at a run that is followed.
const PAUSE: Duration = Duration::from_millis(100);
/// The text that is printed at once, in bytes.
const PORTION: usize = 64 * 1024;

/// Show the log records of a run and what its steps printed, by time. What a step printed stands where the step ended.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// A component, an iteration such as `each.iter_3`, or a step, by its path or the end of it.
    path: Option<String>,
    /// The least level of log records; what steps print has the level `info`.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "info")]
    level: Level,
    /// Only those of steps that failed.
    #[arg(long, conflicts_with = "follow")]
    failed: bool,
    /// Continue with what a run that another process drives prints, until it pauses or ends; Ctrl-C ends the following, not the run.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    place: Place,
    /// Print a JSON object for each line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl Execute for LogsArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        if entry.is_original {
            return Err(original(&entry, "logs that are read here"));
        }
        let run = project.run_of(project.view(&entry)?);
        let within = match &self.path {
            None => None,
            Some(text) => {
                let selector = selector(text)?;
                let found = run.view().select_part(&selector);
                Some(found.map_err(|error| missing(run.view(), &selector, &error, &entry))?)
            }
        };
        let filter = LogFilter::default()
            .within(within)
            .level(self.level.into())
            .failed(self.failed);
        let mut logs = run.logs(filter)?;
        let mut printer = Printer::new(self.json);
        if self.follow && !runtime()?.block_on(follow(&mut logs, &mut printer))? {
            printer.print()?;
            let place = Invocation::new(&self.place, project.root());
            let again = place.command(&["runs", "logs", &run.view().name(), "--follow"]);
            print_line(&format!(
                "{} continues; `{again}` shows it again",
                run.view().name()
            ));
            return Ok(exit_code::CANCELLED);
        }
        logs.complete();
        while let Some(line) = logs.next_line()? {
            if !printer.add(&line)? {
                break;
            }
        }
        printer.print()?;
        out::end_paging()?;
        if !printer.has_printed {
            print_line("there are no such lines");
        }
        damaged(logs.damaged(), &logs.file());
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            paged: !self.follow,
            ..CommonOptions::default()
        }
    }
}

/// Prints lines until no process drives the run; `false` if a signal ended that before.
async fn follow(logs: &mut RunLogs, printer: &mut Printer) -> Result<bool, CommandError> {
    let mut signals = Signals::listen().map_err(|error| unheard(&error))?;
    loop {
        // Before the lines are read: what the last driver wrote is among them then.
        let is_driven = logs.is_driven()?;
        while let Some(line) = logs.next_line()? {
            if !printer.add(&line)? {
                return Ok(true);
            }
            // A signal is heard between two lines.
            tokio::task::yield_now().await;
        }
        printer.print()?;
        if !is_driven {
            return Ok(true);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = signals.next() => return Ok(false),
        }
    }
}

/// Names the lines of a file that were left out.
pub(crate) fn damaged(lines: DamagedLines, file: &Path) {
    if lines.count > 0 {
        print_line(&format!(
            "left out: {} of `{}` that cannot be read, the first in line {}; a crash may cut off one",
            count(lines.count, "line"),
            place_of(file),
            lines.first
        ));
    }
}

/// Prints lines in portions, with the day before the first of each day.
struct Printer {
    as_json: bool,
    text: String,
    day: String,
    has_printed: bool,
}

impl Printer {
    const fn new(as_json: bool) -> Self {
        Self {
            as_json,
            text: String::new(),
            day: String::new(),
            has_printed: false,
        }
    }

    /// Adds a line; `false` if nothing reads them any more.
    fn add(&mut self, line: &LogLine) -> Result<bool, CommandError> {
        self.has_printed = true;
        if self.as_json {
            let line = serde_json::to_string(line)
                .map_err(|error| CommandError::usage(out::CODE, error.to_string()))?;
            self.text += &line;
            self.text.push('\n');
        } else {
            self.add_day(line.at);
            self.text += &shown(line);
        }
        if self.text.len() > PORTION {
            self.print()?;
        }
        Ok(!out::reader_is_gone())
    }

    fn add_day(&mut self, at: Timestamp) {
        let day = at.strftime("%Y-%m-%d UTC").to_string();
        if day != self.day {
            self.text += &format!("{DIM}{day}{DIM:#}\n");
            self.day = day;
        }
    }

    fn print(&mut self) -> Result<(), CommandError> {
        let text = std::mem::take(&mut self.text);
        match text.strip_suffix('\n') {
            None => Ok(()),
            Some(text) if self.as_json => out::exact(text),
            Some(text) => out::lines(text),
        }
    }
}

fn shown(line: &LogLine) -> String {
    let (word, style) = word(line);
    let mut about = line
        .path
        .as_ref()
        .map(|path| short(path.as_str()).to_owned())
        .unwrap_or_default();
    if let Some(target) = &line.target {
        about += &format!("{}{target}", if about.is_empty() { "" } else { " " });
    }
    let about = if about.is_empty() {
        about
    } else {
        printable(&about) + "  "
    };
    let time = line.at.strftime("%H:%M:%S%.3f");
    let mut text = printable(&line.text).replace('\n', "\n    ");
    if line.cut_bytes > 0 {
        text += &format!("{DIM}… and {} more{DIM:#}", format_size(line.cut_bytes));
    }
    let line = format!("{DIM}{time}{DIM:#} {style}{word:<6}{style:#}  {DIM}{about}{DIM:#}{text}");
    format!("{}\n", line.trim_end())
}

fn word(line: &LogLine) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match (line.source, line.level) {
        (LogSource::Stdout, _) => ("stdout", Style::new()),
        (LogSource::Stderr, _) => ("stderr", Style::new()),
        (LogSource::Stream, _) => ("stream", Style::new()),
        (_, LogLevel::Error) => ("error", colour(AnsiColor::Red)),
        (_, LogLevel::Warn) => ("warn", colour(AnsiColor::Yellow)),
        (_, LogLevel::Debug) => ("debug", DIM),
        (_, LogLevel::Trace) => ("trace", DIM),
        _ => ("info", Style::new()),
    }
}
