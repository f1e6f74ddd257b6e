//! The nodes and functions that definitions may use.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use dad_core::{ErrorInfo, HierarchyPath, NodeType};
use dad_definition::{CallbackInfo, NodeElement, NodeTypeInfo, NodeTypes, Program};
use dad_run::driver::RunDriver;
use dad_run::{Decision, PreparedRun, RerunPlan, RunError, SetupError};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::node::callback::CallbackNode;
use crate::node::context::{CallableNodes, NodeContext};
use crate::node::erased::{ErasedNode, node_type_info};
use crate::node::error::NodeError;
use crate::node::settings::{check_names, schema};
use crate::node::simple::{Simple, SimpleNode};
use crate::node::traits::{BindContext, Bound, Node, RunSetup, World};

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

    /// Adds a node whose settings do its work; one of the same name is replaced.
    #[must_use]
    pub fn register_simple<S: SimpleNode>(self) -> Self {
        self.register::<Simple<S>>()
    }

    /// Adds a function that callbacks may call by this name; one of the same name is replaced.
    ///
    /// It is given its arguments, with templates rendered, and the context of the step. Its return value stands in the outcome of
    /// the step, as `callable_result`. A re-run calls it again after other effects, because its own effects are unknown.
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
        let node = CallbackNode::new(function, world);
        let registered = RegisteredCallback {
            info: Arc::new(CallbackInfo::new(schema::<A>())),
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

    /// Refuses a run with a step that could not execute in it. In a re-run only steps that may execute count.
    pub(crate) fn check_requirements(&self, prepared: &PreparedRun) -> Result<(), RunError> {
        let setup = |node: &NodeElement| RunSetup {
            budget: prepared
                .budget()
                .overridden_by(node.options.budget.unwrap_or_default()),
            resources: prepared.resources(),
            is_offline: prepared.is_offline(),
            has_input: node.asks() || prepared.is_given_input(&node.path),
        };
        self.check_with(prepared.program(), prepared.plan(), setup)
    }

    /// As [`check_requirements`](Self::check_requirements), of a run that is there already.
    pub(crate) fn check_requirements_within(&self, driver: &RunDriver) -> Result<(), RunError> {
        let run = driver.handle();
        let setup = |node: &NodeElement| RunSetup {
            budget: driver
                .budget()
                .overridden_by(node.options.budget.unwrap_or_default()),
            resources: run.resources(),
            is_offline: run.settings().is_offline(),
            has_input: node.asks() || run.given_input(&node.path).is_some(),
        };
        self.check_with(run.program(), driver.plan(), setup)
    }

    fn check_with<'a>(
        &'a self,
        program: &'a Program,
        plan: Option<&RerunPlan>,
        setup: impl Fn(&NodeElement) -> RunSetup<'a> + 'a,
    ) -> Result<(), RunError> {
        let executes: Option<HashSet<HierarchyPath>> = plan.map(|plan| {
            let executes = plan
                .steps
                .iter()
                .filter(|step| !matches!(step.decision, Decision::Reuse { .. }));
            executes.map(|step| step.path.without_iterations()).collect()
        });
        let mut unready = self
            .unready(program, setup)
            .filter(|error| match (&executes, &error.path) {
                (Some(executes), Some(path)) => executes.contains(path),
                _ => true,
            });
        match unready.next() {
            Some(error) => Err(SetupError::NotReady(Box::new(error)).into()),
            None => Ok(()),
        }
    }

    /// The errors of steps that could not execute in a run with this setup, in the order of the definition.
    pub fn unready<'a>(
        &'a self,
        program: &'a Program,
        setup: impl Fn(&NodeElement) -> RunSetup<'a> + 'a,
    ) -> impl Iterator<Item = ErrorInfo> + 'a {
        program.steps().filter_map(move |node| {
            let checked = self.leaf(node)?.check_requirements(&node.settings, &setup(node));
            Some(checked.err()?.info.at(&node.path))
        })
    }

    /// The registry that a run's context was built with. The layers below know it only as [`NodeTypes`]; `place` is the run's
    /// directory, for the error.
    pub(crate) fn given_to(types: &dyn NodeTypes, place: &Path) -> Result<Self, RunError> {
        let types: &dyn Any = types;
        let registry = types.downcast_ref::<Self>();
        registry.cloned().ok_or_else(|| RunError::Unreadable {
            path: place.to_path_buf(),
            reason: "the node types of the context are not a NodeRegistry of dad-runner".to_owned(),
        })
    }

    /// The node that executes a leaf of a definition.
    pub(crate) fn leaf(&self, leaf: &NodeElement) -> Option<&Arc<dyn ErasedNode>> {
        match &leaf.function {
            Some(function) => Some(&self.callbacks.get(function)?.node),
            None => Some(&self.nodes.get(leaf.node_type.as_str())?.node),
        }
    }
}

impl CallableNodes for NodeRegistry {
    fn call_schema(&self, name: &str, fixed: &Map<String, Value>) -> Option<Value> {
        if let Some(callback) = self.callbacks.get(name) {
            return Some(callback.info.args_schema.clone());
        }
        let Registered { info, node } = self.nodes.get(name)?;
        let mut schema = info.settings_schema.clone();
        let fixed = fixed.keys().map(String::as_str);
        without(&mut schema, node.definition_only().iter().copied().chain(fixed));
        Some(schema)
    }

    fn callable_names(&self) -> Vec<&str> {
        let callbacks = self.callbacks.keys().map(String::as_str);
        callbacks.chain(self.nodes.keys().map(String::as_str)).collect()
    }

    fn bind_call(
        &self,
        name: &str,
        fixed: &Map<String, Value>,
        arguments: &Value,
    ) -> Option<Result<Bound, NodeError>> {
        let cx = BindContext::default();
        if let Some(callback) = self.callbacks.get(name) {
            return Some(callback.node.bind(&json!({ "args": arguments }), None, &cx));
        }
        let Registered { info, node } = self.nodes.get(name)?;
        let known = match arguments.as_object() {
            Some(given) => check_names(&info.settings_schema, given, ""),
            None => Ok(()),
        };
        let checked = known.and_then(|()| node.check_call(arguments));
        Some(match checked {
            Ok(()) => node.bind(&with_fixed(fixed, arguments), None, &cx),
            Err(reason) => {
                let message = format!("in settings, {reason}");
                Err(NodeError::new("settings", message).permanent())
            }
        })
    }
}

/// Arguments with the settings that a definition fixed.
fn with_fixed(fixed: &Map<String, Value>, arguments: &Value) -> Value {
    let mut whole = arguments.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.extend(fixed.clone());
    }
    whole
}

/// Takes fields out of the JSON Schema of an object.
fn without<'a>(schema: &mut Value, names: impl Iterator<Item = &'a str>) {
    for name in names {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove(name);
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|known| known != name);
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
