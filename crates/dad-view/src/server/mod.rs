//! The page of all runs as a server, live.
//!
//! [`ViewServer`] stands by itself, on loopback, with a session of its own; [`router`] is the same in a program that has its own server.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use dad_project::Project;
use tokio::net::TcpListener;

use self::error::ApiError;
pub use self::options::ViewOptions;
use self::session::Session;
use self::state::Viewer;
use crate::error::ViewError;

mod access;
mod artifacts;
mod checked_files;
mod connections;
mod error;
mod events;
mod lines;
mod nodes;
mod open_runs;
mod options;
mod page;
mod params;
mod runs;
mod session;
mod state;
mod timelines;

/// The page of all runs of a project, for a program that has its own server. It only reads. The program says who may ask; a request
/// that names another origin than its host is refused. Mount it under an address that ends with a slash.
///
/// ```no_run
/// use axum::Router;
/// use dad_project::Project;
/// use dad_view::{ViewOptions, router};
///
/// # async fn example(own: Router) -> Result<(), Box<dyn std::error::Error>> {
/// let runs = router(Project::open(".")?, ViewOptions::default())?;
/// let program = own.nest("/runs/", runs); // behind the program's own authentication
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, program).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a run root of the project cannot be one, or the origin key cannot be used.
pub fn router(project: Project, options: ViewOptions) -> Result<Router, ViewError> {
    Ok(routes(Arc::new(Viewer::new(project, options, None)?)))
}

fn routes(view: Arc<Viewer>) -> Router {
    let of_run = Router::new()
        .route("/", get(runs::run))
        .route("/spending", get(runs::spending))
        .route("/children", get(nodes::children))
        .route("/ranges", get(nodes::ranges))
        .route("/node", get(nodes::node))
        .route("/find", get(nodes::find))
        .route("/step", get(nodes::step))
        .route("/timeline", get(nodes::timeline))
        .route("/artifact", get(artifacts::artifact))
        .route("/lines", get(lines::lines));
    let api = Router::new()
        .route("/about", get(runs::about))
        .route("/runs", get(runs::list))
        .nest("/runs/{run}", of_run)
        .route("/events", get(events::events));
    Router::new()
        .route("/", get(page::index))
        .route("/assets/page.css", get(page::style))
        .route("/assets/page.js", get(page::script))
        .route("/session", post(access::open_session))
        .nest("/api/v1", api)
        .fallback(async || ApiError::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || ApiError::only_read())
        .layer(from_fn_with_state(Arc::clone(&view), access::guard))
        .with_state(view)
}

/// The page of all runs of a project, as a server on loopback. A browser gets a session by one of its
/// [files](Self::session_files).
///
/// ```no_run
/// use dad_project::Project;
/// use dad_view::{ViewOptions, ViewServer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = ViewServer::bind(Project::open(".")?, ViewOptions::default(), 0).await?;
/// let file = server.session_files().next()?; // to be kept where only the user reads it, and opened in a browser
/// server.serve(std::future::pending()).await;
/// # drop(file);
/// # Ok(())
/// # }
/// ```
pub struct ViewServer {
    listener: TcpListener,
    address: SocketAddr,
    view: Arc<Viewer>,
}

impl ViewServer {
    /// Listens on a port of loopback; on any that is free for 0.
    ///
    /// # Errors
    /// If the port is taken, a run root of the project cannot be one, or the origin key cannot be used.
    pub async fn bind(project: Project, options: ViewOptions, port: u16) -> Result<Self, ViewError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| ViewError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let session = Session::new(address)?;
        let view = Arc::new(Viewer::new(project, options, Some(session))?);
        Ok(Self {
            listener,
            address,
            view,
        })
    }

    /// The address that it listens at.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The files that open pages of this server, also while it is [serving](Self::serve).
    #[must_use]
    pub fn session_files(&self) -> SessionFiles {
        SessionFiles(Arc::clone(&self.view), self.address)
    }

    /// Answers requests until the future ends. What is being answered then has a moment to end.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        connections::serve(
            self.listener,
            routes(Arc::clone(&self.view)),
            stop,
            &self.view.stopping,
        )
        .await;
    }
}

/// The files that open pages of a [`ViewServer`].
pub struct SessionFiles(Arc<Viewer>, SocketAddr);

impl SessionFiles {
    /// The HTML file that opens a page with a session. It holds a code that is accepted once; one that was made before is not
    /// accepted any more.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn next(&self) -> Result<String, ViewError> {
        match &self.0.session {
            Some(session) => Ok(page::session_file(self.1, &session.new_code()?)),
            None => Ok(String::new()),
        }
    }

    /// Waits until the last file was used.
    pub async fn used(&self) {
        match &self.0.session {
            Some(session) => session.used.notified().await,
            None => std::future::pending().await,
        }
    }
}
