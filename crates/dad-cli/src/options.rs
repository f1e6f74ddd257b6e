//! The options that several commands have.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use dad_core::Budget;

/// The place of runs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    pub(crate) project_root: Option<PathBuf>,
    /// The directory of runs, relative to the project; `runs` by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_root: Option<PathBuf>,
    /// A directory in the run root for these runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_root_subpath: Option<String>,
}

/// The variables and inputs of a run.
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

/// The models, replay source and budget of a run. They are recorded, and hold when the run is resumed unless they are given again.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Driving {
    /// Ask this model in the place of those that the definition names, in every step that asks one. With `--each` it may be given
    /// several times.
    #[arg(long = "model", value_name = "PROVIDER/MODEL")]
    pub(crate) models: Vec<String>,
    /// Answer requests to models from a run that made the same ones; no network is used.
    #[arg(long, value_name = "RUN")]
    pub(crate) replay: Option<String>,
    /// The budget of the run; it overrides the definition and the environment. For a run that is resumed it includes the usage
    /// before.
    #[arg(long, value_name = "cost=2.00,tokens=200k,calls=40,wall_time=30m")]
    pub(crate) budget: Option<Budget>,
}

/// Many runs of one definition.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EachOptions {
    /// Run once for each line of a file, a JSON object such as `{"variables": {"tone": "calm"}, "expect": {"contains": "calm"}}`,
    /// and for each `--model`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "detach", "key", "previous_run_id", "run_id_prefix", "input_dir", "static_inputs"])]
    pub(crate) each: Option<PathBuf>,
    /// The name of the batch, a directory in the run root: under the name of one that there is, completed runs stand, and the
    /// others are resumed or started. By default a new one.
    #[arg(long, value_name = "NAME", requires = "each", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) batch: Option<String>,
    /// The most runs at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "each")]
    pub(crate) max_concurrency: usize,
    /// Run each line several times.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "each")]
    pub(crate) repeat: u32,
    /// Run only the first lines.
    #[arg(long, value_name = "N", requires = "each")]
    pub(crate) limit: Option<usize>,
}

/// The parts of the previous run that a re-run reuses, and those that it executes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ReuseOptions {
    /// Execute from this step or component on; what lies before it is taken from the previous run.
    #[arg(long, visible_alias = "from", value_name = "PATH")]
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
}

impl Driving {
    /// Whether any of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        !self.models.is_empty() || self.replay.is_some() || self.budget.is_some()
    }
}

/// The events that a run promises to survive.
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

/// The definition that a resumed run uses.
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
