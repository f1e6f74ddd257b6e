//! Capabilities of the table as capabilities of the catalogue.

use serde_json::{Map, Value, json};

/// Capabilities that the table has by another name.
const FLAGS: &[(&str, &str)] = &[
    ("sampling", "supports_sampling_params"),
    ("forced_tools", "supports_forced_tool_use"),
    ("structured_output", "supports_response_schema"),
    ("tools", "supports_function_calling"),
    ("parallel_tools", "supports_parallel_function_calling"),
    ("vision", "supports_vision"),
    ("pdf", "supports_pdf_input"),
    ("audio_input", "supports_audio_input"),
    ("prompt_caching", "supports_prompt_caching"),
    ("cache_breakpoints", "supports_prompt_cache_breakpoint"),
];

/// The words of effort, from the least to the most, and whether a model that thinks knows one unless the table denies it.
const EFFORTS: &[(&str, bool)] = &[
    ("none", false),
    ("minimal", false),
    ("low", true),
    ("medium", true),
    ("high", true),
    ("xhigh", false),
    ("max", false),
];

/// The capabilities of a model, if the table has any.
pub(super) fn capabilities(provider: &str, name: &str, model: &Value) -> Option<Value> {
    let mut known = Map::new();
    let thinking = thinking(provider, name, model);
    if let Some(thinking) = thinking {
        known.insert("thinking".to_owned(), json!(thinking));
    }
    if let Some(efforts) = efforts(thinking, model) {
        known.insert("efforts".to_owned(), efforts);
    }
    for (capability, column) in FLAGS {
        if let Some(value) = flag(model, column) {
            known.insert((*capability).to_owned(), json!(value));
        }
    }
    if provider == "openai" && thinking == Some("effort") && always_reasons(name, model) {
        known.entry("sampling").or_insert(json!(false));
    }
    if let Some(endpoints) = model.get("supported_endpoints").and_then(Value::as_array) {
        let offers = |end: &str| {
            endpoints
                .iter()
                .filter_map(Value::as_str)
                .any(|path| path.ends_with(end))
        };
        if offers("/responses") && !offers("/chat/completions") {
            known.insert("responses_only".to_owned(), json!(true));
        }
    }
    (!known.is_empty()).then(|| known.into())
}

/// Whether a model of OpenAI always reasons, as far as that is known. While its models reason they take no sampling parameters
/// (zenn.dev/headwaters/articles/a5468c45ec2e52, zeroclaw-labs/zeroclaw#2936).
fn always_reasons(name: &str, model: &Value) -> bool {
    let is_o = name
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let knows_no_none = flag(model, "supports_none_reasoning_effort") == Some(false);
    // The table has a row for a model of conversations, which does not reason, as if it did.
    is_o || (knows_no_none && !name.ends_with("-chat"))
}

fn flag(model: &Value, column: &str) -> Option<bool> {
    model.get(column)?.as_bool()
}

/// Which way a model is asked to think. Of other providers the table does not say it.
fn thinking(provider: &str, name: &str, model: &Value) -> Option<&'static str> {
    let thinks = flag(model, "supports_reasoning") == Some(true);
    match provider {
        "anthropic" if flag(model, "thinking_always_on") == Some(true) => Some("always_adaptive"),
        "anthropic" if flag(model, "supports_adaptive_thinking") == Some(true) => Some("adaptive"),
        "anthropic" if thinks => Some("budget"),
        "openai" if thinks => Some("effort"),
        "anthropic" | "openai" => Some("none"),
        // The parameter changed with the third generation.
        "gemini" if thinks && name.starts_with("gemini-2.5") => Some("budget"),
        "gemini" if thinks && is_third_generation(name) => Some("effort"),
        _ if model.get("reasoning_effort_levels").is_some() => Some("effort"),
        _ => None,
    }
}

fn is_third_generation(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("gemini-") else {
        return false;
    };
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    number
        .parse::<u32>()
        .map_or(rest.ends_with("-latest"), |number| number >= 3)
}

/// The words of effort that a model knows: those of its own list, else the usual ones and those that the table adds.
fn efforts(thinking: Option<&str>, model: &Value) -> Option<Value> {
    if let Some(levels) = model.get("reasoning_effort_levels") {
        return Some(levels.clone());
    }
    if matches!(thinking, None | Some("none")) {
        return None;
    }
    let known = EFFORTS.iter().filter(|(word, is_usual)| {
        flag(model, &format!("supports_{word}_reasoning_effort")).unwrap_or(*is_usual)
    });
    Some(known.map(|(word, _)| *word).collect())
}
