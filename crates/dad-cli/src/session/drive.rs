//! The process that drives a run: signals, log layers, and the report at its end.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, RunStatus};
use dad_nodes::internal::passed_environment;
use dad_observability::{FileTelemetry, ObservabilitySettings};
use dad_project::{Environment, Project};
use dad_run::{Descriptors, RunContext, RunContextBuilder, RunStop, RunView, SetupError, layout};
use dad_runner::{RunReport, Runner};
use dad_terminal::{print_line, printable};
use serde_json::Value;

use crate::descriptors::descriptors;
use crate::error::CommandError;
use crate::output::summary::{Changes, Invocation, error_at, show_summary};
use crate::output::{json, out, program};
use crate::signals::{Begun, Signals, exit_on_signal, stop_on_signal};
use crate::{exit_code, logging};

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Runtime::new()
        .map_err(|error| CommandError::usage("runtime", format!("the runtime cannot be started: {error}")))
}

/// The end of an attempt to drive a run.
pub(crate) enum Driven {
    /// It ended or waits, with an exit code.
    Ended(u8),
    /// It was started before, under the same key and with the same inputs.
    Before(String),
}

/// Drives a run to its end, and reports it.
pub(crate) fn drive(
    context: RunContextBuilder,
    project: &Project,
    as_json: bool,
    invocation: &Invocation,
    runner: impl FnOnce(RunContext) -> Runner<Definition>,
) -> Result<u8, CommandError> {
    match drive_or_find(context, project, as_json, invocation, runner)? {
        Driven::Ended(code) => Ok(code),
        Driven::Before(run) => {
            let same_inputs = true;
            Err(SetupError::StartedBefore { run, same_inputs }.into())
        }
    }
}

/// As [`drive`], but a run that was started before under its key is given.
pub(crate) fn drive_or_find(
    context: RunContextBuilder,
    project: &Project,
    as_json: bool,
    invocation: &Invocation,
    runner: impl FnOnce(RunContext) -> Runner<Definition>,
) -> Result<Driven, CommandError> {
    let runtime = runtime()?;
    let changes = Arc::new(Changes::default());
    let stop = RunStop::new();
    let begun = Arc::new(Begun::default());
    let context = equipped(context, telemetry(project)?, &Arc::new(descriptors()))
        .cancelled_by(stop.clone())
        .observe(Arc::clone(&changes))
        .observe(Arc::clone(&begun))
        .build()?;
    logging::install(context.secrets().clone());
    let project_root = &context.dirs().project_root.clone();
    let resume_command = {
        let invocation = invocation.clone();
        move |run: &str| invocation.command(&["resume", run])
    };
    let ended = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| unheard(&error))?;
        let interrupt = tokio::spawn(stop_on_signal(signals, stop, begun, resume_command));
        let ended = runner(context).run().await;
        dad_terminal::prompts_closed().await;
        interrupt.abort();
        // Only the report is left.
        tokio::spawn(exit_on_signal(
            Signals::listen().map_err(|error| unheard(&error))?,
        ));
        Ok::<_, CommandError>(ended)
    })?;
    // A thread that looks at files, or a step that did not stop, may never return.
    let _runtime = InBackground(Some(runtime));
    let report = ended.as_ref().ok().or_else(|| ended.as_ref().err()?.report());
    if let Some(report) = report {
        notify(report, project.settings(), project_root)?;
        print_report(report, &changes, as_json, invocation)?;
    }
    match ended {
        Ok(report) if report.status == RunStatus::Waiting => Ok(Driven::Ended(exit_code::WAITING)),
        Ok(_) => Ok(Driven::Ended(exit_code::DONE)),
        // The document that was printed holds the error already.
        Err(error) if as_json && error.report().is_some() => {
            Ok(Driven::Ended(CommandError::from(error).exit_code))
        }
        Err(error) => match error.setup() {
            Some(SetupError::StartedBefore {
                run,
                same_inputs: true,
            }) => Ok(Driven::Before(run.clone())),
            _ => Err(error.into()),
        },
    }
}

/// The signals that runs of a project write, and their receivers. A variable that names what there is not is a warning.
pub(crate) fn telemetry(project: &Project) -> Result<Option<ObservabilitySettings>, CommandError> {
    for warning in project.observability_warnings()? {
        print_line(&printable(&format!("warning: {warning}")));
    }
    Ok(project.observability()?)
}

/// A context with the descriptors of the process, and with the signals that are wanted.
pub(crate) fn equipped(
    context: RunContextBuilder,
    telemetry: Option<ObservabilitySettings>,
    descriptors: &Arc<Descriptors>,
) -> RunContextBuilder {
    let context = context.resource(Arc::clone(descriptors));
    let telemetry = telemetry.map(|settings| Arc::new(FileTelemetry::new(settings).console(print_line)));
    context.observability_settings(telemetry)
}

/// A runtime that is dropped without waiting for its threads.
struct InBackground(Option<tokio::runtime::Runtime>);

impl Drop for InBackground {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn unheard(error: &io::Error) -> CommandError {
    CommandError::usage(
        "signals",
        format!("signals that would stop the run cannot be received: {error}"),
    )
}

/// Calls the environment's command for what became of a run: `on_waiting` for each open question, or `on_end`.
fn notify(report: &RunReport, environment: &Environment, project_root: &Path) -> Result<(), CommandError> {
    let name = report.run_dir.file_name().unwrap_or_default();
    if report.status != RunStatus::Waiting {
        let status = OsStr::new(report.status.as_str());
        call(
            ("on_end", &environment.on_end),
            &[name, status, report.run_dir.as_os_str()],
            project_root,
        );
        return Ok(());
    }
    if environment.on_waiting.is_empty() {
        return Ok(());
    }
    let questions = report.run_dir.join(layout::DOT_RUN).join(layout::QUESTIONS);
    for open in RunView::open(&report.run_dir)?.open_questions() {
        let file = questions.join(format!("{}.json", open.id));
        let arguments = [name, OsStr::new(open.path.as_str()), file.as_os_str()];
        call(("on_waiting", &environment.on_waiting), &arguments, project_root);
    }
    Ok(())
}

/// Calls a command of the environment, by its key, with more arguments. A failure of the command is a warning.
fn call((key, command): (&str, &[String]), arguments: &[&OsStr], project_root: &Path) {
    let Some((program, own)) = command.split_first() else {
        return;
    };
    let called = std::process::Command::new(program)
        .args(own)
        .args(arguments)
        .current_dir(project_root)
        .env_clear()
        .envs(passed_environment())
        .stdin(std::process::Stdio::null())
        // Standard output is the run's own.
        .stdout(io::stderr())
        .status();
    let trouble = match called {
        Ok(status) if status.success() => return,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    print_line(&format!("warning: `{key}`: `{program}`: {trouble}"));
}

fn print_report(
    report: &RunReport,
    changes: &Changes,
    as_json: bool,
    invocation: &Invocation,
) -> Result<(), CommandError> {
    if as_json {
        return json::print(serde_json::json!(report));
    }
    if !program::is_quiet() {
        let view = RunView::open(&report.run_dir).ok();
        show_summary(report, view.as_ref(), changes, invocation);
    } else if let Some(error) = &report.error {
        print_line(&format!(
            "{} {}: {}",
            report.status,
            report.run_id,
            error_at(error)
        ));
    }
    print_output(report)
}

/// Prints the output of a run on standard output: a text as it is.
pub(crate) fn print_output(report: &RunReport) -> Result<(), CommandError> {
    match &report.output {
        None => Ok(()),
        Some(Value::String(text)) => out::exact(text),
        Some(other) => out::document(other),
    }
}
