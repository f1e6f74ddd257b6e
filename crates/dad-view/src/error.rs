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
}
