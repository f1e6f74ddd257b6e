//! What a node gives, as it may be recorded: readable again, and without secrets.

use dad_core::json::check_recorded;
use dad_core::{ErrorInfo, Redactor};

use crate::node::{NodeError, NodeOutput};

/// What a node gives, unless it could not be read again if it was recorded.
pub(crate) fn recordable(executed: Result<NodeOutput, NodeError>) -> Result<NodeOutput, NodeError> {
    let (unfit, usage) = {
        let output = match &executed {
            Ok(output) => output,
            Err(error) => &error.partial,
        };
        let values = [Some(&output.outcome), output.output.as_ref()];
        let unfit = values
            .into_iter()
            .flatten()
            .find_map(|value| check_recorded(value).err());
        (unfit, output.usage)
    };
    // What it consumed counts all the same.
    let spent = || NodeOutput {
        usage,
        ..NodeOutput::default()
    };
    match (unfit, executed) {
        (None, executed) => executed,
        (Some(unfit), Ok(_)) => {
            let message = format!("what the node gives cannot be recorded: {unfit}");
            let error = NodeError::new(unfit.code(), message).permanent();
            Err(error.with_partial(spent()))
        }
        (Some(_), Err(error)) => Err(error.with_partial(spent())),
    }
}

pub(crate) fn redact_error(redactor: &Redactor, error: &mut ErrorInfo) {
    error.message = redactor.redact(&error.message).into_owned();
    if let Some(hint) = &mut error.hint {
        *hint = redactor.redact(hint).into_owned();
    }
}

pub(crate) fn redact_output(redactor: &Redactor, output: &mut NodeOutput) {
    redactor.redact_json(&mut output.outcome);
    if let Some(all) = &mut output.output {
        redactor.redact_json(all);
    }
    if let Some(summary) = &mut output.summary {
        *summary = redactor.redact(summary).into_owned();
    }
}
