use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{NodeType, nearest};
use dad_definition::{CallbackInfo, NodeElement, NodeTypeInfo, NodeTypes};
use dad_run::{PreparedRun, RunError, RunHandle};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::without_common;
use crate::context::NodeContext;
use crate::node::{Node, NodeError, NodeOutput, Start, World};

/// The nodes that definitions may use, by the names of their types.
#[derive(Clone, Default)]
pub struct NodeRegistry {
    nodes: BTreeMap<String, Registered>,
    callbacks: BTreeMap<String, RegisteredCallback>,
}

#[derive(Clone)]
struct RegisteredCallback {
    info: Arc<CallbackInfo>,
    node: Arc<dyn ErasedNode>,
}

#[derive(Clone)]
struct Registered {
    info: Arc<NodeTypeInfo>,
    node: Arc<dyn ErasedNode>,
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

    /// Adds a function that callbacks may call by this name; one of the same name is replaced.
    ///
    /// It is given its arguments, templates rendered, and what every node has; what it returns stands in the outcome of
    /// the step, as `callable_result`. Since nothing is known of what it changes, a re-run calls it again after other effects.
    ///
    /// ```
    /// use dad_runner::{NodeContext, NodeError, NodeRegistry};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Notice {
    ///     text: String,
    /// }
    ///
    /// async fn notify(notice: Notice, cx: NodeContext) -> Result<usize, NodeError> {
    ///     println!("{}: {}", cx.path(), notice.text);
    ///     Ok(notice.text.len())
    /// }
    ///
    /// let nodes = NodeRegistry::new().callback("notify", notify);
    /// ```
    #[must_use]
    pub fn callback<A, R, F, Fut>(self, name: impl Into<String>, function: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + 'static,
        F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
    {
        self.add_callback(name.into(), function, World::Effect)
    }

    /// Adds a function whose result depends on nothing but its arguments, and which changes nothing.
    #[must_use]
    pub fn pure_callback<A, R, F, Fut>(self, name: impl Into<String>, function: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + 'static,
        F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
    {
        self.add_callback(name.into(), function, World::Pure)
    }

    fn add_callback<A, R, F, Fut>(mut self, name: String, function: F, world: World) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + 'static,
        F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
    {
        let node = CallbackNode {
            function,
            world,
            arguments: PhantomData,
        };
        let registered = RegisteredCallback {
            info: Arc::new(CallbackInfo {
                args_schema: schema::<A>(),
            }),
            node: Arc::new(node),
        };
        self.callbacks.insert(name, registered);
        self
    }

    /// The names of the registered types, sorted.
    #[must_use]
    pub fn type_names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// Refuses what could not be executed with what a run is given.
    pub(crate) fn check_start(&self, prepared: &PreparedRun) -> Result<(), RunError> {
        for node in prepared.program().steps() {
            let Some(executor) = self.leaf(node) else { continue };
            let start = Start {
                budget: prepared
                    .budget()
                    .overridden_by(node.options.budget.unwrap_or_default()),
                resources: prepared.resources(),
            };
            let checked = executor.check_start(&node.unrendered, &start);
            checked.map_err(|error| RunError::NotReady(Box::new(error.info.at(&node.path))))?;
        }
        Ok(())
    }

    /// JSON Schema of what a callback or node type is called with.
    pub(crate) fn call_schema(&self, name: &str) -> Option<Value> {
        let callback = self
            .callbacks
            .get(name)
            .map(|callback| callback.info.args_schema.clone());
        callback.or_else(|| Some(self.nodes.get(name)?.info.settings_schema.clone()))
    }

    /// The names of callbacks and node types.
    pub(crate) fn callable_names(&self) -> Vec<&str> {
        let callbacks = self.callbacks.keys().map(String::as_str);
        callbacks.chain(self.nodes.keys().map(String::as_str)).collect()
    }

    /// Refuses to call a node type with settings that are prepared from others, which no caller can give.
    pub(crate) fn check_call(&self, name: &str, arguments: &Value) -> Result<(), String> {
        let node = self
            .nodes
            .get(name)
            .filter(|_| !self.callbacks.contains_key(name));
        match (node, arguments.as_object()) {
            (Some(node), Some(arguments)) => check_names(&node.info.settings_schema, arguments, ""),
            _ => Ok(()),
        }
    }

    /// What is called by a name, and the settings that it is called with.
    pub(crate) fn called(&self, name: &str, arguments: &Value) -> Option<(Arc<dyn ErasedNode>, Value)> {
        match self.callbacks.get(name) {
            Some(callback) => Some((Arc::clone(&callback.node), json!({ "args": arguments }))),
            None => Some((Arc::clone(&self.nodes.get(name)?.node), arguments.clone())),
        }
    }

    /// What executes a leaf of a definition.
    pub(crate) fn leaf(&self, leaf: &NodeElement) -> Option<&Arc<dyn ErasedNode>> {
        match &leaf.function {
            Some(function) => Some(&self.callbacks.get(function)?.node),
            None => Some(&self.nodes.get(leaf.node_type.as_str())?.node),
        }
    }
}

impl NodeTypes for NodeRegistry {
    fn names(&self) -> Vec<&str> {
        self.type_names()
    }

    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo> {
        self.nodes
            .get(node_type.as_str())
            .map(|registered| &*registered.info)
    }

    fn callback_names(&self) -> Vec<&str> {
        self.callbacks.keys().map(String::as_str).collect()
    }

    fn callback(&self, function: &str) -> Option<&CallbackInfo> {
        self.callbacks.get(function).map(|registered| &*registered.info)
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

fn schema<T: JsonSchema>() -> Value {
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
    if let Some(patch) = fields.get("settings_override") {
        check_override::<N>(patch)?;
    }
    let mut rest = fields.clone();
    rest.remove("settings_override");
    match rest.is_empty() {
        // A node that takes nothing from outside has `()` as its input, whose JSON is null.
        true => parse::<N::Input>(&Value::Object(rest)).or_else(|_| parse(&Value::Null)),
        false => parse(&Value::Object(rest)),
    }
}

/// Refuses to override what no definition can write: settings that are prepared from others, and misspelt ones.
fn check_override<N: Node>(patch: &Value) -> Result<(), String> {
    let patch = patch.as_object().ok_or("`settings_override` must be an object")?;
    check_names(&schema::<N::Settings>(), patch, "settings_override.")
}

/// Refuses settings that a schema does not have.
fn check_names(schema: &Value, given: &serde_json::Map<String, Value>, within: &str) -> Result<(), String> {
    let Some(known) = schema["properties"].as_object() else {
        return Ok(());
    };
    if schema["additionalProperties"] != false {
        return Ok(());
    }
    let names = || known.keys().map(String::as_str);
    match given.keys().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(match nearest(name, names()) {
            Some(near) => format!("`{within}{name}`: there is no such setting; did you mean `{near}`?"),
            None => format!(
                "`{within}{name}`: there is no such setting; there are: {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        }),
    }
}

/// A node whose types are hidden, so that nodes of all types stand in one registry.
#[async_trait]
pub(crate) trait ErasedNode: Send + Sync {
    fn fingerprinted_settings(&self, settings: &Value) -> Option<Value>;

    async fn world(&self, settings: &Value) -> Result<World, NodeError>;

    fn check_start(&self, unrendered: &Value, start: &Start<'_>) -> Result<(), NodeError>;

    async fn preview(
        &self,
        settings: &Value,
        input: Option<&Value>,
        run: &RunHandle,
    ) -> Result<String, NodeError>;

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
    fn fingerprinted_settings(&self, settings: &Value) -> Option<Value> {
        N::fingerprinted_settings(settings)
    }

    async fn world(&self, settings: &Value) -> Result<World, NodeError> {
        Node::world(self, &settings_of::<N>(settings)?).await
    }

    fn check_start(&self, unrendered: &Value, start: &Start<'_>) -> Result<(), NodeError> {
        N::check_start(unrendered, start)
    }

    async fn preview(
        &self,
        settings: &Value,
        input: Option<&Value>,
        run: &RunHandle,
    ) -> Result<String, NodeError> {
        let input = input_of::<N>(input)?;
        Node::preview(self, &settings_of::<N>(settings)?, input.as_ref(), run).await
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

/// A function of the application in the place of a node.
struct CallbackNode<A, F> {
    function: F,
    world: World,
    arguments: PhantomData<fn(A)>,
}

#[async_trait]
impl<A, R, F, Fut> ErasedNode for CallbackNode<A, F>
where
    A: DeserializeOwned + Send + 'static,
    R: Serialize + 'static,
    F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
{
    fn fingerprinted_settings(&self, _: &Value) -> Option<Value> {
        None
    }

    async fn world(&self, _: &Value) -> Result<World, NodeError> {
        Ok(self.world.clone())
    }

    fn check_start(&self, _: &Value, _: &Start<'_>) -> Result<(), NodeError> {
        Ok(())
    }

    async fn preview(&self, _: &Value, _: Option<&Value>, _: &RunHandle) -> Result<String, NodeError> {
        Ok(String::new())
    }

    fn state(
        &self,
        settings: &Value,
        _: Option<&Value>,
        _: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        Ok(Some(settings.clone()))
    }

    async fn execute(
        &self,
        settings: &Value,
        _: Option<&Value>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        let args = settings.get("args").unwrap_or(&Value::Null);
        let args = parse(args).map_err(|reason| {
            NodeError::new("arguments", format!("in the arguments, {reason}")).permanent()
        })?;
        let result = (self.function)(args, cx.clone()).await?;
        let result =
            serde_json::to_value(result).map_err(|error| NodeError::from_error("outcome", &error))?;
        Ok(NodeOutput::new(json!({ "callable_result": result })))
    }
}
