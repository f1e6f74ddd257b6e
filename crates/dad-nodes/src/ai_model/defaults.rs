//! The values of options that a definition does not name.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ai_model::AIModelCallConfig;

/// The number of repetitions of a call that failed for a while.
pub(super) const RETRIES: u32 = 2;

/// The pause before the first of those calls, and the longest.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(1);
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The number of times that a model is asked again with the results of tools.
pub(super) const TOOL_ROUNDS: u32 = 10;

/// The number of times that the model is asked again for an answer that does not obey its schema.
pub(super) const REPAIRS: u32 = 2;

/// The options with the values that are in force where the definition names none. An option whose default is the provider's own,
/// such as `reasoning`, stays out: its value is not known here.
pub(super) fn effective(config: &AIModelCallConfig) -> Value {
    let config = config.clone();
    let has_tools = !config.tools.is_empty();
    let filled = AIModelCallConfig {
        streaming: config.streaming.or(Some(false)),
        max_tool_rounds: config.max_tool_rounds.or(has_tools.then_some(TOOL_ROUNDS)),
        structured_output: config.structured_output.map(|mut output| {
            output.repairs.get_or_insert(REPAIRS);
            output
        }),
        retries: config.retries.or(Some(RETRIES)),
        retry_delay: config.retry_delay.or(Some(RETRY_DELAY.as_secs_f64())),
        max_retry_delay: config.max_retry_delay.or(Some(MAX_RETRY_DELAY.as_secs_f64())),
        test_mode: config.test_mode.or(Some(false)),
        ..config
    };
    let mut effective = json!(filled);
    if let Some(fields) = effective.as_object_mut() {
        for name in ["options", "metadata"] {
            fields.entry(name).or_insert_with(|| json!({}));
        }
    }
    effective
}
