//! Removal of directory trees of any depth.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;

/// Removes a directory with everything in it; of a symbolic link the link.
///
/// What is not empty is moved up to the outermost directory before it is looked into. So a tree of any depth takes two open
/// directories and no stack, and one whose removal was interrupted can be removed like any other.
pub(crate) fn remove_tree(around: &Dir, name: &Path) -> io::Result<()> {
    if around.symlink_metadata(name)?.is_symlink() {
        return around.remove_file(name);
    }
    let top = around.open_dir_nofollow(name)?;
    let mut tree = Tree {
        top: &top,
        waiting: Vec::new(),
        moved: 0,
    };
    tree.empty(&top, true)?;
    while let Some(name) = tree.waiting.pop() {
        tree.empty(&top.open_dir_nofollow(&name)?, false)?;
        top.remove_dir(&name)?;
    }
    around.remove_dir(name)
}

struct Tree<'a> {
    top: &'a Dir,
    /// The directories in the outermost that are to be removed.
    waiting: Vec<OsString>,
    moved: u64,
}

impl Tree<'_> {
    /// Removes the files of a directory, and leaves its directories in the outermost one.
    fn empty(&mut self, dir: &Dir, is_top: bool) -> io::Result<()> {
        let entries = dir.entries()?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), entry.file_type()?.is_dir()))
        });
        for (name, is_dir) in entries.collect::<io::Result<Vec<_>>>()? {
            match is_dir {
                false => dir.remove_file(&name)?,
                true if is_top => self.waiting.push(name),
                // An empty one goes at once, also if it must not be changed and so not be moved.
                true if dir.remove_dir(&name).is_ok() => {}
                true => self.move_up(dir, &name)?,
            }
        }
        Ok(())
    }

    fn move_up(&mut self, dir: &Dir, name: &OsStr) -> io::Result<()> {
        let free = loop {
            self.moved += 1;
            let free = format!(".removed-{}", self.moved);
            if self.top.symlink_metadata(&free).is_err() {
                break OsString::from(free);
            }
        };
        dir.rename(name, self.top, &free)?;
        self.waiting.push(free);
        Ok(())
    }
}
