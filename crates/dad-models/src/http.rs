//! Model clients over HTTP.

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dad_core::SecretRegistry;
use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatResponseFormat, ChatStreamEvent, ContentPart, JsonSpec,
    MessageContent, ReasoningEffort, Tool, ToolResponse,
};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{ModelIden, ServiceTarget};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::answered::{self, Answered, Written};
use crate::catalog::{ModelCatalog, Protocol, Target};
use crate::client::{CallContext, ModelClient, OnText};
use crate::credentials::Credentials;
use crate::error::ModelError;
use crate::failure::model_error;
use crate::limits::{Gate, Limits};
use crate::price::Price;
use crate::request::{Message, MessageFile, ModelOptions, ModelRequest, Role, ToolChoice};
use crate::response::ModelResponse;
use crate::tapped::Tap;

/// The time that a server has to be connected, by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The time for which a server may send nothing, by default: as long as the clients of OpenAI and Anthropic wait.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The largest size of a streamed answer by default, in MiB.
const ANSWER_MIB: u64 = 128;

/// Asks providers over HTTP, each by its own protocol.
///
/// ```no_run
/// use dad_core::SecretRegistry;
/// use dad_models::{Credentials, HttpClient, Limits, ModelCatalog, Models};
///
/// let project = std::path::Path::new("my_project");
/// let credentials = Credentials::new(project, None, SecretRegistry::new());
/// let limits = Limits { max_concurrency: Some(8), ..Limits::default() };
/// let client = HttpClient::new(ModelCatalog::load(project)?, credentials).with_limits(limits);
/// let models = Models::new(client); // a resource of the runs that share it
/// # let _ = models;
/// # Ok::<(), dad_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct HttpClient {
    catalog: ModelCatalog,
    credentials: Credentials,
    gate: Gate,
    /// The time that a server has to be connected, and to say nothing.
    connect_timeout: Duration,
    idle_timeout: Duration,
    /// The largest size of a streamed answer, in MiB.
    answer_mib: u64,
    /// One pool of connections, made when the first request is.
    connections: OnceLock<reqwest::Client>,
}

impl HttpClient {
    /// A client of the models of `catalog`.
    #[must_use]
    pub fn new(catalog: ModelCatalog, credentials: Credentials) -> Self {
        Self {
            catalog,
            credentials,
            gate: Gate::default(),
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            answer_mib: ANSWER_MIB,
            connections: OnceLock::new(),
        }
    }

    /// The same with limits for all runs that share it.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let seconds = |limit: Option<NonZeroU64>, default| {
            limit.map_or(default, |limit| Duration::from_secs(limit.get()))
        };
        self.connect_timeout = seconds(limits.connect_timeout, CONNECT_TIMEOUT);
        self.idle_timeout = seconds(limits.idle_timeout, IDLE_TIMEOUT);
        self.answer_mib = limits.answer_mib.map_or(ANSWER_MIB, NonZeroU64::get);
        self.connections = OnceLock::new();
        self.gate = Gate::new(limits);
        self
    }

    /// A client that asks exactly one endpoint: the model's name must not decide whom it speaks to.
    fn client_for(
        &self,
        name: &str,
        target: &Target,
        call: &CallContext,
    ) -> Result<genai::Client, ModelError> {
        let key = self.credentials.key_for(name, target, &call.secrets)?;
        let auth = AuthData::from_single(key.as_ref().map_or("none", ExposeSecret::expose_secret));
        let endpoint = Endpoint::from_owned(target.provider.base_url.clone());
        let adapter = match target.provider.protocol {
            Protocol::OpenAi | Protocol::OpenAiResponses => AdapterKind::OpenAI,
            Protocol::Anthropic => AdapterKind::Anthropic,
            Protocol::Google => AdapterKind::Gemini,
        };
        let model = ModelIden::new(adapter, target.model.clone());
        let resolver = ServiceTargetResolver::from_resolver_fn(
            move |_: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
                Ok(ServiceTarget {
                    endpoint: endpoint.clone(),
                    auth: auth.clone(),
                    model: model.clone(),
                })
            },
        );
        genai::Client::builder()
            .with_reqwest(self.connections(&target.model)?)
            .with_service_target_resolver(resolver)
            .build()
            .map_err(|error| ModelError::Connection {
                model: target.model.clone(),
                reason: error.to_string(),
            })
    }

    fn connections(&self, model: &str) -> Result<reqwest::Client, ModelError> {
        if let Some(made) = self.connections.get() {
            return Ok(made.clone());
        }
        let made =
            connections(self.connect_timeout, self.idle_timeout).map_err(|error| ModelError::Connection {
                model: model.to_owned(),
                reason: dad_core::ErrorInfo::from_error("", &*error).message,
            })?;
        Ok(self.connections.get_or_init(|| made).clone())
    }

    /// Makes a call once the limits let it pass.
    async fn ask(
        &self,
        request: &ModelRequest,
        call: &CallContext,
        on_text: Option<OnText<'_>>,
    ) -> Result<ModelResponse, ModelError> {
        let target = self.catalog.find(&request.model)?;
        let client = self.client_for(&request.model, &target, call)?;
        let options = chat_options(&target, request, call)?;
        let passed = self.gate.pass(&target.provider.name).await;
        let _passed = passed.map_err(|pause| ModelError::RateLimited {
            model: request.model.clone(),
            pause,
        })?;
        let asked = async {
            match on_text {
                None => whole(&client, &target, request, &options).await,
                Some(on_text) => {
                    let tap = Tap::of_at_most(self.answer_mib);
                    streamed(&client, &target, request, &options, tap, on_text).await
                }
            }
        };
        let answered = match call.timeout {
            None => asked.await,
            Some(limit) => match tokio::time::timeout(limit, asked).await {
                Ok(answered) => answered,
                Err(_) => Err(ModelError::TimedOut {
                    model: request.model.clone(),
                    limit,
                }),
            },
        };
        if let Some(pause) = answered.as_ref().err().and_then(ModelError::retry_after) {
            self.gate.close(&target.provider.name, pause);
        }
        // Only now is the key known that the provider may have repeated.
        answered.map_err(|error| error.masked(&self.credentials.redactor()))
    }
}

/// The certificates that this system trusts, and a cryptography that is given to clients one by one: nothing is installed for
/// the whole process.
pub(crate) fn tls() -> Result<rustls::ClientConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

/// A client that follows no redirect: the key, which some providers take in a header of their own, and the prompt
/// go to no other address than the one that was configured.
fn connections(connect: Duration, idle: Duration) -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .redirect(reqwest::redirect::Policy::none())
        // A few bytes that are compressed may stand for more than there is memory.
        .no_gzip()
        .connect_timeout(connect)
        .read_timeout(idle)
        .build()?)
}

#[async_trait]
impl ModelClient for HttpClient {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        self.ask(request, call, None).await
    }

    async fn stream(
        &self,
        request: &ModelRequest,
        call: &CallContext,
        on_text: OnText<'_>,
    ) -> Result<ModelResponse, ModelError> {
        self.ask(request, call, Some(on_text)).await
    }

    fn price(&self, model: &str) -> Result<Option<Price>, ModelError> {
        self.catalog.price(model)
    }

    fn check(&self, model: &str) -> Result<(), ModelError> {
        let target = self.catalog.find(model)?;
        let key = self.credentials.key_for(model, &target, &SecretRegistry::new());
        key.map(drop)
    }
}

async fn whole(
    client: &genai::Client,
    target: &Target,
    request: &ModelRequest,
    options: &ChatOptions,
) -> Result<ModelResponse, ModelError> {
    // Of an answer that the library cannot read, more can be read here.
    let options = options.clone().with_capture_raw_body(true);
    let answer = client
        .exec_chat(&target.model, chat_request(request), Some(&options))
        .await;
    match answer {
        Ok(answer) => Answered::from(answer).response(target),
        Err(genai::Error::ChatResponseGeneration {
            response_body, cause, ..
        }) => answered::unread(target, &response_body, cause),
        Err(error) => Err(model_error(&request.model, error)),
    }
}

/// Reads a stream to its end. One that is cut before its end is no answer.
async fn streamed(
    client: &genai::Client,
    target: &Target,
    request: &ModelRequest,
    options: &ChatOptions,
    tap: Tap,
    on_text: OnText<'_>,
) -> Result<ModelResponse, ModelError> {
    let options = options
        .clone()
        .with_capture_content(true)
        .with_capture_usage(true)
        // The library takes the index that an OpenAI server chooses for the length of a list.
        .with_capture_tool_calls(!matches!(
            target.provider.protocol,
            Protocol::OpenAi | Protocol::OpenAiResponses
        ))
        .with_capture_reasoning_content(true);
    let options = tap.on(options, target.provider.protocol);
    let failed = |error| model_error(&request.model, error);
    let answer = client
        .exec_chat_stream(&target.model, chat_request(request), Some(&options))
        .await
        .map_err(failed)?;
    let mut stream = answer.stream;
    let mut written = Written::default();
    while let Some(event) = stream.next().await {
        if tap.is_too_long() {
            return Err(ModelError::TooLong {
                model: request.model.clone(),
                mib: tap.most_mib(),
            });
        }
        match event.map_err(failed)? {
            ChatStreamEvent::Chunk(chunk) => on_text(&chunk.content),
            ChatStreamEvent::ToolCallChunk(chunk) => {
                if let Value::String(arguments) = chunk.tool_call.fn_arguments {
                    written.insert(chunk.tool_call.call_id, arguments);
                }
            }
            // Providers close a stream by saying why; one that was cut has no reason.
            ChatStreamEvent::End(end) if end.captured_stop_reason.is_some() => {
                return Answered::of_stream(target, end, &written, tap.take()).response(target);
            }
            ChatStreamEvent::End(_) => break,
            _ => {}
        }
    }
    Err(ModelError::Cut {
        model: request.model.clone(),
        reason: "the stream ended before the answer did".to_owned(),
    })
}

fn chat_request(request: &ModelRequest) -> ChatRequest {
    let chat = ChatRequest::new(request.messages.iter().map(chat_message).collect());
    let chat = if request.system.is_empty() {
        chat
    } else {
        chat.with_system(request.system.join("\n\n"))
    };
    let tools = request.options.tools.iter().map(|tool| {
        let spec = Tool::new(tool.name.as_str()).with_schema(tool.schema.clone());
        match &tool.description {
            Some(description) => spec.with_description(description.as_str()),
            None => spec,
        }
    });
    if request.options.tools.is_empty() {
        chat
    } else {
        chat.with_tools(tools.collect::<Vec<_>>())
    }
}

fn chat_message(message: &Message) -> ChatMessage {
    let mut parts = Vec::new();
    if let (Role::Tool, Some(id)) = (message.role, &message.tool_call_id) {
        let name = message.tool_calls.first().map(|call| call.name.clone());
        let mut answer = ToolResponse::new(id.as_str(), message.text.as_str());
        if let Some(name) = name {
            answer = answer.with_fn_name(name);
        }
        return ChatMessage::tool(MessageContent::from_parts(vec![answer.into()]));
    }
    if !message.text.is_empty() || (message.files.is_empty() && message.tool_calls.is_empty()) {
        parts.push(ContentPart::from_text(message.text.as_str()));
    }
    parts.extend(message.files.iter().map(file_part));
    parts.extend(message.tool_calls.iter().map(|call| {
        ContentPart::ToolCall(genai::chat::ToolCall {
            call_id: call.id.clone(),
            fn_name: call.name.clone(),
            // Not every provider takes back what its model wrote instead of an object.
            fn_arguments: if call.arguments.is_object() {
                call.arguments.clone()
            } else {
                json!({})
            },
            thought_signatures: Some(call.signatures.clone()).filter(|signatures| !signatures.is_empty()),
        })
    }));
    let content = MessageContent::from_parts(parts);
    match message.role {
        Role::User => ChatMessage::user(content),
        Role::Assistant => ChatMessage::assistant(content),
        Role::System => ChatMessage::system(content),
        Role::Tool => ChatMessage::tool(content),
    }
}

/// A file as providers take it: they refuse most that is neither image, sound nor PDF, and read every text.
fn file_part(file: &MessageFile) -> ContentPart {
    let media_type = file.media_type.as_str();
    let as_it_is = ["image/", "audio/", "video/", "application/pdf"];
    let is_text = !as_it_is.iter().any(|kind| media_type.starts_with(kind));
    match std::str::from_utf8(&file.bytes) {
        Ok(text) if is_text => ContentPart::from_text(format!("{}:\n{text}", file.name)),
        _ => {
            let base64 = BASE64_STANDARD.encode(&file.bytes);
            ContentPart::from_binary_base64(media_type, base64, Some(file.name.clone()))
        }
    }
}

fn chat_options(
    target: &Target,
    request: &ModelRequest,
    call: &CallContext,
) -> Result<ChatOptions, ModelError> {
    let ModelOptions {
        max_output_tokens,
        schema,
        reasoning_effort,
        max_reasoning_tokens,
        tools: _,
        tool_choice,
        metadata,
        other,
    } = &request.options;
    let unfit = |reason: String| ModelError::Request {
        model: request.model.clone(),
        reason,
    };
    let mut options =
        ChatOptions::default().with_extra_headers(vec![("Idempotency-Key", call.idempotency_key.as_str())]);
    let longest = match (max_output_tokens, call.max_output_tokens) {
        (Some(one), Some(other)) => Some(*one.min(&other)),
        (one, other) => one.or(other),
    };
    if let Some(longest) = longest {
        options = options.with_max_tokens(longest);
    }
    if let Some(schema) = schema {
        let spec = JsonSpec::new("answer", schema.clone());
        options = options.with_response_format(ChatResponseFormat::JsonSpec(spec));
    }
    if let Some(effort) = reasoning_effort {
        let known = ReasoningEffort::from_keyword(effort);
        let effort =
            known.ok_or_else(|| unfit(format!("`reasoning_effort` is `{effort}`, which is not known")))?;
        options = options.with_reasoning_effort(effort);
    }
    if let Some(tokens) = max_reasoning_tokens {
        options = options.with_reasoning_effort(ReasoningEffort::Budget(*tokens));
    }
    if let Some(choice) = tool_choice {
        options = options.with_tool_choice(match choice {
            ToolChoice::Auto => genai::chat::ToolChoice::Auto,
            ToolChoice::None => genai::chat::ToolChoice::None,
            ToolChoice::Required => genai::chat::ToolChoice::Required,
            ToolChoice::Tool { name } => genai::chat::ToolChoice::tool(name.as_str()),
        });
    }
    if !metadata.is_empty() {
        if target.provider.protocol == Protocol::Google {
            return Err(unfit("this provider takes no `metadata`".to_owned()));
        }
        options = options.with_extra_body(json!({ "metadata": metadata }));
    }
    for (name, value) in other {
        options = set_option(options, name, value).ok_or_else(|| {
            unfit(format!(
                "the option `{name}` is not known, or `{value}` does not fit it"
            ))
        })?;
    }
    Ok(options)
}

fn set_option(options: ChatOptions, name: &str, value: &Value) -> Option<ChatOptions> {
    Some(match name {
        "temperature" => options.with_temperature(value.as_f64()?),
        "top_p" => options.with_top_p(value.as_f64()?),
        "seed" => options.with_seed(value.as_u64()?),
        "stop" => {
            let texts = value
                .as_array()?
                .iter()
                .map(|text| text.as_str().map(str::to_owned));
            options.with_stop_sequences(texts.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
