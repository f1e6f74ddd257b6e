//! An element of a definition at its place in the run.

use std::sync::Arc;

use dad_core::{HierarchyPath, StepStatus, Timestamp};
use dad_definition::NodeElement;
use dad_run::RunHandle;
use dad_run::driver::{EnteredComponent, RunDriver};
use dad_run::reuse::EntryRelation;
use tokio_util::sync::CancellationToken;

use crate::ask::asker::{Asker, AskingPlace};
use crate::concurrency::room::{Branch, Room};
use crate::render::scope::Frame;
use crate::session::Session;
use crate::step::effects::Effects;
use crate::step::executor::RunExecutor;
use crate::step::stop::{Phase, absorbs};

/// The surroundings of elements in the run.
#[derive(Clone, Copy)]
pub(crate) struct ElementContext<'a> {
    /// Variables.
    pub(crate) frame: &'a Arc<Frame>,
    /// The component, iteration or branch.
    pub(crate) entered: &'a EnteredComponent,
    /// Fires when no further element begins here, and those that execute are to stop.
    pub(crate) stop: &'a CancellationToken,
    pub(crate) phase: Phase<'a>,
    /// The place relative to the entry point of a re-run.
    pub(crate) relation: EntryRelation,
    /// The steps with effects before this place.
    pub(crate) effects: &'a Effects,
    /// The branch of the concurrent component around it, if there is one.
    pub(crate) branch: Option<&'a Arc<Branch>>,
}

/// A step in the pipeline.
pub(crate) struct Step<'a> {
    pub(crate) executor: &'a Arc<RunExecutor>,
    pub(crate) node: &'a NodeElement,
    pub(crate) path: HierarchyPath,
    pub(crate) context: ElementContext<'a>,
    /// Fires when the step is to stop.
    pub(crate) stop: CancellationToken,
    pub(crate) room: Arc<Room>,
    pub(crate) created_at: Timestamp,
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        executor: &'a Arc<RunExecutor>,
        node: &'a NodeElement,
        path: HierarchyPath,
        context: ElementContext<'a>,
    ) -> Self {
        Self {
            stop: context.stop.child_token(),
            room: Room::new(context.branch, &executor.session.descriptors),
            created_at: executor.run().now(),
            executor,
            node,
            path,
            context,
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.executor.session
    }

    pub(crate) fn driver(&self) -> &RunDriver {
        self.executor.driver()
    }

    pub(crate) fn run(&self) -> &RunHandle {
        self.executor.run()
    }

    pub(crate) fn asking_place(&self) -> AskingPlace<'_> {
        AskingPlace {
            asker: Asker::Node(self.node),
            path: &self.path,
            around: Some(self.context.frame),
            relation: self.context.relation,
        }
    }

    /// Whether the component around it continues although the step ended with this status.
    pub(crate) fn absorbs(&self, status: StepStatus) -> bool {
        absorbs(self.node.options.on_error, status, self.context.stop)
    }
}
