//! Model clients over HTTP.

use std::num::NonZeroU64;
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{ErrorInfo, SecretRegistry};

use crate::catalog::ModelCatalog;
use crate::client::{CallContext, ModelClient, ModelEndpoint, OnText};
use crate::connections::Connections;
use crate::credentials::Credentials;
use crate::error::ModelError;
use crate::exchange::Exchange;
use crate::limits::{Gate, Limits};
use crate::price::Price;
use crate::protocol::{Asked, check_conversation, outgoing};
use crate::request::{ModelOptions, ModelRequest};
use crate::response::ModelResponse;
use crate::window;

/// The time that a server has to be connected, by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for which a server may send nothing, by default: as long as the clients of OpenAI and Anthropic wait.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The largest size of an answer by default, in MiB.
const ANSWER_MIB: u64 = 128;

/// Asks providers over HTTP, each by its own protocol.
///
/// ```no_run
/// use dad_core::{ErrorInfo, SecretRegistry};
/// use dad_models::{Credentials, HttpClient, Limits, ModelCatalog, Models};
///
/// let project = std::path::Path::new("my_project");
/// let credentials = Credentials::new(project, None, SecretRegistry::new());
/// let limits = Limits::default().max_concurrency(8);
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
    /// The largest size of an answer, in MiB.
    answer_mib: u64,
    connections: Connections,
}

impl HttpClient {
    /// A client of the models of `catalog`.
    #[must_use]
    pub fn new(catalog: ModelCatalog, credentials: Credentials) -> Self {
        Self {
            catalog,
            credentials,
            gate: Gate::default(),
            answer_mib: ANSWER_MIB,
            connections: Connections::new(CONNECT_TIMEOUT, IDLE_TIMEOUT),
        }
    }

    /// The same with limits for all runs that share it.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let seconds = |limit: Option<NonZeroU64>, default| {
            limit.map_or(default, |limit| Duration::from_secs(limit.get()))
        };
        self.connections = Connections::new(
            seconds(limits.connect_timeout, CONNECT_TIMEOUT),
            seconds(limits.idle_timeout, IDLE_TIMEOUT),
        );
        self.answer_mib = limits.answer_mib.map_or(ANSWER_MIB, NonZeroU64::get);
        self.gate = Gate::new(limits);
        self
    }

    /// Connects to the server of a model and asks for nothing but an answer of any kind: without a key, and without cost.
    ///
    /// # Errors
    /// [`ModelError::Connection`] with the reason; if the model is not known.
    pub async fn reach(&self, model: &str) -> Result<(), ModelError> {
        let target = self.catalog.find(model)?;
        let client = self.connections.to(model, &target)?;
        let asked = client
            .head(&target.provider.base_url)
            .timeout(CONNECT_TIMEOUT)
            .send();
        match asked.await {
            Ok(_) => Ok(()),
            Err(error) => Err(ModelError::Connection {
                model: model.to_owned(),
                reason: ErrorInfo::from_error("", &error.without_url()).message,
            }),
        }
    }

    /// Makes a call once the limits let it pass.
    async fn ask(
        &self,
        request: &ModelRequest,
        call: &CallContext,
        on_text: Option<OnText<'_>>,
    ) -> Result<ModelResponse, ModelError> {
        let target = self.catalog.find(&request.model)?;
        window::check(request, target.facts.window)?;
        let key = self.credentials.key_for(&request.model, &target, &call.secrets)?;
        let exchange = Exchange {
            asked: Asked {
                target: &target,
                request,
                max_output_tokens: longest(request, call),
                streams: on_text.is_some(),
            },
            connections: self.connections.to(&request.model, &target)?,
            key: key.as_ref(),
            idempotency_key: &call.idempotency_key,
            answer_mib: self.answer_mib,
        };
        // Before it waits for its turn: a request that cannot be made waits for none.
        check_conversation(&exchange.asked)?;
        let outgoing_request = outgoing(&exchange.asked)?;
        let passed = self.gate.pass(&target.provider.name).await;
        let _passed = passed.map_err(|pause| ModelError::RateLimited {
            model: request.model.clone(),
            pause,
        })?;
        let asked = exchange.make(outgoing_request, on_text);
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
        // A quota of one model does not concern the others of its provider.
        let limited = answered.as_ref().err().filter(|error| error.is_retryable());
        if let Some(pause) = limited.and_then(ModelError::retry_after) {
            self.gate.close(&target.provider.name, pause);
        }
        // Only now is the key known that the provider may have repeated.
        answered.map_err(|error| error.masked(&self.credentials.redactor()))
    }
}

/// The longest answer in tokens, by the settings and the budgets.
fn longest(request: &ModelRequest, call: &CallContext) -> Option<u32> {
    let (one, other) = (request.options.max_output_tokens, call.max_output_tokens);
    one.into_iter().chain(other).min()
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

    fn endpoint(&self, model: &str) -> Option<ModelEndpoint> {
        let target = self.catalog.find(model).ok()?;
        let address = reqwest::Url::parse(&target.provider.base_url).ok();
        Some(ModelEndpoint {
            host: address.as_ref().and_then(|url| url.host_str().map(str::to_owned)),
            port: address.as_ref().and_then(reqwest::Url::port_or_known_default),
            ..ModelEndpoint::new(target.provider.name, target.model)
        })
    }

    fn price(&self, model: &str) -> Result<Option<Price>, ModelError> {
        self.catalog.price(model)
    }

    fn max_output(&self, model: &str) -> Option<u32> {
        self.catalog.find(model).ok()?.facts.max_output
    }

    fn window(&self, model: &str) -> Option<u64> {
        self.catalog.find(model).ok()?.facts.window
    }

    fn check(&self, model: &str) -> Result<(), ModelError> {
        let target = self.catalog.find(model)?;
        let key = self.credentials.key_for(model, &target, &SecretRegistry::new());
        key.map(drop)
    }

    fn check_options(&self, model: &str, options: &ModelOptions) -> Result<(), ModelError> {
        let target = self.catalog.find(model)?;
        let request = ModelRequest {
            model: model.to_owned(),
            system: Vec::new(),
            messages: Vec::new(),
            options: options.clone(),
        };
        let asked = Asked {
            target: &target,
            request: &request,
            max_output_tokens: options.max_output_tokens,
            streams: false,
        };
        outgoing(&asked).map(drop)
    }
}
