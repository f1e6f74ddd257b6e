//! JSON Schema of what a definition file may say, for editors.
//!
//! It accepts everything that [`compile()`](crate::compile()) accepts. What a schema cannot say, such as which names
//! a template may use, only the compiler knows. Keywords are those that editors understand: `if` and `then` choose
//! by a key, so that a problem is reported about the one variant that was meant.

mod elements;
mod opened;
mod values;

use dad_core::DefinitionKind;
use serde_json::{Map, Value, json};

use crate::json_schema::values::fields;
use crate::node_types::NodeTypes;
use crate::program::component_kind;

/// The JSON Schema (draft 2020-12) of agents or flows as files, with the settings of the registered node types and
/// the arguments of the registered functions.
///
/// ```
/// use dad_core::{DefinitionKind, NodeType};
/// use dad_definition::{NodeTypeInfo, NodeTypes, definition_schema};
///
/// struct Nothing;
///
/// impl NodeTypes for Nothing {
///     fn names(&self) -> Vec<&str> {
///         Vec::new()
///     }
///
///     fn node_type(&self, _: &NodeType) -> Option<&NodeTypeInfo> {
///         None
///     }
/// }
///
/// let schema = definition_schema(DefinitionKind::Flow, &Nothing);
/// assert_eq!(schema["properties"]["kind"]["const"], "flow");
/// ```
#[must_use]
pub fn definition_schema(kind: DefinitionKind, types: &dyn NodeTypes) -> Value {
    let mut defs = values::defs();
    // An agent has flows in it, a flow only flows.
    let mut kinds = vec![component_kind(DefinitionKind::Flow)];
    if kind == DefinitionKind::Agent {
        kinds.insert(0, component_kind(kind));
    }
    let leaves = elements::Leaves::new(types, &mut defs);
    for kind in kinds {
        elements::add(kind, &leaves, &mut defs);
    }
    let kind = component_kind(kind);
    let properties = [elements::root_keys(kind), elements::body_keys(kind)].map(fields);
    let properties: Map<String, Value> = properties.into_iter().flatten().collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Definition of {} {kind}", if kind.as_str() == "agent" { "an" } else { "a" }),
        "type": "object",
        "required": ["schema_version", "kind", "elements"],
        "additionalProperties": false,
        "properties": properties,
        "$defs": defs,
    })
}
