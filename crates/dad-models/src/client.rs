//! The interface of model clients.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{HierarchyPath, SecretRegistry};
use dad_run::RunPlace;

use crate::error::ModelError;
use crate::price::Price;
use crate::request::{ModelOptions, ModelRequest};
use crate::response::ModelResponse;
use derive_setters::Setters;

/// Is given the text of an answer while it arrives, piece by piece.
pub type OnText<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The place where a model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelEndpoint {
    /// The provider, as the catalogue names it.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The host.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
}

impl ModelEndpoint {
    /// A model of a provider, at an unknown host.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            host: None,
            port: None,
        }
    }
}

/// Answers requests to language models. Open for implementation; methods added later have default bodies.
///
/// ```
/// use dad_models::{CallContext, Message, ModelClient, ModelError, ModelRequest, ModelResponse, Role};
///
/// /// A client for tests: it repeats the prompt.
/// struct Echo;
///
/// #[async_trait::async_trait]
/// impl ModelClient for Echo {
///     async fn complete(&self, request: &ModelRequest, _: &CallContext) -> Result<ModelResponse, ModelError> {
///         let prompt = request.messages.last().map_or("", |message| &message.text);
///         Ok(ModelResponse::of_text("echo", "test", prompt))
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = ModelRequest::new("test/echo", [Message::new(Role::User, "Good morning")]);
/// let response = Echo.complete(&request, &CallContext::new("flow.greet".parse()?)).await?;
/// assert_eq!(response.text, "Good morning");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ModelClient: Send + Sync {
    /// Asks a model once. Retries are the caller's.
    ///
    /// # Errors
    /// [`ModelError`], which says whether asking again may help.
    async fn complete(&self, request: &ModelRequest, call: &CallContext)
    -> Result<ModelResponse, ModelError>;

    /// As [`complete`](Self::complete), and gives the text to `on_text` while it arrives.
    ///
    /// # Errors
    /// As there; then some of the text may have been given already.
    async fn stream(
        &self,
        request: &ModelRequest,
        call: &CallContext,
        on_text: OnText<'_>,
    ) -> Result<ModelResponse, ModelError> {
        let response = self.complete(request, call).await?;
        on_text(&response.text);
        Ok(response)
    }

    /// The place where a model is asked, for traces; `None` if no server is.
    fn endpoint(&self, model: &str) -> Option<ModelEndpoint> {
        let _ = model;
        None
    }

    /// The price of a model; `None` if it is not known.
    ///
    /// # Errors
    /// If the model is not known.
    fn price(&self, model: &str) -> Result<Option<Price>, ModelError> {
        let _ = model;
        Ok(None)
    }

    /// The longest answer that a model can give, in tokens; `None` if it is not known.
    fn max_output(&self, model: &str) -> Option<u32> {
        let _ = model;
        None
    }

    /// The largest number of tokens that a call of a model may send; `None` if it is not known.
    fn window(&self, model: &str) -> Option<u64> {
        let _ = model;
        None
    }

    /// Says before anything of a run executes whether a model takes some options.
    ///
    /// # Errors
    /// [`ModelError::Request`] with the option that the model, or its provider, does not have.
    fn check_options(&self, model: &str, options: &ModelOptions) -> Result<(), ModelError> {
        let _ = (model, options);
        Ok(())
    }

    /// Says before anything of a run executes whether a model can be asked with what the client has.
    ///
    /// # Errors
    /// Why it cannot be asked, or [`ModelError::KeyNotAllowed`] if it must not be.
    fn check(&self, model: &str) -> Result<(), ModelError> {
        let _ = model;
        Ok(())
    }
}

/// A client that opens no connection: one that answers from records, or by itself. To implement it for a type is to promise
/// that; a run without network takes no other client.
pub trait OfflineClient: ModelClient {}

/// The model client of a run, as a resource of its context. It is given out to a run without network only if its type says
/// that it opens no connection.
#[derive(Clone)]
pub struct Models {
    client: Arc<dyn ModelClient>,
    is_offline: bool,
}

impl Models {
    /// A client that may open connections.
    pub fn new(client: impl ModelClient + 'static) -> Self {
        Self {
            client: Arc::new(client),
            is_offline: false,
        }
    }

    /// A client that opens no connection.
    pub fn offline(client: impl OfflineClient + 'static) -> Self {
        Self {
            client: Arc::new(client),
            is_offline: true,
        }
    }

    /// The client, for a run that is or is not without network.
    ///
    /// # Errors
    /// [`ModelError::Offline`] if the run is without network and the client may open connections.
    pub fn client(&self, run_is_offline: bool) -> Result<&dyn ModelClient, ModelError> {
        if run_is_offline && !self.is_offline {
            Err(ModelError::Offline)
        } else {
            Ok(&*self.client)
        }
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Models(..)")
    }
}

/// Which call of a run this is.
#[derive(Clone, Debug, Setters)]
#[non_exhaustive]
pub struct CallContext {
    /// The step that asks.
    pub path: HierarchyPath,
    /// Its call, from 1.
    pub number: u32,
    /// By which a provider can recognise a repetition.
    #[setters(into)]
    pub idempotency_key: String,
    /// The longest answer that the budgets allow, in tokens.
    #[setters(into)]
    pub max_output_tokens: Option<u32>,
    /// The longest time that the call may take once it is made.
    #[setters(into)]
    pub timeout: Option<Duration>,
    /// The machines and directories in which the run and those before it were driven: the parts of a request that may
    /// differ.
    pub places: Arc<[RunPlace]>,
    /// The secrets of the run. A client adds the key that it asks with before it uses it.
    pub secrets: SecretRegistry,
}

impl CallContext {
    /// The first call of a step.
    #[must_use]
    pub fn new(path: HierarchyPath) -> Self {
        Self {
            path,
            number: 1,
            idempotency_key: String::new(),
            max_output_tokens: None,
            timeout: None,
            places: Arc::new([]),
            secrets: SecretRegistry::new(),
        }
    }
}
