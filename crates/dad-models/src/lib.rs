//! Model clients: providers, credentials, prices and replay; and the client of single exchanges with other servers.
//!
//! A [`ModelClient`] answers a [`ModelRequest`]. [`HttpClient`] asks providers over the network, [`ReplayClient`]
//! answers from recorded exchanges; what asks cannot tell them apart. Models are named `provider/model`; a project
//! adds providers, endpoints and prices in `.dhenara/models.yaml` ([`ModelCatalog`]).
//!
//! A [`WebClient`] makes one exchange with a server that is no model's, within [`WebBounds`]: every connection that a run opens
//! by itself is opened in this crate.

mod address;
mod catalog;
mod client;
mod connections;
mod credentials;
mod error;
mod exchange;
mod header;
mod http;
mod limits;
mod options;
mod price;
mod protocol;
mod replay;
mod request;
mod response;
mod schema;
mod web;
mod window;

pub use catalog::{
    Auth, Capabilities, Effort, KnownModel, ModelCatalog, ModelEntry, ModelFacts, ModelWarning, Protocol,
    Provider, Thinking,
};
pub use client::{CallContext, ModelClient, ModelEndpoint, Models, OfflineClient, OnText};
pub use credentials::{Credentials, KeyPlace, key_variable};
pub use error::ModelError;
pub use header::check_header;
pub use http::HttpClient;
pub use limits::Limits;
pub use options::CallOptions;
pub use price::{LongContext, Price, Rates, Tiers};
pub use replay::{RecordedWeb, ReplayClient, ReplayNote};
pub use request::{
    Instruction, Message, MessageFile, ModelOptions, ModelRequest, NativeTurn, PromptCache, Role, ToolCall,
    ToolChoice, ToolSpec,
};
pub use response::{FinishReason, ModelResponse, ResponseFile};
pub use schema::Strictness;
pub use web::{
    AllowedHost, AllowedHosts, WebAnswer, WebBody, WebBounds, WebClient, WebError, WebRequest, check_address,
};

/// Helpers that the crates of the run system share. They are no part of the public interface: any version may change them.
#[doc(hidden)]
pub mod internal {
    pub use crate::protocol::{ANSWER_TOOL, MAX_CACHE_MARKS};
    pub use crate::replay::{MODEL_CALL, MODEL_FAILED};
    pub use crate::schema::restore_answer;
    pub use crate::web::WEB_EXCHANGE;
}
