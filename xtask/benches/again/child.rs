//! One measurement in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};

use crate::{Outcome, floor, runs};

/// The argument that makes this program a child.
pub(crate) const ARGUMENT: &str = "bench-child";

/// The task of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Makes the run that the others start from.
    Make,
    /// Resumes it.
    Resume,
    /// A re-run whose entry point is the last step.
    Entry,
    /// A re-run without one.
    Fingerprint,
    /// Plain copies of the same files.
    Floor,
}

/// The figures of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The time, without the start of the process, in seconds.
    pub(crate) seconds: f64,
    /// The most memory it had, where the system tells.
    pub(crate) peak_kib: Option<u64>,
}

impl Kind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Make, "make"),
        (Self::Resume, "resume"),
        (Self::Entry, "entry"),
        (Self::Fingerprint, "fingerprint"),
        (Self::Floor, "floor"),
    ];

    fn name(self) -> &'static str {
        let (_, name) = Self::ALL[self as usize];
        name
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(kind, known)| (known == name).then_some(kind))
    }
}

/// Starts a child that works on the run in `project`, the floor below `target`, and waits for it.
pub(crate) fn start(kind: Kind, target: &Path, steps: usize, project: &Path) -> Outcome<Measured> {
    let output = Command::new(env::current_exe()?)
        .args([ARGUMENT, kind.name()])
        .args([target, project])
        .arg(steps.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("`{}` ended with {}", kind.name(), output.status).into());
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let seconds = answer["seconds"].as_f64().ok_or("a child reported no time")?;
    Ok(Measured {
        seconds,
        peak_kib: answer["peak_kib"].as_u64(),
    })
}

/// Does the work of a child.
pub(crate) fn main(args: &[&str]) -> Outcome<()> {
    let [kind, target, project, steps] = args else {
        return Err("a child is started by its parent".into());
    };
    let (target, project, steps) = (Path::new(target), Path::new(project), steps.parse()?);
    let time: Duration = match Kind::of(kind).ok_or("an unknown kind of child")? {
        Kind::Make => runs::make(project, steps)?,
        Kind::Resume => runs::resume(project, steps)?,
        Kind::Entry => runs::rerun(project, steps, true)?,
        Kind::Fingerprint => runs::rerun(project, steps, false)?,
        Kind::Floor => floor::measure(target, &runs::run_dir(project))?,
    };
    println!(
        "{}",
        json!({ "seconds": time.as_secs_f64(), "peak_kib": peak_kib() })
    );
    Ok(())
}

/// The highest resident memory of this process so far. Linux only.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
