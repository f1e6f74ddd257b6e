use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::Usage;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatResponse, ChatResponseFormat, JsonSpec, StopReason,
};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{ModelIden, ServiceTarget};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::catalog::{ModelCatalog, Target};
use crate::client::{CallContext, FinishReason, ModelClient, ModelRequest, ModelResponse, Role};
use crate::credentials::Credentials;
use crate::error::ModelError;

/// Asks providers that speak the protocol of OpenAI's chat completions, over HTTP.
#[derive(Debug)]
pub struct HttpClient {
    catalog: ModelCatalog,
    credentials: Credentials,
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
            connections: OnceLock::new(),
        }
    }

    /// A client that asks exactly one endpoint: the model's name must not decide whom it speaks to.
    fn client_for(&self, target: &Target) -> Result<genai::Client, ModelError> {
        let auth = match target.provider.wants_key {
            true => AuthData::from_single(self.credentials.api_key(&target.provider.name)?.expose_secret()),
            false => AuthData::from_single("none"),
        };
        let endpoint = Endpoint::from_owned(target.provider.base_url.clone());
        let model = ModelIden::new(AdapterKind::OpenAI, target.model.clone());
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
}

impl HttpClient {
    fn connections(&self, model: &str) -> Result<reqwest::Client, ModelError> {
        if let Some(made) = self.connections.get() {
            return Ok(made.clone());
        }
        let made = connections().map_err(|error| ModelError::Connection {
            model: model.to_owned(),
            reason: dad_core::ErrorInfo::from_error("", &*error).message,
        })?;
        Ok(self.connections.get_or_init(|| made).clone())
    }
}

/// A client with the certificates this system trusts. Its cryptography is given to it alone: nothing is installed for
/// the whole process.
fn connections() -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()?)
}

#[async_trait]
impl ModelClient for HttpClient {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        let target = self.catalog.find(&request.model)?;
        let client = self.client_for(&target)?;
        let options = chat_options(request, call)?;
        let answer = client
            .exec_chat(&target.model, chat_request(request), Some(&options))
            .await;
        let answer = answer.map_err(|error| model_error(&request.model, error))?;
        model_response(&target, &answer)
    }
}

fn chat_request(request: &ModelRequest) -> ChatRequest {
    let messages = request.messages.iter().map(|message| match message.role {
        Role::User => ChatMessage::user(message.text.as_str()),
        Role::Assistant => ChatMessage::assistant(message.text.as_str()),
        Role::System => ChatMessage::system(message.text.as_str()),
    });
    let chat = ChatRequest::new(messages.collect());
    match request.system.is_empty() {
        true => chat,
        false => chat.with_system(request.system.join("\n\n")),
    }
}

fn chat_options(request: &ModelRequest, call: &CallContext) -> Result<ChatOptions, ModelError> {
    let mut options =
        ChatOptions::default().with_extra_headers(vec![("Idempotency-Key", call.idempotency_key.as_str())]);
    if let Some(longest) = request.options.max_output_tokens {
        options = options.with_max_tokens(longest);
    }
    if let Some(schema) = &request.options.schema {
        options = options.with_response_format(ChatResponseFormat::JsonSpec(JsonSpec::new(
            "answer",
            schema.clone(),
        )));
    }
    for (name, value) in &request.options.other {
        options = set_option(options, name, value).ok_or_else(|| ModelError::Answer {
            model: request.model.clone(),
            reason: format!("the option `{name}` is not known, or `{value}` does not fit it"),
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

fn model_response(target: &Target, answer: &ChatResponse) -> Result<ModelResponse, ModelError> {
    let text = answer
        .first_text()
        .map(str::to_owned)
        .ok_or_else(|| ModelError::Answer {
            model: target.model.clone(),
            reason: "it holds no text".to_owned(),
        })?;
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(0);
    let mut usage = Usage {
        calls: 1,
        prompt_tokens: count(answer.usage.prompt_tokens),
        completion_tokens: count(answer.usage.completion_tokens),
        total_tokens: count(answer.usage.total_tokens),
        cost: None,
    };
    usage.cost = target.price.map(|price| price.cost(&usage));
    let finish_reason = match &answer.stop_reason {
        Some(StopReason::Completed(_) | StopReason::StopSequence(_)) | None => FinishReason::Completed,
        Some(StopReason::MaxTokens(_)) => FinishReason::Length,
        Some(StopReason::ContentFilter(_)) => FinishReason::ContentFilter,
        Some(StopReason::ToolCall(_)) => FinishReason::ToolCall,
        Some(StopReason::Other(_)) => FinishReason::Other,
    };
    Ok(ModelResponse {
        model: answer.provider_model_iden.model_name.to_string(),
        provider: target.provider.name.clone(),
        text,
        finish_reason,
        usage,
    })
}

fn model_error(model: &str, error: genai::Error) -> ModelError {
    let model = model.to_owned();
    match error {
        genai::Error::HttpError {
            status,
            body,
            headers,
            ..
        } => status_error(model, status, &body, &headers),
        genai::Error::WebModelCall { webc_error, .. } | genai::Error::WebAdapterCall { webc_error, .. } => {
            web_error(model, webc_error)
        }
        other => ModelError::Answer {
            model,
            reason: shorten(&other.to_string()),
        },
    }
}

fn web_error(model: String, error: genai::webc::Error) -> ModelError {
    match error {
        genai::webc::Error::ResponseFailedStatus {
            status,
            body,
            headers,
        } => status_error(model, status, &body, &headers),
        genai::webc::Error::Reqwest(error) => {
            let info = dad_core::ErrorInfo::from_error("", &error);
            ModelError::Connection {
                model,
                reason: info.message,
            }
        }
        other => ModelError::Answer {
            model,
            reason: shorten(&other.to_string()),
        },
    }
}

fn status_error(model: String, status: StatusCode, body: &str, headers: &HeaderMap) -> ModelError {
    ModelError::Status {
        model,
        status: status.as_u16(),
        body: shorten(body),
        retry_after: retry_after(headers),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let milliseconds = header("retry-after-ms").and_then(|text| text.parse().ok());
    let seconds = header("retry-after").and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    milliseconds.map(Duration::from_millis).or(seconds)
}

/// Enough of a body to see what the provider means.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 500;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
