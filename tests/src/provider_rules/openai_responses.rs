//! The rules of OpenAI's Responses API.

use serde_json::Value;

use super::media::wrong_image_url;
use super::openai::{
    TYPES_SOURCE, reasons, types, unknown, version, wrong_arguments, wrong_effort, wrong_name, wrong_schema,
    wrong_temperature,
};
use super::request::{Request, list, text};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(
        "responses-unknown-field",
        "PyPI openai 3.57.0, types/responses/response_create_params.py",
        unknown,
    ),
    rule(
        "responses-temperature",
        "OpenHands/software-agent-sdk#1837",
        temperature,
    ),
    rule(
        "responses-effort-value",
        "kaitranntt/ccs#344, anomalyco/opencode#4451, brekkylab/ailoy#337",
        effort_value,
    ),
    rule(
        "responses-effort",
        "RageAgainstThePixel/OpenAI-DotNet#500, BoundaryML/baml#2708",
        effort,
    ),
    rule(
        "responses-encrypted-model",
        "pydantic/pydantic-ai#2865, ShishirPatil/gorilla#1148",
        encrypted_model,
    ),
    rule(
        "responses-previous-without-store",
        "bigduu/Bamboo-agent#64",
        previous_without_store,
    ),
    rule(
        "responses-unasked-output",
        "microsoft/vscode#320060, leookun/cursor-byok#307",
        unasked_output,
    ),
    rule(
        "responses-unanswered-call",
        "bytedance/trae-agent#245",
        unanswered_call,
    ),
    rule(
        "responses-reasoning-followed",
        "openai/openai-node#1567, UKGovernmentBEIS/inspect_ai#1990",
        reasoning_followed,
    ),
    rule(
        "responses-reasoning-status",
        "BerriAI/litellm#13420, 1jehuang/jcode#1028",
        reasoning_status,
    ),
    rule(
        "responses-unkept-item",
        "vercel/ai#7543, continuedev/continue#9101",
        unkept_item,
    ),
    rule(
        "responses-encrypted-content",
        "openai/codex#8119, smallmain/vscode-unify-chat-provider#178",
        encrypted_content,
    ),
    rule(
        "responses-arguments",
        "PyPI openai 3.57.0, types/responses/response_function_tool_call_param.py",
        arguments,
    ),
    rule(
        "responses-names",
        "PyPI openai 3.57.0, types/responses/response_format_text_json_schema_config_param.py",
        names,
    ),
    rule("responses-schema", "the rules of schemas", format_schema),
    rule("responses-tool-schema", "the rules of schemas", tool_schema),
    rule(
        "responses-image",
        "yuji-hatakeyama/opencode-gpt-imagegen#82",
        image,
    ),
    rule("responses-types", TYPES_SOURCE, types),
];

fn temperature(request: &Request) -> Option<String> {
    wrong_temperature(request, request.text("/reasoning/effort"))
}

/// Models that are not OpenAI's are not judged.
fn cannot_reason(request: &Request) -> bool {
    version(&request.model).is_some() && !reasons(&request.model)
}

fn effort(request: &Request) -> Option<String> {
    request.get("/reasoning/effort")?;
    cannot_reason(request)
        .then(|| "Unsupported parameter: 'reasoning.effort' is not supported with this model.".to_owned())
}

fn effort_value(request: &Request) -> Option<String> {
    wrong_effort(&request.model, request.text("/reasoning/effort"))
}

fn encrypted_model(request: &Request) -> Option<String> {
    let asks = request
        .list("/include")
        .iter()
        .any(|field| field == "reasoning.encrypted_content");
    (asks && cannot_reason(request)).then(|| "Encrypted content is not supported with this model.".to_owned())
}

fn previous_without_store(request: &Request) -> Option<String> {
    let id = request.text("/previous_response_id")?;
    (request.get("/store") == Some(&Value::Bool(false)))
        .then(|| format!("Previous response with id '{id}' not found."))
}

fn of_kind<'a>(items: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    items.iter().filter(move |item| text(item, "/type") == kind)
}

fn unasked_output(request: &Request) -> Option<String> {
    let items = request.list("/input");
    items.iter().enumerate().find_map(|(at, item)| {
        let id = text(item, "/call_id");
        let is_output = text(item, "/type") == "function_call_output";
        let is_asked = of_kind(&items[..at], "function_call").any(|call| text(call, "/call_id") == id);
        (is_output && !is_asked)
            .then(|| format!("No tool call found for function call output with call_id {id}."))
    })
}

fn unanswered_call(request: &Request) -> Option<String> {
    let items = request.list("/input");
    let answered =
        |id: &str| of_kind(items, "function_call_output").any(|output| text(output, "/call_id") == id);
    let mut calls = of_kind(items, "function_call").map(|call| text(call, "/call_id"));
    let id = calls.find(|id| !answered(id))?;
    Some(format!("No tool output found for function call {id}."))
}

fn reasoning_followed(request: &Request) -> Option<String> {
    let items = request.list("/input");
    items.iter().enumerate().find_map(|(at, item)| {
        if text(item, "/type") != "reasoning" {
            return None;
        }
        let next = items.get(at + 1).unwrap_or(&Value::Null);
        let is_answer = text(next, "/role") == "assistant" || text(next, "/type") == "function_call";
        (!is_answer).then(|| {
            let id = text(item, "/id");
            format!("Item '{id}' of type 'reasoning' was provided without its required following item.")
        })
    })
}

fn reasoning_status(request: &Request) -> Option<String> {
    let items = request.list("/input");
    let at = items
        .iter()
        .position(|item| text(item, "/type") == "reasoning" && item.get("status").is_some())?;
    Some(format!("Unknown parameter: 'input[{at}].status'."))
}

fn unkept_item(request: &Request) -> Option<String> {
    if request.get("/store") != Some(&Value::Bool(false)) {
        return None;
    }
    let mut items = of_kind(request.list("/input"), "reasoning");
    let item = items.find(|item| text(item, "/encrypted_content").is_empty())?;
    Some(format!(
        "Item with id '{}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, \
         or remove this item from your input.",
        text(item, "/id")
    ))
}

fn encrypted_content(request: &Request) -> Option<String> {
    let mut items = of_kind(request.list("/input"), "reasoning");
    let item = items.find(|item| {
        let content = item.get("encrypted_content").filter(|content| !content.is_null());
        content.is_some_and(|content| !request.issued.has(content))
    })?;
    Some(format!(
        "The encrypted content for item {} could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
        text(item, "/id")
    ))
}

fn arguments(request: &Request) -> Option<String> {
    let mut calls = of_kind(request.list("/input"), "function_call");
    calls.find_map(|call| wrong_arguments(call, "input.arguments"))
}

fn names(request: &Request) -> Option<String> {
    let functions = of_kind(request.list("/tools"), "function").map(|tool| text(tool, "/name"));
    functions
        .chain(request.text("/text/format/name"))
        .find_map(|name| wrong_name(name, "name"))
}

fn format_schema(request: &Request) -> Option<String> {
    let format = request.get("/text/format")?;
    let strict = format.get("strict") == Some(&Value::Bool(true));
    wrong_schema(text(format, "/name"), format.get("schema"), strict)
}

fn tool_schema(request: &Request) -> Option<String> {
    let mut tools = of_kind(request.list("/tools"), "function");
    tools.find_map(|tool| {
        let strict = tool.get("strict") == Some(&Value::Bool(true));
        wrong_schema(text(tool, "/name"), tool.get("parameters"), strict)
    })
}

fn image(request: &Request) -> Option<String> {
    let parts = request
        .list("/input")
        .iter()
        .flat_map(|item| list(item, "/content"));
    let mut images = parts.filter(|part| text(part, "/type") == "input_image");
    images.find_map(|part| wrong_image_url(text(part, "/image_url")))
}
