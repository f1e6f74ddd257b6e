//! The state that all steps of a driven run share.

use std::sync::Arc;

use dad_run::driver::RunDriver;
use dad_run::reuse::{Normaliser, RerunRequests};
use dad_run::{Descriptors, RunHandle};

use crate::concurrency::active::ActiveSteps;
use crate::render::evaluate::Evaluator;
use crate::render::scope::ResultCache;

/// A run that is driven.
pub(crate) struct Session {
    /// The writer of the run's records; nodes have `run` only.
    pub(crate) driver: RunDriver,
    pub(crate) run: RunHandle,
    pub(crate) cache: Arc<ResultCache>,
    pub(crate) normaliser: Normaliser,
    pub(crate) requests: RerunRequests,
    pub(crate) active: ActiveSteps,
    /// The file descriptors that steps take before they open files.
    pub(crate) descriptors: Descriptors,
}

impl Session {
    pub(crate) fn new(driver: RunDriver) -> Self {
        let run = driver.handle().clone();
        let descriptors = run.resources().get::<Descriptors>();
        Self {
            cache: Arc::default(),
            normaliser: Normaliser::of_places(run.places()),
            requests: RerunRequests::new(driver.plan(), run.program()),
            active: ActiveSteps::default(),
            descriptors: descriptors.map_or_else(Descriptors::of_process, |given| (*given).clone()),
            run,
            driver,
        }
    }

    /// Evaluates templates against this run.
    pub(crate) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            run: self.run.result_store(),
            cache: &self.cache,
        }
    }
}
