//! Outcomes that this run recorded before it was resumed, and that stand. Nothing under `finally` is restored: it executes again,
//! because the component that it follows is entered again.

use dad_core::{HierarchyPath, StepStatus};
use dad_definition::{Component, NodeElement, ProgramElement};
use dad_run::reuse::is_result;
use dad_run::{RunView, ViewEntry};

use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::stop::Phase;

impl RunExecutor {
    /// The outcome of a step that was committed.
    pub(crate) fn restored_step(
        &self,
        node: &NodeElement,
        path: &HierarchyPath,
        phase: Phase<'_>,
    ) -> Option<ElementOutcome> {
        let step = self.restorable(phase)?.step(path)?;
        is_result(step, node.options.on_error).then(|| ElementOutcome::restored(step.totals()))
    }

    /// The outcome of a component that ended.
    pub(crate) fn restored_component(
        &self,
        component: &Component,
        path: &HierarchyPath,
        phase: Phase<'_>,
    ) -> Option<ElementOutcome> {
        let ViewEntry::Component {
            status,
            totals: Some(totals),
            absorbed,
            ..
        } = self.restorable(phase)?.entry(path)?
        else {
            return None;
        };
        let stands =
            *absorbed || *status == StepStatus::Completed || component.options.on_error.absorbs(*status);
        stands.then(|| ElementOutcome::restored(*totals))
    }

    /// The outcome of an iteration or branch of which every element stands, so that not even its directory is opened.
    pub(crate) fn restored_body(
        &self,
        body: &[ProgramElement],
        path: &HierarchyPath,
        phase: Phase<'_>,
    ) -> Option<ElementOutcome> {
        self.history()?;
        let mut outcome = ElementOutcome::empty();
        for element in body {
            let path = path.child(element.id());
            outcome.add(match element {
                ProgramElement::Node(node) => self.restored_step(node, &path, phase)?,
                ProgramElement::Component(component) => self.restored_component(component, &path, phase)?,
                _ => return None,
            });
        }
        Some(outcome)
    }

    fn restorable(&self, phase: Phase<'_>) -> Option<&RunView> {
        self.history().filter(|_| phase == Phase::Body)
    }
}
