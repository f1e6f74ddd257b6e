//! Marks of what providers keep in their caches of prompts.

use dad_models::{
    Instruction, Message, MessageFile, ModelClient, ModelError, ModelRequest, PromptCache, Role, ToolCall,
};
use serde_json::{Value, json};

use super::settings::{ANTHROPIC_CACHE, CHAT_CACHE, Mode, RESPONSES_CACHE, RESPONSES_WITHOUT, Setting};
use super::{DOT, World, ask, converse, tools};

/// The places of marks in a body.
fn marks(body: &Value) -> Vec<String> {
    fn walk(value: &Value, place: &str, found: &mut Vec<String>) {
        let mut step = |name: &str, value: &Value| match name {
            "cache_control" => {
                assert_eq!(*value, json!({ "type": "ephemeral" }));
                found.push(place.to_owned());
            }
            "prompt_cache_breakpoint" => {
                assert_eq!(*value, json!({ "mode": "explicit" }));
                found.push(place.to_owned());
            }
            name => walk(value, &format!("{place}/{name}"), found),
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| step(name, value)),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(at, item)| step(&at.to_string(), item));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(body, "", &mut found);
    found.sort();
    found
}

/// A conversation with every place that may be marked, none of which is.
fn conversation(setting: &Setting) -> ModelRequest {
    let mut request = setting.request("Greet Ada.");
    request.system = vec!["Be brief.".into(), "Be kind.".into(), "  ".into()];
    let mut first = Message::new(Role::User, "First, look.");
    first.files = vec![
        MessageFile::new("dot.png", "image/png", DOT),
        MessageFile::new("notes.md", "text/markdown", "# Notes".as_bytes()),
    ];
    let before = [
        first,
        Message::new(Role::Assistant, "I look."),
        Message::new(Role::System, "Use names."),
        Message::new(Role::User, "Good."),
    ];
    request.messages.splice(0..0, before);
    request
}

/// The body of a request that the server took.
async fn sent(world: &World, setting: &Setting, request: &ModelRequest) -> Value {
    ask(world, setting, Mode::Whole, request).await;
    world.server.seen().pop().unwrap().body
}

/// A place that is marked, and the places of the marks in the bodies of the protocols: Anthropic, chat completions, responses.
type Place = (fn(&mut ModelRequest), [&'static [&'static str]; 3]);

const PLACES: &[Place] = &[
    (
        |request| request.system[0].cache = true,
        [
            &["/system/0"],
            &["/messages/0/content/0"],
            &["/input/0/content/0"],
        ],
    ),
    (
        |request| request.system[1].cache = true,
        [
            &["/system/0"],
            &["/messages/0/content/0"],
            &["/input/0/content/0"],
        ],
    ),
    // Nothing stands there, so that nothing is marked.
    (|request| request.system[2].cache = true, [&[], &[], &[]]),
    (
        |request| request.messages[0].files[0].cache = true,
        [
            &["/messages/0/content/1"],
            &["/messages/1/content/1"],
            &["/input/1/content/1"],
        ],
    ),
    (
        |request| request.messages[0].files[1].cache = true,
        [
            &["/messages/0/content/2"],
            &["/messages/1/content/2"],
            &["/input/1/content/2"],
        ],
    ),
    (
        |request| request.messages[0].cache = true,
        [
            &["/messages/0/content/2"],
            &["/messages/1/content/2"],
            &["/input/1/content/2"],
        ],
    ),
    // OpenAI takes no mark on a turn of its model: it stands before it.
    (
        |request| request.messages[1].cache = true,
        [
            &["/messages/1/content/0"],
            &["/messages/1/content/2"],
            &["/input/1/content/2"],
        ],
    ),
    // Anthropic has all instructions before the conversation.
    (
        |request| request.messages[2].cache = true,
        [
            &["/system/0"],
            &["/messages/3/content/0"],
            &["/input/3/content/0"],
        ],
    ),
    (
        |request| request.messages[4].cache = true,
        [
            &["/messages/3/content/0"],
            &["/messages/4/content/0"],
            &["/input/5/content/0"],
        ],
    ),
    (
        |request| {
            request.system[0].cache = true;
            request.messages[0].files[1].cache = true;
            request.messages[0].cache = true;
            request.messages[3].cache = true;
        },
        [
            &["/messages/0/content/2", "/messages/2/content/0", "/system/0"],
            &[
                "/messages/0/content/0",
                "/messages/1/content/2",
                "/messages/4/content/0",
            ],
            &["/input/0/content/0", "/input/1/content/2", "/input/4/content/0"],
        ],
    ),
];

#[tokio::test]
async fn a_mark_stands_at_the_end_of_its_place() {
    let world = World::start().await;
    for (number, (mark, places)) in PLACES.iter().enumerate() {
        for (setting, places) in [ANTHROPIC_CACHE, CHAT_CACHE, RESPONSES_CACHE].iter().zip(places) {
            let mut request = conversation(setting);
            let plain = sent(&world, setting, &request).await;
            assert_eq!(marks(&plain), Vec::<String>::new(), "{setting:?}");
            mark(&mut request);
            let body = sent(&world, setting, &request).await;
            assert_eq!(marks(&body), *places, "{number} {setting:?}: {body:#}");
            assert_eq!(body.get("prompt_cache_options"), None);
            assert_eq!(words(&body), words(&plain), "{number} {setting:?}");
        }
        // A model that takes none gets none.
        let mut request = conversation(&RESPONSES_WITHOUT);
        let plain = sent(&world, &RESPONSES_WITHOUT, &request).await;
        mark(&mut request);
        assert_eq!(sent(&world, &RESPONSES_WITHOUT, &request).await, plain);
    }
}

/// All texts of a body in their order, whatever they stand in.
fn words(body: &Value) -> String {
    fn of(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().map(of).collect(),
            _ => ["content", "text"]
                .iter()
                .filter_map(|name| value.get(name))
                .map(of)
                .collect(),
        }
    }
    let places = ["system", "instructions", "messages", "input"];
    places.iter().filter_map(|name| body.get(name)).map(of).collect()
}

#[tokio::test]
async fn tools_are_marked_where_the_protocol_can() {
    let world = World::start().await;
    let mut request = ANTHROPIC_CACHE.request("Greet Ada.");
    request.options.tools = tools();
    request.options.tools[0].cache = true;
    let body = sent(&world, &ANTHROPIC_CACHE, &request).await;
    // The whole conversation is kept, too, because tools may be called.
    assert_eq!(marks(&body), ["", "/tools/0"]);
    request.options.cache = Some(PromptCache::Off);
    let body = sent(&world, &ANTHROPIC_CACHE, &request).await;
    assert_eq!(marks(&body), ["/tools/0"]);

    let mut request = RESPONSES_CACHE.request("Greet Ada.");
    request.options.tools = tools();
    let plain = sent(&world, &RESPONSES_CACHE, &request).await;
    request.options.tools[0].cache = true;
    assert_eq!(sent(&world, &RESPONSES_CACHE, &request).await, plain);
}

#[tokio::test]
async fn the_own_marks_of_a_mode_give_way_to_those_of_places() {
    let world = World::start().await;
    let places: [fn(&mut ModelRequest); 4] = [
        |request| request.system[0].cache = true,
        |request| request.messages[0].files[0].cache = true,
        |request| request.messages[0].cache = true,
        |request| request.messages[3].cache = true,
    ];
    let explicit = json!({ "mode": "explicit" });
    for (count, cache) in (0..=4).flat_map(|count| {
        let modes = [
            None,
            Some(PromptCache::Auto),
            Some(PromptCache::Instructions),
            Some(PromptCache::Off),
        ];
        modes.map(|cache| (count, cache))
    }) {
        let marked = |setting: &Setting| {
            let mut request = conversation(setting);
            places[..count].iter().for_each(|mark| mark(&mut request));
            request.options.cache = cache;
            request
        };
        let own = usize::from(cache == Some(PromptCache::Instructions) && count < 4);
        let whole = usize::from(cache == Some(PromptCache::Auto) && count < 4);
        let body = sent(&world, &ANTHROPIC_CACHE, &marked(&ANTHROPIC_CACHE)).await;
        assert_eq!(
            marks(&body).len(),
            count + own + whole,
            "{count} {cache:?}: {body:#}"
        );
        assert_eq!(body.get("cache_control").is_some(), whole == 1);

        for setting in [CHAT_CACHE, RESPONSES_CACHE] {
            let body = sent(&world, &setting, &marked(&setting)).await;
            assert_eq!(marks(&body).len(), count + own, "{count} {cache:?}: {body:#}");
            let keeps_no_more =
                count == 4 || matches!(cache, Some(PromptCache::Off | PromptCache::Instructions));
            let options = body.get("prompt_cache_options");
            assert_eq!(
                options,
                Some(&explicit).filter(|_| keeps_no_more),
                "{count} {cache:?}"
            );
        }
    }
    // Without instructions the tools are what stands before the conversation.
    let mut request = ANTHROPIC_CACHE.request("Greet Ada.");
    request.options.tools = tools();
    request.options.cache = Some(PromptCache::Instructions);
    assert_eq!(
        marks(&sent(&world, &ANTHROPIC_CACHE, &request).await),
        ["/tools/1"]
    );
}

#[tokio::test]
async fn conversations_with_tools_keep_their_marks() {
    let world = World::start().await;
    for (setting, prompt) in [
        (ANTHROPIC_CACHE, "Use the tools in 3 rounds, in parallel."),
        (RESPONSES_CACHE, "Use the tools in 3 rounds, in parallel."),
    ] {
        for mode in Mode::BOTH {
            let mut request = setting.request(prompt);
            request.system = vec![
                Instruction::from("Be brief.").cache(true),
                "Today is Monday.".into(),
            ];
            request.options.tools = tools();
            request.options.tools[1].cache = true;
            request.messages[0].cache = true;
            request.options.cache = Some(PromptCache::Auto);
            let (rounds, response) = converse(&world, &setting, mode, &mut request).await;
            assert_eq!(rounds, 3);
            // Results, and a turn with its reasoning, are marked in what continues it.
            for message in &mut request.messages {
                message.cache = message.role == Role::Tool && message.text == "it broke";
            }
            request.options.tools[1].cache = false;
            request
                .messages
                .push(Message::new(Role::Assistant, response.text));
            request
                .messages
                .push(Message::new(Role::User, "And 1 round more."));
            let (rounds, _) = converse(&world, &setting, mode, &mut request).await;
            assert_eq!(rounds, 1);
        }
    }
    let bodies: Vec<Value> = world.server.seen().into_iter().map(|seen| seen.body).collect();
    let of_anthropic = bodies.iter().filter(|body| body.get("max_tokens").is_some());
    let found: Vec<Vec<String>> = of_anthropic.map(marks).collect();
    let begun = ["", "/messages/0/content/0", "/system/0", "/tools/1"];
    // Four rounds, and two with marks on the results of the tool that fails, whole and streamed.
    let continued = [
        "/messages/2/content/1",
        "/messages/4/content/0",
        "/messages/6/content/1",
        "/system/0",
    ];
    assert_eq!(found.len(), 12);
    assert!(found[..4].iter().all(|found| *found == begun), "{found:?}");
    assert!(found[4..6].iter().all(|found| *found == continued), "{found:?}");
}

#[tokio::test]
async fn reasoning_and_what_is_empty_take_no_mark() {
    let world = World::start().await;
    let mut request = ANTHROPIC_CACHE.request("Use the tools in 1 rounds.");
    request.options.tools = tools();
    request.options.cache = Some(PromptCache::Off);
    converse(&world, &ANTHROPIC_CACHE, Mode::Whole, &mut request).await;
    let turn = request
        .messages
        .iter()
        .position(|message| message.native.is_some());
    let turn = turn.unwrap();
    request.messages[turn].cache = true;
    let body = sent(&world, &ANTHROPIC_CACHE, &request).await;
    let at = body["messages"][turn]["content"].as_array().unwrap().len() - 1;
    assert_eq!(marks(&body), [format!("/messages/{turn}/content/{at}")]);
    assert_eq!(body["messages"][turn]["content"][0]["type"], "thinking");

    // A turn that has nothing but reasoning: its mark stands on the message before it.
    let native = request.messages[turn].native.as_mut().unwrap();
    native.content.retain(|block| block["type"] != "tool_use");
    request.messages.truncate(turn + 1);
    request.messages[turn].tool_calls = vec![ToolCall::new("a", "breaks", json!({}))];
    request.messages.push(Message::new(Role::User, " \n"));
    request.messages[turn + 1].cache = true;
    request.messages.push(Message::new(Role::User, "Go on."));
    let body = sent(&world, &ANTHROPIC_CACHE, &request).await;
    assert_eq!(marks(&body), ["/messages/0/content/0"]);
}

#[tokio::test]
async fn a_fifth_mark_is_refused_before_the_call() {
    let world = World::start().await;
    for setting in [ANTHROPIC_CACHE, CHAT_CACHE, RESPONSES_CACHE] {
        let mut request = conversation(&setting);
        request.system[0].cache = true;
        request.system[1].cache = true;
        request.messages[0].files[0].cache = true;
        request.messages[3].cache = true;
        request.messages[4].cache = true;
        let asked = world
            .clients
            .client
            .complete(&request, &crate::providers::call())
            .await;
        let error = asked.unwrap_err();
        assert!(matches!(error, ModelError::Request { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("5 places are marked with `cache: true`"),
            "{error}"
        );
        assert!(error.to_string().contains("at most 4"), "{error}");
        assert!(!error.is_retryable() && error.may_fall_back());
    }
    assert!(world.server.seen().is_empty());
}

#[test]
fn a_request_without_marks_is_written_as_before() {
    let mut request = conversation(&ANTHROPIC_CACHE);
    request.options.tools = tools();
    let written = serde_json::to_value(&request).unwrap();
    assert_eq!(written["system"], json!(["Be brief.", "Be kind.", "  "]));
    assert!(!written.to_string().contains("cache"), "{written}");
    let read: ModelRequest = serde_json::from_value(written).unwrap();
    assert_eq!(read.system, request.system);

    request.system[1].cache = true;
    request.options.tools[0].cache = true;
    request.messages[0].files[0].cache = true;
    let written = serde_json::to_value(&request).unwrap();
    assert_eq!(written["system"][1], json!({ "text": "Be kind.", "cache": true }));
    assert_eq!(written["options"]["tools"][0]["cache"], true);
    assert_eq!(written["messages"][0]["files"][0]["cache"], true);
    let mut read: ModelRequest = serde_json::from_value(written).unwrap();
    // The bytes of files are no part of what is written.
    read.messages[0].files.clone_from(&request.messages[0].files);
    assert_eq!(read, request);
}
