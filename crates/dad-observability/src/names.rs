//! Names of spans, attributes and instruments, and of the files they are written to.

/// File of spans, below `.trace/`.
pub const TRACE_FILE: &str = "trace.jsonl";
/// File of instruments, below `.trace/`.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// File of log events, below `.trace/`.
pub const LOGS_FILE: &str = "logs.jsonl";

/// The instrumentation scope.
pub const SCOPE: &str = "dhenara";

/// The id of the run.
pub const RUN_ID: &str = "dhenara.run_id";
/// The hierarchy path of a step or component.
pub const PATH: &str = "dhenara.path";
/// The type of a node.
pub const NODE_TYPE: &str = "dhenara.node_type";
/// The status that something ended with.
pub const STATUS: &str = "dhenara.status";
/// The number of the last attempt of a step.
pub const ATTEMPT: &str = "dhenara.attempt";
/// The run that a reused result was taken from.
pub const REUSED_FROM: &str = "dhenara.reused_from";
/// Number of the journal record that a span ends with.
pub const SEQ: &str = "dhenara.seq";
/// US dollars.
pub const COST: &str = "dhenara.cost";
/// Tokens sent, by the name of the GenAI conventions.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens received, by the name of the GenAI conventions.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The stable word of an error.
pub const ERROR_TYPE: &str = "error.type";

/// Counter of steps that ended, by node type and status.
pub const STEPS: &str = "dhenara.steps";
/// Histogram of the durations of executed steps, in seconds, by node type.
pub const STEP_DURATION: &str = "dhenara.step.duration";
/// Counter of tokens, by node type and kind.
pub const TOKENS: &str = "dhenara.tokens";
/// Counter of US dollars, by node type.
pub const COSTS: &str = "dhenara.cost";
/// Counter of attempts that failed and were followed by another, by node type.
pub const FAILED_ATTEMPTS: &str = "dhenara.attempts.failed";
