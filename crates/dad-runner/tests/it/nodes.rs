use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::NodeType;
use dad_definition::NodeBuilder;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, NodeRegistry, RunSetup, World,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn registry() -> NodeRegistry {
    NodeRegistry::new()
        .register::<Echo>()
        .register::<Reads>()
        .register::<Costly>()
        .register::<Flaky>()
        .register::<Sleeper>()
        .register::<Panics>()
        .register::<Exaggerates>()
        .register::<Persists>()
        .register::<Blocks>()
        .register::<Needs>()
        .register::<Bare>()
}

/// Returns the value of its settings; its world is the one that they name.
#[derive(Default)]
pub(crate) struct Echo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EchoSettings {
    value: Value,
    #[serde(default)]
    world: EchoWorld,
    #[serde(default)]
    fail: bool,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EchoWorld {
    #[default]
    Pure,
    Effect,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EchoInput {
    #[serde(default)]
    prompt_variables: serde_json::Map<String, Value>,
}

impl Node for Echo {
    type Settings = EchoSettings;
    type Input = EchoInput;
    type Outcome = Value;
    const TYPE: &'static str = "echo";

    fn bind(
        &self,
        settings: EchoSettings,
        input: Option<EchoInput>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(EchoStep { settings, input }))
    }
}

struct EchoStep {
    settings: EchoSettings,
    input: Option<EchoInput>,
}

#[async_trait]
impl BoundStep for EchoStep {
    async fn world(&self) -> Result<World, NodeError> {
        Ok(match self.settings.world {
            EchoWorld::Pure => World::Pure,
            EchoWorld::Effect => World::Effect,
        })
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let calls = cx
            .memo("call", &self.settings.value, |number| async move { Ok(number) })
            .await?;
        let given = self.input.as_ref().map(|input| &input.prompt_variables);
        let output = NodeOutput::new(json!({ "value": self.settings.value, "calls": calls, "given": given }));
        if self.settings.fail {
            return Err(NodeError::new("told_to_fail", "the settings say so").with_partial(output));
        }
        Ok(output.with_summary("echoed"))
    }
}

pub(crate) fn echo(value: impl Into<Value>) -> NodeBuilder {
    node("echo", json!({ "value": value.into() }))
}

pub(crate) fn effect(value: impl Into<Value>) -> NodeBuilder {
    node("echo", json!({ "value": value.into(), "world": "effect" }))
}

pub(crate) fn failing() -> NodeBuilder {
    node("echo", json!({ "value": "partial", "fail": true }))
}

pub(crate) fn node(node_type: &'static str, settings: Value) -> NodeBuilder {
    NodeBuilder::new(NodeType::from_static(node_type), settings)
}

/// Reads a file.
#[derive(Default)]
pub(crate) struct Reads;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadsSettings {
    value: String,
    file: String,
}

impl Node for Reads {
    type Settings = ReadsSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "reads";

    fn bind(&self, settings: ReadsSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for ReadsSettings {
    async fn world(&self) -> Result<World, NodeError> {
        let content = std::fs::read_to_string(&self.file)?;
        Ok(World::Reads([(self.file.clone(), content)].into_iter().collect()))
    }

    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        let content = std::fs::read_to_string(&self.file)?;
        Ok(NodeOutput::new(
            json!({ "value": self.value, "content": content }),
        ))
    }
}

/// Fails until its attempt has a number.
#[derive(Default)]
pub(crate) struct Flaky;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct FlakySettings {
    succeeds_at: u32,
}

impl Node for Flaky {
    type Settings = FlakySettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "flaky";

    fn bind(&self, settings: FlakySettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for FlakySettings {
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        cx.artifacts()?
            .write_new("note.txt", b"one attempt", dad_fs::Durability::Process)?;
        if cx.attempt() >= self.succeeds_at {
            Ok(NodeOutput::new(json!({ "attempt": cx.attempt() })))
        } else {
            Err(NodeError::new("not_yet", "another attempt may succeed"))
        }
    }
}

/// Sleeps, and does or does not care to be stopped.
#[derive(Default)]
pub(crate) struct Sleeper;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct SleeperSettings {
    seconds: u64,
    #[serde(default)]
    listens: Listens,
}

/// The reaction of a sleeper to a stop.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Listens {
    /// It returns.
    #[default]
    Yes,
    /// It knows nothing of it.
    No,
    /// It asks and sleeps on.
    InVain,
}

impl Node for Sleeper {
    type Settings = SleeperSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "sleeper";

    fn bind(
        &self,
        settings: SleeperSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for SleeperSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let sleep = tokio::time::sleep(Duration::from_secs(self.seconds));
        if self.listens == Listens::InVain {
            assert!(!cx.is_cancelled());
        }
        if self.listens != Listens::Yes {
            sleep.await;
            return Ok(NodeOutput::new(json!("slept")));
        }
        tokio::select! {
            () = sleep => Ok(NodeOutput::new(json!("slept"))),
            () = cx.cancelled() => {
                let partial = NodeOutput::new(json!("woken"));
                Err(NodeError::new("woken", "asked to stop").with_partial(partial))
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Panics;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct PanicsSettings {}

impl Node for Panics {
    type Settings = PanicsSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "panics";

    fn bind(&self, settings: PanicsSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for PanicsSettings {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        panic!("as it does")
    }
}

/// Gives more than a record can hold.
#[derive(Default)]
pub(crate) struct Exaggerates;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ExaggeratesSettings {
    /// Levels of lists within each other in the outcome.
    #[serde(default)]
    depth: usize,
    /// Letters of the summary.
    #[serde(default)]
    summary: usize,
    /// Whether it fails with all that.
    #[serde(default)]
    fails: bool,
}

impl Node for Exaggerates {
    type Settings = ExaggeratesSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "exaggerates";

    fn bind(
        &self,
        settings: ExaggeratesSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for ExaggeratesSettings {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        let outcome = (0..self.depth).fold(json!("inside"), |inner, _| json!([inner]));
        let text = "\"ü\u{1}".repeat(self.summary / 3);
        let output = NodeOutput::new(outcome).with_usage(dad_core::Usage::default().calls(1));
        if self.fails {
            Err(NodeError::new("word_".repeat(50_000), &text)
                .with_hint(&text)
                .with_partial(output))
        } else {
            Ok(output.with_summary(text))
        }
    }
}

/// Tries another exchange after it was asked to stop, which would leave a record.
#[derive(Default)]
pub(crate) struct Persists;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct PersistsSettings {}

impl Node for Persists {
    type Settings = PersistsSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "persists";

    fn bind(
        &self,
        settings: PersistsSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for PersistsSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let first = cx
            .memo("pay", &json!("first"), |number| async move { Ok(number) })
            .await?;
        cx.cancelled().await;
        let second = cx
            .memo("pay", &json!("second"), |number| async move {
                cx.custom("paid", json!(number))?;
                Ok(number)
            })
            .await?;
        Ok(NodeOutput::new(json!([first, second])))
    }
}

/// Consumes what its settings say.
#[derive(Default)]
pub(crate) struct Costly;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct CostlySettings {
    tokens: u64,
}

impl Node for Costly {
    type Settings = CostlySettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "costly";

    fn bind(&self, settings: CostlySettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for CostlySettings {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        let usage = dad_core::Usage::default().calls(1).total_tokens(self.tokens);
        Ok(NodeOutput::new(json!("done")).with_usage(usage))
    }
}

/// Blocks a thread until the test lets it go, or until it is asked to stop, if it listens.
#[derive(Default)]
pub(crate) struct Blocks;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct BlocksSettings {
    listens: bool,
}

/// The door that a [`Blocks`] waits behind, and whether it has come there.
#[derive(Debug, Default)]
pub(crate) struct Door {
    pub(crate) is_open: AtomicBool,
    pub(crate) is_reached: AtomicBool,
}

impl Node for Blocks {
    type Settings = BlocksSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "blocks";

    fn bind(&self, settings: BlocksSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for BlocksSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let (door, listens) = (cx.resource::<Door>().unwrap(), self.listens);
        cx.blocking(move |stop| {
            door.is_reached.store(true, Ordering::SeqCst);
            while !door.is_open.load(Ordering::SeqCst) {
                if listens && stop.is_set() {
                    let partial = NodeOutput::new(json!("as far as it got"));
                    return Err(NodeError::new("stopped", "asked to stop").with_partial(partial));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(NodeOutput::new(json!("through")))
        })
        .await
    }
}

/// Executes only in a run that has [`Needed`].
#[derive(Default)]
pub(crate) struct Needs;

/// A resource.
pub(crate) struct Needed;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NeedsSettings {}

impl Node for Needs {
    type Settings = NeedsSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "needs";

    fn check_requirements(_: &NeedsSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        let needed = setup.resources.get::<Needed>();
        needed
            .map(drop)
            .ok_or_else(|| NodeError::new("nothing_there", "what it needs is not there"))
    }

    fn bind(&self, _: NeedsSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Nothing))
    }
}

/// Does nothing, and has no settings.
#[derive(Default)]
pub(crate) struct Bare;

impl Node for Bare {
    type Settings = ();
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "bare";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Nothing))
    }
}

struct Nothing;

#[async_trait]
impl BoundStep for Nothing {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::default())
    }
}
