use dad_core::SCHEMA_VERSION;
use dad_fs::{Dir, FileLock};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::layout::LEASE;
use crate::machine;

/// Who drives a run, for people; the lock on the file is the truth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    schema_version: u32,
    host: String,
    pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// Takes the lease of a run.
pub(crate) fn acquire(dot_run: &Dir) -> Result<FileLock, RunError> {
    let Some(mut lock) = dot_run.lock(LEASE)? else {
        return Err(RunError::LeaseHeld(holder(dot_run)));
    };
    let holder = Holder {
        schema_version: SCHEMA_VERSION,
        host: machine::host(),
        pid: std::process::id(),
        boot_id: machine::boot_id(),
    };
    let text = serde_json::to_vec(&holder).map_err(|e| RunError::unreadable(LEASE, e))?;
    lock.write_content(&text)?;
    Ok(lock)
}

/// Whether a process drives the run.
pub(crate) fn is_held(dot_run: &Dir) -> Result<bool, RunError> {
    Ok(dot_run.is_locked(LEASE)?)
}

pub(crate) fn holder(dot_run: &Dir) -> String {
    let read = dot_run
        .read(LEASE)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Holder>(&bytes).ok());
    read.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
}
