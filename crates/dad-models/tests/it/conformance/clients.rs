//! The requests of the official clients, beside ours for the same tasks.
//!
//! `cargo xtask clients --record` writes down theirs. Every difference is wanted, and has its reason here.

use std::collections::BTreeMap;

use dad_models::{Message, MessageFile, ModelRequest, Role};
use serde_json::{Value, json};

use super::settings::{Mode, SETTINGS, Setting};
use super::{World, converse, tools};
use crate::provider_rules::one_notation;

const RECORDED: &str = include_str!("../../../../../tests/data/clients/requests.json");

/// The picture of the official clients.
const DOT: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of the picture";

/// A task of `tests/clients/official.py`.
struct Task {
    name: &'static str,
    setting: (&'static str, &'static str, Option<&'static str>),
    mode: Mode,
    change: fn(&mut ModelRequest),
}

const fn task(
    name: &'static str,
    setting: (&'static str, &'static str, Option<&'static str>),
    mode: Mode,
    change: fn(&mut ModelRequest),
) -> Task {
    Task {
        name,
        setting,
        mode,
        change,
    }
}

fn text(request: &mut ModelRequest) {
    request.system = vec!["Be brief.".into()];
    request.messages = vec![Message::new(Role::User, "Greet Ada.")];
}

fn short_text(request: &mut ModelRequest) {
    text(request);
    request.options.max_output_tokens = Some(100);
}

fn warm_text(request: &mut ModelRequest) {
    short_text(request);
    request.options.other.insert("temperature".to_owned(), json!(0.5));
}

fn image(request: &mut ModelRequest) {
    request.messages = vec![Message::new(Role::User, "Look.")];
    let dot = MessageFile::new("dot.png", "image/png", DOT);
    request.messages[0].files.push(dot);
}

fn short_image(request: &mut ModelRequest) {
    image(request);
    request.options.max_output_tokens = Some(100);
}

fn two_rounds(request: &mut ModelRequest) {
    let prompt = "Use the tools in 2 rounds, in parallel.";
    request.messages = vec![Message::new(Role::User, prompt)];
    request.options.tools = tools();
}

fn two_rounds_of_4000_tokens(request: &mut ModelRequest) {
    two_rounds(request);
    request.options.max_output_tokens = Some(4000);
}

fn schema(request: &mut ModelRequest) {
    request.messages = vec![Message::new(Role::User, "Greet Ada.")];
    request.options.schema = Some(json!({
        "title": "Answer", "type": "object", "required": ["word", "number"],
        "properties": {
            "word": { "title": "Word", "type": "string" },
            "number": { "title": "Number", "anyOf": [{ "type": "integer" }, { "type": "null" }] },
        },
    }));
}

fn short_schema(request: &mut ModelRequest) {
    schema(request);
    request.options.max_output_tokens = Some(100);
}

use Mode::{Streamed, Whole};

const GPT: (&str, &str, Option<&str>) = ("openai", "gpt-4o", None);
const GPT_RESPONSES: (&str, &str, Option<&str>) = ("openai_responses", "gpt-4o", None);
const HAIKU: (&str, &str, Option<&str>) = ("anthropic", "claude-haiku-4-5", None);
const GEMINI: (&str, &str, Option<&str>) = ("google", "gemini-2.5-flash", None);

const TASKS: &[Task] = &[
    task("chat_text", GPT, Whole, warm_text),
    task("chat_stream", GPT, Streamed, text),
    task("chat_image", GPT, Whole, image),
    task(
        "chat_tools",
        ("openai", "gpt-5-mini", Some("low")),
        Whole,
        two_rounds,
    ),
    task("chat_schema", GPT, Whole, schema),
    task("responses_text", GPT_RESPONSES, Streamed, text),
    task(
        "responses_tools",
        ("openai_responses", "gpt-5.4", Some("high")),
        Whole,
        two_rounds,
    ),
    task("responses_schema", GPT_RESPONSES, Whole, schema),
    task("messages_text", HAIKU, Streamed, short_text),
    task("messages_image", HAIKU, Whole, short_image),
    task(
        "messages_tools",
        ("anthropic", "claude-haiku-4-5", Some("low")),
        Whole,
        two_rounds_of_4000_tokens,
    ),
    task("messages_schema", HAIKU, Whole, short_schema),
    task("google_text", GEMINI, Streamed, warm_text),
    task("google_image", GEMINI, Whole, image),
    task(
        "google_tools",
        ("google", "gemini-3-flash-preview", Some("low")),
        Whole,
        two_rounds,
    ),
    task("google_schema", GEMINI, Whole, schema),
];

/// A wanted difference: the beginning of the names of the tasks, the place, the reason.
struct Wanted(&'static str, &'static str, &'static str);

const APPENDED: &str = "the client appends the message that it got, with its empty annotations";
const NAME: &str = "the name of a format is free; ours is the same for all";
const DEFAULT: &str = "the client's helper for types says what is the default";
const NUMBERS: &str = "the provider's own marks of a call: without storage it knows none, and `call_id` is the one that matches";
const ONE_BLOCK: &str = "a text alone is a text or a list of one block";
const KEY: &str =
    "the address is not Anthropic's own: others that speak its protocol take the key in `x-api-key`";
const NO_ROLE: &str = "instructions have no role";
const CACHE: &str = "a loop of tools sends all of it again in each round, which the cache makes cheaper";
const CLOSED: &str = "a closed object keeps a model from inventing keys";

const WANTED: &[Wanted] = &[
    Wanted("chat_tools", "/messages/*/annotations", APPENDED),
    Wanted("chat_schema", "/response_format/json_schema/name", NAME),
    Wanted("chat_schema", "/stream", DEFAULT),
    Wanted("responses_tools", "/input/*/id", NUMBERS),
    Wanted("responses_tools", "/input/*/status", NUMBERS),
    Wanted("responses_schema", "/text/format/name", NAME),
    Wanted("messages_", "/messages/*/content", ONE_BLOCK),
    Wanted("messages_", "header authorization", KEY),
    Wanted("messages_", "header x-api-key", KEY),
    Wanted("messages_tools", "/cache_control", CACHE),
    Wanted("google_text", "/systemInstruction/role", NO_ROLE),
    Wanted(
        "google_schema",
        "/generationConfig/responseJsonSchema/additionalProperties",
        CLOSED,
    ),
    Wanted(
        "google_tools",
        "/tools/*/functionDeclarations/*/parametersJsonSchema/additionalProperties",
        CLOSED,
    ),
];

impl Task {
    fn setting(&self) -> &'static Setting {
        let (protocol, model, effort) = self.setting;
        let is_it = |setting: &&Setting| {
            setting.protocol == protocol && setting.model == model && setting.effort == effort
        };
        SETTINGS.iter().find(is_it).unwrap()
    }
}

/// The places in which two documents differ, each with what stands there; `null` where nothing does.
fn differences(ours: &Value, theirs: &Value, place: &str, found: &mut BTreeMap<String, (Value, Value)>) {
    let below = |name: &str| format!("{place}/{name}");
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one
                .keys()
                .chain(other.keys().filter(|name| !one.contains_key(*name)))
            {
                differences(&ours[name], &theirs[name], &below(name), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (one, other) in one.iter().zip(other) {
                differences(one, other, &below("*"), found);
            }
        }
        _ if ours != theirs => {
            found.insert(place.to_owned(), (ours.clone(), theirs.clone()));
        }
        _ => {}
    }
}

#[tokio::test]
async fn our_requests_are_those_of_the_official_clients() {
    let recorded: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    let mut unused: Vec<&Wanted> = WANTED.iter().collect();
    let mut unwanted = Vec::new();
    for task in TASKS {
        let world = World::start().await;
        let setting = task.setting();
        let mut request = setting.request("");
        (task.change)(&mut request);
        converse(&world, setting, task.mode, &mut request).await;
        let ours = world.server.seen();
        let theirs = recorded
            .iter()
            .filter(|request| request["headers"]["x-task"] == task.name);
        let theirs: Vec<&Value> = theirs.collect();
        assert_eq!(ours.len(), theirs.len(), "{}", task.name);
        let mut found = BTreeMap::new();
        for (ours, theirs) in ours.iter().zip(theirs) {
            let mut body = theirs["body"].clone();
            if task.name.starts_with("google") {
                one_notation(&mut body);
            }
            differences(&ours.body, &body, "", &mut found);
            for name in [
                "content-type",
                "anthropic-version",
                "authorization",
                "x-api-key",
                "x-goog-api-key",
            ] {
                let header = ours
                    .headers
                    .get(name)
                    .map_or(Value::Null, |text| text.as_str().into());
                differences(
                    &header,
                    &theirs["headers"][name],
                    &format!("header {name}"),
                    &mut found,
                );
            }
            let path = |path: &str| {
                path.rsplit_once("/v1")
                    .map(|(_, path)| path.trim_start_matches("beta").to_owned())
            };
            assert_eq!(
                path(&ours.path),
                path(theirs["path"].as_str().unwrap()),
                "{}",
                task.name
            );
        }
        for (place, (ours, theirs)) in found {
            let is_it = |wanted: &&Wanted| task.name.starts_with(wanted.0) && wanted.1 == place;
            unused.retain(|wanted| !is_it(wanted));
            if !WANTED.iter().any(|wanted| is_it(&wanted)) {
                unwanted.push(format!("{} {place}: ours {ours}, theirs {theirs}", task.name));
            }
        }
    }
    assert!(unwanted.is_empty(), "{unwanted:#?}");
    let unused: Vec<(&str, &str)> = unused.iter().map(|wanted| (wanted.0, wanted.1)).collect();
    assert!(
        unused.is_empty(),
        "differences that are none any more: {unused:?}"
    );
    assert!(WANTED.iter().all(|Wanted(_, _, reason)| !reason.is_empty()));
}
