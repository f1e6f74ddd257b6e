use std::io;
use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, RunStatus, SecretRegistry};
use dad_events::{Handler, NodeInputRequiredEvent, on};
use dad_nodes::passed_environment;
use dad_project::{Environment, FoundDefinition, Project};
use dad_run::{RunContext, RunContextBuilder, RunStop, RunView};
use dad_runner::{NodeRegistry, RunReport, Runner};
use dad_terminal::{ask_approval, ask_component_input, ask_node_input_with, is_interactive, print_line};
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::app::App;
use crate::args::RunOptions;
use crate::descriptors::descriptors;
use crate::error::CommandError;
use crate::notes::{NotedProgress, Notes};
use crate::place::driven;
use crate::signals::{Begun, Signals, exit_on_signal, stop_on_signal};
use crate::summary::{Changes, Invocation, show_summary};
use crate::{exit_code, given, json, out};

/// `dhenara run agent NAME`.
pub(crate) fn agent(app: &App, name: &str, options: &RunOptions) -> Result<u8, CommandError> {
    let project = app.project(&options.place)?;
    let found = project.agent(name)?;
    run(app, project, &found, options)
}

/// `dhenara run flow FILE`.
pub(crate) fn flow(app: &App, file: &Path, options: &RunOptions) -> Result<u8, CommandError> {
    let project = app.project_of(file, &options.place)?;
    let found = project.flow(file)?;
    run(app, project, &found, options)
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
    let (project, notes) = noted(project);
    let mut context = told(app, project.context_for(found)?, notes, options.no_input);
    if let Some(choice) = options.durability {
        context = context.durability(choice.into());
    }
    context = given::apply(context, &options.given)?;
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

/// A project whose cassette tells of its answers, and where it does.
pub(crate) fn noted(project: Project) -> (Project, Notes) {
    let notes = Notes::default();
    let told = notes.clone();
    (project.on_replay_note(move |note| told.add(note.clone())), notes)
}

/// A context with those who are told of the run, and who answer in it.
pub(crate) fn told(app: &App, context: RunContextBuilder, notes: Notes, no_input: bool) -> RunContextBuilder {
    let interactive = !no_input && is_interactive();
    let context = context
        .observe(Arc::new(NotedProgress::new(notes)))
        .register_event_handlers((app.handlers)())
        .interactive(interactive);
    match interactive {
        true => context.register_event_handlers(ask_at_terminal(app.nodes.clone())),
        false => context,
    }
}

/// Log events go to the run they belong to; warnings and errors also to standard error, with the secrets of the run masked.
fn install_log_layers(secrets: SecretRegistry) {
    let warnings = tracing_subscriber::fmt::layer()
        .with_writer(move || Masked {
            lines: dad_terminal::stderr(),
            secrets: secrets.clone(),
        })
        .without_time()
        .with_target(false)
        .with_filter(LevelFilter::WARN);
    let subscriber = tracing_subscriber::registry()
        .with(dad_observability::layer())
        .with(warnings);
    // A program that embeds this one may have installed its own.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// Where log events are written, each at once.
struct Masked<W> {
    lines: W,
    secrets: SecretRegistry,
}

impl<W: io::Write> io::Write for Masked<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.lines
            .write_all(&self.secrets.redactor().redact_bytes(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

fn show_warnings(project: &Project, found: &FoundDefinition) {
    for warning in &found.warnings {
        print_line(&warning.to_string());
    }
    warn_of_keys(project, &found.definition);
}

/// Says that keys stand in a definition, which is a file of its run.
pub(crate) fn warn_of_keys(project: &Project, definition: &Definition) {
    if project.holds_secrets(definition) {
        print_line(
            "warning: a key stands in the definition; the run sees `[redacted]` in its place: leave keys to the credentials \
             file or the environment",
        );
    }
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
        context = context.execute(selector);
    }
    for selector in &options.ask {
        context = context.ask(selector);
    }
    for selector in &options.reuse_answers {
        context = context.reuse_answers(selector);
    }
    for edit in &options.edits {
        let (target, value) = given::json_option(edit, "--set", "STEP.outcome.FIELD=JSON")?;
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
                out::lines(&crate::show::planned_line(step))?;
            }
            for answer in &plan.answers {
                out::lines(&crate::show::planned_answer_line(answer, &plan.parent))?;
            }
        }
    }
    Ok(exit_code::DONE)
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Runtime::new()
        .map_err(|error| CommandError::usage("runtime", format!("the runtime cannot be started: {error}")))
}

/// Runs to the end and tells how it went.
pub(crate) fn drive(
    context: RunContextBuilder,
    environment: &Environment,
    as_json: bool,
    invocation: &Invocation,
    runner: impl FnOnce(RunContext) -> Runner<Definition>,
) -> Result<u8, CommandError> {
    let runtime = runtime()?;
    let changes = Arc::new(Changes::default());
    let stop = RunStop::new();
    let begun = Arc::new(Begun::default());
    let mut context = context
        .cancelled_by(stop.clone())
        .resource(Arc::new(descriptors()))
        .observe(Arc::clone(&changes))
        .observe(Arc::clone(&begun));
    if environment.observability.unwrap_or(true) {
        context = context.observability_settings(dad_observability::ObservabilitySettings::default());
    }
    let context = context.build()?;
    install_log_layers(context.secrets().clone());
    let context_root = &context.dirs().project_root.clone();
    let resume_command = {
        let invocation = invocation.clone();
        move |run: &str| invocation.command(&["resume", run])
    };
    let ended = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| unheard(&error))?;
        let interrupt = tokio::spawn(stop_on_signal(signals, stop, begun, resume_command));
        let ended = runner(context).run().await;
        dad_terminal::prompts_closed().await;
        interrupt.abort();
        // What remains is to tell how it went.
        tokio::spawn(exit_on_signal(
            Signals::listen().map_err(|error| unheard(&error))?,
        ));
        Ok::<_, CommandError>(ended)
    })?;
    // A thread that looks at files, or a step that did not stop, may never return.
    let _runtime = InBackground(Some(runtime));
    let report = ended.as_ref().ok().or_else(|| ended.as_ref().err()?.report());
    if let Some(report) = report {
        if report.status == RunStatus::Waiting {
            tell_who_can_answer(report, &environment.on_waiting, context_root)?;
        }
        tell(report, &changes, as_json, invocation)?;
    }
    match ended {
        Ok(report) if report.status == RunStatus::Waiting => Ok(exit_code::WAITING),
        Ok(_) => Ok(exit_code::DONE),
        // The document that was printed holds the error already.
        Err(error) if as_json && error.report().is_some() => Ok(CommandError::from(error).exit_code),
        Err(error) => Err(error.into()),
    }
}

/// A runtime whose threads are not waited for when this is dropped.
struct InBackground(Option<tokio::runtime::Runtime>);

impl Drop for InBackground {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn unheard(error: &io::Error) -> CommandError {
    CommandError::usage(
        "signals",
        format!("signals that would stop the run cannot be received: {error}"),
    )
}

/// Calls the command of the environment for each question that waits. That it fails does not fail the run.
fn tell_who_can_answer(
    report: &RunReport,
    command: &[String],
    project_root: &Path,
) -> Result<(), CommandError> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let view = RunView::open(&report.run_dir)?;
    for open in view.open_questions() {
        let file = dad_run::layout::DOT_RUN;
        let file = report.run_dir.join(file).join(dad_run::layout::QUESTIONS);
        let called = std::process::Command::new(program)
            .args(arguments)
            .args([&*view.name(), open.path.as_str()])
            .arg(file.join(format!("{}.json", open.id)))
            .current_dir(project_root)
            .env_clear()
            .envs(passed_environment())
            .stdin(std::process::Stdio::null())
            // Standard output is the run's own.
            .stdout(io::stderr())
            .status();
        let trouble = match called {
            Ok(status) if status.success() => continue,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        print_line(&format!("warning: `on_waiting`: `{program}`: {trouble}"));
    }
    Ok(())
}

fn tell(
    report: &RunReport,
    changes: &Changes,
    as_json: bool,
    invocation: &Invocation,
) -> Result<(), CommandError> {
    if as_json {
        return json::print(json::report(report));
    }
    let view = RunView::open(&report.run_dir).ok();
    show_summary(report, view.as_ref(), changes, invocation);
    match &report.output {
        None => Ok(()),
        Some(Value::String(text)) => out::exact(text),
        Some(other) => out::document(other),
    }
}

/// Asks a person at the terminal, after all handlers of the project.
fn ask_at_terminal(nodes: NodeRegistry) -> [Handler; 3] {
    let ask_node = on(move |event: NodeInputRequiredEvent| {
        let info = dad_definition::NodeTypes::node_type(&nodes, &event.node_type);
        let schema = info.map(|info| info.input_schema.clone());
        ask_node_input_with(event, schema)
    });
    [ask_node, on(ask_component_input), on(ask_approval)]
}
