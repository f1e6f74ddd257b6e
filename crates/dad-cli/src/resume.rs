use std::path::Path;
use std::path::PathBuf;

use dad_core::{Definition, HierarchyPath, RunStatus, SecretRegistry};
use dad_definition::{Program, check_file, compile};
use dad_run::{Catalog, DefinitionChanges, Dirs, RecordedDefinition, RunError, RunView, Settled};
use dad_runner::Runner;

use crate::app::App;
use crate::args::{DefinitionChoice, Given, Place, ResumeOptions};
use crate::config::environment;
use crate::error::CommandError;
use crate::known_secrets::without_keys;
use crate::run::{base_context, drive, durability, project_root_or_here};
use crate::runs::{check_origin, open, own_runs};
use crate::summary::Invocation;
use crate::{exit_code, given};

/// `dhenara resume RUN`.
pub(crate) fn resume(app: &App, run: &str, options: &ResumeOptions) -> Result<u8, CommandError> {
    let project_root = project_root_or_here(&options.place)?;
    let environment = environment(&project_root, options.env.as_deref())?;
    let place = &options.place;
    let run_root = place.run_root.as_ref().or(environment.run_root.as_ref());
    let dirs = Dirs::new(
        &project_root,
        run_root.map(PathBuf::as_path),
        place.run_root_subpath.as_deref(),
    )?;
    let entry = own_runs(dirs.catalog())?.find_unfinished(run)?;
    let view = open(&entry)?;
    // Whatever became of its definition meanwhile: there is nothing to decide about.
    if view.sealed_status() == Some(RunStatus::Completed) {
        return Err(RunError::AlreadyCompleted(view.name().into_owned()).into());
    }
    check_origin(&view, options.trust)?;
    let recorded = view.definition()?;
    let secrets = dad_run::known_secrets(&project_root);
    let definition = choose(
        app,
        &dirs.project_root,
        &secrets,
        &view,
        recorded.clone(),
        options.definition,
    )?;

    let mut context = base_context(
        app,
        view.root_id.as_str(),
        &project_root,
        &environment,
        secrets,
        options.no_input,
    )?;
    context = durability(context, options.durability, &environment);
    if let Some(spans) = recorded.spans {
        context = context.spans(spans);
    }
    let given = Given {
        inputs: options.inputs.clone(),
        ..Given::default()
    };
    // What the run was given when it was started counts, not what the environment says now.
    let mut environment = environment;
    environment.variables.clear();
    context = given::apply(context, place, &given, &environment)?;
    for settle in &options.skip {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Skipped(reason));
    }
    for settle in &options.fail {
        let (path, reason) = settled(settle);
        context = context.settle(path, Settled::Failed(reason));
    }
    context = context
        .steal_lease(options.steal_lease)
        .trust_run(options.trust)
        .budget(options.budget.unwrap_or_default());
    let invocation = Invocation::new(place, options.env.as_deref(), &project_root);
    drive(context, &environment, options.json, &invocation, |context| {
        Runner::resume(definition, context, entry.dir)
    })
}

/// A step, and why it is settled so.
fn settled(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((path, reason)) => (path, Some(reason.to_owned())),
        None => (text, None),
    }
}

/// Where the runs of an environment are.
pub(crate) fn run_catalog(place: &Place, env: Option<&str>) -> Result<Catalog, CommandError> {
    let project_root = project_root_or_here(place)?;
    let environment = environment(&project_root, env)?;
    let run_root = place.run_root.as_deref().or(environment.run_root.as_deref());
    own_runs(Dirs::new(&project_root, run_root, place.run_root_subpath.as_deref())?.catalog())
}

/// The definition to go on with. If the one there is now differs from the recorded one, somebody has to say.
fn choose(
    app: &App,
    project_root: &Path,
    secrets: &SecretRegistry,
    view: &RunView,
    recorded: RecordedDefinition,
    choice: Option<DefinitionChoice>,
) -> Result<Definition, CommandError> {
    if choice == Some(DefinitionChoice::Recorded) {
        return Ok(recorded.definition);
    }
    let current = current(app, project_root, secrets, view, &recorded);
    match (current, choice) {
        (Ok(Some(program)), Some(_)) => Ok((*program.definition).clone()),
        (Ok(None), Some(_)) => Err(CommandError::usage(
            "no_definition",
            "it is not known where the definition of this run comes from",
        )),
        (Err(error), Some(_)) => Err(error),
        // A definition that was made in Rust by another program cannot change under this one.
        (Ok(None), None) => Ok(recorded.definition),
        (Ok(Some(program)), None) => match recorded.changes_to(&program) {
            changes if changes.any => Err(changed(&listed(&changes))),
            _ => Ok(recorded.definition),
        },
        (Err(error), None) => Err(changed(&format!(
            "the one there is now has problems: {}",
            error.info.message
        ))),
    }
}

/// The definition as it is now: the file it was read from, or one built into the program.
pub(crate) fn current(
    app: &App,
    project_root: &Path,
    secrets: &SecretRegistry,
    view: &RunView,
    recorded: &RecordedDefinition,
) -> Result<Option<Program>, CommandError> {
    let file = recorded.spans.as_ref().and_then(|spans| spans.files().next());
    if let Some((file, _)) = file {
        let root_id = view.root_id.as_str();
        let name = root_id.strip_suffix("_root").unwrap_or(root_id);
        let checked = check_file(&project_root.join(file), Some(project_root), name, &app.nodes)?;
        let definition = (*checked.program.definition).clone();
        let Some(masked) = without_keys(&definition, secrets)? else {
            return Ok(Some(checked.program));
        };
        let program = compile(&masked, &view.root_id, &app.nodes, None);
        return program.map(Some).map_err(CommandError::from);
    }
    let built_in = app.agents.iter().map(|(_, agent)| agent.definition());
    let found = built_in
        .filter_map(|definition| {
            let masked = without_keys(definition, secrets).ok()?;
            compile(
                masked.as_ref().unwrap_or(definition),
                &view.root_id,
                &app.nodes,
                None,
            )
            .ok()
        })
        .find(|program| program.definition.root_id.as_ref() == Some(&view.root_id));
    Ok(found)
}

fn changed(how: &str) -> CommandError {
    let message = format!("the definition changed since the run was started: {how}");
    let mut error = CommandError::usage("definition_changed", message).with_hint(
        "`--definition recorded` goes on with the one it was started with, \
         `--definition current` with the one there is now",
    );
    error.exit_code = exit_code::REFUSED;
    error
}

/// What differs, in words.
fn listed(changes: &DefinitionChanges) -> String {
    let named = |word: &str, paths: &[HierarchyPath]| {
        let names: Vec<&str> = paths.iter().map(HierarchyPath::as_str).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let parts = [
        named("changed", &changes.changed),
        named("added", &changes.added),
        named("removed", &changes.removed),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "its variables, conditions or loops differ".to_owned(),
        false => parts.join("; "),
    }
}
