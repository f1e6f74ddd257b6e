//! Exchanges that succeed: text, streams, tools, answers in a shape, and what they consume.

use std::sync::Mutex;

use dhenara::Usage;
use dhenara::models::{
    CallContext, FinishReason, HttpClient, Message, ModelClient, ModelOptions, ModelRequest, ModelResponse,
    Role, ToolSpec,
};
use serde_json::{Value, json};

use crate::Row;
use crate::models::{Patience, Route, Server, client, model_name};
use crate::servers::{Process, Servers};

/// A text with characters of one to four bytes, which a stream may cut anywhere.
const TEXT: &str = "Today it is 21 °C in Zürich — 晴れ, says the gauge 🌤 on the roof.";

/// An answer that obeys the schema.
const KNOWN_REPORT: &str =
    r#"{"city": "Zürich", "degrees": 21, "sky": "clear", "hours": [{"hour": 9, "rain": false}]}"#;

/// The way in which an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    Streamed,
}

/// The calls of two rounds. The strict server makes them by itself: it calls each tool in turn, with what the schema allows.
const ROUNDS: [[(&str, &str); 2]; 2] = [
    [("get_weather", "Zürich"), ("get_time", "Kyōto")],
    [("get_time", "Kyōto"), ("get_weather", "Zürich")],
];

/// One model at one server.
struct Place<'a> {
    client: HttpClient,
    llmock: &'a Process,
    server: Server,
    model: String,
    /// Whether llmock does not read the schema: of Anthropic's it knows `output_format` alone, which `output_config` has replaced
    /// (llmock 0.2.2, `completion.py`, `structured_output`).
    ignores_schema: bool,
}

pub(crate) async fn check(servers: &Servers, server: Server, route: &Route, rows: &mut Vec<Row>) {
    let project = std::env::temp_dir();
    let place = Place {
        client: client(servers, &project, Patience::Usual),
        llmock: &servers.llmock,
        server,
        model: model_name(server, route),
        ignores_schema: server == Server::LlMock && route.name == "anthropic",
    };
    let mut add = |check: &str, seen| {
        rows.push(Row {
            server: server.name(),
            protocol: route.name,
            check: check.to_owned(),
            seen,
        });
    };
    let whole = place.text(Way::Whole).await;
    add("text", whole.as_ref().map(shown).map_err(Clone::clone));
    let streamed = place.text(Way::Streamed).await;
    add(
        "text, streamed",
        streamed.as_ref().map(shown).map_err(Clone::clone),
    );
    add("usage", alike(whole, streamed));
    add("two rounds of tools", place.tools(Way::Whole).await);
    add("two rounds of tools, streamed", place.tools(Way::Streamed).await);
    add("schema", place.schema(Way::Whole).await);
    add("schema, streamed", place.schema(Way::Streamed).await);
}

fn shown(usage: &Usage) -> String {
    usage.tokens_in_words()
}

/// The consumption, which is the same in both ways and counts what was sent and received.
fn alike(whole: Result<Usage, String>, streamed: Result<Usage, String>) -> Result<String, String> {
    let (whole, streamed) = (whole?, streamed?);
    let counts = |usage: Usage| (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens);
    let (sent, received, total) = counts(whole);
    if counts(streamed) != counts(whole) {
        return Err(format!(
            "whole {:?}, streamed {:?}",
            counts(whole),
            counts(streamed)
        ));
    }
    if sent == 0 || received == 0 || sent + received != total {
        return Err(format!("sent {sent}, received {received}, in all {total}"));
    }
    Ok(format!("sent {sent}, received {received}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn request(model: &str, prompt: &str) -> ModelRequest {
    ModelRequest::new(model.to_owned(), vec![Message::new(Role::User, prompt)])
        .system(vec!["Answer briefly and in the language of the question.".into()])
        .options(ModelOptions::default().max_output_tokens(500))
}

pub(crate) fn call_context() -> Result<CallContext, String> {
    let path = "flow.ask".parse().map_err(|error| format!("{error}"))?;
    Ok(CallContext::new(path))
}

impl Place<'_> {
    async fn ask(&self, request: &ModelRequest, way: Way) -> Result<ModelResponse, String> {
        let call = call_context()?;
        if way == Way::Whole {
            let answered = self.client.complete(request, &call).await;
            return answered.map_err(|error| error.to_string());
        }
        let pieces = Mutex::new(Vec::new());
        let keep = |piece: &str| {
            if let Ok(mut pieces) = pieces.lock() {
                pieces.push(piece.to_owned());
            }
        };
        let answered = self.client.stream(request, &call, &keep).await;
        let response = answered.map_err(|error| error.to_string())?;
        let pieces = pieces.into_inner().map_err(|error| error.to_string())?;
        ensure(pieces.concat() == response.text, || {
            format!("the pieces {pieces:?} are not the answer {:?}", response.text)
        })?;
        Ok(response)
    }

    /// The text after rounds of calls: llmock's is that of its script.
    fn words(&self, rounds: usize) -> String {
        if self.server.is_strict() {
            format!("Grüezi: {rounds} rounds of tools are behind us.")
        } else {
            TEXT.to_owned()
        }
    }

    async fn text(&self, way: Way) -> Result<Usage, String> {
        self.llmock.script(&[json!({ "type": "reply", "text": TEXT })])?;
        let request = request(
            &self.model,
            "What does the gauge on the roof show in Zürich today?",
        );
        let response = self.ask(&request, way).await?;
        ensure(response.text == self.words(0), || {
            format!("the text is {:?}", response.text)
        })?;
        ensure(response.finish_reason == FinishReason::Completed, || {
            format!("it ended by {:?}", response.finish_reason)
        })?;
        Ok(response.usage)
    }

    /// Two tools are called at once, and again after their results, before the answer.
    async fn tools(&self, way: Way) -> Result<String, String> {
        let rounds = ROUNDS.map(|calls| {
            let calls = calls.map(|(name, city)| json!({ "name": name, "arguments": { "city": city } }));
            json!({ "type": "reply", "tool_calls": calls })
        });
        let answer = json!({ "type": "reply", "text": TEXT });
        self.llmock.script(&[&rounds[..], &[answer]].concat())?;
        let mut request = request(
            &self.model,
            "Compare Zürich and Kyōto in 2 rounds of parallel calls.",
        );
        request.options.tools = vec![tool("get_weather", "Zürich"), tool("get_time", "Kyōto")];
        for wanted in ROUNDS {
            let response = self.ask(&request, way).await?;
            let wanted = wanted.map(|(name, city)| (name, json!({ "city": city })));
            let calls: Vec<_> = response
                .tool_calls
                .iter()
                .map(|call| (&*call.name, call.arguments.clone()))
                .collect();
            ensure(calls == wanted, || format!("the calls are {calls:?}"))?;
            ensure(response.finish_reason == FinishReason::ToolCall, || {
                format!("the round ended by {:?}", response.finish_reason)
            })?;
            answer_calls(&mut request, response);
        }
        let response = self.ask(&request, way).await?;
        let is_answer = response.text == self.words(ROUNDS.len()) && response.tool_calls.is_empty();
        ensure(is_answer, || format!("the last answer is {response:?}"))?;
        Ok("two calls in each round".to_owned())
    }

    /// Both models make up a value that obeys the schema that they were sent, so that none comes back if the schema was lost.
    async fn schema(&self, way: Way) -> Result<String, String> {
        let answer = json!({ "type": "reply", "text": KNOWN_REPORT });
        let script = self.ignores_schema.then_some(answer);
        self.llmock.script(script.as_slice())?;
        let schema = report_schema();
        let mut request = request(&self.model, "Report the weather of Zürich.");
        request.options.schema = Some(schema.clone());
        let response = self.ask(&request, way).await?;
        let value: Value = serde_json::from_str(&response.text)
            .map_err(|error| format!("{:?} is no JSON: {error}", response.text))?;
        ensure(jsonschema::is_valid(&schema, &value), || {
            format!("{value} does not obey the schema")
        })?;
        if self.ignores_schema {
            return Ok("an answer that the server was given, for it does not read the schema".to_owned());
        }
        Ok(value.to_string().chars().take(60).collect())
    }
}

/// A tool for one city.
fn tool(name: &str, city: &str) -> ToolSpec {
    ToolSpec::new(
        name.to_owned(),
        json!({
            "type": "object",
            "properties": { "city": { "type": "string", "enum": [city] } },
            "required": ["city"],
            "additionalProperties": false,
        }),
    )
    .description("The weather or the time of a city.".to_owned())
    .cache(false)
}

fn report_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": { "type": "string" },
            "degrees": { "type": "integer" },
            "sky": { "type": "string", "enum": ["clear", "cloudy"] },
            "hours": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "hour": { "type": "integer" }, "rain": { "type": "boolean" } },
                    "required": ["hour", "rain"],
                    "additionalProperties": false,
                },
            },
            "note": { "type": "string" },
        },
        "required": ["city", "degrees", "sky", "hours"],
        "additionalProperties": false,
    })
}

/// Adds a turn of the model, and the results of its calls.
fn answer_calls(request: &mut ModelRequest, response: ModelResponse) {
    request.messages.push(
        Message::new(Role::Assistant, response.text)
            .tool_calls(response.tool_calls.clone())
            .native(response.native),
    );
    for call in response.tool_calls {
        request.messages.push(
            Message::new(Role::Tool, "{\"degrees\": 21, \"sky\": \"clear\"}")
                .tool_call_id(call.id.clone())
                .tool_calls(vec![call]),
        );
    }
}
