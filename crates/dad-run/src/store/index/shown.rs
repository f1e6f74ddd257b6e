//! Nodes of an index as readers see them: what the index holds, and what the journal says.

use dad_core::{ErrorInfo, HierarchyPath, NodeType, StatusCounts, StepStatus, Timestamp, Usage};
use dad_events::QuestionKind;
use serde::Serialize;

use super::RunIndex;
use super::lines::PlacedRecords;
use super::nodes::{Kind, Node, NodeId, severity};
use crate::error::RunError;
use crate::journal::record::{Record, RecordBody};
use crate::journal::state::between;
use crate::journal::step_committed::StepCommitted;
use crate::journal::text::{RecordText, RecordedError};

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeKind {
    /// An agent, flow, conditional, loop or group of parallel elements.
    Component,
    /// One pass of a loop.
    Iteration,
    /// A branch of a conditional.
    Branch,
    /// A visit to a node of the definition.
    Step,
}

/// A component, iteration, branch or step of a [`RunIndex`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IndexedNode {
    /// Its path.
    pub path: HierarchyPath,
    /// The last segment of its path.
    pub name: String,
    /// Its kind.
    pub kind: NodeKind,
    /// Of a step: the type of its node, if the definition can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<NodeType>,
    /// Its status; of an iteration or branch that of its steps.
    pub status: StepStatus,
    /// The summary of a step that ended, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The kind of answer that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks_for: Option<QuestionKind>,
    /// Why it ended otherwise than well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// The attempt of a step, from 1; 0 before it began, and of everything else.
    pub attempt: u32,
    /// When it was entered; of a step that executed when its last attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time that it took in milliseconds, once it ended; of a step that of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its consumption in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Its price in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The number of its steps by status, of a component that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<StatusCounts>,
    /// Whether the result of the step was taken from another run.
    pub reused: bool,
    /// The number of nodes directly in it.
    pub children: u32,
    /// The number of steps in it, at any depth, that failed.
    pub failed: u32,
    /// Whether its children are iterations.
    pub is_loop: bool,
    /// Its place among the nodes around it, from 0.
    pub index: u32,
}

/// A node and the nodes around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlacedNode {
    /// The node.
    pub node: IndexedNode,
    /// The nodes around it, from the root component on.
    pub around: Vec<IndexedNode>,
    /// Its place among its siblings, from 0.
    pub index: u32,
}

/// Neighbours among the children of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeRange {
    /// The place of the first of them.
    pub from: u32,
    /// Their number.
    pub count: u32,
    /// The status among them that counts most: failed, if a step in them did, then what waits or executes.
    pub status: StepStatus,
    /// The number of steps in them that failed.
    pub failed: u32,
    /// The first of them that has that status.
    pub first: HierarchyPath,
}

impl RunIndex {
    /// The nodes directly in another, or the root component, from a place on.
    ///
    /// # Errors
    /// If the run has not come to the node, or a record cannot be read.
    pub fn children(
        &self,
        of: Option<&HierarchyPath>,
        from: u32,
        most: usize,
    ) -> Result<Vec<IndexedNode>, RunError> {
        let Some(id) = self.id_of(of) else {
            return Ok(Vec::new());
        };
        self.shown(self.nodes.children_from(id, from).take(most))
    }

    /// The number of nodes directly in another; `None` if the run has not come to it.
    #[must_use]
    pub fn count(&self, of: Option<&HierarchyPath>) -> Option<u32> {
        Some(self.nodes.get(self.id_of(of)?).children)
    }

    /// The nodes directly in another in parts of a length, each as one.
    #[must_use]
    pub fn ranges(&self, of: Option<&HierarchyPath>, length: u32) -> Vec<NodeRange> {
        let Some(id) = self.id_of(of) else {
            return Vec::new();
        };
        let mut ranges: Vec<(NodeRange, u8)> = Vec::new();
        for child in self.nodes.children(id) {
            let node = self.nodes.get(child);
            let failed = node.failed + u32::from(node.is_failed_step());
            // A part in which a step failed shows it, also where the run continued behind that.
            let status = if failed > 0 {
                StepStatus::Failed
            } else {
                self.status_of(child)
            };
            let rank = severity(status);
            match ranges.last_mut().filter(|(range, _)| range.count < length) {
                Some((range, worst)) => {
                    range.count += 1;
                    range.failed += failed;
                    if rank > *worst {
                        (range.status, *worst) = (status, rank);
                        range.first = self.nodes.path(child).unwrap_or_else(|| range.first.clone());
                    }
                }
                None => {
                    if let Some(first) = self.nodes.path(child) {
                        let range = NodeRange {
                            from: node.index,
                            count: 1,
                            status,
                            failed,
                            first,
                        };
                        ranges.push((range, rank));
                    }
                }
            }
        }
        ranges.into_iter().map(|(range, _)| range).collect()
    }

    /// A node and those around it; `None` if the run has not come to it.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn node(&self, path: &HierarchyPath) -> Result<Option<PlacedNode>, RunError> {
        let Some(id) = self.nodes.find(path) else {
            return Ok(None);
        };
        let around = std::iter::successors(self.nodes.parent(id), |id| self.nodes.parent(*id));
        let mut ids: Vec<NodeId> = around.collect();
        ids.reverse();
        ids.push(id);
        let mut around = self.shown(ids)?;
        Ok(around.pop().map(|node| PlacedNode {
            index: node.index,
            node,
            around,
        }))
    }

    /// Nodes with what the journal says of them.
    pub(super) fn shown(&self, ids: impl IntoIterator<Item = NodeId>) -> Result<Vec<IndexedNode>, RunError> {
        let mut records = PlacedRecords::open(&self.dir)?;
        let shown = ids.into_iter().map(|id| self.shown_node(id, &mut records));
        shown.filter_map(Result::transpose).collect()
    }

    fn shown_node(&self, id: NodeId, records: &mut PlacedRecords) -> Result<Option<IndexedNode>, RunError> {
        let node = self.nodes.get(id);
        let Some(path) = self.nodes.path(id) else {
            return Ok(None);
        };
        let is_step = node.kind == Kind::Step;
        let node_type = is_step.then(|| self.types.types.get(&path.without_iterations()));
        let shown = IndexedNode {
            name: self.nodes.name(id),
            kind: kind(node.kind),
            node_type: node_type.flatten().cloned(),
            status: self.status_of(id),
            summary: None,
            asks_for: self.asks_for(&path),
            error: None,
            attempt: node.attempt.into(),
            started_at: None,
            duration_ms: None,
            usage: None,
            cost: None,
            counts: None,
            reused: node.is_taken,
            children: node.children,
            failed: node.failed,
            is_loop: node.kind == Kind::Loop,
            index: node.index,
            path,
        };
        recorded(shown, node, records).map(Some)
    }

    /// The status of a node as it is shown: the last iteration of a loop that goes on goes on too, also between its steps.
    fn status_of(&self, id: NodeId) -> StepStatus {
        let node = self.nodes.get(id);
        let around = self.nodes.get(node.parent);
        let may_continue = node.kind == Kind::Iteration
            && around.status == StepStatus::Running
            && self.nodes.last_child(node.parent) == Some(id);
        match node.status {
            StepStatus::Completed if may_continue => StepStatus::Running,
            status => status,
        }
    }
}

const fn kind(kind: Kind) -> NodeKind {
    match kind {
        Kind::Component | Kind::Loop => NodeKind::Component,
        Kind::Iteration => NodeKind::Iteration,
        Kind::Branch => NodeKind::Branch,
        Kind::Step => NodeKind::Step,
    }
}

/// A node with what its records say.
fn recorded(
    mut shown: IndexedNode,
    node: &Node,
    records: &mut PlacedRecords,
) -> Result<IndexedNode, RunError> {
    let Record { at, body, .. } = records.at(node.recorded)?;
    if node.kind != Kind::Step {
        let begun = match node.begun == node.recorded {
            true => at,
            false => records.at(node.begun)?.at,
        };
        shown.started_at = Some(begun);
        if shown.status.is_terminal() {
            shown.duration_ms = u64::try_from(between(begun, at).as_millis()).ok();
        }
        if let (Kind::Component | Kind::Loop, RecordBody::ComponentCompleted { totals, error, .. }) =
            (node.kind, body)
        {
            consumed(&mut shown, totals.usage);
            shown.counts = Some(totals.counts);
            shown.error = error.map(RecordedError::into_inner);
        }
        return Ok(shown);
    }
    match body {
        RecordBody::StepCommitted(step) => ended(&mut shown, at, *step),
        RecordBody::AttemptFailed { error, .. } => {
            shown.started_at = Some(at);
            shown.error = Some(error.into_inner());
        }
        _ => shown.started_at = Some(at),
    }
    Ok(shown)
}

fn ended(shown: &mut IndexedNode, at: Timestamp, step: StepCommitted) {
    consumed(shown, step.full_usage());
    if !step.is_taken() {
        shown.duration_ms = Some(step.duration_ms);
        let took = std::time::Duration::from_millis(step.duration_ms);
        shown.started_at = at.checked_sub(took).ok();
    }
    shown.summary = step.summary.map(RecordText::into_inner);
    shown.error = step.error.map(RecordedError::into_inner);
}

fn consumed(shown: &mut IndexedNode, usage: Usage) {
    shown.cost = usage.cost;
    shown.usage = Some(usage).filter(|usage| !usage.is_zero());
}
