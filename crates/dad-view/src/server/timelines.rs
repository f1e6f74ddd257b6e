//! The timeline that was read last.

use std::path::PathBuf;

use dad_core::{HierarchyPath, PathSelector, RunStatus, Timestamp};
use dad_run::{RunView, Timeline, TimelineOptions};
use parking_lot::Mutex;

use super::error::ApiError;

/// The timeline that was read last: reading one takes as long as the journal does.
#[derive(Default)]
pub(super) struct Timelines(Mutex<Option<(TimelineOf, Timeline)>>);

/// The run, the number of its records, and the part that a timeline is of.
type TimelineOf = (PathBuf, u64, Option<HierarchyPath>);

impl Timelines {
    /// The timeline of a run of so many records, or of a part of it.
    pub(super) fn read(
        &self,
        run: &RunView,
        seq: u64,
        of: Option<HierarchyPath>,
    ) -> Result<Timeline, ApiError> {
        let wanted = (run.dir().to_path_buf(), seq, of);
        let kept = self.0.lock().clone();
        if let Some((_, timeline)) = kept.filter(|(kept, _)| *kept == wanted) {
            return Ok(timeline);
        }
        let selector = wanted.2.as_ref().map(|of| of.as_str().parse::<PathSelector>());
        let selector = selector.transpose();
        let selector = selector.map_err(|error| ApiError::bad_request(error.to_string()))?;
        let options = TimelineOptions::default().within(selector);
        let timeline = Timeline::read(run.dir(), &options, Timestamp::now())?;
        // What executes is longer a moment later.
        if run.status != RunStatus::Running {
            *self.0.lock() = Some((wanted, timeline.clone()));
        }
        Ok(timeline)
    }
}
