//! Definitions as data: agents, flows, nodes and the options of elements, as files and builders make them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use derive_setters::Setters;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval_rule::ApprovalRule;
use crate::budget::Budget;
use crate::control::{Callback, Conditional, ForEach, Parallel, Repeat};
use crate::duration::format_duration;
use crate::id::ElementId;
use crate::status::StepStatus;

/// Version of the definition format and of every file of a run directory.
///
/// - 1: the first version.
pub const SCHEMA_VERSION: u32 = 1;

/// The registered name of a node type, such as `ai_model_call`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeType(std::borrow::Cow<'static, str>);

impl NodeType {
    /// A call of a language model.
    pub const AI_MODEL_CALL: Self = Self::from_static("ai_model_call");
    /// Shell commands and programs.
    pub const COMMAND: Self = Self::from_static("command");
    /// Reading a tree of files.
    pub const FOLDER_ANALYZER: Self = Self::from_static("folder_analyzer");
    /// Changing files.
    pub const FILE_OPERATION: Self = Self::from_static("file_operation");
    /// A request to a server.
    pub const HTTP: Self = Self::from_static("http");
    /// A function of the application; what stands in results of callbacks, no name for a node.
    pub const CALLBACK: Self = Self::from_static("callback");

    /// The type of a name known at compile time.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(name))
    }

    /// The type of any name; whether it is registered is checked when a definition is compiled.
    pub fn new(name: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NodeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Whether a definition is an agent or a flow. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// Made of flows and agents.
    Agent,
    /// Made of nodes and flows.
    Flow,
}

impl DefinitionKind {
    /// Its word in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Flow => "flow",
        }
    }
}

/// The kind of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComponentKind {
    /// An agent, at the root or inside another.
    Agent,
    /// A flow, at any depth.
    Flow,
    /// A choice between two branches.
    Conditional,
    /// A loop over a list or range.
    ForEach,
    /// A loop that ends by a condition.
    Repeat,
    /// Elements that may run at the same time.
    Parallel,
}

impl ComponentKind {
    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Flow => "flow",
            Self::Conditional => "conditional",
            Self::ForEach => "for_each",
            Self::Repeat => "repeat",
            Self::Parallel => "parallel",
        }
    }

    /// Whether it executes its body any number of times.
    #[must_use]
    pub const fn is_loop(self) -> bool {
        matches!(self, Self::ForEach | Self::Repeat)
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An agent or flow as data: what a file says and what the builder makes.
///
/// Every string in `variables`, `output` and node settings is a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Definition {
    /// Version of the format, [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Agent or flow.
    pub kind: DefinitionKind,
    /// The id of the root component; the place where it is run chooses one if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_id: Option<ElementId>,
    /// Variables that must be given from outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Upper bounds for the consumption of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Globs of files that steps may change although tools obey them without a person starting the tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_protected: Vec<String>,
    /// Rules that decide about steps and calls of tools, or have a person asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalRule>,
    /// The run's own result, evaluated before it is sealed as completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The options of the root component: `pre_events`, `post_events` and `timeout`.
    #[serde(flatten)]
    pub options: ElementOptions,
    /// The part that agents and flows have at every depth.
    #[serde(flatten)]
    pub body: ComponentBody,
}

impl Definition {
    /// Lets every step that asks a model ask these, the first that answers.
    pub fn ask_models(&mut self, models: &[String]) {
        let body = &mut self.body;
        for element in body.elements.iter_mut().chain(&mut body.finally) {
            element.ask_models(models);
        }
    }

    /// The names of the models that its steps ask, as far as no template decides about them, and without steps that only
    /// make up an answer.
    #[must_use]
    pub fn asked_models(&self) -> BTreeSet<&str> {
        let mut open: Vec<&Element> = self.body.elements.iter().chain(&self.body.finally).collect();
        let mut names = BTreeSet::new();
        while let Some(element) = open.pop() {
            names.extend(element.kind.asked_models());
            open.extend(element.kind.lists().flat_map(|(_, elements)| elements));
        }
        names
    }

    /// An empty definition.
    #[must_use]
    pub fn new(kind: DefinitionKind) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind,
            root_id: None,
            required: Vec::new(),
            budget: None,
            allow_protected: Vec::new(),
            approvals: Vec::new(),
            output: None,
            options: ElementOptions::default(),
            body: ComponentBody::default(),
        }
    }
}

macro_rules! definition_newtype {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<Definition>);

        impl $name {
            /// An empty definition.
            #[must_use]
            pub fn new() -> Self {
                Self(Arc::new(Definition::new(DefinitionKind::$kind)))
            }

            /// The definition as plain data.
            #[must_use]
            pub fn definition(&self) -> &Definition {
                &self.0
            }

            /// The same definition with this root id.
            #[must_use]
            pub fn with_root_id(mut self, root_id: ElementId) -> Self {
                self.definition_mut().root_id = Some(root_id);
                self
            }

            /// The definition as plain data, to be changed.
            pub fn definition_mut(&mut self) -> &mut Definition {
                Arc::make_mut(&mut self.0)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl AsRef<Definition> for $name {
            fn as_ref(&self) -> &Definition {
                &self.0
            }
        }

        impl From<$name> for Definition {
            fn from(definition: $name) -> Self {
                Arc::unwrap_or_clone(definition.0)
            }
        }

        impl TryFrom<Definition> for $name {
            type Error = Definition;

            /// Gives the definition back if it is of the other kind.
            fn try_from(definition: Definition) -> Result<Self, Definition> {
                match definition.kind {
                    DefinitionKind::$kind => Ok(Self(Arc::new(definition))),
                    _ => Err(definition),
                }
            }
        }
    };
}

definition_newtype!(
    /// The definition of an agent.
    AgentDefinition,
    Agent
);
definition_newtype!(
    /// The definition of a flow.
    FlowDefinition,
    Flow
);

impl AsRef<Definition> for Definition {
    fn as_ref(&self) -> &Definition {
        self
    }
}

/// The content of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComponentBody {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The input and output, described for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_description: Option<String>,
    /// Variables of the component and everything in it, evaluated in this order when it is entered.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, Value>,
    /// The elements, in the order of their execution.
    pub elements: Vec<Element>,
    /// The elements that are executed at the end, however the others ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Element>,
}

/// One element of a component.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Element {
    /// Its id, unique among its siblings also without case.
    pub id: ElementId,
    /// The kind of the element, with its own fields.
    pub kind: ElementKind,
    /// The options that any element may have.
    pub options: ElementOptions,
}

impl Element {
    /// An element without options.
    #[must_use]
    pub fn new(id: ElementId, kind: ElementKind) -> Self {
        Self {
            id,
            kind,
            options: ElementOptions::default(),
        }
    }
}

/// The kind of an element, with its own fields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ElementKind {
    /// A leaf that does something.
    Node(NodeDefinition),
    /// A function of the application, as a leaf.
    Callback(Callback),
    /// A flow inside an agent.
    Flow(ComponentBody),
    /// A flow inside a flow.
    Subflow(ComponentBody),
    /// An agent inside an agent.
    Subagent(ComponentBody),
    /// A choice between two branches.
    Conditional(Conditional),
    /// A loop over a list or range.
    ForEach(ForEach),
    /// A loop that ends by a condition.
    Repeat(Repeat),
    /// Elements that may run at the same time.
    Parallel(Parallel),
}

impl Element {
    fn ask_models(&mut self, models: &[String]) {
        if let ElementKind::Node(node) = &mut self.kind
            && node.node_type == NodeType::AI_MODEL_CALL
            && let Some(settings) = node.settings.as_object_mut()
        {
            settings.insert("models".to_owned(), models.into());
        }
        for inner in self.kind.elements_mut() {
            inner.ask_models(models);
        }
    }
}

impl ElementKind {
    fn asked_models(&self) -> impl Iterator<Item = &str> {
        let settings = match self {
            Self::Node(node) if node.node_type == NodeType::AI_MODEL_CALL => Some(&node.settings),
            _ => None,
        };
        let asks =
            |settings: &&Value| settings.pointer("/model_call_config/test_mode") != Some(&Value::Bool(true));
        let models = settings
            .filter(asks)
            .and_then(|settings| settings.get("models")?.as_array());
        let names = models.into_iter().flatten().filter_map(Value::as_str);
        names.filter(|name| !name.contains('$'))
    }

    /// The key that introduces the element in a file.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Callback(_) => "callback",
            Self::Flow(_) => "flow",
            Self::Subflow(_) => "subflow",
            Self::Subagent(_) => "subagent",
            Self::Conditional(_) => "conditional",
            Self::ForEach(_) => "for_each",
            Self::Repeat(_) => "repeat",
            Self::Parallel(_) => "parallel",
        }
    }

    /// The elements in it, to be changed; none for leaves.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        let lists: [&mut [Element]; 2] = match self {
            Self::Node(_) | Self::Callback(_) => [&mut [], &mut []],
            Self::Flow(body) | Self::Subflow(body) | Self::Subagent(body) => {
                [&mut body.elements, &mut body.finally]
            }
            Self::Conditional(conditional) => [&mut conditional.true_branch, &mut conditional.false_branch],
            Self::ForEach(for_each) => [&mut for_each.body, &mut []],
            Self::Repeat(repeat) => [&mut repeat.body, &mut []],
            Self::Parallel(parallel) => [&mut parallel.elements, &mut []],
        };
        lists.into_iter().flatten()
    }

    /// The lists of elements in it, each with its key in a file, in document order; none for leaves.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[Element])> {
        const NONE: (&str, &[Element]) = ("", &[]);
        let lists = match self {
            Self::Node(_) | Self::Callback(_) => [NONE, NONE],
            Self::Flow(body) | Self::Subflow(body) | Self::Subagent(body) => body.lists(),
            Self::Conditional(conditional) => [
                ("true_branch", conditional.true_branch.as_slice()),
                ("false_branch", conditional.false_branch.as_slice()),
            ],
            Self::ForEach(for_each) => [("body", for_each.body.as_slice()), NONE],
            Self::Repeat(repeat) => [("body", repeat.body.as_slice()), NONE],
            Self::Parallel(parallel) => [("elements", parallel.elements.as_slice()), NONE],
        };
        lists.into_iter().filter(|(key, _)| !key.is_empty())
    }

    /// As [`lists`](Self::lists), to be changed.
    pub fn lists_mut(&mut self) -> Vec<(&'static str, &mut Vec<Element>)> {
        match self {
            Self::Node(_) | Self::Callback(_) => Vec::new(),
            Self::Flow(body) | Self::Subflow(body) | Self::Subagent(body) => body.lists_mut().into(),
            Self::Conditional(conditional) => vec![
                ("true_branch", &mut conditional.true_branch),
                ("false_branch", &mut conditional.false_branch),
            ],
            Self::ForEach(for_each) => vec![("body", &mut for_each.body)],
            Self::Repeat(repeat) => vec![("body", &mut repeat.body)],
            Self::Parallel(parallel) => vec![("elements", &mut parallel.elements)],
        }
    }
}

impl ComponentBody {
    fn lists(&self) -> [(&'static str, &[Element]); 2] {
        [("elements", &self.elements), ("finally", &self.finally)]
    }

    /// Its two lists of elements, each with its key in a file, to be changed.
    pub fn lists_mut(&mut self) -> [(&'static str, &mut Vec<Element>); 2] {
        [("elements", &mut self.elements), ("finally", &mut self.finally)]
    }
}

/// A node: its type and its settings, whose strings are templates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeDefinition {
    /// The registered name of the type.
    pub node_type: NodeType,
    /// A JSON object.
    pub settings: Value,
}

impl NodeDefinition {
    /// A node of a registered type with settings, a JSON object.
    #[must_use]
    pub fn new(node_type: NodeType, settings: Value) -> Self {
        Self { node_type, settings }
    }
}

/// The options that any element may have.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ElementOptions {
    /// Events published before it executes; `node_input_required` asks for the input of a node,
    /// `component_input_required` for that of a component.
    pub pre_events: Vec<String>,
    /// Custom events published after it.
    pub post_events: Vec<String>,
    /// Longest time one attempt may take.
    pub timeout: Option<Duration>,
    /// Whether a failed attempt is repeated.
    pub retry: Option<RetryPolicy>,
    /// The consequence of a failure for the component around it.
    pub on_error: OnError,
    /// Whether a re-run may take its result from the previous run.
    pub reuse: Reuse,
    /// Whether a person must approve it before it executes.
    pub requires_approval: bool,
    /// Upper bounds for the consumption of a node, all its attempts together.
    pub budget: Option<Budget>,
}

/// The repetition of failed attempts: exponentially longer pauses with jitter.
#[derive(Clone, Debug, PartialEq, Setters)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// All attempts, the first included.
    pub max_attempts: u32,
    /// Pause after the first attempt.
    pub initial_delay: Duration,
    /// Longest pause.
    pub max_delay: Duration,
    /// Error codes that are worth another attempt; any if empty.
    pub when: Vec<String>,
    /// Whether steps with effects may be repeated at all.
    pub repeat_effects: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            when: Vec::new(),
            repeat_effects: false,
        }
    }
}

/// The consequence of an element's failure for the component around it. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The component fails.
    #[default]
    Fail,
    /// The component continues; the failed step keeps the outcome that it has come to.
    Continue,
}

impl OnError {
    /// Whether the component around an element that ended so continues as if it had ended well. A cancellation is never
    /// absorbed.
    #[must_use]
    pub fn absorbs(self, status: StepStatus) -> bool {
        self == Self::Continue && status.is_failure() && status != StepStatus::Cancelled
    }

    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Continue => "continue",
        }
    }
}

/// Whether a re-run may take an element's result from the previous run. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// If nothing that is compared changed.
    #[default]
    Auto,
    /// Whatever changed.
    Always,
    /// Never.
    Never,
}

impl Reuse {
    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} attempts, pause {}",
            self.max_attempts,
            format_duration(self.initial_delay)
        )
    }
}
