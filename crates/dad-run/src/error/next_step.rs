//! The next step after an error, as data.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use dad_core::HierarchyPath;

/// The next step that an error suggests. [`Display`](fmt::Display) words it for programs; a command replaces that by its own
/// options and commands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// List the runs there are.
    ListRuns,
    /// List the runs with the reasons why some cannot be read.
    ListUnreadableRuns,
    /// Start a first run.
    StartRun,
    /// Remove a directory that never became a run.
    RemoveRun {
        /// The name of the directory.
        run: String,
    },
    /// Name a run that reached the step.
    NameRunThatReached,
    /// Give either an entry point or steps to execute.
    EntryPointOrExecute,
    /// Name the entry point in a run of the original system.
    NameEntryPointIn {
        /// The run.
        run: String,
    },
    /// Name the entry point.
    NameEntryPoint,
    /// Name the previous run.
    NamePreviousRun,
    /// Answer the questions instead of reusing answers.
    AnswerInstead,
    /// Begin the re-run at a step.
    StartAt {
        /// The step.
        path: HierarchyPath,
    },
    /// Give a value to a variable.
    GiveVariable {
        /// The variable.
        name: String,
    },
    /// Start a re-run from a completed run.
    StartRerun {
        /// The completed run.
        run: String,
    },
    /// Name another project, or trust this one.
    TrustProject {
        /// The project.
        project_root: PathBuf,
    },
    /// Name the project.
    NameProjectRoot,
    /// Choose another run root.
    ChooseRunRoot,
    /// Remove the run although it waits for an answer.
    ForceRemoval,
    /// Resume the run that needs another one, or remove both.
    ResumeOrRemove {
        /// The run that needs the other one.
        run: String,
    },
    /// Look at a run of another origin, and trust it or not.
    TrustRun {
        /// The run.
        run: String,
    },
    /// Name a run of another origin by its whole id.
    NameForeignRun {
        /// The newest of them.
        run: String,
    },
    /// Decide about the uncertain steps of a damaged run.
    DecideUncertainSteps,
    /// Execute an uncertain step again, or skip it.
    RedoOrSkip {
        /// The step.
        path: HierarchyPath,
    },
    /// Resume the run, which executes the unresponsive step again.
    ResumeUnresponsive,
    /// Take the lease of a process on another machine that has ended.
    StealLease,
    /// Choose another directory for the user's state.
    ChooseStateDirectory,
    /// Correct the origin key that was given.
    CheckOriginKey,
    /// Wait for the driver of a run, or cancel the run.
    WaitForDriver {
        /// The run.
        run: String,
        /// Whether the caller tried to steal the lease of a living process.
        steal: bool,
    },
    /// Wait for the end of a run, or cancel it.
    WaitOrCancel {
        /// The run.
        run: String,
    },
    /// Answer the open question of a run.
    AnswerQuestion {
        /// The run.
        run: String,
    },
    /// Resume the run, which uses the answer that it has.
    ResumeAnswered {
        /// The run.
        run: String,
    },
    /// Answer or deny what the run waits for, or remove the run.
    AnswerOrRemove {
        /// The run.
        run: String,
    },
    /// Cancel a run that executes instead.
    CancelAnother,
    /// Repair a damaged journal.
    RepairRun {
        /// The run.
        run: String,
    },
    /// Run the definition as an agent.
    RunAgent,
    /// Run the definition as a flow.
    RunFlow,
    /// Choose between the recorded definition and the current one.
    ChooseDefinition,
    /// Use no environment; the file declares others.
    UseNoEnvironment {
        /// The environments that the file declares.
        known: Vec<String>,
    },
    /// Bring back the source of recorded exchanges, or name another one.
    NameReplaySource,
    /// Bring back the recorded exchanges, or accept the changed ones by naming their source.
    AcceptReplaySource,
    /// Advice that names no command.
    Other(Cow<'static, str>),
}

impl NextStep {
    /// Advice that names no command.
    pub fn other(advice: impl Into<Cow<'static, str>>) -> Self {
        Self::Other(advice.into())
    }
}

impl fmt::Display for NextStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListRuns => f.write_str("list the runs there are"),
            Self::ListUnreadableRuns => f.write_str("list the runs to see why some cannot be read"),
            Self::StartRun => f.write_str("run an agent or flow first"),
            Self::RemoveRun { run } => write!(f, "remove `{run}`"),
            Self::NameRunThatReached => f.write_str("name a run that came to this step"),
            Self::EntryPointOrExecute => f.write_str("give either an entry point or steps to execute"),
            Self::NameEntryPointIn { run } => write!(f, "name the entry point of a re-run of `{run}`"),
            Self::NameEntryPoint => f.write_str("name the entry point"),
            Self::NamePreviousRun => f.write_str("name the previous run"),
            Self::AnswerInstead => f.write_str("answer its questions yourself"),
            Self::StartAt { path } => write!(f, "begin the re-run at `{path}`"),
            Self::GiveVariable { name } => write!(f, "give a value to the variable `{name}`"),
            Self::StartRerun { run } => write!(f, "start a re-run of `{run}` with an entry point"),
            Self::TrustProject { project_root } => write!(
                f,
                "name your own project, or trust `{}`",
                project_root.display()
            ),
            Self::NameProjectRoot => f.write_str("name the project"),
            Self::ChooseRunRoot => f.write_str("choose another run root"),
            Self::ForceRemoval => f.write_str("force its removal"),
            Self::ResumeOrRemove { run } => write!(f, "resume `{run}`, or remove it as well"),
            Self::TrustRun { run } => write!(f, "look at what `{run}` would execute, then trust it or not"),
            Self::NameForeignRun { run } => write!(f, "name it by its id, such as `{run}`"),
            Self::DecideUncertainSteps => {
                f.write_str("for each of them: execute it again, accept its result, or skip it")
            }
            Self::RedoOrSkip { path } => write!(f, "execute `{path}` again, or skip it"),
            Self::ResumeUnresponsive => f.write_str(
                "a node returns when `cx.cancelled()` resolves, or is dropped there; resume the run to execute it again",
            ),
            Self::StealLease => f.write_str("if that process has ended, steal its lease"),
            Self::ChooseStateDirectory => f.write_str("choose another directory for the state of this user"),
            Self::CheckOriginKey => f.write_str("correct the key that was given"),
            Self::WaitForDriver { run, steal: false } => write!(f, "wait until `{run}` ends, or cancel it"),
            Self::WaitForDriver { run, steal: true } => write!(
                f,
                "only the lease of a process that cannot be seen from here is stolen, and this one is alive: wait until \
                 `{run}` ends, or cancel it"
            ),
            Self::WaitOrCancel { run } => write!(f, "wait until `{run}` ends, or cancel it"),
            Self::AnswerQuestion { run } => write!(
                f,
                "`{run}` waits for an answer; end a run as its report says, by `report.status`"
            ),
            Self::ResumeAnswered { run } => write!(f, "resume `{run}`, which uses that answer"),
            Self::AnswerOrRemove { run } => {
                write!(f, "answer what `{run}` waits for, deny it, or remove the run")
            }
            Self::CancelAnother => f.write_str("only what executes can be stopped; list the runs to see what does"),
            Self::RepairRun { run } => write!(f, "repair `{run}`"),
            Self::RunAgent => f.write_str("run it as an agent"),
            Self::RunFlow => f.write_str("run it as a flow"),
            Self::ChooseDefinition => {
                f.write_str("choose the definition that the run was started with, or the current one")
            }
            Self::UseNoEnvironment { known } if known.is_empty() => {
                f.write_str("the file declares no environments")
            }
            Self::UseNoEnvironment { known } => write!(f, "the file declares {}", known.join(", ")),
            Self::NameReplaySource => {
                f.write_str("bring it back to where it was, or name a run or environment to take answers from")
            }
            Self::AcceptReplaySource => {
                f.write_str("bring back the earlier exchanges, or name their source again to accept the current ones")
            }
            Self::Other(advice) => f.write_str(advice),
        }
    }
}
