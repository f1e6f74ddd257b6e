//! The tree of a run, a part at a time, and its steps.

use std::collections::VecDeque;

use axum::Json;
use axum::extract::State;
use dad_core::HierarchyPath;
use dad_run::{FindNodes, IndexedNode, NodeRange, PlacedNode, RunIndex, Timeline};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::{RunName, Words};
use super::state::Shared;
use crate::details::{Limits, StepDetails};
use crate::versioned::{Versioned, versioned};

/// The most nodes, or rows, in one answer.
const MOST: usize = 1000;
/// The nodes in one answer, unless the request says it.
const USUAL: usize = 200;
/// The largest loop whose iterations come with it.
const SHORT_LOOP: u32 = 12;
/// The most parts that the children of a node are shown in.
const MOST_RANGES: u32 = 2000;
/// The longest part of a step, in bytes, unless the request says it.
const PART: u64 = 1_000_000;
/// The longest part of a step that a request may ask for, in bytes.
const MOST_PART: u64 = 32_000_000;

type Answer<T> = Result<Json<Versioned<T>>, ApiError>;

/// The error for a path that the run has not come to.
pub(super) fn not_reached(path: &HierarchyPath) -> ApiError {
    ApiError::not_found(format!("the run has not come to `{path}`"))
}

#[derive(Deserialize)]
pub(super) struct ChildrenOf {
    of: Option<HierarchyPath>,
    #[serde(default)]
    from: u32,
    limit: Option<usize>,
    /// The number of nodes up to which those within the children come too.
    #[serde(default)]
    within: usize,
}

#[derive(Serialize)]
pub(super) struct Children {
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<HierarchyPath>,
    from: u32,
    total: u32,
    nodes: Vec<Family>,
}

/// A node with those in it, where they come with it.
#[derive(Serialize)]
struct Family {
    #[serde(flatten)]
    node: IndexedNode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inner: Vec<Family>,
}

pub(super) async fn children(
    State(view): Shared,
    RunName(run): RunName,
    Words(asked): Words<ChildrenOf>,
) -> Answer<Children> {
    view.in_run(run, move |index| {
        let ChildrenOf {
            of,
            from,
            limit,
            within,
        } = asked;
        let total = count_of(index, of.as_ref())?;
        let nodes = index.children(of.as_ref(), from, limit.unwrap_or(USUAL).min(MOST))?;
        let nodes = families(index, nodes, within.min(MOST))?;
        Ok(Json(versioned(Children {
            of,
            from,
            total,
            nodes,
        })))
    })
    .await
}

fn count_of(index: &RunIndex, of: Option<&HierarchyPath>) -> Result<u32, ApiError> {
    let missing = || ApiError::not_found("the run has entered no component yet");
    index
        .count(of)
        .ok_or_else(|| of.map_or_else(missing, not_reached))
}

/// Nodes with those in them, breadth first: whole families, as long as there are so many nodes at most.
fn families(index: &RunIndex, roots: Vec<IndexedNode>, most: usize) -> Result<Vec<Family>, ApiError> {
    let mut nodes: Vec<(IndexedNode, usize)> = roots.into_iter().map(|node| (node, 0)).collect();
    let mut next = 0;
    while next < nodes.len() {
        let node = &nodes[next].0;
        let largest = if node.is_loop { SHORT_LOOP } else { USUAL as u32 };
        let size = node.children as usize;
        if size > 0 && node.children <= largest && nodes.len() + size <= most {
            let path = node.path.clone();
            let inner = index.children(Some(&path), 0, size)?;
            nodes[next].1 = inner.len();
            nodes.extend(inner.into_iter().map(|node| (node, 0)));
        }
        next += 1;
    }
    // The families follow each other in the order of those that they are in, so that the last is complete first.
    let mut complete: VecDeque<Family> = VecDeque::new();
    for (node, size) in nodes.into_iter().rev() {
        let inner = complete.drain(complete.len() - size..).collect();
        complete.push_front(Family { node, inner });
    }
    Ok(complete.into())
}

#[derive(Deserialize)]
pub(super) struct RangesOf {
    of: Option<HierarchyPath>,
    cells: Option<u32>,
    length: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Ranges {
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<HierarchyPath>,
    total: u32,
    length: u32,
    cells: Vec<NodeRange>,
}

pub(super) async fn ranges(
    State(view): Shared,
    RunName(run): RunName,
    Words(asked): Words<RangesOf>,
) -> Answer<Ranges> {
    view.in_run(run, move |index| {
        let total = count_of(index, asked.of.as_ref())?;
        let cells = asked.cells.unwrap_or(USUAL as u32).clamp(1, MOST_RANGES);
        let wanted = asked.length.unwrap_or_else(|| total.div_ceil(cells));
        let length = wanted.max(total.div_ceil(MOST_RANGES)).max(1);
        Ok(Json(versioned(Ranges {
            cells: index.ranges(asked.of.as_ref(), length),
            of: asked.of,
            total,
            length,
        })))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct At {
    path: HierarchyPath,
    /// The longest part of a step, in bytes.
    limit: Option<u64>,
}

pub(super) async fn node(
    State(view): Shared,
    RunName(run): RunName,
    Words(at): Words<At>,
) -> Answer<PlacedNode> {
    view.in_run(run, move |index| {
        let found = index.node(&at.path)?;
        Ok(Json(versioned(found.ok_or_else(|| not_reached(&at.path))?)))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct Looked {
    text: Option<String>,
    status: Option<String>,
    after: Option<HierarchyPath>,
    before: Option<HierarchyPath>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Found {
    found: Vec<IndexedNode>,
    /// Whether others may fit.
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<HierarchyPath>,
}

pub(super) async fn find(
    State(view): Shared,
    RunName(run): RunName,
    Words(looked): Words<Looked>,
) -> Answer<Found> {
    let failed = match looked.status.as_deref() {
        None | Some("") => false,
        Some("failed") => true,
        Some(other) => {
            let message = format!("`status` is `{other}`; only `failed` can be looked for");
            return Err(ApiError::bad_request(message));
        }
    };
    view.in_run(run, move |index| {
        if let Some(start) = looked.before.as_ref().or(looked.after.as_ref()) {
            count_of(index, Some(start))?;
        }
        let wanted = FindNodes::default()
            .text(looked.text.filter(|text| !text.is_empty()))
            .failed(failed)
            .after(looked.after)
            .before(looked.before)
            .most(looked.limit.unwrap_or(100).clamp(1, MOST));
        let found = index.find(&wanted)?;
        Ok(Json(versioned(Found {
            found: found.nodes,
            more: found.next.is_some(),
            next: found.next,
        })))
    })
    .await
}

#[derive(Serialize)]
pub(super) struct Step {
    #[serde(flatten)]
    details: StepDetails,
    /// The fields of `dhenara runs show --json`; absent of an iteration or branch, of which no record tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Value>,
}

pub(super) async fn step(State(view): Shared, RunName(run): RunName, Words(at): Words<At>) -> Answer<Step> {
    let path = at.path.clone();
    let found = view.in_run(run, move |index| Ok(index.step(&at.path)?)).await?;
    let found = found.ok_or_else(|| not_reached(&path))?;
    let part = at.limit.unwrap_or(PART).min(MOST_PART);
    view.blocking(move |view| {
        let entry = found.view.entry(&path).map(|entry| json!(entry));
        let run = view.project.run_of(found.view);
        // A browser asks for the files that a person opens.
        let limits = Limits { part, file: 0 };
        let details = StepDetails::of(&run, &path, found.attempts, limits);
        Ok(Json(versioned(Step { details, entry })))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct Within {
    of: Option<HierarchyPath>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Rows {
    #[serde(flatten)]
    timeline: Timeline,
    /// Whether rows are left out at the end.
    more: bool,
}

pub(super) async fn timeline(
    State(view): Shared,
    RunName(run): RunName,
    Words(within): Words<Within>,
) -> Answer<Rows> {
    let of = within.of.clone();
    let found = view.in_run(run, move |index| {
        let count = count_of(index, of.as_ref())?;
        let node = of.as_ref().map(|of| index.node(of)).transpose()?.flatten();
        if let Some(node) = node.filter(|node| node.node.is_loop && count as usize > MOST) {
            let message = format!("`{}` has {count} iterations: too many rows", node.node.path);
            return Err(ApiError::too_long(message).hint("ask for the timeline of one iteration"));
        }
        Ok((index.view()?, index.seq()))
    });
    let (run, seq) = found.await?;
    view.blocking(move |view| {
        let mut timeline = view.timelines.read(&run, seq, within.of)?;
        let limit = within.limit.unwrap_or(MOST).min(MOST);
        let more = timeline.rows.len() > limit;
        timeline.rows.truncate(limit);
        Ok(Json(versioned(Rows { timeline, more })))
    })
    .await
}
