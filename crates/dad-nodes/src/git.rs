//! Commits of the files that a step has changed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use dad_fs::ScratchDir;
use dad_runner::{NodeContext, NodeError};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::git_call::{ALWAYS, set_environment};
use crate::git_hooks::Hooks;

/// The number of tries of a command while another process holds the index, and the pause before each.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// The number of paths in one call; a command line has a limit.
const PATHS_AT_ONCE: usize = 500;

/// The hooks that a commit executes.
const COMMIT_HOOKS: [&str; 4] = ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"];

/// The operations that a repository is in the middle of while one of these files is there, and the command that ends each.
const UNDER_WAY: [(&str, &str); 5] = [
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
];

/// The working trees of files, found before any of them is changed.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    /// By the nearest directory with a `.git`.
    found: BTreeMap<PathBuf, PathBuf>,
    /// The facts before the first change, by working tree.
    before: BTreeMap<PathBuf, Before>,
    /// The hooks that commits execute, by working tree.
    hooks: BTreeMap<PathBuf, Hooks>,
}

/// The state of a working tree before a step changed anything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    /// The paths among those of the step that had changes which were not committed.
    changed: Vec<String>,
    /// The hooks of the repository that a commit would execute.
    hooks: Vec<String>,
}

impl Repositories {
    /// Finds the repository of each file, and refuses before the first change what git would refuse after it. An attempt
    /// that was interrupted after this keeps what it found.
    ///
    /// # Errors
    /// If a file lies in none, a merge or the like is under way, a conflict is open, git does not look at a path, or it does not know who
    /// commits.
    pub(crate) async fn before_changes(
        files: &[PathBuf],
        commits: bool,
        cx: &NodeContext,
    ) -> Result<Self, NodeError> {
        let found = match Self::find(files, cx).await {
            Ok(found) => found.checked(files, commits, cx).await,
            Err(error) => Err(error),
        };
        found.map_err(|mut error| {
            error.info.message.push_str("; nothing was changed");
            error
        })
    }

    /// The repository of each file.
    async fn find(files: &[PathBuf], cx: &NodeContext) -> Result<Self, NodeError> {
        let mut repositories = Self::default();
        for file in files {
            let near = nearest(file).ok_or_else(|| none(file))?;
            if let Entry::Vacant(place) = repositories.found.entry(near) {
                let tree = top_level(place.key(), cx).await?;
                place.insert(tree);
            }
        }
        Ok(repositories)
    }

    async fn checked(
        mut self,
        files: &[PathBuf],
        commits: bool,
        cx: &NodeContext,
    ) -> Result<Self, NodeError> {
        let named = files
            .iter()
            .map(|file| (file.clone(), file.display().to_string()));
        for (tree, paths) in self.grouped(named)? {
            let repository = Repository::plain(&tree, cx);
            let paths: Vec<String> = paths.into_keys().collect();
            repository.wait_for_index().await?;
            if commits {
                repository.check_commits().await?;
            }
            let look = |_| async {
                repository.check_looked_at(&paths).await?;
                let hooks = if commits {
                    commit_hooks(&hooks_dir(&tree, cx).await?)
                } else {
                    Vec::new()
                };
                Ok(Before {
                    changed: repository.changed(&paths).await?,
                    hooks,
                })
            };
            let before = cx.memo("git_before", &(&tree, &paths), look).await?;
            self.before.insert(tree, before);
        }
        Ok(self)
    }

    /// Has commits execute the hooks of the repositories as they are now. An attempt that was interrupted after this keeps what it
    /// found.
    ///
    /// # Errors
    /// If they cannot be compared.
    pub(crate) async fn with_hooks(mut self, cx: &NodeContext) -> Result<Self, NodeError> {
        let trees: BTreeSet<PathBuf> = self.found.values().cloned().collect();
        for tree in trees {
            let find = |_| async {
                let dir = hooks_dir(&tree, cx).await?;
                Hooks::now(dir, cx).await
            };
            let hooks = cx.memo("git_hooks", &tree, find).await?;
            self.hooks.insert(tree.clone(), hooks);
        }
        Ok(self)
    }

    /// The working trees, as long as they are still those that were found, each with its files: the path in it, and the
    /// name that results have for it.
    pub(crate) async fn of<'a>(
        &self,
        files: impl IntoIterator<Item = (PathBuf, String)>,
        cx: &'a NodeContext,
    ) -> Result<Vec<(Repository<'a>, Paths)>, NodeError> {
        let mut repositories = Vec::new();
        for (dir, paths) in self.grouped(files)? {
            if top_level(&dir, cx).await? != dir {
                return Err(changed(&dir));
            }
            let hooks = self.hooks.get(&dir).cloned();
            let before = self.before.get(&dir).cloned().unwrap_or_default();
            let repository = Repository {
                dir,
                before,
                hooks,
                cx,
            };
            repositories.push((repository, paths));
        }
        Ok(repositories)
    }

    fn grouped(
        &self,
        files: impl IntoIterator<Item = (PathBuf, String)>,
    ) -> Result<BTreeMap<PathBuf, Paths>, NodeError> {
        let mut trees: BTreeMap<PathBuf, Paths> = BTreeMap::new();
        for (file, shown) in files {
            let tree = nearest(&file).and_then(|near| self.found.get(&near));
            let tree = tree.ok_or_else(|| changed(&file))?;
            let path = file.strip_prefix(tree).map_err(|_| changed(&file))?;
            let path = path.to_string_lossy().into_owned();
            trees.entry(tree.clone()).or_default().insert(path, shown);
        }
        Ok(trees)
    }
}

/// Paths in a working tree, with the names that results have for them.
pub(crate) type Paths = BTreeMap<String, String>;

/// The nearest directory above a file that may be a working tree.
fn nearest(file: &Path) -> Option<PathBuf> {
    let above = file.ancestors().skip(1);
    above
        .filter(|dir| dir.is_dir())
        .find(|dir| dir.join(".git").symlink_metadata().is_ok())
        .map(Path::to_path_buf)
}

async fn top_level(dir: &Path, cx: &NodeContext) -> Result<PathBuf, NodeError> {
    let repository = Repository::plain(dir, cx);
    let printed = repository.git(&["rev-parse", "--show-toplevel"], &[]).await?;
    let printed = String::from_utf8_lossy(&printed);
    let tree = Path::new(printed.trim_end_matches(['\n', '\r']));
    tree.canonicalize().map_err(|error| {
        let message = format!("the repository `{}` cannot be opened: {error}", tree.display());
        NodeError::new("git", message)
    })
}

/// The directory of the repository's hooks: `core.hooksPath`, or one of its own.
async fn hooks_dir(tree: &Path, cx: &NodeContext) -> Result<PathBuf, NodeError> {
    let repository = Repository::plain(tree, cx);
    // The options of every call say one, too; before it stands what the configuration says.
    let printed = repository
        .git(&["config", "--get-all", "--type=path", "core.hooksPath"], &[])
        .await?;
    let printed = String::from_utf8_lossy(&printed);
    let configured = printed.lines().rfind(|line| *line != "/dev/null");
    let dir = match configured {
        Some(dir) => tree.join(dir),
        None => {
            let printed = repository.git(&["rev-parse", "--git-common-dir"], &[]).await?;
            let printed = String::from_utf8_lossy(&printed);
            tree.join(printed.trim_end_matches(['\n', '\r'])).join("hooks")
        }
    };
    Ok(dir)
}

/// The hooks in a directory that a commit would execute.
fn commit_hooks(dir: &Path) -> Vec<String> {
    let is_there = |name: &&&str| {
        dir.join(name)
            .metadata()
            .is_ok_and(|hook| hook.is_file() && is_executable(&hook))
    };
    let hooks = COMMIT_HOOKS.iter().filter(is_there);
    hooks.map(|name| (*name).to_owned()).collect()
}

fn is_executable(hook: &std::fs::Metadata) -> bool {
    cfg!(windows) || crate::git_hooks::mode(hook) & 0o111 != 0
}

/// That git would refuse something, found before anything was changed.
fn refused(message: String, hint: impl Into<String>) -> NodeError {
    NodeError::new("git", message).with_hint(hint).permanent()
}

fn none(file: &Path) -> NodeError {
    let message = format!("`{}` lies in no git repository", file.display());
    let hint = "leave `stage` and `commit` out, or call `git init` in the directory above";
    refused(message, hint)
}

fn changed(place: &Path) -> NodeError {
    let message = format!(
        "the repository of `{}` is not the one that was found before the files were changed",
        place.display()
    );
    NodeError::new("git", message)
        .with_hint("the files are changed; look at the repository before it is used again")
}

/// A working tree, as a step uses it.
pub(crate) struct Repository<'a> {
    dir: PathBuf,
    before: Before,
    /// The hooks that commits execute.
    hooks: Option<Hooks>,
    cx: &'a NodeContext,
}

/// The commits to make.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Recorded {
    /// Paths whose state is in the index.
    staged: Vec<String>,
    /// Paths whose changes the repository ignores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    /// Commits that were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commits: Vec<String>,
    /// Paths that had changes of others before the step, which are staged or committed with those of the step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed_before: Vec<String>,
    /// Whether a commit was made that no branch has.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    detached_head: bool,
    /// Hooks of the repository that the commit did not execute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks_not_executed: Vec<String>,
}

impl<'a> Repository<'a> {
    /// Whose commits execute nothing.
    fn plain(dir: &Path, cx: &'a NodeContext) -> Self {
        Self {
            dir: dir.to_path_buf(),
            before: Before::default(),
            hooks: None,
            cx,
        }
    }

    /// Waits until no other process holds the index, for a while.
    async fn wait_for_index(&self) -> Result<(), NodeError> {
        let printed = self.git(&["rev-parse", "--git-path", "index.lock"], &[]).await?;
        let printed = String::from_utf8_lossy(&printed);
        let lock = self.dir.join(printed.trim_end_matches(['\n', '\r']));
        for _ in 0..TRIES {
            if lock.symlink_metadata().is_err() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let message = format!("another process of git holds `{}`", lock.display());
        Err(refused(
            message,
            "wait for its end; if there is none, remove the file",
        ))
    }

    /// Refuses to commit where git would, or where the commit would become part of something that a person is doing.
    async fn check_commits(&self) -> Result<(), NodeError> {
        let mut arguments = vec!["rev-parse"];
        for (file, _) in UNDER_WAY {
            arguments.extend(["--git-path", file]);
        }
        let printed = self.git(&arguments, &[]).await?;
        let printed = String::from_utf8_lossy(&printed);
        for (path, (_, what)) in printed.lines().zip(UNDER_WAY) {
            if self.dir.join(path).symlink_metadata().is_ok() {
                let message = format!("a {what} is under way in `{}`", self.dir.display());
                let hint = format!("finish it, or end it by `git {what} --abort`, before a step commits");
                return Err(refused(message, hint));
            }
        }
        self.check_signing().await?;
        for who in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
            if let Err(error) = self.git(&["var", who], &[]).await {
                let hint = "set `user.name` and `user.email` by `git config`";
                return Err(refused(error.info.message, hint));
            }
        }
        Ok(())
    }

    /// Signs a commit of nothing if the user has commits signed, in a place that is gone afterwards: the program that signs may have to ask a
    /// person, who is not there.
    async fn check_signing(&self) -> Result<(), NodeError> {
        let signs = [
            "config",
            "--type=bool",
            "--default=false",
            "--get",
            "commit.gpgSign",
        ];
        if self.git(&signs, &[]).await?.trim_ascii() != b"true" {
            return Ok(());
        }
        let scratch = ScratchDir::new()?;
        let objects = Some(scratch.path());
        let call = |arguments: &'static [&'static str]| self.call_with(arguments, &[], objects);
        let tree = self.succeeded(call(&["mktree"]).await?)?;
        let tree = String::from_utf8_lossy(&tree).trim().to_owned();
        let signed = self
            .call_with(&["commit-tree", "-S", "-m", "signed", &tree], &[], objects)
            .await?;
        self.succeeded(signed).map(drop).map_err(|error| {
            let message = format!("commits are to be signed, and that fails: {}", error.info.message);
            let hint =
                "unlock the key where the run is started, or unset `commit.gpgSign` for this repository";
            refused(message, hint)
        })
    }

    /// Refuses paths that have a conflict, and those that git does not look at, so that it would not stage them.
    async fn check_looked_at(&self, paths: &[String]) -> Result<(), NodeError> {
        for paths in paths.chunks(PATHS_AT_ONCE) {
            for line in self.listed(&["ls-files", "-v", "-z", "--"], paths).await? {
                let Some((tag, path)) = line.split_once(' ') else {
                    continue;
                };
                let is_unmerged = tag.eq_ignore_ascii_case("M");
                let (what, hint) = match tag {
                    _ if is_unmerged => (
                        "has a conflict that is not resolved",
                        "resolve it and `git add` the file first",
                    ),
                    _ if tag.eq_ignore_ascii_case("S") => (
                        "is outside of the sparse checkout, or marked as skipped, so that git does not look at it",
                        "`git sparse-checkout add` its directory, or `git update-index --no-skip-worktree` it",
                    ),
                    _ if tag.bytes().all(|letter| letter.is_ascii_lowercase()) => (
                        "is marked as unchanged, so that git does not look at it",
                        "`git update-index --no-assume-unchanged` it",
                    ),
                    _ => continue,
                };
                let message = format!("`{path}` in `{}` {what}", self.dir.display());
                return Err(refused(message, hint));
            }
        }
        Ok(())
    }

    /// The paths that differ from the last commit, those that it does not have among them.
    async fn changed(&self, paths: &[String]) -> Result<Vec<String>, NodeError> {
        let mut changed = Vec::new();
        for paths in paths.chunks(PATHS_AT_ONCE) {
            let arguments = [
                "status",
                "--porcelain",
                "-z",
                "--untracked-files=all",
                "--no-renames",
                "--",
            ];
            let lines = self.listed(&arguments, paths).await?;
            changed.extend(lines.iter().filter_map(|line| Some(line.get(3..)?.to_owned())));
        }
        Ok(changed)
    }

    /// Puts the given paths, changed or removed, into the index; those it ignores are left out and reported. Returns those
    /// that are in the index.
    pub(crate) async fn stage(
        &self,
        shown: &Paths,
        reported: &mut Recorded,
    ) -> Result<Vec<String>, NodeError> {
        let paths: Vec<String> = shown.keys().cloned().collect();
        let name = |path: &String| shown.get(path).unwrap_or(path).clone();
        let mut staged = Vec::new();
        for paths in paths.chunks(PATHS_AT_ONCE) {
            let index = self.listed(&["ls-files", "-z", "--"], paths).await?;
            let index: BTreeSet<&str> = index.iter().map(String::as_str).collect();
            let ignored = [
                "ls-files",
                "-z",
                "--others",
                "--ignored",
                "--exclude-standard",
                "--",
            ];
            let ignored = self.listed(&ignored, paths).await?;
            for path in paths {
                let is_there = self.dir.join(path).symlink_metadata().is_ok();
                match (index.contains(&**path), ignored.contains(path)) {
                    (false, true) if is_there => reported.ignored.push(name(path)),
                    // Neither there nor in the index: a file that came and went.
                    (false, _) if !is_there => {}
                    _ => staged.push(path.clone()),
                }
            }
        }
        for paths in staged.chunks(PATHS_AT_ONCE) {
            self.git(&["add", "--all", "--sparse", "--"], paths).await?;
            self.check_staged(paths).await?;
        }
        reported.staged.extend(staged.iter().map(&name));
        let changed_before = self.before.changed.iter().filter(|path| staged.contains(path));
        reported.changed_before.extend(changed_before.map(name));
        Ok(staged)
    }

    /// Refuses to say of paths that they are staged whose state in the index is not that of the file.
    async fn check_staged(&self, paths: &[String]) -> Result<(), NodeError> {
        let arguments = ["diff-files", "--name-only", "-z", "--ignore-submodules=all", "--"];
        match self.listed(&arguments, paths).await?.first() {
            None => Ok(()),
            Some(path) => {
                let message = format!("git did not stage `{path}` in `{}`", self.dir.display());
                Err(NodeError::new("git", message))
            }
        }
    }

    /// Commits the given paths and nothing else of the index, if they differ from the last commit.
    pub(crate) async fn commit(
        &self,
        paths: &[String],
        message: &str,
        reported: &mut Recorded,
    ) -> Result<(), NodeError> {
        // A file that came and went between two commits is one that git does not know any more.
        let paths = &self.changed(paths).await?;
        if paths.is_empty() {
            return Ok(());
        }
        let arguments = [
            "commit",
            "--quiet",
            "--cleanup=whitespace",
            "--message",
            message,
            "--",
        ];
        match &self.hooks {
            Some(hooks) => self.commit_with(hooks, &arguments, paths).await?,
            None => {
                self.git(&arguments, paths).await?;
                reported
                    .hooks_not_executed
                    .extend(self.before.hooks.iter().cloned());
            }
        }
        let head = self.git(&["rev-parse", "--abbrev-ref", "HEAD"], &[]).await?;
        reported.detached_head |= head.trim_ascii() == b"HEAD";
        let commit = self.git(&["rev-parse", "HEAD"], &[]).await?;
        reported
            .commits
            .push(String::from_utf8_lossy(&commit).trim().to_owned());
        Ok(())
    }

    async fn commit_with(
        &self,
        hooks: &Hooks,
        arguments: &[&str],
        paths: &[String],
    ) -> Result<(), NodeError> {
        hooks.check(self.cx).await?;
        let finished = hooks.git(&self.dir, arguments, paths, self.cx).await?;
        if finished.code == Some(0) {
            return Ok(());
        }
        let said = [finished.stdout.trim(), finished.stderr.trim()].join("\n");
        let how = if finished.timed_out {
            "did not end in time"
        } else {
            "failed"
        };
        let message = format!(
            "`git commit` with hooks {how} in `{}`: {}",
            self.dir.display(),
            said.trim()
        );
        Err(NodeError::new("git", message))
    }

    /// Which of the paths a listing names.
    async fn listed(&self, arguments: &[&str], paths: &[String]) -> Result<Vec<String>, NodeError> {
        let listed = self.git(arguments, paths).await?;
        let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    async fn git(&self, arguments: &[&str], paths: &[String]) -> Result<Vec<u8>, NodeError> {
        let mut tries = 0;
        loop {
            let output = self.call(arguments, paths).await?;
            let is_busy = String::from_utf8_lossy(&output.stderr).contains("index.lock': File exists");
            tries += 1;
            if output.status.success() || !is_busy || tries > TRIES {
                return self.succeeded(output);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn call(&self, arguments: &[&str], paths: &[String]) -> Result<Output, NodeError> {
        self.call_with(arguments, paths, None).await
    }

    /// As [`call`](Self::call); objects are written into a directory of their own, if one is given.
    async fn call_with(
        &self,
        arguments: &[&str],
        paths: &[String],
        objects: Option<&Path>,
    ) -> Result<Output, NodeError> {
        let mut command = Command::new("git");
        command
            .args(ALWAYS)
            .args(arguments)
            .args(paths)
            .current_dir(&self.dir)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        set_environment(command.as_std_mut());
        if let Some(objects) = objects {
            command.env("GIT_OBJECT_DIRECTORY", objects);
        }
        let output = tokio::select! {
            output = command.output() => output,
            () = self.cx.cancelled() => {
                return Err(NodeError::new("cancelled", "git was stopped"));
            }
        };
        output.map_err(|error| NodeError::new("git", format!("`git` cannot be started: {error}")))
    }

    fn succeeded(&self, output: Output) -> Result<Vec<u8>, NodeError> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = format!("git failed in `{}`: {}", self.dir.display(), stderr.trim());
        Err(NodeError::new("git", message))
    }
}
