//! What is left out of a walk.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::Path;

use dad_fs::{Dir, EntryKind};
use dad_run::git_common_dir;
use dad_runner::NodeError;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::FolderAnalysisOperation;
use super::place::{Ground, is_git};

/// Longest file of patterns that is read.
const MAX_PATTERNS: u64 = 1 << 20;

/// The rules of one operation, and those of the directories on the way to where the walk is.
pub(super) struct Rules {
    hidden: bool,
    respect: bool,
    excludes: Option<Gitignore>,
    additional: Vec<Gitignore>,
    /// The outermost first.
    levels: Vec<Level>,
    /// Rules that could not be read.
    pub(super) problems: Vec<String>,
}

/// What the files in one directory say.
#[derive(Default)]
struct Level {
    ignore: Option<Gitignore>,
    git: Option<Gitignore>,
    exclude: Option<Gitignore>,
    is_repository: bool,
}

impl Rules {
    /// The rules for a walk that begins at `start`.
    pub(super) fn new(
        ground: &Ground,
        start: &Path,
        operation: &FolderAnalysisOperation,
    ) -> Result<Self, NodeError> {
        let respect = operation.respect_gitignore.unwrap_or(true);
        let mut rules = Self {
            hidden: operation.include_hidden.unwrap_or(false),
            respect,
            excludes: excludes(start, &operation.exclude_patterns)?,
            additional: Vec::new(),
            levels: Vec::new(),
            problems: Vec::new(),
        };
        if respect {
            for path in &operation.additional_gitignore_paths {
                rules.add_additional(ground, start, path)?;
            }
            let mut around: Vec<&Path> = start.ancestors().skip(1).collect();
            around.reverse();
            for dir in around {
                rules.add_around(dir);
            }
        }
        Ok(rules)
    }

    fn add_additional(&mut self, ground: &Ground, start: &Path, path: &str) -> Result<(), NodeError> {
        let wrong = |reason: String| {
            let message = format!("`{path}` of `additional_gitignore_paths` cannot be read: {reason}");
            NodeError::new("additional_gitignore_paths", message).permanent()
        };
        let place = ground.place(path)?;
        let (dir, name) = place.parent()?;
        let text = read(&dir, name).map_err(|error| wrong(error.to_string()))?;
        let own = place.path.parent().unwrap_or(&place.path);
        let root = if start.starts_with(own) { own } else { &ground.base };
        let matcher = self.parse(root, &place.path, &text);
        self.additional.extend(matcher);
        Ok(())
    }

    fn add_around(&mut self, path: &Path) {
        let level = Dir::open(path).map(|dir| self.level(&dir, path, |_| true));
        // A directory around that may not be looked into says nothing.
        self.levels.push(level.unwrap_or_default());
    }

    /// Takes the rules of a directory that the walk goes into.
    pub(super) fn enter(&mut self, dir: &Dir, path: &Path, names: &[(OsString, EntryKind)]) {
        let level = if self.respect {
            self.level(dir, path, |name| {
                let found = names.binary_search_by(|(other, _)| other.as_os_str().cmp(OsStr::new(name)));
                found.is_ok()
            })
        } else {
            Level::default()
        };
        self.levels.push(level);
    }

    /// Forgets the rules of the directory that the walk went into last.
    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }

    /// Whether an entry is not to be seen.
    pub(super) fn leaves_out(&self, path: &Path, name: &OsStr, is_dir: bool) -> bool {
        if is_git(name) {
            return true;
        }
        let excluded = self.excludes.as_ref();
        if excluded.is_some_and(|excludes| excludes.matched(path, is_dir).is_ignore()) {
            return true;
        }
        match self.said(path, is_dir) {
            Match::Ignore(()) => true,
            Match::Whitelist(()) => false,
            Match::None => !self.hidden && name.as_encoded_bytes().first() == Some(&b'.'),
        }
    }

    /// What the files of patterns say: `.ignore` before `.gitignore`, the innermost first, git's only up to the repository.
    fn said(&self, path: &Path, is_dir: bool) -> Match<()> {
        let of = |matcher: &Option<Gitignore>| match matcher {
            Some(matcher) => matcher.matched(path, is_dir).map(|_| ()),
            None => Match::None,
        };
        let (mut ignore, mut git, mut exclude) = (Match::None, Match::None, Match::None);
        let mut saw_repository = false;
        for level in self.levels.iter().rev() {
            ignore = ignore.or(of(&level.ignore));
            if !saw_repository {
                git = git.or(of(&level.git));
                exclude = exclude.or(of(&level.exclude));
            }
            saw_repository |= level.is_repository;
        }
        let mut said = ignore.or(git).or(exclude);
        for matcher in &self.additional {
            said = said.or(matcher.matched(path, is_dir).map(|_| ()));
        }
        said
    }

    fn level(&mut self, dir: &Dir, path: &Path, has: impl Fn(&str) -> bool) -> Level {
        let mut level = Level {
            is_repository: has(".git") && matches!(dir.kind(".git"), Ok(Some(_))),
            ..Level::default()
        };
        if has(".ignore") {
            level.ignore = self.file(dir, path, ".ignore");
        }
        if has(".gitignore") {
            level.git = self.file(dir, path, ".gitignore");
        }
        if level.is_repository {
            level.exclude = match dir.kind(".git") {
                Ok(Some(EntryKind::Dir)) => self.file(dir, path, ".git/info/exclude"),
                // A linked working tree or a submodule.
                _ => git_common_dir(path).and_then(|git| {
                    self.file_at(&git, path, &git.path().join("info/exclude"), "info/exclude")
                }),
            };
        }
        level
    }

    fn file(&mut self, dir: &Dir, path: &Path, name: &str) -> Option<Gitignore> {
        self.file_at(dir, path, &path.join(name), name)
    }

    /// The rules of a file in `dir` for what lies below `root`.
    fn file_at(&mut self, dir: &Dir, root: &Path, file: &Path, name: &str) -> Option<Gitignore> {
        match read(dir, OsStr::new(name)) {
            Ok(text) => self.parse(root, file, &text),
            Err(error) if is_absent(&error) => None,
            Err(error) => {
                let message = format!("the rules in `{}` do not count: {error}", file.display());
                self.problems.push(message);
                None
            }
        }
    }

    fn parse(&mut self, root: &Path, file: &Path, text: &str) -> Option<Gitignore> {
        let mut builder = GitignoreBuilder::new(root);
        for line in text.trim_start_matches('\u{feff}').lines() {
            if let Err(error) = builder.add_line(Some(file.to_path_buf()), &braces_as_text(line)) {
                let message = format!("a rule in `{}` does not count: {error}", file.display());
                self.problems.push(message);
            }
        }
        let matcher = builder.build().ok()?;
        (!matcher.is_empty()).then_some(matcher)
    }
}

/// A rule whose braces stand for themselves, as git reads them; the library takes them for alternatives.
fn braces_as_text(rule: &str) -> String {
    let (mut text, mut is_escaped, mut in_class) = (String::new(), false, false);
    for c in rule.chars() {
        match c {
            _ if is_escaped => {}
            '[' => in_class = true,
            ']' => in_class = false,
            '{' | '}' if !in_class => text.push('\\'),
            _ => {}
        }
        text.push(c);
        is_escaped = c == '\\' && !is_escaped;
    }
    text
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn excludes(start: &Path, patterns: &[String]) -> Result<Option<Gitignore>, NodeError> {
    let wrong = |error: ignore::Error| NodeError::new("exclude_patterns", error.to_string()).permanent();
    let mut builder = GitignoreBuilder::new(start);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(wrong)?;
    }
    let matcher = builder.build().map_err(wrong)?;
    Ok((!matcher.is_empty()).then_some(matcher))
}

/// The text of a file of patterns. Nothing but a regular file is opened, which a pipe of that name would stop for ever.
fn read(dir: &Dir, name: &OsStr) -> io::Result<String> {
    let (file, _) = dir
        .open_regular(name)
        .map_err(|error| error.source)?
        .ok_or_else(|| io::Error::other("it is not a regular file"))?;
    let mut bytes = Vec::new();
    file.take(MAX_PATTERNS + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_PATTERNS {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
