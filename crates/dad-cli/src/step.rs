use dad_run::Dirs;
use dad_runner::Runner;

use crate::app::App;
use crate::args::{DefinitionChoice, StepOptions};
use crate::config::environment;
use crate::error::CommandError;
use crate::given;
use crate::resume::current;
use crate::run::{base_context, drive, project_root};
use crate::runs::{check_origin, open, own_runs};
use crate::summary::Invocation;

/// `dhenara run step RUN PATH`.
pub(crate) fn step(app: &App, run: &str, path: &str, options: &StepOptions) -> Result<u8, CommandError> {
    let project_root = project_root(&options.place)?;
    let mut environment = environment(&project_root, options.given.env.as_deref())?;
    let place = &options.place;
    let run_root = place.run_root.as_deref().or(environment.run_root.as_deref());
    let dirs = Dirs::new(&project_root, run_root, place.run_root_subpath.as_deref())?;
    let entry = own_runs(dirs.catalog())?.find_whole(run)?;
    let view = open(&entry)?;
    check_origin(&view, options.trust)?;
    let recorded = view.definition()?;
    let secrets = dad_run::known_secrets(&project_root);
    let now = match options.definition {
        Some(DefinitionChoice::Recorded) => None,
        _ => current(app, &dirs.project_root, &secrets, &view, &recorded)?,
    };
    let definition = now.map_or(recorded.definition, |program| (*program.definition).clone());

    let mut context = base_context(
        app,
        view.root_id.as_str(),
        &project_root,
        &environment,
        secrets,
        options.no_input,
    )?;
    // What the run was given when it was started counts, not what the environment says now.
    environment.variables.clear();
    context = given::apply(context, place, &options.given, &environment)?;
    context = context
        .previous_run_id(entry.run_id.as_str())
        .step_alone(path)
        .trust_run(options.trust);
    let invocation = Invocation::new(place, options.given.env.as_deref(), &project_root);
    drive(context, &environment, options.json, &invocation, |context| {
        Runner::new(definition, context)
    })
}
