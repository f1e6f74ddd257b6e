//! Directories below a directory: opening, making and removing them.

use super::{Dir, plain};
use crate::error::{Context, FsResult, optional};
use crate::gate::Change;
use crate::patience::patiently;
use crate::removal::remove_tree;
use cap_fs_ext::DirExt;
use std::path::Path;

impl Dir {
    /// Opens a directory inside this one.
    ///
    /// # Errors
    /// If it is missing, not a directory, or outside.
    pub fn open_dir(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        let dir = patiently(|| self.dir.open_dir(name)).context("open the directory", || self.full(name))?;
        Ok(self.wrap(dir, name))
    }

    /// Opens a directory inside this one, `None` if it is missing.
    ///
    /// # Errors
    /// If it is not a directory, or outside.
    pub fn open_dir_optional(&self, name: impl AsRef<Path>) -> FsResult<Option<Self>> {
        optional(self.open_dir(name))
    }

    /// Makes a new directory and opens it.
    ///
    /// # Errors
    /// If something of that name exists or it cannot be made.
    pub fn create_dir(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        self.create_dir_only(name)?;
        self.open_dir(name)
    }

    /// Makes a new directory without opening it.
    ///
    /// # Errors
    /// If something of that name exists or it cannot be made.
    pub fn create_dir_only(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("create the directory", name, Change::CreateDir, |dir| {
            self.share.create_dir(dir, name, false)
        })
    }

    /// Opens a directory inside this one and makes it, and those between, if they are missing.
    ///
    /// # Errors
    /// If one of them cannot be made or is no directory.
    pub fn create_dir_all(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        if let Some(dir) = self.open_dir_optional(name)? {
            return Ok(dir);
        }
        self.change("create the directory", name, Change::CreateDir, |dir| {
            self.share.create_dir(dir, name, true)
        })?;
        self.open_dir(name)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// If it is missing or cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove", name, Change::Remove, |dir| dir.remove_file(name))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// If it is missing, not empty, or cannot be removed.
    pub fn remove_dir(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove the directory", name, Change::Remove, |dir| {
            dir.remove_dir(name)
        })
    }

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// If any of it cannot be removed.
    pub fn remove_dir_all(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove the directory", name, Change::Remove, |dir| {
            remove_tree(dir, name)
        })
    }

    /// Opens a directory of this one by its plain name, and not where a symbolic link of that name leads.
    ///
    /// # Errors
    /// If it is missing, not a directory, or a symbolic link, also one that took its place just now.
    pub fn open_dir_nofollow(&self, name: &str) -> FsResult<Self> {
        let opened = patiently(|| self.dir.open_dir_nofollow(plain(name)?));
        let dir = opened.context("open the directory", || self.full(name))?;
        Ok(self.wrap(dir, Path::new(name)))
    }
}
