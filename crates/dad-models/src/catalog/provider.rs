//! Providers: addresses, protocols, and the place of the key in a request.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::address::is_same_server;

/// A provider: its address and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provider {
    /// Its name, before the slash of a model's name.
    pub name: String,
    /// Its address, with a slash at the end.
    pub base_url: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether it wants an API key. A server on this machine does not, and is asked with the one that is configured, if
    /// there is one.
    pub wants_key: bool,
    /// The place of the key in a request.
    pub auth: Auth,
    /// Headers of every request, beside those of the protocol. They can be sent: their names and texts are checked.
    pub headers: BTreeMap<String, String>,
    /// Parameters of every address that is asked.
    pub query: BTreeMap<String, String>,
    /// A file of certificates, in PEM, that the server's own may be signed with, beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// The protocol of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI's chat completions, which Ollama, vLLM, llama.cpp and many others speak too.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's responses.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Google,
}

impl Protocol {
    /// The word that `models.yaml` has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
        }
    }

    /// The place of the key at an address, by default: `Authorization` for OpenAI (its package openai 3.57.0, `_client.py`) and at
    /// Anthropic's own server (its package anthropic 2.14.0, `_client.py`); `x-api-key` where others speak its protocol (litellm
    /// 1.110.2, `litellm/llms/anthropic/common_utils.py`); `x-goog-api-key` for Google (its package google-genai 3.6.1,
    /// `_api_client.py`).
    pub(super) fn auth_at(self, base_url: &str) -> Auth {
        match self {
            Self::Anthropic if !built_in("anthropic").is_some_and(|own| own.is_at(base_url)) => {
                Auth::Header("x-api-key".to_owned())
            }
            Self::OpenAi | Self::OpenAiResponses | Self::Anthropic => Auth::Bearer,
            Self::Google => Auth::Header("x-goog-api-key".to_owned()),
        }
    }

    /// The path of its version, if its documentation has the same one on every server: `/v1/chat/completions`, `/v1/responses`,
    /// `/v1/messages`.
    const fn path(self) -> Option<&'static str> {
        match self {
            Self::OpenAi | Self::OpenAiResponses | Self::Anthropic => Some("v1/"),
            Self::Google => None,
        }
    }
}

/// The place of the key in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// In the header `Authorization`, behind the word `Bearer`.
    Bearer,
    /// In a header of this name.
    Header(String),
    /// In the address, as the parameter of this name.
    Query(String),
    /// Nowhere: the server wants no key, and none is sent.
    None,
}

/// A provider that is known by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) base_url: &'static str,
    pub(super) protocol: Protocol,
    /// The name of its models in the facts that are built in.
    pub(super) models: &'static str,
    /// Whether those are all models that it offers, so that another one is most likely a slip.
    pub(super) is_complete: bool,
}

/// The providers that are known by name, sorted. The addresses of those that speak OpenAI's protocol are those that litellm
/// 1.110.2 asks: `litellm/litellm_core_utils/get_llm_provider_logic.py`, `litellm/main.py`, `litellm/constants.py`, and the
/// `chat/transformation.py` of each below `litellm/llms/`.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    own("anthropic", "https://api.anthropic.com/v1/", Protocol::Anthropic),
    host("cerebras", "https://api.cerebras.ai/v1/"),
    own("deepseek", "https://api.deepseek.com/v1/", Protocol::OpenAi),
    host("fireworks_ai", "https://api.fireworks.ai/inference/v1/"),
    own("gemini", GOOGLE, Protocol::Google),
    BuiltIn {
        models: "gemini",
        ..own("google", GOOGLE, Protocol::Google)
    },
    host("groq", "https://api.groq.com/openai/v1/"),
    own("mistral", "https://api.mistral.ai/v1/", Protocol::OpenAi),
    own("moonshot", "https://api.moonshot.ai/v1/", Protocol::OpenAi),
    host("ollama", "http://localhost:11434/v1/"),
    own("openai", "https://api.openai.com/v1/", Protocol::OpenAiResponses),
    host("openrouter", "https://openrouter.ai/api/v1/"),
    host("perplexity", "https://api.perplexity.ai/"),
    host("together_ai", "https://api.together.ai/v1/"),
    own("xai", "https://api.x.ai/v1/", Protocol::OpenAi),
];

const GOOGLE: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// A provider of models of its own.
const fn own(name: &'static str, base_url: &'static str, protocol: Protocol) -> BuiltIn {
    BuiltIn {
        name,
        base_url,
        protocol,
        models: name,
        is_complete: true,
    }
}

/// A provider of many models of others.
const fn host(name: &'static str, base_url: &'static str) -> BuiltIn {
    BuiltIn {
        is_complete: false,
        ..own(name, base_url, Protocol::OpenAi)
    }
}

/// The provider of a name.
pub(super) fn built_in(name: &str) -> Option<&'static BuiltIn> {
    let at = BUILT_IN.binary_search_by_key(&name, |known| known.name).ok()?;
    BUILT_IN.get(at)
}

/// The names of the providers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|known| known.name)
}

impl Provider {
    /// Whether the address is that of the provider of this name, and not of a proxy or another server.
    pub(crate) fn is_at_own_address(&self) -> bool {
        built_in(&self.name).is_some_and(|own| own.is_at(&self.base_url))
    }
}

impl BuiltIn {
    /// Whether an address is the provider's own.
    pub(super) fn is_at(&self, base_url: &str) -> bool {
        is_same_server(self.base_url, base_url)
    }

    /// The protocol that is spoken at an address. OpenAI's own server answers responses; what others offer as OpenAI's
    /// protocol is chat completions.
    pub(super) fn protocol_at(&self, base_url: &str) -> Protocol {
        match self.protocol {
            Protocol::OpenAiResponses if !self.is_at(base_url) => Protocol::OpenAi,
            protocol => protocol,
        }
    }
}

/// An address with a slash at its end. One that is only a server gets the path of the provider whose server it is, else that of
/// the protocol.
pub(super) fn with_path(base_url: &str, protocol: Protocol) -> String {
    let bare = Url::parse(base_url)
        .is_ok_and(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    let slash = if base_url.ends_with('/') { "" } else { "/" };
    let path = protocol.path().filter(|_| bare);
    let known = BUILT_IN
        .iter()
        .filter(|known| bare && known.protocol.path() == protocol.path())
        .find(|known| known.protocol_is(protocol) && known.is_at(base_url));
    match known {
        Some(known) => known.base_url.to_owned(),
        None => format!("{base_url}{slash}{}", path.unwrap_or_default()),
    }
}

impl BuiltIn {
    fn protocol_is(&self, protocol: Protocol) -> bool {
        let is_openai = |protocol| matches!(protocol, Protocol::OpenAi | Protocol::OpenAiResponses);
        self.protocol == protocol || (is_openai(self.protocol) && is_openai(protocol))
    }
}
