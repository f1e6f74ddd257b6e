//! A project in a temporary directory.

use std::path::{Path, PathBuf};

use dad_fs::{Dir, Durability, ScratchDir};
use dad_project::{Project, User};
use dad_run::{RunView, layout};

/// The key that signs the runs of tests: without one, no run counts as the user's own.
const ORIGIN_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A project in a temporary directory, with a user of its own: neither the environment nor the configuration of the user of
/// this process counts, and its runs are signed with a key of tests.
///
/// When it is dropped, it verifies each run in it, so that no test has to think of it, and removes the directory. A test that
/// panics is not checked.
///
/// ```
/// use dad_testing::TestProject;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test = TestProject::new();
/// test.write(".dhenara/config.yaml", "environments: { default: {}, ci: { budget: { calls: 2 } } }");
/// let project = test.project().environment("ci")?;
/// assert_eq!(project.settings().budget.calls, Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestProject {
    dir: ScratchDir,
    user: User,
}

impl TestProject {
    /// An empty project.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, and the directories above it; an existing file is replaced.
    ///
    /// # Panics
    /// If the path leads out of the project, or the file cannot be written.
    #[track_caller]
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        if let Err(error) = write(self.path(), Path::new(path), text.as_ref()) {
            panic!("cannot write `{path}` of the test project: {error}");
        }
        self
    }

    /// The user of the project.
    #[must_use]
    pub const fn user(&self) -> &User {
        &self.user
    }

    /// The project, opened for its user as it is now.
    ///
    /// # Panics
    /// If its configuration cannot be used; `test.user().open(test.path())` returns that error.
    #[must_use]
    #[track_caller]
    pub fn project(&self) -> Project {
        match self.user.open(self.path()) {
            Ok(project) => project,
            Err(error) => panic!("the test project cannot be opened: {error}"),
        }
    }

    /// Verifies the runs so far.
    ///
    /// # Panics
    /// With the damage, if files of a run are not as its journal names them.
    #[track_caller]
    pub fn verify(&self) {
        let damage: Vec<String> = run_dirs(self.path())
            .iter()
            .flat_map(|run| damage_of(run))
            .collect();
        assert!(
            damage.is_empty(),
            "the runs of the test project are damaged:\n{}",
            damage.join("\n")
        );
    }

    /// Verifies the runs so far and hands the directory over to a test that damages them.
    ///
    /// # Panics
    /// As [`verify`](Self::verify).
    #[must_use]
    #[track_caller]
    pub fn into_unchecked(mut self) -> ScratchDir {
        self.verify();
        // The directory that is dropped instead is empty.
        std::mem::replace(&mut self.dir, scratch())
    }
}

impl Default for TestProject {
    fn default() -> Self {
        let variables = [("DHENARA_ORIGIN_KEY", ORIGIN_KEY)].into_iter().collect();
        match User::from_variables(variables) {
            Ok(user) => Self { dir: scratch(), user },
            Err(error) => panic!("the user of a test project cannot be made: {error}"),
        }
    }
}

impl Drop for TestProject {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.verify();
        }
    }
}

fn scratch() -> ScratchDir {
    match ScratchDir::new() {
        Ok(dir) => dir,
        Err(error) => panic!("a directory for a test cannot be made: {error}"),
    }
}

fn write(root: &Path, path: &Path, bytes: &[u8]) -> dad_fs::FsResult<()> {
    let root = Dir::open(root)?;
    if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
        root.create_dir_all(parent)?;
    }
    root.replace(path, bytes, Durability::Process)
}

/// The run directories at any depth below `dir`. One whose journal has no first record is what a process left that died while
/// it made a run.
fn run_dirs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        if dir.join(layout::DOT_RUN).is_dir() {
            let journal = std::fs::read(dir.join(layout::DOT_RUN).join(layout::JOURNAL));
            found.extend(journal.is_ok_and(|text| text.contains(&b'\n')).then_some(dir));
            continue;
        }
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(dirs.map(|entry| entry.path()));
    }
    found.sort();
    found
}

fn damage_of(run: &Path) -> Vec<String> {
    match RunView::open(run).and_then(|view| view.verify()) {
        Ok(found) => found
            .damage
            .iter()
            .map(|damage| format!("{}: {}", damage.path.display(), damage.reason))
            .collect(),
        Err(error) => vec![format!("{}: {error}", run.display())],
    }
}
