//! The traits of nodes: types of leaves of a definition, and the steps that they bind.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{Budget, Digest, Redactor};
use dad_definition::{Compiled, Prepared, SettingsProblem};
use dad_run::reuse::Purity;
use dad_run::{Resources, RunHandle};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::context::NodeContext;
use crate::node::error::NodeError;
use crate::node::output::NodeOutput;

/// A type of leaf that definitions may use. Open for implementation; methods added later have default bodies.
///
/// A node makes a step of settings and input; the step does the work. Often the settings are the step:
///
/// ```
/// use async_trait::async_trait;
/// use dad_runner::{BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, NodeRegistry};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Greeting { name: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct Greeted { text: String }
///
/// #[derive(Default)]
/// struct Greeter;
///
/// impl Node for Greeter {
///     type Settings = Greeting;
///     type Input = ();
///     type Outcome = Greeted;
///     const TYPE: &'static str = "greeter";
///
///     fn bind(&self, greeting: Greeting, _: Option<()>, _: &BindContext<'_>) -> Result<Bound<Greeted>, NodeError> {
///         Ok(Box::new(greeting))
///     }
/// }
///
/// #[async_trait]
/// impl BoundStep<Greeted> for Greeting {
///     async fn execute(&self, _: &NodeContext) -> Result<NodeOutput<Greeted>, NodeError> {
///         Ok(NodeOutput::new(Greeted { text: format!("Hello, {}", self.name) }))
///     }
/// }
///
/// let registry = NodeRegistry::new().register::<Greeter>();
/// ```
pub trait Node: Send + Sync + 'static {
    /// The settings, as a definition writes them.
    type Settings: DeserializeOwned + JsonSchema;
    /// The input from outside; `()` for none but `settings_override`.
    type Input: DeserializeOwned + JsonSchema;
    /// The part of the result that other steps use; `Value` for one without a type.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// The name definitions use.
    const TYPE: &'static str;
    /// The version of the node's behaviour, a part of every fingerprint. Raise it by hand whenever the same settings give another
    /// result.
    const VERSION: u32 = 1;
    /// Settings that only a definition can give: an input that overrides one of them is refused, and so is a model that
    /// calls the node with one.
    const DEFINITION_ONLY: &'static [&'static str] = &[];

    /// Makes a step of rendered settings: it never sees a template. Whatever can be compiled of them, such as patterns and
    /// schemas, is compiled here, once; another attempt executes the same step, an edited input is bound anew. Nothing is
    /// read or changed.
    ///
    /// # Errors
    /// If the settings or the input are invalid; the step fails before it executes.
    fn bind(
        &self,
        settings: Self::Settings,
        input: Option<Self::Input>,
        cx: &BindContext<'_>,
    ) -> Result<Bound<Self::Outcome>, NodeError>;

    /// Problems of settings that their type cannot express. The compiler asks before the templates are rendered, as far as
    /// the settings can be read then, and leaves out problems of places that hold a template; before a step is bound it is
    /// asked again, and the first problem fails the step.
    fn check(settings: &Self::Settings) -> Vec<SettingsProblem> {
        let _ = settings;
        Vec::new()
    }

    /// Compiles settings as the definition has them, with the texts of their templates: problems of those texts, variables
    /// that they declare, and a compiled form for [`bind`](Self::bind).
    fn compile(unrendered: &Value) -> Compiled {
        let _ = unrendered;
        Compiled::default()
    }

    /// Refuses a run in which the step could not execute, before the run starts. Templates are not rendered yet: their texts stand
    /// in the settings.
    ///
    /// # Errors
    /// The missing requirement; the run is not made.
    fn check_requirements(settings: &Self::Settings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        let _ = (settings, setup);
        Ok(())
    }
}

/// A step as a node bound it.
pub type Bound<O = Value> = Box<dyn BoundStep<O>>;

/// A step that can be looked at and executed, every time with the same settings and input. Open for implementation; methods
/// added later have default bodies.
#[async_trait]
pub trait BoundStep<O = Value>: Send + Sync + 'static {
    /// Executes the step; called again for another attempt.
    ///
    /// # Errors
    /// [`NodeError`] fails the attempt; an outcome it carries is recorded as far as the node got.
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput<O>, NodeError>;

    /// The dependencies of the result besides settings and input.
    ///
    /// # Errors
    /// If a source that the step would read cannot be looked at.
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Effect)
    }

    /// The preview of an execution, for the person who is to approve it: the command, the differences of files. Empty if the
    /// settings say it all. Nothing is changed.
    ///
    /// # Errors
    /// The error with which the execution would fail.
    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        let _ = run;
        Ok(Preview::default())
    }

    /// The state for `state.json`: the work that is about to execute. It is written before the execution.
    ///
    /// # Errors
    /// If the work cannot be determined; the attempt fails.
    fn state(&self, cx: &NodeContext) -> Result<Option<Value>, NodeError> {
        let _ = cx;
        Ok(None)
    }

    /// Environment variables of this process whose values count in the fingerprint, by name.
    fn environment(&self) -> Vec<(String, Option<String>)> {
        Vec::new()
    }

    /// The settings as fingerprints had them before compiled forms were kept apart, if those were others; it only serves to
    /// compare with runs of that time.
    #[doc(hidden)]
    fn formerly_fingerprinted(&self, settings: &Value) -> Option<Value> {
        let _ = settings;
        None
    }
}

/// The context in which a node binds a step, besides settings and input.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindContext<'a> {
    prepared: Option<&'a Prepared>,
}

impl<'a> BindContext<'a> {
    pub(crate) const fn new(prepared: Option<&'a Prepared>) -> Self {
        Self { prepared }
    }

    /// The form that [`Node::compile`] prepared, with its values rendered. `None` if it prepared none, and for settings that
    /// are in no definition, such as those that a model calls the node with.
    #[must_use]
    pub fn prepared<T: Any + Send + Sync>(&self) -> Option<(Arc<T>, &'a Value)> {
        let prepared = self.prepared?;
        let found = Arc::clone(&prepared.found).downcast().ok()?;
        Some((found, &prepared.values))
    }
}

/// The preview of an execution.
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[non_exhaustive]
pub struct Preview {
    /// The preview for programs: everything that decides the effects, without times and temporary paths. Null if settings and
    /// input decide them.
    pub facts: Value,
    /// The preview for people.
    pub shown: String,
}

impl Preview {
    /// The preview of an execution for people; settings and input decide its effects.
    pub fn new(shown: impl Into<String>) -> Self {
        shown.into().into()
    }
}

impl Preview {
    /// The preview of an execution that will fail: the person who is asked is shown the error.
    #[must_use]
    pub fn failing(error: &NodeError) -> Self {
        format!("it will fail: {error}").into()
    }

    /// The value that is compared with a later preview: the facts, else the text.
    #[must_use]
    pub fn compared(&self) -> Value {
        match &self.facts {
            Value::Null => self.shown.clone().into(),
            facts => facts.clone(),
        }
    }
}

impl From<String> for Preview {
    fn from(shown: String) -> Self {
        Self {
            facts: Value::Null,
            shown,
        }
    }
}

/// The setup of a run, before it starts.
#[derive(Clone, Copy, Debug, Setters)]
#[non_exhaustive]
pub struct RunSetup<'a> {
    /// The budget of the step, by its own budget and that of the run.
    pub budget: Budget,
    /// Clients and pools.
    pub resources: &'a Resources,
    /// Whether the run asks no model over a network.
    pub is_offline: bool,
    /// Whether an input may change the settings: the step asks for one, or was given one.
    pub has_input: bool,
}

impl<'a> RunSetup<'a> {
    /// A run with these clients and pools, without a budget, which may ask models over a network and gives the step no input.
    #[must_use]
    pub fn new(resources: &'a Resources) -> Self {
        Self {
            budget: Budget::default(),
            resources,
            is_offline: false,
            has_input: false,
        }
    }
}

/// The dependencies of a step's result besides settings and input.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum World {
    /// None.
    Pure,
    /// The sources that the step reads.
    Reads(ReadSet),
    /// Unknown ones: the step changes something, or depends on state that others change.
    Effect,
}

/// The sources that a step reads, such as files. Each name has a stamp that changes with the content: length and time of change, or
/// a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ReadSet {
    /// The stamps, by the names of the sources.
    pub reads: BTreeMap<String, String>,
}

impl ReadSet {
    /// The digest of names and stamps.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for (name, stamp) in &self.reads {
            for part in [name, "\0", stamp, "\n"] {
                text.push_str(part);
            }
        }
        Digest::of(text.as_bytes())
    }

    /// The set as it is written to files: names may be secrets, too. The values used for the decision are not masked.
    pub(crate) fn masked(&self, redactor: &Redactor) -> Self {
        let mut masked = BTreeMap::<String, String>::new();
        for (name, stamp) in &self.reads {
            let stamp = redactor.redact(stamp);
            // Two names may become one; a change of either must show.
            let stamps = masked.entry(redactor.redact(name).into_owned()).or_default();
            if !stamps.is_empty() {
                stamps.push_str("; ");
            }
            stamps.push_str(&stamp);
        }
        Self { reads: masked }
    }
}

impl FromIterator<(String, String)> for ReadSet {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(reads: T) -> Self {
        Self {
            reads: reads.into_iter().collect(),
        }
    }
}

impl World {
    /// The values used for the decision.
    #[must_use]
    pub const fn purity(&self) -> Purity {
        match self {
            Self::Pure => Purity::Pure,
            Self::Reads(_) => Purity::Reads,
            Self::Effect => Purity::Effect,
        }
    }
}
