//! Elements one after the other, and elements at the same time.

use std::sync::Arc;

use dad_core::StepStatus;
use dad_definition::{Component, Content, ProgramElement};
use dad_run::RunError;
use dad_run::reuse::{Child, EntryRelation};

use crate::concurrency::branches::{Branches, MAX_PARALLEL};
use crate::concurrency::room::Branch;
use crate::flow::content::unsupported;
use crate::step::effects::Effects;
use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::pipeline::run_step;
use crate::step::place::ElementContext;
use crate::step::stop::Phase;

/// The outcome of a sequence.
pub(super) struct SequenceOutcome<'e> {
    pub(super) outcome: ElementOutcome,
    /// The element that did not complete; none behind it executed.
    pub(super) ended_at: Option<&'e ProgramElement>,
}

impl RunExecutor {
    /// The elements of the component, iteration or branch in `context`, in document order.
    pub(super) fn children<'e>(
        &self,
        elements: &'e [ProgramElement],
        context: ElementContext<'_>,
    ) -> Vec<Child<'e>> {
        let path = &context.entered.path;
        self.order.elements(elements, path, context.relation).collect()
    }

    /// Executes elements in order, up to the first that does not complete.
    pub(super) async fn run_sequence<'e>(
        self: &Arc<Self>,
        children: Vec<Child<'e>>,
        context: ElementContext<'_>,
    ) -> Result<SequenceOutcome<'e>, RunError> {
        let mut outcome = ElementOutcome::empty();
        for child in children {
            let element = child.element;
            let ended = self.run_element(child, context).await?;
            let continues = ended.status == StepStatus::Completed;
            outcome.add(ended);
            if !continues {
                return Ok(SequenceOutcome {
                    outcome,
                    ended_at: Some(element),
                });
            }
        }
        Ok(SequenceOutcome {
            outcome,
            ended_at: None,
        })
    }

    /// Executes the `finally` of a component. A warning names the part that a stop leaves undone.
    pub(super) async fn run_finally(
        self: &Arc<Self>,
        component: &Component,
        context: ElementContext<'_>,
    ) -> Result<ElementOutcome, RunError> {
        let Content::Sequence { elements, finally } = &component.content else {
            return Ok(ElementOutcome::empty());
        };
        if finally.is_empty() {
            return Ok(ElementOutcome::empty());
        }
        let path = &context.entered.path;
        let stop = &self.driver().ended_at_once().child_token();
        let context = ElementContext {
            phase: Phase::Finally(path),
            stop,
            ..context
        };
        let children = self.order.finally(elements, finally, path, context.relation);
        let ended = self.run_sequence(children.collect(), context).await?;
        if let Some(element) = ended.ended_at
            && stop.is_cancelled()
        {
            let element = path.child(element.id());
            tracing::warn!(
                "the `finally` of `{path}` did not finish: `{element}` was stopped, and nothing behind it executes"
            );
        }
        Ok(ended.outcome)
    }

    /// Executes elements at the same time. One that fails lets the others finish.
    pub(super) async fn run_parallel(
        self: &Arc<Self>,
        elements: &[ProgramElement],
        context: ElementContext<'_>,
    ) -> Result<ElementOutcome, RunError> {
        let effects: Vec<Effects> = elements.iter().map(|_| context.effects.branch()).collect();
        let children = self.children(elements, context);
        let run = |(number, (child, effects)), branch: Arc<Branch>| async move {
            let context = ElementContext {
                effects,
                branch: Some(&branch),
                ..context
            };
            (number, self.run_element(child, context).await)
        };
        let mut ended = Vec::new();
        let branches = children.into_iter().zip(&effects).enumerate();
        self.branches(MAX_PARALLEL, context.branch)
            .execute(branches, run, |branch| ended.push(branch))
            .await;
        // In document order, and not in the order in which they ended.
        ended.sort_by_key(|(number, _)| *number);
        let mut outcome = ElementOutcome::empty();
        for (_, ended) in ended {
            outcome.add(ended?);
        }
        if let Some(first) = effects.iter().find_map(Effects::first) {
            context.effects.note(first);
        }
        Ok(outcome)
    }

    /// The branches of a concurrent component.
    pub(super) fn branches<'a>(&'a self, limit: usize, around: Option<&'a Arc<Branch>>) -> Branches<'a> {
        Branches {
            limit,
            steps: self.session.descriptors.steps(),
            around,
            active: &self.session.active,
        }
    }

    async fn run_element(
        self: &Arc<Self>,
        child: Child<'_>,
        context: ElementContext<'_>,
    ) -> Result<ElementOutcome, RunError> {
        let Child {
            element,
            path,
            relation,
            ..
        } = child;
        let context = ElementContext { relation, ..context };
        if relation == EntryRelation::OutOfScope {
            return Ok(ElementOutcome::empty());
        }
        if self.is_stopped(context.stop, context.phase) {
            return Ok(ElementOutcome::pending(StepStatus::Cancelled));
        }
        match element {
            ProgramElement::Node(node) => run_step(self, node, path, context).await,
            ProgramElement::Component(component) => self.run_component(component, path, context).await,
            other => Err(unsupported(other.path())),
        }
    }
}
