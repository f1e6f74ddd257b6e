//! The lease of a run: the lock that makes one process its driver.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_fs::{Dir, FileLock};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::journal::reader::first_and_last;
use crate::journal::record::RecordBody;
use crate::layout::{JOURNAL, LEASE};
use crate::{format, host, process_group};

/// The number of attempts at a lock that another process holds for a moment, to look at it or before it has signed it.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(10);

/// The driver of a run, for people; the lock on the file is the truth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    schema_version: u32,
    host: String,
    pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_dir: Option<PathBuf>,
}

impl Holder {
    /// Whether it is a process of this machine that has certainly ended.
    fn is_dead(&self) -> bool {
        self.host == host::name()
            && (self.boot_id != host::boot_id() || !process_group::may_be_alive(self.pid))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// The lock of the process that drives a run.
#[derive(Debug)]
pub(crate) struct Lease {
    lease: FileLock,
    /// The journal itself is locked as well: a program that removes the lease, as those do which keep directories in step
    /// with others, lets no second driver in.
    journal: Option<FileLock>,
}

impl Lease {
    /// Writes who holds it.
    pub(crate) fn sign(&mut self, dot_run: &Dir) -> Result<(), RunError> {
        let holder = Holder {
            schema_version: format::LEASE,
            host: host::name(),
            pid: std::process::id(),
            boot_id: host::boot_id(),
            run_dir: dot_run.path().parent().map(Path::to_path_buf),
        };
        let text = serde_json::to_vec(&holder).map_err(|e| RunError::unreadable(LEASE, e))?;
        Ok(self.lease.write_content(&text)?)
    }

    /// Locks the journal of a run that is being made, once it is there.
    pub(crate) fn lock_journal(&mut self, dot_run: &Dir) -> Result<(), RunError> {
        self.journal = lock_journal(dot_run)?;
        Ok(())
    }
}

/// Locks the journal for its driver, if there is one.
fn lock_journal(dot_run: &Dir) -> Result<Option<FileLock>, RunError> {
    // There a lock keeps the driver itself from writing through another handle.
    if cfg!(windows) {
        return Ok(None);
    }
    for _ in 0..LOCK_ATTEMPTS {
        match dot_run.lock_existing(JOURNAL) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            // A reader only looks whether it is held, and lets go at once.
            Ok(None) => std::thread::sleep(LOCK_RETRY_DELAY),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Err(held(dot_run, false))
}

/// Takes the lease of a run, to be [signed](Lease::sign) once it is clear that this process drives it. The lock of a process
/// on another machine cannot be seen on every file system: unless the run was sealed, such a process counts as its driver
/// until the user steals the lease.
pub(crate) fn acquire(dot_run: &Dir, steal: bool) -> Result<Lease, RunError> {
    acquire_where(dot_run, steal, host::is_known_local)
}

/// Takes the lease of a run where `is_local` says on which directories locks are known to hold.
fn acquire_where(dot_run: &Dir, steal: bool, is_local: fn(&Path) -> bool) -> Result<Lease, RunError> {
    let lease = lock(dot_run, steal)?;
    let journal = lock_journal(dot_run)?;
    if !steal && let Some(holder) = foreign_holder_where(dot_run, is_local)? {
        return Err(RunError::LeaseOfAnotherHost(holder.to_string()));
    }
    Ok(Lease { lease, journal })
}

/// Locks the lease. While it names no living process, its holder only looks whether it is held, or
/// has yet to sign it: neither may be taken for a process that drives the run and cannot be
/// named.
fn lock(dot_run: &Dir, steal: bool) -> Result<FileLock, RunError> {
    for _ in 0..LOCK_ATTEMPTS {
        if let Some(lock) = dot_run.lock(LEASE)? {
            return Ok(lock);
        }
        if read_holder(dot_run).is_some_and(|holder| !holder.is_dead()) {
            break;
        }
        std::thread::sleep(LOCK_RETRY_DELAY);
    }
    Err(held(dot_run, steal))
}

fn held(dot_run: &Dir, steal: bool) -> RunError {
    let run = dot_run.path().parent().and_then(Path::file_name);
    RunError::LeaseHeld {
        run: run.unwrap_or_default().to_string_lossy().into_owned(),
        holder: holder(dot_run),
        steal,
    }
}

/// Whether a process drives the run.
pub(crate) fn is_held(dot_run: &Dir) -> Result<bool, RunError> {
    let is_locked = dot_run.is_locked(LEASE)? || (cfg!(unix) && dot_run.is_locked(JOURNAL)?);
    Ok(is_locked || foreign_holder(dot_run)?.is_some())
}

fn is_sealed(dot_run: &Dir) -> Result<bool, RunError> {
    let path = dot_run.path().join(JOURNAL);
    let ends = first_and_last(dot_run.open_file(JOURNAL)?, &path, None)?;
    Ok(ends.is_some_and(|ends| matches!(ends.last.body, RecordBody::RunSealed { .. })))
}

/// A holder on another machine whose lock cannot be seen from here.
pub(crate) fn foreign_holder(dot_run: &Dir) -> Result<Option<Holder>, RunError> {
    foreign_holder_where(dot_run, host::is_known_local)
}

fn foreign_holder_where(dot_run: &Dir, is_local: fn(&Path) -> bool) -> Result<Option<Holder>, RunError> {
    let Some(holder) = read_holder(dot_run).filter(|holder| holder.host != host::name()) else {
        return Ok(None);
    };
    let may_drive = !is_local(dot_run.path()) && !is_sealed(dot_run)?;
    Ok(may_drive.then_some(holder))
}

fn read_holder(dot_run: &Dir) -> Option<Holder> {
    const LONGEST: u64 = 64 * 1024;
    serde_json::from_slice(&dot_run.read_regular_inside(LEASE, LONGEST).ok()?).ok()
}

/// The holder of the lease, in words.
pub(crate) fn holder(dot_run: &Dir) -> String {
    let named = read_holder(dot_run).filter(|holder| !holder.is_dead());
    named.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
}

#[cfg(test)]
mod tests {
    use dad_core::{RunStatus, Timestamp};
    use dad_fs::{Durability, ScratchDir};

    use super::*;
    use crate::error::NextStep;
    use crate::journal::record::Record;
    use crate::journal::step_committed::Totals;

    /// The `.run` of a run that a process of another machine drove, and whether it sealed it.
    fn driven_elsewhere(place: &Path, sealed: bool) -> Dir {
        let dir = Dir::open(place).unwrap();
        let holder = Holder {
            schema_version: format::LEASE,
            host: "elsewhere.example".to_owned(),
            pid: 7,
            boot_id: None,
            run_dir: None,
        };
        let mut lease = dir.lock(LEASE).unwrap().unwrap();
        lease
            .write_content(&serde_json::to_vec(&holder).unwrap())
            .unwrap();
        let end = RecordBody::RunSealed {
            status: RunStatus::Failed,
            error: None,
            totals: Totals::default(),
            open_questions: 0,
            output: None,
        };
        let body = if sealed { end } else { RecordBody::Unknown };
        let record = Record {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            body,
        };
        let line = format!("{}\n", serde_json::to_string(&record).unwrap());
        dir.write_new(JOURNAL, line.as_bytes(), Durability::Process)
            .unwrap();
        dir
    }

    #[test]
    fn a_lease_of_another_machine_is_stolen_only_if_the_user_says_so() {
        let place = ScratchDir::new().unwrap();
        let dot_run = driven_elsewhere(place.path(), false);
        let refused = acquire_where(&dot_run, false, |_| false).unwrap_err();
        assert!(
            matches!(&refused, RunError::LeaseOfAnotherHost(who) if who == "process 7 on elsewhere.example"),
            "{refused}"
        );
        assert_eq!(refused.next_step(), Some(NextStep::StealLease));
        acquire_where(&dot_run, true, |_| false)
            .unwrap()
            .sign(&dot_run)
            .unwrap();
        assert_eq!(read_holder(&dot_run).unwrap().host, host::name());
        let _ = acquire_where(&dot_run, false, |_| false).unwrap();
    }

    #[test]
    fn nothing_is_stolen_where_locks_hold_or_the_run_was_sealed() {
        for (sealed, is_local) in [(false, true), (true, false)] {
            let place = ScratchDir::new().unwrap();
            let dot_run = driven_elsewhere(place.path(), sealed);
            let is_local: fn(&Path) -> bool = if is_local { |_| true } else { |_| false };
            assert!(acquire_where(&dot_run, false, is_local).is_ok(), "{sealed}");
        }
    }

    #[test]
    fn a_lease_that_is_held_is_never_stolen() {
        let place = ScratchDir::new().unwrap();
        let dot_run = Dir::open(place.path()).unwrap();
        let held = acquire(&dot_run, false).unwrap();
        let refused = acquire(&dot_run, true).unwrap_err();
        assert!(matches!(refused, RunError::LeaseHeld { .. }), "{refused}");
        drop(held);
        let _ = acquire(&dot_run, false).unwrap();
    }
}
