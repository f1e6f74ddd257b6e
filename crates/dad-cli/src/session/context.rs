//! The context of a run: its project, with the listeners that report and answer, for a new run and for one that is resumed.

use std::sync::Arc;

use dad_core::Definition;
use dad_events::{Handler, NodeInputRequiredEvent, on};
use dad_project::Project;
use dad_run::{RunContextBuilder, RunView};
use dad_runner::NodeRegistry;
use dad_terminal::{
    ask_approval, ask_component_input, ask_node_input_with, is_interactive, print_line, printable,
};

use crate::app::App;
use crate::error::CommandError;
use crate::output::program;
use crate::session::replay_notes::{NotedProgress, Notes};

/// A project whose recorded exchanges are noted when they answer, with the notes.
pub(crate) fn noted(project: Project) -> (Project, Notes) {
    let notes = Notes::default();
    let noted = notes.clone();
    let project = project.on_replay_note(move |note| noted.add(note.clone()));
    (project, notes)
}

/// A context with progress, the handlers of the application, and prompts at the terminal unless the user forbids them.
pub(crate) fn with_listeners(
    app: &App,
    context: RunContextBuilder,
    notes: Notes,
    no_input: bool,
) -> RunContextBuilder {
    let interactive = !no_input && is_interactive();
    let mut context = app.changed(context).interactive(interactive);
    if !program::is_quiet() {
        context = context.observe(Arc::new(NotedProgress::new(notes)));
    }
    if interactive {
        context.register_event_handlers(ask_at_terminal(app.nodes.clone()))
    } else {
        context
    }
}

/// Warns of keys in a definition, which becomes a file of its run.
pub(crate) fn warn_of_keys(project: &Project, definition: &Definition) {
    if project.holds_secrets(definition) {
        print_line(
            "warning: a key stands in the definition; the run sees `[redacted]` in its place: leave keys to the credentials \
             file or the environment",
        );
    }
}

/// Warns of models that a run would ask in vain.
pub(crate) fn warn_of_models(project: &Project, definition: &Definition) {
    for warning in project.model_warnings(definition) {
        print_line(&printable(&format!("warning: {warning}")));
    }
}

/// The recorded context of a run, with its listeners. A note names the differences from the present configuration.
pub(crate) fn recorded_context(
    app: &App,
    project: &Project,
    view: &RunView,
    context: RunContextBuilder,
    notes: Notes,
    no_input: bool,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(changes) = project.changes_since(view)? {
        let note = format!(
            "note: {changes}; `--env {}` uses the present configuration",
            changes.environment
        );
        print_line(&printable(&note));
    }
    Ok(with_listeners(app, context, notes, no_input))
}

/// The handlers that ask a person at the terminal, after all handlers of the project.
fn ask_at_terminal(nodes: NodeRegistry) -> [Handler; 3] {
    let ask_node = on(move |event: NodeInputRequiredEvent| {
        let info = dad_definition::NodeTypes::node_type(&nodes, &event.node_type);
        let schema = info.map(|info| info.input_schema.clone());
        ask_node_input_with(event, schema)
    });
    [ask_node, on(ask_component_input), on(ask_approval)]
}
