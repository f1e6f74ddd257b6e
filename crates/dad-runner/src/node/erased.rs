//! Nodes and steps with their types hidden, so that those of all types stand in one registry.

use async_trait::async_trait;
use dad_definition::{NodeTypeInfo, SettingsProblem, TemplateTree};
use dad_run::RunHandle;
use serde::Serialize;
use serde_json::Value;

use crate::node::context::NodeContext;
use crate::node::error::NodeError;
use crate::node::output::NodeOutput;
use crate::node::settings::{check_given, input_of, problems, schema, settings_of, unrendered};
use crate::node::traits::{BindContext, Bound, BoundStep, Node, Preview, RunSetup, World};

/// A [`Node`] of any type.
pub(crate) trait ErasedNode: Send + Sync {
    /// Reads settings and input and binds them.
    fn bind(&self, settings: &Value, input: Option<&Value>, cx: &BindContext<'_>)
    -> Result<Bound, NodeError>;

    /// Settings that a call must not give.
    fn definition_only(&self) -> &'static [&'static str];

    /// Refuses settings that a call must not give.
    fn check_call(&self, settings: &Value) -> Result<(), String>;

    fn check_requirements(&self, settings: &TemplateTree, setup: &RunSetup<'_>) -> Result<(), NodeError>;
}

impl<N: Node> ErasedNode for N {
    fn bind(
        &self,
        settings: &Value,
        input: Option<&Value>,
        cx: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        let settings = settings_of::<N>(settings)
            .map_err(|reason| NodeError::new("settings", format!("in settings, {reason}")).permanent())?;
        if let Some(problem) = N::check(&settings).into_iter().next() {
            return Err(refused(problem));
        }
        let input = input.map(input_of::<N>).transpose();
        let input = input.map_err(|reason| {
            NodeError::new("invalid_input", format!("in the input, {reason}")).permanent()
        })?;
        let step = Node::bind(self, settings, input, cx)?;
        Ok(Box::new(Untyped(step)))
    }

    fn definition_only(&self) -> &'static [&'static str] {
        N::DEFINITION_ONLY
    }

    fn check_call(&self, settings: &Value) -> Result<(), String> {
        // A model fills in what it does not mean to give.
        let given = settings.as_object().into_iter().flatten();
        let meant = given.filter(|(_, value)| !value.is_null() && **value != false);
        check_given::<N>(meant.map(|(name, _)| name), "")
    }

    fn check_requirements(&self, settings: &TemplateTree, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        match unrendered::<N>(settings) {
            Some(settings) => N::check_requirements(&settings, setup),
            None => Ok(()),
        }
    }
}

fn refused(problem: SettingsProblem) -> NodeError {
    let SettingsProblem {
        place,
        code,
        message,
        hint,
        ..
    } = problem;
    let error = NodeError::new(code, format!("in settings, `{place}`: {message}")).permanent();
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The description of a node type: its schemas and checks, without executing it.
#[must_use]
pub fn node_type_info<N: Node>() -> NodeTypeInfo {
    let mut info = NodeTypeInfo::any(N::VERSION);
    info.settings_schema = schema::<N::Settings>();
    info.input_schema = schema::<N::Input>();
    info.compile = N::compile;
    info.check_settings = problems::<N>;
    info.check_input = |input| input_of::<N>(input).map(drop);
    info
}

/// A step whose outcome is made JSON.
struct Untyped<O>(Bound<O>);

#[async_trait]
impl<O: Serialize + Send + 'static> BoundStep for Untyped<O> {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        self.0.execute(cx).await?.into_json()
    }

    async fn world(&self) -> Result<World, NodeError> {
        self.0.world().await
    }

    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        self.0.preview(run).await
    }

    fn state(&self, cx: &NodeContext) -> Result<Option<Value>, NodeError> {
        self.0.state(cx)
    }

    fn environment(&self) -> Vec<(String, Option<String>)> {
        self.0.environment()
    }

    fn formerly_fingerprinted(&self, settings: &Value) -> Option<Value> {
        self.0.formerly_fingerprinted(settings)
    }
}
