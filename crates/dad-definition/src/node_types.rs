use std::any::Any;

use dad_core::NodeType;
use serde_json::{Map, Value};

/// What [`compile()`](crate::compile()) asks about the node types that are registered.
///
/// Open for implementation: the registry of node types implements it. `Any` is a supertrait so that the owner of a
/// registry can hand it on as `Arc<dyn NodeTypes>` and take its own type back.
pub trait NodeTypes: Any + Send + Sync {
    /// The names of all registered types, for suggestions.
    fn names(&self) -> Vec<&str>;

    /// What is known of one type, `None` if it is not registered.
    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo>;

    /// The names of all registered functions that callbacks may call, for suggestions.
    fn callback_names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What is known of one function, `None` if it is not registered.
    fn callback(&self, function: &str) -> Option<&CallbackInfo> {
        let _ = function;
        None
    }
}

/// What is known of a function of the application without calling it.
#[derive(Clone, Debug)]
pub struct CallbackInfo {
    /// JSON Schema of its arguments, as `schemars` makes it.
    pub args_schema: Value,
}

/// What is known of a node type without executing it.
#[derive(Clone, Debug)]
pub struct NodeTypeInfo {
    /// The hand-kept version of the node's behaviour, part of every fingerprint.
    pub version: u32,
    /// JSON Schema of the settings, as `schemars` makes it.
    pub settings_schema: Value,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// Settings that are known but refused: dotted key and the reason, a clause for people.
    pub unsupported: &'static [(&'static str, &'static str)],
    /// The variables that a node of this type adds to the scope of its own settings: from the unrendered settings,
    /// names with their defaults, null for those without one.
    pub prompt_variables: fn(&Value) -> Map<String, Value>,
    /// Looks for what a schema cannot say, in unrendered settings.
    pub check_settings: fn(&Value) -> Vec<SettingsProblem>,
    /// Makes other settings to be rendered in place of those of the definition, `None` to render those. Called with
    /// settings in which nothing is wrong; problems are reported of the definition's own.
    pub prepare_settings: fn(&Value) -> Option<Value>,
    /// Checks an input against the type of the node; the error names the field and what was expected.
    pub check_input: fn(&Value) -> Result<(), String>,
}

/// Something wrong with the settings of a node that only its type can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Where in the settings, such as `commands[0]`.
    pub place: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl NodeTypeInfo {
    /// A type whose settings may be any object and which adds no variables.
    #[must_use]
    pub fn any(version: u32) -> Self {
        Self {
            version,
            settings_schema: Value::Bool(true),
            input_schema: Value::Bool(true),
            unsupported: &[],
            prompt_variables: |_| Map::new(),
            check_settings: |_| Vec::new(),
            prepare_settings: |_| None,
            check_input: |_| Ok(()),
        }
    }
}
