//! Where a run was driven: whether it is a run of this machine and directory, and which processes it left there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_core::HierarchyPath;
use dad_fs::Dir;

use crate::catalog::RunEntry;
use crate::error::RunError;
use crate::journal::last_driver;
use crate::layout::DOT_RUN;
use crate::record::Driver;
use crate::view::RunView;
use crate::{lease, machine};

/// The process that drove a run for a while, as its journal names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) host: String,
    /// `None` where the system does not say, and in journals that were written before it was recorded.
    pub(crate) boot_id: Option<String>,
    pub(crate) run_dir: PathBuf,
}

impl From<&Driver> for Session {
    fn from(driver: &Driver) -> Self {
        Self {
            host: driver.host.clone(),
            boot_id: driver.boot_id.clone(),
            run_dir: driver.run_dir.clone(),
        }
    }
}

impl Session {
    /// Whether it drove the run on this machine and in this directory.
    pub(crate) fn is_of(&self, run_dir: &Path) -> bool {
        self.host == machine::host() && is_same_dir(&self.run_dir, run_dir)
    }
}

/// Whether a recorded path is the one of a run directory.
fn is_same_dir(recorded: &Path, run_dir: &Path) -> bool {
    // Anything else would mean this directory wherever it is read.
    let is_whole = recorded.is_absolute() && !["/proc", "/dev"].iter().any(|dir| recorded.starts_with(dir));
    // One of them may lead through a symbolic link; a directory that is gone is no other one's.
    let is_same = || matches!((recorded.canonicalize(), run_dir.canonicalize()), (Ok(a), Ok(b)) if a == b);
    is_whole && (recorded == run_dir || is_same())
}

/// A process group that a step started and of which no end is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) pgid: u32,
    pub(crate) start_time: Option<u64>,
    /// The session that recorded it; `None` if the journal has a child before its first driver.
    pub(crate) session: Option<Arc<Session>>,
}

/// A process group of a run that was left alone, because it cannot be told whether it is the run's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftProcess {
    /// The step that started it.
    pub path: HierarchyPath,
    /// Its number on the machine that started it.
    pub pgid: u32,
    /// Why it was left alone.
    pub reason: String,
}

impl Child {
    /// Why a process group of that number may be another one than the one that was recorded.
    fn doubt(&self, run_dir: &Path) -> Option<String> {
        let Some(session) = &self.session else {
            return Some("the journal does not say which process started it".to_owned());
        };
        if self.pgid <= 1 || machine::is_own_group(self.pgid) {
            return Some("a run never has a process group of this number".to_owned());
        }
        if session.host != machine::host() {
            return Some(format!("it was started on `{}`", session.host));
        }
        if !is_same_dir(&session.run_dir, run_dir) {
            let dir = session.run_dir.display();
            return Some(format!("it belongs to the run in `{dir}`"));
        }
        if session.boot_id.is_none() {
            return Some("it is not recorded since which start of the machine it executes".to_owned());
        }
        None
    }

    /// Whether the machine was started anew since: then the group is gone.
    fn is_of_another_boot(&self) -> bool {
        let recorded = self.session.as_ref().and_then(|session| session.boot_id.as_ref());
        recorded.is_some() && recorded != machine::boot_id().as_ref()
    }
}

impl RunView {
    /// Ends the process groups that steps of the run started and that may still execute. A group is ended only if it was
    /// started on this machine since its last start, by a process that drove the run in this directory: the number alone
    /// may meanwhile belong to processes of others. The rest is returned.
    #[must_use]
    pub fn end_children(&self) -> Vec<LeftProcess> {
        let mut left = Vec::new();
        for (path, child) in &self.open_ends().children {
            match child.doubt(self.dir()) {
                Some(reason) => left.push(LeftProcess {
                    path: path.clone(),
                    pgid: child.pgid,
                    reason,
                }),
                None if child.is_of_another_boot() => {}
                None => machine::end_group(child.pgid, child.start_time),
            }
        }
        left.sort_by(|a, b| a.path.cmp(&b.path));
        left
    }

    /// Refuses a run that was driven last on another machine or in another directory, unless it is trusted: its maker
    /// decided what resuming it executes.
    ///
    /// # Errors
    /// [`RunError::ForeignRun`] with where it was driven.
    pub fn check_origin(&self, trust: bool) -> Result<(), RunError> {
        let recorded = self.open_ends().session.as_deref().cloned();
        let last = recorded.or_else(|| lease::last_session(self.dot_run()));
        if trust || last.as_ref().is_some_and(|session| session.is_of(self.dir())) {
            return Ok(());
        }
        let (host, driven_in) = last.map(|last| (last.host, last.run_dir)).unzip();
        Err(RunError::ForeignRun {
            run: self.name().into_owned(),
            dir: self.dir().to_path_buf(),
            host,
            here: machine::host(),
            driven_in,
        })
    }
}

impl RunEntry {
    /// Whether the run was driven last on this machine and in this directory. `last` and proposals never name another one.
    /// A run of the original system says neither, and executes nothing.
    #[must_use]
    pub fn is_from_here(&self) -> bool {
        if self.root_id.is_none() {
            return true;
        }
        let Ok(dot_run) = Dir::open(&self.dir).and_then(|dir| dir.open_dir(DOT_RUN)) else {
            return false;
        };
        let Ok(driver) = last_driver(&dot_run) else {
            return false;
        };
        let last = driver.as_ref().map(Session::from);
        last.or_else(|| lease::last_session(&dot_run))
            .is_some_and(|session| session.is_of(&self.dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_a_journal_names_every_process_or_the_own_ones() {
        let run_dir = Path::new("/");
        for elsewhere in ["", ".", "..", "/proc/self/cwd", "/dev/fd/3"] {
            assert!(!is_same_dir(Path::new(elsewhere), run_dir), "{elsewhere}");
        }
        let session = Arc::new(Session {
            host: machine::host(),
            boot_id: machine::boot_id().or_else(|| Some("a start".to_owned())),
            run_dir: run_dir.to_path_buf(),
        });
        let child = |pgid: u32| Child {
            pgid,
            start_time: machine::process_start_time(1),
            session: Some(Arc::clone(&session)),
        };
        let is_own = |pgid: &u32| machine::is_own_group(*pgid);
        let own = (2..=4_194_304).find(is_own);
        for pgid in [0, 1].into_iter().chain(own) {
            let doubt = child(pgid).doubt(run_dir);
            assert!(doubt.is_some_and(|doubt| doubt.contains("never has")), "{pgid}");
        }
        let unknown = Child {
            session: None,
            ..child(4_194_305)
        };
        assert!(unknown.doubt(run_dir).is_some());
        assert_eq!(child(4_194_305).doubt(run_dir), None);
    }
}
