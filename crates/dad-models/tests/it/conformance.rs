//! Each protocol against servers that refuse what its provider refuses.

mod caching;
mod clients;
mod settings;

use dad_models::{
    FinishReason, Message, MessageFile, ModelClient, ModelError, ModelRequest, ModelResponse, Role,
    ToolChoice, ToolSpec,
};
use serde_json::{Value, json};

use crate::strict_server::{Refused, StrictServer};
use crate::types::*;
use settings::{Clients, Mode, SETTINGS, Setting, THINKING};

/// A picture of one dot.
const DOT: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of the picture";

/// A server with a client of it.
struct World {
    server: StrictServer,
    clients: Clients,
}

impl World {
    async fn start() -> Self {
        let server = StrictServer::start().await;
        let clients = Clients::at(&server.uri());
        Self { server, clients }
    }
}

/// Asks, and fails with what the server refused.
async fn ask(world: &World, setting: &Setting, mode: Mode, request: &ModelRequest) -> ModelResponse {
    let World { server, clients } = world;
    let call = crate::providers::call();
    let answered = match mode {
        Mode::Whole => clients.client.complete(request, &call).await,
        Mode::Streamed => clients.client.stream(request, &call, &|_| {}).await,
    };
    if let Some(Refused { rule, message, body }) = server.refused().first() {
        panic!("{setting:?} {mode:?} breaks {rule}: {message}\n{body:#}");
    }
    answered.unwrap_or_else(|error| panic!("{setting:?} {mode:?}: {error}"))
}

fn tools() -> Vec<ToolSpec> {
    let weather = json!({
        "type": "object", "required": ["city"],
        "properties": { "city": { "type": "string" }, "unit": { "type": "string", "enum": ["C", "F"] } },
    });
    let spec = |name: &str, description: Option<&str>, schema: Value| {
        ToolSpec::new(name.to_owned(), schema)
            .description(description.map(str::to_owned))
            .cache(false)
    };
    vec![
        spec("weather", Some("The weather of a city."), weather),
        spec("breaks", None, json!({ "type": "object", "properties": {} })),
    ]
}

/// Answers the calls of a turn; the tool `breaks` fails.
fn answer_calls(request: &mut ModelRequest, response: ModelResponse) {
    request.messages.push(
        Message::new(Role::Assistant, response.text)
            .tool_calls(response.tool_calls.clone())
            .native(response.native),
    );
    for call in response.tool_calls {
        let is_error = call.name == "breaks";
        request.messages.push(
            Message::new(Role::Tool, if is_error { "it broke" } else { "sunny" })
                .tool_call_id(call.id.clone())
                .is_error(is_error)
                .tool_calls(vec![call]),
        );
    }
}

/// Continues a conversation until the model calls no tool any more; gives the number of rounds and the last answer.
async fn converse(
    world: &World,
    setting: &Setting,
    mode: Mode,
    request: &mut ModelRequest,
) -> (usize, ModelResponse) {
    for round in 0..10 {
        let response = ask(world, setting, mode, request).await;
        if response.tool_calls.is_empty() {
            return (round, response);
        }
        answer_calls(request, response);
    }
    panic!("{setting:?} {mode:?}: the conversation does not end");
}

#[tokio::test]
async fn text_with_instructions_and_images() {
    let world = World::start().await;
    for (setting, mode) in settings::all() {
        let mut request = setting.request("Greet Ada.");
        request.system = vec!["Be brief.".into(), "  ".into()];
        let response = ask(&world, setting, mode, &request).await;
        assert!(response.text.starts_with("Grüezi"), "{setting:?}: {response:?}");
        assert_eq!(response.finish_reason, FinishReason::Completed);
        assert_eq!(response.usage.total_tokens, 15, "{setting:?} {mode:?}");
        assert_eq!(
            response.reasoning.is_some(),
            setting.shows_thoughts(),
            "{setting:?} {mode:?}"
        );

        // The name says JPEG, the content PNG; the other file is a text.
        let files = [
            MessageFile::new("dot.jpg", "image/jpeg", DOT),
            MessageFile::new("notes.md", "text/markdown", "# Notes".as_bytes()),
        ];
        request.messages[0].files.extend(files);
        request
            .messages
            .insert(0, Message::new(Role::User, "First, look."));
        request
            .messages
            .insert(1, Message::new(Role::Assistant, "I look. \n"));
        request.messages.insert(2, Message::new(Role::Assistant, "  "));
        request.messages.push(Message::new(Role::User, "And again."));
        ask(&world, setting, mode, &request).await;
    }
}

#[tokio::test]
async fn three_rounds_of_parallel_calls_with_a_tool_that_fails() {
    let world = World::start().await;
    for (setting, mode) in settings::all() {
        for prompt in [
            "Use the tools in 3 rounds.",
            "Use the tools in 3 rounds, in parallel.",
        ] {
            let mut request = setting.request(prompt);
            request.options.tools = tools();
            let (rounds, response) = converse(&world, setting, mode, &mut request).await;
            assert_eq!(rounds, 3, "{setting:?} {mode:?}");
            // The conversation continues behind it.
            request
                .messages
                .push(Message::new(Role::Assistant, response.text));
            request
                .messages
                .push(Message::new(Role::User, "And 1 round more."));
            let (rounds, _) = converse(&world, setting, mode, &mut request).await;
            assert_eq!(rounds, 1, "{setting:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn tools_are_chosen_and_forbidden() {
    let world = World::start().await;
    for (setting, mode) in settings::all() {
        // With reasoning Anthropic's models cannot be made to call a tool, and the client says so itself.
        let mut request = setting.request("Go.");
        request.options.reasoning_effort = None;
        request.options.tools = tools();
        let only = ToolChoice::Tool {
            name: "breaks".to_owned(),
        };
        for (choice, called) in [
            (ToolChoice::Required, 1),
            (only, 1),
            (ToolChoice::None, 0),
            (ToolChoice::Auto, 0),
        ] {
            request.options.tool_choice = Some(choice);
            let response = ask(&world, setting, mode, &request).await;
            assert_eq!(response.tool_calls.len(), called, "{setting:?} {mode:?}");
        }
    }
}

/// A type of a user: its schema, and whether an answer is one of its values.
struct Typed {
    name: &'static str,
    schema: Value,
    reads: fn(&str) -> Result<(), String>,
}

macro_rules! types {
    ($($kind:ty),* $(,)?) => {
        vec![$(Typed {
            name: stringify!($kind),
            schema: schemars::schema_for!($kind).into(),
            reads: |text| serde_json::from_str::<$kind>(text).map(drop).map_err(|error| error.to_string()),
        }),*]
    };
}

fn typed() -> Vec<Typed> {
    types![
        Colour,
        Documented,
        Internal,
        Adjacent,
        External,
        Untagged,
        UntaggedAlike,
        Inner,
        Optionals,
        Defaults,
        Mapped,
        MapOfStructs,
        Tupled,
        Arrayed,
        Tree,
        Linked,
        Even,
        Forest,
        Expression,
        Flattened,
        FlattenedEnum,
        FlattenedMap,
        Integers,
        Numbers,
        Bounded,
        Lengths,
        Patterned,
        Sets,
        Dates,
        FileOperations,
        Closed,
        Described,
        Anything,
        FreeForm,
        Empty,
        Unit,
        Newtype,
        Names,
        Results,
        TwoUnions,
        Versioned,
        Page<Wrapped<Inner>>,
        Vec<Inner>,
        String,
        u32,
        Option<Inner>,
        (u8, String),
    ]
}

/// Types whose values the schema that a provider takes does not tell from others, so that an answer may miss them: those with
/// lists of a fixed length.
const LOOSE: &[&str] = &["Tupled", "Arrayed", "(u8, String)", "Lengths"];

#[tokio::test]
async fn answers_obey_the_schemas_of_types() {
    let world = World::start().await;
    for (typed, mode) in typed().into_iter().zip(Mode::BOTH.into_iter().cycle()) {
        for setting in SETTINGS {
            let mut request = setting.request("Answer, and finally final_answer.");
            request.options.schema = Some(typed.schema.clone());
            let response = ask(&world, setting, mode, &request).await;
            let place = format!("{} {setting:?} {mode:?}: {}", typed.name, response.text);
            assert!(serde_json::from_str::<Value>(&response.text).is_ok(), "{place}");
            if !LOOSE.contains(&typed.name) {
                (typed.reads)(&response.text).unwrap_or_else(|error| panic!("{place}: {error}"));
            }
        }
    }
}

/// With `strict: true` the client refuses itself what cannot be enforced.
#[tokio::test]
async fn schemas_of_types_are_those_of_tools_too() {
    let world = World::start().await;
    let objects = typed()
        .into_iter()
        .filter(|typed| typed.schema["type"] == "object");
    for (typed, mode) in objects.zip(Mode::BOTH.into_iter().cycle()) {
        for setting in SETTINGS {
            for strict in [false, true] {
                let mut request = setting.request("Use it in 1 round.");
                request.options.other.insert("strict".to_owned(), strict.into());
                request.options.tools = vec![tools().remove(0).schema(typed.schema.clone())];
                let asked = world
                    .clients
                    .client
                    .complete(&request, &crate::providers::call())
                    .await;
                if !matches!(asked, Err(ModelError::Request { .. }) if strict) {
                    let response = ask(&world, setting, mode, &request).await;
                    assert_eq!(
                        response.tool_calls.len(),
                        1,
                        "{} {setting:?} {mode:?}",
                        typed.name
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn an_answer_with_a_schema_comes_after_tools() {
    let world = World::start().await;
    for (setting, mode) in settings::all() {
        let mut request =
            setting.request("Use the tools in 2 rounds, in parallel, and finally final_answer.");
        request.options.tools = tools();
        request.options.schema = Some(schemars::schema_for!(Described).into());
        let (rounds, response) = converse(&world, setting, mode, &mut request).await;
        assert_eq!(rounds, 2, "{setting:?} {mode:?}");
        let read = serde_json::from_str::<Described>(&response.text);
        assert!(read.is_ok(), "{setting:?} {mode:?}: {} {read:?}", response.text);
    }
}

#[tokio::test]
async fn options_are_those_of_the_protocol() {
    let world = World::start().await;
    let common = json!({ "parallel_tool_calls": false });
    for (setting, mode) in settings::all() {
        let own = match (setting.protocol, setting.model) {
            ("openai", "gpt-4o") => json!({
                "temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["END"], "presence_penalty": 0.1,
                "frequency_penalty": 0.1, "service_tier": "auto", "store": true,
            }),
            ("openai", _) => json!({ "verbosity": "low", "service_tier": "flex", "store": false }),
            ("openai_responses", "gpt-4o") => json!({ "temperature": 0.2, "top_p": 0.9, "store": true }),
            ("openai_responses", _) => {
                json!({ "verbosity": "low", "reasoning_summary": "auto", "service_tier": "flex" })
            }
            ("anthropic", "claude-haiku-4-5") if setting.effort.is_none() => {
                json!({ "temperature": 0.2, "top_k": 5, "stop": ["END"] })
            }
            ("anthropic", _) => json!({ "stop": ["END"], "service_tier": "auto" }),
            _ => json!({ "temperature": 0.2, "top_p": 0.9, "top_k": 5, "seed": 7, "stop": "END" }),
        };
        let mut request = setting.request("Go.");
        request.options.other = own.as_object().unwrap().clone();
        request.options.max_output_tokens = Some(4000);
        if setting.protocol != "google" {
            request.options.other.extend(common.as_object().unwrap().clone());
        }
        ask(&world, setting, mode, &request).await;
        request.options.tools = tools();
        ask(&world, setting, mode, &request).await;
    }
}

/// Each effort is asked for in a form that the model takes, or the client says itself that the model has none.
#[tokio::test]
async fn every_effort_is_taken_or_refused_before_it_is_sent() {
    let world = World::start().await;
    for setting in SETTINGS {
        for effort in ["none", "minimal", "low", "medium", "high", "xhigh", "max"] {
            let mut request = setting.request("Go.");
            request.options.reasoning_effort = Some(effort.to_owned());
            let asked = world
                .clients
                .client
                .complete(&request, &crate::providers::call())
                .await;
            if !matches!(asked, Err(ModelError::Request { .. })) {
                ask(&world, setting, Mode::Whole, &request).await;
            }
        }
    }
}

#[tokio::test]
async fn a_turn_of_another_provider_is_continued() {
    let world = World::start().await;
    for first in SETTINGS {
        for second in SETTINGS {
            for prompt in [
                "Use the tools in 3 rounds, in parallel.",
                "Use the tools in 1 round.",
            ] {
                let mut request = first.request(prompt);
                request.options.tools = tools();
                let response = ask(&world, first, Mode::Whole, &request).await;
                assert!(!response.tool_calls.is_empty(), "{first:?}");
                answer_calls(&mut request, response);
                let mut request = second.request("").messages(request.messages);
                request.options.tools = tools();
                converse(&world, second, Mode::Streamed, &mut request).await;
                // And back.
                let mut request = first.request("").messages(request.messages);
                request.options.tools = tools();
                request
                    .messages
                    .push(Message::new(Role::User, "Now 1 round again."));
                converse(&world, first, Mode::Streamed, &mut request).await;
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_model_is_one() {
    let world = World::start().await;
    for (setting, mode) in settings::all() {
        let response = ask(&world, setting, mode, &setting.request("Please refuse this.")).await;
        assert_eq!(
            response.finish_reason,
            FinishReason::ContentFilter,
            "{setting:?} {mode:?}"
        );
    }
}

/// Signed parts go back unchanged, and a server notices one that does not.
#[tokio::test]
async fn the_servers_notice_a_signature_that_was_changed() {
    for setting in THINKING {
        let world = World::start().await;
        let mut request = setting.request("Use the tools in 1 round.");
        request.options.tools = tools();
        let response = ask(&world, setting, Mode::Whole, &request).await;
        answer_calls(&mut request, response);
        let native = request.messages[1].native.as_mut().unwrap();
        let changed = native.content.iter().map(|part| {
            let text = part.to_string();
            let marks = ["EqQBCg", "CiQBwb", "gAAAA", "EmwKAh"];
            let text = marks
                .iter()
                .fold(text, |text, mark| text.replace(mark, "changed"));
            serde_json::from_str(&text).unwrap()
        });
        native.content = changed.collect();
        let client = &world.clients.client;
        client
            .complete(&request, &crate::providers::call())
            .await
            .unwrap_err();
        let refused = world.server.refused();
        let rule = refused.last().unwrap().rule;
        let rules = [
            "anthropic-thinking-modified",
            "google-wrong-signature",
            "responses-encrypted-content",
        ];
        assert!(rules.contains(&rule), "{setting:?}: {rule}");
    }
}
