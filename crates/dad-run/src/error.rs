use std::path::{Path, PathBuf};

use dad_core::{
    ErrorInfo, HierarchyPath, IdError, PathError, RunId, RunIdError, RunStatus, SelectError, StepStatus,
};
use dad_definition::Problems;
use dad_fs::FsError;

use crate::origin::Origin;

/// Why a run could not be set up, driven or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The definition has problems.
    #[error(transparent)]
    Definition(#[from] Problems),
    /// The project cannot be used.
    #[error("`{}` is not a project directory: {reason}", path.display())]
    Project {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A project whose configuration belongs to another user, who could let commands run and send keys elsewhere by it.
    #[error("`{}` belongs to another user (number {owner}): the project `{}` is not obeyed", path.display(), project_root.display())]
    ForeignProject {
        /// The project.
        project_root: PathBuf,
        /// What belongs to the other user.
        path: PathBuf,
        /// The other user's number.
        owner: u32,
    },
    /// A context that does not say which secrets its run masks.
    #[error("the context does not say which secrets the run masks")]
    NoSecrets,
    /// An id of a root component.
    #[error("the root id is not valid: {0}")]
    RootId(#[source] IdError),
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
        /// What was asked for.
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
        /// How it stands, or what there is instead.
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
        /// What was asked for.
        selector: String,
        /// The runs that fit, at most ten.
        candidates: Vec<String>,
    },
    /// A text that is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The entry point of a re-run names no step, or several.
    #[error("the entry point cannot be used: {0}")]
    EntryPoint(#[source] SelectError),
    /// An entry point without a run to start from.
    #[error("the entry point `{0}` needs a previous run")]
    EntryPointWithoutPreviousRun(String),
    /// What was to be executed alone.
    #[error("{0}")]
    Step(#[source] SelectError),
    /// The run that a step is to be executed of alone did not come to it.
    #[error("`{path}` was not reached in `{run}`: {reason}")]
    StepNotReached {
        /// The step.
        path: HierarchyPath,
        /// What the run decided instead, or did not come to.
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
    /// What was asked to execute.
    #[error("{0}")]
    Execute(#[source] SelectError),
    /// A step that could not be executed with what the run is given.
    #[error("{}{}", .0.path.as_ref().map(|path| format!("`{path}`: ")).unwrap_or_default(), .0.message)]
    NotReady(Box<ErrorInfo>),
    /// What was to be asked again.
    #[error("{0}")]
    Ask(#[source] SelectError),
    /// What was to be asked again does not ask.
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
        /// What the previous run decided instead.
        reason: String,
        /// The previous run.
        run: String,
    },
    /// A change of a result that cannot be made.
    #[error("`{target}` cannot be set: {reason}")]
    Edit {
        /// What was to be changed.
        target: String,
        /// Why not.
        reason: String,
    },
    /// A step before the entry point has no result to take.
    #[error("`{path}` lies before the entry point but {state} in `{run}`")]
    NothingToReuse {
        /// The step.
        path: HierarchyPath,
        /// What the previous run knows of it.
        state: String,
        /// The previous run.
        run: String,
    },
    /// A required variable was not given.
    #[error("the variable `{0}` is required and was not given")]
    MissingVariable(String),
    /// A variable was given that nobody declares.
    #[error("there is no variable `{name}`{}", hint_nearest(nearest.as_deref()))]
    UnknownVariable {
        /// The name.
        name: String,
        /// The most similar declared one.
        nearest: Option<String>,
    },
    /// An input for a step that does not exist.
    #[error("the input from {origin} cannot be placed: {source}")]
    UnknownInput {
        /// Where the input came from.
        origin: String,
        /// Why no step was found.
        source: SelectError,
    },
    /// An input that is not of the shape its node wants.
    #[error("the input of `{path}` from {origin} does not fit: {reason}")]
    InvalidInput {
        /// The step.
        path: HierarchyPath,
        /// Where the input came from.
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
        /// What is wrong, and where in the file.
        reason: String,
    },
    /// A value that could not be read again if it was recorded.
    #[error("{what} cannot be recorded: {reason}")]
    Unrecordable {
        /// What it is, in words.
        what: String,
        /// Why not, and where in it.
        reason: String,
    },
    /// A record that is longer than a line of the journal may be.
    #[error("a record of {bytes} bytes cannot be written: at most {most} stand in one line of the journal")]
    RecordTooLong {
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        most: usize,
    },
    /// A message to a run that is longer than a driver reads.
    #[error("the answer has {bytes} bytes; at most {most} are accepted")]
    MessageTooLong {
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        most: u64,
    },
    /// The run is not the user's own, or that cannot be told.
    #[error(
        "`{run}` {}; it was driven last {}",
        why_foreign(*origin),
        last_driven(host.as_deref(), driven_in.as_deref())
    )]
    ForeignRun {
        /// The run.
        run: String,
        /// Where it is.
        dir: PathBuf,
        /// What its journal says of its origin.
        origin: Origin,
        /// The machine that drove it last; `None` if its journal does not say.
        host: Option<String>,
        /// Where it was then.
        driven_in: Option<PathBuf>,
    },
    /// No run that fits is the user's own.
    #[error("no such run is signed with your key; of the others the newest is `{0}`")]
    OnlyForeignRuns(String),
    /// The key that tells the user's own runs from those of others.
    #[error("the origin key{} cannot be used: {reason}", in_file(path.as_deref()))]
    OriginKey {
        /// Its file; `None` if it was given otherwise.
        path: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// A run that was driven by a newer version, with records that this one does not know.
    #[error("`{run}` has records of dad-run {version}, which this version does not know")]
    NewerRecords {
        /// The run.
        run: String,
        /// The version that knows them.
        version: String,
    },
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
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
    /// A record that may not follow those before it.
    #[error("a record of the run contradicts those before it: {0}")]
    Contradiction(String),
    /// A file of a run that cannot be read as what it should be.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in the file.
        reason: String,
    },
    /// A journal that is damaged before its end.
    #[error("`{}` is damaged at line {line}: {reason}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file of a newer version.
    #[error("`{}` has schema version {found}; this program reads up to {supported}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// A file that is not what the journal says.
    #[error("`{}` is not the file that was recorded: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// A step that is to be settled by hand.
    #[error("{0}")]
    Settle(#[source] SelectError),
    /// A step that is to be settled by hand in two ways.
    #[error("`{0}` cannot both be passed over and fail")]
    SettledTwice(HierarchyPath),
    /// A step that is to be settled by hand and has ended well, or of which there may be several.
    #[error("`{0}` cannot be settled: it has ended well, or its iteration is not said")]
    NothingToSettle(HierarchyPath),
    /// A run that is to be driven a second time at once.
    #[error("the run is driven already: there is one driver at a time")]
    AlreadyDriven,
    /// A node that was asked to stop and did not.
    #[error("`{path}` did not stop within {grace} of being asked to", grace = dad_core::format_duration(*grace))]
    Unresponsive {
        /// The step.
        path: HierarchyPath,
        /// How long it was waited for.
        grace: std::time::Duration,
    },
    /// A run of the original system where one of ours is needed.
    #[error(
        "`{0}` was made by the original system, which kept no journal and no fingerprints: a re-run can begin at one of its steps, and no more"
    )]
    OriginalSystem(String),
    /// All runs are completed.
    #[error("there is no run that is not completed")]
    NothingToResume,
    /// A completed run has nothing left to execute.
    #[error("`{0}` is completed, there is nothing to go on with")]
    AlreadyCompleted(String),
    /// Somebody else drives the run.
    #[error("the run is driven by {holder}")]
    LeaseHeld {
        /// The run.
        run: String,
        /// Who drives it.
        holder: String,
        /// Whether the lease was to be stolen.
        steal: bool,
    },
    /// A process on another machine was the last to drive the run, and its lock cannot be seen from here.
    #[error("the run was driven by {0}, and on this file system it cannot be told whether it still is")]
    LeaseOfAnotherHost(String),
    /// A run that is to be removed is driven.
    #[error("`{run}` is not removed: it is driven by {holder}")]
    RunInUse {
        /// The run.
        run: String,
        /// Who drives it.
        holder: String,
    },
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
    /// Somebody else removes runs at the moment.
    #[error("another process is removing runs in `{}`", .0.display())]
    CatalogLocked(PathBuf),
    /// The run that a re-run takes results from was removed.
    #[error("`{run}` still takes results from `{parent}`, which is not there any more")]
    ParentGone {
        /// The re-run.
        run: String,
        /// The run it was started from.
        parent: String,
    },
    /// A call after the end of the run.
    #[error("the run has ended")]
    Ended,
    /// A step was cancelled before what it was about to do began.
    #[error("`{0}` was cancelled")]
    Stopped(HierarchyPath),
    /// A step was recorded as something that cannot end it.
    #[error("`{0}` cannot end as {1}")]
    NotAnEnd(HierarchyPath, StepStatus),
    /// A status that no run ends with.
    #[error("a run cannot end as {0}; it ends as completed, failed, cancelled or waiting")]
    NotARunEnd(RunStatus),
    /// A run that was called completed while a question of it is open. It was sealed as waiting.
    #[error("`{run}` is not completed: the question `{question}` of `{path}` is open")]
    QuestionOpen {
        /// The run.
        run: RunId,
        /// The step or component that asks.
        path: HierarchyPath,
        /// The id of its question.
        question: String,
    },
    /// A run that was called completed although its root component did not complete. It was sealed as what it came to.
    #[error("the run is not completed: `{path}` is {status}")]
    RootNotCompleted {
        /// The root component.
        path: HierarchyPath,
        /// Its status.
        status: StepStatus,
    },
    /// No tokio runtime to deliver events with.
    #[error("a run must be set up inside a tokio runtime")]
    NoRuntime,
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn last_driven(host: Option<&str>, dir: Option<&Path>) -> String {
    match (host, dir) {
        (Some(host), Some(dir)) => format!("on `{host}` in `{}`", dir.display()),
        (Some(host), None) => format!("on `{host}`"),
        (None, _) => "by an unknown process".to_owned(),
    }
}

/// Who has to do something about a [`RunError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunErrorKind {
    /// The caller asked for something that cannot be; nothing was changed.
    Usage,
    /// The caller has to decide something first.
    Refused,
    /// Files of a run are damaged, or of a newer version.
    Damage,
    /// Something failed on the way.
    Failure,
    /// This program contradicts itself.
    Bug,
}

fn no_run(selector: &str) -> String {
    match selector {
        "last" => "there is no previous run of this component".to_owned(),
        other => format!("there is no run `{other}`"),
    }
}

fn why_foreign(origin: Origin) -> &'static str {
    match origin {
        Origin::Mine => "is yours",
        Origin::Foreign => "is not signed with your key, or was changed since",
        Origin::Unsigned => "is not signed, so that it may be anybody's",
        Origin::Unchecked => "is signed, and there is no key here to check that with",
    }
}

fn in_file(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" in `{}`", path.display()))
}

fn hint_nearest(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

impl RunError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Definition(_) => "definition",
            Self::Project { .. } => "project",
            Self::ForeignProject { .. } => "foreign_project",
            Self::NoSecrets => "no_secrets",
            Self::RootId(_) => "root_id",
            Self::RunId(_) => "run_id",
            Self::RunIdPrefix(_) => "run_id_prefix",
            Self::RunExists(_) => "run_exists",
            Self::RunRoot { .. } => "run_root",
            Self::RunRootSubpath(_) => "run_root_subpath",
            Self::UnknownRun { .. } | Self::NoRuns { .. } | Self::NoJournal(_) => "unknown_run",
            Self::AmbiguousRun { .. } => "ambiguous_run",
            Self::NoQuestion(_) => "no_question",
            Self::NoResult { .. } => "no_result",
            Self::AmbiguousQuestion { .. } => "ambiguous_question",
            Self::UnknownQuestion { .. } => "unknown_question",
            Self::InvalidAnswer { .. } => "invalid_input",
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
            Self::NothingToReuse { .. } => "nothing_to_reuse",
            Self::EntryPointNotReached { .. } => "entry_point_not_reached",
            Self::MissingVariable(_) => "missing_variable",
            Self::UnknownVariable { .. } => "unknown_variable",
            Self::UnknownInput { .. } => "unknown_input",
            Self::InvalidInput { .. } => "invalid_input",
            Self::InputTooLate(_) => "input_too_late",
            Self::InputFile { .. } => "input_file",
            Self::Unrecordable { .. } => "unrecordable",
            Self::RecordTooLong { .. } => "record_too_long",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::ForeignRun { .. } => "foreign_run",
            Self::OnlyForeignRuns(_) => "only_foreign_runs",
            Self::OriginKey { .. } => "origin_key",
            Self::NewerRecords { .. } => "newer_records",
            Self::Contradiction(_) => "contradiction",
            Self::Random(_) => "random",
            Self::NothingToRepair(_) => "nothing_to_repair",
            Self::Undecided { .. } => "undecided",
            Self::NotUncertain(_) => "not_uncertain",
            Self::NothingToAccept(_) => "nothing_to_accept",
            Self::Stopped(_) => "cancelled",
            Self::Unreadable { .. } => "unreadable",
            Self::Journal { .. } => "journal_damaged",
            Self::NewerVersion { .. } => "newer_version",
            Self::Corrupt { .. } => "corrupt",
            Self::Settle(SelectError::Ambiguous { .. }) | Self::Step(SelectError::Ambiguous { .. }) => {
                "ambiguous_path"
            }
            Self::Settle(_) | Self::Step(_) => "unknown_path",
            Self::SettledTwice(_) => "settled_twice",
            Self::NothingToSettle(_) => "nothing_to_settle",
            Self::AlreadyDriven => "already_driven",
            Self::Unresponsive { .. } => "unresponsive",
            Self::OriginalSystem(_) => "original_system",
            Self::NothingToResume => "nothing_to_resume",
            Self::AlreadyCompleted(_) => "already_completed",
            Self::LeaseHeld { .. } | Self::LeaseOfAnotherHost(_) | Self::RunInUse { .. } => "lease_held",
            Self::RunWaiting(_) => "run_waiting",
            Self::RunNeeded { .. } => "run_needed",
            Self::CatalogLocked(_) => "catalog_locked",
            Self::ParentGone { .. } => "parent_gone",
            Self::Ended => "run_ended",
            Self::NotAnEnd(..) => "not_an_end",
            Self::NotARunEnd(_) => "not_a_run_end",
            Self::QuestionOpen { .. } => "question_open",
            Self::RootNotCompleted { .. } => "root_not_completed",
            Self::NoRuntime => "no_runtime",
            Self::Fs(_) => "file_operation",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownRun { .. } => Some("`dhenara runs list` shows the runs there are".to_owned()),
            Self::NoRuns { unreadable: true } => Some("`dhenara runs list` tells why".to_owned()),
            Self::NoRuns { unreadable: false } => Some("`dhenara run agent NAME` makes one".to_owned()),
            Self::AmbiguousQuestion { .. } => Some("name one by its path or its id".to_owned()),
            Self::UnknownQuestion { questions, .. } if !questions.is_empty() => {
                Some(format!("open questions: {questions}"))
            }
            Self::NoJournal(dir) => dir
                .file_name()
                .map(|name| format!("`dhenara runs rm {}` removes it", name.to_string_lossy())),
            Self::StepNotReached { .. } => {
                Some("name a run that came to this step; `dhenara runs list` shows them".to_owned())
            }
            Self::EntryPointAndExecute => {
                Some("leave out `--entry-point`, or `--execute` and `--fresh`".to_owned())
            }
            Self::Unresponsive { .. } => Some(
                "a node returns when `cx.cancelled()` resolves, or is dropped there; `dhenara resume` executes it again"
                    .to_owned(),
            ),
            Self::LeaseOfAnotherHost(_) => {
                Some("if that process has ended, take the run over by `--steal-lease`".to_owned())
            }
            Self::OriginalSystem(run) => {
                Some(format!("say where: `--previous-run-id {run} --entry-point PATH`"))
            }
            Self::NotReady(info) => info.hint.clone(),
            Self::NothingAsks(_) => Some(
                "what asks says `pre_events: [node_input_required]`, a component `[component_input_required]`".to_owned(),
            ),
            Self::EditWithoutEntryPoint => Some("name it by `--entry-point PATH`".to_owned()),
            Self::EntryPointWithoutPreviousRun(_) | Self::NoPreviousRun => {
                Some("name it by `--previous-run-id RUN|last`".to_owned())
            }
            Self::AnswersOfOthers(_) => Some(
                "leave out `--reuse-answers` and answer its questions yourself".to_owned(),
            ),
            Self::EntryPointNotReached { .. } => {
                Some("name a step that was executed there, or the loop or conditional itself".to_owned())
            }
            Self::NothingToReuse { path, .. } => Some(format!("use `--entry-point {path}` to start there")),
            Self::MissingVariable(name) => {
                Some(format!("give it by `--var {name}=…` or `--var {name}=@FILE`"))
            }
            Self::AlreadyCompleted(run) => Some(format!(
                "start a re-run from it: `--previous-run-id {run} --entry-point PATH`"
            )),
            Self::OriginKey { path, .. } => Some(match path {
                Some(_) => "`DHENARA_STATE_DIR` names another directory for the state of this user".to_owned(),
                None => "it comes from DHENARA_ORIGIN_KEY".to_owned(),
            }),
            Self::NoSecrets => Some(
                "write `dhenara::Project::open(dir)?.context(root)?`, whose runs mask the keys of project and user; or \
                 `.secrets(registry)`, or `.unmasked()` for a run that knows none"
                    .to_owned(),
            ),
            Self::RunExists(_) => Some("choose another id, or leave it out".to_owned()),
            Self::NewerVersion { found, .. } => Some(format!(
                "install a version of dhenara that reads schema version {found}"
            )),
            Self::Corrupt { .. } => Some(
                "restore the file, or start a re-run whose entry point is its step or one before it".to_owned(),
            ),
            Self::ForeignProject { project_root, .. } => Some(format!(
                "name your own project by `--project-root DIR`; if you trust this one, `dhenara trust {}` obeys it",
                project_root.display()
            )),
            Self::Project { .. } => Some("name the project by `--project-root DIR`".to_owned()),
            Self::LeaseHeld { run, steal, .. } => {
                let lives = match steal {
                    true => "`--steal-lease` takes a run from a process that cannot be seen from here, and this one is alive: ",
                    false => "",
                };
                Some(format!(
                    "{lives}wait until it ends, or stop it by `dhenara cancel {run}`; `dhenara runs show {run}` tells how far it is"
                ))
            }
            Self::RunInUse { run, .. } => {
                Some(format!("wait until it ends, or stop it by `dhenara cancel {run}`"))
            }
            Self::RunWaiting(_) => Some("`--force` removes it all the same".to_owned()),
            Self::RunNeeded { by, .. } => Some(format!(
                "go on with that one by `dhenara resume {by}`, or remove it as well; `--force` removes this one all the same"
            )),
            Self::CatalogLocked(_) => Some("try again when it is done".to_owned()),
            Self::ParentGone { .. } => {
                Some("bring the run back to where it was, or start from the beginning".to_owned())
            }
            Self::QuestionOpen { run, .. } => Some(format!(
                "the run waits: `dhenara answer {run}` answers it; end a run as its report says, by `report.status`"
            )),
            Self::RootNotCompleted { .. } => {
                Some("end a run as its report says, by `report.status`".to_owned())
            }
            Self::RunRoot { .. } => Some("choose another place by `--run-root DIR`".to_owned()),
            Self::MessageTooLong { .. } => {
                Some("write long texts to a file and answer with its path".to_owned())
            }
            Self::ForeignRun { .. } => Some(
                "look at what it would execute; if you trust its origin, add `--trust`".to_owned(),
            ),
            Self::OnlyForeignRuns(_) => Some(
                "name it by its id; `resume`, `answer` and `run step` also ask for `--trust`, because its \
                 `.run/definition.json` says what they execute"
                    .to_owned(),
            ),
            Self::Contradiction(_) => Some("this is a bug of dhenara; please report it".to_owned()),
            Self::Undecided { .. } => Some(
                "for each of them, `--redo PATH` executes it again, `--accept PATH` takes its result, and `--skip PATH` passes it over".to_owned(),
            ),
            Self::NothingToAccept(path) => Some(format!("`--redo {path}` or `--skip {path}`")),
            Self::NewerRecords { version, .. } => Some(format!("install version {version} or newer")),
            Self::Journal { path, .. } => {
                let run = path.parent().and_then(Path::parent).and_then(Path::file_name);
                let run = run.unwrap_or_default().to_string_lossy();
                Some(format!(
                    "`dhenara runs repair {run} --dry-run` shows what is whole, and what repairing it would keep"
                ))
            }
            _ => None,
        }
    }

    /// Who has to do something about it.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        // Without a rest, so that a new error has to say what it is.
        match self {
            Self::Definition(_)
            | Self::Project { .. }
            | Self::ForeignProject { .. }
            | Self::NoSecrets
            | Self::RootId(_)
            | Self::RunId(_)
            | Self::RunIdPrefix(_)
            | Self::RunExists(_)
            | Self::RunRoot { .. }
            | Self::RunRootSubpath(_)
            | Self::UnknownRun { .. }
            | Self::NoRuns { .. }
            | Self::NoJournal(_)
            | Self::NoQuestion(_)
            | Self::NoResult { .. }
            | Self::AmbiguousQuestion { .. }
            | Self::UnknownQuestion { .. }
            | Self::InvalidAnswer { .. }
            | Self::AmbiguousRun { .. }
            | Self::Path(_)
            | Self::EntryPoint(_)
            | Self::EntryPointWithoutPreviousRun(_)
            | Self::Step(_)
            | Self::StepNotReached { .. }
            | Self::NoPreviousRun
            | Self::AnswersOfOthers(_)
            | Self::EntryPointAndExecute
            | Self::EditWithoutEntryPoint
            | Self::Execute(_)
            | Self::NotReady(_)
            | Self::Ask(_)
            | Self::NothingAsks(_)
            | Self::OtherRoot { .. }
            | Self::EntryPointNotReached { .. }
            | Self::Edit { .. }
            | Self::NothingToReuse { .. }
            | Self::MissingVariable(_)
            | Self::UnknownVariable { .. }
            | Self::UnknownInput { .. }
            | Self::InvalidInput { .. }
            | Self::InputTooLate(_)
            | Self::InputFile { .. }
            | Self::Unrecordable { .. }
            | Self::MessageTooLong { .. }
            | Self::Settle(_)
            | Self::SettledTwice(_)
            | Self::NothingToSettle(_)
            | Self::OriginalSystem(_)
            | Self::NothingToResume
            | Self::AlreadyCompleted(_)
            | Self::NothingToRepair(_)
            | Self::NotUncertain(_)
            | Self::NothingToAccept(_)
            | Self::ParentGone { .. } => RunErrorKind::Usage,
            Self::ForeignRun { .. }
            | Self::OnlyForeignRuns(_)
            | Self::NewerRecords { .. }
            | Self::Undecided { .. }
            | Self::LeaseHeld { .. }
            | Self::LeaseOfAnotherHost(_)
            | Self::RunInUse { .. }
            | Self::RunWaiting(_)
            | Self::RunNeeded { .. }
            | Self::CatalogLocked(_) => RunErrorKind::Refused,
            Self::Unreadable { .. }
            | Self::Journal { .. }
            | Self::NewerVersion { .. }
            | Self::Corrupt { .. } => RunErrorKind::Damage,
            Self::Contradiction(_) => RunErrorKind::Bug,
            Self::OriginKey { .. }
            | Self::Random(_)
            | Self::RecordTooLong { .. }
            | Self::Unresponsive { .. }
            | Self::AlreadyDriven
            | Self::Ended
            | Self::Stopped(_)
            | Self::NotAnEnd(..)
            | Self::NotARunEnd(_)
            | Self::QuestionOpen { .. }
            | Self::RootNotCompleted { .. }
            | Self::NoRuntime
            | Self::Fs(_) => RunErrorKind::Failure,
        }
    }

    /// Whether a file could not be opened because the process or the machine has no descriptor left: that may pass.
    #[must_use]
    pub fn is_out_of_descriptors(&self) -> bool {
        matches!(self, Self::Fs(error) if error.is_out_of_descriptors())
    }

    /// Whether a result of the previous run cannot be taken, which is no fault of the run's own directory.
    #[must_use]
    pub const fn is_of_parent(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::NothingToReuse { .. } | Self::ParentGone { .. } | Self::Edit { .. }
        )
    }

    /// The error as it is recorded.
    #[must_use]
    pub fn to_info(&self) -> ErrorInfo {
        let info = ErrorInfo::from_error(self.code(), self);
        match self.hint() {
            Some(hint) => info.with_hint(hint),
            None => info,
        }
    }

    /// That something cannot be read or made sense of.
    pub fn unreadable(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: format!("{reason}"),
        }
    }
}

fn no_such_question(run: &str, which: &str, is_there: bool) -> String {
    match is_there {
        true => format!("`{which}` of `{run}` asks nothing"),
        false => format!("`{which}` names no question of `{run}`, and no step or component that asks"),
    }
}
