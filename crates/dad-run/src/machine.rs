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
