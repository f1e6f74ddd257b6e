use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use dad_runner::{NodeContext, NodeError};
use serde::Serialize;
use tokio::process::Command;

use crate::git_hooks::Hooks;
use crate::process::ORIGIN_KEY;

/// How often a command is tried again while another process holds the index, and the pause before.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// How many paths one call gets; a command line has a limit.
const PATHS_AT_ONCE: usize = 500;

/// The options of every call of git: nothing that lies in the tree is executed, be it a hook or a monitor of files, and no
/// directory is taken for a repository because its files look like one. Paths are literal: a name with a star means the
/// file of that name.
pub(crate) const ALWAYS: [&str; 7] = [
    "--literal-pathspecs",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "safe.bareRepository=explicit",
];

/// The working trees of files, found before any of them is changed.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    /// By the nearest directory with a `.git`.
    found: BTreeMap<PathBuf, PathBuf>,
    /// The hooks that commits execute, by working tree.
    hooks: BTreeMap<PathBuf, Hooks>,
}

impl Repositories {
    /// Finds the repository of each file. Changes nothing.
    ///
    /// # Errors
    /// If one lies in none.
    pub(crate) async fn find(
        files: impl IntoIterator<Item = PathBuf>,
        cx: &NodeContext,
    ) -> Result<Self, NodeError> {
        let mut repositories = Self::default();
        for file in files {
            let near = nearest(&file).ok_or_else(|| none(&file))?;
            if let Entry::Vacant(place) = repositories.found.entry(near) {
                let tree = top_level(place.key(), cx).await?;
                place.insert(tree);
            }
        }
        Ok(repositories)
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
        let mut trees: BTreeMap<&PathBuf, Paths> = BTreeMap::new();
        for (file, shown) in files {
            let tree = nearest(&file).and_then(|near| self.found.get(&near));
            let tree = tree.ok_or_else(|| changed(&file))?;
            let path = file.strip_prefix(tree).map_err(|_| changed(&file))?;
            let path = path.to_string_lossy().into_owned();
            trees.entry(tree).or_default().insert(path, shown);
        }
        let mut repositories = Vec::new();
        for (tree, paths) in trees {
            if top_level(tree, cx).await? != *tree {
                return Err(changed(tree));
            }
            let dir = tree.clone();
            let hooks = self.hooks.get(tree).cloned();
            repositories.push((Repository { dir, hooks, cx }, paths));
        }
        Ok(repositories)
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

/// Where the repository has its hooks: `core.hooksPath`, or the directory of its own.
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

fn none(file: &Path) -> NodeError {
    let message = format!(
        "`{}` lies in no git repository; nothing was changed",
        file.display()
    );
    NodeError::new("git", message)
        .with_hint("leave `stage` and `commit` out, or call `git init` in the directory above")
        .permanent()
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
    /// What commits execute.
    hooks: Option<Hooks>,
    cx: &'a NodeContext,
}

/// What git was told.
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
}

/// Whether an entry of the index is marked so that git does not look for changes: `assume-unchanged` or `skip-worktree`.
fn is_not_looked_at(tag: &str) -> bool {
    tag.bytes()
        .all(|letter| letter.is_ascii_lowercase() || letter == b'S')
}

impl<'a> Repository<'a> {
    /// Whose commits execute nothing.
    fn plain(dir: &Path, cx: &'a NodeContext) -> Self {
        Self {
            dir: dir.to_path_buf(),
            hooks: None,
            cx,
        }
    }

    /// Puts the given paths, changed or removed, into the index; those it ignores are left out, and told. Returns those
    /// that are in the index.
    pub(crate) async fn stage(&self, shown: &Paths, told: &mut Recorded) -> Result<Vec<String>, NodeError> {
        let paths: Vec<String> = shown.keys().cloned().collect();
        let name = |path: &String| shown.get(path).unwrap_or(path).clone();
        let mut staged = Vec::new();
        for paths in paths.chunks(PATHS_AT_ONCE) {
            let index = self.listed(&["ls-files", "-v", "-z", "--"], paths).await?;
            let index: BTreeMap<&str, &str> = index
                .iter()
                .filter_map(|line| line.split_once(' ').map(|(tag, path)| (path, tag)))
                .collect();
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
                match (index.get(&**path), ignored.contains(path)) {
                    (None, true) if is_there => told.ignored.push(name(path)),
                    // Neither there nor in the index: a file that came and went.
                    (None, _) if !is_there => {}
                    (Some(tag), _) if is_not_looked_at(tag) => told.ignored.push(name(path)),
                    _ => staged.push(path.clone()),
                }
            }
        }
        for paths in staged.chunks(PATHS_AT_ONCE) {
            self.git(&["add", "--all", "--"], paths).await?;
        }
        told.staged.extend(staged.iter().map(name));
        Ok(staged)
    }

    /// Commits the given paths and nothing else of the index, if they differ from the last commit.
    pub(crate) async fn commit(
        &self,
        paths: &[String],
        message: &str,
        told: &mut Recorded,
    ) -> Result<(), NodeError> {
        let mut differing = false;
        for paths in paths.chunks(PATHS_AT_ONCE) {
            let arguments = ["status", "--porcelain", "-z", "--untracked-files=all", "--"];
            differing |= !self.git(&arguments, paths).await?.is_empty();
        }
        if !differing {
            return Ok(());
        }
        let arguments = ["commit", "--quiet", "--message", message, "--"];
        match &self.hooks {
            Some(hooks) => self.commit_with(hooks, &arguments, paths).await?,
            None => drop(self.git(&arguments, paths).await?),
        }
        let commit = self.git(&["rev-parse", "HEAD"], &[]).await?;
        told.commits
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
        let how = match finished.timed_out {
            true => "did not end in time",
            false => "failed",
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
        let mut command = Command::new("git");
        command
            .args(ALWAYS)
            .args(arguments)
            .args(paths)
            .current_dir(&self.dir)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        // Variables such as GIT_DIR would make git work on another repository than the one asked for.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command.env_remove(ORIGIN_KEY);
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
