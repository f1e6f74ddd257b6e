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

mod clock;
mod document;
mod error;
mod files;
mod format;
mod free_name;
mod git_commit;
mod host;
mod journal;
pub mod layout;
mod live;
mod origin;
mod origin_key;
mod parallel;
mod process_group;
mod rerun;
mod setup;
mod store;

pub mod driver {
    //! Driving a run: everything that executes the definition records what it decides and does through a [`RunDriver`], of
    //! which a run has one at a time. Nodes have a [`RunHandle`](crate::RunHandle), which records nothing.
    //!
    //! What a runner gives to be recorded are structs that it writes whole: a new part of a record is a break of this module, so
    //! that no runner leaves it out without a decision.

    pub use crate::journal::loops::{Items, LoopStart};
    pub use crate::journal::settled::Settled;
    pub use crate::journal::subject::About;
    pub use crate::live::approval::approval_schema;
    pub use crate::live::budget::StepAccount;
    pub use crate::live::commit::CommitDetails;
    pub use crate::live::component::{ComponentEnd, EnteredComponent};
    pub use crate::live::driver::{RunControl, RunDriver};
    pub use crate::live::inputs::{check_component_input, variables_of};
    pub use crate::live::interrupted::Interrupted;
    pub use crate::live::questions::{NewAnswer, NewQuestion};
    pub use crate::live::result_store::ResultStore;
    pub use crate::live::rules::{RuleOrigin, Ruling};
    pub use crate::live::shown::Shown;
    pub use crate::live::staged_step::{StagedStep, StepStart};
    pub use crate::live::stoppable::Stoppable;
    pub use crate::setup::prepare::missing_variable;
}

pub mod reuse {
    //! The rules of a re-run, pure functions over records: which results stand, and in which order a definition is executed.

    pub use crate::rerun::changes::Compared;
    pub use crate::rerun::decide::{
        FingerprintMatch, PreviousResult, Purity, Requested, ReuseInputs, Verdict, decide, is_result,
    };
    pub use crate::rerun::normalise::Normaliser;
    pub use crate::rerun::order::{Child, EntryPoint, EntryRelation, Part, RunOrder};
    pub use crate::rerun::planner::origin_of;
    pub use crate::rerun::requests::{AnswerWish, RerunRequests};
    pub use crate::store::recall::Recalled;
}

pub use dad_events::QuestionKind;
pub use dad_fs::{Durability, Share};

pub use self::clock::{Clock, SystemClock};
pub use self::error::{NextStep, RunError, RunErrorKind, SetupError};
pub use self::files::RunFiles;
pub use self::journal::loops::{LoopItems, RangeBounds};
pub use self::journal::place::RunPlace;
pub use self::journal::reason::Reason;
pub use self::journal::record::{ControlKind, Driver, Record, RecordBody, SessionStart};
pub use self::journal::settings::{ReplayFrom, ReplaySource, RunSettings};
pub use self::journal::settled::Settled;
pub use self::journal::state::{OpenQuestion, ViewEntry};
pub use self::journal::step_committed::{StepCommitted, Totals};
pub use self::journal::stored::{ArtifactList, StoredRef, StoredValue};
pub use self::journal::subject::{AnsweredBy, AskedAgain, PartName, Subject};
pub use self::journal::text::{RecordSource, RecordText, RecordedError};
pub use self::live::accounts::{Available, BudgetExceeded, Estimate};
pub use self::live::active_run::ActiveRun;
pub use self::live::approval::ApprovalAnswer;
pub use self::live::budget::Reservation;
pub use self::live::descriptors::{DescriptorPermit, Descriptors};
pub use self::live::end::RunEnd;
pub use self::live::handle::RunHandle;
pub use self::live::inputs::GivenInput;
pub use self::live::projections::{Metadata, Summary};
pub use self::live::resources::Resources;
pub use self::live::scope::RunScope;
pub use self::live::sealed_run::SealedRun;
pub use self::live::stop::RunStop;
pub use self::origin::Origin;
pub use self::origin_key::OriginKey;
pub use self::process_group::{TOKEN_VARIABLE, process_start_time};
pub use self::rerun::changes::{Change, ChangeKind, Changes};
pub use self::rerun::edit::Edit;
pub use self::rerun::plan::{Decision, PlannedAnswer, PlannedStep, RerunPlan};
pub use self::rerun::word_diff::{WordChange, changed_words};
pub use self::setup::builder::RunContextBuilder;
pub use self::setup::context::RunContext;
pub use self::setup::dirs::Dirs;
pub use self::setup::prepare::PreparedRun;
pub use self::setup::preview::RunPreview;
pub use self::setup::project::{ProjectTrust, find_project_root, find_project_root_from, foreign_owner};
pub use self::setup::secrets::{SecretError, SecretSource, Variables, credentials_file};
pub use self::store::archive::ImportedRun;
pub use self::store::attempts::StepAttempt;
pub use self::store::catalog::{Catalog, RunListing};
pub use self::store::children::{EndedProcess, LeftProcess};
pub use self::store::consumption::Consumption;
pub use self::store::definition_file::{DefinitionChanges, RecordedDefinition};
pub use self::store::diff::{RunDiff, RunSide, StepDiff, StepSide};
pub use self::store::filter::RunFilter;
pub use self::store::follow::RunFollower;
pub use self::store::index::{
    ChangedNodes, FindNodes, FoundNodes, IndexedNode, IndexedStep, NodeKind, NodeRange, PlacedNode, RunIndex,
};
pub use self::store::inventory::{Inventory, Leftover, StoredRun};
pub use self::store::labels::{Labels, ParseTagError, Tag};
pub use self::store::memo_file::MemoLine;
pub use self::store::message::{Answer, Message, MessageBody, request_cancel};
pub use self::store::original::{OriginalElement, OriginalRun};
pub use self::store::prune::{Failure, PruneReport};
pub use self::store::question_file::{FactsFile, Question};
pub use self::store::repair::{Repair, RepairDecision, UncertainStep};
pub use self::store::retention::{KeepReason, PlannedRun, PrunePlan, RetentionPolicy, plan_prune};
pub use self::store::run_document::RunDocument;
pub use self::store::run_entry::{RunEntry, Unreadable};
pub use self::store::search::{
    FoundRun, FoundText, SearchFindings, SearchText, SearchTextError, search_runs,
};
pub use self::store::timeline::{
    Activity, LoopSummary, RowKind, SlowIteration, SlowStep, Stretch, TimeSpent, Timeline, TimelineOptions,
    TimelineRow,
};
pub use self::store::verify::{Damage, Verification};
pub use self::store::view::RunView;

/// Helpers that the crates of the run system share. They are no part of the public interface: any version may change them.
#[doc(hidden)]
pub mod internal {
    pub use crate::git_commit::git_common_dir;
    pub use crate::live::adopt::adopted;
    pub use crate::parallel::in_parallel;
    pub use crate::rerun::diff_excerpt::shorten_diff;
}
