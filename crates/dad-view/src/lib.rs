//! The page on which people look at runs, as one file or as a server.
//!
//! With the feature `server`, `ViewServer` shows all runs of a project, live, and `router` does so in a program's own server.
//!
//! [`export_html`] writes one run as a file that a browser opens without network, with everything that it shows. Its tree is one JSON
//! document; its steps are JSON documents in portions, which the page reads when a person looks at one of their steps.
//!
//! ```no_run
//! use dad_project::Project;
//! use dad_view::{ExportOptions, export_html};
//!
//! let run = Project::open(".")?.run("last")?;
//! let mut page = Vec::new();
//! let exported = export_html(&run, &ExportOptions::default(), &mut page)?;
//! println!("{} steps are in the page", exported.steps);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assets;
mod details;
mod error;
mod export;
mod script_data;
#[cfg(feature = "server")]
mod server;
mod versioned;

pub use self::error::ViewError;
pub use self::export::{ExportOptions, Exported, export_html};
#[cfg(feature = "server")]
pub use self::server::{SessionFiles, ViewOptions, ViewServer, router};
