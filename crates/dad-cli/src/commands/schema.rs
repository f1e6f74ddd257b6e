//! `dhenara schema`.

use clap::{Args, ValueEnum};
use dad_core::DefinitionKind;
use dad_definition::definition_schema;

use crate::app::App;
use crate::commands::Execute;
use crate::error::CommandError;
use crate::exit_code;
use crate::output::out;

/// Print the JSON Schema of definitions, for editors.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The kind of definition.
    kind: SchemaKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaKind {
    /// Agents: `agents/NAME/agent.yaml`.
    Agent,
    /// Flow files.
    Flow,
}

impl Execute for SchemaArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let kind = match self.kind {
            SchemaKind::Agent => DefinitionKind::Agent,
            SchemaKind::Flow => DefinitionKind::Flow,
        };
        let schema = definition_schema(kind, &app.nodes);
        out::document(&schema)?;
        Ok(exit_code::DONE)
    }
}
