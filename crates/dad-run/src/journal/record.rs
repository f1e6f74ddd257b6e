//! The records of a journal: its format. New fields are optional, and existing ones stay.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dad_core::{
    ComponentKind, Digest, ElementId, HierarchyPath, RunId, RunStatus, StepStatus, Timestamp, Usage,
};
use dad_events::{Origin, QuestionKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::journal::loops::LoopItems;
use crate::journal::reason::Reason;
use crate::journal::settings::RunSettings;
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::{ArtifactList, StoredRef, StoredValue};
use crate::journal::subject::{AnsweredBy, AskedAgain, PartName};
use crate::journal::text::{RecordSource, RecordText, RecordedError};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// The sequence number, starting at 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The content.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// The content of a journal record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordBody {
    /// The first record.
    RunCreated {
        /// Version of the run directory.
        schema_version: u32,
        /// The run.
        run_id: RunId,
        /// Its root component.
        root_id: ElementId,
        /// Digest of the definition's canonical JSON.
        definition_digest: Digest,
        /// The run it was started from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<RunId>,
        /// Digest of `plan.json`, of a re-run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan_digest: Option<Digest>,
        /// The id of the key that its driver signs with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// The salt for digests of values that must not be guessed: 32 hexadecimal digits, the same in re-runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt: Option<String>,
    },
    /// The user decided that a run of another origin is resumed as one of theirs.
    Trusted {
        /// The sum of the line before.
        trusts: String,
    },
    /// The journal was damaged, and the user continues with its whole beginning.
    Repaired {
        /// The length in bytes of what was kept.
        cut_at: u64,
        /// The sum of the last line that was kept.
        kept_sum: String,
        /// The copy of the damaged journal, a name in `.run/torn/`.
        aside: String,
        /// Steps of which it is not known how far they got.
        uncertain: StoredValue,
        /// Of a run that was begun in an older format: the format from this line on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema_version: Option<u32>,
        /// Of a run that was begun in an older format: digest of all lines before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prev: Option<Digest>,
    },
    /// A process begins to drive the run.
    RunStarted(SessionStart),
    /// Another process goes on.
    RunResumed(SessionStart),
    /// The inputs from outside.
    Inputs {
        /// Variables by name.
        variables: StoredValue,
        /// The options that the run was started with.
        options: Map<String, Value>,
        /// Digest of `static_inputs/static_inputs.json`, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        static_inputs_digest: Option<Digest>,
    },
    /// A component was entered.
    ComponentStarted {
        /// Its place.
        path: HierarchyPath,
        /// The kind it is of.
        kind: ComponentKind,
        /// Its variables, evaluated.
        variables: StoredValue,
    },
    /// A component was left.
    ComponentCompleted {
        /// Its place.
        path: HierarchyPath,
        /// Its final status.
        status: StepStatus,
        /// Of all steps in it.
        totals: Totals,
        /// Of a loop: how many iterations were begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iterations: Option<u64>,
        /// The first failure, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<RecordedError>,
        /// Whether the run continues behind it although it failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        absorbed: bool,
    },
    /// A conditional decided.
    BranchTaken {
        /// The conditional.
        path: HierarchyPath,
        /// The value of its condition.
        branch: bool,
    },
    /// The items of a loop were evaluated.
    LoopStarted {
        /// The loop.
        path: HierarchyPath,
        /// Its items.
        items: LoopItems,
        /// Their number.
        count: u64,
        /// The number of the first iteration, as its variable has it.
        start_index: i64,
    },
    /// It was decided whether a loop ends after an iteration.
    LoopDecided {
        /// The loop.
        path: HierarchyPath,
        /// The iteration that was just finished, from 0.
        iteration: u64,
        /// Whether it was the last.
        stop: bool,
    },
    /// A step or component asks, and no handler in the process answers.
    Question {
        /// The question's id, which names its file.
        id: String,
        /// The step.
        path: HierarchyPath,
        /// The kind of the requested answer.
        kind: QuestionKind,
        /// JSON Schema of the answer.
        schema: StoredValue,
        /// Digest of `.run/questions/<id>.json`, by which a person decides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<Digest>,
        /// Of an input: stands for what is asked, so that a re-run knows the same question.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Digest>,
        /// The parts of `asked`: the beginning of a digest by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        about: BTreeMap<PartName, String>,
        /// Why it is asked although the previous run has an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_again: Option<AskedAgain>,
        /// Of an approval: the file in `.run/values/` with all that is shown, where that is long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts_file: Option<StoredRef>,
    },
    /// A step or component was given its input, or an approval was answered.
    Answered {
        /// The step or component.
        path: HierarchyPath,
        /// The requested name.
        #[serde(default, skip_serializing_if = "is_input")]
        kind: QuestionKind,
        /// Of an approval: digest of what was shown, which it holds for.
        #[serde(default, skip_serializing_if = "Option::is_none", alias = "fingerprint")]
        facts: Option<Digest>,
        /// The question, if one was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The party that gave it.
        source: RecordSource,
        /// The way it came about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<AnsweredBy>,
        /// The place in the previous run that it is reused from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Origin>,
        /// Of an input that is asked for: stands for what was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Digest>,
        /// The parts of `asked`: the beginning of a digest by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        about: BTreeMap<PartName, String>,
        /// Why it was asked although the previous run has an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_again: Option<AskedAgain>,
        /// The input.
        input: StoredValue,
        /// Of an approval: the rule that decided, or the one by which it counts for the rest of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<StoredValue>,
    },
    /// A step begins to execute.
    StepStarted {
        /// The step.
        path: HierarchyPath,
        /// From 1.
        attempt: u32,
        /// Why it executes.
        reason: Reason,
        /// The step that had an effect before it, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<HierarchyPath>,
        /// Whether it has an effect, after which what depends on the world cannot be reused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        effect: bool,
        /// The epoch of the driver that began it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u32>,
    },
    /// A child process was started.
    ProcessStarted {
        /// The step.
        path: HierarchyPath,
        /// Its process group.
        pgid: u32,
        /// When it was started, in clock ticks since boot where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_time: Option<u64>,
        /// The machine that it executes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Which start of that machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_id: Option<String>,
        /// The token of its driver, in its environment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// An attempt failed and another will follow.
    AttemptFailed {
        /// The step.
        path: HierarchyPath,
        /// From 1.
        attempt: u32,
        /// Why.
        error: RecordedError,
        /// When the next one begins.
        retry_at: Timestamp,
        /// The usage of the failed attempt.
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    /// A step ended: the commit point.
    StepCommitted(Box<StepCommitted>),
    /// The user or another process intervened.
    Control {
        /// The kind of intervention.
        kind: ControlKind,
        /// The step or component; `None` for the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<HierarchyPath>,
        /// The party that intervened, for people.
        source: RecordSource,
        /// Why, or how much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// An event of the application.
    Custom {
        /// Its name.
        name: RecordText<{ 4 * 1024 }>,
        /// The step or component that it was published for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<HierarchyPath>,
        /// The payload.
        payload: StoredValue,
    },
    /// The run came to rest.
    RunSealed {
        /// How.
        status: RunStatus,
        /// Why, if not well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<RecordedError>,
        /// Of all steps.
        totals: Totals,
        /// The number of questions that wait for an answer.
        #[serde(default, skip_serializing_if = "is_zero")]
        open_questions: u64,
        /// Digest of `output.json`, if the definition has an output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Digest>,
    },
    /// A record of a newer version.
    #[serde(other)]
    Unknown,
}

impl RecordBody {
    /// The step or component that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&HierarchyPath> {
        match self {
            Self::ComponentStarted { path, .. }
            | Self::ComponentCompleted { path, .. }
            | Self::BranchTaken { path, .. }
            | Self::LoopStarted { path, .. }
            | Self::LoopDecided { path, .. }
            | Self::Question { path, .. }
            | Self::Answered { path, .. }
            | Self::StepStarted { path, .. }
            | Self::ProcessStarted { path, .. }
            | Self::AttemptFailed { path, .. } => Some(path),
            Self::StepCommitted(step) => Some(&step.path),
            Self::Control { path, .. } => path.as_ref(),
            _ => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_input(kind: &QuestionKind) -> bool {
    *kind == QuestionKind::Input
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The kind of an intervention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlKind {
    /// It is to stop.
    Cancel,
    /// It may consume something else.
    Budget,
    /// The step counts as skipped.
    Skip,
    /// The step counts as failed.
    Fail,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

/// The process that drives a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Driver {
    /// The number of processes that have driven the run, this one included.
    pub epoch: u32,
    /// Its process id.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// The identifier of this boot of the machine, where the system has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The version of dad-run.
    pub version: String,
    /// The run directory, as this process names it.
    #[serde(default)]
    pub run_dir: PathBuf,
    /// The run root.
    #[serde(default)]
    pub run_root: PathBuf,
    /// The project.
    #[serde(default)]
    pub project_root: PathBuf,
    /// The commit the project was at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
}

/// The beginning of a session: the time in which one process drives the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionStart {
    /// The process.
    #[serde(flatten)]
    pub driver: Driver,
    /// Of a run that was begun in an older format: the format from this line on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// Of a run that was begun in an older format: digest of all lines before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// Digest of the definition that it executes, in `.run/definitions/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// The token in the environment of its children, by which they are recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The settings that it drives the run with.
    #[serde(flatten)]
    pub settings: RunSettings,
    /// Of a resumed run: the names of those settings that were given anew, and differ from what was recorded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

impl RecordBody {
    /// The text for people in `.run/values/` that the record names, if it names one.
    pub(crate) fn stored_text(&self) -> Option<StoredRef> {
        match self {
            Self::Question { facts_file, .. } => *facts_file,
            _ => None,
        }
    }

    /// The values in `.run/values/` that the record names.
    pub(crate) fn stored(&self) -> impl Iterator<Item = StoredRef> {
        let rule = match self {
            Self::Answered {
                rule: Some(StoredValue::Stored(stored)),
                ..
            } => Some(*stored),
            _ => None,
        };
        self.stored_value().into_iter().chain(rule)
    }

    fn stored_value(&self) -> Option<StoredRef> {
        let value = match self {
            Self::Inputs { variables, .. } | Self::ComponentStarted { variables, .. } => variables,
            Self::LoopStarted {
                items: LoopItems::List(items),
                ..
            } => items,
            Self::Question { schema, .. } => schema,
            Self::Answered { input, .. } => input,
            Self::Custom { payload, .. } => payload,
            Self::Repaired { uncertain, .. } => uncertain,
            Self::StepCommitted(step) => match &step.artifacts {
                ArtifactList::Stored { stored } => return Some(*stored),
                ArtifactList::Inline(_) => return None,
            },
            _ => return None,
        };
        match value {
            StoredValue::Stored(stored) => Some(*stored),
            StoredValue::Value(_) => None,
        }
    }
}
