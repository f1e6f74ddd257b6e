//! A project directory for tests.

use std::path::Path;

use tempfile::TempDir;

use crate::run_dir::{find_run_dirs, validate_run_dir};

/// A directory for a test to make runs in. Every run directory in it is checked when it is dropped, so that no test
/// has to think of it.
#[derive(Debug)]
pub struct TestProject(TempDir);

impl TestProject {
    /// An empty directory.
    ///
    /// # Panics
    /// If none can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Checks the runs made so far and hands the directory over to a test that damages them.
    ///
    /// # Panics
    /// With everything that is wrong.
    #[must_use]
    pub fn into_unchecked(mut self) -> TempDir {
        self.check();
        // What is dropped instead is empty.
        std::mem::replace(&mut self.0, empty())
    }

    fn check(&self) {
        for dir in find_run_dirs(self.path()) {
            let _ = validate_run_dir(&dir);
        }
    }
}

impl Default for TestProject {
    fn default() -> Self {
        Self(empty())
    }
}

impl Drop for TestProject {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

fn empty() -> TempDir {
    match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => panic!("a directory for a test cannot be made: {error}"),
    }
}
