//! The format of answers to approvals.

use serde_json::{Value, json};

/// An answer to a question for approval. A closed set.
#[derive(Clone, Debug, PartialEq)]
pub enum ApprovalAnswer {
    /// It executes as it is: `{"approve": true}`; with `"for_run": true` the same executes in the rest of the run without a
    /// question.
    Yes {
        /// Whether the same is agreed to for the rest of the run.
        for_run: bool,
    },
    /// It fails: `{"approve": false, "reason": "…"}`; the reason may be left out.
    No(Option<String>),
    /// It is worked out again with another input, and asked about again: `{"input": {…}}`.
    Edited(Value),
}

impl ApprovalAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Which field does not fit, and what was expected.
    pub fn parse(answer: &Value) -> Result<Self, String> {
        const WANTED: &str = "expected {\"approve\": true}, {\"approve\": true, \"for_run\": true}, {\"approve\": false, \"reason\": …} or {\"input\": {…}}";
        let fields = answer
            .as_object()
            .ok_or_else(|| format!("an approval is an object: {WANTED}"))?;
        let known = ["approve", "for_run", "reason", "input"];
        if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown field `{unknown}`: {WANTED}"));
        }
        let reason = match fields.get("reason") {
            None | Some(Value::Null) => None,
            Some(Value::String(reason)) => Some(reason.clone()),
            Some(_) => return Err("`reason` must be a text".to_owned()),
        };
        let for_run = match fields.get("for_run") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(for_run)) => *for_run,
            Some(_) => return Err("`for_run` must be true or false".to_owned()),
        };
        match (fields.get("approve"), fields.get("input")) {
            (Some(Value::Bool(true)), None) if reason.is_none() => Ok(Self::Yes { for_run }),
            (Some(Value::Bool(false)), None) if !for_run => Ok(Self::No(reason)),
            (None, Some(input)) if reason.is_none() && !for_run => Ok(Self::Edited(input.clone())),
            _ => Err(WANTED.to_owned()),
        }
    }
}

/// JSON Schema of an answer to a question for approval; `input` is the one of another input.
#[must_use]
pub fn approval_schema(input: &Value) -> Value {
    json!({
        "description": "Yes, no, or another input to work it out with.",
        "oneOf": [
            {
                "type": "object",
                "required": ["approve"],
                "additionalProperties": false,
                "properties": { "approve": { "const": true }, "for_run": { "type": "boolean" } },
            },
            {
                "type": "object",
                "required": ["approve"],
                "additionalProperties": false,
                "properties": { "approve": { "const": false }, "reason": { "type": "string" } },
            },
            {
                "type": "object",
                "required": ["input"],
                "additionalProperties": false,
                "properties": { "input": input },
            },
        ],
    })
}
