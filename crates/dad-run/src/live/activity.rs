//! Parts of components, and work inside steps, that listeners see begin and end and no record tells of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dad_core::{HierarchyPath, StepStatus};
use dad_events::{
    Activity, ActivityEnd, ActivityEnded, ActivityId, ActivityStarted, Event, EventBody, PartEnded,
    PartStarted,
};
use dad_fs::Durability;

use crate::live::driver::RunDriver;
use crate::live::shared::RunShared;

impl RunDriver {
    /// Tells listeners that an iteration or branch begins.
    pub fn part_started(&self, path: &HierarchyPath) {
        self.inner()
            .publish_unrecorded(|| EventBody::PartStarted(PartStarted::new(path.clone())));
    }

    /// Tells listeners that an iteration or branch ended.
    pub fn part_ended(&self, path: &HierarchyPath, status: StepStatus) {
        self.inner()
            .publish_unrecorded(|| EventBody::PartEnded(PartEnded::new(path.clone(), status)));
    }

    /// Tells listeners that work inside a step begins; gives its number. `parent` is the activity that it is a part of.
    pub fn activity_started(
        &self,
        path: &HierarchyPath,
        parent: Option<ActivityId>,
        activity: &Arc<Activity>,
    ) -> ActivityId {
        let inner = self.inner();
        let id = inner.activities.fetch_add(1, Ordering::Relaxed) + 1;
        inner.publish_unrecorded(|| {
            EventBody::ActivityStarted(ActivityStarted::new(
                path.clone(),
                id,
                parent,
                Arc::clone(activity),
            ))
        });
        id
    }

    /// Tells listeners that work inside a step ended, this long after it began.
    pub fn activity_ended(
        &self,
        path: &HierarchyPath,
        id: ActivityId,
        activity: &Arc<Activity>,
        duration: Duration,
        end: ActivityEnd,
    ) {
        let ended = || ActivityEnded::new(path.clone(), id, Arc::clone(activity), duration, end);
        self.inner()
            .publish_unrecorded(|| EventBody::ActivityEnded(ended()));
    }
}

impl RunShared {
    /// Publishes an event that has no record, behind the events that wait for the disk.
    fn publish_unrecorded(&self, body: impl FnOnce() -> EventBody) {
        if !self.bus.is_heard() {
            return;
        }
        let event = Event::new(None, self.clock.now(), Arc::clone(&self.identity), body());
        if self.durability == Durability::Disk {
            let mut state = self.state();
            if state.batch.is_open {
                state.batch.add(Some(event));
                return;
            }
        }
        self.bus.publish(event);
    }
}
