//! Events that a listener missed, rebuilt from the journal.

use std::sync::Arc;

use dad_core::{HierarchyPath, NodeType};
use dad_events::Event;

use crate::error::RunError;
use crate::files::RunFiles;
use crate::journal::reader::read_journal;
use crate::live::handle::RunHandle;
use crate::rerun::plan::RerunPlan;
use crate::store::event_replay::{EventReplay, Replayed, may_retry};

impl RunHandle {
    /// The events whose journal records come after number `seq`, in the journal's order: those that a slow listener
    /// missed. Errors in them are as short as the journal has them. Events without a record are not among them.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events_since(&self, seq: u64) -> Result<Vec<Event>, RunError> {
        let mut replay = EventReplay::default();
        let mut events = Vec::new();
        let mut failed = None;
        read_journal(&self.inner().dir, None, |record| {
            let (number, at) = (record.seq, record.at);
            match replay.event(record, self) {
                Ok(Some(body)) if number > seq => {
                    events.push(Event::new(Some(number), at, Arc::clone(self.identity()), body));
                }
                Ok(_) => {}
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
            Ok(())
        })?;
        failed.map_or(Ok(events), Err)
    }
}

impl Replayed for RunHandle {
    fn files(&self) -> &dyn RunFiles {
        &self.inner().dir
    }

    fn steps(&self) -> usize {
        self.program().steps().count()
    }

    fn plan(&self) -> Option<String> {
        self.inner().plan.as_ref().map(RerunPlan::summary)
    }

    fn node_type(&self, path: &HierarchyPath) -> NodeType {
        let node = self.program().step(path);
        node.map_or_else(|| NodeType::new(""), |node| node.node_type.clone())
    }

    fn may_retry(&self, path: &HierarchyPath) -> bool {
        let node = self.program().step(path);
        node.is_some_and(|node| may_retry(node.options.retry.as_ref()))
    }
}
