//! Faults that llmock makes: the error of one call, and the run of a step that retries, on which llmock has a verdict.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhenara::models::{ModelClient, ModelError, Models};
use dhenara::nodes::AIModelCallConfig;
use dhenara::{AIModelNode, FlowBuilder, FlowRunner, Prompt, RunContext, RunStatus, builtin_nodes};
use serde_json::{Value, json};

use crate::Row;
use crate::exchanges::{call_context, request};
use crate::models::{Patience, Route, Server, client, model_name};
use crate::servers::Servers;

/// A fault, and what a client should make of it.
struct Fault {
    name: &'static str,
    behaviour: fn() -> Value,
    /// Whether the error of one call is the right one.
    is_right: fn(&ModelError) -> bool,
    /// The end of a step that asks with three retries, and the number of its requests.
    run: (RunStatus, u64),
}

/// The pause that a rate-limited client is asked for.
const PAUSE: Duration = Duration::from_secs(1);

const FAULTS: &[Fault] = &[
    Fault {
        name: "429 with Retry-After",
        behaviour: || json!({ "type": "fail", "status": 429, "retry_after": PAUSE.as_secs() }),
        is_right: |error| matches!(error, ModelError::Status { status: 429, retry_after: Some(pause), .. } if *pause == PAUSE),
        run: (RunStatus::Completed, 2),
    },
    Fault {
        name: "503",
        behaviour: || json!({ "type": "fail", "status": 503 }),
        is_right: |error| matches!(error, ModelError::Status { status: 503, .. }),
        run: (RunStatus::Completed, 2),
    },
    Fault {
        name: "503 for ever",
        behaviour: || json!({ "type": "fail", "status": 503, "times": null }),
        is_right: |error| matches!(error, ModelError::Status { status: 503, .. }),
        run: (RunStatus::Failed, 4),
    },
    Fault {
        name: "400",
        behaviour: || json!({ "type": "fail", "status": 400 }),
        is_right: |error| matches!(error, ModelError::Status { status: 400, .. }),
        run: (RunStatus::Failed, 1),
    },
    Fault {
        name: "401",
        behaviour: || json!({ "type": "fail", "status": 401 }),
        is_right: |error| matches!(error, ModelError::Status { status: 401, .. }),
        run: (RunStatus::Failed, 1),
    },
    Fault {
        name: "truncated stream",
        behaviour: || json!({ "type": "stream_fault", "kind": "truncate", "after_chunks": 3 }),
        is_right: |error| matches!(error, ModelError::Cut { .. }),
        run: (RunStatus::Completed, 2),
    },
    Fault {
        name: "broken connection",
        behaviour: || json!({ "type": "stream_fault", "kind": "disconnect", "after_chunks": 3 }),
        is_right: |error| matches!(error, ModelError::Cut { .. }),
        run: (RunStatus::Completed, 2),
    },
    Fault {
        name: "malformed event",
        behaviour: || json!({ "type": "stream_fault", "kind": "malformed", "after_chunks": 3 }),
        is_right: |error| matches!(error, ModelError::Cut { .. } | ModelError::Answer { .. }),
        run: (RunStatus::Completed, 2),
    },
    Fault {
        name: "silence",
        behaviour: || json!({ "type": "stream_fault", "kind": "stall", "after_chunks": 3, "stall_seconds": 8 }),
        is_right: |error| matches!(error, ModelError::Silent { .. }),
        run: (RunStatus::Completed, 2),
    },
];

pub(crate) async fn check(servers: &Servers, route: &Route, rows: &mut Vec<Row>) {
    for fault in FAULTS {
        let mut add = |check: String, seen| {
            rows.push(Row {
                server: Server::LlMock.name(),
                protocol: route.name,
                check,
                seen,
            });
        };
        add(
            format!("{}, one call", fault.name),
            one_call(servers, route, fault).await,
        );
        add(
            format!("{}, a step", fault.name),
            step(servers, route, fault).await,
        );
    }
}

async fn one_call(servers: &Servers, route: &Route, fault: &Fault) -> Result<String, String> {
    servers.llmock.script(&[(fault.behaviour)()])?;
    let client = client(servers, &std::env::temp_dir(), Patience::Short);
    let request = request(
        &model_name(Server::LlMock, route),
        "What is the weather in Zürich?",
    );
    match client.stream(&request, &call_context()?, &|_| {}).await {
        Err(error) if (fault.is_right)(&error) => Ok(error.code().to_owned()),
        Err(error) => Err(format!("{error:?}")),
        Ok(response) => Err(format!("it was taken for an answer: {:?}", response.text)),
    }
}

async fn step(servers: &Servers, route: &Route, fault: &Fault) -> Result<String, String> {
    servers.llmock.script(&[(fault.behaviour)()])?;
    let project = tempfile::tempdir().map_err(|error| error.to_string())?;
    let status = run(servers, route, project.path())
        .await
        .map_err(|error| error.to_string())?;
    let verdict = servers.llmock.verdict()?;
    let (wanted, requests) = fault.run;
    if status != wanted {
        return Err(format!("the run is {status}"));
    }
    // Warnings count as well.
    if verdict["findings"] != json!([]) || verdict["attempts"] != requests || verdict["calls"] != 1 {
        return Err(format!(
            "{requests} requests were expected; the verdict is {verdict}"
        ));
    }
    Ok(format!("{status} after {requests} requests; no findings"))
}

async fn run(
    servers: &Servers,
    route: &Route,
    project: &Path,
) -> Result<RunStatus, Box<dyn std::error::Error>> {
    let node = AIModelNode::new([model_name(Server::LlMock, route)])
        .prompt(Prompt::from("What is the weather in Zürich?"))
        .model_call_config(
            AIModelCallConfig::default()
                .streaming(true)
                .retries(3)
                .retry_delay(0.1),
        );
    let flow = FlowBuilder::new().node("ask", node).build()?;
    let context = RunContext::builder("flow_root", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes())
        .resource(Arc::new(Models::new(client(servers, project, Patience::Short))));
    match FlowRunner::new(flow, context.build()?).run().await {
        Ok(report) => Ok(report.status),
        Err(dhenara::Error::Failed { report }) => Ok(report.status),
        Err(error) => Err(error.into()),
    }
}
