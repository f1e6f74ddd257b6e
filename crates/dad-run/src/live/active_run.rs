//! The single owner of a run that is driven.

use std::error::Error;
use std::sync::Arc;

use dad_core::{Clean, Digest, ErrorInfo};
use dad_events::RunInfo;
use serde::Serialize;
use serde_json::Value;

use crate::document::to_file_text;
use crate::error::{RunError, SetupError};
use crate::layout::OUTPUT;
use crate::live::end::RunEnd;
use crate::live::handle::RunHandle;
use crate::live::inputs::{GivenInput, UnresolvedInput};
use crate::live::sealed_run::SealedRun;
use crate::live::shared::RunShared;

/// The single owner of a run that is being driven.
///
/// Ends by [`complete_run`](Self::complete_run). Dropping it cancels what executes and seals the run as failed with
/// the error `abandoned`; a process that dies leaves the run interrupted.
#[must_use = "a run that is dropped is sealed as abandoned"]
#[derive(Debug)]
pub struct ActiveRun {
    handle: RunHandle,
    ended: bool,
}

impl ActiveRun {
    pub(crate) fn new(inner: RunShared) -> Self {
        Self {
            handle: RunHandle::new(inner),
            ended: false,
        }
    }

    pub(crate) fn inner(&self) -> &RunShared {
        self.handle.inner()
    }

    /// Which run this is.
    #[must_use]
    pub fn identity(&self) -> &Arc<RunInfo> {
        self.handle.identity()
    }

    /// Access for nodes and listeners.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Gives a node or component its input, as the builder's method of that name does before the run is set up. The
    /// variables of the root component are given to the builder: here they would come too late.
    ///
    /// # Errors
    /// If there is no such node or component, the input does not fit it, or it has already started.
    pub fn register_node_static_input(&self, node: &str, input: impl Serialize) -> Result<(), RunError> {
        let value = serde_json::to_value(input).map_err(|e| RunError::unreadable(node, e))?;
        let given = GivenInput {
            source: "register_node_static_input".to_owned(),
            value,
        };
        let inner = self.handle.inner();
        let mut state = inner.state();
        let mut inputs = state.inputs.clone();
        let path = inputs.add(
            UnresolvedInput {
                selector: node.to_owned(),
                given,
            },
            &inner.reader.program,
            &*inner.types,
        )?;
        if state.started.contains(&path) {
            return Err(SetupError::InputTooLate(path).into());
        }
        state.inputs = inputs;
        Ok(())
    }

    /// Writes `output.json`: what the definition's `output` came to. The record that seals the run as completed names it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_output(&self, output: &Clean<Value>) -> Result<(), RunError> {
        let inner = self.handle.inner();
        let text = to_file_text(OUTPUT, output.get())?;
        inner
            .dir
            .replace_staged_in(&inner.dot_run, OUTPUT, &text, inner.durability)?;
        inner.state().output = Some(Digest::of(&text));
        Ok(())
    }

    /// Seals the run: the last record, then metadata and summary; gives the lease back and waits until every
    /// listener has what happened.
    ///
    /// # Errors
    /// If the record or a projection of it cannot be written. [`RunError::QuestionOpen`] and
    /// [`RunError::RootNotCompleted`] if the run is called completed and is not; it is then sealed as what it is, so that a
    /// question that is open can still be answered.
    ///
    /// The error is recorded with the code, place and hint that it, or one of its sources, has as an [`ErrorInfo`],
    /// [`RunError`] or [`SetupError`]; any other with the code `run_failed`.
    pub fn complete_run(
        self,
        end: RunEnd,
        error: Option<&(dyn Error + 'static)>,
    ) -> impl Future<Output = Result<SealedRun, RunError>> + Send + use<> {
        // Turned into its recorded form before anything waits, so that the future can be sent between threads.
        let error = error.map(recorded);
        self.seal(end, error)
    }

    /// As [`complete_run`](Self::complete_run), with an error that says its code, place and hint.
    ///
    /// # Errors
    /// As there.
    pub async fn seal(mut self, end: RunEnd, error: Option<ErrorInfo>) -> Result<SealedRun, RunError> {
        self.ended = true;
        // A cancel that was sent before the run came to rest was accepted, and has to stand in the journal.
        self.handle.inner().read_inbox();
        let inner = self.handle.inner();
        let end = match end {
            RunEnd::Waiting if inner.is_stopped() => RunEnd::Cancelled,
            end => end,
        };
        let refused = match end {
            RunEnd::Completed => inner.is_not_completed(),
            _ => Ok(None),
        };
        let sealed = match refused {
            Ok(None) => inner.seal(end, error),
            Ok(Some((end, refused))) => {
                let error = (end == RunEnd::Failed).then(|| refused.to_info());
                inner.seal(end, error).and(Err(refused))
            }
            Err(unread) => inner
                .seal(RunEnd::Failed, Some(unread.to_info()))
                .and(Err(unread)),
        };
        let warnings = inner.bus.close().await;
        let mut sealed = sealed?;
        sealed.warnings.extend(warnings);
        Ok(sealed)
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let inner = self.handle.shared();
        inner.cancelled.cancel();
        let error = ErrorInfo::new("abandoned", "the run was dropped before it was completed");
        if let Err(error) = inner.seal(RunEnd::Failed, Some(error)) {
            tracing::error!(run_id = %inner.identity.run_id, %error, "an abandoned run could not be sealed");
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { inner.bus.close().await });
        }
    }
}

/// The recorded form of an error.
fn recorded(error: &(dyn Error + 'static)) -> ErrorInfo {
    fn known(error: &(dyn Error + 'static)) -> Option<ErrorInfo> {
        let info = error.downcast_ref::<ErrorInfo>().cloned();
        let of_run = || error.downcast_ref::<RunError>().map(RunError::to_info);
        let of_setup = || error.downcast_ref::<SetupError>().map(SetupError::to_info);
        info.or_else(of_run).or_else(of_setup)
    }
    let mut chain = std::iter::successors(Some(error), |error| Error::source(*error));
    chain
        .find_map(known)
        .unwrap_or_else(|| ErrorInfo::from_error("run_failed", error))
}
