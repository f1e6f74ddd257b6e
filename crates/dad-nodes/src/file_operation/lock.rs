//! The lock of a directory, so that steps of several runs change it one after the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dad_fs::{Dir, FileLock};
use dad_runner::{NodeContext, NodeError};

use super::place::Roots;

/// The longest wait of a step for others that change the same directory.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Locks the directories that are worked in, so that the changes of two steps do not mix, also of two runs. The
/// directories themselves are locked: no file is made for it, and every path to one leads to the same lock.
pub(crate) async fn lock(roots: &Roots, cx: &NodeContext) -> Result<Vec<FileLock>, NodeError> {
    let mut dirs: Vec<(PathBuf, &Dir)> = roots.dirs().map(|dir| (dir.path().to_path_buf(), dir)).collect();
    // Everybody takes them in the same order, so that no two wait for each other.
    dirs.sort_by(|a, b| a.0.cmp(&b.0));
    let mut locks = Vec::new();
    for (_, dir) in dirs {
        locks.push(wait_for(dir, cx).await?);
    }
    Ok(locks)
}

async fn wait_for(dir: &Dir, cx: &NodeContext) -> Result<FileLock, NodeError> {
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(lock) = dir.lock_directory()? {
            return Ok(lock);
        }
        let shown = dir.path().display();
        if since.elapsed() > LONGEST_WAIT {
            let message = format!("another step has changed files in `{shown}` for {LONGEST_WAIT:?}");
            return Err(NodeError::new("base_directory_busy", message));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cx.cancelled() => {
                let message = format!("stopped while another step changed files in `{shown}`; nothing was changed");
                return Err(NodeError::new("cancelled", message));
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
