//! Finding nodes of an index in the order of the tree.

use std::collections::VecDeque;

use dad_core::HierarchyPath;
use derive_setters::Setters;

use super::lines::PlacedRecords;
use super::nodes::{Kind, NodeId, RUN};
use super::{IndexedNode, RunIndex};
use crate::error::RunError;
use crate::journal::record::RecordBody;
use crate::journal::text::RecordText;

/// The nodes that are wanted; by default all of them, from the beginning.
#[derive(Clone, Debug, Setters)]
#[setters(into)]
#[non_exhaustive]
pub struct FindNodes {
    /// A text in their paths or summaries, in letters of either case.
    pub text: Option<String>,
    /// Whether only steps are wanted that failed.
    pub failed: bool,
    /// The node behind which they lie.
    pub after: Option<HierarchyPath>,
    /// The node before which they lie: of more than are wanted, the nearest.
    pub before: Option<HierarchyPath>,
    /// The largest number of them.
    pub most: usize,
    /// The largest number of records that are read to find them.
    pub most_read: usize,
}

impl Default for FindNodes {
    fn default() -> Self {
        Self {
            text: None,
            failed: false,
            after: None,
            before: None,
            most: 100,
            most_read: 20_000,
        }
    }
}

/// The nodes that were found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoundNodes {
    /// The nodes, in the order of the tree.
    pub nodes: Vec<IndexedNode>,
    /// The last node that was looked at, if others may fit behind it, or before it.
    pub next: Option<HierarchyPath>,
}

impl RunIndex {
    /// Finds nodes in the order of the tree.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn find(&self, wanted: &FindNodes) -> Result<FoundNodes, RunError> {
        let backwards = wanted.before.is_some();
        let start = wanted.before.as_ref().or(wanted.after.as_ref());
        let step = |id| match backwards {
            true => self.previous(id, wanted.failed),
            false => self.next(id, wanted.failed),
        };
        let text = wanted.text.as_deref().map(str::to_lowercase);
        let mut records = PlacedRecords::open(&self.dir)?;
        let (mut found, mut read) = (VecDeque::new(), 0);
        let mut at = self.id_of(start).and_then(step);
        while let Some(id) = at {
            if self.fits(id, wanted.failed, text.as_deref(), &mut records, &mut read)? {
                match backwards {
                    true => found.push_front(id),
                    false => found.push_back(id),
                }
            }
            at = step(id);
            if at.is_some() && (found.len() >= wanted.most || read >= wanted.most_read) {
                return Ok(FoundNodes {
                    nodes: self.shown(found)?,
                    next: self.nodes.path(id),
                });
            }
        }
        Ok(FoundNodes {
            nodes: self.shown(found)?,
            next: None,
        })
    }

    fn fits(
        &self,
        id: NodeId,
        failed: bool,
        text: Option<&str>,
        records: &mut PlacedRecords,
        read: &mut usize,
    ) -> Result<bool, RunError> {
        let node = self.nodes.get(id);
        if failed && !node.is_failed_step() {
            return Ok(false);
        }
        let Some(text) = text else {
            return Ok(true);
        };
        *read += 1;
        let path = self.nodes.path(id);
        if path.is_some_and(|path| path.as_str().to_lowercase().contains(text)) {
            return Ok(true);
        }
        if node.kind != Kind::Step || !node.status.is_terminal() {
            return Ok(false);
        }
        let RecordBody::StepCommitted(step) = records.at(node.recorded)?.body else {
            return Ok(false);
        };
        let summary = step.summary.map(RecordText::into_inner);
        Ok(summary.is_some_and(|summary| summary.to_lowercase().contains(text)))
    }

    /// Whether a search goes into a node.
    fn is_entered(&self, id: NodeId, failed: bool) -> bool {
        id == RUN || !failed || self.nodes.get(id).failed > 0
    }

    /// The node behind another: its first child, else the next one beside it, else beside one around it.
    fn next(&self, id: NodeId, failed: bool) -> Option<NodeId> {
        if self.is_entered(id, failed)
            && let Some(child) = self.nodes.first_child(id)
        {
            return Some(child);
        }
        let mut around = Some(id);
        while let Some(id) = around {
            if let Some(next) = self.nodes.next_sibling(id) {
                return Some(next);
            }
            around = self.nodes.parent(id);
        }
        None
    }

    /// The node before another: the last one in that before it, else the one around it.
    fn previous(&self, id: NodeId, failed: bool) -> Option<NodeId> {
        let Some(mut last) = self.nodes.previous_sibling(id) else {
            return self.nodes.parent(id);
        };
        while self.is_entered(last, failed)
            && let Some(child) = self.nodes.last_child(last)
        {
            last = child;
        }
        Some(last)
    }
}
