//! The changes of a run, or of the list of runs, as a stream of server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dad_core::{Digest, RunId, RunStatus};
use dad_run::{IndexedNode, RunIndex, Totals};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::Words;
use super::state::{Shared, Viewer};
use crate::versioned::versioned;

/// The most nodes in one event.
const MOST: usize = 200;
/// The time from one look at a run to the next.
const PAUSE: Duration = Duration::from_millis(250);
/// The same for a run that no process drives: another may resume it.
const PAUSE_AT_REST: Duration = Duration::from_millis(1000);
/// The time from one look at all runs to the next, at least; it is longer where the look takes long.
const PAUSE_OF_RUNS: Duration = Duration::from_millis(1000);
/// The pauses of a look at all runs, by the time that it takes: so it needs a tenth of one processor at most.
const REST: u32 = 9;
/// The time after which a stream without changes shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Followed {
    run: Option<String>,
    /// The number of the last record that the page has.
    after: Option<u64>,
}

pub(super) async fn events(
    State(view): Shared,
    Words(followed): Words<Followed>,
) -> Result<Response, ApiError> {
    let until_the_end = Arc::clone(&view);
    let events: stream::BoxStream<'static, _> = match followed.run {
        Some(run) => Box::pin(of_run(RunStream::new(view, run, followed.after).await?)),
        None => Box::pin(of_runs(RunsStream::new(view).await?)),
    };
    let stopped = async move { until_the_end.stopping.cancelled().await };
    let events = stream::StreamExt::take_until(events, Box::pin(stopped));
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// The stream of a run: each event holds what changed since the one before.
struct RunStream {
    view: Arc<Viewer>,
    run: String,
    /// The place in the journal up to which the page knows it.
    place: u64,
    status: Option<RunStatus>,
    pause: Duration,
}

/// The changes of a run.
#[derive(Serialize)]
struct Changed {
    seq: u64,
    status: RunStatus,
    totals: Totals,
    nodes: Vec<IndexedNode>,
    more: bool,
}

impl RunStream {
    async fn new(view: Arc<Viewer>, run: String, after: Option<u64>) -> Result<Self, ApiError> {
        let begin = move |index: &RunIndex| Ok(index.place_behind(after.unwrap_or(u64::MAX)));
        let place = view.in_run(run.clone(), begin).await?;
        Ok(Self {
            view,
            run,
            place,
            status: None,
            pause: Duration::ZERO,
        })
    }

    /// Waits for the next change.
    async fn next(&mut self) -> Result<Changed, ApiError> {
        loop {
            tokio::time::sleep(self.pause).await;
            let (place, before) = (self.place, self.status);
            let look = move |index: &RunIndex| {
                let status = index.status()?;
                let is_news = index.len_read() != place || before != Some(status);
                // A run that was repaired is another one.
                let known = if index.len_read() < place { 0 } else { place };
                let changed = is_news.then(|| index.changed_since(known, MOST)).transpose()?;
                let changed = changed.map(|changed| Changed {
                    seq: index.seq(),
                    status,
                    totals: index.totals(),
                    nodes: changed.nodes,
                    more: changed.more,
                });
                Ok((index.len_read(), status, changed))
            };
            let (place, status, changed) = self.view.in_run(self.run.clone(), look).await?;
            (self.place, self.status) = (place, Some(status));
            self.pause = match status {
                RunStatus::Running => PAUSE,
                _ => PAUSE_AT_REST,
            };
            if let Some(changed) = changed {
                return Ok(changed);
            }
        }
    }
}

fn of_run(stream: RunStream) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        match stream.next().await {
            Ok(changed) => {
                let event = event("changed", &changed).id(changed.seq.to_string());
                Some((Ok(event), Some(stream)))
            }
            Err(error) => Some((Ok(event("error", &error.document())), None)),
        }
    })
}

/// The stream of all runs: each event holds the rows that changed since the one before.
struct RunsStream {
    view: Arc<Viewer>,
    rows: Rows,
    pause: Duration,
}

/// The rows that the page has, by a digest of each: there may be very many.
type Rows = Arc<BTreeMap<RunId, Digest>>;

/// The changes of the list of runs.
#[derive(Serialize)]
struct ChangedRuns {
    runs: Vec<Value>,
    removed: Vec<RunId>,
}

impl RunsStream {
    async fn new(view: Arc<Viewer>) -> Result<Self, ApiError> {
        let rows = Rows::default();
        let (rows, _) = view.blocking(move |view| changes(view, &rows)).await?;
        Ok(Self {
            view,
            rows,
            pause: PAUSE_OF_RUNS,
        })
    }

    async fn next(&mut self) -> Result<ChangedRuns, ApiError> {
        loop {
            tokio::time::sleep(self.pause).await;
            let begun = Instant::now();
            let before = Arc::clone(&self.rows);
            let look = self.view.blocking(move |view| changes(view, &before));
            let (rows, changed) = look.await?;
            self.rows = rows;
            self.pause = PAUSE_OF_RUNS.max(begun.elapsed() * REST);
            if !changed.runs.is_empty() || !changed.removed.is_empty() {
                return Ok(changed);
            }
        }
    }
}

/// The runs as they are now, and how they differ from what the page knows.
fn changes(view: &Viewer, before: &Rows) -> Result<(Rows, ChangedRuns), ApiError> {
    let listing = view.listing()?;
    let mut rows = BTreeMap::new();
    let mut runs = Vec::new();
    for run in &listing.runs {
        let row = json!(run);
        let digest = Digest::of_json(&row);
        if before.get(&run.run_id) != Some(&digest) {
            runs.push(row);
        }
        rows.insert(run.run_id.clone(), digest);
    }
    let removed = before.keys().filter(|id| !rows.contains_key(*id));
    let removed = removed.cloned().collect();
    Ok((Arc::new(rows), ChangedRuns { runs, removed }))
}

fn of_runs(stream: RunsStream) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        match stream.next().await {
            Ok(changed) => Some((Ok(event("runs", &changed)), Some(stream))),
            Err(error) => Some((Ok(event("error", &error.document())), None)),
        }
    })
}

fn event(name: &str, document: &impl Serialize) -> Event {
    let json = serde_json::to_string(&versioned(document)).unwrap_or_default();
    Event::default().event(name).data(json)
}
