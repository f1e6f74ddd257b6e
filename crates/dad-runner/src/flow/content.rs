//! The outcome of the content of a component.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dad_core::{ErrorInfo, HierarchyPath};
use dad_definition::{Component, Content};
use dad_run::RunError;

use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::place::ElementContext;

/// The future of an element: elements contain elements, so its size is not known.
pub(super) type BoxedOutcome<'a> =
    Pin<Box<dyn Future<Output = Result<ElementOutcome, RunError>> + Send + 'a>>;

/// The outcome of a component's content, with the facts that the component's record has besides.
#[derive(Debug)]
pub(super) struct ContentOutcome {
    pub(super) outcome: ElementOutcome,
    pub(super) facts: ControlFacts,
}

/// The decisions of a conditional or loop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ControlFacts {
    /// The number of iterations that a loop began.
    pub(super) iterations: Option<u64>,
    /// The branch that a conditional took.
    pub(super) branch: Option<bool>,
}

impl ContentOutcome {
    pub(super) fn failed(path: &HierarchyPath, error: ErrorInfo) -> Self {
        ElementOutcome::failed(path, error).into()
    }

    pub(super) fn iterations(outcome: ElementOutcome, begun: u64) -> Self {
        Self {
            outcome,
            facts: ControlFacts {
                iterations: Some(begun),
                branch: None,
            },
        }
    }

    pub(super) fn branch(outcome: ElementOutcome, taken: bool) -> Self {
        Self {
            outcome,
            facts: ControlFacts {
                iterations: None,
                branch: Some(taken),
            },
        }
    }
}

impl From<ElementOutcome> for ContentOutcome {
    fn from(outcome: ElementOutcome) -> Self {
        Self {
            outcome,
            facts: ControlFacts::default(),
        }
    }
}

impl RunExecutor {
    /// Executes the content of a component that has been entered, without its `finally`.
    pub(super) async fn run_content(
        self: &Arc<Self>,
        component: &Component,
        context: ElementContext<'_>,
    ) -> Result<ContentOutcome, RunError> {
        Ok(match &component.content {
            Content::Sequence { elements, .. } => {
                let children = self.children(elements, context);
                self.run_sequence(children, context).await?.outcome.into()
            }
            Content::Parallel { elements } => self.run_parallel(elements, context).await?.into(),
            Content::Conditional { .. } => self.run_conditional(component, context).await?,
            Content::ForEach(for_each) => self.run_for_each(component, for_each, context).await?,
            Content::Repeat(repeat) => self.run_repeat(component, repeat, context).await?,
            _ => return Err(unsupported(&component.path)),
        })
    }
}

/// The error for an element that this version cannot execute; a definition with one does not compile.
pub(super) fn unsupported(path: &HierarchyPath) -> RunError {
    RunError::Unreadable {
        path: path.to_relative_dir(),
        reason: "elements of this kind cannot be executed".to_owned(),
    }
}
