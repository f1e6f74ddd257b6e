//! Model clients: providers, credentials, prices and replay; and the client of single exchanges with other servers.
//!
//! A [`ModelClient`] answers a [`ModelRequest`]. [`HttpClient`] asks providers over the network, [`ReplayClient`]
//! answers from recorded exchanges; what asks cannot tell them apart. Models are named `provider/model`; a project
//! adds providers, endpoints and prices in `.dhenara/models.yaml` ([`ModelCatalog`]).
//!
//! A [`WebClient`] makes one exchange with a server that is no model's, within [`WebBounds`]: every connection that a run opens
//! by itself is opened in this crate.

mod address;
mod answered;
mod catalog;
mod client;
mod credentials;
mod error;
mod failure;
mod http;
mod limits;
mod replay;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the clients send schemas unchanged until they call it")
)]
mod schema;
mod tapped;
mod web;

pub use catalog::{ModelCatalog, ModelEntry, Price, Protocol, Provider};
pub use client::{
    CallContext, FinishReason, Message, MessageFile, ModelClient, ModelOptions, ModelRequest, ModelResponse,
    Models, OfflineClient, OnText, ResponseFile, Role, ToolCall, ToolChoice, ToolSpec,
};
pub use credentials::Credentials;
pub use error::ModelError;
pub use http::HttpClient;
pub use limits::Limits;
pub use replay::{MODEL_CALL, RecordedWeb, ReplayClient, ReplayNote};
pub use schema::Strictness;
pub use web::{
    AllowedHost, AllowedHosts, WEB_EXCHANGE, WebAnswer, WebBody, WebBounds, WebClient, WebError, WebRequest,
    check_address, check_header,
};
