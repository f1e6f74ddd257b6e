//! Signals to the processes of a command.

/// The signal that ended a program.
#[cfg(unix)]
pub(super) fn signal_of(status: std::process::ExitStatus) -> Option<&'static str> {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal as Number;
    let name = match Number::from_named_raw(status.signal()?)? {
        Number::ABORT => "SIGABRT",
        Number::BUS => "SIGBUS",
        Number::FPE => "SIGFPE",
        Number::HUP => "SIGHUP",
        Number::ILL => "SIGILL",
        Number::INT => "SIGINT",
        Number::KILL => "SIGKILL",
        Number::PIPE => "SIGPIPE",
        Number::SEGV => "SIGSEGV",
        Number::TERM => "SIGTERM",
        Number::XCPU => "SIGXCPU, the limit of `cpu_seconds`",
        Number::XFSZ => "SIGXFSZ, the limit of `file_size_mib`",
        _ => return None,
    };
    Some(name)
}

#[cfg(not(unix))]
pub(super) fn signal_of(_: std::process::ExitStatus) -> Option<&'static str> {
    None
}

#[derive(Clone, Copy)]
pub(super) enum Signal {
    Terminate,
    Kill,
}

#[cfg(unix)]
impl Signal {
    pub(super) const fn number(self) -> rustix::process::Signal {
        match self {
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Kill => rustix::process::Signal::KILL,
        }
    }
}

#[cfg(unix)]
pub(super) fn signal_group(group: Option<u32>, signal: Signal) {
    use rustix::process::{Pid, kill_process_group};
    let pid = group
        .and_then(|group| i32::try_from(group).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(pid, signal.number());
    }
}

#[cfg(not(unix))]
pub(super) fn signal_group(_: Option<u32>, _: Signal) {}

#[cfg(unix)]
pub(super) fn signal(pid: u32, signal: Signal) {
    use rustix::process::{Pid, kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|pid| !pid.is_init()) {
        // One that is gone already is what was wanted.
        let _ = kill_process(pid, signal.number());
    }
}

#[cfg(not(unix))]
pub(super) fn signal(_: u32, _: Signal) {}

/// Whether there are processes in a group, perhaps only such that have ended.
#[cfg(unix)]
pub(super) fn has_members(group: Option<u32>) -> bool {
    use rustix::process::{Pid, test_kill_process_group};
    let pid = group
        .and_then(|group| i32::try_from(group).ok())
        .and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process_group(pid).is_ok())
}

#[cfg(not(unix))]
pub(super) fn has_members(_: Option<u32>) -> bool {
    false
}
