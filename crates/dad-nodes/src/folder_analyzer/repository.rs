//! Facts that git knows of a repository beside the patterns in its tree: those private to it and to its user, and the files
//! it tracks.
//!
//! The files are found by `gitdir:` and `commondir`, without git. Its configuration and its index are asked of git itself, so
//! that they mean what they mean to git: with the options of every call nothing in the repository is executed, nothing is
//! fetched, and a call that takes too long is ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dad_fs::Dir;
use dad_run::internal::git_common_dir;
use dad_runner::Stop;
use gix_ignore::glob::pattern::Case;

use super::patterns::Patterns;
use crate::git_call::{ALWAYS, set_environment};

/// Longest file of patterns that is read.
const MAX_PATTERNS: u64 = 1 << 20;

/// Most bytes that one call of git may print: the names of some millions of files.
const MAX_PRINTED: u64 = 512 << 20;

/// The longest time of one call of git.
const LONGEST_CALL: Duration = Duration::from_secs(20);

/// The pause between two looks at whether a call has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The file in which git looks for patterns of the user if their configuration names none.
const USUAL_EXCLUDES: &str = "git/ignore";

/// A working tree, and what git says of it once it was asked.
pub(super) struct Repository {
    top: PathBuf,
    known: Option<Known>,
    tracked: Option<Tracked>,
}

#[derive(Default)]
struct Known {
    excludes: Vec<Patterns>,
    case: Case,
    /// Whether git could not be asked, so that it is not asked again.
    is_mute: bool,
}

/// The paths in an index.
#[derive(Default)]
struct Tracked(BTreeSet<Vec<u8>>);

/// Asks git, and keeps what could not be found out.
pub(super) struct Asking<'a> {
    pub(super) stop: &'a Stop,
    pub(super) problems: &'a mut Vec<String>,
}

impl Repository {
    /// The working tree whose top a directory is, if git would take it for one.
    pub(super) fn at(top: &Path) -> Option<Self> {
        git_common_dir(top)?;
        Some(Self {
            top: top.to_path_buf(),
            known: None,
            tracked: None,
        })
    }

    /// Patterns that are private to the repository or its user, the first before the others.
    pub(super) fn excludes(&self) -> &[Patterns] {
        self.known.as_ref().map_or(&[], |known| &known.excludes)
    }

    /// The comparison of names with patterns.
    pub(super) fn case(&self) -> Case {
        self.known.as_ref().map(|known| known.case).unwrap_or_default()
    }

    /// Finds out what is private, once.
    pub(super) fn learn(&mut self, asking: &mut Asking<'_>) {
        if self.known.is_none() {
            self.known = Some(self.learnt(asking));
        }
    }

    fn learnt(&self, asking: &mut Asking<'_>) -> Known {
        let mut known = Known::default();
        let Some(common) = git_common_dir(&self.top) else {
            return known;
        };
        let private = common.path().join("info/exclude");
        known
            .excludes
            .extend(asking.patterns(&common, "info/exclude", &self.top, &private));
        let printed = asking.git(&self.top, &CONFIGURATION, &[1]);
        known.is_mute = printed.is_none();
        let configured = Configured::of(printed.unwrap_or_default());
        known.case = if configured.ignores_case {
            Case::Fold
        } else {
            Case::Sensitive
        };
        if let Some(file) = self.user_excludes(configured, &common, asking) {
            known.excludes.extend(asking.patterns_of_user(&file, &self.top));
        }
        known
    }

    /// The file of patterns that the configuration names, else the usual one. A repository is no user: it names only what lies
    /// in it, or its patterns would reveal the content of files elsewhere.
    fn user_excludes(
        &self,
        configured: Configured,
        common: &Dir,
        asking: &mut Asking<'_>,
    ) -> Option<PathBuf> {
        let Some((file, is_of_user)) = configured.excludes_file else {
            return usual_excludes();
        };
        let file = self.top.join(file);
        let is_inside = || {
            let real = file.canonicalize().ok()?;
            let around = [&*self.top, common.path()].map(Path::canonicalize);
            Some(around.iter().flatten().any(|around| real.starts_with(around)))
        };
        if is_of_user || is_inside().unwrap_or(false) {
            return Some(file);
        }
        if file.exists() {
            let message = format!(
                "the rules in `{}` do not count: `core.excludesFile` of the repository itself may only name a file in it",
                file.display()
            );
            asking.problems.push(message);
        }
        None
    }

    /// Whether git tracks a file, or something in a directory.
    pub(super) fn tracks(&mut self, path: &Path, is_dir: bool, asking: &mut Asking<'_>) -> bool {
        let Ok(below) = path.strip_prefix(&self.top) else {
            return false;
        };
        let is_mute = self.known.as_ref().is_some_and(|known| known.is_mute);
        let case = self.case();
        let name = Tracked::name(below.as_os_str().as_encoded_bytes(), case);
        let tracked = self.tracked.get_or_insert_with(|| {
            let printed = if is_mute {
                None
            } else {
                asking.git(&self.top, &INDEX, &[])
            };
            Tracked::of(&printed.unwrap_or_default(), case)
        });
        tracked.has(&name, is_dir)
    }
}

/// The settings of git that matter here, each with whose it is.
const CONFIGURATION: [&str; 7] = [
    "config",
    "--null",
    "--show-scope",
    "--includes",
    "--type=path",
    "--get-regexp",
    r"^core\.(excludesfile|ignorecase)$",
];

/// The paths in the index. A directory that is not checked out stays one, so that nothing has to be read or fetched.
const INDEX: [&str; 4] = ["ls-files", "--cached", "--sparse", "-z"];

/// The configuration.
#[derive(Debug, Default, PartialEq)]
struct Configured {
    ignores_case: bool,
    /// The file, and whether the user said so and not the repository.
    excludes_file: Option<(String, bool)>,
}

impl Configured {
    /// Of what git prints: the scope, and behind a NUL the key with its value in the next line. The last one counts.
    fn of(printed: Vec<u8>) -> Self {
        let printed = String::from_utf8(printed).unwrap_or_default();
        let mut parts = printed.split('\0');
        let mut configured = Self::default();
        while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
            // A key without a value is true.
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            match key {
                "core.excludesfile" => {
                    let is_of_user = matches!(scope, "global" | "system");
                    configured.excludes_file = Some((value.to_owned(), is_of_user));
                }
                _ => {
                    configured.ignores_case = ["true", "yes", "on", "1"]
                        .iter()
                        .any(|word| value.eq_ignore_ascii_case(word));
                }
            }
        }
        configured
    }
}

/// The file of patterns of a user who configured none, as git finds it.
fn usual_excludes() -> Option<PathBuf> {
    let dir = |name: &str| {
        Some(PathBuf::from(
            std::env::var_os(name).filter(|dir| !dir.is_empty())?,
        ))
    };
    let configuration = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")));
    Some(configuration?.join(USUAL_EXCLUDES))
}

impl Tracked {
    fn of(printed: &[u8], case: Case) -> Self {
        let names = printed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Self(names.map(|name| Self::name(name, case)).collect())
    }

    fn name(name: &[u8], case: Case) -> Vec<u8> {
        match case {
            Case::Fold => name.to_ascii_lowercase(),
            Case::Sensitive => name.to_vec(),
        }
    }

    fn has(&self, name: &[u8], is_dir: bool) -> bool {
        // A directory by itself is a submodule.
        let is_inside = || {
            let inside = [name, b"/"].concat();
            let next = self.0.range(inside.clone()..).next();
            next.is_some_and(|next| next.starts_with(&inside))
        };
        self.0.contains(name) || (is_dir && is_inside())
    }
}

impl Asking<'_> {
    /// The patterns of a file in `dir`, which lies at `path`, for what is below `root`.
    pub(super) fn patterns(
        &mut self,
        dir: &Dir,
        name: impl AsRef<Path>,
        root: &Path,
        path: &Path,
    ) -> Option<Patterns> {
        let read = dir.open_regular(name).map_err(|error| error.source);
        let text = match read {
            Ok(Some((file, _))) => whole(file),
            Ok(None) => Err("it is not a regular file".to_owned()),
            Err(error) if is_absent(&error) => return None,
            Err(error) => Err(error.to_string()),
        };
        self.parsed(text, root, path)
    }

    /// The patterns of a file of the user, who may have put a link in its place.
    fn patterns_of_user(&mut self, file: &Path, root: &Path) -> Option<Patterns> {
        let real = file.canonicalize().ok()?;
        let dir = Dir::open(real.parent()?).ok()?;
        let name = real.file_name()?;
        self.patterns(&dir, name, root, file)
    }

    fn parsed(&mut self, text: Result<Vec<u8>, String>, root: &Path, path: &Path) -> Option<Patterns> {
        match text {
            Ok(text) => Patterns::of_file(root, path, &text),
            Err(reason) => {
                let message = format!("the rules in `{}` do not count: {reason}", path.display());
                self.problems.push(message);
                None
            }
        }
    }

    /// The output of git in a working tree; some exit codes besides 0 are no failure. Where it cannot be asked, the result
    /// says so, and the patterns in the tree decide alone.
    fn git(&mut self, top: &Path, arguments: &[&str], allowed: &[i32]) -> Option<Vec<u8>> {
        match self.asked(top, arguments, allowed) {
            Ok(printed) => Some(printed),
            Err(reason) => {
                let message = format!(
                    "`git {}` cannot be asked in `{}`: {reason}; files that it tracks are left out where a rule fits \
                     them, and rules of its user do not count",
                    arguments[0],
                    top.display()
                );
                self.problems.push(message);
                None
            }
        }
    }

    fn asked(&self, top: &Path, arguments: &[&str], allowed: &[i32]) -> Result<Vec<u8>, String> {
        let mut command = Command::new("git");
        command
            .args(ALWAYS)
            .args(arguments)
            .current_dir(top)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        set_environment(&mut command);
        command.env("GIT_NO_LAZY_FETCH", "1");
        let child = command.spawn().map_err(|error| error.to_string())?;
        let Output {
            status,
            stdout,
            stderr,
        } = self.ended(child)?;
        match status.code() {
            Some(code) if code == 0 || allowed.contains(&code) => Ok(stdout),
            _ => {
                let said = String::from_utf8_lossy(&stderr);
                let said = said.lines().next().unwrap_or("it failed");
                // What only looks like a repository tracks nothing.
                if said.contains("not a git repository") {
                    Ok(Vec::new())
                } else {
                    Err(said.to_owned())
                }
            }
        }
    }

    /// Waits until a call has ended, or ends it.
    fn ended(&self, mut child: Child) -> Result<Output, String> {
        let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let began = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if began.elapsed() > LONGEST_CALL => break Err("it takes too long"),
                Ok(None) if self.stop.is_set() => break Err("it was stopped"),
                Ok(None) => std::thread::sleep(LOOK_AGAIN),
                Err(_) => break Err("its end cannot be waited for"),
            }
        };
        let status = status.map_err(|reason| {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            reason.to_owned()
        })?;
        let read = |reader: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| match reader.join() {
            Ok(Ok(read)) if (read.len() as u64) < MAX_PRINTED => Ok(read),
            _ => Err("what it prints cannot be read".to_owned()),
        };
        Ok(Output {
            status,
            stdout: read(out)?,
            stderr: read(err)?,
        })
    }
}

/// Reads what a program prints, beside it, so that it never waits for its reader.
fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut read = Vec::new();
        if let Some(stream) = stream {
            stream.take(MAX_PRINTED).read_to_end(&mut read)?;
        }
        Ok(read)
    })
}

fn whole(file: File) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    file.take(MAX_PATTERNS + 1)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_PATTERNS {
        Err("it has more than 1 MiB".to_owned())
    } else {
        Ok(text)
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_configuration_counts_with_whose_it_is() {
        let printed =
            "global\0core.excludesfile\n/home/u/x\0local\0core.ignorecase\0local\0core.excludesfile\n../x\0";
        let configured = Configured::of(printed.as_bytes().to_vec());
        let wanted = Configured {
            ignores_case: true,
            excludes_file: Some(("../x".to_owned(), false)),
        };
        assert_eq!(configured, wanted);
        assert_eq!(Configured::of(Vec::new()), Configured::default());
    }

    #[test]
    fn a_directory_is_tracked_if_something_in_it_is() {
        let tracked = Tracked::of(b"a-b\0a/b/c\0sub\0", Case::Sensitive);
        assert!(tracked.has(b"a", true) && tracked.has(b"a/b", true) && tracked.has(b"a/b/c", false));
        assert!(tracked.has(b"sub", true), "a submodule");
        assert!(!tracked.has(b"a", false) && !tracked.has(b"a/", true) && !tracked.has(b"a/b/c/d", true));
        assert!(Tracked::of(b"A/B\0", Case::Fold).has(b"a/b", false));
    }
}
