use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dad_core::{Definition, Element, ElementKind, NodeType, RunStatus, SecretRegistry};
use dad_events::{EventBusConfig, Handler, NodeInputRequiredEvent, on};
use dad_models::{Credentials, HttpClient, ModelCatalog, Models, ReplayClient};
use dad_nodes::passed_environment;
use dad_run::{RunContext, RunContextBuilder, RunView, SecretSource};
use dad_runner::{NodeRegistry, RunReport, Runner};
use dad_terminal::{ask_approval, ask_component_input, ask_node_input_with, is_interactive, print_line};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::app::App;
use crate::args::{DurabilityChoice, Place, RunOptions};
use crate::config::{Environment, environment};
use crate::definitions::{self, Found};
use crate::error::CommandError;
use crate::notes::{NotedProgress, Notes};
use crate::resume::run_catalog;
use crate::signals::{Begun, stop_on_signal};
use crate::summary::{Changes, Invocation, show_summary};
use crate::user::{User, origin_key, user};
use crate::{exit_code, given, json, known_secrets, out};

/// `dhenara run agent NAME`.
pub(crate) fn agent(app: &App, name: &str, options: &RunOptions) -> Result<u8, CommandError> {
    let project_root = project_root(&options.place)?;
    check_project(&project_root)?;
    let found = definitions::agent(app, &project_root, name)?;
    run(app, found, &project_root, options)
}

/// Lets every step that asks a model ask this one.
fn ask_one_model(definition: &mut Definition, model: &str) {
    let body = &mut definition.body;
    for element in body.elements.iter_mut().chain(&mut body.finally) {
        in_element(element, model);
    }
}

fn in_element(element: &mut Element, model: &str) {
    if let ElementKind::Node(node) = &mut element.kind
        && node.node_type == NodeType::AI_MODEL_CALL
    {
        node.settings["models"] = json!([model]);
    }
    for inner in element.kind.elements_mut() {
        in_element(inner, model);
    }
}

/// The project that is named, or the one around the current directory.
pub(crate) fn project_root(place: &Place) -> Result<PathBuf, CommandError> {
    project_at(place.project_root.as_deref())
}

/// The project that is named, or the one around the current directory. It is one that the user trusts.
pub(crate) fn project_at(named: Option<&Path>) -> Result<PathBuf, CommandError> {
    let trust = user()?.trust();
    match named {
        Some(root) => {
            trust.check(root)?;
            Ok(root.to_path_buf())
        }
        None => Ok(trust.find_project_root()?),
    }
}

/// The project, or where there is none the current directory, which has the runs of the flows in it.
pub(crate) fn project_root_or_here(place: &Place) -> Result<PathBuf, CommandError> {
    or_here(project_root(place), Path::new("."))
}

/// A project that was found, or the directory where there is none. One that is there and cannot be used stays an error.
pub(crate) fn or_here(found: Result<PathBuf, CommandError>, dir: &Path) -> Result<PathBuf, CommandError> {
    match found {
        Err(error) if error.info.code == "project" => {
            Ok(dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf()))
        }
        found => found,
    }
}

/// `dhenara run flow FILE`.
pub(crate) fn flow(app: &App, file: &Path, options: &RunOptions) -> Result<u8, CommandError> {
    let project_root = match &options.place.project_root {
        Some(root) => project_at(Some(root))?,
        None => project_of(file)?,
    };
    check_project(&project_root)?;
    let found = definitions::flow(app, file, &project_root)?;
    run(app, found, &project_root, options)
}

/// The project a file lies in; a file outside of any is its own, with its runs beside it.
pub(crate) fn project_of(file: &Path) -> Result<PathBuf, CommandError> {
    let unreadable = |error: io::Error| {
        CommandError::usage(
            "unreadable",
            format!("`{}` cannot be read: {error}", file.display()),
        )
    };
    let file = file.canonicalize().map_err(unreadable)?;
    let dir = file.parent().unwrap_or(Path::new("/"));
    let found = user()?.trust().find_project_root_from(dir);
    or_here(found.map_err(CommandError::from), dir)
}

fn check_project(project_root: &Path) -> Result<(), CommandError> {
    dad_run::Dirs::new(project_root, None, None)?;
    Ok(())
}

fn run(app: &App, found: Found, project_root: &Path, options: &RunOptions) -> Result<u8, CommandError> {
    show_warnings(&found);
    let mut found = found;
    if let Some(model) = &options.model {
        ask_one_model(&mut found.definition, model);
    }
    let environment = environment(project_root, options.given.env.as_deref())?;
    let secrets = dad_run::known_secrets(project_root);
    let mut context = base_context(
        app,
        &found.root_id,
        project_root,
        &environment,
        secrets.clone(),
        options.no_input,
    )?;
    if let Some(run) = &options.replay {
        let entry = run_catalog(&options.place, options.given.env.as_deref())?.find(run, None)?;
        context = context.resource(Arc::new(Models::new(ReplayClient::of_run(&entry.dir)?)));
    }
    context = durability(context, options.durability, &environment);
    if let Some(spans) = found.spans {
        context = context.spans(spans);
    }
    if let Some(dir) = found.dir {
        context = context.definition_dir(dir);
    }
    context = given::apply(context, &options.place, &options.given, &environment)?;
    context = context.budget(
        environment
            .budget
            .overridden_by(options.budget.unwrap_or_default()),
    );
    context = apply_options(context, options)?;
    let masked = known_secrets::without_keys(&found.definition, &secrets)?;
    let definition = masked.unwrap_or(found.definition);
    if options.dry_run {
        return dry_run(app, context, &definition, options);
    }
    let invocation = Invocation::new(&options.place, options.given.env.as_deref(), project_root);
    drive(context, &environment, options.json, &invocation, |context| {
        Runner::new(definition, context)
    })
}

/// A context with what every run of this program has.
pub(crate) fn base_context(
    app: &App,
    root_id: &str,
    project_root: &Path,
    environment: &Environment,
    secrets: SecretRegistry,
    no_input: bool,
) -> Result<RunContextBuilder, CommandError> {
    let notes = Notes::default();
    let user = user()?;
    let models = models(project_root, environment, &user, &secrets, &notes)?;
    let interactive = !no_input && is_interactive();
    let mut events = EventBusConfig::default();
    if let Some(seconds) = environment.ask_timeout {
        let limit = Duration::try_from_secs_f64(seconds);
        events.ask_timeout = limit
            .map_err(|error| CommandError::usage("config", format!("`ask_timeout` is {seconds}: {error}")))?;
    }
    let context = RunContext::builder(root_id, project_root)
        .nodes(app.nodes.clone())
        .environment(&environment.name)
        .secrets(secrets)
        .project_trust(user.trust())
        .origin_key(origin_key()?)
        .trust_unsigned_runs(user.trusts_unsigned())
        .resource(Arc::new(models))
        .resource(Arc::new(SecretSource::new(
            project_root,
            environment.credentials.as_deref(),
        )))
        .observe(Arc::new(NotedProgress::new(notes)))
        .register_event_handlers((app.handlers)())
        .event_config(events)
        .interactive(interactive);
    Ok(match interactive {
        true => context.register_event_handlers(ask_at_terminal(app.nodes.clone())),
        false => context,
    })
}

/// Gives a context what the run promises to survive; the command line comes before the environment.
pub(crate) fn durability(
    context: RunContextBuilder,
    option: Option<DurabilityChoice>,
    environment: &Environment,
) -> RunContextBuilder {
    match option.or(environment.durability) {
        Some(choice) => context.durability(choice.into()),
        None => context,
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

fn show_warnings(found: &Found) {
    for warning in &found.warnings {
        print_line(&warning.to_string());
    }
}

/// The model client of the environment: recorded exchanges, or providers over the network.
fn models(
    project_root: &Path,
    environment: &Environment,
    user: &User,
    secrets: &SecretRegistry,
    notes: &Notes,
) -> Result<Models, CommandError> {
    if let Some(cassette) = &environment.cassette {
        let notes = notes.clone();
        let tell = move |note: &dad_models::ReplayNote| notes.add(note.clone());
        return Ok(Models::new(ReplayClient::new(project_root.join(cassette), tell)));
    }
    let credentials = Credentials::new(project_root, environment.credentials.as_deref(), secrets.clone());
    let catalog = ModelCatalog::load(project_root)?.allow_keys(&user.allow_key);
    let client = HttpClient::new(catalog, credentials);
    Ok(Models::new(client.with_limits(environment.limits)))
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
    let stop = CancellationToken::new();
    let begun = Arc::new(Begun::default());
    let mut context = context
        .cancelled_by(stop.clone())
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
        let interrupt = tokio::spawn(stop_on_signal(stop, begun, resume_command));
        let ended = runner(context).run().await;
        dad_terminal::prompts_closed().await;
        interrupt.abort();
        ended
    });
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
