//! Room for steps that execute at the same time: places in concurrent components, and file descriptors.
//!
//! A branch of a concurrent component has a place in it. The place is taken while a part of the branch executes, and given back while
//! all of it waits. A step takes file descriptors before its first file. A step that comes back takes its places from the outermost to
//! the innermost, then descriptors, and holds no inner one while it waits for an outer one: so every awaited place is held by a step
//! that can continue.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use async_trait::async_trait;
use dad_events::StepRoom;
use dad_run::{DescriptorPermit, Descriptors};
use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A branch of a concurrent component.
#[derive(Debug)]
pub(crate) struct Branch {
    places: Arc<Semaphore>,
    around: Option<Arc<Branch>>,
    /// Held while it waits for a place: what comes back meanwhile needs none of its own.
    entering: tokio::sync::Mutex<()>,
    state: Mutex<BranchState>,
}

#[derive(Debug)]
struct BranchState {
    /// The number of its parts that execute: itself, or branches in it.
    active: usize,
    place: Option<OwnedSemaphorePermit>,
}

impl Branch {
    pub(super) fn begin(place: OwnedSemaphorePermit, around: Option<&Arc<Self>>) -> Arc<Self> {
        if let Some(around) = around {
            around.join();
        }
        Arc::new(Self {
            places: Arc::clone(place.semaphore()),
            around: around.cloned(),
            entering: tokio::sync::Mutex::default(),
            state: Mutex::new(BranchState {
                active: 1,
                place: Some(place),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, BranchState> {
        self.state.lock()
    }

    /// One more of it executes, while others do.
    fn join(&self) {
        self.state().active += 1;
    }

    /// One less of it executes.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.active -= 1;
        if state.active == 0 {
            state.place = None;
            drop(state);
            self.around.iter().for_each(|around| around.leave());
        }
    }

    /// Its place is free, and the one around it is left to the caller.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.active -= 1;
        state.place = None;
    }

    /// One more of it executes, once there is a place for it.
    fn enter(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _entering = self.entering.lock().await;
            if self.is_joined() {
                return;
            }
            // Given back if this is dropped before there is a place.
            let mut entered = None;
            if let Some(around) = &self.around {
                around.enter().await;
                entered = Some(Entered(around));
            }
            // It is never closed.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            let mut state = self.state();
            state.active += 1;
            if state.active == 1 {
                state.place = place;
                std::mem::forget(entered);
            }
        })
    }

    fn is_joined(&self) -> bool {
        let mut state = self.state();
        let is_active = state.active > 0;
        state.active += usize::from(is_active);
        is_active
    }

    /// One more of it executes, whether there is a place for it or not.
    fn enter_now(&self) {
        let mut state = self.state();
        state.active += 1;
        if state.active == 1 {
            drop(state);
            self.around.iter().for_each(|around| around.enter_now());
        }
    }
}

/// A branch that was entered, and is left when this is dropped.
struct Entered<'a>(&'a Branch);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The room of a step: its place in the branch it stands in, and its descriptors.
#[derive(Debug)]
pub(crate) struct Room {
    branch: Option<Arc<Branch>>,
    descriptors: Descriptors,
    state: Mutex<RoomState>,
}

#[derive(Debug, Default)]
struct RoomState {
    /// Whether the place is given back.
    is_away: bool,
    /// Whether it needs descriptors when it is not.
    needs_files: bool,
    files: Option<DescriptorPermit>,
}

impl Room {
    pub(crate) fn new(branch: Option<&Arc<Branch>>, descriptors: &Descriptors) -> Arc<Self> {
        Arc::new(Self {
            branch: branch.cloned(),
            descriptors: descriptors.clone(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock()
    }

    /// Waits until there are descriptors for the files of the step.
    pub(crate) async fn open_files(&self) {
        if !self.opens_files() {
            let files = self.descriptors.acquire().await;
            self.state().files = files;
        }
    }

    /// Takes descriptors for the files of the step, if there are some now.
    pub(crate) fn opens_files(&self) -> bool {
        let mut state = self.state();
        state.needs_files = true;
        if state.files.is_none() {
            state.files = self.descriptors.try_acquire();
        }
        state.files.is_some()
    }

    /// Waits for something with the room given back. What is there at once needs none given back.
    pub(crate) async fn away<T>(&self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = pin!(waiting);
        if let Some(at_once) = (&mut waiting).now_or_never() {
            return at_once;
        }
        let gone = Gone::new(self);
        let found = waiting.await;
        gone.ends().await;
        found
    }

    /// The step has no open files any more.
    pub(crate) fn close_files(&self) {
        let mut state = self.state();
        state.needs_files = false;
        state.files = None;
    }
}

/// A step whose room is given back, until this is dropped.
struct Gone<'a>(&'a Room);

impl<'a> Gone<'a> {
    fn new(room: &'a Room) -> Self {
        room.leave();
        Self(room)
    }

    /// Waits for room.
    async fn ends(self) {
        self.0.back().await;
    }
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.back_now();
    }
}

#[async_trait]
impl StepRoom for Room {
    fn leave(&self) {
        let mut state = self.state();
        state.files = None;
        if !std::mem::replace(&mut state.is_away, true) {
            self.branch.iter().for_each(|branch| branch.leave());
        }
    }

    async fn back(&self) {
        if !self.state().is_away {
            return;
        }
        if let Some(branch) = &self.branch {
            branch.enter().await;
        }
        let (was_away, needs_files) = {
            let mut state = self.state();
            (std::mem::replace(&mut state.is_away, false), state.needs_files)
        };
        if !was_away {
            // Another part of the step came back meanwhile: one place is enough.
            self.branch.iter().for_each(|branch| branch.leave());
        }
        if needs_files {
            self.open_files().await;
        }
    }

    fn back_now(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_away, false) {
            self.branch.iter().for_each(|branch| branch.enter_now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_parts_of_a_step_that_come_back_take_one_place() {
        let places = Arc::new(Semaphore::new(1));
        let branch = Branch::begin(Arc::clone(&places).acquire_owned().await.unwrap(), None);
        let room = Room::new(Some(&branch), &Descriptors::default());
        room.leave();
        let taken = Arc::clone(&places).acquire_owned().await.unwrap();
        let both = async { tokio::join!(room.back(), room.back()) };
        let (_, ()) = tokio::join!(both, async { drop(taken) });
        assert_eq!(places.available_permits(), 0);
        room.leave();
        assert_eq!(places.available_permits(), 1);
    }
}
