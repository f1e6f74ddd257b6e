//! Attempts that were interrupted, and continue in a resumed run.

use dad_core::HierarchyPath;

use crate::store::memo_file::MemoLine;
use crate::store::view::RunView;

/// An attempt of a step that was going on when its process died, or when it was cancelled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Interrupted {
    /// Its number, which the attempt that continues it keeps.
    pub attempt: u32,
    /// The number of attempts in the same visit of the step that failed before it: they count against its limit.
    pub failed_before: u32,
    /// The exchanges that it finished.
    pub memos: Vec<MemoLine>,
}

impl Interrupted {
    /// An attempt that has finished no exchange.
    pub(crate) fn at(view: &RunView, path: &HierarchyPath, attempt: u32) -> Self {
        let ended = view.left(path).map_or(0, |left| left.ended);
        Self {
            attempt,
            failed_before: attempt.saturating_sub(ended + 1),
            memos: Vec::new(),
        }
    }
}
