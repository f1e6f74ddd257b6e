//! Assertions on runs, with messages that show the steps of the run.

use std::fmt;

use dad_core::{ErrorInfo, HierarchyPath, RunId, RunStatus, StepStatus};
use dad_run::{RunView, ViewEntry};
use dad_runner::RunReport;

use self::sealed::Run;

/// Assertions on a run, by its report or its view. A failed one panics with the steps of the run, their statuses and errors.
///
/// ```no_run
/// use dad_core::StepStatus;
/// use dad_runner::RunReport;
/// use dad_testing::RunAssertions;
///
/// # fn example(report: &RunReport) {
/// report
///     .assert_completed()
///     .assert_step("story.draft", StepStatus::Completed)
///     .assert_step("story.illustration", StepStatus::Skipped);
/// # }
/// ```
///
/// A run that failed is in the error of its runner: `error.report().unwrap().assert_failed("command_failed")`. This trait is
/// sealed: [`RunReport`] and [`RunView`] implement it.
pub trait RunAssertions: Run {
    /// Asserts that the run completed.
    ///
    /// # Panics
    /// If it did not, or cannot be read.
    #[track_caller]
    fn assert_completed(&self) -> &Self {
        self.assert_status(RunStatus::Completed)
    }

    /// Asserts that the run failed with an error of this code.
    ///
    /// # Panics
    /// If it did not, or cannot be read.
    #[track_caller]
    fn assert_failed(&self, code: &str) -> &Self {
        let seen = self.seen();
        let is = seen.error.as_ref().map(|error| error.code.as_str());
        assert!(
            seen.status == RunStatus::Failed && is == Some(code),
            "expected a run that failed with `{code}`:\n{seen}"
        );
        self
    }

    /// Asserts that the run waits for an answer to a question of this step or component.
    ///
    /// # Panics
    /// If it does not, the path is none, or the run cannot be read.
    #[track_caller]
    fn assert_waiting(&self, path: &str) -> &Self {
        let (seen, path) = (self.seen(), parsed(path));
        assert!(
            seen.status == RunStatus::Waiting && seen.asking.contains(&path),
            "expected a run that waits for an answer at `{path}`:\n{seen}"
        );
        self
    }

    /// Asserts the status of the run.
    ///
    /// # Panics
    /// If it is another one, or the run cannot be read.
    #[track_caller]
    fn assert_status(&self, status: RunStatus) -> &Self {
        let seen = self.seen();
        assert!(seen.status == status, "expected a run that is {status}:\n{seen}");
        self
    }

    /// Asserts the status of a step or component; [`StepStatus::Pending`] if the run did not reach it.
    ///
    /// # Panics
    /// If it is another one, the path is none, or the run cannot be read.
    #[track_caller]
    fn assert_step(&self, path: &str, status: StepStatus) -> &Self {
        let (seen, path) = (self.seen(), parsed(path));
        let entry = seen.entries.iter().find(|entry| entry.path == path);
        let is = entry.map_or(StepStatus::Pending, |entry| entry.status);
        assert!(
            is == status,
            "expected `{path}` to be {status}, and it is {is}:\n{seen}"
        );
        self
    }
}

impl RunAssertions for RunReport {}
impl RunAssertions for RunView {}

mod sealed {
    //! The part of the trait that only this crate implements.

    /// A run that can be read.
    pub trait Run {
        /// The run as assertions see it.
        #[doc(hidden)]
        fn seen(&self) -> super::Seen;
    }
}

/// A run as assertions see it.
#[derive(Debug)]
pub struct Seen {
    run_id: RunId,
    status: RunStatus,
    error: Option<ErrorInfo>,
    asking: Vec<HierarchyPath>,
    entries: Vec<SeenEntry>,
}

#[derive(Debug)]
struct SeenEntry {
    path: HierarchyPath,
    status: StepStatus,
    error: Option<ErrorInfo>,
}

impl Run for RunView {
    fn seen(&self) -> Seen {
        let entries = self.entries().map(|(path, entry)| SeenEntry {
            path: path.clone(),
            status: entry.status(),
            error: match entry {
                ViewEntry::Step(step) => step.error.as_deref().cloned(),
                _ => None,
            },
        });
        Seen {
            run_id: self.run_id.clone(),
            status: self.status,
            error: self.error.clone(),
            asking: self.open_questions().map(|open| open.path.clone()).collect(),
            entries: entries.collect(),
        }
    }
}

impl Run for RunReport {
    #[track_caller]
    fn seen(&self) -> Seen {
        match RunView::open(&self.run_dir) {
            // A run that its caller has not ended yet has its status in the report only.
            Ok(view) => Seen {
                status: self.status,
                error: self.error.clone(),
                ..view.seen()
            },
            Err(error) => panic!("the run cannot be read: {error}"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.run_id, self.status)?;
        for entry in &self.entries {
            let path = entry.path.as_str();
            let (indent, name) = match path.rsplit_once('.') {
                Some((above, name)) => (above.matches('.').count() + 1, name),
                None => (0, path),
            };
            write!(
                f,
                "\n  {:indent$}{name}: {}",
                "",
                entry.status,
                indent = indent * 2
            )?;
            if let Some(error) = &entry.error {
                write!(f, ": {error}")?;
            }
        }
        for path in &self.asking {
            write!(f, "\nwaits for an answer at `{path}`")?;
        }
        match &self.error {
            Some(error) => write!(f, "\nerror `{}`: {error}", error.code),
            None => Ok(()),
        }
    }
}

#[track_caller]
fn parsed(path: &str) -> HierarchyPath {
    match path.parse() {
        Ok(path) => path,
        Err(error) => panic!("`{path}` is no path of a step: {error}"),
    }
}
