//! Signals that stop the run this process drives.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dad_events::{Event, RunIdentity, RunObserver};
use dad_run::{LeftProcess, RunView};
use dad_terminal::{editor_is_open, forbid_prompts, print_line};
use tokio_util::sync::CancellationToken;

use crate::exit_code;

/// Notes which run was begun.
#[derive(Default)]
pub(crate) struct Begun(OnceLock<PathBuf>);

#[async_trait]
impl RunObserver for Begun {
    fn name(&self) -> &str {
        "the run's directory"
    }

    async fn start(&self, run: &Arc<RunIdentity>) {
        self.0.get_or_init(|| run.run_dir.clone());
    }

    async fn observe(&self, _: &[Arc<Event>]) {}
}

/// The first Ctrl-C, SIGTERM or SIGHUP stops the run cleanly; the second ends its child processes and this process.
pub(crate) async fn stop_on_signal(
    stop: CancellationToken,
    begun: Arc<Begun>,
    resume_command: impl Fn(&str) -> String,
) {
    let first = async {
        tokio::select! {
            ended = interrupted() => ended,
            hung_up = hung_up() => hung_up,
        }
    };
    if first.await.is_err() {
        return;
    }
    // No question is asked for a run that stops; an open prompt is closed.
    let _forbidden = forbid_prompts();
    print_line("stopping the run; press Ctrl-C again to end at once");
    stop.cancel();
    // Not SIGHUP: a terminal that closes sends it more than once.
    if interrupted().await.is_err() {
        return;
    }
    match begun.0.get() {
        Some(run_dir) => {
            end_children(run_dir);
            let run = run_dir.file_name().unwrap_or_default().to_string_lossy();
            print_line(&format!(
                "ended at once; resume the run with `{}`",
                resume_command(&run)
            ));
        }
        None => print_line("ended at once"),
    }
    std::process::exit(i32::from(exit_code::CANCELLED));
}

/// Ends what the run's steps started, and says what it cannot end.
fn end_children(run_dir: &PathBuf) {
    match RunView::open(run_dir) {
        Ok(view) => {
            for LeftProcess { path, pgid, reason } in view.end_children() {
                print_line(&format!(
                    "process group {pgid} of `{path}` is left alone, and may still execute: {reason}"
                ));
            }
        }
        Err(error) => print_line(&format!("processes of the run may still execute: {error}")),
    }
}

#[cfg(unix)]
async fn interrupted() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = pressed() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn interrupted() -> io::Result<()> {
    pressed().await
}

/// The terminal was closed, or the connection to it was lost.
#[cfg(unix)]
async fn hung_up() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    if ignores_hangup() {
        return std::future::pending().await;
    }
    signal(SignalKind::hangup())?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn hung_up() -> io::Result<()> {
    std::future::pending().await
}

/// Whether this process was started to outlive its terminal, as `nohup` does it: a handler of our own would undo that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ignores_hangup() -> bool {
    // proc(5): the mask of ignored signals in hexadecimal; SIGHUP is the first.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Whether this process was started to outlive its terminal. The system does not say it, but `nohup` redirects both
/// outputs away from a terminal.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn ignores_hangup() -> bool {
    use std::io::IsTerminal;
    !io::stdout().is_terminal() && !io::stderr().is_terminal()
}

/// Ctrl-C, except where it is a key of the editor in which the user writes an answer.
async fn pressed() -> io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        if !editor_is_open() {
            return Ok(());
        }
    }
}
