//! Sessions: the time in which one process drives a run, and the child processes of it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::journal::record::SessionStart;

/// The process that drove a run for a while, as its journal names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) host: String,
    /// `None` where the system does not say, and in journals that were written before it was recorded.
    pub(crate) boot_id: Option<String>,
    pub(crate) run_dir: PathBuf,
    /// The token in the environment of its children.
    pub(crate) token: Option<String>,
}

impl From<&SessionStart> for Session {
    fn from(start: &SessionStart) -> Self {
        let driver = &start.driver;
        Self {
            host: driver.host.clone(),
            boot_id: driver.boot_id.clone(),
            run_dir: driver.run_dir.clone(),
            token: start.token.clone(),
        }
    }
}

/// A process group that a step started and of which no end is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Child {
    pub(crate) pgid: u32,
    pub(crate) start_time: Option<u64>,
    /// The token in its environment.
    pub(crate) token: Option<String>,
    /// The session that recorded it; `None` if the journal has a child before its first driver.
    pub(crate) session: Option<Arc<Session>>,
}
