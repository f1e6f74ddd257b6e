//! `dhenara run`, `dhenara run agent` and `dhenara run flow`.

use std::path::{Path, PathBuf};

use clap::Args;
use dad_core::{Definition, DefinitionKind, ElementId};
use dad_project::{FoundDefinition, Project};
use dad_run::RunContextBuilder;
use dad_runner::Runner;
use dad_terminal::print_line;
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::{Driving, DurabilityChoice, Given, Place};
use crate::output::summary::Invocation;
use crate::output::{json, out, plan};
use crate::session::context::{noted, warn_of_keys, warn_of_models, with_listeners};
use crate::session::drive::{drive, runtime};
use crate::session::inputs;
use crate::session::project::driven;

/// Run an agent of the project.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Its name: `agents/NAME/agent.yaml`, or one built into this program.
    name: String,
    #[command(flatten)]
    options: RunOptions,
}

/// Run a flow. A file needs no project.
#[derive(Debug, Args)]
pub(crate) struct FlowArgs {
    /// Its file, or the name of `flows/NAME.yaml` or of one built into this program.
    #[arg(value_name = "NAME|FILE")]
    file: PathBuf,
    #[command(flatten)]
    options: RunOptions,
}

/// The words behind `run` that name no definition.
pub(crate) const RESERVED: [&str; 4] = ["agent", "flow", "help", "step"];

/// An agent or flow, without the word for its kind.
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// An agent or flow of the project, or the file of one. One that is called `agent`, `flow`, `help` or `step` needs the long form:
    /// `run agent step`.
    #[arg(value_name = "NAME|FILE", required = true)]
    name: Option<String>,
    #[command(flatten)]
    options: RunOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct RunOptions {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    driving: Driving,
    /// A word before the run id.
    #[arg(long, value_name = "WORD")]
    run_id_prefix: Option<String>,
    /// Start from a previous run: its id, a unique beginning of it, or `last`.
    #[arg(long, value_name = "RUN")]
    previous_run_id: Option<String>,
    /// Execute from this step or component on; what lies before it is taken from the previous run.
    #[arg(long, value_name = "PATH")]
    entry_point: Option<String>,
    /// Execute a step, or all of a component, even if nothing changed since the previous run.
    #[arg(long, value_name = "PATH", conflicts_with = "entry_point")]
    execute: Vec<String>,
    /// Execute every step, whatever the previous run has.
    #[arg(long, conflicts_with = "entry_point")]
    fresh: bool,
    /// Ask again for the input of a step or component, although the previous run has an answer to the same question.
    #[arg(long, value_name = "PATH")]
    ask: Vec<String>,
    /// Take the answers of the previous run for a step or component, or for all that ask in it, whatever was asked there.
    #[arg(long, value_name = "PATH")]
    reuse_answers: Vec<String>,
    /// Change a result that is taken from the previous run, for what executes behind it.
    #[arg(
        long = "set",
        value_name = "STEP.outcome.FIELD=JSON|@FILE",
        requires = "entry_point"
    )]
    edits: Vec<String>,
    /// A directory whose files are copied into the run's `static_inputs/`, with keys masked.
    #[arg(long, value_name = "DIR")]
    input_dir: Option<PathBuf>,
    /// The events that the run promises to survive; it overrides the environment.
    #[arg(long, value_enum)]
    durability: Option<DurabilityChoice>,
    /// Never ask at the terminal.
    #[arg(long)]
    no_input: bool,
    /// Check everything and say what would be done, without doing it.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

impl RunOptions {
    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            no_input: self.no_input,
        }
    }
}

impl Execute for AgentArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project(&self.options.place)?;
        let found = project.agent(&self.name)?;
        run(app, project, &found, &self.options)
    }

    fn common(&self) -> CommonOptions {
        self.options.common()
    }
}

impl Execute for FlowArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let name = self.file.to_str().filter(|name| is_name(name));
        let project = match name {
            Some(name) => app.project_of_name(name, &options.place)?,
            None => app.project_of(&self.file, &options.place)?,
        };
        let found = project.flow(&self.file)?;
        run(app, project, &found, options)
    }

    fn common(&self) -> CommonOptions {
        self.options.common()
    }
}

impl Execute for NamedArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let name = self.name.as_deref().unwrap_or_default();
        if !is_name(name) {
            let file = Path::new(name);
            let project = app.project_of(file, &options.place)?;
            let found = project.definition_in(file)?;
            return run(app, project, &found, options);
        }
        let project = app.project_of_name(name, &options.place)?;
        let found = match project.kind_of(name)? {
            DefinitionKind::Agent => project.agent(name)?,
            DefinitionKind::Flow => project.flow(name)?,
        };
        run(app, project, &found, options)
    }

    fn common(&self) -> CommonOptions {
        self.options.common()
    }
}

/// Whether a text is the name of a definition, and not of a file.
fn is_name(text: &str) -> bool {
    ElementId::new(text).is_ok()
}

fn run(
    app: &App,
    project: Project,
    found: &FoundDefinition,
    options: &RunOptions,
) -> Result<u8, CommandError> {
    show_warnings(&project, found);
    let mut project = driven(project, options.given.env.as_deref(), &options.driving)?;
    if options.dry_run {
        project = project.only_looks();
    }
    warn_of_models(&project, &found.definition);
    let (project, notes) = noted(project);
    let mut context = with_listeners(app, project.context_for(found)?, notes, options.no_input);
    if let Some(choice) = options.durability {
        context = context.durability(choice.into());
    }
    context = inputs::apply(context, &options.given)?;
    context = apply_options(context, options)?;
    if options.dry_run {
        return dry_run(app, context, &found.definition, options);
    }
    let invocation = Invocation::new(&options.place, project.root());
    let definition = found.definition.clone();
    drive(
        context,
        project.settings(),
        options.json,
        &invocation,
        |context| Runner::new(definition, context),
    )
}

fn show_warnings(project: &Project, found: &FoundDefinition) {
    for warning in &found.warnings {
        print_line(&warning.to_string());
    }
    warn_of_keys(project, &found.definition);
}

fn apply_options(
    mut context: RunContextBuilder,
    options: &RunOptions,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(prefix) = &options.run_id_prefix {
        context = context.run_id_prefix(prefix);
    }
    if let Some(previous) = &options.previous_run_id {
        context = context.previous_run_id(previous);
    }
    if let Some(entry) = &options.entry_point {
        context = context.start_hierarchy_path(entry);
    }
    context = context.fresh(options.fresh);
    for selector in &options.execute {
        context = context.execute_anew(selector);
    }
    for selector in &options.ask {
        context = context.ask(selector);
    }
    for selector in &options.reuse_answers {
        context = context.reuse_answers(selector);
    }
    for edit in &options.edits {
        let (target, value) = inputs::json_option(edit, "--set", "STEP.outcome.FIELD=JSON")?;
        context = context.set_outcome(target, value);
    }
    if let Some(dir) = &options.input_dir {
        context = context.input_dir(dir);
    }
    Ok(context)
}

fn dry_run(
    app: &App,
    context: RunContextBuilder,
    definition: &Definition,
    options: &RunOptions,
) -> Result<u8, CommandError> {
    let mut prepared = context.build()?.prepare_run(definition)?;
    runtime()?.block_on(dad_runner::forecast(&mut prepared, &app.nodes))?;
    let (program, plan) = (prepared.program(), prepared.plan());
    if options.json {
        json::print(
            json!({ "dry_run": true, "steps": program.steps().map(|s| &s.path).collect::<Vec<_>>(), "plan": plan }),
        )?;
        return Ok(exit_code::DONE);
    }
    match plan {
        None => {
            for step in program.steps() {
                out::lines(&format!("execute  {}  {}", step.path, step.node_type))?;
            }
        }
        Some(plan) => {
            print_line(&plan.summary());
            for step in &plan.steps {
                out::lines(&plan::planned_line(step))?;
            }
            for answer in &plan.answers {
                out::lines(&plan::planned_answer_line(answer, &plan.parent))?;
            }
        }
    }
    Ok(exit_code::DONE)
}
