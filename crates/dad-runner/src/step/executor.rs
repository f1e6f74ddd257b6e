//! The executor of a run: its session, its nodes, and its place in the order of a re-run. The floors above add the methods that
//! execute steps and components.

use std::sync::Arc;

use dad_core::HierarchyPath;
use dad_run::driver::RunDriver;
use dad_run::reuse::RunOrder;
use dad_run::{RerunPlan, RunHandle, RunView};
use parking_lot::Mutex;

use crate::node::registry::NodeRegistry;
use crate::session::Session;
use crate::step::effects::Effects;

/// Executes the definition of one run.
pub(crate) struct RunExecutor {
    pub(crate) session: Arc<Session>,
    pub(crate) registry: Arc<NodeRegistry>,
    pub(crate) order: RunOrder,
    /// The first step with an effect that this run has executed.
    pub(crate) effects: Effects,
    /// The components whose time ran out, with the reason given for the steps in them that are stopped.
    pub(super) out_of_time: Mutex<Vec<(HierarchyPath, String)>>,
}

impl RunExecutor {
    pub(crate) fn new(session: Session, registry: NodeRegistry) -> Self {
        let driver = &session.driver;
        Self {
            order: RunOrder::new(driver.plan().and_then(RerunPlan::entry)),
            effects: Effects::after(driver.history().and_then(RunView::first_effect)),
            out_of_time: Mutex::default(),
            registry: Arc::new(registry),
            session: Arc::new(session),
        }
    }

    pub(crate) fn driver(&self) -> &RunDriver {
        &self.session.driver
    }

    pub(crate) fn run(&self) -> &RunHandle {
        &self.session.run
    }

    /// The state of this run before it was resumed.
    pub(crate) fn history(&self) -> Option<&RunView> {
        self.driver().history()
    }
}
