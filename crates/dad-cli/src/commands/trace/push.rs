//! `dhenara trace push`.

use std::collections::HashSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use dad_core::Timestamp;
use dad_observability::{OtlpProtocol, PushReport};
use dad_project::{Project, TraceReceiver};
use dad_run::RunEntry;
use dad_terminal::{internal::count, print_line, printable};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::runs::filter::Filter;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{json, out};
use crate::session::drive::runtime;

/// Send the traces, metrics and logs of runs to a receiver of OTLP: what it has not acknowledged yet.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The runs, each by its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Send all runs, or with the options that choose runs all that fit.
    #[arg(long, conflicts_with = "runs")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// The receiver, such as `http://localhost:4318`, in the place of the configured one.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Its protocol.
    #[arg(long, value_name = "PROTOCOL", value_parser = PossibleValuesParser::new(OtlpProtocol::ALL.map(OtlpProtocol::as_str)))]
    protocol: Option<String>,
    /// Send everything from the beginning, also what was acknowledged.
    #[arg(long)]
    again: bool,
    /// An environment of `.dhenara/config.yaml`, whose receiver is used.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for PushArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let mut project = app.project_or_here(&self.place)?;
        if let Some(env) = &self.env {
            project = project.environment(env)?;
        }
        let mut pusher = project.pusher(&self.receiver())?;
        if self.again {
            pusher = pusher.again();
        }
        let runs = self.chosen(&project)?;
        let runtime = runtime()?;
        let mut pushed = Vec::new();
        let is_shown = !self.json;
        runtime.block_on(project.push_traces(&pusher, runs, |run, report| {
            if is_shown {
                show(run, &report);
            }
            pushed.push((run.run_id.to_string(), report));
        }));
        self.report(&pushed)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

impl PushArgs {
    fn receiver(&self) -> TraceReceiver {
        let named = |name: &String| {
            let mut all = OtlpProtocol::ALL.into_iter();
            all.find(|protocol| protocol.as_str() == name)
        };
        TraceReceiver::new(self.endpoint.clone(), self.protocol.as_ref().and_then(named))
    }

    /// The runs that are meant, each once.
    fn chosen(&self, project: &Project) -> Result<Vec<RunEntry>, CommandError> {
        let filter = self.filter.read(Timestamp::now())?;
        if self.runs.is_empty() {
            if !self.all && filter.is_everything() {
                let error = CommandError::usage("no_run", "no run is named");
                return Err(error.with_hint(
                    "name runs, such as `last`, choose some with `--since 7d`, or send all with `--all`",
                ));
            }
            let mut found = project.own_runs()?.listing()?.runs;
            // The traces of the original system are not in this form.
            found.retain(|run| !run.is_original);
            return Ok(filter.choose(found, |run| run));
        }
        let catalog = project.runs()?;
        let mut seen = HashSet::new();
        let mut runs = Vec::new();
        for name in &self.runs {
            let run = catalog.find(name, None)?;
            if seen.insert(run.dir.clone()) {
                runs.push(run);
            }
        }
        Ok(filter.choose(runs, |run| run))
    }

    /// Prints the sums, and returns the exit code: success if nothing is left and nothing was refused.
    fn report(&self, pushed: &[(String, PushReport)]) -> Result<u8, CommandError> {
        let sum = |of: fn(&PushReport) -> u64| -> u64 { pushed.iter().map(|(_, report)| of(report)).sum() };
        let (sent, refused, left) = (
            sum(PushReport::sent),
            sum(PushReport::refused),
            sum(PushReport::left),
        );
        let is_complete = refused == 0 && pushed.iter().all(|(_, report)| report.is_complete());
        if self.json {
            let runs = pushed.iter().map(|(run, report)| run_json(run, report));
            json::print(json!({
                "complete": is_complete,
                "sent": sent,
                "refused": refused,
                "left": left,
                "runs": runs.collect::<Vec<_>>(),
            }))?;
        } else {
            self.print_sums(pushed, [sent, refused, left])?;
        }
        Ok(if is_complete {
            exit_code::DONE
        } else {
            exit_code::FAILED
        })
    }

    fn print_sums(
        &self,
        pushed: &[(String, PushReport)],
        [sent, refused, left]: [u64; 3],
    ) -> Result<(), CommandError> {
        let untried = pushed.iter().filter(|(_, report)| !is_tried(report)).count();
        if untried > 0 {
            let untried = count(untried as u64, "run");
            print_line(&format!(
                "{untried} not tried, because the receiver takes no request"
            ));
        }
        let mut line = format!(
            "sent {} of {}",
            count(sent, "record"),
            count(pushed.len() as u64, "run")
        );
        if refused > 0 {
            line.push_str(&format!(", {refused} refused"));
        }
        if left > 0 {
            line.push_str(&format!(", {left} left"));
        }
        out::lines(&line)
    }
}

/// Whether the receivers of all signals were asked.
fn is_tried(report: &PushReport) -> bool {
    report.signals.iter().all(|signal| signal.tried)
}

/// Prints what went wrong with a run: a line for each receiver and reason, which several signals may share.
fn show(run: &RunEntry, report: &PushReport) {
    let mut lines = Vec::new();
    for signal in report.signals.iter().filter(|signal| signal.tried) {
        if let Some(reason) = &signal.reason {
            lines.push(format!("{}: `{}`: {reason}", run.run_id, signal.endpoint));
        }
        let warnings = signal.warnings.iter();
        lines.extend(warnings.map(|warning| format!("{}: {warning}", run.run_id)));
    }
    lines.dedup();
    for line in lines {
        print_line(&printable(&line));
    }
}

fn run_json(run: &str, report: &PushReport) -> Value {
    json!({ "run_id": run, "complete": report.is_complete(), "signals": report.signals })
}
