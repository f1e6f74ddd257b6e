//! The rules of Anthropic's Messages API.

use serde_json::Value;

use super::media::wrong_image;
use super::request::{Request, is_plain_name, list, text};
use super::schema::{Provider, check_schema};
use super::types::{unknown_field, wrong_type};
use super::{Rule, rule};

/// The page on the version of the API of October 2026, which the client sends from 2.0.0 on.
const NEW_VERSION: &str =
    "https://codersera.com/blog/anthropic-api-2026-10-21-sdk-migration-guide-2026/, doccupine/cli v0.0.162";

const EXTENDED: &str = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking";

const CACHING: &str = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching, tghamm/Anthropic.SDK#50, Wei-Shaw/sub2api#2018";

pub(super) const RULES: &[Rule] = &[
    Rule {
        status: 401,
        ..rule(
            "anthropic-key",
            "PyPI anthropic 2.14.0, _client.py, _validate_headers",
            key,
        )
    },
    rule(
        "anthropic-version",
        "PyPI anthropic 2.14.0, _client.py, default_headers",
        version,
    ),
    rule("anthropic-version-sampling", NEW_VERSION, version_sampling),
    rule("anthropic-version-document", NEW_VERSION, version_document),
    rule(
        "anthropic-content-type",
        "PyPI anthropic 2.14.0, _base_client.py, default_headers",
        Request::wrong_content_type,
    ),
    rule(
        "anthropic-unknown-field",
        "amrit110/oli#7, anthropics/claude-code#14135",
        unknown,
    ),
    rule(
        "anthropic-max-tokens",
        "PyPI anthropic 2.14.0, types/message_create_params.py",
        max_tokens,
    ),
    rule("anthropic-small-budget", "themaximalist/llm.js#30", small_budget),
    rule(
        "anthropic-large-budget",
        "liuw1535/antigravity2api-nodejs#150",
        large_budget,
    ),
    rule(
        "anthropic-adaptive-model",
        "srtab/daiv#1429, OpenHands/software-agent-sdk#3427",
        adaptive_model,
    ),
    rule(
        "anthropic-sampling-model",
        "srtab/daiv#1429, promptfoo/promptfoo#9500",
        sampling_model,
    ),
    rule(
        "anthropic-thinking-forced-tool",
        "mastra-ai/mastra#7507, langchain-ai/langchain#35544",
        thinking_forced_tool,
    ),
    rule(
        "anthropic-thinking-temperature",
        "MartialBE/one-hub#529, MayDay-wpf/snow-app#42",
        thinking_temperature,
    ),
    rule("anthropic-cache-marks", CACHING, cache_marks),
    rule(
        "anthropic-cache-thinking",
        "UKGovernmentBEIS/inspect_ai#3967, Wei-Shaw/sub2api#225",
        cache_thinking,
    ),
    rule(
        "anthropic-cache-empty-text",
        "anthropics/claude-code#55302, NousResearch/hermes-agent#1216",
        cache_empty_text,
    ),
    rule("anthropic-first-role", "lobehub/lobehub#1601", first_role),
    rule(
        "anthropic-prefill",
        "smallmain/vscode-unify-chat-provider#250",
        prefill,
    ),
    rule(
        "anthropic-trailing-space",
        "tailcallhq/forgecode#1872",
        trailing_space,
    ),
    rule(
        "anthropic-empty-text",
        "anthropics/claude-code#59812, LibreChat-AI/agents#124",
        empty_text,
    ),
    rule(
        "anthropic-blank-text",
        "anthropics/claude-code#23440, LibreChat-AI/agents#124",
        blank_text,
    ),
    rule(
        "anthropic-unanswered-call",
        "anthropics/claude-code#6575",
        unanswered_call,
    ),
    rule(
        "anthropic-unasked-result",
        "anthropics/claude-code#25959",
        unasked_result,
    ),
    rule(
        "anthropic-thinking-first",
        "deepset-ai/haystack-core-integrations#2146",
        thinking_first,
    ),
    rule(
        "anthropic-thinking-modified",
        "anthropics/claude-code#63574",
        thinking_modified,
    ),
    rule(
        "anthropic-image",
        "BerriAI/litellm#24900, anthropics/claude-code#8184",
        image,
    ),
    rule("anthropic-names", "home-assistant/core#147760", names),
    rule(
        "anthropic-unique-names",
        "danny-avila/LibreChat#13162",
        unique_names,
    ),
    rule("anthropic-schema", "the rules of schemas", format_schema),
    rule("anthropic-tool-schema", "the rules of schemas", tool_schema),
    rule(
        "anthropic-types",
        "PyPI anthropic 2.14.0, types, by tests/clients/request_types.py",
        types,
    ),
];

/// Beginnings of the names of models that think by an effort alone and take no sampling parameters.
const ADAPTIVE_ONLY: [&str; 5] = [
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
];

fn is_adaptive_only(request: &Request) -> bool {
    ADAPTIVE_ONLY.iter().any(|name| request.model.starts_with(name))
}

fn key(request: &Request) -> Option<String> {
    let has = |name: &str| request.headers.get(name).is_some_and(|key| !key.is_empty());
    (!has("x-api-key") && !has("authorization")).then(|| "x-api-key header is required".to_owned())
}

fn version(request: &Request) -> Option<String> {
    let version = request
        .headers
        .get("anthropic-version")
        .map_or("", String::as_str);
    let known = ["2023-06-01", "2026-10-21"];
    (!known.contains(&version)).then(|| "anthropic-version: header is required".to_owned())
}

fn is_new_version(request: &Request) -> bool {
    request
        .headers
        .get("anthropic-version")
        .is_some_and(|version| version == "2026-10-21")
}

fn sampling(request: &Request) -> Option<&'static str> {
    let given = ["temperature", "top_p", "top_k"];
    given.into_iter().find(|name| request.body.get(*name).is_some())
}

fn version_sampling(request: &Request) -> Option<String> {
    let given = sampling(request)?;
    is_new_version(request).then(|| format!("{given}: Extra inputs are not permitted"))
}

fn version_document(request: &Request) -> Option<String> {
    let turns = request.list("/messages").iter();
    let mut turns = turns.filter(|message| text(message, "/role") == "assistant");
    let has_document = turns.any(|message| blocks(message, "document").next().is_some());
    (has_document && is_new_version(request))
        .then(|| "messages: `document` blocks are not permitted in assistant messages".to_owned())
}

fn unknown(request: &Request) -> Option<String> {
    let beta = request.headers.get("anthropic-beta").map_or("", String::as_str);
    let of_beta = request
        .get("/output_format")
        .filter(|_| !beta.contains("structured-outputs"));
    let field = unknown_field(request).or(of_beta.map(|_| "output_format"))?;
    Some(format!("{field}: Extra inputs are not permitted"))
}

fn max_tokens(request: &Request) -> Option<String> {
    request
        .get("/max_tokens")
        .is_none()
        .then(|| "max_tokens: Field required".to_owned())
}

fn budget(request: &Request) -> Option<u64> {
    request.get("/thinking/budget_tokens")?.as_u64()
}

fn small_budget(request: &Request) -> Option<String> {
    (budget(request)? < 1024)
        .then(|| "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024".to_owned())
}

fn large_budget(request: &Request) -> Option<String> {
    let most = request.get("/max_tokens")?.as_u64()?;
    (budget(request)? >= most).then(|| {
        format!("`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at {EXTENDED}")
    })
}

fn adaptive_model(request: &Request) -> Option<String> {
    let is_enabled = request.text("/thinking/type") == Some("enabled");
    (is_enabled && is_adaptive_only(request)).then(|| {
        "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to \
         control thinking behavior."
            .to_owned()
    })
}

fn sampling_model(request: &Request) -> Option<String> {
    let given = sampling(request)?;
    is_adaptive_only(request).then(|| format!("`{given}` is not supported for this model"))
}

fn thinks(request: &Request) -> bool {
    matches!(request.text("/thinking/type"), Some("enabled" | "adaptive"))
}

fn thinking_forced_tool(request: &Request) -> Option<String> {
    let is_forced = matches!(request.text("/tool_choice/type"), Some("any" | "tool"));
    let is_budgeted = request.text("/thinking/type") == Some("enabled");
    ((is_budgeted || (thinks(request) && is_adaptive_only(request))) && is_forced)
        .then(|| "Thinking may not be enabled when tool_choice forces tool use.".to_owned())
}

fn thinking_temperature(request: &Request) -> Option<String> {
    let is_warm = request
        .get("/temperature")
        .is_some_and(|value| value.as_f64() != Some(1.0));
    (thinks(request) && is_warm).then(|| {
        format!("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. Please consult our documentation at {EXTENDED}")
    })
}

/// The blocks that may have a mark of the cache, each with its place: tools, instructions, and the content of messages.
fn marked(request: &Request) -> Vec<(String, &Value)> {
    let messages = request.list("/messages").iter().enumerate();
    let contents =
        messages.map(|(at, message)| (format!("messages.{at}.content"), list(message, "/content")));
    let before = [
        ("tools".to_owned(), request.list("/tools")),
        ("system".to_owned(), request.list("/system")),
    ];
    let all = before.into_iter().chain(contents);
    all.flat_map(|(place, blocks)| {
        let blocks = blocks.iter().enumerate();
        let blocks =
            blocks.filter(|(_, block)| block.get("cache_control").is_some_and(|mark| !mark.is_null()));
        let placed = blocks.map(|(at, block)| (format!("{place}.{at}"), block));
        placed.collect::<Vec<_>>()
    })
    .collect()
}

/// The mark of the whole request is one of the four.
fn cache_marks(request: &Request) -> Option<String> {
    let count = marked(request).len() + usize::from(request.get("/cache_control").is_some());
    (count > 4).then(|| format!("A maximum of 4 blocks with cache_control may be provided. Found {count}."))
}

fn cache_thinking(request: &Request) -> Option<String> {
    let marked = marked(request);
    let (place, block) = marked.iter().find(|(_, block)| is_thinking(block))?;
    let kind = text(block, "/type");
    Some(format!(
        "{place}.{kind}.cache_control: Extra inputs are not permitted"
    ))
}

fn cache_empty_text(request: &Request) -> Option<String> {
    let is_empty = |block: &Value| text(block, "/type") == "text" && text(block, "/text").trim().is_empty();
    let marked = marked(request);
    let (place, _) = marked.iter().find(|(_, block)| is_empty(block))?;
    Some(format!(
        "{place}.text: cache_control cannot be set for empty text blocks"
    ))
}

fn first_role(request: &Request) -> Option<String> {
    let first = request.list("/messages").first()?;
    (text(first, "/role") != "user").then(|| "messages: first message must use the \"user\" role".to_owned())
}

fn prefill(request: &Request) -> Option<String> {
    let last = request.list("/messages").last()?;
    (text(last, "/role") == "assistant" && is_adaptive_only(request)).then(|| {
        "This model does not support assistant message prefill. The conversation must end with a user message.".to_owned()
    })
}

/// The blocks of a message; one that is a text alone has none.
fn blocks<'a>(message: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let blocks = list(message, "/content").iter();
    blocks.filter(move |block| text(block, "/type") == kind)
}

fn texts(message: &Value) -> Vec<&str> {
    match message.get("content") {
        Some(Value::String(text)) => vec![text],
        _ => blocks(message, "text")
            .map(|block| text(block, "/text"))
            .collect(),
    }
}

fn trailing_space(request: &Request) -> Option<String> {
    let last = request.list("/messages").last()?;
    let words = *texts(last).last()?;
    (text(last, "/role") == "assistant" && words != words.trim_end())
        .then(|| "messages: final assistant content cannot end with trailing whitespace".to_owned())
}

fn empty_text(request: &Request) -> Option<String> {
    let mut all = request.list("/messages").iter().flat_map(texts);
    all.any(str::is_empty)
        .then(|| "messages: text content blocks must be non-empty".to_owned())
}

fn blank_text(request: &Request) -> Option<String> {
    let is_blank = |message: &Value| {
        let texts = texts(message);
        !texts.is_empty() && texts.iter().all(|text| text.trim().is_empty())
    };
    request
        .list("/messages")
        .iter()
        .any(is_blank)
        .then(|| "messages: text content blocks must contain non-whitespace text".to_owned())
}

/// The ids of the results that begin a message: those behind other blocks do not count.
fn first_results(message: &Value) -> Vec<&str> {
    let blocks = list(message, "/content").iter();
    let results = blocks.take_while(|block| text(block, "/type") == "tool_result");
    results.map(|block| text(block, "/tool_use_id")).collect()
}

fn unanswered_call(request: &Request) -> Option<String> {
    let messages = request.list("/messages");
    messages.iter().enumerate().find_map(|(at, message)| {
        let answered = messages.get(at + 1).map(first_results).unwrap_or_default();
        let mut calls = blocks(message, "tool_use").map(|call| text(call, "/id"));
        let id = calls.find(|id| !answered.contains(id))?;
        Some(format!(
            "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block \
             must have a corresponding `tool_result` block in the next message."
        ))
    })
}

fn unasked_result(request: &Request) -> Option<String> {
    let mut asked: Vec<&str> = Vec::new();
    request.list("/messages").iter().find_map(|message| {
        let mut results = blocks(message, "tool_result").map(|result| text(result, "/tool_use_id"));
        let unasked = results.find(|id| !asked.contains(id));
        asked = blocks(message, "tool_use").map(|call| text(call, "/id")).collect();
        Some(format!(
            "messages: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must have a \
             corresponding `tool_use` block in the previous message.",
            unasked?
        ))
    })
}

fn is_thinking(block: &Value) -> bool {
    matches!(text(block, "/type"), "thinking" | "redacted_thinking")
}

fn thinking_first(request: &Request) -> Option<String> {
    if request.text("/thinking/type") != Some("enabled") {
        return None;
    }
    // A turn goes from the user's last words on, with all rounds of tools.
    let messages = request.list("/messages");
    let is_answered = |message: &Value| blocks(message, "tool_result").next().is_some();
    let begin = messages
        .iter()
        .rposition(|message| text(message, "/role") == "user" && !is_answered(message))?;
    let first = list(messages.get(begin + 1)?, "/content").first()?;
    (messages.last().is_some_and(is_answered) && !is_thinking(first)).then(|| {
        format!(
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a \
             final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
             `tool_result` blocks).",
            text(first, "/type")
        )
    })
}

fn thinking_modified(request: &Request) -> Option<String> {
    let all = request
        .list("/messages")
        .iter()
        .flat_map(|message| list(message, "/content"));
    let mut thinking = all.filter(|block| is_thinking(block));
    thinking.any(|block| !request.issued.has(block)).then(|| {
        "messages: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must \
         remain as they were in the original response."
            .to_owned()
    })
}

fn image(request: &Request) -> Option<String> {
    let messages = request.list("/messages").iter();
    let mut sources = messages
        .flat_map(|message| blocks(message, "image"))
        .filter_map(|image| image.get("source"))
        .filter(|source| text(source, "/type") == "base64");
    sources.find_map(|source| wrong_image(text(source, "/media_type"), text(source, "/data")))
}

fn names(request: &Request) -> Option<String> {
    let tools = request.list("/tools").iter().map(|tool| text(tool, "/name"));
    let mut tools = tools.enumerate();
    let (at, _) = tools.find(|(_, name)| !is_plain_name(name, 128))?;
    Some(format!(
        "tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    ))
}

fn unique_names(request: &Request) -> Option<String> {
    let tools = request.list("/tools");
    let names: std::collections::HashSet<&str> = tools.iter().map(|tool| text(tool, "/name")).collect();
    (names.len() < tools.len()).then(|| "tools: Tool names must be unique.".to_owned())
}

fn format_schema(request: &Request) -> Option<String> {
    let schema = request.get("/output_config/format/schema")?;
    let error = check_schema(Provider::Anthropic, schema, true).err()?;
    Some(format!("output_config.format.schema: {error}"))
}

fn tool_schema(request: &Request) -> Option<String> {
    request.list("/tools").iter().find_map(|tool| {
        let strict = tool.get("strict") == Some(&Value::Bool(true));
        let error = check_schema(Provider::Anthropic, tool.get("input_schema")?, strict).err()?;
        Some(format!(
            "tools.{}.custom.input_schema: {error}",
            text(tool, "/name")
        ))
    })
}

fn types(request: &Request) -> Option<String> {
    wrong_type(request)
}
