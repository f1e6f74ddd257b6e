use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::NodeType;
use dad_definition::{NodeTypeInfo, NodeTypes};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::without_common;
use crate::context::NodeContext;
use crate::node::{Node, NodeError, NodeOutput, World};

/// The nodes that definitions may use, by the names of their types.
#[derive(Clone, Default)]
pub struct NodeRegistry {
    nodes: BTreeMap<String, Registered>,
}

#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) info: Arc<NodeTypeInfo>,
    pub(crate) node: Arc<dyn ErasedNode>,
}

impl NodeRegistry {
    /// A registry without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node type; one of the same name is replaced.
    #[must_use]
    pub fn register<N: Node + Default>(self) -> Self {
        self.register_node(N::default())
    }

    /// Adds a node that was made by hand; one of the same name is replaced.
    #[must_use]
    pub fn register_node<N: Node>(mut self, node: N) -> Self {
        let registered = Registered {
            info: Arc::new(node_type_info::<N>()),
            node: Arc::new(node),
        };
        self.nodes.insert(N::TYPE.to_owned(), registered);
        self
    }

    /// The names of the registered types, sorted.
    #[must_use]
    pub fn type_names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    pub(crate) fn get(&self, node_type: &NodeType) -> Option<&Registered> {
        self.nodes.get(node_type.as_str())
    }
}

impl NodeTypes for NodeRegistry {
    fn names(&self) -> Vec<&str> {
        self.type_names()
    }

    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo> {
        self.get(node_type).map(|registered| &*registered.info)
    }
}

impl std::fmt::Debug for NodeRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeRegistry").field(&self.type_names()).finish()
    }
}

/// What is known of a node type without executing it.
#[must_use]
pub fn node_type_info<N: Node>() -> NodeTypeInfo {
    NodeTypeInfo {
        version: N::VERSION,
        settings_schema: schema::<N::Settings>(),
        input_schema: schema::<N::Input>(),
        unsupported: N::UNSUPPORTED,
        prompt_variables: N::prompt_variables,
        check_settings: N::check_settings,
        prepare_settings: N::prepare_settings,
        check_input: |input| parse_input::<N>(input).map(drop),
    }
}

fn schema<T: schemars::JsonSchema>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12())
        .into_root_schema_for::<T>()
        .into()
}

/// Reads JSON as a type; the error says which field does not fit.
pub(crate) fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => error.into_inner().to_string(),
            _ => format!("`{path}`: {}", error.into_inner()),
        }
    })
}

/// Reads an input; `settings_override` belongs to every input and is taken off before.
fn parse_input<N: Node>(input: &Value) -> Result<N::Input, String> {
    let fields = input.as_object().ok_or("an input must be an object")?;
    if let Some(patch) = fields.get("settings_override")
        && !patch.is_object()
    {
        return Err("`settings_override` must be an object".to_owned());
    }
    let mut rest = fields.clone();
    rest.remove("settings_override");
    match rest.is_empty() {
        // A node that takes nothing from outside has `()` as its input, whose JSON is null.
        true => parse::<N::Input>(&Value::Object(rest)).or_else(|_| parse(&Value::Null)),
        false => parse(&Value::Object(rest)),
    }
}

/// A node whose types are hidden, so that nodes of all types stand in one registry.
#[async_trait]
pub(crate) trait ErasedNode: Send + Sync {
    async fn world(&self, settings: &Value) -> Result<World, NodeError>;

    fn state(
        &self,
        settings: &Value,
        input: Option<&Value>,
        cx: &NodeContext,
    ) -> Result<Option<Value>, NodeError>;

    async fn execute(
        &self,
        settings: &Value,
        input: Option<&Value>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError>;
}

fn settings_of<N: Node>(settings: &Value) -> Result<N::Settings, NodeError> {
    let own = without_common(settings);
    parse(own.as_ref().unwrap_or(settings))
        .map_err(|reason| NodeError::new("settings", format!("in settings, {reason}")).permanent())
}

fn input_of<N: Node>(input: Option<&Value>) -> Result<Option<N::Input>, NodeError> {
    let parsed = input.map(parse_input::<N>).transpose();
    parsed.map_err(|reason| NodeError::new("invalid_input", format!("in the input, {reason}")).permanent())
}

#[async_trait]
impl<N: Node> ErasedNode for N {
    async fn world(&self, settings: &Value) -> Result<World, NodeError> {
        Node::world(self, &settings_of::<N>(settings)?).await
    }

    fn state(
        &self,
        settings: &Value,
        input: Option<&Value>,
        cx: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        let input = input_of::<N>(input)?;
        Node::state(self, &settings_of::<N>(settings)?, input.as_ref(), cx)
    }

    async fn execute(
        &self,
        settings: &Value,
        input: Option<&Value>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        let input = input_of::<N>(input)?;
        Node::execute(self, settings_of::<N>(settings)?, input, cx).await
    }
}
