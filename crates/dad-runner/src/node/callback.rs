//! Functions of the application in the place of nodes.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use dad_definition::TemplateTree;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::node::context::NodeContext;
use crate::node::erased::ErasedNode;
use crate::node::error::NodeError;
use crate::node::output::NodeOutput;
use crate::node::settings::read;
use crate::node::traits::{BindContext, Bound, BoundStep, RunSetup, World};

/// A function that can be called as a step.
pub(crate) struct CallbackNode<A, F> {
    function: Arc<F>,
    world: World,
    arguments: PhantomData<fn(A)>,
}

impl<A, F> CallbackNode<A, F> {
    pub(crate) fn new(function: F, world: World) -> Self {
        Self {
            function: Arc::new(function),
            world,
            arguments: PhantomData,
        }
    }
}

impl<A, R, F, Fut> ErasedNode for CallbackNode<A, F>
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize + 'static,
    F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
{
    fn bind(&self, settings: &Value, _: Option<&Value>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Call {
            first: Mutex::new(Some(arguments(settings)?)),
            settings: settings.clone(),
            function: Arc::clone(&self.function),
            world: self.world.clone(),
        }))
    }

    fn check_call(&self, _: &Value) -> Result<(), String> {
        Ok(())
    }

    fn definition_only(&self) -> &'static [&'static str] {
        &[]
    }

    fn check_requirements(&self, _: &TemplateTree, _: &RunSetup<'_>) -> Result<(), NodeError> {
        Ok(())
    }
}

fn arguments<A: DeserializeOwned + JsonSchema>(settings: &Value) -> Result<A, NodeError> {
    let arguments = settings.get("args").unwrap_or(&Value::Null);
    read(arguments)
        .map_err(|reason| NodeError::new("arguments", format!("in the arguments, {reason}")).permanent())
}

/// A call of a function.
struct Call<A, F> {
    /// The arguments of the first attempt: a function takes them for itself, so that another attempt reads them again.
    first: Mutex<Option<A>>,
    settings: Value,
    function: Arc<F>,
    world: World,
}

#[async_trait]
impl<A, R, F, Fut> BoundStep for Call<A, F>
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize + 'static,
    F: Fn(A, NodeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, NodeError>> + Send + 'static,
{
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let first = self.first.lock().take();
        let arguments = match first {
            Some(arguments) => arguments,
            None => arguments(&self.settings)?,
        };
        let result = (self.function)(arguments, cx.clone()).await?;
        let result = serde_json::to_value(result)
            .map_err(|error| NodeError::from_error("outcome", &error).permanent())?;
        Ok(NodeOutput::new(json!({ "callable_result": result })))
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(self.world.clone())
    }

    fn state(&self, _: &NodeContext) -> Result<Option<Value>, NodeError> {
        Ok(Some(self.settings.clone()))
    }
}
