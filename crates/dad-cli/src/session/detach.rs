//! Runs in the background: a process of its own drives the run, and says on a pipe which run it has begun.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dad_events::{Event, RunInfo, RunObserver};
use dad_terminal::print_line;
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::exit_code;
use crate::output::{json as documents, out};

/// The option of a process in the background, in the place of [`DETACH`].
const ANNOUNCE: &str = "--announce";
/// The option that the user writes.
const DETACH: &str = "--detach";

/// Starts the process of a command line in the background, and prints the run that it has begun. A process that ends before
/// that has its messages printed, and its exit code is taken.
pub(crate) fn detach((words, dir): &(Vec<OsString>, PathBuf)) -> Result<u8, CommandError> {
    let mut child = start(words, dir).map_err(|error| failed(&error))?;
    // On a thread of its own: a process that waits for a reader of its messages would never announce a run.
    let messages = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        })
    });
    let mut printed = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut printed).map_err(|error| failed(&error))?;
        if is_announcement(&printed) {
            out::exact(&printed)?;
            return Ok(exit_code::DONE);
        }
        stdout
            .read_to_string(&mut printed)
            .map_err(|error| failed(&error))?;
    }
    let ended = child.wait().map_err(|error| failed(&error))?;
    if !printed.is_empty() {
        out::exact(&printed)?;
    }
    if let Some(Ok(Ok(text))) = messages.map(std::thread::JoinHandle::join)
        && !text.is_empty()
    {
        print_line(text.trim_end());
    }
    let code = ended.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit_code::FAILED))
}

/// Whether a line names a run that has begun; with `--json` an error is a document too.
fn is_announcement(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["pid"].is_u64())
}

fn start(words: &[OsString], dir: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    let words = words.iter().skip(1);
    command
        .args(words.map(|word| {
            if word == DETACH {
                OsString::from(ANNOUNCE)
            } else {
                word.clone()
            }
        }))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Ctrl-C and the end of this terminal are for the processes in the foreground.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

fn failed(error: &std::io::Error) -> CommandError {
    CommandError::usage(
        "detach",
        format!("the process in the background cannot be started: {error}"),
    )
}

/// Prints the run that a process has begun, once.
#[derive(Debug, Default)]
pub(crate) struct Announcement(AtomicBool);

#[async_trait]
impl RunObserver for Announcement {
    fn name(&self) -> &str {
        "announcement"
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        if !self.0.swap(true, Ordering::Relaxed) {
            // A parent that is gone has no need of it.
            let _ = announce(run.run_id.as_str(), &run.run_dir);
        }
    }

    async fn observe(&self, _: &[Arc<Event>]) {}
}

/// Prints a run as one line of JSON.
pub(crate) fn announce(run_id: &str, run_dir: &Path) -> Result<(), CommandError> {
    let line: Value = json!({
        "schema_version": documents::FORMAT,
        "run_id": run_id,
        "run_dir": run_dir,
        "pid": std::process::id(),
    });
    out::exact(&line.to_string())
}
