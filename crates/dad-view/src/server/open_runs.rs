//! The indexes of the runs that are looked at, as many as memory allows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dad_core::RunId;
use dad_run::{Catalog, RunIndex};
use parking_lot::Mutex;

use super::error::ApiError;

/// The nodes of all indexes together: those that were not used for the longest time go first. A node takes about eighty bytes.
const MOST_NODES: usize = 1_500_000;

/// The time after which an index that is not used goes.
const IDLE: Duration = Duration::from_secs(300);

/// The indexes by the names of their runs.
#[derive(Default)]
pub(super) struct OpenRuns {
    runs: Mutex<HashMap<String, OpenRun>>,
}

struct OpenRun {
    /// `None` until it is read.
    index: Arc<Mutex<Option<RunIndex>>>,
    used: Instant,
    nodes: usize,
}

impl OpenRuns {
    /// Reads in the index of a run, once it has everything that is recorded.
    pub(super) fn read<T>(
        &self,
        catalog: &Catalog,
        run: &str,
        read: impl FnOnce(&RunIndex) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let index = self.used(run);
        let mut index = index.lock();
        // One that cannot be followed was repaired or removed, or is damaged: it is read anew.
        let follows = index.as_mut().is_some_and(|index| index.follow().is_ok());
        if !follows {
            *index = None;
            match open(catalog, run) {
                Ok(opened) => *index = Some(opened),
                Err(error) => {
                    self.runs.lock().remove(run);
                    return Err(error);
                }
            }
        }
        let Some(index) = index.as_ref() else {
            return Err(ApiError::bug());
        };
        self.make_room(run, index.len());
        read(index)
    }

    fn used(&self, run: &str) -> Arc<Mutex<Option<RunIndex>>> {
        let mut runs = self.runs.lock();
        let now = Instant::now();
        let open = runs.entry(run.to_owned()).or_insert_with(|| OpenRun {
            index: Arc::default(),
            used: now,
            nodes: 0,
        });
        open.used = now;
        Arc::clone(&open.index)
    }

    /// Drops the indexes that are not used any more, and if there is not enough room those that were not used for the longest time.
    fn make_room(&self, run: &str, nodes: usize) {
        let mut runs = self.runs.lock();
        if let Some(open) = runs.get_mut(run) {
            open.nodes = nodes;
        }
        let now = Instant::now();
        runs.retain(|name, open| name == run || now.duration_since(open.used) < IDLE);
        let mut total: usize = runs.values().map(|open| open.nodes).sum();
        while total > MOST_NODES {
            let others = runs.iter().filter(|(name, _)| *name != run);
            let Some(oldest) = others.min_by_key(|(_, open)| open.used) else {
                break;
            };
            let oldest = oldest.0.clone();
            total -= runs.remove(&oldest).map_or(0, |open| open.nodes);
        }
    }
}

fn open(catalog: &Catalog, run: &str) -> Result<RunIndex, ApiError> {
    // The beginning of an id would be another name for the same index.
    let id = run.parse::<RunId>();
    let id = id.map_err(|_| ApiError::not_found(format!("there is no run `{run}`")))?;
    Ok(RunIndex::open(&catalog.named(&id)?.dir)?)
}
