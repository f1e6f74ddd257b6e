use std::path::Path;

use dad_runner::NodeError;
use tokio::process::Command;

/// Puts the given paths, changed or removed, into the index of the repository that `dir` lies in.
pub(crate) async fn stage(dir: &Path, paths: &[String]) -> Result<(), NodeError> {
    if paths.is_empty() {
        return Ok(());
    }
    let arguments = ["add", "--all", "--"]
        .into_iter()
        .chain(paths.iter().map(String::as_str));
    git(dir, arguments).await.map(drop)
}

/// Commits the given paths and nothing else of the index.
pub(crate) async fn commit(dir: &Path, paths: &[String], message: &str) -> Result<(), NodeError> {
    if paths.is_empty() {
        return Ok(());
    }
    let arguments = ["commit", "--quiet", "--message", message, "--"];
    git(dir, arguments.into_iter().chain(paths.iter().map(String::as_str)))
        .await
        .map(drop)
}

/// Which of the given paths differ from the last commit.
pub(crate) async fn changed(dir: &Path, paths: &[String]) -> Result<Vec<String>, NodeError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let arguments = ["status", "--porcelain", "-z", "--untracked-files=all", "--"];
    let out = git(dir, arguments.into_iter().chain(paths.iter().map(String::as_str))).await?;
    Ok(if out.is_empty() {
        Vec::new()
    } else {
        paths.to_vec()
    })
}

async fn git<'a>(dir: &Path, arguments: impl Iterator<Item = &'a str>) -> Result<String, NodeError> {
    let mut command = Command::new("git");
    // Paths are literal: a name with a star means the file of that name.
    command
        .arg("--literal-pathspecs")
        .args(arguments)
        .current_dir(dir)
        .stdin(std::process::Stdio::null());
    // Variables such as GIT_DIR would make git work on another repository than the one asked for.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    let output = command
        .output()
        .await
        .map_err(|error| NodeError::new("git", format!("`git` cannot be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = format!("git failed in `{}`: {}", dir.display(), stderr.trim());
    Err(NodeError::new("git", message)
        .with_hint("`stage` and `commit` need `base_directory` to be in a git repository"))
}
