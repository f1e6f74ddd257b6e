//! The names of a run directory.

/// The directory of dad-run itself: the truth about the run.
pub const DOT_RUN: &str = ".run";
/// The directory of observers.
pub const DOT_TRACE: &str = ".trace";
/// Below [`DOT_RUN`]: the resolved definition.
pub const DEFINITION: &str = "definition.json";
/// Below [`DOT_RUN`]: every definition that the run executed, by digest.
pub const DEFINITIONS: &str = "definitions";
/// Below [`DOT_RUN`]: where each part of the definition was written.
pub const SPANS: &str = "spans.json";
/// Below [`DOT_RUN`]: the append-only record of everything that counts.
pub const JOURNAL: &str = "journal.jsonl";
/// Below [`DOT_RUN`]: what was taken out of the journal because it was torn or damaged.
pub const TORN: &str = "torn";
/// Below [`DOT_RUN`]: of a re-run, what it was started from.
pub const PLAN: &str = "plan.json";
/// Below [`DOT_RUN`]: the tags and the note that people give the run, which are no part of its record.
pub const LABELS: &str = "labels.json";
/// Below [`DOT_RUN`], of a run that was imported: that it counts as another user's.
pub const IMPORTED: &str = "imported.json";
/// Below [`DOT_RUN`]: locked while a process drives the run.
pub const LEASE: &str = "lease";
/// Below [`DOT_RUN`]: where executing steps work, by the number of their `step_started` record.
pub const STAGE: &str = "stage";
/// Below [`DOT_RUN`]: what attempts that did not commit left behind.
pub const ATTEMPTS: &str = "attempts";
/// Below [`DOT_RUN`]: large fields of journal records, by digest.
pub const VALUES: &str = "values";
/// Below [`DOT_RUN`]: what is asked of people and other processes.
pub const QUESTIONS: &str = "questions";
/// Below [`DOT_RUN`]: what other processes tell the one that drives the run.
pub const INBOX: &str = "inbox";
/// Below [`DOT_TRACE`]: identity, status and usage for people and tools.
pub const METADATA: &str = "dad_metadata.json";
/// Files given to the run as a whole.
pub const STATIC_INPUTS: &str = "static_inputs";
/// Inputs by step, in [`STATIC_INPUTS`] and beside agents.
pub const STATIC_INPUTS_FILE: &str = "static_inputs.json";
/// The value of the definition's `output`.
pub const OUTPUT: &str = "output.json";
/// Totals of the run.
pub const RUN_SUMMARY: &str = "run_summary.json";
/// Totals of a component, in its directory.
pub const COMPONENT_RESULT: &str = "component_result.json";
/// The complete result of a step, in its directory.
pub const RESULT: &str = "result.json";
/// The outcome of a step alone, in its directory.
pub const OUTCOME: &str = "outcome.json";
/// The outcome of a step as text, in the directory of a step that asks for it.
pub const OUTCOME_TEXT: &str = "outcome.txt";
/// The state before execution, in the directory of a step whose node type has one.
pub const STATE: &str = "state.json";
/// The reads of a step beside its settings and input, in the directory of a step whose node type reports them.
pub const WORLD: &str = "world.json";
/// Why a step of a re-run executed: what differs from the previous run.
pub const CHANGES: &str = "changes.json";
/// The standard output of a command, in the directory of its step.
pub const STDOUT: &str = "stdout.log";
/// The standard error of a command, in the directory of its step.
pub const STDERR: &str = "stderr.log";
/// The text of an answer as it arrived, in the directory of a step that asked for it in pieces.
pub const STREAM: &str = "stream.txt";
/// The plan of the changes of files that a step makes, and under their digests the contents, in its directory.
pub const FILE_CHANGES: &str = "file_changes";
/// One line for each paid or effectful exchange inside a step.
pub const MEMO: &str = "memo.jsonl";
/// Files that nodes make besides.
pub const CUSTOM_ARTIFACTS: &str = "custom-artifacts";
/// Default name of the run root in a project.
pub const RUNS: &str = "runs";
/// In a directory of runs: those that are being deleted. No reader looks into it.
pub const TRASH: &str = ".trash";
/// In a directory of runs: locked while runs are moved to [`TRASH`] and deleted there.
pub const CATALOG_LOCK: &str = ".lock";
/// In the run root: data shared by runs.
pub const GLOBAL_DATA: &str = "global_data";
