//! Child processes that a driver left behind when it died.

use std::path::Path;

use dad_core::HierarchyPath;

use crate::journal::session::Child;
use crate::store::view::RunView;
use crate::{host, process_group};

/// Whether a recorded path is the one of a run directory.
fn is_same_dir(recorded: &Path, run_dir: &Path) -> bool {
    // Anything else would mean this directory wherever it is read.
    let is_whole = recorded.is_absolute() && !["/proc", "/dev"].iter().any(|dir| recorded.starts_with(dir));
    // One of them may lead through a symbolic link; a directory that is gone is no other one's.
    let is_same = || matches!((recorded.canonicalize(), run_dir.canonicalize()), (Ok(a), Ok(b)) if a == b);
    is_whole && (recorded == run_dir || is_same())
}

/// A process group that a step started, and that was to end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedProcess {
    /// The group.
    pub pgid: u32,
    /// The reason why it still executes, if it does.
    pub left: Option<String>,
}

/// A process group that was not ended, because it is not certain to be the run's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftProcess {
    /// The step that started it.
    pub path: HierarchyPath,
    /// Its number on the machine that started it.
    pub pgid: u32,
    /// The reason why it was not ended.
    pub reason: String,
}

impl Child {
    /// Why a process group of that number may be another one than the one that was recorded.
    fn doubt(&self, run_dir: &Path) -> Option<String> {
        let Some(session) = &self.session else {
            return Some("the journal does not say which process started it".to_owned());
        };
        if self.pgid <= 1 || process_group::is_own_group(self.pgid) {
            return Some("a run never has a process group of this number".to_owned());
        }
        if session.host != host::name() {
            return Some(format!("it was started on `{}`", session.host));
        }
        if !is_same_dir(&session.run_dir, run_dir) {
            let dir = session.run_dir.display();
            return Some(format!("it belongs to the run in `{dir}`"));
        }
        if session.boot_id.is_none() {
            return Some("the journal does not say since which start of the machine it executes".to_owned());
        }
        if self.token.is_none() || self.token != session.token {
            return Some("the journal does not say how to tell it from other processes".to_owned());
        }
        None
    }

    /// Whether the machine was started anew since: then the group is gone.
    fn is_of_another_boot(&self) -> bool {
        let recorded = self.session.as_ref().and_then(|session| session.boot_id.as_ref());
        recorded.is_some() && recorded != host::boot_id().as_ref()
    }
}

impl RunView {
    /// Ends the process groups that steps of the run started and that still execute. A group is ended only if a process
    /// that drove the run in this directory started it, on this machine since its last start, and a member's environment
    /// holds the token of that session: the number alone may meanwhile belong to processes of others. The rest is returned.
    #[must_use]
    pub fn end_children(&self) -> Vec<LeftProcess> {
        let left = |(path, ended): (HierarchyPath, Option<EndedProcess>)| {
            let EndedProcess { pgid, left } = ended?;
            left.map(|reason| LeftProcess { path, pgid, reason })
        };
        self.end_executing().into_iter().filter_map(left).collect()
    }

    /// As [`end_children`](Self::end_children), with each step that executes and what became of the process group that it started
    /// last, if it started any.
    #[must_use]
    pub fn end_executing(&self) -> Vec<(HierarchyPath, Option<EndedProcess>)> {
        let open = &self.progress().open;
        let executing = open.steps.iter().filter(|(path, _)| open.executes(path));
        executing
            .map(|(path, step)| {
                (
                    path.clone(),
                    step.child.as_ref().map(|child| self.end_child(child)),
                )
            })
            .collect()
    }

    fn end_child(&self, child: &Child) -> EndedProcess {
        let token = child.token.as_deref().unwrap_or_default();
        let left = match child.doubt(self.dir()) {
            None if child.is_of_another_boot() => None,
            None => process_group::end_group(child.pgid, child.start_time, token),
            // What has ended needs no mention.
            doubt => doubt.filter(|_| process_group::may_be_alive(child.pgid)),
        };
        let pgid = child.pgid;
        EndedProcess { pgid, left }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::journal::session::Session;

    #[test]
    fn no_number_of_a_journal_names_every_process_or_the_own_ones() {
        let run_dir = Path::new("/");
        for elsewhere in ["", ".", "..", "/proc/self/cwd", "/dev/fd/3"] {
            assert!(!is_same_dir(Path::new(elsewhere), run_dir), "{elsewhere}");
        }
        let session = Arc::new(Session {
            host: host::name(),
            boot_id: host::boot_id().or_else(|| Some("a start".to_owned())),
            run_dir: run_dir.to_path_buf(),
            token: Some("token".to_owned()),
        });
        let child = |pgid: u32| Child {
            pgid,
            start_time: process_group::process_start_time(1),
            token: Some("token".to_owned()),
            session: Some(Arc::clone(&session)),
        };
        let is_own = |pgid: &u32| process_group::is_own_group(*pgid);
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
