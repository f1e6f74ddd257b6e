use dad_core::DefinitionKind;
use dad_definition::definition_schema;
use dad_runner::NodeRegistry;

use crate::args::SchemaKind;
use crate::{exit_code, json};

/// `dhenara schema`.
pub(crate) fn print(kind: SchemaKind, nodes: &NodeRegistry) -> u8 {
    let kind = match kind {
        SchemaKind::Agent => DefinitionKind::Agent,
        SchemaKind::Flow => DefinitionKind::Flow,
    };
    let schema = definition_schema(kind, nodes);
    json::print_text(&serde_json::to_string_pretty(&schema).unwrap_or_default());
    exit_code::DONE
}
