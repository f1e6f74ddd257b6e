//! The builder of nodes.

use dad_core::{ElementOptions, NodeDefinition, NodeType};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::build::component::not_serialisable;
use crate::build::element_methods;
use crate::place::{Place, Step};
use crate::problem::{Problem, quoted};

/// A node to be added to a [`FlowBuilder`](crate::FlowBuilder).
///
/// ```
/// use dad_core::NodeType;
/// use dad_definition::{FlowBuilder, NodeBuilder};
///
/// #[derive(serde::Serialize)]
/// struct Operation {
///     path: String,
///     max_depth: Option<u32>,
/// }
/// #[derive(serde::Serialize)]
/// struct Settings {
///     operations: Vec<Operation>,
/// }
///
/// let settings = Settings { operations: vec![Operation { path: "src".to_owned(), max_depth: None }] };
/// let node = NodeBuilder::new(NodeType::FOLDER_ANALYZER, settings)
///     .template("operations[0].max_depth", "$expr{depth}");
/// let flow = FlowBuilder::new().variable("depth", 3).node("analysis", node).build()?;
/// # Ok::<(), dad_definition::Problems>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a node does nothing until it is added to a flow"]
pub struct NodeBuilder {
    pub(crate) options: ElementOptions,
    definition: NodeDefinition,
    problems: Vec<Problem>,
}

impl NodeBuilder {
    /// A node of a type with its settings: something that serialises to an object.
    ///
    /// Strings in the settings are templates. Fields without a value (`None`) are left out, at every depth, so that
    /// typed settings make the same definition as a file that does not mention them.
    pub fn new(node_type: NodeType, settings: impl Serialize) -> Self {
        let mut problems = Vec::new();
        let place = Place::root().key("settings");
        let settings = match serde_json::to_value(&settings) {
            Ok(settings @ Value::Object(_)) => without_nulls(settings),
            // Settings of a type without fields.
            Ok(Value::Null) => Value::Object(Map::new()),
            Ok(_) => {
                let message = "the settings of a node must be an object";
                problems.push(Problem::new("wrong_type", message).place(&place));
                Value::Object(Map::new())
            }
            Err(error) => {
                problems.push(not_serialisable(&error).place(&place));
                Value::Object(Map::new())
            }
        };
        Self {
            options: ElementOptions::default(),
            definition: NodeDefinition::new(node_type, settings),
            problems,
        }
    }

    element_methods!();

    /// Puts a template where the type of the settings has none: at a place such as `operations[0].max_depth`.
    ///
    /// Keys that are not there are made; elements of lists must be there.
    pub fn template(mut self, place: &str, template: impl Into<String>) -> Self {
        if let Err(reason) = put(&mut self.definition.settings, place, template.into()) {
            let message = format!("{} is not a place in the settings: {reason}", quoted(place));
            self.problems
                .push(Problem::new("invalid_place", message).place(&Place::root().key("settings")));
        }
        self
    }

    pub(crate) fn into_element(self) -> (NodeDefinition, ElementOptions, Vec<Problem>) {
        (self.definition, self.options, self.problems)
    }
}

impl From<NodeDefinition> for NodeBuilder {
    fn from(definition: NodeDefinition) -> Self {
        Self {
            options: ElementOptions::default(),
            definition,
            problems: Vec::new(),
        }
    }
}

fn put(settings: &mut Value, place: &str, template: String) -> Result<(), String> {
    let steps = Place::parse(place).filter(|steps| !steps.is_empty());
    let steps = steps.ok_or("write keys with `.` and elements with `[0]`")?;
    let mut target = settings;
    for step in steps {
        target = match (step, target) {
            (Step::Key(key), Value::Object(fields)) => fields.entry(key).or_insert(Value::Null),
            (Step::Key(key), target @ Value::Null) => {
                *target = Value::Object(Map::new());
                match target {
                    Value::Object(fields) => fields.entry(key).or_insert(Value::Null),
                    other => other,
                }
            }
            (Step::Index(index), Value::Array(items)) => {
                let length = items.len();
                items
                    .get_mut(index)
                    .ok_or_else(|| format!("the list there has {length} elements"))?
            }
            (Step::Key(key), _) => return Err(format!("there is no object with {} in it", quoted(&key))),
            (Step::Index(index), _) => return Err(format!("there is no list with an element {index} in it")),
        };
    }
    *target = Value::String(template);
    Ok(())
}

/// The value without fields that are null. Elements of lists stay, because they have a position.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(given.map(|(key, field)| (key, without_nulls(field))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
