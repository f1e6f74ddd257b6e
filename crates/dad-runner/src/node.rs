use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{Budget, Digest, ErrorInfo, Redactor, Usage};
use dad_definition::SettingsProblem;
use dad_run::{Kind, Resources, RunHandle};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::context::NodeContext;

/// What a leaf of a definition does. Open for implementation; methods added later have default bodies.
///
/// Settings arrive rendered: an executor never sees a template.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// The settings, as a definition writes them.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync;
    /// What can be given to the node from outside; `()` for nothing but `settings_override`.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;

    /// The name definitions use.
    const TYPE: &'static str;
    /// To be raised by hand whenever the node does something else with the same settings; part of every fingerprint.
    const VERSION: u32 = 1;
    /// Settings that are known but not supported: dotted key, and why.
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[];

    /// Executes the step.
    ///
    /// # Errors
    /// [`NodeError`] fails the attempt; an outcome it carries is recorded as far as the node got.
    async fn execute(
        &self,
        settings: Self::Settings,
        input: Option<Self::Input>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError>;

    /// What beside settings and input decides the result.
    ///
    /// # Errors
    /// If what would be read cannot be looked at.
    async fn world(&self, settings: &Self::Settings) -> Result<World, NodeError> {
        let _ = settings;
        Ok(World::Effect)
    }

    /// What executing it would do, in words for whoever is to agree: the command, the differences of files. Empty if the
    /// settings say it all. Nothing is changed.
    ///
    /// # Errors
    /// Why it would fail.
    async fn preview(
        &self,
        settings: &Self::Settings,
        input: Option<&Self::Input>,
        run: &RunHandle,
    ) -> Result<String, NodeError> {
        let _ = (settings, input, run);
        Ok(String::new())
    }

    /// What is about to be executed, for `state.json`; written before the execution.
    ///
    /// # Errors
    /// If it cannot be told what would be executed; the attempt fails.
    fn state(
        &self,
        settings: &Self::Settings,
        input: Option<&Self::Input>,
        cx: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        let _ = (settings, input, cx);
        Ok(None)
    }

    /// Refuses, before anything of a run executes, what could not be executed with what the run is given. Of settings whose
    /// value is a template nothing is known yet.
    ///
    /// # Errors
    /// What is missing; the run is not made.
    fn check_start(unrendered: &Value, start: &Start<'_>) -> Result<(), NodeError> {
        let _ = (unrendered, start);
        Ok(())
    }

    /// Problems of unrendered settings that their schema cannot say.
    fn check_settings(unrendered: &Value) -> Vec<SettingsProblem> {
        let _ = unrendered;
        Vec::new()
    }

    /// Other settings to be rendered in place of those the definition has, where a value needs another road than text.
    fn prepare_settings(unrendered: &Value) -> Option<Value> {
        let _ = unrendered;
        None
    }

    /// Rendered settings as their fingerprint has them, if it leaves out what [`prepare_settings`](Self::prepare_settings)
    /// added: a fingerprint stays the same as long as the step does the same.
    fn fingerprinted_settings(settings: &Value) -> Option<Value> {
        let _ = settings;
        None
    }

    /// Variables that the node's own settings declare, with their defaults; null for those without one.
    fn prompt_variables(unrendered: &Value) -> Map<String, Value> {
        let _ = unrendered;
        Map::new()
    }
}

/// What a run is given, before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// What the step may consume, by its own budget and that of the run.
    pub budget: Budget,
    /// Clients and pools.
    pub resources: &'a Resources,
}

/// What beside its settings and input decides what a step does.
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
    /// What is decided by.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Pure => Kind::Pure,
            Self::Reads(_) => Kind::Reads,
            Self::Effect => Kind::Effect,
        }
    }
}

/// What a node returns.
#[derive(Clone, Debug, Default)]
pub struct NodeOutput {
    /// What other steps use.
    pub outcome: Value,
    /// Everything else worth keeping, in the node's own shape.
    pub output: Option<Value>,
    /// What it consumed.
    pub usage: Usage,
    /// What it did, in one line.
    pub summary: Option<String>,
}

impl NodeOutput {
    /// An output that is only an outcome.
    #[must_use]
    pub fn new(outcome: Value) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }

    /// The same with everything else worth keeping.
    #[must_use]
    pub fn with_output(mut self, output: Value) -> Self {
        self.output = Some(output);
        self
    }

    /// The same with what it consumed.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The same with what it did, in one line.
    #[must_use]
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
}

/// Why a node failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", info.message)]
pub struct NodeError {
    /// What is recorded.
    pub info: ErrorInfo,
    /// What it returned as far as it got.
    pub partial: Box<NodeOutput>,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// The shortest pause before it, where somebody asked for one.
    pub retry_after: Option<Duration>,
    /// Whether the step comes to rest until somebody has answered, instead of failing.
    pub(crate) suspends: bool,
}

impl NodeError {
    /// A failure with a stable code and a message that says what happened, where, and what was expected.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            info: ErrorInfo::new(code, message),
            partial: Box::default(),
            retryable: true,
            retry_after: None,
            suspends: false,
        }
    }

    /// A failure from an error and its causes.
    pub fn from_error(code: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self {
            info: ErrorInfo::from_error(code, error),
            partial: Box::default(),
            retryable: true,
            retry_after: None,
            suspends: false,
        }
    }

    /// The same with what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.info = self.info.with_hint(hint);
        self
    }

    /// The same with what the node returned as far as it got.
    #[must_use]
    pub fn with_partial(mut self, partial: NodeOutput) -> Self {
        self.partial = Box::new(partial);
        self
    }

    /// That the step comes to rest until somebody has answered a question.
    pub(crate) fn suspended() -> Self {
        Self {
            suspends: true,
            ..Self::new("suspended", "the step waits for an answer").permanent()
        }
    }

    /// The same with the shortest pause before another attempt.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The same, but another attempt is of no use.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.retryable = false;
        self
    }
}

impl From<dad_run::RunError> for NodeError {
    fn from(error: dad_run::RunError) -> Self {
        Self {
            info: error.to_info(),
            partial: Box::default(),
            retryable: false,
            retry_after: None,
            suspends: false,
        }
    }
}

/// What a budget limits, as it is written on the command line.
fn limits(budget: &Budget) -> String {
    let limits = [
        budget.tokens.map(|_| "tokens=N"),
        budget.cost.map(|_| "cost=N"),
        budget.calls.map(|_| "calls=N"),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(",")
}

impl From<dad_run::BudgetExceeded> for NodeError {
    fn from(exceeded: dad_run::BudgetExceeded) -> Self {
        let hint = if exceeded.whose == "the run" {
            let limits = limits(&exceeded.budget);
            format!("`dhenara resume RUN --budget {limits}` goes on with more")
        } else {
            "raise `budget` of the node, and go on by `dhenara resume RUN --definition current`".to_owned()
        };
        Self::new("budget_exceeded", exceeded.to_string())
            .with_hint(hint)
            .permanent()
    }
}

impl From<dad_fs::FsError> for NodeError {
    fn from(error: dad_fs::FsError) -> Self {
        Self::from_error("file_operation", &error)
    }
}
