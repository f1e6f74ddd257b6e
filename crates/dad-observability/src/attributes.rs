//! Names and attributes of spans.

use dad_core::{ComponentKind, HierarchyPath, NodeType, Usage};
use dad_events::activity::{Command, FileOperations, ModelAnswer, ModelCall, ToolCall};
use dad_events::{Activity, ActivityEnded, RunInfo, StepEnded};
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::content::Capture;
use crate::genai;
use crate::names;
use crate::open_spans::SpanType;
use crate::otlp::{attribute, integer, texts};
use crate::traces::operation_of;

/// The file of exchanges in the directory of a step.
const MEMO: &str = "memo.jsonl";

pub(crate) fn of_session(run: &RunInfo) -> Vec<KeyValue> {
    let parent = run.previous_run_id.as_ref();
    let parent = parent.map(|parent| attribute(names::RERUN_OF, parent.to_string()));
    [integer(names::SESSION, run.session)]
        .into_iter()
        .chain(parent)
        .collect()
}

pub(crate) fn name_of_component(path: &HierarchyPath, kind: ComponentKind) -> String {
    match operation_of(kind) {
        Some(operation) => format!("{operation} {}", path.leaf()),
        None => path.leaf().to_owned(),
    }
}

pub(crate) fn of_component(path: &HierarchyPath, kind: ComponentKind) -> Vec<KeyValue> {
    let mut attributes = vec![
        attribute(names::PATH, path.as_str().to_owned()),
        attribute(names::KIND, kind.as_str()),
    ];
    if let Some(operation) = operation_of(kind) {
        let name = match kind {
            ComponentKind::Agent => genai::AGENT_NAME,
            _ => genai::WORKFLOW_NAME,
        };
        attributes.push(attribute(genai::OPERATION_NAME, operation));
        attributes.push(attribute(name, path.leaf().to_owned()));
    }
    attributes
}

pub(crate) fn of_step(path: &HierarchyPath, node_type: &NodeType) -> Vec<KeyValue> {
    vec![
        attribute(names::PATH, path.as_str().to_owned()),
        attribute(names::NODE_TYPE, node_type.to_string()),
    ]
}

/// The attributes of a step at its end. What it took stands on its calls of models, else on the step, and never on both.
pub(crate) fn of_ended_step(ended: &StepEnded, has_calls: bool) -> Vec<KeyValue> {
    let mut attributes = vec![integer(names::ATTEMPT, ended.attempt)];
    if let Some(origin) = ended.taken_from() {
        attributes.push(attribute(names::REUSED_FROM, origin.run_id.to_string()));
    }
    if !has_calls {
        attributes.extend(of_usage(&ended.usage));
    }
    attributes
}

fn of_usage(usage: &Usage) -> impl Iterator<Item = KeyValue> {
    let tokens = [
        (genai::INPUT_TOKENS, usage.prompt_tokens),
        (genai::OUTPUT_TOKENS, usage.completion_tokens),
        (genai::CACHE_READ_TOKENS, usage.cached_tokens),
        (genai::CACHE_WRITE_TOKENS, usage.cache_write_tokens),
        (genai::REASONING_TOKENS, usage.reasoning_tokens),
        (names::REPLAYED, usage.replayed),
    ];
    let tokens = tokens.into_iter().filter(|(_, tokens)| *tokens > 0);
    let tokens = tokens.map(|(name, tokens)| integer(name, tokens));
    tokens.chain(usage.cost.map(|cost| attribute(names::COST, cost)))
}

pub(crate) fn name_of_activity(activity: &Activity) -> (SpanType, String) {
    match activity {
        Activity::ModelCall(call) => (SpanType::ModelCall, format!("{} {}", genai::CHAT, call.model)),
        Activity::ToolCall(call) => (
            SpanType::ToolCall,
            format!("{} {}", genai::EXECUTE_TOOL, call.name),
        ),
        // A command that names no program fails, and has a span as well.
        Activity::Command(command) if command.program.is_empty() => {
            (SpanType::Command, activity.as_str().to_owned())
        }
        Activity::Command(command) => (SpanType::Command, command.program.clone()),
        Activity::FileOperation(FileOperations { operation, .. }) => {
            let name = operation.as_deref().unwrap_or("file_operations");
            (SpanType::FileOperation, name.to_owned())
        }
        other => (SpanType::Command, other.as_str().to_owned()),
    }
}

pub(crate) fn of_activity(path: &HierarchyPath, activity: &Activity, capture: Capture) -> Vec<KeyValue> {
    let mut attributes = vec![attribute(names::PATH, path.as_str().to_owned())];
    match activity {
        Activity::ModelCall(call) => {
            of_model_call(&mut attributes, path, call);
            of_request_content(&mut attributes, call, capture);
        }
        Activity::ToolCall(call) => of_tool_call(&mut attributes, call, capture),
        Activity::Command(command) => of_command(&mut attributes, command, capture),
        Activity::FileOperation(operations) => of_file_operations(&mut attributes, operations),
        _ => {}
    }
    attributes
}

fn of_model_call(attributes: &mut Vec<KeyValue>, path: &HierarchyPath, call: &ModelCall) {
    attributes.push(attribute(genai::OPERATION_NAME, genai::CHAT));
    let provider = genai::provider(&call.provider).to_owned();
    attributes.push(attribute(genai::PROVIDER_NAME, provider));
    attributes.push(attribute(genai::REQUEST_MODEL, call.model.clone()));
    let address = call.server_address.clone();
    attributes.extend(address.map(|address| attribute(genai::SERVER_ADDRESS, address)));
    attributes.extend(call.server_port.map(|port| integer(genai::SERVER_PORT, port)));
    let memo = path.to_relative_dir().join(MEMO);
    attributes.push(attribute(names::ARTIFACT, memo.display().to_string()));
    attributes.push(integer(names::CALL, call.number));
    let digest = call.request_digest.as_ref();
    attributes.extend(digest.map(|digest| attribute(names::REQUEST_DIGEST, digest.to_string())));
    if call.streaming {
        attributes.push(attribute(genai::REQUEST_STREAM, true));
    }
    if call.json {
        attributes.push(attribute(genai::OUTPUT_TYPE, "json"));
    }
    let numbers = [
        (genai::REQUEST_TEMPERATURE, call.temperature),
        (genai::REQUEST_TOP_P, call.top_p),
        (genai::REQUEST_FREQUENCY_PENALTY, call.frequency_penalty),
        (genai::REQUEST_PRESENCE_PENALTY, call.presence_penalty),
    ];
    let numbers = numbers
        .into_iter()
        .filter_map(|(name, number)| Some(attribute(name, number?)));
    let integers = [
        (genai::REQUEST_MAX_TOKENS, call.max_tokens.map(i64::from)),
        (genai::REQUEST_TOP_K, call.top_k.map(i64::from)),
        (genai::REQUEST_SEED, call.seed),
    ];
    let integers = integers
        .into_iter()
        .filter_map(|(name, number)| Some(attribute(name, number?)));
    attributes.extend(numbers.chain(integers));
    if !call.stop_sequences.is_empty() {
        attributes.push(texts(genai::REQUEST_STOP_SEQUENCES, &call.stop_sequences));
    }
    let level = call.reasoning_level.clone();
    attributes.extend(level.map(|level| attribute(genai::REQUEST_REASONING_LEVEL, level)));
}

fn of_request_content(attributes: &mut Vec<KeyValue>, call: &ModelCall, capture: Capture) {
    let Some(content) = &call.content else { return };
    let parts = [
        (genai::SYSTEM_INSTRUCTIONS, &content.system),
        (genai::INPUT_MESSAGES, &content.messages),
        (genai::TOOL_DEFINITIONS, &content.tools),
    ];
    for (name, part) in parts {
        capture.add(attributes, name, part);
    }
}

fn of_tool_call(attributes: &mut Vec<KeyValue>, call: &ToolCall, capture: Capture) {
    attributes.push(attribute(genai::OPERATION_NAME, genai::EXECUTE_TOOL));
    attributes.push(attribute(genai::TOOL_NAME, call.name.clone()));
    attributes.push(attribute(genai::TOOL_TYPE, "function"));
    let texts = [
        (genai::TOOL_CALL_ID, &call.call_id),
        (genai::TOOL_DESCRIPTION, &call.description),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some(attribute(name, text.clone()?)));
    attributes.extend(texts);
    if let Some(arguments) = &call.arguments {
        capture.add(attributes, genai::TOOL_CALL_ARGUMENTS, arguments);
    }
}

fn of_command(attributes: &mut Vec<KeyValue>, command: &Command, capture: Capture) {
    attributes.push(attribute(genai::EXECUTABLE_NAME, command.program.clone()));
    attributes.push(integer(names::CALL, command.number));
    if let Some(line) = &command.line {
        capture.add_text(attributes, genai::COMMAND_LINE, line);
    }
}

fn of_file_operations(attributes: &mut Vec<KeyValue>, operations: &FileOperations) {
    let count = u64::try_from(operations.count).unwrap_or(u64::MAX);
    attributes.push(integer(names::OPERATIONS, count));
    let texts = [
        (names::OPERATION, &operations.operation),
        (genai::FILE_PATH, &operations.file),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some(attribute(name, text.clone()?)));
    attributes.extend(texts);
}

pub(crate) fn of_ended_activity(ended: &ActivityEnded, capture: Capture) -> Vec<KeyValue> {
    let end = &ended.end;
    let mut attributes: Vec<KeyValue> = of_usage(&end.usage).collect();
    if let Some(answer) = &end.answer {
        of_answer(&mut attributes, answer, capture);
    }
    let code = end.exit_code;
    attributes.extend(code.map(|code| attribute(genai::EXIT_CODE, i64::from(code))));
    if let Some(result) = &end.result {
        capture.add(&mut attributes, genai::TOOL_CALL_RESULT, result);
    }
    attributes
}

fn of_answer(attributes: &mut Vec<KeyValue>, answer: &ModelAnswer, capture: Capture) {
    attributes.push(attribute(genai::RESPONSE_MODEL, answer.model.clone()));
    attributes.push(texts(
        genai::RESPONSE_FINISH_REASONS,
        std::slice::from_ref(&answer.finish_reason),
    ));
    let id = answer.id.clone();
    attributes.extend(id.map(|id| attribute(genai::RESPONSE_ID, id)));
    let first = answer.time_to_first_chunk;
    attributes.extend(first.map(|first| attribute(genai::RESPONSE_TIME_TO_FIRST_CHUNK, first.as_secs_f64())));
    if let Some(messages) = &answer.messages {
        capture.add(attributes, genai::OUTPUT_MESSAGES, messages);
    }
}
