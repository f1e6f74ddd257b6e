//! Agents over HTTP: `cargo run -p webserver -- PROJECT [ADDRESS]`; the README lists the requests. The server keeps nothing:
//! runs and their questions are in the directories of the runs, so that it is the same after a restart.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response, Sse, sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use dhenara::events::{Delivery, Event, EventBody, Subscription};
use dhenara::{Definition, Error, Project, ProjectError, RunStatus, Runner};
use futures_util::{Stream, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

struct Server {
    project: Project,
    /// The events of the runs that this process drives; of those that ended until the next one begins.
    driven: Mutex<HashMap<String, watch::Receiver<Vec<Value>>>>,
}

type Shared = State<Arc<Server>>;
type Line = Result<sse::Event, Infallible>;
type Or<T> = Result<T, Refusal>;
type Answered = Or<(StatusCode, Json<Value>)>;

/// The largest number of events of a run that wait until the server takes them over.
const QUEUE: usize = 1024;

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
        .with_state(server);
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    Ok(axum::serve(listener, router).await?)
}

impl Server {
    async fn resume(self: &Arc<Self>, run: &str) -> Or<String> {
        let run = self.project.run(run)?;
        let (definition, mut context) = run.resume().prepare()?;
        let events = context.subscribe(QUEUE);
        let runner = Runner::resume(definition, context, run.view().dir());
        self.drive(events, runner).await
    }

    /// Drives a run in a task of its own; returns its id once it has begun.
    async fn drive(self: &Arc<Self>, mut events: Subscription, runner: Runner<Definition>) -> Or<String> {
        let running = tokio::spawn(runner.run());
        let Some(Delivery::Event(first)) = events.next().await else {
            return Err(match running.await {
                Ok(Err(Error::Run(error))) => error.into(),
                ended => Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{ended:?}").into()),
            });
        };
        let run = first.run.run_id.to_string();
        let (sender, lines) = watch::channel(vec![described(&first)]);
        let mut driven = self.driven.lock();
        driven.retain(|_, lines| lines.has_changed().is_ok());
        driven.insert(run.clone(), lines);
        let (server, id) = (Arc::clone(self), run.clone());
        tokio::spawn(async move {
            while let Some(delivery) = events.next().await {
                if let Delivery::Event(event) = delivery {
                    sender.send_modify(|lines| lines.push(described(&event)));
                }
            }
            // The last line follows the seal, so that its reader finds the run as it ended.
            let _ = running.await;
            sender.send_modify(|lines| lines.push(server.status(&id)));
        });
        Ok(run)
    }

    fn status(&self, run: &str) -> Value {
        match self.project.run(run) {
            Ok(run) => json!({ "event": "status", "status": run.view().status, "error": run.view().error }),
            Err(error) => json!({ "event": "status", "error": error.to_info() }),
        }
    }
}

fn described(event: &Event) -> Value {
    let mut line = json!({ "event": event.event_type().as_str(), "at": event.at, "path": event.path() });
    if let EventBody::TextStreamed(streamed) = &event.body {
        line["text"] = streamed.text.as_str().into();
    }
    line
}

async fn start(server: Shared, Path(name): Path<String>, Json(given): Json<Map<String, Value>>) -> Answered {
    let agent = server.project.agent(&name)?;
    let mut context = server.project.context_for(&agent)?;
    for (name, value) in given {
        context = context.variable(name, value);
    }
    let mut context = context.build()?;
    let events = context.subscribe(QUEUE);
    let runner = Runner::new(agent.definition, context);
    let run = server.drive(events, runner).await?;
    Ok((StatusCode::CREATED, Json(json!({ "run": run }))))
}

async fn list(server: Shared) -> Answered {
    let mut runs = Vec::new();
    for run in server.project.own_runs()?.list()? {
        let mut questions = Vec::new();
        if run.open_questions > 0 {
            let view = server.project.view(&run)?;
            let open = view.open_questions().map(|open| view.question(&open.id));
            questions = open.collect::<Result<_, _>>()?;
        }
        runs.push(json!({ "run": run.run_id, "status": run.status, "questions": questions }));
    }
    Ok((StatusCode::OK, Json(runs.into())))
}

async fn answer(
    server: Shared,
    Path((run, id)): Path<(String, String)>,
    Json(value): Json<Value>,
) -> Answered {
    let found = server.project.run(&run)?.source("the web server");
    let is_first = match found.answer(&*id, value) {
        Ok(()) => true,
        Err(ProjectError::AlreadyAnswered { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    // Also after a second answer: the process that wrote the first may have ended before it resumed the run.
    if found.view().status == RunStatus::Waiting {
        server.resume(&run).await?;
    }
    let status = match is_first {
        true => StatusCode::ACCEPTED,
        false => StatusCode::CONFLICT,
    };
    Ok((status, Json(json!({ "run": run, "is_first": is_first }))))
}

async fn events(server: Shared, Path(run): Path<String>) -> Or<Sse<impl Stream<Item = Line>>> {
    let run = server.project.run(&run)?.view().run_id.to_string();
    let driven = server.driven.lock().get(&run).cloned();
    let lines = driven.unwrap_or_else(|| watch::channel(vec![server.status(&run)]).1);
    let next = async |(mut lines, number): (watch::Receiver<Vec<Value>>, usize)| {
        loop {
            let line = lines.borrow_and_update().get(number).cloned();
            if let Some(line) = line {
                let event = sse::Event::default().event(line["event"].as_str().unwrap_or_default());
                return Some((Ok(event.data(line.to_string())), (lines, number + 1)));
            }
            lines.changed().await.ok()?;
        }
    };
    Ok(Sse::new(stream::unfold((lines, 0), next)))
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
        let body = json!({ "code": error.code(), "message": error.to_string() });
        Self(status, body)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
