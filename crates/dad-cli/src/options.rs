use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dad_core::Budget;

/// Run LLM agents so that every run is one directory of plain files.
#[derive(Debug, Parser)]
#[command(name = "dhenara", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an agent or a flow.
    #[command(subcommand)]
    Run(RunCommand),
    /// Go on with a run that did not complete, in its own directory: what is committed stays.
    Resume {
        /// Its id, a unique beginning of it, or `last`: the newest that is not completed.
        run: String,
        #[command(flatten)]
        options: Box<ResumeOptions>,
    },
    /// Answer a question of a run, and go on with it.
    Answer {
        /// Its id, a unique beginning of it, or `last`: the newest that is not completed.
        run: String,
        /// The step that asks, by its path or the end of it, or the id of the question; needed if there are several.
        question: Option<String>,
        #[command(flatten)]
        options: Box<AnswerOptions>,
    },
    /// Stop a run that another process drives, or one step or component of it; what is committed stays.
    Cancel {
        /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        /// A step or component, by its path or the end of it.
        path: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Check definitions without running them: every problem at once, with its place.
    Validate {
        /// An agent of the project or a definition file; all agents of the project if left out.
        name: Option<String>,
        /// The project; by default the nearest directory upward that holds `.dhenara`.
        #[arg(long, value_name = "DIR")]
        project_root: Option<PathBuf>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings of one step as they would be executed, and where each value came from.
    Render {
        /// An agent of the project, or a definition file.
        name: String,
        /// The step, by its path or the end of it.
        path: String,
        /// A run whose results and inputs are used: its id, a unique beginning of it, or `last`.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        options: Box<RenderOptions>,
    },
    /// Look at the runs there are.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Obey a project that belongs to another user from now on: its configuration decides which commands run and where keys
    /// go.
    Trust {
        /// The project.
        dir: PathBuf,
    },
    /// Print the JSON Schema of definitions, for editors.
    Schema {
        /// What is defined.
        kind: SchemaKind,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaKind {
    /// Agents: `agents/NAME/agent.yaml`.
    Agent,
    /// Flow files.
    Flow,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Run an agent of the project.
    Agent {
        /// Its name: `agents/NAME/agent.yaml`, or one built into this program.
        name: String,
        #[command(flatten)]
        options: Box<RunOptions>,
    },
    /// Run a flow file; no project is needed.
    Flow {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        options: Box<RunOptions>,
    },
    /// Execute one step of a run alone, with the inputs and results it had: to try a changed prompt, say.
    Step {
        /// The run: its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        /// The step, by its path or the end of it.
        path: String,
        #[command(flatten)]
        options: Box<StepOptions>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the runs, the newest last.
    List {
        #[command(flatten)]
        place: Place,
        /// Say how large each run is; every file of it is asked about.
        #[arg(long)]
        size: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Remove runs. Runs that are driven are refused, and unless told by `--force` those that wait for an answer or that a
    /// re-run which did not complete may still take results from.
    Rm {
        /// Their ids, unique beginnings of them, `last`, or `last~N` for the Nth before it.
        #[arg(required = true)]
        run: Vec<String>,
        /// Remove runs that wait for an answer or are needed by a re-run, too.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        removal: Removal,
    },
    /// Remove old runs, and what crashes left in the run root. A run is kept if any of the rules keeps it; never removed
    /// are runs that are driven, that wait for an answer, that a re-run which is kept may still take results from, or that
    /// the original system made.
    Prune {
        /// Keep the newest N runs.
        #[arg(long, value_name = "N")]
        keep_last: Option<usize>,
        /// Keep runs whose last record is less than D days old.
        #[arg(long, value_name = "D")]
        keep_days: Option<u32>,
        /// Keep the newest runs that take at most SIZE together, such as 500MB or 2GiB.
        #[arg(long, value_name = "SIZE", value_parser = dad_core::parse_size)]
        max_size: Option<u64>,
        #[command(flatten)]
        removal: Removal,
    },
    /// Check that every file of a run is the one that was recorded.
    Verify {
        /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        #[command(flatten)]
        place: Place,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Make a run with a damaged journal one that can be resumed: its whole beginning stays, and steps with an effect of
    /// which it is not known how far they got are decided about.
    Repair {
        /// Its id, or a unique beginning of it.
        run: String,
        #[command(flatten)]
        options: RepairOptions,
    },
    /// Take back what the file operations of a run changed: all of them, or those of one step. What was changed since is
    /// named and left as it is.
    Undo {
        /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        /// The step, by its path or the end of it.
        path: Option<String>,
        #[command(flatten)]
        options: UndoOptions,
    },
    /// Say why a step was executed or reused, and what changed.
    Why {
        /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        /// The step, by its path or the end of it.
        path: String,
        #[command(flatten)]
        place: Place,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show a run, or one of its steps.
    Show {
        /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
        run: String,
        /// A step, by its path or the end of it.
        path: Option<String>,
        /// Show every iteration of loops that had many.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// How runs are removed.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Removal {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Say what would be removed, without removing it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How changes of a run are taken back.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct UndoOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Say what would be taken back, without changing anything.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Obey the records of a run of another user.
    #[arg(long)]
    pub(crate) trust: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a run is repaired.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RepairOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Say what is damaged and which steps are uncertain, without changing anything.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Execute an uncertain step again when the run is resumed.
    #[arg(long, value_name = "PATH")]
    pub(crate) redo: Vec<String>,
    /// Take the result of an uncertain step as a whole line behind the damage has it.
    #[arg(long, value_name = "PATH")]
    pub(crate) accept: Vec<String>,
    /// Count an uncertain step as skipped.
    #[arg(long, value_name = "PATH")]
    pub(crate) skip: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where runs are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    pub(crate) project_root: Option<PathBuf>,
    /// Where runs are kept, relative to the project; `runs` by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_root: Option<PathBuf>,
    /// A directory in the run root for these runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_root_subpath: Option<String>,
}

/// What is given to a run from outside.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Given {
    /// An environment of `.dhenara/config.yaml`.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Give a variable a text, or with `@FILE` the text of a file.
    #[arg(long = "var", value_name = "NAME=TEXT|@FILE")]
    pub(crate) vars: Vec<String>,
    /// Give a variable a JSON value, or with `@FILE` that of a file.
    #[arg(long = "var-json", value_name = "NAME=JSON|@FILE")]
    pub(crate) json_vars: Vec<String>,
    /// Give a step its input.
    #[arg(long = "input", value_name = "PATH=JSON|@FILE")]
    pub(crate) inputs: Vec<String>,
    /// A file of inputs by step.
    #[arg(long, value_name = "FILE")]
    pub(crate) static_inputs: Option<PathBuf>,
}

/// What a run is driven with. It is recorded, and holds when the run is continued unless it is said anew.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Driving {
    /// Ask this model in the place of those that the definition names, in every step that asks one.
    #[arg(long, value_name = "PROVIDER/MODEL")]
    pub(crate) model: Option<String>,
    /// Answer requests to models from a run that made the same ones; no network is used.
    #[arg(long, value_name = "RUN")]
    pub(crate) replay: Option<String>,
    /// What the run may consume, in the place of what the definition and the environment say; of a run that is continued,
    /// with what it consumed before.
    #[arg(long, value_name = "cost=2.00,tokens=200k,calls=40,wall_time=30m")]
    pub(crate) budget: Option<Budget>,
}

impl Driving {
    /// Whether anything is said.
    pub(crate) const fn is_said(&self) -> bool {
        self.model.is_some() || self.replay.is_some() || self.budget.is_some()
    }
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ResumeOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// An environment of `.dhenara/config.yaml`, in the place of the recorded one.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Which definition to go on with, if it changed since the run was started.
    #[arg(long, value_enum)]
    pub(crate) definition: Option<DefinitionChoice>,
    /// Count a step that has not ended well as skipped, instead of executing it.
    #[arg(long, value_name = "PATH[=REASON]")]
    pub(crate) skip: Vec<String>,
    /// Count a step that has not ended well as failed, instead of executing it.
    #[arg(long, value_name = "PATH[=REASON]")]
    pub(crate) fail: Vec<String>,
    /// Take the run over from a process on another machine, of which it cannot be told whether it still drives it.
    #[arg(long)]
    pub(crate) steal_lease: bool,
    /// Resume a run that is not signed with your key: you trust what it would execute.
    #[arg(long)]
    pub(crate) trust: bool,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// Give a step its input.
    #[arg(long = "input", value_name = "PATH=JSON|@FILE")]
    pub(crate) inputs: Vec<String>,
    /// What the run promises to survive, before what the environment says.
    #[arg(long, value_enum)]
    pub(crate) durability: Option<DurabilityChoice>,
    /// Never ask at the terminal.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a run promises to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// The end of its process, however it comes.
    Process,
    /// A loss of power too; every step then waits for the disk.
    Disk,
}

impl From<DurabilityChoice> for dad_run::Durability {
    fn from(choice: DurabilityChoice) -> Self {
        match choice {
            DurabilityChoice::Process => Self::Process,
            DurabilityChoice::Disk => Self::Disk,
        }
    }
}

/// Which definition a resumed run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DefinitionChoice {
    /// The one it was started with.
    Recorded,
    /// The one there is now, for what still executes.
    Current,
}

impl From<DefinitionChoice> for dad_project::DefinitionChoice {
    fn from(choice: DefinitionChoice) -> Self {
        match choice {
            DefinitionChoice::Recorded => Self::Recorded,
            DefinitionChoice::Current => Self::Current,
        }
    }
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AnswerOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// An environment of `.dhenara/config.yaml`, in the place of the recorded one.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// The answer; asked for at the terminal if left out.
    #[arg(long, value_name = "JSON|@FILE", conflicts_with = "deny")]
    pub(crate) input: Option<String>,
    /// There will be no answer, or no approval: the step fails.
    #[arg(long, value_name = "REASON")]
    pub(crate) deny: Option<String>,
    /// Agree that the step executes as it is.
    #[arg(long, conflicts_with_all = ["input", "deny"])]
    pub(crate) approve: bool,
    /// With `--approve`: agree to the same, with the same arguments, for the rest of the run.
    #[arg(long, requires = "approve")]
    pub(crate) for_run: bool,
    /// Only record the answer, without resuming the run.
    #[arg(long, conflicts_with_all = ["model", "replay", "budget"])]
    pub(crate) no_resume: bool,
    /// Answer and resume a run that is not signed with your key: you trust what it would execute.
    #[arg(long)]
    pub(crate) trust: bool,
    /// Never ask at the terminal.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StepOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// Which definition the step is taken from; by default the one there is now.
    #[arg(long, value_enum)]
    pub(crate) definition: Option<DefinitionChoice>,
    /// Start from a run that was driven last on another machine or in another directory: you trust what the step would
    /// execute.
    #[arg(long)]
    pub(crate) trust: bool,
    /// Never ask at the terminal.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RenderOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// A word before the run id.
    #[arg(long, value_name = "WORD")]
    pub(crate) run_id_prefix: Option<String>,
    /// Start from a previous run: its id, a unique beginning of it, or `last`.
    #[arg(long, value_name = "RUN")]
    pub(crate) previous_run_id: Option<String>,
    /// Execute from this step or component on; what lies before it is taken from the previous run.
    #[arg(long, value_name = "PATH")]
    pub(crate) entry_point: Option<String>,
    /// Execute a step, or all of a component, even if nothing changed since the previous run.
    #[arg(long, value_name = "PATH", conflicts_with = "entry_point")]
    pub(crate) execute: Vec<String>,
    /// Execute every step, whatever the previous run has.
    #[arg(long, conflicts_with = "entry_point")]
    pub(crate) fresh: bool,
    /// Ask again for the input of a step or component, although the previous run has an answer to the same question.
    #[arg(long, value_name = "PATH")]
    pub(crate) ask: Vec<String>,
    /// Take the answers of the previous run for a step or component, or for all that ask in it, whatever was asked there.
    #[arg(long, value_name = "PATH")]
    pub(crate) reuse_answers: Vec<String>,
    /// Change a result that is taken from the previous run, for what executes behind it.
    #[arg(
        long = "set",
        value_name = "STEP.outcome.FIELD=JSON|@FILE",
        requires = "entry_point"
    )]
    pub(crate) edits: Vec<String>,
    /// A directory whose files are copied into the run's `static_inputs/`, with keys masked.
    #[arg(long, value_name = "DIR")]
    pub(crate) input_dir: Option<PathBuf>,
    /// What the run promises to survive, before what the environment says.
    #[arg(long, value_enum)]
    pub(crate) durability: Option<DurabilityChoice>,
    /// Never ask at the terminal.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Check everything and say what would be done, without doing it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
