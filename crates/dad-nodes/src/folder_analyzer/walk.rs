//! One pass over a tree, by directories that stay open, so that no directory can be exchanged for one outside meanwhile.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dad_fs::{Dir, EntryKind};
use dad_runner::{NodeError, Stop};

use super::patterns::Why;
use super::place::{Ground, Place};
use super::rules::{Fate, Rules};
use super::settings::FolderAnalysisOperation;

/// Deepest level that is looked into, whatever is asked for: every level keeps a directory open.
pub(super) const MAX_LEVELS: usize = 200;

/// Something found on a walk.
pub(super) struct Spot<'a> {
    /// The open directory it is in.
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
    /// From the root of the file system.
    pub(super) path: &'a Path,
    pub(super) kind: EntryKind,
    /// 1 for what is directly in the directory where the walk began.
    pub(super) depth: usize,
}

/// A receiver of the entries that a walk finds, in the order of names.
pub(super) trait Visit {
    /// A directory that is about to be looked into.
    fn enter(&mut self, at: &Spot<'_>);
    /// The end of the directory at this depth.
    fn leave(&mut self, depth: usize);
    /// A directory that is too deep to be looked into.
    fn cut(&mut self, at: &Spot<'_>);
    /// Anything else.
    fn entry(&mut self, at: &Spot<'_>);
    /// Something that a rule leaves out.
    fn left_out(&mut self, path: &Path, why: &Why);
    /// Something that could not be read.
    fn problem(&mut self, path: &Path, message: String);
}

/// Walks the tree below an open directory.
pub(super) fn walk(
    dir: &Dir,
    path: &Path,
    rules: Rules<'_>,
    levels: usize,
    stop: &Stop,
    visit: &mut dyn Visit,
) -> Result<(), NodeError> {
    let levels = levels.min(MAX_LEVELS);
    let mut walk = Walk {
        rules,
        levels,
        stop,
        visit,
    };
    let mut path = path.to_path_buf();
    walk.dir(dir, &mut path, 0, None)
}

struct Walk<'a> {
    rules: Rules<'a>,
    levels: usize,
    stop: &'a Stop,
    visit: &'a mut dyn Visit,
}

impl Walk<'_> {
    /// Looks into a directory; of one that a rule leaves out only at what git tracks.
    fn dir(
        &mut self,
        dir: &Dir,
        path: &mut PathBuf,
        depth: usize,
        ignored: Option<Why>,
    ) -> Result<(), NodeError> {
        let names = match dir.names() {
            Ok(names) => names,
            Err(error) => {
                self.visit.problem(path, error.source.to_string());
                return Ok(());
            }
        };
        self.rules.enter(dir, path, &names, ignored);
        for (name, kind) in &names {
            if self.stop.is_set() {
                return Err(NodeError::new(
                    "cancelled",
                    "the analysis was stopped before its end",
                ));
            }
            path.push(name);
            match self.rules.fate(path, name, *kind == EntryKind::Dir) {
                Fate::Seen => self.found(dir, name, *kind, path, depth + 1, None)?,
                Fate::OnlyTracked(why) => self.found(dir, name, *kind, path, depth + 1, Some(why))?,
                Fate::LeftOut(why) => self.visit.left_out(path, &why),
                Fate::Git => {}
            }
            path.pop();
            self.tell_problems(path);
        }
        self.tell_problems(path);
        self.rules.leave();
        Ok(())
    }

    fn tell_problems(&mut self, path: &Path) {
        for problem in std::mem::take(&mut self.rules.problems) {
            self.visit.problem(path, problem);
        }
    }

    fn found(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        kind: EntryKind,
        path: &mut PathBuf,
        depth: usize,
        ignored: Option<Why>,
    ) -> Result<(), NodeError> {
        let at = Spot {
            dir,
            name,
            path,
            kind,
            depth,
        };
        if kind != EntryKind::Dir {
            self.visit.entry(&at);
            return Ok(());
        }
        if depth > self.levels {
            self.visit.cut(&at);
            return Ok(());
        }
        self.visit.enter(&at);
        match dir.open_dir(name) {
            Ok(inside) => self.dir(&inside, path, depth, ignored)?,
            Err(error) => self.visit.problem(path, error.source.to_string()),
        }
        self.visit.leave(depth);
        Ok(())
    }
}

/// Walks a place, if it is a directory.
pub(super) fn visit(
    ground: &Ground,
    place: &Place<'_>,
    operation: &FolderAnalysisOperation,
    levels: usize,
    stop: &Stop,
    visitor: &mut dyn Visit,
) -> Result<(), NodeError> {
    if let Some(dir) = place.dir()? {
        let rules = Rules::new(ground, &place.path, operation, stop)?;
        walk(&dir, &place.path, rules, levels, stop, visitor)?;
    }
    Ok(())
}
