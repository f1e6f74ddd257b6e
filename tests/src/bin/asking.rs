//! Asks at the terminal, for tests that type the answers: `asking PROJECT specification|parallel|own|slow|again|prompts|chatbot`.
//!
//! `specification` is the handler of the specification, `parallel` has two steps that ask at the same time while a third
//! goes on, `own` has a node of its own, `slow` gives up a prompt without an answer, `again` offers what a previous run
//! had been given, `prompts` asks one question of each kind, `chatbot` is the conversation of the examples. Their results are printed on standard output.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tests talk to"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatbot::Partner;
use dhenara::models::{CallContext, ModelClient, ModelError, ModelRequest, ModelResponse, Models};
use dhenara::nodes::{AIModelNodeSettings, PromptVariable};
use dhenara::terminal::{
    Conversation, NodeQuestion, PathKind, PathOptions, Progress, YesNo, ask_choice, ask_choices,
    ask_long_text, ask_node_input, ask_node_input_with, ask_number, ask_path, ask_question, ask_text,
    ask_yes_no,
};
use dhenara::{
    BindContext, Bound, BoundStep, CommandNode, ErrorInfo, FlowBuilder, FlowDefinition, FlowRunner, Node,
    NodeBuilder, NodeContext, NodeError, NodeOutput, NodeType, Prompt, RunContext, async_input,
    builtin_nodes, on, print_node_completion,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use specification::node_input_event_handler;

/// A model that gives every prompt back.
struct Echo;

#[async_trait]
impl ModelClient for Echo {
    async fn complete(&self, request: &ModelRequest, _: &CallContext) -> Result<ModelResponse, ModelError> {
        let prompt = request.messages.last().map(|message| message.text.clone());
        Ok(ModelResponse::of_text(
            request.model.as_str(),
            "echo",
            prompt.unwrap_or_default(),
        ))
    }
}

fn asking(models: &[&str], text: &str, variable: &'static str) -> NodeBuilder {
    let settings = AIModelNodeSettings::new(models.iter().copied()).prompt(Prompt::with_dad_text(
        text,
        [(variable, PromptVariable::default())],
    ));
    settings.builder().pre_events(["node_input_required"])
}

/// A node of an application, which this workspace does not know how to ask for.
#[derive(Debug, Default)]
struct Greeting;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct GreetingSettings {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct GreetingInput {
    /// The person who is greeted.
    name: String,
    #[schemars(range(min = 1, max = 9))]
    times: u8,
    #[serde(default)]
    loud: Option<bool>,
    tone: Tone,
    #[serde(default)]
    titles: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Tone {
    Warm,
    Cold,
}

impl Node for Greeting {
    type Settings = GreetingSettings;
    type Input = GreetingInput;
    type Outcome = Value;
    const TYPE: &'static str = "greeting";

    fn bind(
        &self,
        _: GreetingSettings,
        input: Option<GreetingInput>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(Greet(input)))
    }
}

struct Greet(Option<GreetingInput>);

#[async_trait]
impl BoundStep for Greet {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(json!(self.0)))
    }
}

fn greeting() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let greeting = NodeBuilder::new(NodeType::from_static("greeting"), GreetingSettings {});
    FlowBuilder::new()
        .node("greet", greeting.pre_events(["node_input_required"]))
        .build()
}

fn command(text: &str) -> CommandNode {
    CommandNode::new([text])
}

fn of_the_specification() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let models = ["echo/large", "echo/small"];
    FlowBuilder::new()
        .node(
            "code_generator",
            asking(&models, "Task: $var{task_description}", "task_description"),
        )
        .build()
}

fn parallel() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let model = ["echo/small"];
    FlowBuilder::new()
        .parallel(
            "both",
            FlowBuilder::new()
                .node("left", asking(&model, "$var{name} is left", "name"))
                .node("right", asking(&model, "$var{name} is right", "name"))
                .subflow(
                    "beside",
                    FlowBuilder::new()
                        .node("first", command("sleep 0.3"))
                        .node("second", command("sleep 0.3; touch \"$HOME/beside\""))
                        .node(
                            "third",
                            command("while [ ! -e \"$HOME/go\" ]; do sleep 0.1; done"),
                        ),
                ),
        )
        .build()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [project, what] = words.as_slice() else {
        return ExitCode::from(2);
    };
    let done = match what.as_str() {
        "prompts" => prompts().await,
        "slow" => slow().await,
        "again" => again().await,
        "chatbot" => chatbot(project).await,
        what => run(project, what).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", ErrorInfo::from_error("failed", &*error).message);
            ExitCode::FAILURE
        }
    }
}

async fn run(project: &str, what: &str) -> Result<(), Box<dyn std::error::Error>> {
    let context = RunContext::builder("flow_root", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes().register::<Greeting>())
        .resource(Arc::new(Models::new(Echo)));
    let (flow, context) = match what {
        "specification" => (
            of_the_specification()?,
            context.register_event_handlers([on(node_input_event_handler), on(print_node_completion)]),
        ),
        "own" => {
            let schema = schemars::schema_for!(GreetingInput);
            let ask = move |event| ask_node_input_with(event, Some(schema.clone().into()));
            (greeting()?, context.on(ask))
        }
        _ => (
            parallel()?,
            context.on(ask_node_input).observe(Arc::new(Progress::new())),
        ),
    };
    let report = FlowRunner::new(flow, context.build()?).run().await?;
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    println!("{}", report.status);
    Ok(())
}

async fn chatbot(project: &str) -> Result<(), Box<dyn std::error::Error>> {
    let last = chatbot::talk(Path::new(project), Partner::Recorded).await?;
    println!("{last}");
    Ok(())
}

/// A caller may drop its question.
async fn slow() -> Result<(), Box<dyn std::error::Error>> {
    let answer = tokio::time::timeout(Duration::from_millis(500), async_input("Quick: ")).await;
    println!("{}", if answer.is_err() { "too late" } else { "in time" });
    println!("{}", async_input("Take your time: ").await?);
    Ok(())
}

/// The input of the previous run is offered again.
async fn again() -> Result<(), Box<dyn std::error::Error>> {
    let settings = json!({
        "models": ["echo/large", "echo/small"],
        "prompt": { "text": "", "variables": { "who": {}, "tone": { "allowed": ["plain", "rude"] }, "times": { "default": 1 } } },
    });
    let path = "flow_root.ask".parse()?;
    let mut question = NodeQuestion::new(path, NodeType::AI_MODEL_CALL, settings);
    question.previous_input = Some(json!({
        "prompt_variables": { "who": "Ada", "tone": "rude", "times": 2 },
        "settings_override": { "models": ["echo/small"], "model_call_config": { "max_output_tokens": 10 } },
    }));
    println!("{}", ask_question(&question, |_| Ok(())).await?);
    Ok(())
}

async fn prompts() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:?}", ask_text("Branch ", Some("main")).await?);
    println!("{:?}", ask_number("How many? ", 1..=10, Some(3_u32)).await?);
    println!("{:?}", ask_yes_no("Go on?", YesNo::Yes).await?);
    println!(
        "{:?}",
        ask_choice("Which colour?", &["red", "green", "blue"], 0).await?
    );
    println!(
        "{:?}",
        ask_choices("Which days?", &["Monday", "Tuesday", "Wednesday"], &[1]).await?
    );
    let mut options = PathOptions::default();
    options.kind = PathKind::Directory;
    println!("{:?}", ask_path("Where? ", &options).await?.file_name());
    println!("{:?}", ask_long_text("Tell me more: ", "").await?);
    let conversation = Conversation::begin().await?;
    conversation.tell("almost done");
    println!("{:?}", conversation.input("Anything else? ").await?);
    Ok(())
}
