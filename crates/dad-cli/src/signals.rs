//! Signals that stop the run this process drives.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dad_events::{Event, RunInfo, RunObserver};
use dad_run::{EndedProcess, RunStop, RunView};
use dad_terminal::{forbid_prompts, internal::end_moving_lines, print_line};

use crate::exit_code;

/// The time in which a run must end after a second signal; a program that ignores a request to end has one second of it.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Notes the run that began.
#[derive(Default)]
pub(crate) struct Begun(OnceLock<PathBuf>);

#[async_trait]
impl RunObserver for Begun {
    fn name(&self) -> &str {
        "the run's directory"
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        self.0.get_or_init(|| run.run_dir.clone());
    }

    async fn observe(&self, _: &[Arc<Event>]) {}
}

/// The first Ctrl-C, SIGTERM or SIGHUP stops the run, the second also what stands under `finally`. If the run has not ended soon
/// after that, or at a third, its child processes are ended and this process with them.
#[expect(
    clippy::disallowed_methods,
    reason = "this is no node, and the process ends with it"
)]
pub(crate) async fn stop_on_signal(
    mut signals: Signals,
    stop: RunStop,
    begun: Arc<Begun>,
    resume_command: impl Fn(&str) -> String,
) {
    let first = signals.next().await;
    // No question is asked for a run that stops; an open prompt is closed.
    let _forbidden = forbid_prompts();
    print_line("stopping the run; press Ctrl-C again to end at once");
    stop.stop(first);
    let second = signals.next().await;
    print_line("ending what still executes, `finally` too");
    stop.stop_at_once(second);
    tokio::select! {
        () = tokio::time::sleep(END_LIMIT) => {}
        _ = signals.next() => {}
    }
    if let Some(run_dir) = begun.0.get().cloned() {
        let run = run_dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let ended = tokio::task::spawn_blocking(move || end_children(&run_dir));
        // Another signal ends this process without waiting for its children.
        tokio::select! {
            _ = ended => {}
            _ = signals.next() => {}
        }
        let command = resume_command(&run);
        end_moving_lines();
        print_line(&format!("ended at once; resume the run with `{command}`"));
    }
    std::process::exit(i32::from(exit_code::CANCELLED));
}

/// Lets Ctrl-C go to the program that shows the result, until the value is dropped.
pub(crate) fn outlive_interrupts() -> Option<impl Send + 'static> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let signals = runtime.block_on(async { Signals::listen() }).ok()?;
    Some((signals, runtime))
}

/// Ends this process at the next signal: the run has ended.
pub(crate) async fn exit_on_signal(mut signals: Signals) {
    signals.next().await;
    std::process::exit(i32::from(exit_code::CANCELLED));
}

/// Ends the processes that the run's steps started, and reports each step that still executes.
fn end_children(run_dir: &Path) {
    let view = match RunView::open(run_dir) {
        Ok(view) => view,
        Err(error) => return print_line(&format!("processes of the run may still execute: {error}")),
    };
    for (path, process) in view.end_executing() {
        let became = match process {
            None => "it had no process of its own".to_owned(),
            Some(EndedProcess { pgid, left: None, .. }) => format!("its process group {pgid} was ended"),
            Some(EndedProcess {
                pgid,
                left: Some(reason),
                ..
            }) => format!("its process group {pgid} was not ended, and may still execute: {reason}"),
        };
        print_line(&format!("`{path}` did not end: {became}"));
    }
}

/// The signals that stop a run. Those that this process was started to ignore, as `nohup` and shells in the background do it, stay
/// ignored.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hangup: Option<tokio::signal::unix::Signal>,
    hung_up: Option<tokio::time::Instant>,
}

#[cfg(unix)]
impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind: SignalKind| {
            if is_ignored(kind.as_raw_value()) {
                Ok(None)
            } else {
                signal(kind).map(Some)
            }
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            hung_up: None,
        })
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                () = received(&mut self.interrupt) => {
                    // In an editor Ctrl-C is a key.
                    if !dad_terminal::editor_is_open() {
                        return "SIGINT";
                    }
                }
                () = received(&mut self.terminate) => return "SIGTERM",
                () = received(&mut self.hangup) => {
                    if self.is_another_hangup() {
                        return "SIGHUP";
                    }
                }
            }
        }
    }

    /// Whether a SIGHUP is not the same as the one before: of one terminal that closes, shell and system send one each.
    fn is_another_hangup(&mut self) -> bool {
        const SAME: Duration = Duration::from_secs(3);
        let before = self.hung_up.replace(tokio::time::Instant::now());
        before.is_none_or(|before| before.elapsed() > SAME)
    }
}

#[cfg(unix)]
async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            if tokio::signal::ctrl_c().await.is_err() {
                return std::future::pending().await;
            }
            if !dad_terminal::editor_is_open() {
                return "Ctrl-C";
            }
        }
    }
}

/// Whether this process was started to ignore a signal: a handler of its own would undo that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_ignored(signal: i32) -> bool {
    // proc(5): the mask of ignored signals in hexadecimal, the lowest bit for signal 1.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whether this process was started to ignore a signal. The system does not say it, but `nohup`, which ignores SIGHUP, redirects both
/// outputs away from a terminal.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn is_ignored(signal: i32) -> bool {
    use std::io::IsTerminal;
    signal == tokio::signal::unix::SignalKind::hangup().as_raw_value()
        && !io::stdout().is_terminal()
        && !io::stderr().is_terminal()
}
