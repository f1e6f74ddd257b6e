//! Errors that the caller's choices cause: nothing was changed.

use std::path::PathBuf;

use dad_core::{ElementId, ErrorInfo, HierarchyPath, IdError, PathError, RunId, RunIdError, SelectError};
use dad_definition::Problems;
use dad_fs::FsError;

use crate::error::words::{hint_nearest, last_driven, no_run, no_such_question, why_foreign};
use crate::error::{NextStep, RunErrorKind};
use crate::origin::Origin;

/// A choice of the caller that cannot be followed, or that needs another decision first.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The definition has problems.
    #[error(transparent)]
    Definition(#[from] Problems),
    /// The project cannot be used.
    #[error("`{}` is not a project directory: {reason}", path.display())]
    Project {
        /// The path that was given or searched from.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A project whose configuration belongs to another user, who could let commands run and send keys elsewhere by it.
    #[error("`{}` belongs to another user (number {owner}): the project `{}` is not obeyed", path.display(), project_root.display())]
    ForeignProject {
        /// The project.
        project_root: PathBuf,
        /// The path that belongs to the other user.
        path: PathBuf,
        /// The other user's number.
        owner: u32,
    },
    /// A context that does not say which secrets its run masks.
    #[error("the context does not say which secrets the run masks")]
    NoSecrets,
    /// An id of a root component.
    #[error("the root id is not valid: {0}")]
    RootId(IdError),
    /// A context of one root, and a definition that names another.
    #[error("the run is set up for the root `{context}`, and the definition names its root `{definition}`")]
    OtherRootId {
        /// The id that the context was built with.
        context: ElementId,
        /// The id in the definition.
        definition: ElementId,
    },
    /// A run id.
    #[error(transparent)]
    RunId(#[from] RunIdError),
    /// The prefix of run ids.
    #[error(
        "the run id prefix `{0}` cannot be used: it is made of letters, digits, `_` and `-`, starts with a letter or digit, holds no key, and the id with it is at most 200 bytes long"
    )]
    RunIdPrefix(String),
    /// A run id given by hand that exists.
    #[error("there is already a run `{0}`")]
    RunExists(String),
    /// A run that was started under the same key.
    #[error("`{run}` was started under this key{}", if *same_inputs { "" } else { " with other variables or inputs" })]
    StartedBefore {
        /// The run.
        run: String,
        /// Whether it was given the same variables and inputs of steps.
        same_inputs: bool,
    },
    /// The run root cannot be written.
    #[error("cannot make a run in `{}`", path.display())]
    RunRoot {
        /// The run root.
        path: PathBuf,
        /// Why.
        source: FsError,
    },
    /// A part of a run root that leads elsewhere.
    #[error("`{0}` is not a relative path inside the run root")]
    RunRootSubpath(String),
    /// No run of that name.
    #[error("{}{}", no_run(selector), hint_nearest(nearest.as_deref()))]
    UnknownRun {
        /// The requested name.
        selector: String,
        /// The most similar run id.
        nearest: Option<String>,
    },
    /// No run at all where one is asked for.
    #[error("there are no runs{}", if *unreadable { " that can be read" } else { "" })]
    NoRuns {
        /// Whether there are some that cannot be read.
        unreadable: bool,
    },
    /// A step of which the journal has no result.
    #[error("`{run}` has no result of `{path}`: {reason}")]
    NoResult {
        /// The run.
        run: String,
        /// The step.
        path: HierarchyPath,
        /// Its status, or a description of what there is instead.
        reason: String,
    },
    /// A run that waits for no answer.
    #[error("`{0}` asks nothing")]
    NoQuestion(String),
    /// A run that waits for several answers.
    #[error("`{run}` asks several questions: {questions}")]
    AmbiguousQuestion {
        /// The run.
        run: String,
        /// The steps and components that ask, with the ids of their questions.
        questions: String,
    },
    /// No question is meant by an id or path.
    #[error("{}", no_such_question(.run, .which, *.is_there))]
    UnknownQuestion {
        /// The run.
        run: String,
        /// The id or path.
        which: String,
        /// Whether the run has such a step or component, which asks nothing.
        is_there: bool,
        /// The questions that are open.
        questions: String,
    },
    /// An answer that has not the shape that its question wants.
    #[error("in the answer for `{path}`, {reason}")]
    InvalidAnswer {
        /// The step or component that asks.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
    /// A directory of a run that was not begun.
    #[error("`{}` has no journal with a first record: no run was made there yet, or its journal is lost", .0.display())]
    NoJournal(PathBuf),
    /// Several runs fit.
    #[error("`{selector}` fits several runs: {}", candidates.join(", "))]
    AmbiguousRun {
        /// The requested name.
        selector: String,
        /// The runs that fit, at most ten.
        candidates: Vec<String>,
    },
    /// A text that is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The entry point of a re-run names no step, or several.
    #[error("the entry point cannot be used: {0}")]
    EntryPoint(SelectError),
    /// An entry point without a run to start from.
    #[error("the entry point `{0}` needs a previous run")]
    EntryPointWithoutPreviousRun(String),
    /// The selector of the step to execute alone names no step, or several.
    #[error("{0}")]
    Step(SelectError),
    /// The run that a step is to be executed of alone did not come to it.
    #[error("`{path}` was not reached in `{run}`: {reason}")]
    StepNotReached {
        /// The step.
        path: HierarchyPath,
        /// The decision of the run that excluded the step.
        reason: String,
        /// The run.
        run: String,
    },
    /// Something that only a re-run can do.
    #[error(
        "what executes again, what is asked again or answered as before, or what is changed in a result, can only be said of a re-run"
    )]
    NoPreviousRun,
    /// Answers that others may have given were to be used.
    #[error("the answers in `{0}` do not count: it is not a run of yours")]
    AnswersOfOthers(RunId),
    /// Two ways to say what executes.
    #[error("an entry point already says what executes")]
    EntryPointAndExecute,
    /// A change of a result, and nothing that goes on from it.
    #[error("a result is changed for what is executed after it, and no entry point says where that begins")]
    EditWithoutEntryPoint,
    /// A selector of steps to execute names none.
    #[error("{0}")]
    Execute(SelectError),
    /// A step that could not be executed with what the run is given.
    #[error("{}{}", .0.path.as_ref().map(|path| format!("`{path}`: ")).unwrap_or_default(), .0.message)]
    NotReady(Box<ErrorInfo>),
    /// A selector of questions to ask again names no step or component.
    #[error("{0}")]
    Ask(SelectError),
    /// The step or component to ask again asks no question.
    #[error("`{0}` asks for no input, and nothing in it does")]
    NothingAsks(HierarchyPath),
    /// The run to start from is of another root component.
    #[error("`{run}` is a run of `{found}`, not of `{wanted}`")]
    OtherRoot {
        /// The previous run.
        run: String,
        /// Its root.
        found: String,
        /// The root to be run.
        wanted: String,
    },
    /// A re-run is to begin in a branch or iteration that the previous run did not come to.
    #[error("the entry point `{path}` was not reached in `{run}`: {reason}")]
    EntryPointNotReached {
        /// The entry point.
        path: HierarchyPath,
        /// The decision of the previous run that excluded it.
        reason: String,
        /// The previous run.
        run: String,
    },
    /// A change of a result that cannot be made.
    #[error("`{target}` cannot be set: {reason}")]
    Edit {
        /// The target of the change.
        target: String,
        /// Why not.
        reason: String,
    },
    /// An archive of a run that cannot be written or read.
    #[error("the archive: {0}")]
    Archive(String),
    /// Labels that a run cannot have.
    #[error("the labels are not changed: {0}")]
    Labels(String),
    /// A value that a run does not have.
    #[error("`{run}` has no value at `{place}`: {reason}")]
    NoValue {
        /// The run.
        run: String,
        /// The requested place.
        place: String,
        /// The reason, with the nearest field there is.
        reason: String,
    },
    /// A step before the entry point has no result to take.
    #[error("`{path}` lies before the entry point but {state} in `{run}`")]
    NothingToReuse {
        /// The step.
        path: HierarchyPath,
        /// Its state in the previous run.
        state: String,
        /// The previous run.
        run: String,
    },
    /// A required variable was not given.
    #[error("the variable `{0}` is required and was not given")]
    MissingVariable(String),
    /// A variable was given that the definition does not declare.
    #[error("there is no variable `{name}`{}", hint_nearest(nearest.as_deref()))]
    UnknownVariable {
        /// The name.
        name: String,
        /// The most similar declared one.
        nearest: Option<String>,
        /// All that are declared.
        known: Vec<String>,
    },
    /// An input for a step that does not exist.
    #[error("the input from {origin} cannot be placed: {reason}")]
    UnknownInput {
        /// The source of the input.
        origin: String,
        /// Why no step was found.
        reason: SelectError,
    },
    /// An input that is not of the shape its node wants.
    #[error("the input of `{path}` from {origin} does not fit: {reason}")]
    InvalidInput {
        /// The step.
        path: HierarchyPath,
        /// The source of the input.
        origin: String,
        /// Which field, and what was expected.
        reason: String,
    },
    /// An input that comes too late.
    #[error("`{0}` has already started; register its input before")]
    InputTooLate(HierarchyPath),
    /// A file or directory that the caller gave and that cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    InputFile {
        /// The file or directory.
        path: PathBuf,
        /// The problem, with its place in the file.
        reason: String,
    },
    /// A value that could not be read again if it was recorded.
    #[error("{what} cannot be recorded: {reason}")]
    Unrecordable {
        /// The value, in words.
        what: String,
        /// Why not, and where in it.
        reason: String,
    },
    /// A message to a run that is longer than a driver reads.
    #[error("the answer has {bytes} bytes; at most {most} are accepted")]
    MessageTooLong {
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        most: u64,
    },
    /// The run is not the user's own, or its origin cannot be verified.
    #[error(
        "`{run}` {}; it was driven last {}",
        why_foreign(*origin),
        last_driven(host.as_deref(), driven_in.as_deref())
    )]
    ForeignRun {
        /// The run.
        run: String,
        /// Its path.
        dir: PathBuf,
        /// Its origin according to its journal.
        origin: Origin,
        /// The machine that drove it last; `None` if its journal does not say.
        host: Option<String>,
        /// Its directory then.
        driven_in: Option<PathBuf>,
    },
    /// No run that fits is the user's own.
    #[error("no such run is signed with your key; of the others the newest is `{0}`")]
    OnlyForeignRuns(String),
    /// A journal that is whole.
    #[error("the journal of `{0}` is whole: there is nothing to repair")]
    NothingToRepair(String),
    /// Steps that may have had an effect, of which the user has to say what becomes of them.
    #[error(
        "it is not known how far steps of `{run}` with an effect got: {}",
        steps.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
    )]
    Undecided {
        /// The run.
        run: String,
        /// The steps.
        steps: Vec<HierarchyPath>,
    },
    /// A decision about a step of which all is known.
    #[error("nothing is to be decided about `{0}`: the damage does not concern it")]
    NotUncertain(HierarchyPath),
    /// A result that no whole line has.
    #[error("no whole line of the journal has a result of `{0}` that could be accepted")]
    NothingToAccept(HierarchyPath),
    /// A step that is to be settled by hand.
    #[error("{0}")]
    Settle(SelectError),
    /// A step that is to be settled by hand in two ways.
    #[error("`{0}` cannot both be passed over and fail")]
    SettledTwice(HierarchyPath),
    /// A step that is to be settled by hand and has ended well, or of which there may be several.
    #[error("`{0}` cannot be settled: it has ended well, or its iteration is not said")]
    NothingToSettle(HierarchyPath),
    /// A run of the original system where one of ours is needed.
    #[error(
        "`{0}` was made by the original system, which kept no journal and no fingerprints: a re-run can begin at one of its steps, and no more"
    )]
    OriginalSystem(String),
    /// All runs are completed.
    #[error("there is no unfinished run")]
    NothingToResume,
    /// A completed run has nothing left to execute.
    #[error("`{0}` is completed, there is nothing to resume")]
    AlreadyCompleted(String),
    /// A run that is to be removed waits for an answer.
    #[error("`{0}` is not removed: it waits for an answer")]
    RunWaiting(String),
    /// A run that is to be removed has results that a re-run may still take.
    #[error("`{run}` is not removed: `{by}` did not complete and may still take results from it")]
    RunNeeded {
        /// The run.
        run: String,
        /// The re-run.
        by: String,
    },
}

impl SetupError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Definition(_) => "definition",
            Self::Project { .. } => "project",
            Self::ForeignProject { .. } => "foreign_project",
            Self::NoSecrets => "no_secrets",
            Self::RootId(_) => "root_id",
            Self::OtherRootId { .. } => "other_root_id",
            Self::RunId(_) => "run_id",
            Self::RunIdPrefix(_) => "run_id_prefix",
            Self::RunExists(_) => "run_exists",
            Self::StartedBefore { .. } => "started_before",
            Self::RunRoot { .. } => "run_root",
            Self::RunRootSubpath(_) => "run_root_subpath",
            Self::UnknownRun { .. } | Self::NoRuns { .. } | Self::NoJournal(_) => "unknown_run",
            Self::AmbiguousRun { .. } => "ambiguous_run",
            Self::NoQuestion(_) => "no_question",
            Self::NoResult { .. } => "no_result",
            Self::AmbiguousQuestion { .. } => "ambiguous_question",
            Self::UnknownQuestion { .. } => "unknown_question",
            Self::InvalidAnswer { .. } | Self::InvalidInput { .. } => "invalid_input",
            Self::Path(_) => "path",
            Self::EntryPoint(SelectError::Ambiguous { .. }) => "ambiguous_entry_point",
            Self::EntryPoint(_) => "unknown_entry_point",
            Self::EntryPointWithoutPreviousRun(_) => "entry_point_without_previous_run",
            Self::NoPreviousRun => "no_previous_run",
            Self::AnswersOfOthers(_) => "answers_of_others",
            Self::EntryPointAndExecute => "entry_point_and_execute",
            Self::EditWithoutEntryPoint => "edit_without_entry_point",
            Self::StepNotReached { .. } => "step_not_reached",
            Self::Execute(_) | Self::Ask(_) => "unknown_step",
            Self::NothingAsks(_) => "nothing_asks",
            Self::NotReady(info) => &info.code,
            Self::OtherRoot { .. } => "other_root",
            Self::Edit { .. } => "edit",
            Self::NoValue { .. } => "no_value",
            Self::Labels(_) => "labels",
            Self::Archive(_) => "archive",
            Self::NothingToReuse { .. } => "nothing_to_reuse",
            Self::EntryPointNotReached { .. } => "entry_point_not_reached",
            Self::MissingVariable(_) => "missing_variable",
            Self::UnknownVariable { .. } => "unknown_variable",
            Self::UnknownInput { .. } => "unknown_input",
            Self::InputTooLate(_) => "input_too_late",
            Self::InputFile { .. } => "input_file",
            Self::Unrecordable { .. } => "unrecordable",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::ForeignRun { .. } => "foreign_run",
            Self::OnlyForeignRuns(_) => "only_foreign_runs",
            Self::NothingToRepair(_) => "nothing_to_repair",
            Self::Undecided { .. } => "undecided",
            Self::NotUncertain(_) => "not_uncertain",
            Self::NothingToAccept(_) => "nothing_to_accept",
            Self::Settle(SelectError::Ambiguous { .. }) | Self::Step(SelectError::Ambiguous { .. }) => {
                "ambiguous_path"
            }
            Self::Settle(_) | Self::Step(_) => "unknown_path",
            Self::SettledTwice(_) => "settled_twice",
            Self::NothingToSettle(_) => "nothing_to_settle",
            Self::OriginalSystem(_) => "original_system",
            Self::NothingToResume => "nothing_to_resume",
            Self::AlreadyCompleted(_) => "already_completed",
            Self::RunWaiting(_) => "run_waiting",
            Self::RunNeeded { .. } => "run_needed",
        }
    }

    /// The next step of the caller, if one is known.
    #[must_use]
    pub fn next_step(&self) -> Option<NextStep> {
        Some(match self {
            Self::UnknownRun { .. } => NextStep::ListRuns,
            Self::NoRuns { unreadable: true } => NextStep::ListUnreadableRuns,
            Self::NoRuns { unreadable: false } => NextStep::StartRun,
            Self::AmbiguousRun { .. } => NextStep::other("write more of the id"),
            Self::AmbiguousQuestion { .. } => NextStep::other("name one by its path or its id"),
            Self::UnknownQuestion { questions, .. } if !questions.is_empty() => {
                NextStep::other(format!("open questions: {questions}"))
            }
            Self::NoJournal(dir) => NextStep::RemoveRun {
                run: dir.file_name()?.to_string_lossy().into_owned(),
            },
            Self::StepNotReached { .. } => NextStep::NameRunThatReached,
            Self::EntryPointAndExecute => NextStep::EntryPointOrExecute,
            Self::OriginalSystem(run) => NextStep::NameEntryPointIn { run: run.clone() },
            Self::NotReady(info) => NextStep::other(info.hint.clone()?),
            Self::OtherRootId { .. } => NextStep::other(
                "give the context and the definition the same root id, or the definition none",
            ),
            Self::NothingAsks(_) => NextStep::other(
                "what asks says `pre_events: [node_input_required]`, a component `[component_input_required]`",
            ),
            Self::EditWithoutEntryPoint => NextStep::NameEntryPoint,
            Self::EntryPointWithoutPreviousRun(_) | Self::NoPreviousRun => NextStep::NamePreviousRun,
            Self::AnswersOfOthers(_) => NextStep::AnswerInstead,
            Self::EntryPointNotReached { .. } => {
                NextStep::other("name a step that was executed there, or the loop or conditional itself")
            }
            Self::NothingToReuse { path, .. } => NextStep::StartAt { path: path.clone() },
            Self::UnknownVariable { known, .. } if known.is_empty() => NextStep::other(
                "the definition declares no variables; `required` and `variables` declare some",
            ),
            Self::UnknownVariable { known, .. } => {
                NextStep::other(format!("the variables are {}", known.join(", ")))
            }
            Self::MissingVariable(name) => NextStep::GiveVariable { name: name.clone() },
            Self::AlreadyCompleted(run) => NextStep::StartRerun { run: run.clone() },
            Self::NoSecrets => NextStep::other(
                "write `dhenara::Project::open(dir)?.context(root)?`, whose runs mask the keys of project and user; or \
                 `.secrets(registry)`, or `.unmasked()` for a run that knows none",
            ),
            Self::RunExists(_) => NextStep::other("choose another id, or leave it out"),
            Self::StartedBefore {
                same_inputs: false, ..
            } => NextStep::other("choose another key, or give the same as then"),
            Self::ForeignProject { project_root, .. } => NextStep::TrustProject {
                project_root: project_root.clone(),
            },
            Self::Project { .. } => NextStep::NameProjectRoot,
            Self::RunWaiting(_) => NextStep::ForceRemoval,
            Self::RunNeeded { by, .. } => NextStep::ResumeOrRemove { run: by.clone() },
            Self::RunRoot { .. } => NextStep::ChooseRunRoot,
            Self::MessageTooLong { .. } => {
                NextStep::other("write long texts to a file and answer with its path")
            }
            Self::ForeignRun { run, .. } => NextStep::TrustRun { run: run.clone() },
            Self::OnlyForeignRuns(run) => NextStep::NameForeignRun { run: run.clone() },
            Self::Undecided { .. } => NextStep::DecideUncertainSteps,
            Self::NothingToAccept(path) => NextStep::RedoOrSkip { path: path.clone() },
            _ => return None,
        })
    }

    /// The party that has to act.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        match self {
            Self::ForeignRun { .. }
            | Self::OnlyForeignRuns(_)
            | Self::Undecided { .. }
            | Self::StartedBefore { .. }
            | Self::RunWaiting(_)
            | Self::RunNeeded { .. } => RunErrorKind::Refused,
            _ => RunErrorKind::Usage,
        }
    }

    /// The error as it is recorded.
    #[must_use]
    pub fn to_info(&self) -> ErrorInfo {
        let info = ErrorInfo::from_error(self.code(), self);
        match self.next_step() {
            Some(step) => info.with_hint(step.to_string()),
            None => info,
        }
    }
}
