//! Agents over HTTP: `cargo run -p webserver -- PROJECT [ADDRESS]`, at `127.0.0.1:8080` by default. Runs and questions are in
//! the directories of the runs: after a restart the server resumes the runs that were interrupted, and lists and answers the
//! questions that were open before.
//!
//! | request | answer |
//! |---|---|
//! | `POST /agents/NAME/runs`, an object with the variables | starts a run: `201`, `{"run": id}` |
//! | `GET /runs`, `GET /questions` | the runs; the questions of waiting runs, with the schemas of their answers |
//! | `GET /runs/RUN/events` | the events since this process drives the run, as server-sent events; the last is `status` |
//! | `POST /runs/RUN/questions/ID`, the answer | `202`, and the run is resumed; `422` if the answer does not fit: the question stays open; `409` if it was answered before |
//!
//! An error is `{"code", "message"}`. The server asks for no password: it is meant for the loopback address.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dhenara::events::{Delivery, Event, EventBody};
use dhenara::run::Answer;
use dhenara::{Definition, Error, Project, ProjectError, RunContext, RunStatus, Runner};
use futures_util::{Stream, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

struct Server {
    project: Project,
    /// The events so far of the runs that this process drives.
    driven: Mutex<HashMap<String, watch::Receiver<Vec<Value>>>>,
}

type Shared = State<Arc<Server>>;
type Line = Result<sse::Event, Infallible>;
type Answered = Result<(StatusCode, Json<Value>), Refusal>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let project = Project::open(words.next().ok_or("usage: webserver PROJECT [ADDRESS]")?)?;
    let listener = TcpListener::bind(words.next().as_deref().unwrap_or("127.0.0.1:8080")).await?;
    let (runs, driven) = (project.own_runs()?.list()?, Mutex::default());
    let server = Arc::new(Server { project, driven });
    for run in runs.iter().filter(|run| run.status == RunStatus::Interrupted) {
        if let Err(Refusal(_, error)) = server.resume(run.run_id.as_str()).await {
            writeln!(std::io::stderr(), "{} is not resumed: {error}", run.run_id)?;
        }
    }
    let router = Router::new()
        .route("/agents/{name}/runs", post(start))
        .route("/runs", get(list))
        .route("/runs/{run}/events", get(events))
        .route("/runs/{run}/questions/{id}", post(answer))
        .route("/questions", get(questions))
        .with_state(server);
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    Ok(axum::serve(listener, router).await?)
}

impl Server {
    async fn resume(self: &Arc<Self>, run: &str) -> Result<String, Refusal> {
        let view = self.project.run(run)?;
        let definition = self.project.definition_of(&view, None)?;
        let context = self.project.context_of(&view)?.build()?;
        let resume = |context| Runner::resume(definition, context, view.dir());
        self.drive(context, resume).await
    }

    /// Drives a run in a task of its own; returns its id once it has begun.
    async fn drive(
        self: &Arc<Self>,
        mut context: RunContext,
        runner: impl FnOnce(RunContext) -> Runner<Definition>,
    ) -> Result<String, Refusal> {
        let mut events = context.subscribe(1024);
        let running = tokio::spawn(runner(context).run());
        let Some(Delivery::Event(first)) = events.next().await else {
            return Err(match running.await {
                Ok(Err(Error::Run(error))) => error.into(),
                ended => Refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    json!({ "message": format!("{ended:?}") }),
                ),
            });
        };
        let run = first.run.run_id.to_string();
        let (sender, lines) = watch::channel(vec![described(&first)]);
        self.driven.lock().insert(run.clone(), lines);
        let (server, id) = (Arc::clone(self), run.clone());
        tokio::spawn(async move {
            while let Some(delivery) = events.next().await {
                if let Delivery::Event(event) = delivery {
                    sender.send_modify(|lines| lines.push(described(&event)));
                }
            }
            // The last line follows the seal, so that its reader finds the run as it ended.
            let _ = running.await;
            server.driven.lock().remove(&id);
            sender.send_modify(|lines| lines.push(server.status(&id)));
        });
        Ok(run)
    }

    fn status(&self, run: &str) -> Value {
        match self.project.run(run) {
            Ok(view) => json!({ "event": "status", "status": view.status, "error": view.error }),
            Err(error) => json!({ "event": "status", "error": error.to_info() }),
        }
    }
}

fn described(event: &Event) -> Value {
    let text = match &event.body {
        EventBody::TextStreamed(streamed) => Some(&streamed.text),
        _ => None,
    };
    json!({ "event": event.event_type().as_str(), "at": event.at, "path": event.path(), "text": text })
}

async fn start(server: Shared, Path(name): Path<String>, Json(given): Json<Map<String, Value>>) -> Answered {
    let agent = server.project.agent(&name)?;
    let mut context = server.project.context_for(&agent)?;
    for (name, value) in given {
        context = context.variable(name, value);
    }
    let runner = |context| Runner::new(agent.definition, context);
    let run = server.drive(context.build()?, runner).await?;
    Ok((StatusCode::CREATED, Json(json!({ "run": run }))))
}

async fn list(server: Shared) -> Answered {
    let runs = server.project.own_runs()?.list()?;
    let listed = runs
        .iter()
        .map(|run| json!({ "run": run.run_id, "status": run.status }));
    Ok((StatusCode::OK, Json(listed.collect())))
}

async fn questions(server: Shared) -> Answered {
    let mut found = Vec::new();
    let runs = server.project.own_runs()?.list()?;
    for run in runs.iter().filter(|run| run.open_questions > 0) {
        let view = server.project.view(run)?;
        for open in view.open_questions() {
            found.push(json!({ "run": run.run_id, "question": view.question(&open.id)? }));
        }
    }
    Ok((StatusCode::OK, Json(found.into())))
}

async fn answer(
    server: Shared,
    Path((run, id)): Path<(String, String)>,
    Json(value): Json<Value>,
) -> Answered {
    let (view, source) = (server.project.run(&run)?, "the web server".to_owned());
    let is_first = view.answer(
        Some(&id),
        Answer::Given { source, value },
        server.project.node_registry(),
    )?;
    // Also after a second answer: the process that wrote the first may have ended before it resumed the run.
    if view.status == RunStatus::Waiting {
        server.resume(&run).await?;
    }
    let status = if is_first {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CONFLICT
    };
    Ok((status, Json(json!({ "run": run, "is_first": is_first }))))
}

async fn events(server: Shared, Path(run): Path<String>) -> Result<Sse<impl Stream<Item = Line>>, Refusal> {
    server.project.run(&run)?;
    let driven = server.driven.lock().get(&run).cloned();
    let lines = driven.unwrap_or_else(|| watch::channel(vec![server.status(&run)]).1);
    Ok(Sse::new(stream::unfold(
        (lines, 0),
        |(mut lines, number)| async move {
            loop {
                let line = lines.borrow_and_update().get(number).cloned();
                if let Some(line) = line {
                    let event = sse::Event::default().event(line["event"].as_str().unwrap_or_default());
                    return Some((Ok(event.data(line.to_string())), (lines, number + 1)));
                }
                lines.changed().await.ok()?;
            }
        },
    )))
}

/// A refused request: its status, and the error as JSON.
struct Refusal(StatusCode, Value);

impl<E: Into<ProjectError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        let status = match error.code() {
            "unknown_agent" | "agent_name" | "unknown_run" => StatusCode::NOT_FOUND,
            "unknown_question" | "no_question" | "lease_held" => StatusCode::CONFLICT,
            "invalid_input" | "missing_variable" => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(
            status,
            json!({ "code": error.code(), "message": error.to_string() }),
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
