//! Rules for the entries that a walk leaves out.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use dad_fs::{Dir, EntryKind};
use dad_runner::{NodeError, Stop};
use gix_ignore::glob::pattern::Case;

use super::FolderAnalysisOperation;
use super::patterns::{Patterns, Verdict, Why};
use super::place::{Ground, is_git};
use super::repository::{Asking, Repository};

/// The rules of one operation, and those of the directories around the present one.
pub(super) struct Rules<'a> {
    hidden: bool,
    respect: bool,
    excludes: Option<Patterns>,
    additional: Vec<Patterns>,
    /// The outermost first.
    levels: Vec<Level>,
    stop: &'a Stop,
    /// Rules that could not be read.
    pub(super) problems: Vec<String>,
}

/// The rules of the files in one directory.
#[derive(Default)]
struct Level {
    ignore: Option<Patterns>,
    git: Option<Patterns>,
    repository: Option<Repository>,
    /// Why the directory itself is ignored, where it is looked into for what git tracks in it: nothing else of it is seen.
    ignored: Option<Why>,
}

/// The verdict on an entry.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// It is seen.
    Seen,
    /// A directory of which only what git tracks is seen.
    OnlyTracked(Why),
    /// It is not seen.
    LeftOut(Why),
    /// Git's own data, about which nothing is said.
    Git,
}

impl<'a> Rules<'a> {
    /// The rules for a walk that begins at `start`.
    pub(super) fn new(
        ground: &Ground,
        start: &Path,
        operation: &FolderAnalysisOperation,
        stop: &'a Stop,
    ) -> Result<Self, NodeError> {
        let respect = operation.respect_gitignore.unwrap_or(true);
        let mut rules = Self {
            hidden: operation.include_hidden.unwrap_or(false),
            respect,
            excludes: Patterns::of_setting(start, "exclude_patterns", &operation.exclude_patterns),
            additional: Vec::new(),
            levels: Vec::new(),
            stop,
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
        let own = place.path.parent().unwrap_or(&place.path);
        let root = if start.starts_with(own) { own } else { &ground.base };
        let mut problems = Vec::new();
        if dir.kind(name)?.is_none() {
            return Err(wrong("it does not exist".to_owned()));
        }
        let patterns = asking(self.stop, &mut problems).patterns(&dir, name, root, &place.path);
        if let Some(problem) = problems.pop() {
            return Err(wrong(problem));
        }
        self.additional.extend(patterns);
        Ok(())
    }

    fn add_around(&mut self, path: &Path) {
        let level = Dir::open(path).map(|dir| self.level(&dir, path, |_| true));
        // A directory around that may not be looked into says nothing.
        self.levels.push(level.unwrap_or_default());
    }

    /// Takes the rules of a directory that the walk goes into; of an ignored one only what git tracks is seen.
    pub(super) fn enter(
        &mut self,
        dir: &Dir,
        path: &Path,
        names: &[(OsString, EntryKind)],
        ignored: Option<Why>,
    ) {
        let mut level = Level::default();
        if self.respect {
            level = self.level(dir, path, |name| {
                let found = names.binary_search_by(|(other, _)| other.as_os_str().cmp(OsStr::new(name)));
                found.is_ok()
            });
        }
        if level.repository.is_none() {
            let around = self.levels.last().and_then(|level| level.ignored.clone());
            level.ignored = ignored.or(around);
        }
        self.levels.push(level);
    }

    /// Forgets the rules of the directory that the walk went into last.
    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }

    /// The verdict on an entry of the directory that the walk went into last.
    pub(super) fn fate(&mut self, path: &Path, name: &OsStr, is_dir: bool) -> Fate {
        if is_git(name) {
            return Fate::Git;
        }
        let excluded = self.excludes.as_ref();
        let excluded = excluded.and_then(|patterns| patterns.verdict(path, is_dir, Case::Sensitive));
        if let Some(verdict) = excluded.filter(|verdict| verdict.is_ignored) {
            return Fate::LeftOut(verdict.why());
        }
        self.learn();
        let ignored = self.levels.last().and_then(|level| level.ignored.clone());
        let said = match (&ignored, self.said(path, is_dir)) {
            (_, Said::Ignored(why)) => Said::Ignored(why),
            (Some(why), _) => Said::IgnoredByGit(why.clone()),
            (None, said) => said,
        };
        match said {
            Said::Ignored(why) => Fate::LeftOut(why),
            Said::IgnoredByGit(why) if !self.tracks(path, is_dir) => Fate::LeftOut(why),
            Said::Nothing | Said::IgnoredByGit(_) if !self.hidden && is_hidden(name) => {
                Fate::LeftOut(Why::Setting("include_hidden".to_owned()))
            }
            Said::IgnoredByGit(why) if is_dir => Fate::OnlyTracked(why),
            Said::IgnoredByGit(_) | Said::Kept | Said::Nothing => Fate::Seen,
        }
    }

    /// The verdict of the files of patterns: `.ignore` before `.gitignore`, the innermost first, git's only up to the
    /// repository.
    fn said(&self, path: &Path, is_dir: bool) -> Said {
        let of = |patterns: &'_ Option<Patterns>, case| -> Option<Said> {
            Some(Said::of(&patterns.as_ref()?.verdict(path, is_dir, case)?))
        };
        let mut levels = self.levels.iter().rev();
        if let Some(said) = levels.find_map(|level| of(&level.ignore, Case::Sensitive)) {
            return said;
        }
        let repository = self.levels.iter().rposition(|level| level.repository.is_some());
        let inside = &self.levels[repository.unwrap_or(0)..];
        let repository = inside.first().and_then(|level| level.repository.as_ref());
        let case = repository.map(Repository::case).unwrap_or_default();
        let in_tree = inside.iter().rev().find_map(|level| of(&level.git, case));
        let private = || {
            let mut excludes = repository?.excludes().iter();
            Some(Said::of(
                &excludes.find_map(|patterns| patterns.verdict(path, is_dir, case))?,
            ))
        };
        if let Some(said) = in_tree.or_else(private) {
            return said.by_git();
        }
        let mut additional = self.additional.iter();
        let verdict = additional.find_map(|patterns| patterns.verdict(path, is_dir, Case::Sensitive));
        verdict.map_or(Said::Nothing, |verdict| Said::of(&verdict))
    }

    /// Finds out what is private to the repository that the walk is in.
    fn learn(&mut self) {
        let Self {
            levels,
            stop,
            problems,
            ..
        } = self;
        if let Some(repository) = innermost(levels) {
            repository.learn(&mut asking(stop, problems));
        }
    }

    fn tracks(&mut self, path: &Path, is_dir: bool) -> bool {
        let Self {
            levels,
            stop,
            problems,
            ..
        } = self;
        innermost(levels)
            .is_some_and(|repository| repository.tracks(path, is_dir, &mut asking(stop, problems)))
    }

    fn level(&mut self, dir: &Dir, path: &Path, has: impl Fn(&str) -> bool) -> Level {
        let mut level = Level::default();
        let mut asking = asking(self.stop, &mut self.problems);
        if has(".ignore") {
            level.ignore = asking.patterns(dir, OsStr::new(".ignore"), path, &path.join(".ignore"));
        }
        if has(".gitignore") {
            level.git = asking.patterns(dir, OsStr::new(".gitignore"), path, &path.join(".gitignore"));
        }
        if has(".git") {
            level.repository = Repository::at(path);
        }
        level
    }
}

/// The verdict of the files of patterns on an entry.
#[derive(Debug)]
enum Said {
    Nothing,
    Kept,
    Ignored(Why),
    /// Which holds for what git does not track.
    IgnoredByGit(Why),
}

impl Said {
    fn of(verdict: &Verdict<'_>) -> Self {
        match verdict.is_ignored {
            true => Self::Ignored(verdict.why()),
            false => Self::Kept,
        }
    }

    fn by_git(self) -> Self {
        match self {
            Self::Ignored(why) => Self::IgnoredByGit(why),
            other => other,
        }
    }
}

const fn asking<'a>(stop: &'a Stop, problems: &'a mut Vec<String>) -> Asking<'a> {
    Asking { stop, problems }
}

fn innermost(levels: &mut [Level]) -> Option<&mut Repository> {
    levels
        .iter_mut()
        .rev()
        .find_map(|level| level.repository.as_mut())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}
