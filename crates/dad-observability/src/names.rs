//! Names of spans, attributes and instruments, and of the files they are written to.
//!
//! Names of ours begin with `dhenara.`. Those of OpenTelemetry are in [`genai`](crate::genai).

/// File of spans, below `.trace/`.
pub const TRACE_FILE: &str = "trace.jsonl";
/// File of instruments, below `.trace/`.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// File of log records, below `.trace/`.
pub const LOGS_FILE: &str = "logs.jsonl";

/// The instrumentation scope.
pub const SCOPE: &str = "dhenara";

/// The id of the run.
pub const RUN_ID: &str = "dhenara.run_id";
/// The kind of a span: the words of [`SpanType`](crate::SpanType).
pub const SPAN: &str = "dhenara.span";
/// The hierarchy path of a step, component, iteration or branch.
pub const PATH: &str = "dhenara.path";
/// The number of the process among those that drove the run one after the other, from 1.
pub const SESSION: &str = "dhenara.session";
/// The type of a node.
pub const NODE_TYPE: &str = "dhenara.node_type";
/// The kind of a component.
pub const KIND: &str = "dhenara.kind";
/// The number of an iteration, from 0.
pub const ITERATION: &str = "dhenara.iteration";
/// The status that something ended with.
pub const STATUS: &str = "dhenara.status";
/// The number of an attempt of a step, from 1; of a step that of its last one.
pub const ATTEMPT: &str = "dhenara.attempt";
/// The run that a reused result was taken from.
pub const REUSED_FROM: &str = "dhenara.reused_from";
/// Whether a result was reused, of an instrument.
pub const REUSED: &str = "dhenara.reused";
/// The run that a re-run was started from.
pub const RERUN_OF: &str = "dhenara.rerun_of";
/// Number of the journal record that a span ends with.
pub const SEQ: &str = "dhenara.seq";
/// US dollars, of a model call or of a step without one.
pub const COST: &str = "dhenara.cost";
/// Model calls that were answered from recorded exchanges, at no cost.
pub const REPLAYED: &str = "dhenara.replayed";
/// The file of a call's request and response, below the run directory.
pub const ARTIFACT: &str = "dhenara.artifact";
/// The number of a call among those of its kind in its step, from 1; its line in the artifact has it.
pub const CALL: &str = "dhenara.call";
/// The digest of a call's request, which its line in the artifact has as well.
pub const REQUEST_DIGEST: &str = "dhenara.request_digest";
/// The id of a question.
pub const QUESTION: &str = "dhenara.question";
/// The kind of answer to a question.
pub const QUESTION_KIND: &str = "dhenara.question.kind";
/// The party that answered a question.
pub const ANSWERED_BY: &str = "dhenara.answered_by";
/// The number of file operations.
pub const OPERATIONS: &str = "dhenara.file.operations";
/// The type of a single file operation.
pub const OPERATION: &str = "dhenara.file.operation";
/// The link of a span: `session`, `rerun` or `reuse`.
pub const LINK: &str = "dhenara.link";
/// Whether values of a record were cut in a message to a receiver; never in a file.
pub const TRUNCATED: &str = "dhenara.truncated";
/// The span around one that begins, in a record of its beginning.
pub const PARENT_SPAN_ID: &str = "dhenara.parent_span_id";

/// Event of a log record: a span begins.
pub const SPAN_START: &str = "dhenara.span.start";
/// Event of a log record: a process begins to drive the run.
pub const RUN_STARTED: &str = "dhenara.run.started";
/// Event of a log record: the run came to rest.
pub const RUN_ENDED: &str = "dhenara.run.ended";
/// Event of a log record: a component ended otherwise than well.
pub const COMPONENT_ENDED: &str = "dhenara.component.ended";
/// Event of a log record: a step ended.
pub const STEP_ENDED: &str = "dhenara.step.ended";
/// Event of a log record, and of a span: an attempt failed, and another will follow.
pub const ATTEMPT_FAILED: &str = "dhenara.attempt.failed";
/// Event of a log record: a question is asked.
pub const QUESTION_ASKED: &str = "dhenara.question.asked";
/// Event of a log record: a question is answered.
pub const QUESTION_ANSWERED: &str = "dhenara.question.answered";

/// Counter of steps that ended, by node type and status.
pub const STEPS: &str = "dhenara.steps";
/// Histogram of the durations of executed steps, in seconds, by node type.
pub const STEP_DURATION: &str = "dhenara.step.duration";
/// Counter of US dollars, by node type.
pub const COSTS: &str = "dhenara.cost";
/// Counter of attempts that failed and were followed by another.
pub const FAILED_ATTEMPTS: &str = "dhenara.attempts.failed";
