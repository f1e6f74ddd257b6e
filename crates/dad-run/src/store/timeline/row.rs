//! The rows of a timeline, and those of them that decided when the run ended.

use dad_core::{ComponentKind, HierarchyPath, StepStatus, Timestamp, Usage};
use serde::Serialize;

use super::clock::{Clock, Stretch, TimeSpent};
use super::iterations::{Iterations, LoopSummary};

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowKind {
    /// An iteration of a loop.
    Iteration,
    /// A step.
    Step,
    /// A component; its kind serialises as the row's.
    #[serde(untagged)]
    Component(ComponentKind),
}

/// A component, iteration or step on a timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TimelineRow {
    /// Its place.
    pub path: HierarchyPath,
    /// Its path within the row around it.
    pub name: String,
    /// The number of rows around it.
    pub depth: u32,
    /// The kind it is of.
    pub kind: RowKind,
    /// Its status; running if it began and no record ends it.
    pub status: StepStatus,
    /// Whether its result was taken from another run.
    pub is_reused: bool,
    /// Whether it is on the chain that decided when the row around it ended.
    pub is_critical: bool,
    /// When it began, or asked.
    pub started_at: Timestamp,
    /// When it ended; `None` if no record ends it.
    pub ended_at: Option<Timestamp>,
    /// Its time from the beginning to the end, or as far as the timeline goes.
    pub time: TimeSpent,
    /// Its time in order, joined where it changes more often than a screen could show.
    pub stretches: Vec<Stretch>,
    /// Of a step: the number of its last attempt; 0 if it was not begun.
    pub attempts: u32,
    /// Its consumption in this run, failed attempts included.
    pub usage: Usage,
    /// Of a loop: its iterations taken together.
    pub iterations: Option<LoopSummary>,
}

/// A row while the journal is read.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) path: HierarchyPath,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    pub(super) kind: RowKind,
    pub(super) status: StepStatus,
    pub(super) is_reused: bool,
    pub(super) is_critical: bool,
    pub(super) attempts: u32,
    pub(super) usage: Usage,
    pub(super) clock: Clock,
    pub(super) iterations: Option<Iterations>,
}

impl Row {
    pub(super) fn new(path: HierarchyPath, parent: Option<usize>, kind: RowKind) -> Self {
        Self {
            path,
            parent,
            kind,
            children: Vec::new(),
            status: StepStatus::Running,
            is_reused: false,
            is_critical: false,
            attempts: 0,
            usage: Usage::default(),
            clock: Clock::default(),
            iterations: None,
        }
    }

    fn shown(self, depth: u32, around: Option<&HierarchyPath>) -> TimelineRow {
        let path = self.path.as_str();
        let within = around.and_then(|around| path.strip_prefix(around.as_str())?.strip_prefix('.'));
        TimelineRow {
            name: within.unwrap_or(path).to_owned(),
            depth,
            kind: self.kind,
            status: self.status,
            is_reused: self.is_reused,
            is_critical: self.is_critical,
            started_at: self.clock.started_at.unwrap_or(Timestamp::UNIX_EPOCH),
            ended_at: self.clock.ended_at,
            time: self.clock.spent,
            stretches: self.clock.stretches,
            attempts: self.attempts,
            usage: self.usage,
            iterations: self.iterations.map(Iterations::summary),
            path: self.path,
        }
    }
}

/// Marks the rows that decided when the rows around them ended: the last one to end, the last of those that had ended before it
/// began, and so on. What follows each other is on that chain, and of what ran at the same time what took the longest.
pub(super) fn mark_critical(rows: &mut [Row]) {
    let roots = (0..rows.len()).filter(|index| rows[*index].parent.is_none());
    let mut open: Vec<usize> = roots.collect();
    while let Some(index) = open.pop() {
        rows[index].is_critical = true;
        // What has not ended lasts until the end of the timeline.
        let end = |child: &usize| rows[*child].clock.ended_at.unwrap_or(Timestamp::MAX);
        let mut children = rows[index].children.clone();
        children.sort_by_key(|child| std::cmp::Reverse((end(child), *child)));
        let mut before = Timestamp::MAX;
        for child in children {
            if end(&child) <= before {
                before = rows[child].clock.started_at.unwrap_or(before);
                open.push(child);
            }
        }
    }
}

/// The rows as a tree, in the order in which they began.
pub(super) fn in_order(rows: Vec<Row>) -> Vec<TimelineRow> {
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    let is_root = |row: &Option<Row>| row.as_ref().is_some_and(|row| row.parent.is_none());
    let roots = (0..rows.len()).rev().filter(|index| is_root(&rows[*index]));
    let mut open: Vec<(usize, u32, Option<HierarchyPath>)> = roots.map(|root| (root, 0, None)).collect();
    let mut shown = Vec::with_capacity(rows.len());
    while let Some((index, depth, around)) = open.pop() {
        if let Some(row) = rows[index].take() {
            let path = Some(row.path.clone());
            let children = row.children.iter().rev();
            open.extend(children.map(|child| (*child, depth + 1, path.clone())));
            shown.push(row.shown(depth, around.as_ref()));
        }
    }
    shown
}
