//! The rules of Google's generateContent.

use serde_json::Value;

use super::request::{Request, list, text};
use super::schema::{Provider, check_schema};
use super::types::{unknown_field, wrong_type};
use super::{Rule, rule};

const SIGNATURES: &str = "https://ai.google.dev/gemini-api/docs/thought-signatures";

/// The text that the page on thought signatures names for calls of other models.
const SKIPPED: &str = "skip_thought_signature_validator";

pub(super) const RULES: &[Rule] = &[
    Rule {
        status: 401,
        ..rule("google-key", "PyPI google-genai 3.6.1, _api_client.py", key)
    },
    rule(
        "google-content-type",
        "PyPI google-genai 3.6.1, types.py, HttpOptions and _api_client.py",
        Request::wrong_content_type,
    ),
    rule(
        "google-unknown-field",
        "gera2ld/ai.nvim#13; PyPI google-genai 3.6.1, models.py, _GenerateContentConfig_to_mldev",
        unknown,
    ),
    rule(
        "google-role",
        "the-open-agent/openagent#1666, songquanpeng/one-api#1385",
        role,
    ),
    rule(
        "google-empty-parts",
        "QuantumNous/new-api#1060, egoist/chatwise-releases#250",
        empty_parts,
    ),
    rule("google-empty-part", "boldsoftware/sketch#68", empty_part),
    rule(
        "google-call-turn",
        "google-gemini/gemini-cli#11814, lobehub/lobehub#10049",
        call_turn,
    ),
    rule(
        "google-response-turn",
        "langchain-ai/langchain#27799, GoogleCloudPlatform/generative-ai#368",
        response_turn,
    ),
    rule(
        "google-response-count",
        "google-gemini/gemini-cli#4217, microsoft/vscode#299295",
        response_count,
    ),
    rule(
        "google-response-alone",
        "anomalyco/opencode#43479",
        response_alone,
    ),
    rule("google-last-role", "crewAIInc/crewAI#6973", last_role),
    rule(
        "google-missing-signature",
        "nanbingxyz/5ire#405, thClaws/thClaws#65",
        missing_signature,
    ),
    rule(
        "google-wrong-signature",
        "google-gemini/gemini-cli#13467, router-for-me/CLIProxyAPI#1538",
        wrong_signature,
    ),
    rule(
        "google-format-with-tools",
        "googleapis/python-genai#867, symfony/ai#803",
        format_with_tools,
    ),
    rule(
        "google-level-and-budget",
        "sterlp/eclipse-peon-ai#115",
        level_and_budget,
    ),
    rule(
        "google-zero-budget",
        "docker/docker-agent#2051, googleapis/python-genai#2936, vercel/ai#8027",
        zero_budget,
    ),
    rule("google-level-model", "juspay/neurolink#1707", level_model),
    rule(
        "google-names",
        "google-gemini/gemini-cli#9535; PyPI google-genai 3.6.1, types.py, FunctionDeclaration.name",
        names,
    ),
    rule(
        "google-allowed-names",
        "PyPI google-genai 3.6.1, types.py, FunctionCallingConfig.allowed_function_names",
        allowed_names,
    ),
    rule("google-schema", "the rules of schemas", format_schema),
    rule("google-tool-schema", "the rules of schemas", tool_schema),
    rule(
        "google-types",
        "PyPI google-genai 3.6.1, types.py, by tests/clients/request_types.py",
        types,
    ),
];

/// The main version of a model of the family Gemini.
fn generation(request: &Request) -> Option<u32> {
    let digits = request.model.strip_prefix("gemini-")?.split(['.', '-']).next()?;
    digits.parse().ok()
}

fn key(request: &Request) -> Option<String> {
    let has_key = request
        .headers
        .get("x-goog-api-key")
        .is_some_and(|key| !key.is_empty());
    (!has_key).then(|| "Method doesn't allow unregistered callers. Please use API Key.".to_owned())
}

fn unknown(request: &Request) -> Option<String> {
    let field = unknown_field(request)?;
    Some(format!(
        "Invalid JSON payload received. Unknown name \"{field}\": Cannot find field."
    ))
}

fn role(request: &Request) -> Option<String> {
    let mut roles = request
        .list("/contents")
        .iter()
        .map(|content| text(content, "/role"));
    roles
        .any(|role| !["user", "model"].contains(&role))
        .then(|| "Please use a valid role: user, model.".to_owned())
}

fn empty_parts(request: &Request) -> Option<String> {
    let contents = request.list("/contents");
    let at = contents
        .iter()
        .position(|content| list(content, "/parts").is_empty())?;
    Some(format!(
        "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
    ))
}

fn empty_part(request: &Request) -> Option<String> {
    let data = [
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
    ];
    let mut parts = request
        .list("/contents")
        .iter()
        .flat_map(|content| list(content, "/parts"));
    let has_data = |part: &Value| data.iter().any(|name| part.get(*name).is_some());
    parts.any(|part| !has_data(part)).then(|| {
        "* GenerateContentRequest.contents.parts.data: required oneof field 'data' must have one initialized field".to_owned()
    })
}

fn count(content: &Value, field: &str) -> usize {
    list(content, "/parts")
        .iter()
        .filter(|part| part.get(field).is_some())
        .count()
}

fn call_turn(request: &Request) -> Option<String> {
    let contents = request.list("/contents");
    let mut calling = (0..contents.len()).filter(|at| count(&contents[*at], "functionCall") > 0);
    let follows_user = |at: usize| at > 0 && text(&contents[at - 1], "/role") == "user";
    calling.any(|at| !follows_user(at)).then(|| {
        "Please ensure that function call turn comes immediately after a user turn or after a function response turn.".to_owned()
    })
}

fn response_turn(request: &Request) -> Option<String> {
    let contents = request.list("/contents");
    let mut answering = (0..contents.len()).filter(|at| count(&contents[*at], "functionResponse") > 0);
    let follows_call = |at: usize| at > 0 && count(&contents[at - 1], "functionCall") > 0;
    answering.any(|at| !follows_call(at)).then(|| {
        "Please ensure that function response turn comes immediately after a function call turn.".to_owned()
    })
}

fn response_count(request: &Request) -> Option<String> {
    let contents = request.list("/contents");
    let nothing = Value::Null;
    let mut turns = (0..contents.len()).map(|at| (&contents[at], contents.get(at + 1).unwrap_or(&nothing)));
    turns
        .any(|(turn, next)| {
            let calls = count(turn, "functionCall");
            calls > 0 && calls != count(next, "functionResponse")
        })
        .then(|| {
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function \
             call turn."
                .to_owned()
        })
}

fn response_alone(request: &Request) -> Option<String> {
    let is_mixed = |content: &Value| {
        let responses = count(content, "functionResponse");
        responses > 0 && responses < list(content, "/parts").len()
    };
    request.list("/contents").iter().any(is_mixed).then(|| {
        "Please ensure that the function response turn contains only function response parts.".to_owned()
    })
}

fn last_role(request: &Request) -> Option<String> {
    let last = request.list("/contents").last()?;
    (text(last, "/role") == "model").then(|| {
        "Please ensure that multiturn requests end with a user role or a function response.".to_owned()
    })
}

fn missing_signature(request: &Request) -> Option<String> {
    if generation(request).is_none_or(|version| version < 3) {
        return None;
    }
    let contents = request.list("/contents");
    let is_prompt =
        |content: &Value| text(content, "/role") == "user" && count(content, "functionResponse") == 0;
    let current = contents.iter().rposition(is_prompt).unwrap_or(0);
    contents[current..].iter().find_map(|content| {
        let mut calls = list(content, "/parts").iter();
        let first = calls.find(|part| part.get("functionCall").is_some())?;
        text(first, "/thoughtSignature").is_empty().then(|| {
            format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly. \
                 Additional data, function call `default_api:{}`. Please refer to {SIGNATURES} for more details.",
                text(first, "/functionCall/name")
            )
        })
    })
}

/// A signature belongs to its part: to a call with its arguments, or to a text.
fn wrong_signature(request: &Request) -> Option<String> {
    let mut parts = request
        .list("/contents")
        .iter()
        .flat_map(|content| list(content, "/parts"));
    let is_wrong = |part: &Value| {
        let Some(signature) = part
            .get("thoughtSignature")
            .filter(|signature| *signature != SKIPPED)
        else {
            return false;
        };
        let is_call = part.get("functionCall").is_some();
        !request.issued.has(if is_call { part } else { signature })
    };
    parts
        .any(is_wrong)
        .then(|| "Corrupted thought signature.".to_owned())
}

fn format_with_tools(request: &Request) -> Option<String> {
    request.get("/tools/0/functionDeclarations")?;
    let kind = request
        .text("/generationConfig/responseMimeType")
        .filter(|kind| *kind != "text/plain")?;
    generation(request)
        .is_some_and(|version| version < 3)
        .then(|| format!("Function calling with a response mime type: '{kind}' is unsupported"))
}

fn level_and_budget(request: &Request) -> Option<String> {
    request.get("/generationConfig/thinkingConfig/thinkingLevel")?;
    request.get("/generationConfig/thinkingConfig/thinkingBudget")?;
    Some("You can only set only one of thinking budget and thinking level.".to_owned())
}

fn zero_budget(request: &Request) -> Option<String> {
    let budget = request.get("/generationConfig/thinkingConfig/thinkingBudget")?;
    let always = request.model.starts_with("gemini-2.5-pro")
        || generation(request).is_some_and(|version| version >= 3);
    (always && *budget == 0)
        .then(|| "Budget 0 is invalid. This model only works in thinking mode.".to_owned())
}

fn level_model(request: &Request) -> Option<String> {
    request.get("/generationConfig/thinkingConfig/thinkingLevel")?;
    generation(request)
        .is_some_and(|version| version < 3)
        .then(|| "Thinking level is not supported for this model.".to_owned())
}

fn declarations(request: &Request) -> impl Iterator<Item = &Value> {
    request
        .list("/tools")
        .iter()
        .flat_map(|tool| list(tool, "/functionDeclarations"))
}

fn names(request: &Request) -> Option<String> {
    let is_sound = |name: &str| {
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        begins && name.len() <= 128 && name.chars().all(is_known)
    };
    let mut names = declarations(request).map(|tool| text(tool, "/name"));
    names.any(|name| !is_sound(name)).then(|| {
        "* GenerateContentRequest.tools[0].function_declarations.name: Invalid function name. Must start with a letter or an \
         underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum \
         length of 128."
            .to_owned()
    })
}

fn allowed_names(request: &Request) -> Option<String> {
    let config = request.get("/toolConfig/functionCallingConfig")?;
    let allowed = list(config, "/allowedFunctionNames");
    let is_declared = |name: &Value| declarations(request).any(|tool| tool.get("name") == Some(name));
    let is_sound = text(config, "/mode") == "ANY" && allowed.iter().all(is_declared);
    (!allowed.is_empty() && !is_sound).then(|| {
        "allowed_function_names: only set when the mode is ANY, and they should match declared functions"
            .to_owned()
    })
}

fn format_schema(request: &Request) -> Option<String> {
    let schema = request.get("/generationConfig/responseJsonSchema")?;
    check_schema(Provider::Gemini, schema, true).err()
}

fn tool_schema(request: &Request) -> Option<String> {
    declarations(request)
        .find_map(|tool| check_schema(Provider::Gemini, tool.get("parametersJsonSchema")?, false).err())
}

fn types(request: &Request) -> Option<String> {
    let words = wrong_type(request)?;
    Some(format!("Invalid JSON payload received. {words}"))
}
