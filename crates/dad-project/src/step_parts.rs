//! The parts of a step in time: its attempts, and what each of them did.

use std::collections::HashMap;

use dad_core::{HierarchyPath, StepStatus, Timestamp, Usage};
use dad_fs::{Dir, optional};
use dad_models::internal::MODEL_CALL;
use dad_observability::{ReadSpan, genai, names, read_spans};
use dad_run::{MemoLine, RunError, layout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ProjectError;
use crate::run::ProjectRun;

/// The kind of a part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepPartKind {
    /// An attempt to execute the step; its parts follow it.
    Attempt,
    /// A call of a model.
    ModelCall,
    /// A call of a tool.
    ToolCall,
    /// A change of files.
    FileOperation,
    /// A command.
    Command,
    /// A wait, such as for a rate limit.
    Wait,
    /// Another exchange that was recorded.
    Exchange,
}

/// A part of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepPart {
    /// The kind it is of.
    pub kind: StepPartKind,
    /// The number of an attempt, the model of a call, or else the name of a part.
    pub name: String,
    /// When it began; `None` where only its end was recorded.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` if it did not.
    pub ended_at: Option<Timestamp>,
    /// Of an attempt: its status.
    pub status: Option<StepStatus>,
    /// Its consumption, where that is recorded.
    pub usage: Option<Usage>,
    /// Why it did not end well.
    pub error: Option<String>,
}

impl ProjectRun {
    /// The attempts of a step in the order in which they began, and behind each of them its parts: by the spans of the run, or where
    /// there are none by the exchanges that it recorded.
    ///
    /// # Errors
    /// If a record, exchange or the file of spans cannot be read.
    pub fn step_parts(&self, step: &HierarchyPath) -> Result<Vec<StepPart>, ProjectError> {
        let view = self.view();
        let mut spans = self.parts_by_spans(step)?;
        let has_spans = !spans.is_empty();
        let attempts = view.attempts(step)?;
        let mut parts = Vec::new();
        for (number, attempt) in attempts.iter().enumerate() {
            parts.push(StepPart {
                kind: StepPartKind::Attempt,
                name: attempt.attempt.to_string(),
                started_at: attempt.started_at,
                ended_at: attempt.ended_at,
                status: Some(attempt.status),
                usage: None,
                error: attempt.error.as_ref().map(|error| error.message.clone()),
            });
            if has_spans {
                let next = attempts.get(number + 1).and_then(|next| next.started_at);
                let is_of = |part: &mut StepPart| next.is_none_or(|next| part.started_at < Some(next));
                parts.extend(spans.extract_if(.., is_of));
            } else {
                parts.extend(view.exchanges(step, attempt)?.iter().map(part_of_exchange));
            }
        }
        Ok(parts)
    }

    /// The spans within a step, in the order in which they began; none without telemetry.
    fn parts_by_spans(&self, step: &HierarchyPath) -> Result<Vec<StepPart>, ProjectError> {
        let dir = Dir::open(self.view().dir()).map_err(RunError::from)?;
        let file = std::path::Path::new(layout::DOT_TRACE).join(names::TRACE_FILE);
        let Some(spans) = optional(dir.open_file(&file)).map_err(RunError::from)? else {
            return Ok(Vec::new());
        };
        // A span that was sent to the file twice counts once.
        let mut parts = HashMap::new();
        let read = read_spans(spans, |span| {
            if span.text(names::PATH) == Some(step.as_str())
                && let Some(part) = part_of_span(&span)
            {
                parts.insert(span.span_id, part);
            }
        });
        read.map_err(|error| RunError::Unreadable {
            path: dir.path().join(&file),
            reason: error.to_string(),
        })?;
        let mut parts: Vec<StepPart> = parts.into_values().collect();
        parts.sort_by(|a, b| (a.started_at, a.ended_at, &a.name).cmp(&(b.started_at, b.ended_at, &b.name)));
        Ok(parts)
    }
}

fn part_of_span(span: &ReadSpan) -> Option<StepPart> {
    let kind = serde_json::from_value(Value::from(span.text(names::SPAN)?)).ok()?;
    if matches!(kind, StepPartKind::Attempt | StepPartKind::Exchange) {
        return None;
    }
    let number = |name: &str| span.attributes.get(name).and_then(Value::as_u64);
    let tokens = [genai::INPUT_TOKENS, genai::OUTPUT_TOKENS].map(number);
    let [input, output] = tokens.map(Option::unwrap_or_default);
    let cost = span.attributes.get(names::COST).and_then(Value::as_f64);
    let usage = Usage::default()
        .calls(1)
        .prompt_tokens(input)
        .completion_tokens(output)
        .total_tokens(input + output)
        .cost(cost);
    let model = span
        .text(genai::REQUEST_MODEL)
        .filter(|_| kind == StepPartKind::ModelCall);
    let at = |nanos: u64| Timestamp::from_nanosecond(nanos.into()).ok();
    Some(StepPart {
        kind,
        name: model.unwrap_or(&span.name).to_owned(),
        started_at: at(span.from),
        ended_at: at(span.to),
        status: None,
        usage: tokens.iter().any(Option::is_some).then_some(usage),
        error: span.error.clone(),
    })
}

fn part_of_exchange(exchange: &MemoLine) -> StepPart {
    let is_call = exchange.name == MODEL_CALL;
    let model = exchange.request["model"].as_str().filter(|_| is_call);
    let usage = Usage::deserialize(&exchange.response["usage"]).ok();
    StepPart {
        kind: if is_call {
            StepPartKind::ModelCall
        } else {
            StepPartKind::Exchange
        },
        name: model.unwrap_or(&exchange.name).to_owned(),
        started_at: None,
        ended_at: Some(exchange.at),
        status: None,
        usage: usage.filter(|_| is_call),
        error: None,
    }
}
