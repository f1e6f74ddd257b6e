//! The models that are asked: one for each protocol at each server.

use std::num::NonZeroU64;
use std::path::Path;

use dhenara::core::SecretRegistry;
use dhenara::models::{Credentials, HttpClient, Limits, ModelCatalog, ModelEntry, Protocol};
use dhenara::run::Variables;

use crate::servers::{KEY, LITELLM_MODEL, Servers};

/// A protocol, and its place at the servers.
pub(crate) struct Route {
    /// The name of the protocol in definitions.
    pub(crate) name: &'static str,
    protocol: Protocol,
    /// The path at llmock, and a model that it knows by this protocol.
    llmock: (&'static str, &'static str),
    /// The path at litellm.
    litellm: &'static str,
}

/// The routes, in the order of the table.
pub(crate) const ROUTES: [Route; 4] = [
    Route {
        name: "openai",
        protocol: Protocol::OpenAi,
        llmock: ("/v1", "gpt-4o-mini"),
        litellm: "/v1",
    },
    Route {
        name: "openai_responses",
        protocol: Protocol::OpenAiResponses,
        llmock: ("/v1", "gpt-4o-mini"),
        litellm: "/v1",
    },
    Route {
        name: "anthropic",
        protocol: Protocol::Anthropic,
        llmock: ("/anthropic/v1", "claude-sonnet-4-6"),
        litellm: "/v1",
    },
    Route {
        name: "google",
        protocol: Protocol::Google,
        llmock: ("/gemini/v1beta", "gemini-2.5-flash"),
        litellm: "/v1beta",
    },
];

/// The server that a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    LlMock,
    LiteLlm,
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LlMock => "llmock",
            Self::LiteLlm => "litellm",
        }
    }
}

/// The time for which a server may send nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Usual,
    /// So short that a stalled answer is given up before it continues.
    Short,
}

/// The name of the model that is asked.
pub(crate) fn model_name(server: Server, route: &Route) -> String {
    format!("{}_{}/model", server.name(), route.name)
}

/// A client of all models. Each has a provider of its own: a rate limit of one closes no other.
pub(crate) fn client(servers: &Servers, project: &Path, patience: Patience) -> HttpClient {
    let entries = [Server::LlMock, Server::LiteLlm]
        .into_iter()
        .flat_map(|server| ROUTES.map(|route| entry(servers, server, &route)));
    let keys = ROUTES.map(|route| {
        let provider = format!("{}_{}", Server::LiteLlm.name(), route.name);
        (format!("{}_API_KEY", provider.to_uppercase()), KEY)
    });
    let credentials =
        Credentials::new(project, None, SecretRegistry::new()).variables(Variables::from_iter(keys));
    let limits = Limits {
        idle_timeout: NonZeroU64::new(match patience {
            // litellm takes seconds for its first call.
            Patience::Usual => 60,
            Patience::Short => 1,
        }),
        ..Limits::default()
    };
    HttpClient::new(ModelCatalog::new(entries.collect()), credentials).with_limits(limits)
}

fn entry(servers: &Servers, server: Server, route: &Route) -> ModelEntry {
    let (port, path, model) = match server {
        Server::LlMock => (servers.llmock.port, route.llmock.0, route.llmock.1),
        Server::LiteLlm => (servers.litellm.port, route.litellm, LITELLM_MODEL),
    };
    ModelEntry {
        name: model_name(server, route),
        model: Some(model.to_owned()),
        base_url: Some(format!("http://127.0.0.1:{port}{path}")),
        protocol: Some(route.protocol),
        ..ModelEntry::default()
    }
}
