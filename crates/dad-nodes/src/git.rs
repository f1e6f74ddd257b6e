use std::path::Path;
use std::process::Output;
use std::time::Duration;

use dad_runner::{NodeContext, NodeError};
use serde::Serialize;
use tokio::process::Command;

/// How often a command is tried again while somebody else holds the index, and the pause before.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// How many paths one call gets; a command line has a limit.
const PATHS_AT_ONCE: usize = 500;

/// A working tree, as a step uses it.
pub(crate) struct Repository<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) cx: &'a NodeContext,
}

/// What git was told.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Recorded {
    /// Paths whose state is in the index.
    staged: Vec<String>,
    /// Paths that the repository ignores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    /// Commits that were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commits: Vec<String>,
}

impl Repository<'_> {
    /// Puts the given paths, changed or removed, into the index; those it ignores are left out, and told. Returns those
    /// that are in the index.
    pub(crate) async fn stage(
        &self,
        paths: &[String],
        told: &mut Recorded,
    ) -> Result<Vec<String>, NodeError> {
        let mut staged = Vec::new();
        for paths in paths.chunks(PATHS_AT_ONCE) {
            let known = self.listed(&["ls-files", "-z", "--"], paths).await?;
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
                match (known.contains(path), ignored.contains(path)) {
                    (false, true) if is_there => told.ignored.push(path.clone()),
                    // Neither there nor in the index: a file that came and went.
                    (false, _) if !is_there => {}
                    _ => staged.push(path.clone()),
                }
            }
        }
        for paths in staged.chunks(PATHS_AT_ONCE) {
            self.git(&["add", "--all", "--"], paths).await?;
        }
        told.staged.extend(staged.iter().cloned());
        Ok(staged)
    }

    /// Commits the given paths and nothing else of the index, if they differ from the last commit. Hooks do not run: they
    /// may be files that operations have just written.
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
        let arguments = [
            "-c",
            "core.hooksPath=/dev/null",
            "commit",
            "--quiet",
            "--message",
            message,
            "--",
        ];
        self.git(&arguments, paths).await?;
        let commit = self.git(&["rev-parse", "HEAD"], &[]).await?;
        told.commits
            .push(String::from_utf8_lossy(&commit).trim().to_owned());
        Ok(())
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
        // Paths are literal: a name with a star means the file of that name.
        command
            .arg("--literal-pathspecs")
            .args(arguments)
            .args(paths)
            .current_dir(self.dir)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        // Variables such as GIT_DIR would make git work on another repository than the one asked for.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        let output = tokio::select! {
            output = command.output() => output,
            () = self.cx.cancelled() => {
                return Err(NodeError::new("cancelled", "git was stopped; the files are changed"));
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
        Err(NodeError::new("git", message).with_hint(match stderr.contains("not a git repository") {
            true => "`stage` and `commit` need `base_directory` to be in a git repository; the files are changed",
            false => {
                "the files are changed, and only git was not told of them: once its reason is gone, `dhenara resume` does \
                 that"
            }
        }))
    }
}
