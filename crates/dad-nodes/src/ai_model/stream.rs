//! The text of an answer while it arrives.

use dad_core::StreamRedactor;
use dad_fs::AppendFile;
use dad_run::layout::STREAM;
use dad_runner::{NodeContext, NodeError};
use parking_lot::Mutex;

/// Passes pieces of an answer on, without secrets: to listeners, and to `stream.txt`. A secret that is cut in two by the
/// pieces is masked too, because the end of each piece is held back.
pub(super) struct Pieces<'a> {
    cx: &'a NodeContext,
    state: Mutex<State>,
}

struct State {
    redactor: Option<StreamRedactor>,
    file: AppendFile,
    failed: Option<NodeError>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(cx: &'a NodeContext) -> Result<Self, NodeError> {
        Ok(Self {
            cx,
            state: Mutex::new(State {
                // The client may learn its key only when it is asked.
                redactor: Some(cx.run().secrets().stream()),
                file: cx.dir()?.append(STREAM)?,
                failed: None,
            }),
        })
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn push(&self, piece: &str) {
        let mut state = self.state();
        let text = state.redactor.as_mut().map(|redactor| redactor.push(piece));
        self.pass_on(&mut state, text.unwrap_or_default());
    }

    fn pass_on(&self, state: &mut State, text: String) {
        if text.is_empty() {
            return;
        }
        if let Err(error) = state.file.append(text.as_bytes()) {
            state.failed.get_or_insert(error.into());
        }
        self.cx.stream_text(text);
    }

    /// Passes on what was held back; a stream that is not `whole` may have broken within a secret.
    ///
    /// # Errors
    /// If the file could not be written.
    pub(super) fn finish(&self, whole: bool) -> Result<(), NodeError> {
        let mut state = self.state();
        if let Some(redactor) = state.redactor.take() {
            let rest = match whole {
                true => redactor.finish(),
                false => redactor.finish_cut(),
            };
            self.pass_on(&mut state, rest);
        }
        // Another answer of the step begins on a line of its own.
        self.pass_on(&mut state, "\n".to_owned());
        state.failed.take().map_or(Ok(()), Err)
    }
}
