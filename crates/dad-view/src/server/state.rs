//! The state of a server: the project, the runs that are looked at, and the work that blocks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use dad_project::{Project, ProjectError};
use dad_run::{Catalog, RunIndex, RunListing};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::checked_files::CheckedFiles;
use super::error::ApiError;
use super::open_runs::OpenRuns;
use super::options::ViewOptions;
use super::session::Session;
use super::timelines::Timelines;

/// The requests that read files at the same time; others wait. Each may hold a part of a step in memory.
const READING: usize = 8;

/// The time in which a list of runs is not read again, at least. It is as long as reading it takes, if that is longer.
const FRESH: Duration = Duration::from_millis(200);

/// The state of a server.
pub(super) struct Viewer {
    pub(super) project: Project,
    pub(super) options: ViewOptions,
    /// `None` where the program that has the router says who may ask.
    pub(super) session: Option<Session>,
    pub(super) stopping: CancellationToken,
    pub(super) checked: CheckedFiles,
    pub(super) timelines: Timelines,
    catalog: Catalog,
    open: OpenRuns,
    reading: Semaphore,
    listed: Mutex<Option<Listed>>,
}

/// A list of runs, and when it is read again.
struct Listed {
    runs: Arc<RunListing>,
    until: Instant,
}

/// The state as handlers take it.
pub(super) type Shared = State<Arc<Viewer>>;

impl Viewer {
    pub(super) fn new(
        project: Project,
        options: ViewOptions,
        session: Option<Session>,
    ) -> Result<Self, ProjectError> {
        let catalog = match options.run_roots.as_slice() {
            [] => project.runs()?,
            [first, others @ ..] => {
                let key = project.user().origin_key()?;
                let catalog = Catalog::new(first, first).with_origin_key(key);
                others.iter().fold(catalog, |catalog, root| catalog.and_in(root))
            }
        };
        Ok(Self {
            project,
            options,
            session,
            stopping: CancellationToken::new(),
            checked: CheckedFiles::default(),
            timelines: Timelines::default(),
            catalog,
            open: OpenRuns::default(),
            reading: Semaphore::new(READING),
            listed: Mutex::new(None),
        })
    }

    /// The directories that runs are looked for in.
    pub(super) fn run_roots(&self) -> Vec<PathBuf> {
        self.catalog.places().to_vec()
    }

    /// Does work that blocks, such as reading files, on a thread for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is no node, and no step waits for it"
    )]
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let view = Arc::clone(self);
        let work = move || work(&view);
        let _permit = self.reading.acquire().await.map_err(|_| ApiError::bug())?;
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(ApiError::bug()))
    }

    /// Reads in the index of a run, as it is now. A panic of the work is an error of the request.
    pub(super) async fn in_run<T: Send + 'static>(
        self: &Arc<Self>,
        run: String,
        read: impl FnOnce(&RunIndex) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.blocking(move |view| view.open.read(&view.catalog, &run, read))
            .await
    }

    /// The runs, oldest first, as they were a moment ago.
    pub(super) fn listing(&self) -> Result<Arc<RunListing>, ApiError> {
        // Others wait for the one that reads.
        let mut listed = self.listed.lock();
        if let Some(listed) = listed.as_ref().filter(|listed| Instant::now() < listed.until) {
            return Ok(Arc::clone(&listed.runs));
        }
        let begun = Instant::now();
        let runs = Arc::new(self.catalog.listing()?);
        let until = Instant::now() + begun.elapsed().max(FRESH);
        *listed = Some(Listed {
            runs: Arc::clone(&runs),
            until,
        });
        Ok(runs)
    }
}
