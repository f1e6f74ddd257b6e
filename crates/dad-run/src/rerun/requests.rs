//! The requests that a user made when a re-run was started, resolved against its definition.

use dad_core::HierarchyPath;
use dad_definition::{Program, Selected};

use crate::rerun::decide::Requested;
use crate::rerun::plan::RerunPlan;

/// The use that the user wants of the previous run's answer to a question. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerWish {
    /// It is used for the same question.
    #[default]
    SameQuestion,
    /// It is used for the same step or component, whatever was asked there.
    ByPath,
    /// The question is asked again.
    AskAgain,
}

/// The steps that a re-run executes on request, and the questions that it asks again or answers on request. A selector that
/// names nothing of the definition any more has no effect.
#[derive(Clone, Debug, Default)]
pub struct RerunRequests {
    is_fresh: bool,
    execute: Vec<Selected>,
    ask: Vec<Selected>,
    reuse_answers: Vec<Selected>,
}

impl RerunRequests {
    /// The requests of a plan; of a run that is no re-run, none.
    #[must_use]
    pub fn new(plan: Option<&RerunPlan>, program: &Program) -> Self {
        let Some(plan) = plan else {
            return Self::default();
        };
        let selected = |selectors: &[String]| {
            let select = |selector: &String| program.select(&selector.parse().ok()?).ok();
            selectors.iter().filter_map(select).collect()
        };
        Self {
            is_fresh: plan.fresh,
            execute: selected(&plan.execute),
            ask: selected(&plan.ask),
            reuse_answers: selected(&plan.reuse_answers),
        }
    }

    /// The request about a step.
    #[must_use]
    pub fn of_step(&self, path: &HierarchyPath) -> Requested {
        if self.is_fresh {
            Requested::Fresh
        } else if covers(&self.execute, path) {
            Requested::Execute
        } else {
            Requested::Nothing
        }
    }

    /// The request about the answer to a question that a step or component asks.
    #[must_use]
    pub fn of_answer(&self, path: &HierarchyPath) -> AnswerWish {
        if covers(&self.ask, path) {
            AnswerWish::AskAgain
        } else if covers(&self.reuse_answers, path) {
            AnswerWish::ByPath
        } else {
            AnswerWish::SameQuestion
        }
    }
}

fn covers(selected: &[Selected], path: &HierarchyPath) -> bool {
    selected.iter().any(|selected| selected.covers(path))
}
