//! `dhenara run … --each`: many runs of one definition, and their outputs beside each other.

use std::path::Path;
use std::sync::Arc;

use dad_core::{RunStatus, StepStatus, Timestamp, format_duration};
use dad_project::{Batch, BatchDriving, BatchRow, FoundDefinition, Project, Trial};
use dad_run::{Durability, RunStop};
use dad_runner::RunReport;
use dad_terminal::internal::{cost, mark, one_line};
use dad_terminal::{DIM, print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::descriptors::descriptors;
use crate::error::CommandError;
use crate::output::summary::error_at;
use crate::output::{json, program};
use crate::session::drive::{equipped, runtime, telemetry, unheard};
use crate::session::inputs::read_text;
use crate::signals::{Signals, stop_on_signal};
use crate::{exit_code, logging};

/// The rows of a file.
pub(crate) fn rows(file: &Path) -> Result<Vec<BatchRow>, CommandError> {
    let name = file.display().to_string();
    let text = read_text(&name).map_err(|reason| {
        CommandError::usage("unreadable", format!("`--each {name}` cannot be read: {reason}"))
    })?;
    Ok(BatchRow::parse_lines(&text, &name)?)
}

/// The name of a new batch.
pub(crate) fn new_name() -> String {
    Timestamp::now().strftime("each_%Y%m%d_%H%M%S").to_string()
}

/// The way in which the runs of a batch are driven: no prompt asks, because several would at once.
pub(crate) fn driving<'a>(
    app: &'a App,
    project: &'a Project,
    max_concurrency: usize,
    durability: Option<Durability>,
) -> Result<BatchDriving<'a>, CommandError> {
    let descriptors = Arc::new(descriptors());
    let telemetry = telemetry(project)?;
    let driving = BatchDriving::new(max_concurrency).context(move |context| {
        let context = app.changed(context).interactive(false);
        let context = equipped(context, telemetry.clone(), &descriptors);
        match durability {
            Some(durability) => context.durability(durability),
            None => context,
        }
    });
    Ok(driving)
}

/// Runs a batch, and shows each run as it ends.
pub(crate) fn run(
    project: &Project,
    found: &FoundDefinition,
    batch: &Batch,
    driving: BatchDriving<'_>,
    as_json: bool,
) -> Result<u8, CommandError> {
    let stop = RunStop::new();
    let driving = driving.cancelled_by(stop.clone());
    let name = batch.name.clone();
    logging::install(project.secrets().clone());
    let trials = runtime()?.block_on(async {
        let signals = Signals::listen().map_err(|error| unheard(&error))?;
        let interrupt = tokio::spawn(stop_on_signal(signals, stop, Arc::default(), |_| String::new()));
        print_line(&name);
        let trials = batch.run(project, found, &driving, show).await;
        interrupt.abort();
        Ok::<_, CommandError>(trials?)
    })?;
    if as_json {
        json::print(json!({ "batch": batch.name, "trials": trials }))?;
    } else {
        for line in summaries(&trials) {
            print_line(&line);
        }
    }
    Ok(exit_code_of(&trials))
}

/// Shows a run that has ended.
fn show(trial: &Trial) {
    if program::is_quiet() {
        return;
    }
    let (sign, style) = mark(status_of(trial), false);
    let took = trial.run.as_ref().map(|run| format_duration(run.duration));
    let paid = trial.usage().cost.and_then(cost);
    let mut line = format!("{style}{sign}{style:#} {}", printable(&label(trial)));
    let figures: Vec<String> = took.into_iter().chain(paid).collect();
    if !figures.is_empty() {
        line += &format!("  {DIM}{}{DIM:#}", figures.join(", "));
    }
    print_line(&format!("{line}  {}", printable(&one_line(&outcome(trial), 100))));
}

/// The status that a trial is shown with.
pub(crate) fn status_of(trial: &Trial) -> StepStatus {
    if trial.passed() {
        StepStatus::Completed
    } else if trial.waits() {
        StepStatus::Waiting
    } else {
        StepStatus::Failed
    }
}

/// The row of a trial, with its model and repetition.
fn label(trial: &Trial) -> String {
    let mut label = trial.row.clone();
    if let Some(model) = &trial.model {
        label += &format!(" {model}");
    }
    if trial.repetition > 1 {
        label += &format!(" #{}", trial.repetition);
    }
    label
}

/// The output of a trial, or what became of it instead.
pub(crate) fn outcome(trial: &Trial) -> String {
    let Some(run) = &trial.run else {
        return trial.error.clone().unwrap_or_default();
    };
    match (&run.error, &trial.verdict) {
        (Some(error), _) => error_at(error),
        (None, Some(verdict)) if !verdict.passed => {
            format!("{}: {}", verdict.reasons.join(", and "), text_of(run))
        }
        _ if run.status == RunStatus::Completed => text_of(run),
        _ => run.status.to_string(),
    }
}

fn text_of(run: &RunReport) -> String {
    match &run.output {
        None => String::new(),
        Some(Value::String(text)) => text.trim_end().to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The counts and costs of all runs, and of those of each model if there are several.
pub(crate) fn summaries(trials: &[Trial]) -> Vec<String> {
    let mut models: Vec<&str> = Vec::new();
    for model in trials.iter().filter_map(|trial| trial.model.as_deref()) {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.len() < 2 {
        models.clear();
    }
    let of_model = models.into_iter().map(|model| {
        let own = trials
            .iter()
            .filter(|trial| trial.model.as_deref() == Some(model));
        format!("{}: {}", printable(model), summary(own))
    });
    of_model.chain([summary(trials.iter())]).collect()
}

fn summary<'t>(trials: impl Iterator<Item = &'t Trial>) -> String {
    let (mut all, mut passed, mut waiting, mut dollars) = (0, 0, 0, 0.0);
    for trial in trials {
        all += 1;
        passed += usize::from(trial.passed());
        waiting += usize::from(trial.waits());
        dollars += trial.usage().cost.unwrap_or_default();
    }
    let mut parts = vec![format!("{passed} of {all} passed")];
    let failed = all - passed - waiting;
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} waiting"));
    }
    parts.extend(cost(dollars));
    parts.join(", ")
}

fn exit_code_of(trials: &[Trial]) -> u8 {
    let has = |status| trials.iter().any(|trial| status_of(trial) == status);
    if has(StepStatus::Failed) {
        exit_code::FAILED
    } else if has(StepStatus::Waiting) {
        exit_code::WAITING
    } else {
        exit_code::DONE
    }
}
