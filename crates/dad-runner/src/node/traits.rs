//! Nodes: what a leaf of a definition does.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{Budget, Digest, Redactor};
use dad_definition::{Compiled, Prepared, SettingsProblem};
use dad_run::{Purity, Resources, RunHandle};
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
    /// What can be given to the node from outside; `()` for nothing but `settings_override`.
    type Input: DeserializeOwned + JsonSchema;
    /// What other steps use of its result; `Value` for one without a type.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// The name definitions use.
    const TYPE: &'static str;
    /// To be raised by hand whenever the node does something else with the same settings; part of every fingerprint.
    const VERSION: u32 = 1;
    /// Settings that only a definition can give: an input that overrides one of them is refused, and so is a model that
    /// calls the node with one.
    const DEFINITION_ONLY: &'static [&'static str] = &[];

    /// Makes a step of rendered settings: it never sees a template. Whatever can be compiled of them, such as patterns and
    /// schemas, is compiled here, once; another attempt executes the same step, an edited input is bound anew. Nothing is
    /// read or changed.
    ///
    /// # Errors
    /// If the settings or the input cannot be meant; the step fails before it executes.
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

    /// Looks at settings as the definition has them, with the texts of their templates: problems of those texts, variables
    /// that they declare, and a compiled form that [`bind`](Self::bind) is given.
    fn compile(unrendered: &Value) -> Compiled {
        let _ = unrendered;
        Compiled::default()
    }

    /// Refuses, before anything of a run executes, what could not be executed with what the run is given. Templates are not
    /// rendered yet: their texts stand in the settings.
    ///
    /// # Errors
    /// What is missing; the run is not made.
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

    /// What the result depends on besides settings and input.
    ///
    /// # Errors
    /// If what would be read cannot be looked at.
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Effect)
    }

    /// What executing it would do, for the person who is to agree: the command, the differences of files. Empty if the
    /// settings say it all. Nothing is changed.
    ///
    /// # Errors
    /// Why it would fail.
    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        let _ = run;
        Ok(Preview::default())
    }

    /// What is about to be executed, for `state.json`; written before the execution.
    ///
    /// # Errors
    /// If it is not known what would be executed; the attempt fails.
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

/// What a node has while it binds a step, beside settings and input.
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

/// What executing a step would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// The same for programs: everything that decides what is done, without times and temporary paths. Null if settings and
    /// input do.
    pub facts: Value,
    /// In words.
    pub shown: String,
}

impl Preview {
    /// Of what will fail: the person who is asked wants to know that as well.
    #[must_use]
    pub fn failing(error: &NodeError) -> Self {
        format!("it will fail: {error}").into()
    }

    /// What is compared with a later preview: the facts, else what is shown.
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

/// What a run is given, before it starts.
#[derive(Clone, Copy, Debug)]
pub struct RunSetup<'a> {
    /// What the step may consume, by its own budget and that of the run.
    pub budget: Budget,
    /// Clients and pools.
    pub resources: &'a Resources,
    /// Whether the run asks no model over a network.
    pub is_offline: bool,
    /// Whether an input may change the settings: the step asks for one, or was given one.
    pub has_input: bool,
}

/// What a step's result depends on besides settings and input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum World {
    /// Nothing.
    Pure,
    /// What it reads.
    Reads(ReadSet),
    /// It changes something, or depends on what others change.
    Effect,
}

/// What a step reads: names of files or whatever else, each with something that changes when its content does, such as
/// length and time of change, or a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReadSet {
    /// By name.
    pub reads: BTreeMap<String, String>,
}

impl ReadSet {
    /// Stands for all of it.
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

    /// As it stands in files: names may be secrets too. What is decided by is not masked.
    pub(crate) fn masked(&self, redactor: &Redactor) -> Self {
        let mut masked = BTreeMap::<String, String>::new();
        for (name, stamp) in &self.reads {
            let stamp = redactor.redact(stamp);
            // Two names may become one, and a change of either is to be seen.
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
