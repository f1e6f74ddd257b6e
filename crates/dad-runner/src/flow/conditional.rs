//! Conditionals. The branch is in the journal before anything in it executes.

use std::sync::Arc;

use dad_definition::{Component, Content, ProgramElement};
use dad_run::reuse::{EntryRelation, Part};
use dad_run::{RunError, RunView};

use crate::flow::content::{ContentOutcome, unsupported};
use crate::render::scope::Frame;
use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::place::ElementContext;

impl RunExecutor {
    /// Executes the branch that the statement chooses.
    pub(super) async fn run_conditional(
        self: &Arc<Self>,
        component: &Component,
        context: ElementContext<'_>,
    ) -> Result<ContentOutcome, RunError> {
        let Content::Conditional {
            statement,
            true_branch,
            false_branch,
        } = &component.content
        else {
            return Err(unsupported(&component.path));
        };
        let path = &context.entered.path;
        let decided = self.history().and_then(|history| history.branch(path));
        let recorded = self.recorded(context.relation);
        let recorded = || recorded.and_then(|previous| previous.branch(path));
        let taken = match decided.or_else(recorded) {
            Some(taken) => taken,
            None => {
                let evaluator = self.session.evaluator();
                match evaluator.condition("statement", statement, component, path, context.frame) {
                    Ok(taken) => taken,
                    Err(error) => return Ok(ContentOutcome::failed(path, error)),
                }
            }
        };
        if decided.is_none() {
            self.driver().branch_taken(path, taken)?;
        }
        let body = if taken { true_branch } else { false_branch };
        let branch = self.order.branch(path, context.relation, taken);
        let outcome = self
            .run_iteration_or_branch(body, &branch, context.frame, context)
            .await?;
        Ok(ContentOutcome::branch(outcome, taken))
    }

    pub(super) async fn run_iteration_or_branch(
        self: &Arc<Self>,
        body: &[ProgramElement],
        part: &Part,
        frame: &Arc<Frame>,
        context: ElementContext<'_>,
    ) -> Result<ElementOutcome, RunError> {
        let Part { path, relation, .. } = part;
        if body.is_empty() || *relation == EntryRelation::OutOfScope {
            return Ok(ElementOutcome::empty());
        }
        if let Some(outcome) = self.restored_body(body, path, context.phase) {
            return Ok(outcome);
        }
        let entered = self.driver().enter_part(context.entered, path)?;
        let entered = &self.without_spare_descriptor(entered, context.branch);
        let context = ElementContext {
            frame,
            entered,
            relation: *relation,
            ..context
        };
        self.driver().part_started(path);
        let children = self.children(body, context);
        let outcome = self.run_sequence(children, context).await?.outcome;
        self.driver().part_ended(path, outcome.status);
        Ok(outcome)
    }

    /// The previous run, where its decisions stand.
    pub(super) fn recorded(&self, relation: EntryRelation) -> Option<&RunView> {
        self.run().parent().filter(|_| relation.keeps_decisions())
    }
}
