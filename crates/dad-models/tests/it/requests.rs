//! Requests: options, files and limits.

use dad_core::SecretRegistry;
use dad_models::{
    Credentials, HttpClient, Message, MessageFile, ModelCatalog, ModelClient, ModelEntry, ModelError,
    ModelOptions, PromptCache, Protocol, Role,
};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::exchanges::{CHAT, GOOGLE, MESSAGES, RESPONSES, chat};
use crate::providers::{call, client, request, sent, server};

#[tokio::test]
async fn the_content_of_a_file_says_what_it_is() {
    const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F', 0];
    for (protocol, place) in [
        ("openai", CHAT),
        ("anthropic", MESSAGES),
        ("google", GOOGLE),
        ("openai_responses", RESPONSES),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.messages[0]
            .files
            .push(MessageFile::new("dot.png", "image/png", JPEG.to_vec()));
        let asked = client(protocol, &server.uri());
        asked.complete(&request, &call()).await.unwrap_err();
        let body = sent(&server).await.to_string();
        assert!(
            body.contains("image/jpeg") && !body.contains("image/png"),
            "{protocol}: {body}"
        );
        request.messages[0].files[0] = MessageFile::new("dot.png", "image/png", Vec::new());
        let error = asked.complete(&request, &call()).await.unwrap_err();
        assert!(
            error.to_string().contains("the file `dot.png` is empty"),
            "{error}"
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{protocol}");
    }
}

#[tokio::test]
async fn an_option_is_sent_or_refused() {
    let everything =
        json!({ "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": false, "service_tier": "flex" });
    for (protocol, place) in [("openai", CHAT), ("openai_responses", RESPONSES)] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.options.other = everything.as_object().unwrap().clone();
        request.options.other.insert(
            "extra_body".to_owned(),
            json!({ "user": "ada", "temperature": 0.25 }),
        );
        request
            .options
            .other
            .insert("extra_headers".to_owned(), json!({ "X-Title": "Letters" }));
        client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        let body = sent(&server).await;
        assert_eq!(body["top_p"], 0.9);
        assert_eq!(
            (&body["user"], &body["temperature"]),
            (&json!("ada"), &json!(0.25)),
            "the body's own fields win"
        );
        let headers = &server.received_requests().await.unwrap()[0].headers;
        assert_eq!(headers["x-title"], "Letters");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("dhenara/"));
    }
    for (protocol, place, options, words) in [
        (
            "anthropic",
            MESSAGES,
            json!({ "seed": 1 }),
            "has no option `seed`",
        ),
        (
            "openai_responses",
            RESPONSES,
            json!({ "stop": "END" }),
            "has no option `stop`",
        ),
        ("openai", CHAT, json!({ "top_k": 3 }), "has no option `top_k`"),
        (
            "google",
            GOOGLE,
            json!({ "temprature": 1 }),
            "did you mean `temperature`?",
        ),
        (
            "openai",
            CHAT,
            json!({ "temperature": 9 }),
            "the option `temperature` cannot be 9: it lies between 0 and 2",
        ),
        (
            "google",
            GOOGLE,
            json!({ "temperature": "hot" }),
            "the option `temperature` cannot be \"hot\"",
        ),
        (
            "google",
            GOOGLE,
            json!({ "extra_headers": { "Authorization": "Bearer x" } }),
            "set by the client itself",
        ),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.options.other = options.as_object().unwrap().clone();
        let error = client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ModelError::Request { .. }) && error.to_string().contains(words),
            "{error}"
        );
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn reasoning_and_the_longest_answer_fit_each_other() {
    let server = server(MESSAGES, ResponseTemplate::new(400)).await;
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let entry = |name: &str, thinking: &str| {
        format!(
            "- {{ name: {name}, provider: here, model: {name}, protocol: anthropic, base_url: \"{}/v1\", capabilities: {{ thinking: {thinking} }} }}\n",
            server.uri()
        )
    };
    let models = ["none", "budget", "adaptive", "always_adaptive"]
        .map(|kind| entry(kind, kind))
        .concat();
    std::fs::write(project.path().join(".dhenara/models.yaml"), models).unwrap();
    let catalog = ModelCatalog::load(project.path()).unwrap();
    let credentials = Credentials::new(project.path(), None, SecretRegistry::new());
    let client = HttpClient::new(catalog, credentials);
    let ask = async |model: &str, effort: Option<&str>, tokens: Option<u32>, most: Option<u32>| {
        let mut request = request();
        request.model = model.to_owned();
        request.options.reasoning_effort = effort.map(str::to_owned);
        request.options.max_reasoning_tokens = tokens;
        request.options.max_output_tokens = most;
        let error = client.complete(&request, &call()).await.unwrap_err();
        match error {
            ModelError::Status { .. } => Ok(sent(&server).await),
            error => Err(error.to_string()),
        }
    };
    // The provider's rule: 1024 <= budget < longest answer.
    for most in [1025, 2000, 4000, 5000, 8000, 20_000] {
        for wanted in [Some(1), Some(1024), Some(8000), Some(100_000), None] {
            let effort = wanted.is_none().then_some("medium");
            let body = ask("budget", effort, wanted, Some(most)).await.unwrap();
            let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
            assert_eq!(body["max_tokens"], most);
            assert!(
                (1024..u64::from(most)).contains(&budget),
                "{most} {wanted:?}: {body}"
            );
        }
    }
    let refused = ask("budget", Some("high"), None, Some(1024)).await.unwrap_err();
    assert!(refused.contains("no room for reasoning"), "{refused}");
    let body = ask("budget", Some("high"), None, None).await.unwrap();
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
    assert!(
        budget == 24_000 && body["max_tokens"].as_u64().unwrap() > budget,
        "{body}"
    );

    let body = ask("adaptive", Some("high"), None, None).await.unwrap();
    assert_eq!(body["thinking"], json!({ "type": "adaptive" }));
    assert_eq!(body["output_config"], json!({ "effort": "high" }));
    let body = ask("adaptive", Some("none"), None, None).await.unwrap();
    assert_eq!(body["thinking"], json!({ "type": "disabled" }));
    let body = ask("none", None, None, None).await.unwrap();
    assert_eq!(body.get("thinking"), None);
    for (model, effort, tokens, words) in [
        (
            "adaptive",
            None,
            Some(2000),
            "takes a `reasoning_effort`, and no `max_reasoning_tokens`",
        ),
        ("always_adaptive", Some("none"), None, "always reasons"),
        ("none", Some("low"), None, "does not reason"),
    ] {
        let refused = ask(model, effort, tokens, None).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
        // The same is known before anything executes.
        let options = ModelOptions::default()
            .reasoning_effort(effort.map(str::to_owned))
            .max_reasoning_tokens(tokens);
        let refused = client.check_options(model, &options).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_fit_is_not_sent() {
    let server = server(
        CHAT,
        ResponseTemplate::new(200).set_body_json(chat(&json!({ "content": "Hi" }), "stop")),
    )
    .await;
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let models = format!(
        "[{{ name: m, provider: here, model: tiny, base_url: \"{}/v1\", window: 1000 }}]",
        server.uri()
    );
    std::fs::write(project.path().join(".dhenara/models.yaml"), models).unwrap();
    let catalog = ModelCatalog::load(project.path()).unwrap();
    let credentials = Credentials::new(project.path(), None, SecretRegistry::new());
    let client = HttpClient::new(catalog, credentials);
    let mut request = request();
    request
        .messages
        .insert(0, Message::new(Role::User, "x".repeat(6000)));
    client.complete(&request, &call()).await.unwrap();
    request.system.push("y".repeat(7000).into());
    let error = client.complete(&request, &call()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_retryable(), error.may_fall_back()),
        ("context_window", false, true)
    );
    let words = "the largest parts are the system instructions (7.0 KB), message 1 (user) (6.0 KB)";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_kept_in_the_cache_is_marked() {
    let server = server(MESSAGES, ResponseTemplate::new(400)).await;
    let client = client("anthropic", &server.uri());
    let mut request = request();
    request.options.tools.push(
        dad_models::ToolSpec::new("note".to_owned(), json!({ "type": "object", "properties": {} }))
            .cache(false),
    );
    let mark = json!({ "type": "ephemeral" });
    for (cache, whole, system) in [
        (None, Some(&mark), json!("Be brief.")),
        (Some(PromptCache::Off), None, json!("Be brief.")),
        (
            Some(PromptCache::Instructions),
            None,
            json!([{ "type": "text", "text": "Be brief.", "cache_control": mark }]),
        ),
    ] {
        request.options.cache = cache;
        client.complete(&request, &call()).await.unwrap_err();
        let body = sent(&server).await;
        assert_eq!(
            (body.get("cache_control"), &body["system"]),
            (whole, &system),
            "{cache:?}"
        );
    }
    request.options.tools.clear();
    request.options.cache = None;
    request.messages[0].cache = true;
    client.complete(&request, &call()).await.unwrap_err();
    let body = sent(&server).await;
    assert_eq!(body.get("cache_control"), None, "one question is not asked again");
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
}

#[tokio::test]
async fn further_fields_are_added_within_those_of_the_client() {
    let server = server(GOOGLE, ResponseTemplate::new(400)).await;
    let mut request = request();
    let more = json!({ "generationConfig": { "mediaResolution": "LOW" }, "labels": { "team": "a" } });
    request.options.other.insert("temperature".to_owned(), json!(0.5));
    request.options.other.insert("extra_body".to_owned(), more);
    client("google", &server.uri())
        .complete(&request, &call())
        .await
        .unwrap_err();
    let body = sent(&server).await;
    assert_eq!(
        body["generationConfig"],
        json!({ "temperature": 0.5, "mediaResolution": "LOW" })
    );
    assert_eq!(body["labels"]["team"], "a");
}

#[tokio::test]
async fn a_list_is_given_through_a_tool_as_an_object() {
    let part = json!({ "functionCall": { "name": "final_answer", "args": { "value": [1, 2] } } });
    let answer = json!({ "candidates": [{ "content": { "parts": [part] }, "finishReason": "STOP" }] });
    let server = server(GOOGLE, ResponseTemplate::new(200).set_body_json(answer)).await;
    let mut request = request();
    request.options.schema = Some(json!({ "type": "array", "items": { "type": "integer" } }));
    request.options.tools.push(
        dad_models::ToolSpec::new("note".to_owned(), json!({ "type": "object", "properties": {} }))
            .cache(false),
    );
    let response = client("google", &server.uri())
        .complete(&request, &call())
        .await
        .unwrap();
    assert_eq!((response.text.as_str(), response.tool_calls.len()), ("[1,2]", 0));
    let tools = sent(&server).await["tools"][0]["functionDeclarations"].clone();
    assert_eq!(tools[1]["parametersJsonSchema"]["type"], "object", "{tools}");
    // A tool of the user by that name is the user's.
    request.options.tools[0].name = "final_answer".to_owned();
    let response = client("google", &server.uri())
        .complete(&request, &call())
        .await
        .unwrap();
    assert_eq!(response.tool_calls.len(), 1);
}

#[tokio::test]
async fn chat_completions_get_what_a_user_says_as_one_message() {
    let server = server(CHAT, ResponseTemplate::new(400)).await;
    let mut request = request();
    let with_file = Message::new(Role::User, "Look.").files(vec![MessageFile::new(
        "dot.gif",
        "image/gif",
        b"GIF89a".to_vec(),
    )]);
    request.messages = vec![
        Message::new(Role::User, "The plan:"),
        Message::new(Role::User, "\n"),
        Message::new(Role::User, "Walk."),
        Message::new(Role::Assistant, "Good."),
        Message::new(Role::User, "And this?"),
        with_file,
        Message::new(Role::User, "Say yes."),
    ];
    let asked = client("openai", &server.uri());
    asked.complete(&request, &call()).await.unwrap_err();
    let messages = sent(&server).await["messages"].clone();
    let text = |text: &str| json!({ "type": "text", "text": text });
    assert_eq!(
        (&messages[1]["content"], &messages[2]["role"]),
        (&json!("The plan:\n\nWalk."), &json!("assistant")),
        "{messages}"
    );
    let parts = &messages[3]["content"];
    assert_eq!(
        (&parts[0], &parts[1], &parts[2]["type"], &parts[3]),
        (
            &text("And this?"),
            &text("\n\nLook."),
            &json!("image_url"),
            &text("Say yes.")
        )
    );
    assert_eq!(messages.as_array().unwrap().len(), 4);
}

/// The check of options for a model at its provider's own address.
fn checked(entry: ModelEntry, options: &ModelOptions) -> Result<(), String> {
    let name = entry.name.clone();
    let credentials = Credentials::new(std::path::Path::new("."), None, SecretRegistry::new());
    let client = HttpClient::new(ModelCatalog::new(vec![entry]), credentials);
    client
        .check_options(&name, options)
        .map_err(|error| error.to_string())
}

#[test]
fn options_that_a_model_takes_only_beside_others_are_refused_without_them() {
    let options = |other: serde_json::Value, effort: Option<&str>| {
        ModelOptions::default()
            .other(other.as_object().unwrap().clone())
            .reasoning_effort(effort.map(str::to_owned))
    };
    let named = |name: &str| ModelEntry::default().name(name.to_owned());
    let warm = json!({ "temperature": 0.5 });
    for (model, other, effort, refusal) in [
        ("openai/gpt-5-mini", &warm, None, Some("takes no `temperature`")),
        ("openai/gpt-5.1", &warm, Some("none"), None),
        ("anthropic/claude-haiku-4-5", &warm, None, None),
        (
            "anthropic/claude-haiku-4-5",
            &warm,
            Some("low"),
            Some("takes no `temperature` while it reasons"),
        ),
        ("google/gemini-2.5-flash", &warm, Some("low"), None),
    ] {
        let checked = checked(named(model), &options(other.clone(), effort));
        match refusal {
            None => assert_eq!(checked, Ok(()), "{model}"),
            Some(words) => assert!(
                checked.as_ref().is_err_and(|error| error.contains(words)),
                "{checked:?}"
            ),
        }
    }
    let chat = |base_url: Option<&str>| {
        named("openai/gpt-4.1")
            .protocol(Protocol::OpenAi)
            .base_url(base_url.map(str::to_owned))
    };
    let noted = |other| options(other, None).metadata(json!({ "team": "a" }).as_object().unwrap().clone());
    let refused = checked(chat(None), &noted(json!({}))).unwrap_err();
    assert!(
        refused.contains("only with the option `store: true`"),
        "{refused}"
    );
    assert_eq!(checked(chat(None), &noted(json!({ "store": true }))), Ok(()));
    assert_eq!(
        checked(chat(Some("http://127.0.0.1:1")), &noted(json!({}))),
        Ok(())
    );
}

/// A client whose only model is this entry, at the address of a server.
fn client_of(entry: ModelEntry, url: &str) -> HttpClient {
    let entry = entry.name("m".to_owned()).base_url(format!("{url}/v1"));
    let credentials = Credentials::new(std::path::Path::new("."), None, SecretRegistry::new());
    HttpClient::new(ModelCatalog::new(vec![entry]), credentials)
}

#[tokio::test]
async fn where_a_provider_has_no_format_the_answer_is_given_through_a_tool() {
    let tool = || {
        dad_models::ToolSpec::new("note".to_owned(), json!({ "type": "object", "properties": {} }))
            .cache(false)
    };
    let denies = json!({ "structured_output": false });
    for (provider, capabilities, place, has_tools, is_by_tool) in [
        ("deepseek", json!({}), CHAT, false, true),
        ("groq", json!({}), CHAT, false, false),
        ("groq", json!({}), CHAT, true, true),
        ("mistral", json!({}), CHAT, true, false),
        ("other", denies.clone(), CHAT, false, true),
        ("other_responses", denies, RESPONSES, false, true),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let protocol = (place == RESPONSES).then_some(Protocol::OpenAiResponses);
        let entry = ModelEntry::default()
            .provider(provider.to_owned())
            .model("tiny".to_owned())
            .protocol(protocol)
            .capabilities(serde_json::from_value(capabilities).unwrap());
        let mut request = request();
        request.options.schema = Some(json!({ "type": "array", "items": { "type": "integer" } }));
        request.options.tools.extend(has_tools.then(tool));
        client_of(entry, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        let body = sent(&server).await;
        assert_eq!(
            body["tools"].to_string().contains("final_answer"),
            is_by_tool,
            "{provider}: {body}"
        );
        assert_eq!(
            body.to_string().contains("json_schema"),
            !is_by_tool,
            "{provider}: {body}"
        );
        if is_by_tool {
            assert_eq!(body["tool_choice"], "required", "{provider}");
        }
    }
    // The answer is taken out of the call.
    let called = json!({ "id": "x", "type": "function", "function": { "name": "final_answer", "arguments": "{\"value\":[1,2]}" } });
    let answer = chat(&json!({ "content": null, "tool_calls": [called] }), "tool_calls");
    let server = server(CHAT, ResponseTemplate::new(200).set_body_json(answer)).await;
    let mut request = request();
    request.options.schema = Some(json!({ "type": "array", "items": { "type": "integer" } }));
    let entry = ModelEntry::default().provider("deepseek".to_owned());
    let response = client_of(entry, &server.uri())
        .complete(&request, &call())
        .await
        .unwrap();
    assert_eq!((response.text.as_str(), response.tool_calls.len()), ("[1,2]", 0));
}

#[test]
fn a_field_that_budgets_reckon_with_is_none_of_extra_body() {
    for (field, setting) in [
        (json!({ "max_tokens": 64_000 }), "`max_output_tokens`"),
        (json!({ "model": "dearer" }), "`models`"),
        (
            json!({ "generationConfig": { "maxOutputTokens": 5 } }),
            "`generationConfig.maxOutputTokens`",
        ),
        (json!({ "stream": true }), "`streaming`"),
        (json!({ "n": 4 }), "several steps"),
        (json!({ "service_tier": "priority" }), "`service_tier`"),
    ] {
        let options =
            ModelOptions::default().other(json!({ "extra_body": field }).as_object().unwrap().clone());
        let entry = ModelEntry::default().name("openai/gpt-4.1".to_owned());
        let error = checked(entry, &options).unwrap_err();
        assert!(
            error.contains("in `extra_body`") && error.contains(setting),
            "{error}"
        );
    }
}

#[tokio::test]
async fn abilities_that_are_known_to_be_missing_are_not_asked_for() {
    let server = server(CHAT, ResponseTemplate::new(400)).await;
    let entry = || {
        ModelEntry::default()
            .capabilities(
                serde_json::from_value(
                    json!({ "tools": false, "vision": false, "pdf": false, "parallel_tools": false }),
                )
                .unwrap(),
            )
            .max_output_tokens(4000)
            .provider("other".to_owned())
    };
    let asked = client_of(entry(), &server.uri());
    let with_file = |name: &str, bytes: &[u8]| {
        let mut request = request();
        request.messages[0]
            .files
            .push(MessageFile::new(name, "application/octet-stream", bytes.to_vec()));
        request
    };
    let with = |change: &dyn Fn(&mut ModelOptions)| {
        let mut request = request();
        change(&mut request.options);
        request
    };
    let tool = || dad_models::ToolSpec::new("note".to_owned(), json!({ "type": "object" })).cache(false);
    let empty = |messages: Vec<Message>| request().messages(messages);
    for (request, words) in [
        (with(&|options| options.tools.push(tool())), "calls no tools"),
        (
            with(&|options| {
                options
                    .other
                    .insert("parallel_tool_calls".to_owned(), true.into());
            }),
            "one tool at a time",
        ),
        (
            with(&|options| options.max_output_tokens = Some(4001)),
            "answers with 4000 at most",
        ),
        (
            with(&|options| options.max_output_tokens = Some(0)),
            "leave it out",
        ),
        (
            with(&|options| options.tool_choice = Some(dad_models::ToolChoice::Required)),
            "there is none",
        ),
        (with_file("a.gif", b"GIF89a"), "sees no images, such as `a.gif`"),
        (with_file("a.pdf", b"%PDF-1.7 "), "reads no PDF files"),
        (
            empty(vec![Message::new(Role::System, "Be kind.")]),
            "conversation is empty",
        ),
        (
            empty(vec![Message::new(Role::User, " \n")]),
            "conversation is empty",
        ),
    ] {
        let error = asked.complete(&request, &call()).await.unwrap_err();
        assert!(
            matches!(error, ModelError::Request { .. }) && error.to_string().contains(words),
            "{words}: {error}"
        );
    }
    assert!(server.received_requests().await.unwrap().is_empty());
    // A text is one whatever the model sees.
    asked
        .complete(&with_file("a.txt", b"text"), &call())
        .await
        .unwrap_err();
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_conversation_is_one_that_the_provider_takes() {
    let prefilled = |entry: ModelEntry, last: Role| {
        let mut request = request();
        request.messages.push(Message::new(last, "Dear"));
        let ends_with_model = request.messages.clone();
        let begins_with_model = ends_with_model.iter().rev().cloned().collect();
        [ends_with_model, begins_with_model].map(|messages| {
            let request = request.clone().messages(messages);
            (entry.clone(), request)
        })
    };
    let of = |provider: &str, model: &str| {
        ModelEntry::default()
            .provider(provider.to_owned())
            .model(model.to_owned())
    };
    let [ends, begins] = prefilled(of("anthropic", "claude-opus-4-8"), Role::Assistant);
    let [google, _] = prefilled(of("google", "gemini-2.5-flash"), Role::Assistant);
    for ((entry, request), words) in [
        (ends, "continues no message of its own"),
        (begins, "the first message of a conversation must be the user's"),
        (google, "the last message of a conversation must be the user's"),
    ] {
        let error = client_of(entry, "http://127.0.0.1:9")
            .complete(&request, &call())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    // Older models of Anthropic continue one.
    let server = server(MESSAGES, ResponseTemplate::new(400)).await;
    let [(entry, request), _] = prefilled(of("anthropic", "claude-haiku-4-5"), Role::Assistant);
    client_of(entry, &server.uri())
        .complete(&request, &call())
        .await
        .unwrap_err();
    assert_eq!(sent(&server).await["messages"][1]["role"], "assistant");
}

#[tokio::test]
async fn reasoning_stays_as_it_is_within_a_turn() {
    let server = server(MESSAGES, ResponseTemplate::new(400)).await;
    let entry = ModelEntry::default()
        .provider("anthropic".to_owned())
        .model("claude-haiku-4-5".to_owned());
    let asked = client_of(entry, &server.uri());
    let mut request = request();
    request.options.reasoning_effort = Some("low".to_owned());
    request.options.max_output_tokens = Some(8000);
    request
        .options
        .other
        .insert("reasoning_summary".to_owned(), "auto".into());
    let call_of = |id: &str| dad_models::ToolCall::new(id, "note", json!({}));
    let turn = |id: &str, blocks: serde_json::Value| {
        let mut content = blocks.as_array().unwrap().clone();
        content.push(json!({ "type": "tool_use", "id": id, "name": "note", "input": {} }));
        let native: dad_models::NativeTurn = serde_json::from_value(json!({
            "provider": "anthropic", "protocol": "anthropic", "model": "claude-haiku-4-5", "content": content,
        }))
        .unwrap();
        Message::new(Role::Assistant, "")
            .tool_calls(vec![call_of(id)])
            .native(native)
    };
    let result = |id: &str| {
        Message::new(Role::Tool, "done")
            .tool_call_id(id.to_owned())
            .tool_calls(vec![call_of(id)])
    };
    let thought = json!([{ "type": "thinking", "thinking": "Hm", "signature": "c2ln" }]);
    let mut kinds = Vec::new();
    // The model reasons before its first call alone.
    for round in [
        vec![turn("a", thought), result("a")],
        vec![turn("b", json!([])), result("b")],
        // A turn that began without reasoning, because another model answered first, is continued without.
        vec![
            Message::new(Role::User, "Again."),
            turn("c", json!([])),
            result("c"),
        ],
    ] {
        request.messages.extend(round);
        asked.complete(&request, &call()).await.unwrap_err();
        let thinking = sent(&server).await["thinking"].clone();
        kinds.push(thinking["type"].clone());
        if thinking.is_object() {
            assert_eq!(thinking["display"], "summarized");
        }
    }
    assert_eq!(kinds, [json!("enabled"), json!("enabled"), json!(null)]);
}

#[test]
fn a_model_that_decides_how_long_it_reasons_can_be_made_to_call_a_tool() {
    let forced = |model: &str| {
        let options = ModelOptions::default()
            .reasoning_effort("low".to_owned())
            .tool_choice(dad_models::ToolChoice::Required)
            .tools(vec![
                dad_models::ToolSpec::new("note".to_owned(), json!({ "type": "object", "properties": {} }))
                    .cache(false),
            ]);
        let entry = ModelEntry::default().name(model.to_owned());
        checked(entry, &options)
    };
    assert_eq!(forced("anthropic/claude-opus-4-8"), Ok(()));
    let budgeted = forced("anthropic/claude-haiku-4-5").unwrap_err();
    assert!(
        budgeted.contains("that reasons cannot be made to call a tool"),
        "{budgeted}"
    );
    let never = forced("anthropic/claude-opus-5-5").unwrap_err();
    assert!(never.contains("cannot be made to call a tool"), "{never}");
}

#[test]
fn strict_schemas_of_tools_and_answer_count_together() {
    let optional = |count: usize, name: &str| {
        let fields = (0..count).map(|number| (format!("{name}{number}"), json!({ "type": "string" })));
        json!({ "type": "object", "properties": fields.collect::<serde_json::Map<_, _>>() })
    };
    let options = |count: usize| {
        ModelOptions::default()
            .schema(optional(count, "a"))
            .tools(vec![
                dad_models::ToolSpec::new("note".to_owned(), optional(count, "b")).cache(false),
            ])
            .other(json!({ "strict": true }).as_object().unwrap().clone())
    };
    let entry = || ModelEntry::default().name("anthropic/claude-haiku-4-5".to_owned());
    assert_eq!(checked(entry(), &options(12)), Ok(()));
    let error = checked(entry(), &options(15)).unwrap_err();
    assert!(error.contains("30 properties may be left out"), "{error}");
}

#[tokio::test]
async fn reasoning_of_google_fits_into_the_answer() {
    let place = "/v1/models/gemini-2.5-flash:generateContent";
    let server = server(place, ResponseTemplate::new(400)).await;
    let entry = ModelEntry::default()
        .provider("google".to_owned())
        .model("gemini-2.5-flash".to_owned());
    let mut request = request();
    request.options.max_output_tokens = Some(1000);
    request.options.max_reasoning_tokens = Some(20_000);
    client_of(entry, &server.uri())
        .complete(&request, &call())
        .await
        .unwrap_err();
    let config = sent(&server).await["generationConfig"].clone();
    assert_eq!(config["thinkingConfig"]["thinkingBudget"], 750);
}
