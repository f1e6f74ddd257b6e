//! Process groups that a run started: finding and ending those whose driver died.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable in which the children of a run have the token of its driver.
pub const TOKEN_VARIABLE: &str = "DHENARA_SESSION";

/// When a process was started, in clock ticks since boot, from `/proc/PID/stat`; `None` where the system does not say.
#[must_use]
pub fn process_start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold spaces; the start time is the 22nd.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends a process group of a run whose driver died, if it is still the one that was recorded; else says why it was left.
pub(crate) fn end_group(pgid: u32, start_time: Option<u64>, token: &str) -> Option<String> {
    let start_time = start_time.unwrap_or(0);
    if !has_members(pgid, start_time) {
        return None;
    }
    if !has_token(pgid, token) {
        return Some("none of its processes has the token of the run in its environment".to_owned());
    }
    kill_group(pgid);
    wait_for_end(pgid, start_time);
    None
}

/// Whether the environment of a process of a group holds the token of a run.
fn has_token(pgid: u32, token: &str) -> bool {
    let wanted = format!("{TOKEN_VARIABLE}={token}");
    let has_it = |environment: Vec<u8>| {
        environment
            .split(|b| *b == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let mut members = processes().filter(|process| is_member(process, pgid, 0));
    members.any(|process| std::fs::read(process.join("environ")).is_ok_and(has_it))
}

/// Waits until nothing of a group that was killed executes any more, which takes a moment.
fn wait_for_end(pgid: u32, start_time: u64) {
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..TRIES {
        if !has_members(pgid, start_time) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a process group has processes that execute and were started no sooner than its first.
fn has_members(pgid: u32, start_time: u64) -> bool {
    processes().any(|process| is_member(&process, pgid, start_time))
}

/// The processes of this machine, as directories of `/proc`.
fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Whether a process executes, belongs to a group, and was started no sooner than that.
fn is_member(process: &Path, pgid: u32, start_time: u64) -> bool {
    let is_member = |stat: &str| {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        // One that has ended and waits for its parent executes nothing.
        let executes = !matches!(fields.next()?, "Z" | "X");
        let group: u32 = fields.nth(1)?.parse().ok()?;
        let started: u64 = fields.nth(16)?.parse().ok()?;
        Some(executes && group == pgid && started >= start_time)
    };
    let stat = std::fs::read_to_string(process.join("stat"));
    stat.is_ok_and(|stat| is_member(&stat) == Some(true))
}

/// Whether there may be a process of that number; where the system does not say, there may.
#[cfg(unix)]
pub(crate) fn may_be_alive(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // A process of another user is alive as well.
    pid.is_none_or(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether there may be a process of that number; where the system does not say, there may.
#[cfg(not(unix))]
pub(crate) fn may_be_alive(_: u32) -> bool {
    true
}

/// Whether a process group is the one of this process.
#[cfg(unix)]
pub(crate) fn is_own_group(pgid: u32) -> bool {
    let own = rustix::process::getpgrp().as_raw_nonzero().get();
    u32::try_from(own) == Ok(pgid)
}

/// Whether a process group is the one of this process.
#[cfg(not(unix))]
pub(crate) fn is_own_group(_: u32) -> bool {
    false
}

#[cfg(unix)]
fn kill_group(pgid: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let pid = i32::try_from(pgid).ok().and_then(Pid::from_raw);
    // kill(2) takes 1 for every process there is.
    if let Some(pid) = pid.filter(|pid| !pid.is_init()) {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}
