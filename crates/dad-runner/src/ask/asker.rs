//! The steps and components that need an input, and the checks and schemas of their inputs.

use std::sync::Arc;

use dad_core::HierarchyPath;
use dad_definition::{Component, NodeElement, NodeTypes, Program};
use dad_events::AnswerCheck;
use dad_run::driver::{RunDriver, check_component_input};
use dad_run::reuse::EntryRelation;
use serde_json::{Map, Value, json};

use crate::render::scope::Frame;
use crate::session::Session;

/// A step or component that may need an input.
#[derive(Clone, Copy)]
pub(crate) enum Asker<'a> {
    Node(&'a NodeElement),
    Component(&'a Component),
}

/// A step or component that may need an input, with its place in the run.
#[derive(Clone, Copy)]
pub(crate) struct AskingPlace<'a> {
    pub(crate) asker: Asker<'a>,
    pub(crate) path: &'a HierarchyPath,
    /// The variables around it; the root has none.
    pub(crate) around: Option<&'a Arc<Frame>>,
    pub(crate) relation: EntryRelation,
}

/// The definition and the given variables that questions are asked with: the same for a run that is driven and for one that
/// is only looked at.
#[derive(Clone, Copy)]
pub(crate) struct AskedIn<'a> {
    pub(crate) program: &'a Program,
    pub(crate) types: &'a dyn NodeTypes,
    /// The variables that the run was given.
    pub(crate) given: &'a Map<String, Value>,
}

impl Session {
    pub(crate) fn asked_in(&self) -> AskedIn<'_> {
        AskedIn {
            program: self.run.program(),
            types: &**self.run.node_types(),
            given: &self.run.scope().given_variables,
        }
    }
}

impl Asker<'_> {
    /// Whether it asks for an input that it was not given.
    pub(crate) fn asks(self, asked_in: &AskedIn<'_>) -> bool {
        match self {
            Self::Node(node) => node.asks(),
            Self::Component(component) => component.asks() && !open_variables(component, asked_in).is_empty(),
        }
    }

    pub(crate) fn is_root(self, program: &Program) -> bool {
        matches!(self, Self::Component(component) if component.path == program.root.path)
    }

    /// JSON Schema of its input.
    pub(crate) fn schema(self, asked_in: &AskedIn<'_>) -> Value {
        match self {
            Self::Node(node) => {
                let info = asked_in.types.node_type(&node.node_type);
                info.map(|info| info.input_schema.clone()).unwrap_or_default()
            }
            Self::Component(component) => {
                let variables = open_variables(component, asked_in);
                let program = asked_in.program;
                let needed = |name: &&String| self.is_root(program) && program.required().contains(name);
                let required: Vec<&String> = variables.keys().filter(needed).collect();
                let properties: Map<String, Value> =
                    variables.keys().map(|name| (name.clone(), json!({}))).collect();
                json!({
                    "type": "object",
                    "required": ["variables"],
                    "additionalProperties": false,
                    "properties": {
                        "variables": {
                            "type": "object",
                            "required": required,
                            "additionalProperties": false,
                            "properties": properties,
                        },
                    },
                })
            }
        }
    }

    /// The check of its input.
    pub(crate) fn check(self, driver: &RunDriver) -> AnswerCheck {
        match self {
            Self::Node(node) => {
                let check = driver
                    .handle()
                    .node_types()
                    .node_type(&node.node_type)
                    .map(|info| info.check_input);
                Box::new(move |value| check.map_or(Ok(()), |check| check(value)))
            }
            Self::Component(component) => {
                let (program, path): (Arc<Program>, _) =
                    (Arc::clone(driver.handle().program()), component.path.clone());
                Box::new(move |value| match program.component(&path) {
                    Some(component) => check_component_input(component, &program, value),
                    None => Ok(()),
                })
            }
        }
    }
}

/// The variables that an input may give. Of the root these are the variables that the run was not given; those that it
/// needs are null.
pub(crate) fn open_variables(component: &Component, asked_in: &AskedIn<'_>) -> Map<String, Value> {
    let own = component.variables.iter();
    let own = own.map(|variable| (variable.name.clone(), variable.unrendered.clone()));
    if component.path != asked_in.program.root.path {
        return own.collect();
    }
    let required = asked_in.program.required().iter();
    let required = required.map(|name| (name.clone(), Value::Null));
    required
        .chain(own)
        .filter(|(name, _)| !asked_in.given.contains_key(name))
        .collect()
}
