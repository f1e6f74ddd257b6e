//! Node types as the compiler sees them: schemas and checks, without their execution.

use std::any::Any;
use std::sync::Arc;

use dad_core::NodeType;
use serde_json::{Map, Value};

use crate::tree::TemplateTree;

/// The registered node types, as [`compile()`](crate::compile()) asks for them.
///
/// Open for implementation: the registry of node types implements it. `Any` is a supertrait so that the owner of a
/// registry can hand it on as `Arc<dyn NodeTypes>` and take its own type back.
pub trait NodeTypes: Any + Send + Sync {
    /// The names of all registered types, for suggestions.
    fn names(&self) -> Vec<&str>;

    /// The facts about one type, `None` if it is not registered.
    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo>;

    /// The names of all registered functions that callbacks may call, for suggestions.
    fn callback_names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The facts about one function, `None` if it is not registered.
    fn callback(&self, function: &str) -> Option<&CallbackInfo> {
        let _ = function;
        None
    }
}

/// The facts about a function of the application that are known without calling it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallbackInfo {
    /// JSON Schema of its arguments, as `schemars` makes it.
    pub args_schema: Value,
}

impl CallbackInfo {
    /// A function whose arguments have this JSON Schema.
    #[must_use]
    pub fn new(args_schema: Value) -> Self {
        Self { args_schema }
    }
}

/// The facts about a node type that are known without executing it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeTypeInfo {
    /// The hand-kept version of the node's behaviour, part of every fingerprint.
    pub version: u32,
    /// JSON Schema of the settings, as `schemars` makes it.
    pub settings_schema: Value,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// Looks at settings as the definition has them, with the texts of their templates.
    pub compile: fn(&Value) -> Compiled,
    /// Checks settings as values of the node's own type, as far as they can be before their templates are rendered.
    pub check_settings: fn(&TemplateTree) -> Vec<SettingsProblem>,
    /// Checks an input against the type of the node; the error names the field and what was expected.
    pub check_input: fn(&Value) -> Result<(), String>,
}

/// The result of looking at settings before they are rendered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Compiled {
    /// Problems that only the text of the definition shows, such as a template where none may stand.
    pub problems: Vec<SettingsProblem>,
    /// Variables that a node of this type adds to the scope of its own settings, with their defaults, null for those without
    /// one.
    pub prompt_variables: Map<String, Value>,
    /// Settings to be rendered in place of the definition's; they say the same in another way that the definition could say
    /// it too.
    pub settings: Option<Value>,
    /// A compiled form, for the steps that are bound to these settings.
    pub prepared: Option<Prepared>,
    /// Settings of other node types that stand in these.
    pub nested: Vec<NestedSettings>,
}

/// Some settings of a node type that stand in those of another one, such as what a definition fixes of a tool. They are checked
/// as that type's; what they lack is given later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NestedSettings {
    /// Their place, such as `model_call_config.tools[0].settings`.
    pub place: String,
    /// The type.
    pub node_type: NodeType,
}

impl NestedSettings {
    /// Settings of a type at a place.
    #[must_use]
    pub fn new(place: impl Into<String>, node_type: NodeType) -> Self {
        Self {
            place: place.into(),
            node_type,
        }
    }
}

/// A compiled form of settings. It is kept beside them and never becomes part of them, so that no input, model or file can
/// give one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prepared<V = Value> {
    /// The part that does not depend on templates, in a type of the node's own.
    pub found: Arc<dyn Any + Send + Sync>,
    /// The values in it, rendered in the scope of the settings; part of the fingerprint unless null.
    pub values: V,
}

impl<V> Prepared<V> {
    /// A compiled form that holds `found`, with values that are rendered in the scope of the settings.
    pub fn new(found: Arc<dyn Any + Send + Sync>, values: V) -> Self {
        Self { found, values }
    }
}

/// Something wrong with the settings of a node that only its type can know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsProblem {
    /// The place in the settings, such as `commands[0]`.
    pub place: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// The problem: a lowercase fragment without a full stop.
    pub message: String,
    /// The right form, where it is known.
    pub hint: Option<String>,
}

impl SettingsProblem {
    /// Something wrong at `place`; `code` is a stable word for programs, `message` a lowercase fragment without a full stop.
    pub fn new(place: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with the right form.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The code of a setting that is known but refused. Nothing else is said of its place.
    pub const UNSUPPORTED: &'static str = "unsupported_setting";

    /// A setting that is known but refused, with the reason, a clause for people.
    #[must_use]
    pub fn unsupported(key: &str, reason: &str) -> Self {
        Self {
            place: key.to_owned(),
            code: Self::UNSUPPORTED,
            message: format!("`{key}` is not supported: {reason}"),
            hint: None,
        }
    }
}

impl NodeTypeInfo {
    /// A type whose settings may be any object and which adds no variables.
    #[must_use]
    pub fn any(version: u32) -> Self {
        Self {
            version,
            settings_schema: Value::Bool(true),
            input_schema: Value::Bool(true),
            compile: |_| Compiled::default(),
            check_settings: |_| Vec::new(),
            check_input: |_| Ok(()),
        }
    }
}
