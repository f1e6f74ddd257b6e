//! Run directories: identity, journal, artifacts, lease, re-run plan and the catalogue of runs.
//!
//! A [`RunContext`] says everything about a run that is not in its definition. [`RunContext::setup_run`] checks all of
//! it, then makes the directory and gives an [`ActiveRun`], whose owner ends it by [`ActiveRun::complete_run`]. Runs
//! that were made are found by a [`Catalog`] and read by a [`RunView`].
//!
//! The journal is the only source of status. A step is committed when its record is in the journal, and by then its
//! files are complete under their final names; every prefix of this order is a state that a reader understands.
//!
//! ```no_run
//! use dad_run::{Catalog, RunView};
//!
//! let root = std::path::Path::new("runs");
//! let last = Catalog::new(root, root).find("last", None)?;
//! for step in RunView::open(&last.dir)?.steps() {
//!     println!("{} {}", step.path, step.status);
//! }
//! # Ok::<(), dad_run::RunError>(())
//! ```

mod adopt;
mod answering;
mod approval;
mod batch;
mod budget;
mod builder;
mod catalog;
mod changes;
mod clock;
mod context;
mod control;
mod decide;
mod descriptors;
mod drive;
pub mod driver;
mod edit;
mod end;
mod error;
mod excerpt;
mod files;
mod format;
mod git_commit;
mod inbox;
mod inner;
mod inputs;
mod journal;
pub mod layout;
mod lease;
mod machine;
mod masking;
mod memo;
mod normalise;
mod order;
mod origin;
mod origin_key;
mod original;
mod plan;
mod preview;
mod project;
mod projection;
mod question;
mod reader;
mod recorded;
mod repair;
mod replay;
mod requests;
mod resources;
mod resume;
mod retention;
mod rules;
mod run;
mod secrets;
mod settings;
mod shown;
mod step;
mod stop;
mod subject;
mod verify;
mod view;

pub use adopt::adopted;
pub use approval::{ApprovalAnswer, approval_schema};
pub use budget::{Available, BudgetExceeded, Estimate, Reservation};
pub use builder::RunContextBuilder;
pub use catalog::{Catalog, RunEntry, Survey};
pub use changes::{Change, ChangeKind, Changes, Compared};
pub use clock::{Clock, SystemClock};
pub use context::{Dirs, PreparedRun, RunContext, missing_variable};
pub use dad_events::QuestionKind;
pub use dad_fs::{Durability, Share};
pub use decide::{
    FingerprintMatch, PreviousResult, Purity, Reason, Requested, ReuseInputs, Verdict, decide, is_result,
};
pub use descriptors::{DescriptorPermit, Descriptors};
pub use edit::Edit;
pub use end::RunEnd;
pub use error::{RunError, RunErrorKind};
pub use excerpt::shorten_diff;
pub use files::RunFiles;
pub use git_commit::git_common_dir;
pub use inbox::{Message, MessageBody, request_cancel};
pub use inputs::GivenInput;
pub use inputs::{check_component_input, variables_of};
pub use journal::record::{
    ArtifactList, ControlKind, Driver, LoopItems, RangeBounds, Record, RecordBody, SessionStart,
    StepCommitted, StoredRef, StoredValue, Totals,
};
pub use journal::text::{RecordSource, RecordText, RecordedError};
pub use machine::{TOKEN_VARIABLE, process_start_time};
pub use memo::MemoLine;
pub use normalise::Normaliser;
pub use order::{Child, EntryPoint, EntryRelation, Part, RunOrder};
pub use origin::{EndedProcess, LeftProcess, Origin};
pub use origin_key::OriginKey;
pub use original::{OriginalElement, OriginalRun};
pub use plan::{
    Decision, PlannedAnswer, PlannedStep, Recorded, RerunPlan, RunPlace, origin_of, plan_by_fingerprint,
    plan_from_entry_point,
};
pub use preview::RunPreview;
pub use project::{ProjectTrust, find_project_root, find_project_root_from, foreign_owner};
pub use projection::{Metadata, Summary};
pub use question::{Answer, Question};
pub use reader::ResultReader;
pub use recorded::{DefinitionChanges, RecordedDefinition};
pub use repair::{Repair, RepairDecision, UncertainStep};
pub use requests::RerunRequests;
pub use resources::Resources;
pub use resume::Settled;
pub use retention::{
    Failure, Inventory, KeepReason, Leftover, PlannedRun, PrunePlan, PruneReport, RetentionPolicy, StoredRun,
    Unreadable, plan_prune,
};
pub use rules::{RuleOrigin, Ruling};
pub use run::{ActiveRun, RunHandle, RunScope, SealedRun};
pub use secrets::{SecretError, SecretSource, Variables, credentials_file};
pub use settings::{ReplayFrom, ReplaySource, RunSettings};
pub use shown::{FactsFile, Shown};
pub use stop::RunStop;
pub use subject::{About, AnswerWish, AnsweredBy, AskedAgain, PartName, Recalled, Subject};
pub use verify::{Damage, Verification};
pub use view::{OpenQuestion, RunView, ViewEntry};
