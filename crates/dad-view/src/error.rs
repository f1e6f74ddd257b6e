//! The reasons for which no page is made.

use std::io;

use dad_project::ProjectError;
use dad_run::RunError;
use thiserror::Error;

/// A page that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A conversation of the run cannot be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The page cannot be written.
    #[error("the page cannot be written")]
    Write(#[from] io::Error),
    /// The server cannot listen.
    #[cfg(feature = "server")]
    #[error("the server cannot listen at {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The operating system gave no random numbers.
    #[cfg(feature = "server")]
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}
