//! `dhenara wait`.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dad_core::{RunStatus, format_duration, parse_duration};
use dad_events::Event;
use dad_project::{ProjectRun, WaitFor};
use dad_run::RunView;
use dad_runner::RunReport;
use dad_terminal::print_line;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::hint::Hint;
use crate::output::summary::{answer_commands, command_in, row};
use crate::output::{answers, json};
use crate::session::drive::{print_output, runtime};

/// Wait for a run that another process drives, and print its output as that process does.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    options: WaitOptions,
}

/// The run that is waited for, and how long.
#[derive(Debug, Args)]
pub(crate) struct WaitOptions {
    /// The run: its id, a unique beginning of it, or `last`.
    run: String,
    /// The state of the run to wait for.
    #[arg(long = "for", value_enum, value_name = "STATE", default_value = "waiting")]
    target: Target,
    /// The longest time to wait; the exit code is 4 behind it.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// The run has ended, or waits for an answer.
    Waiting,
    /// The run has ended; another process may answer its questions meanwhile.
    Done,
}

impl Execute for WaitArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let run = options.find(app)?;
        let run = runtime()?.block_on(options.until(run, async |_| {}))?;
        report_run(run.view(), &options.place, options.json)
    }

    fn common(&self) -> CommonOptions {
        self.options.common()
    }
}

impl WaitOptions {
    /// The run that is waited for.
    pub(crate) fn find(&self, app: &App) -> Result<ProjectRun, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.own_runs()?.find(&self.run, None)?;
        Ok(project.run_of(project.view(&entry)?))
    }

    /// Waits for the state of the run, and gives an observer its events meanwhile.
    pub(crate) async fn until(
        &self,
        run: ProjectRun,
        observe: impl AsyncFnMut(&[Arc<Event>]),
    ) -> Result<ProjectRun, CommandError> {
        let target = match self.target {
            Target::Waiting => WaitFor::Pause,
            Target::Done => WaitFor::End,
        };
        let name = run.view().name().into_owned();
        let waiting = run.watch(target, observe);
        let Some(limit) = self.timeout else {
            return Ok(waiting.await?);
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(run) => Ok(run?),
            Err(_) => Err(timed_out(&name, limit)),
        }
    }

    pub(crate) fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            no_input: true,
            ..CommonOptions::default()
        }
    }
}

/// Prints the output of a run that no process drives, and gives the exit code that its driver had.
pub(crate) fn report_run(view: &RunView, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    interrupted(view)?;
    let report = RunReport::of(view)?;
    if as_json {
        json::print(serde_json::json!(report))?;
    } else {
        print_line(&format!("{} {}", view.status, view.name()));
        for open in view.open_questions() {
            row("asks", &answers::asked(view, open));
        }
        for command in answer_commands(view, |words| command_in(words, place)) {
            row("next", &command);
        }
        print_output(&report)?;
    }
    Ok(exit_code_of(view.status))
}

/// Refuses a run whose driver did not end it.
pub(crate) fn interrupted(view: &RunView) -> Result<(), CommandError> {
    if view.status != RunStatus::Interrupted {
        return Ok(());
    }
    let message = format!("`{}` was interrupted: no process drives it", view.name());
    let resume = Hint::default()
        .command(["resume", &view.name()])
        .text(" resumes it");
    Err(refused("interrupted", message).with_hint(resume))
}

/// The exit code of the driver of a run that ended with a status.
pub(crate) fn exit_code_of(status: RunStatus) -> u8 {
    match status {
        RunStatus::Completed => exit_code::DONE,
        RunStatus::Waiting => exit_code::WAITING,
        RunStatus::Cancelled => exit_code::CANCELLED,
        _ => exit_code::FAILED,
    }
}

fn timed_out(run: &str, limit: Duration) -> CommandError {
    let message = format!(
        "`{run}` neither ended nor paused within {}",
        format_duration(limit)
    );
    let show = Hint::default()
        .command(["runs", "show", run])
        .text(" shows how far it is");
    refused("timed_out", message).with_hint(show)
}

fn refused(code: &str, message: String) -> CommandError {
    let mut error = CommandError::usage(code, message);
    error.exit_code = exit_code::REFUSED;
    error
}
