//! Counts the instructions that fixed scenarios need, which no other work of the machine changes.
//!
//! Each scenario is executed at two lengths, and its figure is the difference of the counts over the difference of the
//! lengths: what one more step, item or run costs, without the start of the process. The counts come from cachegrind
//! without its caches; a profile by function of each is kept below `target/profile`. The figures of the last recording
//! are in `profile.json` beside the sources of this task.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer tool talks to its terminal"
)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::process::{TaskError, cargo, output};
use crate::workspace_root;

/// A scenario of the profile.
#[derive(Debug)]
struct Scenario {
    /// Its name in the recorded figures and in the program that executes it.
    name: &'static str,
    /// The unit.
    unit: &'static str,
    /// The two lengths.
    lengths: [u32; 2],
    /// The words of the command if the command does it.
    command: Option<&'static [&'static str]>,
    /// The name of its preparation if others have the same.
    prepared_as: &'static str,
}

const fn executed(name: &'static str, unit: &'static str, lengths: [u32; 2]) -> Scenario {
    Scenario {
        name,
        unit,
        lengths,
        command: None,
        prepared_as: name,
    }
}

const fn asked(
    name: &'static str,
    unit: &'static str,
    lengths: [u32; 2],
    prepared_as: &'static str,
    command: &'static [&'static str],
) -> Scenario {
    Scenario {
        name,
        unit,
        lengths,
        command: Some(command),
        prepared_as,
    }
}

/// The key of the user that the scenarios belong to, so that they need nothing of the one who measures.
const ORIGIN_KEY: (&str, &str) = (
    "DHENARA_ORIGIN_KEY",
    "0707070707070707070707070707070707070707070707070707070707070707",
);

/// The run that the scenarios make.
const RUN: &str = "run_20251123_000000_ffffff";

const SCENARIOS: &[Scenario] = &[
    executed("steps", "pass", [50, 150]),
    executed("listed_steps", "step", [50, 150]),
    executed("items", "step", [100, 300]),
    executed("look_ups", "pass", [25, 75]),
    executed("file_operations", "operation", [100, 300]),
    executed("model_calls", "step", [20, 60]),
    executed("traced_steps", "pass", [50, 150]),
    executed("traced_listed_steps", "step", [50, 150]),
    executed("client_calls", "step", [20, 60]),
    executed("traced_client_calls", "step", [20, 60]),
    executed("rerun", "step", [50, 150]),
    executed("resume", "step", [200, 600]),
    executed("templates", "rendering", [20, 60]),
    executed("definition", "node", [50, 150]),
    asked(
        "runs_show",
        "step",
        [100, 300],
        "long_run",
        &["runs", "show", RUN],
    ),
    asked(
        "runs_verify",
        "step",
        [100, 300],
        "long_run",
        &["runs", "verify", RUN],
    ),
    asked("runs_list", "run", [20, 60], "many_runs", &["runs", "list"]),
];

/// The scenarios whose system calls are counted as well, and the names of those counts among the figures.
const CALLS_OF: [(&str, &str); 4] = [
    ("steps", "steps_system_calls"),
    ("listed_steps", "listed_steps_system_calls"),
    ("traced_steps", "traced_steps_system_calls"),
    ("traced_listed_steps", "traced_listed_steps_system_calls"),
];

/// Figures by the names of the scenarios.
type Figures = BTreeMap<String, f64>;

/// Measures all scenarios, or those whose names are given, and prints each with its change.
///
/// # Errors
/// If an option is unknown, the programs cannot be built, or a scenario fails. Without valgrind nothing is measured, which
/// is said and is no error.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let mut profile = "dev";
    let mut record = false;
    let mut names = Vec::new();
    for option in options {
        match *option {
            "--release" => profile = "bench",
            "--record" => record = true,
            name if SCENARIOS.iter().any(|scenario| scenario.name == name) => names.push(name),
            unknown => {
                return Err(TaskError(format!(
                    "`{unknown}` is neither an option nor a scenario"
                )));
            }
        }
    }
    if !is_there("valgrind") {
        eprintln!("valgrind is not installed: no instructions are counted");
        return Ok(());
    }
    let programs = Programs::build(profile)?;
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| names.is_empty() || names.contains(&scenario.name))
        .collect();
    let mut recorded = read()?;
    let recorded_figures = recorded.entry(profile.to_owned()).or_default();
    let mut rows: Vec<(&str, String, f64)> = measure_all(&chosen, &programs)?
        .into_iter()
        .zip(&chosen)
        .map(|(figure, Scenario { name, unit, .. })| (*name, format!("{name}, each {unit}"), figure.round()))
        .collect();
    for (scenario, name) in CALLS_OF {
        let scenario = chosen.iter().find(|chosen| chosen.name == scenario);
        if let Some(scenario) = scenario
            && let Some(calls) = system_calls(scenario, &programs)?
        {
            let title = format!("system calls, each {} ({})", scenario.unit, scenario.name);
            rows.push((name, title, calls));
        }
    }
    println!("{:<40} {:>12}   change", "", "instructions");
    for (name, title, figure) in rows {
        println!(
            "{title:<40} {figure:>12}   {}",
            change(figure, recorded_figures.get(name))
        );
        recorded_figures.insert(name.to_owned(), figure);
    }
    if record {
        write(&recorded)?;
    }
    Ok(())
}

fn change(now: f64, before: Option<&f64>) -> String {
    match before {
        Some(before) => format!("{:+.1} %", (now / before - 1.0) * 100.0),
        None => "not recorded".to_owned(),
    }
}

/// The two programs that are measured.
struct Programs {
    scenarios: PathBuf,
    dhenara: PathBuf,
}

impl Programs {
    /// Builds them as the tests of the whole workspace are built, so that what those built is used.
    fn build(profile: &str) -> Result<Self, TaskError> {
        let mut build = Command::new(cargo());
        build.args([
            "build",
            "--quiet",
            "--locked",
            "--workspace",
            "--profile",
            profile,
        ]);
        build.args([
            "--bench",
            "profile",
            "--bin",
            "dhenara-under-test",
            "--message-format",
            "json",
        ]);
        let messages = output(&mut build)?;
        let messages: Vec<Value> = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let built = |name: &str| {
            let mut artifacts = messages
                .iter()
                .filter(|message| message["target"]["name"] == name);
            let path = artifacts.find_map(|message| message["executable"].as_str());
            path.map(PathBuf::from)
                .ok_or_else(|| TaskError(format!("cargo does not say where it put `{name}`")))
        };
        Ok(Self {
            scenarios: built("profile")?,
            dhenara: built("dhenara-under-test")?,
        })
    }
}

/// Measures the scenarios, as many at once as there are processors.
fn measure_all(scenarios: &[&Scenario], programs: &Programs) -> Result<Vec<f64>, TaskError> {
    let jobs: Vec<(usize, u32)> = scenarios
        .iter()
        .enumerate()
        .flat_map(|(index, scenario)| scenario.lengths.map(|length| (index, length)))
        .collect();
    let waiting = Mutex::new(jobs.iter());
    let counts = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), TaskError> {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, length)) = next else {
                return Ok(());
            };
            let count = instructions(scenarios[*index], *length, programs)?;
            counts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert((*index, *length), count);
        }
    };
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(TaskError("a measurement panicked".to_owned())))
        })
    })?;
    let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let figure = |(index, scenario): (usize, &&Scenario)| {
        let [short, long] = scenario.lengths.map(|length| counts[&(index, length)]);
        (long - short) / f64::from(scenario.lengths[1] - scenario.lengths[0])
    };
    Ok(scenarios.iter().enumerate().map(figure).collect())
}

/// Counts the instructions of one execution.
fn instructions(scenario: &Scenario, length: u32, programs: &Programs) -> Result<f64, TaskError> {
    let kept = workspace_root().join("target/profile");
    make_dir(&kept)?;
    let kept = kept.join(format!("{}.{length}.cachegrind", scenario.name));
    let mut out_file = OsString::from("--cachegrind-out-file=");
    out_file.push(&kept);
    let counter = ["valgrind", "--tool=cachegrind", "--cache-sim=no"].map(OsStr::new);
    let reported = under(&[&counter[..], &[&out_file]].concat(), scenario, length, programs)?;
    counted(&reported).ok_or_else(|| TaskError(format!("valgrind reported no count:\n{reported}")))
}

/// The count in what valgrind says, such as `==1234== I   refs:      12,345,678`.
fn counted(reported: &str) -> Option<f64> {
    let (_, count) = reported.lines().find_map(|line| line.split_once("refs:"))?;
    count.replace(',', "").trim().parse().ok()
}

/// Counts the system calls of a unit; `None`, and a line that says so, where they cannot be traced.
fn system_calls(scenario: &Scenario, programs: &Programs) -> Result<Option<f64>, TaskError> {
    let can_trace = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    if !can_trace.is_ok_and(|status| status.success()) {
        eprintln!("strace is not installed, or may not trace: no system calls are counted");
        return Ok(None);
    }
    let mut counts = [0.0; 2];
    for (count, length) in counts.iter_mut().zip(scenario.lengths) {
        let words = ["strace", "-c", "-f", "-U", "name,calls"].map(OsStr::new);
        let reported = under(&words, scenario, length, programs)?;
        *count =
            traced(&reported).ok_or_else(|| TaskError(format!("strace reported no count:\n{reported}")))?;
    }
    let [short, long] = scenario.lengths.map(f64::from);
    Ok(Some(
        ((counts[1] - counts[0]) / (long - short) * 10.0).round() / 10.0,
    ))
}

/// The count in the last line of what strace says, such as `total   1234`.
fn traced(reported: &str) -> Option<f64> {
    let total = reported
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("total"))?;
    total.trim().parse().ok()
}

/// Prepares a scenario in a directory of its own, executes it behind the words of a tool, and returns what that says on
/// standard error.
fn under(
    tool: &[&OsStr],
    scenario: &Scenario,
    length: u32,
    programs: &Programs,
) -> Result<String, TaskError> {
    let project = Project::new(&format!("{}-{length}", scenario.name))?;
    let length = length.to_string();
    let mut prepare = Command::new(&programs.scenarios);
    prepare
        .args(["prepare", scenario.prepared_as])
        .arg(&project.0)
        .arg(&length);
    output(&mut prepare)?;
    let mut command = Command::new(tool[0]);
    command
        .args(&tool[1..])
        .env(ORIGIN_KEY.0, ORIGIN_KEY.1)
        .stdin(Stdio::null());
    match scenario.command {
        Some(words) => command
            .arg(&programs.dhenara)
            .args(words)
            .arg("--project-root")
            .arg(&project.0),
        None => command
            .arg(&programs.scenarios)
            .args(["execute", scenario.name])
            .arg(&project.0)
            .arg(&length),
    };
    let done = command
        .output()
        .map_err(|error| TaskError(format!("cannot start `{}`: {error}", tool[0].display())))?;
    let reported = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() {
        Ok(reported)
    } else {
        Err(TaskError(format!(
            "`{}` ended with {}:\n{reported}",
            scenario.name, done.status
        )))
    }
}

/// A directory for one execution, removed in the end.
struct Project(PathBuf);

impl Project {
    /// Makes it where directories for a while are, and under a name of one length: paths are written into runs.
    fn new(name: &str) -> Result<Self, TaskError> {
        let project = std::env::temp_dir().join(format!("profile-{:07}-{name:_<24}", std::process::id()));
        make_dir(&project)?;
        Ok(Self(project))
    }
}

impl Drop for Project {
    #[expect(
        clippy::disallowed_methods,
        reason = "what was measured is not needed any more"
    )]
    fn drop(&mut self) {
        // What stays is in the memory of this machine at worst.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_there(program: &str) -> bool {
    let version = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

#[expect(clippy::disallowed_methods, reason = "a directory that no run owns")]
fn make_dir(path: &Path) -> Result<(), TaskError> {
    fs::create_dir_all(path).map_err(|error| TaskError(format!("cannot make `{}`: {error}", path.display())))
}

fn recorded_file() -> PathBuf {
    workspace_root().join("xtask/profile.json")
}

/// The recorded figures, by the cargo profile of the programs.
fn read() -> Result<BTreeMap<String, Figures>, TaskError> {
    let file = recorded_file();
    let text = fs::read_to_string(&file);
    let text = text.map_err(|error| TaskError(format!("cannot read `{}`: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| TaskError(format!("`{}`: {error}", file.display())))
}

#[expect(clippy::disallowed_methods, reason = "a file of the repository")]
fn write(recorded: &BTreeMap<String, Figures>) -> Result<(), TaskError> {
    let file = recorded_file();
    let failed =
        |error: &dyn std::fmt::Display| TaskError(format!("cannot write `{}`: {error}", file.display()));
    let text = serde_json::to_string_pretty(recorded).map_err(|error| failed(&error))?;
    fs::write(&file, text + "\n").map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_the_tools_are_read() {
        let valgrind = "==1== Command: a refs\n==1== \n==1== I   refs:      69,408,486\n";
        assert_eq!(counted(valgrind), Some(69_408_486.0));
        assert_eq!(counted("==1== no count"), None);
        let strace = "syscall     calls\n--------- -----\nwrite        12\ntotal        345\n";
        assert_eq!(traced(strace), Some(345.0));
        assert_eq!(traced("strace: not permitted"), None);
    }

    #[test]
    fn each_scenario_is_recorded_for_both_builds() {
        let recorded = read().unwrap();
        for profile in ["dev", "bench"] {
            let missing: Vec<&str> = SCENARIOS
                .iter()
                .map(|scenario| scenario.name)
                .filter(|name| !recorded[profile].contains_key(*name))
                .collect();
            assert_eq!(missing, [""; 0], "{profile}");
        }
    }
}
