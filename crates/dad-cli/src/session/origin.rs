//! Runs of others, and the steps that the user would let execute.

use dad_core::StepStatus;
use dad_definition::{NodeElement, Program, compile};
use dad_project::{Project, ProjectRun};
use dad_run::RunView;
use dad_terminal::{DIM, print_line, printable};

use crate::app::App;
use crate::error::CommandError;

/// The steps that are named at most.
const MAX_NAMED: usize = 30;
/// The part of a step's settings that is shown, in characters.
const MAX_SHOWN: usize = 240;

/// A run that is the user's own, or that the user trusts.
pub(crate) fn own_or_trusted(
    app: &App,
    project: &Project,
    view: RunView,
    trust: bool,
) -> Result<ProjectRun, CommandError> {
    if trust {
        return Ok(project.run_of(view).trusted());
    }
    check_origin(app, project, &view)?;
    Ok(project.run_of(view))
}

/// Refuses a run that is not the user's own, and shows what it would execute.
pub(crate) fn check_origin(app: &App, project: &Project, view: &RunView) -> Result<(), CommandError> {
    project.check_origin(view).map_err(|refused| {
        // A definition that cannot be compiled would execute nothing.
        if let Some(program) = program_of(app, view) {
            show(view, &program);
        }
        refused.into()
    })
}

fn program_of(app: &App, view: &RunView) -> Option<Program> {
    let recorded = view.definition().ok()?;
    compile(&recorded.definition, &view.root_id, &app.nodes, None).ok()
}

fn show(view: &RunView, program: &Program) {
    let has_ended = |step: &&NodeElement| {
        let committed = view.step(&step.path);
        committed.is_some_and(|committed| committed.status == StepStatus::Completed)
    };
    let left: Vec<&NodeElement> = program.steps().filter(|step| !has_ended(step)).collect();
    print_line(&format!("`{}` would execute:", printable(&view.name())));
    for step in left.iter().take(MAX_NAMED) {
        let what = match &step.function {
            Some(function) => format!("callback {function}"),
            None => step.node_type.to_string(),
        };
        print_line(&format!(
            "  {}  {}  {DIM}{}{DIM:#}",
            step.path,
            printable(&what),
            shortened(&step.unrendered.to_string())
        ));
    }
    if let Some(more) = left.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        print_line(&format!("  and {more} more steps"));
    }
}

fn shortened(settings: &str) -> String {
    let shown: String = settings.chars().take(MAX_SHOWN).collect();
    if shown.len() < settings.len() {
        format!("{}…", printable(&shown))
    } else {
        printable(&shown)
    }
}
