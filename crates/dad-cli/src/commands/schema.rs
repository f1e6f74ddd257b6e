use dad_core::DefinitionKind;
use dad_definition::definition_schema;
use dad_runner::NodeRegistry;

use crate::args::SchemaKind;
use crate::error::CommandError;
use crate::{exit_code, out};

/// `dhenara schema`.
pub(crate) fn print(kind: SchemaKind, nodes: &NodeRegistry) -> Result<u8, CommandError> {
    let kind = match kind {
        SchemaKind::Agent => DefinitionKind::Agent,
        SchemaKind::Flow => DefinitionKind::Flow,
    };
    let schema = definition_schema(kind, nodes);
    out::document(&schema)?;
    Ok(exit_code::DONE)
}
