use dad_runner::Runner;

use crate::app::App;
use crate::args::{DefinitionChoice, StepOptions};
use crate::error::CommandError;
use crate::foreign::check_origin;
use crate::given;
use crate::place::driven;
use crate::resume::continued;
use crate::run::{drive, noted};
use crate::summary::Invocation;

/// `dhenara run step RUN PATH`.
pub(crate) fn step(app: &App, run: &str, path: &str, options: &StepOptions) -> Result<u8, CommandError> {
    let project = app.project(&options.place)?;
    let entry = project.own_runs()?.find_whole(run)?;
    let view = project.view(&entry)?;
    if !options.trust {
        check_origin(app, &project, &view)?;
    }
    let project = driven(project, options.given.env.as_deref(), &options.driving)?;
    let (project, notes) = noted(project.in_environment_of(&view)?);
    let definition = match options.definition {
        Some(DefinitionChoice::Recorded) => view.definition()?.definition,
        _ => project.current_definition(&view)?,
    };
    let context = continued(app, &project, &view, notes, options.no_input)?;
    let context = given::apply(context, &options.given)?
        .previous_run_id(entry.run_id.as_str())
        .step_alone(path)
        .trust_run(options.trust);
    let invocation = Invocation::new(&options.place, project.root());
    drive(
        context,
        project.settings(),
        options.json,
        &invocation,
        |context| Runner::new(definition, context),
    )
}
