//! Taking back what the file operations of a run changed, from the plans that it recorded.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dad_core::{HierarchyPath, RunStatus};
use dad_fs::{Dir, Durability, FileLock};
use dad_run::layout::FILE_CHANGES;
use dad_run::{RunError, RunView};
use dad_runner::{NodeError, Stop};

use super::mark::Mark;
use super::place::{Place, Roots};
use super::plan::{Change, PLAN, Plan, Standing};

/// The changes of a run that are to be taken back, step by step, the last first.
///
/// It is looked at as a whole before anything is changed: a file that was changed since is not overwritten. What an
/// interrupted attempt took back already is known, so that it can be called again.
pub struct Undo {
    steps: Vec<UndoStep>,
}

/// One step of an [`Undo`].
#[non_exhaustive]
pub struct UndoStep {
    /// The step.
    pub path: HierarchyPath,
    /// The changes, in the order in which they are made.
    pub changes: Vec<UndoChange>,
    /// Commits that the step made. They stay.
    pub commits: Vec<String>,
    roots: Roots,
    reversed: Change,
}

/// A change of one file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoChange {
    /// It, absolute.
    pub path: PathBuf,
    /// The action.
    pub action: UndoAction,
}

/// The action of an [`Undo`] on a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UndoAction {
    /// It is as it was before the step.
    Nothing,
    /// It gets its content, permissions and times from before the step.
    Restore,
    /// It was made by the step and is removed.
    Remove,
    /// It is a directory that the step made and that holds other entries by now. It stays.
    Keep,
}

/// Why changes are not taken back. Nothing was changed then, unless the message says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// The run, or a plan of it, cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run is being driven.
    #[error("the run `{0}` is being executed; nothing was changed")]
    Driven(String),
    /// Files are not as a step left them.
    #[error("{} changed since `{step}`; nothing was changed", listed(.files))]
    Changed {
        /// The step that changed them.
        step: HierarchyPath,
        /// As messages show them.
        files: Vec<String>,
    },
    /// The former content of files is not recorded, because it holds a secret.
    #[error(
        "what stood in {} before `{step}` is not recorded, because a secret stands in it; nothing was changed",
        listed(.files)
    )]
    Withheld {
        /// The step that changed them.
        step: HierarchyPath,
        /// As messages show them.
        files: Vec<String>,
    },
    /// The plan of a step cannot be used.
    #[error("`{step}`: {reason}")]
    Step {
        /// The step.
        step: HierarchyPath,
        /// Why.
        reason: String,
    },
}

/// The number of files that a message names.
const MAX_NAMED: usize = 10;

fn listed(files: &[String]) -> String {
    let named: Vec<String> = files
        .iter()
        .take(MAX_NAMED)
        .map(|file| format!("`{file}`"))
        .collect();
    match files.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", named.join(", ")),
        None => named.join(", "),
    }
}

fn of_step(step: &HierarchyPath) -> impl Fn(NodeError) -> UndoError + use<> {
    let step = step.clone();
    move |error| UndoError::Step {
        step: step.clone(),
        reason: error.info.message,
    }
}

impl Undo {
    /// Finds what a run changed: all its steps, or one of them. Steps whose results it took from another run changed
    /// nothing in it. Changes nothing.
    ///
    /// `project_root` is where the project lies now.
    ///
    /// # Errors
    /// If the run is being driven, a plan cannot be read or is not the one that was recorded, or something was changed since.
    pub fn find(
        view: &RunView,
        step: Option<&HierarchyPath>,
        project_root: &Path,
    ) -> Result<Self, UndoError> {
        if view.status == RunStatus::Running {
            return Err(UndoError::Driven(view.name().into_owned()));
        }
        // One that cannot be opened is refused with its directories.
        let project_root = &project_root
            .canonicalize()
            .unwrap_or_else(|_| project_root.to_path_buf());
        let mut steps = Vec::new();
        for path in view.ended_steps()?.into_iter().rev() {
            let is_wanted = step.is_none_or(|step| *step == path);
            let is_own = view.step(&path).is_some_and(|step| !step.is_taken());
            if is_wanted && is_own {
                steps.extend(UndoStep::find(view, path, project_root)?);
            }
        }
        let mut places = Places::default();
        for (number, step) in steps.iter().enumerate() {
            for target in &step.reversed.plan.targets {
                let before = places.before.entry(step.real(&target.place)).or_default();
                before.push((number, target.after().clone()));
            }
        }
        for (number, step) in steps.iter_mut().enumerate() {
            step.look(number, &mut places)?;
        }
        Ok(Self { steps })
    }

    /// The steps, in the order in which they are taken back.
    #[must_use]
    pub fn steps(&self) -> &[UndoStep] {
        &self.steps
    }

    /// Takes the changes back. What fails in between leaves what was taken back before; calling it again does the rest.
    ///
    /// # Errors
    /// If a file cannot be changed, or was changed since this was found.
    pub fn apply(&self) -> Result<(), UndoError> {
        for step in &self.steps {
            step.apply().map_err(of_step(&step.path))?;
        }
        Ok(())
    }
}

/// The facts about places, by their absolute paths.
#[derive(Default)]
struct Places {
    /// The states before each step, with the position of the step in the order of taking back.
    before: HashMap<PathBuf, Vec<(usize, Mark)>>,
    /// The states once the steps that were looked at are taken back.
    expected: HashMap<PathBuf, Mark>,
}

impl Places {
    /// The state before one of the steps behind this one, if it is the present state.
    fn taken_back(&self, path: &Path, number: usize, stands: impl Fn(&Mark) -> bool) -> Option<&Mark> {
        let before = self.before.get(path)?.iter();
        let mut further = before.filter(|(of, _)| *of > number).map(|(_, mark)| mark);
        further.find(|mark| stands(mark))
    }
}

impl UndoStep {
    fn find(view: &RunView, path: HierarchyPath, project_root: &Path) -> Result<Option<Self>, UndoError> {
        let Some(plan) = view.step_file::<Plan>(&path, &format!("{FILE_CHANGES}/{PLAN}"))? else {
            return Ok(None);
        };
        let wrong = of_step(&path);
        let roots = plan.roots.iter().map(|root| moved(view, root, project_root));
        let roots = Roots::recorded(roots.collect()).map_err(&wrong)?;
        let stored = Dir::open(view.dir_of(&path).join(FILE_CHANGES)).map_err(|error| wrong(error.into()))?;
        let reversed = Change::reversed(plan, stored).map_err(&wrong)?;
        let result = view.result(&path)?;
        let commits = result["outcome"]["git"]["commits"].as_array();
        let commits = commits.into_iter().flatten().filter_map(|commit| commit.as_str());
        let commits = commits.map(str::to_owned).collect();
        Ok(Some(Self {
            path,
            changes: Vec::new(),
            commits,
            roots,
            reversed,
        }))
    }

    fn real(&self, place: &Place) -> PathBuf {
        self.roots.real(place.root).join(&place.path)
    }

    /// Decides what is to be done at each place. Where that is nothing, the place is left out of the change.
    fn look(&mut self, number: usize, places: &mut Places) -> Result<(), UndoError> {
        let wrong = of_step(&self.path);
        let (mut changed, mut withheld) = (Vec::new(), Vec::new());
        let mut actions: BTreeMap<Place, UndoAction> = BTreeMap::new();
        for target in &self.reversed.plan.targets {
            let path = self.real(&target.place);
            let shown = || self.roots.shown(&target.place);
            let expected = places.expected.get(&path);
            let standing = match expected {
                Some(mark) => target.standing_of(mark),
                None => self.reversed.standing(target, &self.roots).map_err(&wrong)?,
            };
            let action = match standing {
                Standing::After => UndoAction::Nothing,
                Standing::Neither(_) => {
                    let stands = |mark: &Mark| match expected {
                        Some(expected) => mark.is_same(expected),
                        None => mark.stands(&self.roots, &target.place),
                    };
                    match places.taken_back(&path, number, stands).cloned() {
                        Some(mark) => {
                            places.expected.insert(path.clone(), mark);
                        }
                        None => changed.push(shown()),
                    }
                    UndoAction::Nothing
                }
                Standing::Before if expected.is_none() && target.has_other_mode(&self.roots) => {
                    changed.push(shown());
                    UndoAction::Nothing
                }
                Standing::Before if self.reversed.lacks(target) => {
                    withheld.push(shown());
                    UndoAction::Nothing
                }
                Standing::Before if target.removes_directory() => {
                    let holds = holds_others(&target.place, &self.roots, &actions, &places.expected);
                    if holds.map_err(&wrong)? {
                        UndoAction::Keep
                    } else {
                        UndoAction::Remove
                    }
                }
                Standing::Before if target.removes() => UndoAction::Remove,
                Standing::Before => UndoAction::Restore,
            };
            if matches!(action, UndoAction::Restore | UndoAction::Remove) {
                places.expected.insert(path.clone(), target.after().clone());
            }
            actions.insert(target.place.clone(), action);
            self.changes.push(UndoChange { path, action });
        }
        let step = self.path.clone();
        match (changed.is_empty(), withheld.is_empty()) {
            (false, _) => Err(UndoError::Changed { step, files: changed }),
            (true, false) => Err(UndoError::Withheld {
                step,
                files: withheld,
            }),
            (true, true) => {
                let is_open = |place: &Place| {
                    matches!(actions.get(place), Some(UndoAction::Restore | UndoAction::Remove))
                };
                self.reversed.plan.targets.retain(|target| is_open(&target.place));
                Ok(())
            }
        }
    }

    fn apply(&self) -> Result<(), NodeError> {
        let _locks = lock(&self.roots)?;
        let applied = self
            .reversed
            .apply(&self.roots, Durability::Disk, false, &Stop::default());
        applied.map(drop).map_err(|failed| failed.error)
    }
}

/// The present path of a directory that a run worked in, also after the project was moved.
fn moved(view: &RunView, root: &Path, project_root: &Path) -> PathBuf {
    let projects = view.places().map(|place| place.project_root);
    let within = projects
        .filter(|project| !project.as_os_str().is_empty())
        .find_map(|project| Some(project_root.join(root.strip_prefix(project).ok()?)));
    within.unwrap_or_else(|| root.to_path_buf())
}

/// Whether a directory holds entries that do not go with it.
fn holds_others(
    place: &Place,
    roots: &Roots,
    actions: &BTreeMap<Place, UndoAction>,
    expected: &HashMap<PathBuf, Mark>,
) -> Result<bool, NodeError> {
    let Some(dir) = roots.directory(place)? else {
        return Ok(false);
    };
    for (name, _) in dir.names()? {
        let Some(name) = name.to_str() else {
            return Ok(true);
        };
        let child = place.join(name);
        let goes = match actions.get(&child) {
            Some(action) => *action == UndoAction::Remove,
            None => {
                let path = roots.real(child.root).join(&child.path);
                expected.get(&path).is_some_and(Mark::is_absent)
            }
        };
        if !goes {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Locks the directories as steps do, without waiting.
fn lock(roots: &Roots) -> Result<Vec<FileLock>, NodeError> {
    let lock = |dir: &Dir| {
        dir.lock_directory()?.ok_or_else(|| {
            let message = format!("a step is changing files in `{}`", dir.path().display());
            NodeError::new("base_directory_busy", message)
        })
    };
    roots.dirs().map(lock).collect()
}
