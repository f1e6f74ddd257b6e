//! The models that are asked: one for each protocol at each server.

use std::num::NonZeroU64;
use std::path::Path;

use dhenara::models::{Credentials, HttpClient, Limits, ModelCatalog, ModelEntry, Protocol};
use dhenara::run::Variables;
use dhenara::types::SecretRegistry;

use crate::servers::{KEY, Servers};

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

/// A server that the client talks to, and the model behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    LlMock,
    /// litellm before llmock.
    LiteLlm,
    /// litellm before the strict server, by OpenAI's protocol.
    LiteLlmGpt,
    /// The same by Anthropic's protocol.
    LiteLlmClaude,
    /// The same by Google's protocol.
    LiteLlmGemini,
}

impl Server {
    pub(crate) const ALL: [Self; 5] = [
        Self::LlMock,
        Self::LiteLlm,
        Self::LiteLlmGpt,
        Self::LiteLlmClaude,
        Self::LiteLlmGemini,
    ];

    /// The name in the table, which is also that of its model at litellm.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LlMock => "llmock",
            Self::LiteLlm => "litellm",
            Self::LiteLlmGpt => "litellm_gpt",
            Self::LiteLlmClaude => "litellm_claude",
            Self::LiteLlmGemini => "litellm_gemini",
        }
    }

    /// Whether the model is the one of the strict server.
    pub(crate) const fn is_strict(self) -> bool {
        matches!(self, Self::LiteLlmGpt | Self::LiteLlmClaude | Self::LiteLlmGemini)
    }

    /// The model that litellm asks, by litellm's name, and its address.
    pub(crate) fn behind_litellm(self, llmock: u16, strict: &str) -> Option<(&'static str, String)> {
        match self {
            Self::LlMock => None,
            Self::LiteLlm => Some(("openai/gpt-4o-mini", format!("http://127.0.0.1:{llmock}/v1"))),
            Self::LiteLlmGpt => Some(("openai/gpt-4o", format!("{strict}/v1"))),
            Self::LiteLlmClaude => Some(("anthropic/claude-haiku-4-5", strict.to_owned())),
            Self::LiteLlmGemini => {
                let place = format!("{strict}/v1beta/models/gemini-3-flash-preview");
                Some(("gemini/gemini-3-flash-preview", place))
            }
        }
    }
}

/// The ways on which litellm itself sends what a provider refuses (litellm 1.108.7), with the reason.
const LEFT_OUT: [(Server, &str, &str); 3] = [
    (
        Server::LiteLlmGpt,
        "openai_responses",
        "litellm writes `namespace: null` into calls, which have no such value",
    ),
    (
        Server::LiteLlmGpt,
        "anthropic",
        "litellm asks a model that does not reason for encrypted reasoning",
    ),
    (
        Server::LiteLlmGemini,
        "google",
        "litellm writes `model` into the body, which has no such field",
    ),
];

/// The reason for which a way is not checked.
pub(crate) fn left_out(server: Server, route: &Route) -> Option<&'static str> {
    let mut known = LEFT_OUT.iter();
    known
        .find(|(at, protocol, _)| (*at, *protocol) == (server, route.name))
        .map(|(.., reason)| *reason)
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
    format!("{}/model", provider_name(server, route))
}

fn provider_name(server: Server, route: &Route) -> String {
    format!("{}_{}", server.name(), route.name)
}

/// A client of all models. Each has a provider of its own: a rate limit of one closes no other.
pub(crate) fn client(servers: &Servers, project: &Path, patience: Patience) -> HttpClient {
    let all = || {
        Server::ALL
            .into_iter()
            .flat_map(|server| ROUTES.map(|route| (server, route)))
    };
    let entries = all().map(|(server, route)| entry(servers, server, &route));
    let keys = all().map(|(server, route)| {
        let provider = provider_name(server, &route).to_uppercase();
        (format!("{provider}_API_KEY"), KEY)
    });
    let credentials =
        Credentials::new(project, None, SecretRegistry::new()).variables(Variables::from_iter(keys));
    let limits = Limits::default().idle_timeout(NonZeroU64::new(match patience {
        // litellm takes seconds for its first call.
        Patience::Usual => 60,
        Patience::Short => 1,
    }));
    HttpClient::new(ModelCatalog::new(entries.collect()), credentials).with_limits(limits)
}

fn entry(servers: &Servers, server: Server, route: &Route) -> ModelEntry {
    let (port, path, model) = match server {
        Server::LlMock => (servers.llmock.port, route.llmock.0, route.llmock.1),
        _ => (servers.litellm.port, route.litellm, server.name()),
    };
    ModelEntry::default()
        .name(model_name(server, route))
        .model(model.to_owned())
        .base_url(format!("http://127.0.0.1:{port}{path}"))
        .protocol(route.protocol)
}
