//! A project directory for the tests of this workspace.

use std::ops::Deref;

use dad_fs::ScratchDir;

use crate::run_dir::{find_run_dirs, validate_run_dir};

/// A project in a temporary directory. When it is dropped, each run in it is verified and checked against the formats of
/// `docs/format`.
#[derive(Debug, Default)]
pub struct TestProject(dad_testing::TestProject);

impl TestProject {
    /// An empty project.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the runs made so far and hands the directory over to a test that damages them.
    ///
    /// # Panics
    /// With everything that is wrong.
    #[must_use]
    pub fn into_unchecked(mut self) -> ScratchDir {
        self.check();
        // The project that is dropped instead is empty.
        std::mem::take(&mut self.0).into_unchecked()
    }

    fn check(&self) {
        for dir in find_run_dirs(self.path()) {
            let _ = validate_run_dir(&dir);
        }
    }
}

impl Deref for TestProject {
    type Target = dad_testing::TestProject;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for TestProject {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}
