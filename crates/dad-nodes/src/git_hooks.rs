//! The hooks of a repository, which execute at a commit only as they were before the step changed anything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_core::Digest;
use dad_runner::{NodeContext, NodeError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::environment;
use crate::git_call::{self, ALWAYS};
use crate::process::{self, Finished, Logs, Program};

/// The longest time of hooks.
const LONGEST: Duration = Duration::from_mins(10);

/// The largest output of hooks, in bytes.
const LONGEST_OUTPUT: u64 = 64 << 20;

/// No more files are compared, and none that is longer: hooks are scripts.
const MAX_FILES: usize = 1000;
const LONGEST_FILE: u64 = 16 << 20;

/// The hooks of one working tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hooks {
    /// Their directory, absolute.
    dir: PathBuf,
    /// Stands for their names, contents and modes.
    digest: Digest,
}

impl Hooks {
    /// The hooks in a directory as they are now; one that is missing has none.
    pub(crate) async fn now(dir: PathBuf, cx: &NodeContext) -> Result<Self, NodeError> {
        cx.blocking(move |_| {
            let mut files = Vec::new();
            collect(&dir, &mut files)?;
            files.sort();
            let digest = Digest::of_json(&json!(files));
            Ok(Self { dir, digest })
        })
        .await
    }

    /// Refuses hooks that are not those of before.
    pub(crate) async fn check(&self, cx: &NodeContext) -> Result<(), NodeError> {
        if Self::now(self.dir.clone(), cx).await? == *self {
            Ok(())
        } else {
            let message = format!(
                "the hooks in `{}` are not those of before the step, so that none was executed and nothing committed",
                self.dir.display()
            );
            let hint = "look at what changed there; leave `git_hooks` out to commit without them";
            Err(NodeError::new("git_hooks_changed", message)
                .with_hint(hint)
                .permanent())
        }
    }

    /// Calls git so that it executes them, as the commands of steps are executed: in a process group of their own, without keys in
    /// their environment, with what they print in the logs of the step.
    pub(crate) async fn git(
        &self,
        tree: &Path,
        arguments: &[&str],
        paths: &[String],
        cx: &NodeContext,
    ) -> Result<Finished, NodeError> {
        let hooks = format!("core.hooksPath={}", self.dir.display());
        // Of a setting that is given twice, git takes the last.
        let argv: Vec<String> = std::iter::once("git")
            .chain(ALWAYS)
            .chain(["-c", hooks.as_str()])
            .chain(arguments.iter().copied())
            .map(str::to_owned)
            .chain(paths.iter().cloned())
            .collect();
        let mut env: Vec<(String, OsString)> =
            environment::environment(std::iter::empty(), std::iter::empty());
        env.extend(git_call::passed_on());
        let mut logs = Logs::of_step(cx.dir()?)?;
        let program = Program {
            argv: &argv,
            working_dir: tree,
            env: &env,
            stdin: None,
            timeout: LONGEST,
            longest_output: LONGEST_OUTPUT,
            has_terminal: false,
            ends_with_thread: false,
        };
        process::run(&program, &mut logs, cx).await
    }
}

/// The files below a directory, links followed to files: name, mode and content of each.
fn collect(dir: &Path, files: &mut Vec<(String, u32, String)>) -> Result<(), NodeError> {
    let wrong = |path: &Path, reason: &dyn std::fmt::Display| {
        let message = format!("the hook `{}` cannot be compared: {reason}", path.display());
        NodeError::new("git_hooks", message).permanent()
    };
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(wrong(&dir, &error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| wrong(&dir, &error))?.path();
            let metadata = path.metadata().map_err(|error| wrong(&path, &error))?;
            let is_link = path.is_symlink();
            match (metadata.is_dir(), metadata.is_file()) {
                (true, _) if is_link => return Err(wrong(&path, &"it is a link to a directory")),
                (true, _) => dirs.push(path),
                (_, true) if metadata.len() <= LONGEST_FILE && files.len() < MAX_FILES => {
                    let content = std::fs::read(&path).map_err(|error| wrong(&path, &error))?;
                    let name = path.to_string_lossy().into_owned();
                    files.push((name, mode(&metadata), Digest::of(&content).to_string()));
                }
                _ => return Err(wrong(&path, &"it is no file, too long, or there are too many")),
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
pub(crate) fn mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode()
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &std::fs::Metadata) -> u32 {
    0
}
