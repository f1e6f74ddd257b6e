use std::path::Path;

/// The name of this machine.
pub(crate) fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// What tells this boot of the machine from others, where the system says it.
pub(crate) fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// When a process was started, in clock ticks since boot, from `/proc/PID/stat`; `None` where the system does not say.
#[must_use]
pub fn process_start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold spaces; the start time is the 22nd.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends a process group of a run whose process died, if it is still the one that was recorded.
pub(crate) fn end_group(pgid: u32, start_time: Option<u64>) {
    // Without a start time it cannot be told from a group that was given the same number later.
    if start_time.is_some() && process_start_time(pgid) == start_time {
        kill_group(pgid);
    }
}

/// Whether there may be a process of that number; where the system does not say, there may.
#[cfg(unix)]
pub(crate) fn may_be_alive(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // One that belongs to somebody else is alive as well.
    pid.is_none_or(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether there may be a process of that number; where the system does not say, there may.
#[cfg(not(unix))]
pub(crate) fn may_be_alive(_: u32) -> bool {
    true
}

#[cfg(unix)]
fn kill_group(pgid: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let pid = i32::try_from(pgid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}

/// Whether a directory is certainly on a disk of this machine, where a file lock is known to hold.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_known_local(dir: &Path) -> bool {
    /// Magic numbers of statfs(2): ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs, squashfs, ramfs.
    const LOCAL: [u32; 10] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0x0102_1994,
        0x794C_7630,
        0xF2F5_2010,
        0x2FC1_2FC1,
        0xCA45_1A4E,
        0x7371_7368,
        0x8584_58F6,
    ];
    let magic = |stat: rustix::fs::StatFs| u32::try_from(stat.f_type).ok();
    rustix::fs::statfs(dir)
        .ok()
        .and_then(magic)
        .is_some_and(|magic| LOCAL.contains(&magic))
}

/// Whether a directory is certainly on a disk of this machine, where a file lock is known to hold.
#[cfg(target_vendor = "apple")]
pub(crate) fn is_known_local(dir: &Path) -> bool {
    /// `MNT_LOCAL` of statfs(2).
    const LOCAL: u32 = 0x1000;
    rustix::fs::statfs(dir).is_ok_and(|stat| stat.f_flags & LOCAL != 0)
}

/// Whether a directory is certainly on a disk of this machine; elsewhere nobody says so.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn is_known_local(_: &Path) -> bool {
    false
}

/// The commit a working tree is at, read from its `.git` without starting a program.
pub(crate) fn git_commit(project: &Path) -> Option<String> {
    let git = project
        .ancestors()
        .map(|dir| dir.join(".git"))
        .find(|git| git.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let head = head.trim();
    let commit = match head.strip_prefix("ref: ") {
        None => head.to_owned(),
        Some(name) => loose_ref(&git, name).or_else(|| packed_ref(&git, name))?,
    };
    (commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit())).then_some(commit)
}

fn loose_ref(git: &Path, name: &str) -> Option<String> {
    Some(std::fs::read_to_string(git.join(name)).ok()?.trim().to_owned())
}

fn packed_ref(git: &Path, name: &str) -> Option<String> {
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let line = packed
        .lines()
        .find(|line| line.split_once(' ').is_some_and(|(_, n)| n == name))?;
    line.split_once(' ').map(|(commit, _)| commit.to_owned())
}
