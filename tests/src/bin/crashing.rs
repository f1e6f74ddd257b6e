//! Drives one scenario and dies, or has an operation fail, at a given change of the file system:
//! `crashing PROJECT run|rerun|resume|prune OPERATION die|full|io|none`.
//!
//! One thread, so that an operation has the same number every time. Prints how many there were.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tests talk to"
)]

use std::io;
use std::process::ExitCode;

use async_trait::async_trait;
use dhenara::core::Timestamp;
use dhenara::fs::{FaultInjector, Gate, Operation};
use dhenara::run::{Dirs, RetentionPolicy, plan_prune};
use dhenara::{
    ConditionalBuilder, Error, ErrorInfo, FlowBuilder, FlowDefinition, FlowRunner, ForEachBuilder, Node,
    NodeBuilder, NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType, RepeatBuilder, RunContext,
    World,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A node that makes exchanges somebody is paid for: each leaves a line in the file `exchanges` of the project.
#[derive(Debug, Default)]
struct Paid;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PaidSettings {
    text: String,
    exchanges: u32,
}

#[async_trait]
impl Node for Paid {
    type Settings = PaidSettings;
    type Input = ();
    const TYPE: &'static str = "paid";

    async fn world(&self, _: &PaidSettings) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    async fn execute(
        &self,
        settings: PaidSettings,
        _: Option<()>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        let mut answers = Vec::new();
        for number in 1..=settings.exchanges {
            let request = json!({ "text": settings.text, "number": number });
            let answer: Value = cx
                .memo("exchange", &request, |number| {
                    pay(cx, &format!("{} {number}", cx.path()));
                    async move { Ok(json!(number)) }
                })
                .await?;
            answers.push(answer);
        }
        Ok(NodeOutput::new(
            json!({ "text": settings.text, "answers": answers }),
        ))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what stands for the world outside the run"
)]
fn pay(cx: &NodeContext, what: &str) {
    use io::Write;
    let root = &cx.run().scope().run_variables["project_root"];
    let file = std::path::Path::new(root.as_str().unwrap_or_default()).join("exchanges");
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    // A line that cannot be written is missed by the test.
    let _ = opened.and_then(|mut file| writeln!(file, "{what}"));
}

fn paid(text: &str, exchanges: u32) -> NodeBuilder {
    let settings = PaidSettings {
        text: text.to_owned(),
        exchanges,
    };
    NodeBuilder::new(NodeType::from_static("paid"), settings)
}

fn flow() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let round = FlowBuilder::new()
        .node("ask", paid("$expr{item}", 2))
        .conditional(
            "more",
            ConditionalBuilder::new("$expr{index > 0}")
                .when_true(FlowBuilder::new().node("again", paid("more", 1))),
        );
    let pass = FlowBuilder::new().node("try", paid("pass $expr{index}", 1));
    FlowBuilder::new()
        // Too large for the journal.
        .variable("long", "$expr{ 'x' * 5000 }")
        .for_each("rounds", ForEachBuilder::new("$expr{ ['a', 'b'] }", round))
        .repeat("passes", RepeatBuilder::new("$expr{ index == 1 }", 3, pass))
        .parallel(
            "both",
            FlowBuilder::new()
                .node("left", paid("long: $expr{len(long)}", 1))
                .node("right", paid("right", 1)),
        )
        .finally_node("last_one", paid("rounds: $expr{ len($hier{rounds.*.ask}) }", 1))
        .build()
}

/// Dies or fails at one operation.
struct Fault {
    operation: u64,
    how: String,
}

impl FaultInjector for Fault {
    fn before(&self, operation: &Operation<'_>) -> io::Result<()> {
        if operation.number != self.operation {
            return Ok(());
        }
        match self.how.as_str() {
            // Without destructors, as if it were killed.
            "die" => std::process::exit(86),
            "full" => Err(io::Error::from_raw_os_error(28)),
            "io" => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [project, what, operation, how] = words.as_slice() else {
        return ExitCode::from(2);
    };
    let fault = Fault {
        operation: operation.parse().unwrap_or(u64::MAX),
        how: how.clone(),
    };
    let gate = Gate::with_faults(fault);
    let ended = drive(project, what, gate.clone()).await;
    println!("{}", gate.operations());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", ErrorInfo::from_error("failed", &*error).message);
            ExitCode::FAILURE
        }
    }
}

/// Removes all runs but the newest.
fn prune(project: &str, gate: Gate) -> Result<(), Box<dyn std::error::Error>> {
    let dirs = Dirs::new(project.as_ref(), None, None)?;
    let catalog = dirs.catalog().with_gate(gate);
    let policy = RetentionPolicy {
        keep_last: Some(1),
        ..RetentionPolicy::default()
    };
    let plan = plan_prune(catalog.inventory()?, &policy, Timestamp::now());
    let failures = catalog.prune(&plan)?.failures;
    match failures.first() {
        Some(failure) => Err(failure.reason.clone().into()),
        None => Ok(()),
    }
}

async fn drive(project: &str, what: &str, gate: Gate) -> Result<(), Box<dyn std::error::Error>> {
    if what == "prune" {
        return prune(project, gate);
    }
    let flow = flow()?;
    let context = RunContext::builder("scenario", project)
        .nodes(NodeRegistry::new().register::<Paid>())
        .gate(gate);
    let ended = match what {
        "resume" => {
            let context = context.build()?;
            let unfinished = context.dirs().catalog().find_unfinished("last")?;
            FlowRunner::resume(flow, context, unfinished.dir).run().await
        }
        "rerun" => {
            let context = context
                .previous_run_id("last")
                .start_hierarchy_path("rounds.iter_1.ask");
            FlowRunner::new(flow, context.build()?).run().await
        }
        _ => FlowRunner::new(flow, context.build()?).run().await,
    };
    ended.map(drop).map_err(|error: Error| error.into())
}
