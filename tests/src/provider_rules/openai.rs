//! The rules that both of OpenAI's APIs have.

use serde_json::Value;

use super::request::{Request, is_plain_name, list, text};
use super::schema::{Provider, check_schema};
use super::types::{unknown_field, wrong_type};
use super::{Rule, rule};

const CLIENT: &str = "PyPI openai 3.57.0, _client.py, auth_headers";
const BASE: &str = "PyPI openai 3.57.0, _base_client.py, default_headers";

pub(super) const RULES: &[Rule] = &[
    Rule {
        status: 401,
        ..rule("openai-key", CLIENT, key)
    },
    rule("openai-content-type", BASE, Request::wrong_content_type),
    rule(
        "openai-empty-tools",
        "vllm-project/vllm#39780, JetBrains/koog#786",
        empty_tools,
    ),
    rule(
        "openai-cache-model",
        "PyPI openai 3.57.0, types/responses/response_create_params.py, anomalyco/opencode#36315",
        cache_model,
    ),
    rule(
        "openai-cache-assistant",
        "BerriAI/litellm#37628, PyPI openai 3.57.0, types/responses/response_output_text_param.py",
        cache_assistant,
    ),
];

/// The last rules of both: the others say more.
pub(super) const TYPES_SOURCE: &str = "PyPI openai 3.57.0, types, by tests/clients/request_types.py";

fn key(request: &Request) -> Option<String> {
    let header = request.headers.get("authorization").map_or("", String::as_str);
    let has_key = header.strip_prefix("Bearer ").is_some_and(|key| !key.is_empty());
    (!has_key).then(|| "You didn't provide an API key.".to_owned())
}

fn empty_tools(request: &Request) -> Option<String> {
    let tools = request.get("/tools")?.as_array()?;
    tools.is_empty().then(|| "[] is too short - 'tools'".to_owned())
}

/// The field of a mark of the cache.
const MARK: &str = "prompt_cache_breakpoint";

/// Whether a part of a message, or of what a tool gave, is marked for the cache.
fn is_marked(item: &Value) -> bool {
    let parts = ["/content", "/output"]
        .into_iter()
        .flat_map(|place| list(item, place));
    parts.into_iter().any(|part| part.get(MARK).is_some())
}

fn items(request: &Request) -> impl Iterator<Item = &Value> {
    request.list("/messages").iter().chain(request.list("/input"))
}

/// Models before gpt-5.6 take no marks of the cache. Those that are not OpenAI's are not judged.
fn cache_model(request: &Request) -> Option<String> {
    let is_older = version(&request.model).map_or(reasons(&request.model), |version| version < (5, 6));
    let options = request
        .get("/prompt_cache_options")
        .map(|_| "prompt_cache_options");
    let given = options.or(items(request).any(is_marked).then_some(MARK))?;
    is_older.then(|| format!("Unsupported parameter: '{given}' is not supported with this model."))
}

fn cache_assistant(request: &Request) -> Option<String> {
    let mut turns = items(request).filter(|item| text(item, "/role") == "assistant");
    turns
        .any(is_marked)
        .then(|| format!("Unknown parameter: '{MARK}'."))
}

pub(super) fn unknown(request: &Request) -> Option<String> {
    let field = unknown_field(request)?;
    Some(format!("Unknown parameter: '{field}'."))
}

pub(super) fn types(request: &Request) -> Option<String> {
    wrong_type(request).map(|words| format!("Invalid type for {words}"))
}

/// The version of a model of the family gpt: `gpt-5.4-mini` is (5, 4).
pub(super) fn version(model: &str) -> Option<(u32, u32)> {
    let rest = model.strip_prefix("gpt-")?;
    let digits = |text: &str| {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse::<u32>().ok()
    };
    let major = digits(rest)?;
    let minor = rest.split_once('.').and_then(|(_, minor)| digits(minor));
    Some((major, minor.unwrap_or(0)))
}

/// Whether a model reasons: the o-series, and gpt from 5 on but for those for chat.
pub(super) fn reasons(model: &str) -> bool {
    let is_o = model
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
    is_o || version(model).is_some_and(|version| version >= (5, 0)) && !model.contains("-chat")
}

/// The refusal of a temperature, which reasoning models take only while they do not reason.
pub(super) fn wrong_temperature(request: &Request, effort: Option<&str>) -> Option<String> {
    let may_rest = version(&request.model).is_some_and(|version| version >= (5, 1));
    let rests = may_rest && matches!(effort, None | Some("none"));
    if !reasons(&request.model) || rests {
        return None;
    }
    let given = ["temperature", "top_p"].into_iter().find(|name| {
        request
            .body
            .get(*name)
            .is_some_and(|value| value.as_f64() != Some(1.0))
    })?;
    Some(format!(
        "Unsupported parameter: '{given}' is not supported with this model."
    ))
}

/// The refusal of an effort that a model does not know.
pub(super) fn wrong_effort(model: &str, effort: Option<&str>) -> Option<String> {
    let effort = effort?;
    let version = version(model).unwrap_or((0, 0));
    let knows = match effort {
        "none" => version >= (5, 1),
        "minimal" => version == (5, 0),
        "xhigh" => version >= (5, 2),
        _ => true,
    };
    (reasons(model) && !knows).then(|| {
        format!("Unsupported value: 'reasoning_effort' does not support '{effort}' with this model.")
    })
}

/// The refusal of the name of a function or a format.
pub(super) fn wrong_name(name: &str, place: &str) -> Option<String> {
    (!is_plain_name(name, 64)).then(|| {
        format!("Invalid '{place}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.")
    })
}

/// The refusal of a schema.
pub(super) fn wrong_schema(name: &str, schema: Option<&Value>, strict: bool) -> Option<String> {
    let error = check_schema(Provider::OpenAi, schema?, strict).err()?;
    Some(format!("Invalid schema for '{name}': {error}"))
}

/// The refusal of the arguments of a call that are no text.
pub(super) fn wrong_arguments(call: &Value, place: &str) -> Option<String> {
    let arguments = call.get("arguments")?;
    (!arguments.is_string()).then(|| {
        let name = text(call, "/name");
        format!("Invalid type for '{place}' of {name}: expected a string, but got an object instead.")
    })
}
