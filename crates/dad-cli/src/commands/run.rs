//! `dhenara run`, `dhenara run agent` and `dhenara run flow`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use dad_core::{Definition, DefinitionKind, ElementId, RunStatus};
use dad_project::{Batch, FoundDefinition, Project, WaitFor};
use dad_run::RunContextBuilder;
use dad_runner::Runner;
use dad_terminal::print_line;
use serde_json::json;

use crate::app::App;
use crate::commands::each;
use crate::commands::resume::{ResumeOptions, Resumption};
use crate::commands::wait::report_run;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::{Driving, DurabilityChoice, EachOptions, Given, Place, ReuseOptions};
use crate::output::summary::Invocation;
use crate::output::{json, out, plan, program};
use crate::session::context::{noted, warn_of_keys, warn_of_models, with_listeners};
use crate::session::detach::{Announcement, announce, detach};
use crate::session::drive::{Driven, drive_or_find, runtime};
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
    #[command(flatten)]
    each: EachOptions,
    /// Start once: an agent has one run of a key. If it was started before, its output is printed, or its end awaited; other
    /// variables or inputs are refused.
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["run_id_prefix", "dry_run"])]
    key: Option<String>,
    /// Drive the run in a process in the background, and print its id as one line of JSON.
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    /// Given to the process in the background.
    #[arg(long, hide = true)]
    announce: bool,
    /// A word before the run id.
    #[arg(long, value_name = "WORD")]
    run_id_prefix: Option<String>,
    /// Start from a previous run: its id, a unique beginning of it, or `last`.
    #[arg(long, value_name = "RUN")]
    previous_run_id: Option<String>,
    #[command(flatten)]
    reuse: ReuseOptions,
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
            ..CommonOptions::default()
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
    // A definition that cannot be run is refused here.
    if options.detach {
        return detach(&app.invoked);
    }
    show_warnings(&project, found);
    if let Some(file) = &options.each.each {
        let batch = batch_of(file, options)?;
        let alone = Driving {
            models: Vec::new(),
            ..options.driving.clone()
        };
        let project = driven(project, options.given.env.as_deref(), &alone)?;
        let durability = options.durability.map(Into::into);
        let driving = each::driving(app, &project, options.each.max_concurrency, durability)?;
        return each::run(&project, found, &batch, driving, options.json);
    }
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
        return dry_run(app, context, &found.definition, options.json);
    }
    if options.announce {
        program::set_quiet(true);
        context = context.observe(Arc::new(Announcement::default()));
    }
    let invocation = Invocation::new(&options.place, project.root());
    let definition = found.definition.clone();
    let driven = drive_or_find(context, &project, options.json, &invocation, |context| {
        Runner::new(definition, context)
    })?;
    match driven {
        Driven::Ended(code) => Ok(code),
        Driven::Before(run) => attach(app, &project, &run, options),
    }
}

/// Takes part in a run that was started before: waits while a process drives it, resumes it if that process died, and reports it.
fn attach(app: &App, project: &Project, run: &str, options: &RunOptions) -> Result<u8, CommandError> {
    print_line(&format!("{run} was started before"));
    let run = project.run(run)?;
    if options.announce {
        announce(run.view().run_id.as_str(), run.view().dir())?;
    }
    let run = runtime()?.block_on(run.wait(WaitFor::Pause))?;
    if run.view().status != RunStatus::Interrupted {
        return report_run(run.view(), &options.place, options.json);
    }
    let options = ResumeOptions {
        place: options.place.clone(),
        no_input: options.no_input,
        json: options.json,
        ..ResumeOptions::default()
    };
    Resumption::new(app, &run, &options)?.drive(&options)
}

/// The batch that the options describe.
fn batch_of(file: &Path, options: &RunOptions) -> Result<Batch, CommandError> {
    let mut rows = each::rows(file)?;
    rows.truncate(options.each.limit.unwrap_or(usize::MAX));
    // What stands in a row comes before what is given to all.
    let variables = inputs::variables(&options.given)?;
    let given = inputs::inputs(&options.given)?;
    for row in &mut rows {
        for (name, value) in &variables {
            row.variables.entry(name).or_insert_with(|| value.clone());
        }
        for (path, value) in &given {
            row.inputs.entry(path).or_insert_with(|| value.clone());
        }
    }
    let name = options.each.batch.clone().unwrap_or_else(each::new_name);
    let batch = Batch::new(name, rows).models(&options.driving.models);
    Ok(batch.repeat(options.each.repeat))
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
    if let Some(key) = &options.key {
        context = context.key(key);
    }
    if let Some(prefix) = &options.run_id_prefix {
        context = context.run_id_prefix(prefix);
    }
    if let Some(previous) = &options.previous_run_id {
        context = context.previous_run_id(previous);
    }
    context = inputs::apply_reuse(context, &options.reuse)?;
    if let Some(dir) = &options.input_dir {
        context = context.input_dir(dir);
    }
    Ok(context)
}

/// Says what a run would do, without doing it.
pub(crate) fn dry_run(
    app: &App,
    context: RunContextBuilder,
    definition: &Definition,
    as_json: bool,
) -> Result<u8, CommandError> {
    let mut prepared = context.build()?.prepare_run(definition)?;
    runtime()?.block_on(dad_runner::forecast(&mut prepared, &app.nodes))?;
    let (program, plan) = (prepared.program(), prepared.plan());
    if as_json {
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
