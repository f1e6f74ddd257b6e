//! A project directory, opened for its user: configuration, environments, credentials, models, definitions and runs.
//!
//! A [`Project`] is what the `dhenara` command works with, and a program works with the same: its runs mask the keys of the
//! project and of the user's environment, are signed with the user's key, send no key where a file of the project alone says,
//! and are continued as they were recorded.
//!
//! ```
//! use dad_project::Project;
//! use dad_runner::Runner;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = dad_fs::ScratchDir::new()?;
//! # let flow = "schema_version: 1\nkind: flow\noutput: \"$var{environment}\"\nelements: []\n";
//! # let files = dad_fs::Dir::open(dir.path())?;
//! # files.create_dir(".dhenara")?;
//! # files.replace(".dhenara/config.yaml", b"environments: { ci: {} }", dad_fs::Durability::Process)?;
//! # files.replace("hello.yaml", flow.as_bytes(), dad_fs::Durability::Process)?;
//! # let user = dad_project::User::from_variables([("DHENARA_ORIGIN_KEY", "07".repeat(32))].into_iter().collect())?;
//! # let open = |dir| user.open(dir);
//! let project = open(dir.path())?.environment("ci")?; // `Project::open(dir)` outside of tests
//! let flow = project.flow(dir.path().join("hello.yaml"))?;
//! let context = project.context_for(&flow)?.build()?;
//! let report = Runner::new(flow, context).run().await?;
//! assert_eq!(report.output, Some("ci".into()));
//!
//! let last = project.run("last")?;
//! assert_eq!(last.view().settings().environment(), "ci");
//! # Ok(())
//! # }
//! ```
//!
//! This is the only library that reads the environment of its user, when a [`User`] is made or a project is opened by
//! [`Project::open`]; what is read then holds for as long as they live.

mod batch;
mod changed;
mod config;
mod context;
mod definitions;
mod diagnosis;
mod error;
mod explanation;
mod known_secrets;
mod listing;
mod logs;
mod new_files;
mod observability;
mod project;
mod run;
mod settings;
mod spending;
mod step_parts;
mod transcript;
mod user;

pub use batch::{Batch, BatchDriving, BatchRow, Expectation, Judge, Trial, Verdict};
pub use changed::DefinitionChoice;
pub use config::Environment;
pub use context::EnvironmentChange;
pub use definitions::{FoundDefinition, name_of_definition};
pub use diagnosis::{Check, CheckStatus, Diagnosis, ProviderCheck};
pub use error::ProjectError;
pub use explanation::{AnswerOrigin, Explanation, FailedAttempt};
pub use listing::{DefinitionEntry, VariableEntry};
pub use logs::{LogFilter, LogLine, LogSource, RunLogs};
pub use new_files::{NewFiles, Template, create_program};
pub use observability::{Observability, SignalConfig, TraceReceiver};
pub use project::Project;
pub use run::{ProjectRun, Resumption, WaitFor};
pub use settings::{Setting, SettingOrigin};
pub use spending::{SpendBy, Spending, SpendingRow, spending_of};
pub use step_parts::{StepPart, StepPartKind};
pub use transcript::{AttemptTranscript, CalledTool, ModelTurn, Transcript, Turn};
pub use user::User;
