//! The rules of OpenAI's chat completions.

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
        "chat-unknown-field",
        "PyPI openai 3.57.0, types/chat/completion_create_params.py",
        unknown,
    ),
    rule(
        "chat-max-tokens",
        "koosoli/ESPHomeDesigner#379, teilomillet/gollm#33",
        max_tokens,
    ),
    rule(
        "chat-temperature",
        "OpenHands/software-agent-sdk#1837, HKUDS/nanobot#370",
        temperature,
    ),
    rule(
        "chat-effort-value",
        "kaitranntt/ccs#344, anomalyco/opencode#4451, brekkylab/ailoy#337",
        effort_value,
    ),
    rule("chat-effort", "generative-computing/mellea#270", effort),
    rule(
        "chat-effort-with-tools",
        "openai/openai-openapi#541, BerriAI/litellm#34569",
        effort_with_tools,
    ),
    rule(
        "chat-default-effort-with-tools",
        "laurent22/joplin#16451, sandialabs/atlas-ui-3#756",
        default_effort_with_tools,
    ),
    rule(
        "chat-metadata-without-store",
        "QwenLM/qwen-code#243, tmc/langchaingo#1484",
        metadata_without_store,
    ),
    rule(
        "chat-parallel-without-tools",
        "openai/swarm#30",
        parallel_without_tools,
    ),
    rule(
        "chat-unanswered-call",
        "BerriAI/litellm#10083, agno-agi/agno#3105",
        unanswered_call,
    ),
    rule(
        "chat-unasked-result",
        "miurla/morphic#136, smarter-sh/smarter#264",
        unasked_result,
    ),
    rule(
        "chat-empty-content",
        "docker/docker-agent#63, run-llama/llama_index#17555",
        empty_content,
    ),
    rule("chat-arguments", "aaif-goose/goose-mobile#20", arguments),
    rule(
        "chat-null-description",
        "PyPI openai 3.57.0, types/shared_params/function_definition.py",
        null_description,
    ),
    rule(
        "chat-names",
        "PyPI openai 3.57.0, types/shared_params/function_definition.py and response_format_json_schema.py",
        names,
    ),
    rule("chat-schema", "the rules of schemas", format_schema),
    rule("chat-tool-schema", "the rules of schemas", tool_schema),
    rule(
        "chat-image",
        "STranslate/STranslate#277, openai/openai-node#1463",
        image,
    ),
    rule("chat-types", TYPES_SOURCE, types),
];

fn max_tokens(request: &Request) -> Option<String> {
    request.get("/max_tokens")?;
    reasons(&request.model).then(|| {
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.".to_owned()
    })
}

fn temperature(request: &Request) -> Option<String> {
    wrong_temperature(request, request.text("/reasoning_effort"))
}

fn effort(request: &Request) -> Option<String> {
    request.get("/reasoning_effort")?;
    let is_gpt = version(&request.model).is_some();
    (is_gpt && !reasons(&request.model))
        .then(|| "Unrecognized request argument supplied: reasoning_effort".to_owned())
}

fn effort_value(request: &Request) -> Option<String> {
    wrong_effort(&request.model, request.text("/reasoning_effort"))
}

fn refused_with_tools(request: &Request) -> String {
    format!(
        "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. To use function tools, use \
         /v1/responses or set reasoning_effort to 'none'.",
        request.model
    )
}

fn effort_with_tools(request: &Request) -> Option<String> {
    request.get("/tools")?;
    let is_newer = version(&request.model).is_some_and(|version| version >= (5, 4));
    let reasons = request
        .text("/reasoning_effort")
        .is_some_and(|effort| effort != "none");
    (is_newer && reasons).then(|| refused_with_tools(request))
}

fn default_effort_with_tools(request: &Request) -> Option<String> {
    request.get("/tools")?;
    let is_newest = version(&request.model).is_some_and(|version| version >= (5, 6));
    (is_newest && request.get("/reasoning_effort").is_none()).then(|| refused_with_tools(request))
}

fn metadata_without_store(request: &Request) -> Option<String> {
    request.get("/metadata")?;
    (request.get("/store") != Some(&Value::Bool(true)))
        .then(|| "The 'metadata' parameter is only allowed when 'store' is enabled.".to_owned())
}

fn parallel_without_tools(request: &Request) -> Option<String> {
    request.get("/parallel_tool_calls")?;
    request.get("/tools").is_none().then(|| {
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.".to_owned()
    })
}

fn calls(message: &Value) -> impl Iterator<Item = &Value> {
    list(message, "/tool_calls").iter()
}

fn unanswered_call(request: &Request) -> Option<String> {
    let messages = request.list("/messages");
    messages.iter().enumerate().find_map(|(at, message)| {
        let answers = messages[at + 1..].iter().take_while(|answer| text(answer, "/role") == "tool");
        let answered: Vec<&str> = answers.map(|answer| text(answer, "/tool_call_id")).collect();
        let call = calls(message).find(|call| !answered.contains(&text(call, "/id")))?;
        Some(format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
             following tool_call_ids did not have response messages: {}",
            text(call, "/id")
        ))
    })
}

fn unasked_result(request: &Request) -> Option<String> {
    let mut asked: Vec<&str> = Vec::new();
    request.list("/messages").iter().find_map(|message| {
        if text(message, "/role") != "tool" {
            asked = calls(message).map(|call| text(call, "/id")).collect();
            return None;
        }
        (!asked.contains(&text(message, "/tool_call_id"))).then(|| {
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.".to_owned()
        })
    })
}

fn empty_content(request: &Request) -> Option<String> {
    request.list("/messages").iter().find_map(|message| {
        let has_content = message.get("content").is_some_and(|content| !content.is_null());
        let may_miss = calls(message).next().is_some() || message.get("refusal").is_some();
        (!has_content && !may_miss)
            .then(|| "Invalid value for 'content': expected a string, got null.".to_owned())
    })
}

fn arguments(request: &Request) -> Option<String> {
    let mut functions = request.list("/messages").iter().flat_map(calls);
    functions
        .find_map(|call| wrong_arguments(call.get("function")?, "messages.tool_calls.function.arguments"))
}

fn null_description(request: &Request) -> Option<String> {
    let is_null = |tool: &Value| tool.pointer("/function/description").is_some_and(Value::is_null);
    request.list("/tools").iter().any(is_null).then(|| {
        "Invalid type for 'tools.function.description': expected a string, but got null instead.".to_owned()
    })
}

fn names(request: &Request) -> Option<String> {
    let functions = request
        .list("/tools")
        .iter()
        .map(|tool| text(tool, "/function/name"));
    let format = request.text("/response_format/json_schema/name");
    functions.chain(format).find_map(|name| wrong_name(name, "name"))
}

fn format_schema(request: &Request) -> Option<String> {
    let format = request.get("/response_format/json_schema")?;
    let strict = format.get("strict") == Some(&Value::Bool(true));
    wrong_schema(text(format, "/name"), format.get("schema"), strict)
}

fn tool_schema(request: &Request) -> Option<String> {
    request.list("/tools").iter().find_map(|tool| {
        let function = tool.get("function")?;
        let strict = function.get("strict") == Some(&Value::Bool(true));
        wrong_schema(text(function, "/name"), function.get("parameters"), strict)
    })
}

fn image(request: &Request) -> Option<String> {
    let parts = request
        .list("/messages")
        .iter()
        .flat_map(|message| list(message, "/content"));
    let mut images = parts.filter(|part| text(part, "/type") == "image_url");
    images.find_map(|part| wrong_image_url(text(part, "/image_url/url")))
}
