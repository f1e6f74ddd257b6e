//! The failure of a node.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use dad_core::ErrorInfo;
use dad_fs::FsError;
use dad_run::{BudgetExceeded, RunError};

use crate::node::output::NodeOutput;

/// The approvals that are asked for a step or call whose effects change before it can execute.
pub const MAX_APPROVALS: u32 = 3;

/// The code of an error that a node passed on without one of its own.
const FAILED: &str = "node_failed";

/// The failure of a node.
///
/// `?` makes it from any error, as a failure that another attempt may cure. It is no [`Error`] itself, so that `?` can do that;
/// [`as_error`](Self::as_error) gives one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeError {
    /// The recorded error.
    pub info: ErrorInfo,
    /// The output up to the failure.
    pub partial: Box<NodeOutput>,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// The shortest pause before another attempt, if a provider asked for one.
    pub retry_after: Option<Duration>,
    /// Whether another model or provider may succeed where this one failed.
    pub may_fall_back: bool,
    /// Whether the step suspends until a question is answered, instead of failing.
    pub(crate) suspends: bool,
}

impl NodeError {
    /// A failure with a stable code and a message that says what happened, where, and what was expected.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::from_info(ErrorInfo::new(code, message))
    }

    /// A failure from an error and its causes.
    pub fn from_error(code: impl Into<String>, error: &dyn Error) -> Self {
        Self::from_info(ErrorInfo::from_error(code, error))
    }

    /// A failure that is recorded as `info`.
    #[must_use]
    pub fn from_info(info: ErrorInfo) -> Self {
        Self {
            info,
            partial: Box::default(),
            retryable: true,
            retry_after: None,
            may_fall_back: false,
            suspends: false,
        }
    }

    /// The failure as an [`Error`], for functions that take one.
    #[must_use]
    pub const fn as_error(&self) -> AsError<'_> {
        AsError(self)
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.info = self.info.with_hint(hint);
        self
    }

    /// The same failure with the output up to it.
    #[must_use]
    pub fn with_partial(mut self, partial: NodeOutput) -> Self {
        self.partial = Box::new(partial);
        self
    }

    /// The suspension of the step until a question is answered.
    pub(crate) fn suspended() -> Self {
        Self {
            suspends: true,
            ..Self::new("suspended", "the step waits for an answer").permanent()
        }
    }

    /// The same failure with the shortest pause before another attempt.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The failure of a step whose effects keep changing after a person has approved them. `what` names the step or call.
    #[must_use]
    pub fn world_unstable(what: &str) -> Self {
        let message =
            format!("what {what} would do changed {MAX_APPROVALS} times after a person had agreed to it");
        Self::new("world_unstable", message)
            .with_hint("stop what changes it meanwhile, then resume the run")
            .permanent()
    }

    /// The same failure, but another model or provider may succeed.
    #[must_use]
    pub fn with_fall_back(mut self) -> Self {
        self.may_fall_back = true;
        self
    }

    /// The same failure, which another attempt does not cure.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// The failure of a node that panicked.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = dad_core::internal::panic_message(panic);
        Self::new("node_panicked", format!("the node panicked: {message}")).permanent()
    }

    fn of_run(error: &RunError) -> Self {
        let failed = Self::from_info(error.to_info());
        if error.is_out_of_descriptors() {
            failed.with_hint(
                "other steps may have closed files by then; `ulimit -n` shows the limit of open files",
            )
        } else {
            failed.permanent()
        }
    }

    fn of_budget(exceeded: &BudgetExceeded) -> Self {
        let hint = match &exceeded.step {
            None => format!("resume the run with a larger budget than `{}`", exceeded.budget),
            Some(_) => {
                "raise `budget` of the node, and resume the run with the current definition".to_owned()
            }
        };
        Self::new("budget_exceeded", exceeded.to_string())
            .with_hint(hint)
            .permanent()
    }
}

/// An error of the run keeps its code and its meaning for another attempt; another attempt may cure any other error.
impl<E: Error + 'static> From<E> for NodeError {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if let Some(error) = any.downcast_ref::<RunError>() {
            Self::of_run(error)
        } else if let Some(exceeded) = any.downcast_ref::<BudgetExceeded>() {
            Self::of_budget(exceeded)
        } else if any.is::<FsError>() {
            Self::from_error("file_operation", &error)
        } else {
            Self::from_error(FAILED, &error)
        }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info.message)
    }
}

/// A [`NodeError`] as an error.
#[derive(Clone, Copy, Debug)]
pub struct AsError<'a>(&'a NodeError);

impl fmt::Display for AsError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AsError<'_> {}
