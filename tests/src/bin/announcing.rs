//! Drives a run and tells on standard output what it announces, for tests that kill it:
//! `announcing PROJECT load|exchange run|resume`.
//!
//! `load` is a run with several steps at a time, each of which makes paid exchanges that take their time. `exchange` is
//! one step that asks a model three times; while the project has a file `hold`, it stops behind the second answer.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tests talk to"
)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use dhenara::events::{EventBody, on_any};
use dhenara::models::{
    CallContext, Credentials, HttpClient, Message, ModelCatalog, ModelClient, ModelRequest, ModelResponse,
    Role,
};
use dhenara::{
    BindContext, Bound, BoundStep, ConditionalBuilder, ErrorInfo, FlowBuilder, FlowDefinition, FlowRunner,
    ForEachBuilder, Node, NodeBuilder, NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType,
    RepeatBuilder, RunContext, RunEnd,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Makes paid exchanges: each leaves a line in the file `exchanges` of the project when it begins, and
/// has its answer some time later.
#[derive(Debug, Default)]
struct Paid;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PaidSettings {
    text: String,
    exchanges: u32,
}

impl Node for Paid {
    type Settings = PaidSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "paid";

    fn bind(&self, settings: PaidSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for PaidSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let mut answers = Vec::new();
        for number in 1..=self.exchanges {
            let request = json!({ "text": self.text, "number": number });
            let exchange = async |number| {
                pay(cx, &format!("{} {number}", cx.path()))?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(json!(number))
            };
            let answer: Value = cx.memo("exchange", &request, exchange).await?;
            answers.push(answer);
        }
        Ok(NodeOutput::new(json!({ "text": self.text, "answers": answers })))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what stands for the world outside the run"
)]
fn pay(cx: &NodeContext, what: &str) -> Result<(), NodeError> {
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(project(cx).join("exchanges"));
    // In one call, because several steps pay at the same time.
    let paid = opened.and_then(|mut file| file.write_all(format!("{what}\n").as_bytes()));
    paid.map_err(|error| NodeError::from_error("unpaid", &error))
}

fn project(cx: &NodeContext) -> &Path {
    let root = &cx.run().scope().run_variables["project_root"];
    Path::new(root.as_str().unwrap_or_default())
}

/// Asks a model, and asks it twice more to mend its answer.
#[derive(Debug, Default)]
struct Mending;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct MendingSettings {
    model: String,
}

impl Node for Mending {
    type Settings = MendingSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "mending";

    fn bind(
        &self,
        settings: MendingSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for MendingSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let failed = |error: &dyn std::error::Error| NodeError::from_error("model", error);
        let catalog = ModelCatalog::load(project(cx)).map_err(|error| failed(&error))?;
        let credentials = Credentials::new(project(cx), None, cx.run().secrets().clone());
        let client = HttpClient::new(catalog, credentials);
        let mut messages = Vec::new();
        for question in ["Write it", "Mend it", "Mend it again"] {
            if messages.len() == 4 && project(cx).join("hold").exists() {
                announce("holding");
                std::future::pending::<()>().await;
            }
            messages.push(Message::new(Role::User, question));
            let request = ModelRequest::new(self.model.clone(), messages.clone());
            let ask = async |number| {
                let call = CallContext::new(cx.path().clone())
                    .number(number)
                    .idempotency_key(cx.idempotency_key(&format!("model_call {number}")));
                let answer = client.complete(&request, &call).await;
                answer.map_err(|error| failed(&error))
            };
            let answer: ModelResponse = cx.memo("model_call", &request, ask).await?;
            messages.push(Message::new(Role::Assistant, answer.text));
        }
        Ok(NodeOutput::new(json!({ "messages": messages })))
    }
}

fn paid(text: &str, exchanges: u32) -> NodeBuilder {
    let settings = PaidSettings {
        text: text.to_owned(),
        exchanges,
    };
    NodeBuilder::new(NodeType::from_static("paid"), settings)
}

fn load() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let round = FlowBuilder::new()
        .node("ask", paid("$expr{ 'item ' + str(item) }", 2))
        .conditional(
            "more",
            ConditionalBuilder::new("$expr{ item == 3 || item == 17 }")
                .when_true(FlowBuilder::new().node("again", paid("more", 1))),
        );
    let pass = FlowBuilder::new().node("try", paid("pass $expr{index}", 1));
    FlowBuilder::new()
        // Too large for the journal.
        .variable("long", "$expr{ 'x' * 5000 }")
        .for_each(
            "rounds",
            ForEachBuilder::new("$expr{ range(0, 30) }", round).max_concurrency(4),
        )
        .repeat("passes", RepeatBuilder::new("$expr{ index == 2 }", 4, pass))
        .parallel(
            "both",
            FlowBuilder::new()
                .node("left", paid("long: $expr{len(long)}", 2))
                .node("right", paid("right", 2)),
        )
        .node("last_one", paid("rounds: $expr{ len($hier{rounds.*.ask}) }", 1))
        .build()
}

fn exchange() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let settings = MendingSettings {
        model: "local/tiny".to_owned(),
    };
    let mending = NodeBuilder::new(NodeType::from_static("mending"), settings);
    FlowBuilder::new().node("mending", mending).build()
}

/// At once, whatever is at the other end: what is not in the pipe when the process dies was not announced.
fn announce(line: &str) {
    println!("{line}");
    // The listener may have gone, which is its own affair.
    let _ = std::io::stdout().flush();
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [project, flow, what, run @ ..] = words.as_slice() else {
        return ExitCode::from(2);
    };
    match drive(project, flow, what, run.first()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", ErrorInfo::from_error("failed", &*error).message);
            ExitCode::FAILURE
        }
    }
}

/// Makes a run, or resumes one: the newest of this place, or one by its id wherever it was made.
async fn drive(
    project: &str,
    flow: &str,
    what: &str,
    run: Option<&String>,
) -> Result<(), Box<dyn std::error::Error>> {
    let flow = match flow {
        "load" => load()?,
        "exchange" => exchange()?,
        other => return Err(format!("there is no flow `{other}`").into()),
    };
    let tell = on_any(|event| async move {
        if let EventBody::StepEnded(ended) = &event.body {
            announce(&format!("ended {}", ended.path));
        }
        Ok(())
    });
    let context = RunContext::builder("scenario", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(NodeRegistry::new().register::<Paid>().register::<Mending>())
        .register_event_handlers([tell])
        .trust_run(run.is_some())
        .build()?;
    let run = match what {
        "resume" => {
            let unfinished = context
                .dirs()
                .catalog()
                .find_unfinished(run.map_or("last", String::as_str))?;
            context.resume_run(&unfinished.dir, &flow)?
        }
        _ => context.setup_run(&flow)?,
    };
    match FlowRunner::within(&flow, &run).run().await {
        Ok(report) => {
            run.seal(report.status.try_into()?, None).await?;
            Ok(())
        }
        Err(error) => {
            // It explains why, and the seal may fail for the same reason.
            let _ = run.complete_run(RunEnd::Failed, Some(&error)).await;
            Err(error.into())
        }
    }
}
