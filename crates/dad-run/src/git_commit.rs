//! The commit that a working tree is at, read from git's files without starting a program. What stands there may be hostile:
//! only regular files of bounded length are read, and no name leads out of git's directory.

use std::path::Path;

use dad_fs::Dir;

/// The longest `HEAD`, link or reference, in bytes.
const LONGEST: u64 = 4096;

/// The longest list of packed references, in bytes.
const LONGEST_LIST: u64 = 64 << 20;

/// The longest chain of references.
const MOST_LINKS: usize = 5;

/// The directory in which git keeps what all working trees of a repository share, such as `info/exclude`; `None` if a
/// directory is not the top of a working tree.
#[must_use]
pub fn git_common_dir(top: &Path) -> Option<Dir> {
    GitDir::of(top).map(|git| git.shared)
}

/// The directory in which git keeps the files of one working tree.
struct GitDir {
    /// `HEAD` is here.
    own: Dir,
    /// References are here: of a linked working tree in the repository it belongs to.
    shared: Dir,
}

/// The commit of the working tree that a directory lies in: a repository, a linked working tree or a submodule.
pub(crate) fn git_commit(project: &Path) -> Option<String> {
    let git = project.ancestors().find_map(GitDir::of)?;
    let text = |dir: &Dir, name: &str| Some(read(dir, name, LONGEST)?.trim().to_owned());
    let mut found = text(&git.own, "HEAD")?;
    for _ in 0..MOST_LINKS {
        let Some(name) = found.strip_prefix("ref:").map(str::trim) else {
            let is_commit = [40, 64].contains(&found.len()) && found.bytes().all(|b| b.is_ascii_hexdigit());
            return is_commit.then_some(found);
        };
        // A reference of the working tree alone, such as that of a bisection, is beside its `HEAD`.
        if !is_reference(name) {
            return None;
        }
        let loose = text(&git.own, name).or_else(|| text(&git.shared, name));
        found = loose.or_else(|| git.packed(name))?;
    }
    None
}

fn is_reference(name: &str) -> bool {
    name.starts_with("refs/") && name.split('/').all(|part| !["", ".", ".."].contains(&part))
}

impl GitDir {
    /// The one of a directory that is the top of a working tree.
    fn of(top: &Path) -> Option<Self> {
        let git = top.join(".git");
        let path = if git.is_dir() {
            git
        } else {
            let link = read(&Dir::open(top).ok()?, ".git", LONGEST)?;
            top.join(link.trim().strip_prefix("gitdir:")?.trim())
        };
        let own = Dir::open(&path).ok()?;
        own.kind("HEAD").ok()??;
        let shared = match read(&own, "commondir", LONGEST) {
            Some(common) => Dir::open(path.join(common.trim())).ok()?,
            None => own.clone(),
        };
        Some(Self { own, shared })
    }

    fn packed(&self, name: &str) -> Option<String> {
        let packed = read(&self.shared, "packed-refs", LONGEST_LIST)?;
        let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(_, found)| *found == name)
            .map(|(commit, _)| commit.to_owned())
    }
}

fn read(dir: &Dir, name: &str, longest: u64) -> Option<String> {
    String::from_utf8(dir.read_regular_inside(name, longest).ok()?).ok()
}
