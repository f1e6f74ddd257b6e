//! One measurement in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::{Value, json};

use crate::{Outcome, floor, run};

/// The argument that makes this program a child.
pub(crate) const ARGUMENT: &str = "bench-child";

/// The task of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A run of the flow.
    Run,
    /// Plain writes of the same files.
    Floor,
}

/// The figures of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The time, without the start of the process and without reading the model, in seconds.
    pub(crate) seconds: f64,
    /// The most memory it had, where the system tells.
    pub(crate) peak_kib: Option<u64>,
}

/// Starts a child that writes below `target` and waits for it.
pub(crate) fn start(kind: Kind, target: &Path, steps: usize, model: &Path) -> Outcome<Measured> {
    let name = match kind {
        Kind::Run => "run",
        Kind::Floor => "floor",
    };
    let output = Command::new(env::current_exe()?)
        .args([ARGUMENT, name])
        .args([target, model])
        .arg(steps.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the {name} of {steps} steps ended with {}", output.status).into());
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
    let [kind, target, model, steps] = args else {
        return Err("a child is started by its parent".into());
    };
    let time = match *kind {
        "run" => run::measure(Path::new(target), steps.parse()?)?,
        _ => floor::measure(Path::new(target), Path::new(model))?,
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
