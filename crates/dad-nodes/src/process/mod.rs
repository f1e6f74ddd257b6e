//! Programs as child processes: each in a session of its own, recorded before it begins, ended with all that it started.

mod capture;
mod members;
mod signal;
mod spawn;
mod terminal;

use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use dad_core::ErrorInfo;
use dad_run::process_start_time;
use dad_runner::{Guard, NodeContext, NodeError, look};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use self::members::{MAX_SHOWN, Member, inside, left_of, members_of, stopped};
use capture::Capture;
pub(crate) use capture::{Logs, OUTPUT_TOO_LONG};
use signal::{Signal, has_members, signal, signal_group, signal_of};
pub(crate) use spawn::Program;
use spawn::{BEGIN, Spawned, spawn};

/// Time between asking a process group to end and ending it.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// Time for what was printed to arrive, after the program has ended.
const DRAIN: Duration = Duration::from_millis(300);

/// Time between two looks at whether processes have ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The end of a program.
pub(crate) struct Finished {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The name of the signal that ended it.
    pub(crate) signal: Option<&'static str>,
    pub(crate) stdout: String,
    /// The number of its bytes in the log.
    pub(crate) stdout_len: u64,
    pub(crate) stderr: String,
    pub(crate) timed_out: bool,
    /// Whether a signal had stopped it at its time limit.
    pub(crate) is_stopped: bool,
    /// Whether it was ended because it printed too much.
    pub(crate) is_cut: bool,
    /// Whether a process that left the group still holds its output, of which nothing more is read.
    pub(crate) abandoned: bool,
    /// The processes that it left running in its session, and the signal that ended them.
    pub(crate) ended: Vec<Ended>,
    /// The processes that left its session and still run.
    pub(crate) left_running: Vec<Member>,
}

impl Finished {
    /// Why it counts as failed, where these exit codes beside 0 are allowed.
    pub(crate) fn failure(&self, allowed: &[i32]) -> Option<ErrorInfo> {
        let (code, message) = match (self.code, self.signal) {
            _ if self.is_cut => (OUTPUT_TOO_LONG, "it printed too much and was ended".to_owned()),
            _ if self.timed_out => (
                "command_timed_out",
                "it did not end within its time limit".to_owned(),
            ),
            (Some(code), _) if code == 0 || allowed.contains(&code) => return None,
            (Some(code), _) => ("command_failed", format!("it ended with exit code {code}")),
            (None, signal) => (
                "command_failed",
                format!("it was ended by {}", signal.unwrap_or("a signal")),
            ),
        };
        Some(ErrorInfo::new(code, message))
    }
}

/// A process that a program left running and that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    pub(crate) command: String,
    pub(crate) by: &'static str,
}

/// The end of a program as it is watched from outside.
#[derive(Default)]
struct Watched {
    timed_out: bool,
    is_stopped: bool,
    is_cut: bool,
    abandoned: bool,
    ended: Vec<Ended>,
}

impl Watched {
    /// Whether the program ended by itself, with all of its output.
    const fn is_whole(&self) -> bool {
        !self.timed_out && !self.is_cut && !self.abandoned
    }

    /// Waits for the end of the program and of its output, `io`, or brings it about: on timeout, cancellation, and too much
    /// output. The processes that it left behind are ended as well.
    async fn status<F: Future<Output = Result<(), NodeError>>>(
        &mut self,
        program: &Program<'_>,
        child: &mut Child,
        group: &Group,
        io: &mut Pin<&mut F>,
        cx: &NodeContext,
    ) -> Result<io::Result<ExitStatus>, NodeError> {
        let mut limit = std::pin::pin!(tokio::time::sleep(program.timeout));
        let mut drained = false;
        let over = loop {
            tokio::select! {
                status = child.wait() => break Some(status),
                result = &mut *io, if !drained => {
                    drained = true;
                    match result {
                        Err(error) if error.info.code == OUTPUT_TOO_LONG => {
                            self.is_cut = true;
                            break None;
                        }
                        result => result?,
                    }
                }
                () = &mut limit => {
                    self.timed_out = true;
                    self.is_stopped = !group.look_at(stopped).await.is_empty();
                    break None;
                }
                () = cx.cancelled() => break None,
            }
        };
        let is_its_own = over.is_some();
        let status = match over {
            Some(status) => status,
            None => group.end(child, io, &mut drained).await?,
        };
        // The program's own output is there already; a longer wait is only for the processes that it left behind.
        if !drained {
            drained = within(DRAIN, io).await?;
        }
        let left = group.end_leftovers().await;
        // A program that was ended itself says why in its failure.
        if is_its_own {
            self.ended = left;
        }
        if !drained {
            self.abandoned = !within(DRAIN, io).await?;
        }
        Ok(status)
    }
}

/// Runs a program in a session and process group of its own, which is ended as a whole: on timeout and cancellation, and when
/// the program has ended, because what it leaves behind would keep its output open. Only a process that left the session
/// (`setsid`) runs on. It has no terminal, or one of its own, so that it does not wait for the user of the run.
pub(crate) async fn run(
    program: &Program<'_>,
    logs: &mut Logs,
    cx: &NodeContext,
) -> Result<Finished, NodeError> {
    logs.end_lines()?;
    let Spawned { mut child, out, err } = spawn(program, cx.run().process_token())?;
    let group = Group {
        id: child.id(),
        guard: Some(cx.guard()),
        is_sandboxed: program.ends_with_thread,
    };
    if let Some(pgid) = group.id {
        cx.process_started(pgid, process_start_time(pgid))?;
    }
    let stdin = release(child.stdin.take(), program).await;
    let longest = program.longest_output;
    let mut out = Capture::new(out, &mut logs.stdout, longest, cx.run().secrets());
    let mut err = Capture::new(err, &mut logs.stderr, longest, cx.run().secrets());
    let mut watched = Watched::default();
    let status = {
        let io = async { tokio::try_join!(feed(stdin, program.stdin), out.read(), err.read()).map(drop) };
        let mut io = std::pin::pin!(io);
        watched.status(program, &mut child, &group, &mut io, cx).await?
    };
    let status = status.map_err(|error| NodeError::from_error("command", &error))?;
    // What was ended from outside may have been in the midst of a word.
    let whole = status.code().is_some() && watched.is_whole() && !cx.is_cancelled();
    let (stdout, stdout_len) = out.finish(whole)?;
    let stderr = err.finish(whole)?.0;
    let is_open = |text: &String| !text.is_empty() && !text.ends_with('\n');
    logs.has_open_line = [is_open(&stdout), is_open(&stderr)];
    Ok(Finished {
        code: status.code(),
        signal: signal_of(status),
        stdout,
        stdout_len,
        stderr,
        timed_out: watched.timed_out,
        is_stopped: watched.is_stopped,
        is_cut: watched.is_cut,
        abandoned: watched.abandoned,
        ended: watched.ended,
        left_running: group.left_running(cx.run().process_token()).await,
    })
}

/// Whether a io comes to its end in time.
async fn within(
    time: Duration,
    io: &mut (impl Future<Output = Result<(), NodeError>> + Unpin),
) -> Result<bool, NodeError> {
    match tokio::time::timeout(time, io).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// A process group. It is ended when this is dropped, and its step is not over before.
struct Group {
    id: Option<u32>,
    guard: Option<Guard>,
    /// Whether it holds a sandbox, with which everything in it ends.
    is_sandboxed: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        signal_group(self.id, Signal::Kill);
        let (id, guard) = (self.id, self.guard.take());
        if has_members(id)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Killed is not gone yet: what it has open is still being closed.
            runtime.spawn(async move {
                gone(id).await;
                drop(guard);
            });
        }
    }
}

/// Waits until a process group has no members, but no longer than they may take to end.
async fn gone(group: Option<u32>) {
    let since = tokio::time::Instant::now();
    while has_members(group) && since.elapsed() < DRAIN {
        tokio::time::sleep(PAUSE).await;
    }
}

impl Group {
    /// Asks every process of the group to end, and after a while ends those that did not. Reads on meanwhile: a program
    /// that writes its last words must not wait for that.
    async fn end(
        &self,
        child: &mut Child,
        io: &mut (impl Future<Output = Result<(), NodeError>> + Unpin),
        drained: &mut bool,
    ) -> Result<io::Result<ExitStatus>, NodeError> {
        self.ask_to_end().await;
        let mut grace = std::pin::pin!(tokio::time::sleep(TERM_GRACE));
        let mut is_over = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    // Grandchildren that ignored the request are still in the group.
                    signal_group(self.id, Signal::Kill);
                    return Ok(status);
                }
                talked = &mut *io, if !*drained => {
                    *drained = true;
                    talked?;
                }
                () = &mut grace, if !is_over => {
                    is_over = true;
                    signal_group(self.id, Signal::Kill);
                    // Where there are no groups, at least the child itself ends.
                    let _ = child.start_kill();
                }
            }
        }
    }

    /// Asks every process to end; in a sandbox those in it, because it would end them all at once.
    async fn ask_to_end(&self) {
        let group = self.id.filter(|_| self.is_sandboxed);
        let inside = look(move |_| Ok(group.map(inside).unwrap_or_default()));
        let inside = inside.await.unwrap_or_default();
        if inside.is_empty() {
            signal_group(self.id, Signal::Terminate);
        } else {
            inside.into_iter().for_each(|pid| signal(pid, Signal::Terminate));
        }
    }

    /// Ends what a program that has ended left running in its session, and says what that was.
    async fn end_leftovers(&self) -> Vec<Ended> {
        let left = self.look_at(members_of).await;
        if left.is_empty() && !has_members(self.id) {
            return Vec::new();
        }
        signal_group(self.id, Signal::Terminate);
        // A shell gives each of its jobs a group, if it has a terminal.
        left.iter()
            .for_each(|member| signal(member.pid, Signal::Terminate));
        let since = tokio::time::Instant::now();
        let mut still = left.clone();
        while (has_members(self.id) || !still.is_empty()) && since.elapsed() < DRAIN {
            tokio::time::sleep(PAUSE).await;
            still = self.look_at(members_of).await;
        }
        signal_group(self.id, Signal::Kill);
        still.iter().for_each(|member| signal(member.pid, Signal::Kill));
        let ended = left.into_iter().map(|member| Ended {
            by: if still.iter().any(|other| other.pid == member.pid) {
                "SIGKILL"
            } else {
                "SIGTERM"
            },
            command: member.command,
        });
        ended.take(MAX_SHOWN).collect()
    }

    /// The processes that the program started, that left the session, and still run.
    async fn left_running(&self, token: &str) -> Vec<Member> {
        let token = token.to_owned();
        self.look_at(move |gate| left_of(gate, &token)).await
    }

    /// Looks at the processes of this machine, which only Linux shows.
    async fn look_at(&self, at: impl FnOnce(u32) -> Vec<Member> + Send + 'static) -> Vec<Member> {
        let Some(group) = self.id.filter(|_| cfg!(target_os = "linux")) else {
            return Vec::new();
        };
        look(move |_| Ok(at(group))).await.unwrap_or_default()
    }
}

/// Lets a program begin; its input comes behind that.
async fn release(mut stdin: Option<ChildStdin>, program: &Program<'_>) -> Option<ChildStdin> {
    if cfg!(unix)
        && let Some(pipe) = &mut stdin
    {
        // If it is gone already, its end says so.
        let _ = pipe.write_all(format!("{BEGIN}\n").as_bytes()).await;
    }
    stdin.filter(|_| program.stdin.is_some())
}

async fn feed(stdin: Option<ChildStdin>, text: Option<&str>) -> Result<(), NodeError> {
    if let (Some(mut pipe), Some(text)) = (stdin, text) {
        // A program that does not read its input closes the pipe, which is its own business.
        let _ = pipe.write_all(text.as_bytes()).await;
    }
    Ok(())
}
