//! The catalogue of models: providers, addresses, protocols and prices, built in and from `models.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use dad_core::nearest;
use serde::{Deserialize, Serialize};

use crate::address::{is_local, is_named_by, is_same_server};
use crate::credentials::environment_variable;
use crate::error::ModelError;
use crate::price::Price;

/// The file in which a project names its models.
const FILE: &str = ".dhenara/models.yaml";

/// A provider: its address and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// The protocol of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI's chat completions, which Ollama, vLLM, llama.cpp and many others speak too.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's Responses API.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Google,
}

/// A model of a project.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name definitions use.
    pub name: String,
    /// The provider's name; the part of `name` before the slash by default.
    #[serde(default)]
    pub provider: Option<String>,
    /// The name the provider uses; the part of `name` after the slash by default.
    #[serde(default)]
    pub model: Option<String>,
    /// The address of the provider.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The protocol; for unknown providers that of OpenAI by default.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// The price.
    #[serde(default)]
    pub price: Option<Price>,
    /// Other names of the model.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl ModelEntry {
    /// The problem with its price: a negative one would give back money that was spent.
    fn wrong_price(&self) -> Option<String> {
        let wrong = self.price?.wrong();
        wrong.map(|(field, price)| {
            format!(
                "the price of `{}` has `{field}: {price}`; it must be a number of US dollars, 0 or more",
                self.name
            )
        })
    }
}

/// The models that can be asked for by name.
///
/// ```
/// use dad_models::ModelCatalog;
///
/// let project = tempfile::tempdir()?;
/// std::fs::create_dir(project.path().join(".dhenara"))?;
/// std::fs::write(
///     project.path().join(".dhenara/models.yaml"),
///     "[{ name: local/coder, base_url: 'http://127.0.0.1:8000/v1', price: { input: 1.0, output: 2.0 }, aliases: [coder] }]",
/// )?;
/// let catalog = ModelCatalog::load(project.path())?;
/// assert_eq!(catalog.without_alias("coder"), "local/coder");
/// assert_eq!(catalog.price("coder")?.map(|price| price.output), Some(2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModelCatalog {
    entries: Vec<ModelEntry>,
    /// Of a project's own file: which keys it may send where, by the user's word. The entries of an application are its
    /// own, and so is what they do.
    allowed_keys: Option<Vec<String>>,
}

/// A model that was found: whom to ask, by which name, at what price.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) provider: Provider,
    pub(crate) model: String,
    pub(crate) price: Option<Price>,
    /// Whether a key may be sent that is the user's and not the project's.
    pub(crate) takes_keys_of_user: bool,
}

impl ModelCatalog {
    /// A catalogue of given entries.
    #[must_use]
    pub fn new(entries: Vec<ModelEntry>) -> Self {
        Self {
            entries,
            allowed_keys: None,
        }
    }

    /// The same, whose models may be sent the keys of these environment variables, or any key of the environment to
    /// these servers (`HOST` or `HOST:PORT`), wherever the project's file says they answer. The user says so, and no
    /// file of the project.
    #[must_use]
    pub fn allow_keys(mut self, allowed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_keys = Some(allowed.into_iter().map(Into::into).collect());
        self
    }

    /// Reads the models of a project; a project without `.dhenara/models.yaml` has none of its own. What the file says of
    /// addresses is the project's word: a key of the environment goes to the provider's own server alone, unless
    /// [`allow_keys`](Self::allow_keys) says more.
    ///
    /// # Errors
    /// If the file is there and is not a list of models.
    pub fn load(project_root: &Path) -> Result<Self, ModelError> {
        let path = project_root.join(FILE);
        if !path.is_file() {
            return Ok(Self::default().allow_keys([] as [String; 0]));
        }
        let unreadable = |reason: String| ModelError::Unreadable {
            path: path.clone(),
            reason,
        };
        let value = dad_definition::load_data(&path).map_err(|problems| unreadable(problems.to_string()))?;
        let entries: Vec<ModelEntry> =
            serde_json::from_value(value).map_err(|error| unreadable(dad_core::in_words(&error)))?;
        match entries.iter().find_map(ModelEntry::wrong_price) {
            Some(wrong) => Err(unreadable(wrong)),
            None => Ok(Self::new(entries).allow_keys([] as [String; 0])),
        }
    }

    /// The price of a model; `None` if it is not known.
    ///
    /// # Errors
    /// If the model is not known.
    pub fn price(&self, name: &str) -> Result<Option<Price>, ModelError> {
        Ok(self.find(name)?.price)
    }

    /// The name that an alias stands for; any other name is as it is.
    #[must_use]
    pub fn without_alias<'a>(&'a self, name: &'a str) -> &'a str {
        let named = |entry: &&ModelEntry| entry.aliases.iter().any(|alias| alias == name);
        let is_name = self.entries.iter().any(|entry| entry.name == name);
        let entry = self.entries.iter().find(named).filter(|_| !is_name);
        entry.map_or(name, |entry| &entry.name)
    }

    /// The model of a name.
    pub(crate) fn find(&self, name: &str) -> Result<Target, ModelError> {
        let named =
            |entry: &&ModelEntry| entry.name == name || entry.aliases.iter().any(|alias| alias == name);
        let entry = self.entries.iter().find(named);
        let full = entry.map_or(name, |entry| &entry.name);
        let (before, after) = match full.split_once('/') {
            Some((before, after)) => (Some(before), after),
            None => (None, full),
        };
        let provider = entry.and_then(|entry| entry.provider.as_deref()).or(before);
        let Some(provider) = provider else {
            return Err(ModelError::UnknownModel {
                name: name.to_owned(),
                nearest: self.nearest(name),
            });
        };
        let base_url = entry.and_then(|entry| entry.base_url.as_deref());
        let provider = self.provider(provider, base_url, entry.and_then(|entry| entry.protocol), full)?;
        Ok(Target {
            takes_keys_of_user: self.takes_keys_of_user(&provider),
            provider,
            model: entry
                .and_then(|entry| entry.model.clone())
                .unwrap_or_else(|| after.to_owned()),
            price: entry.and_then(|entry| entry.price),
        })
    }

    fn takes_keys_of_user(&self, provider: &Provider) -> bool {
        let Some(allowed) = &self.allowed_keys else {
            return true;
        };
        let own = builtin_providers().get(provider.name.as_str()).copied();
        let is_own = own.is_some_and(|(own, _)| is_same_server(own, &provider.base_url));
        let variable = environment_variable(&provider.name);
        is_own
            || allowed
                .iter()
                .any(|entry| *entry == variable || is_named_by(&provider.base_url, entry))
    }

    /// The most similar name that the project has for a model.
    fn nearest(&self, name: &str) -> Option<String> {
        let entries = self.entries.iter();
        let known = entries.flat_map(|entry| entry.aliases.iter().chain([&entry.name]));
        let known = known.filter(|known| *known != name);
        nearest(name, known.map(String::as_str)).map(str::to_owned)
    }

    fn provider(
        &self,
        name: &str,
        base_url: Option<&str>,
        protocol: Option<Protocol>,
        model: &str,
    ) -> Result<Provider, ModelError> {
        let of_same_provider = |entry: &&ModelEntry| entry.provider.as_deref() == Some(name);
        let mut same = self.entries.iter().filter(of_same_provider);
        let elsewhere = same.clone().find_map(|entry| entry.base_url.as_deref());
        let spoken_elsewhere = same.find_map(|entry| entry.protocol);
        let built_in = builtin_providers().get(name).copied();
        let base_url = base_url
            .or(elsewhere)
            .or(built_in.map(|(base_url, _)| base_url))
            .ok_or_else(|| ModelError::UnknownProvider {
                model: model.to_owned(),
                provider: name.to_owned(),
                known: builtin_providers().into_keys().collect::<Vec<_>>().join(", "),
                nearest: self.nearest(model).or_else(|| {
                    let provider = nearest(name, builtin_providers().into_keys())?;
                    Some(format!("{provider}/{}", model.split_once('/')?.1))
                }),
            })?;
        let slash = if base_url.ends_with('/') { "" } else { "/" };
        Ok(Provider {
            name: name.to_owned(),
            base_url: format!("{base_url}{slash}"),
            protocol: protocol
                .or(spoken_elsewhere)
                .or(built_in.map(|(_, protocol)| protocol))
                .unwrap_or(Protocol::OpenAi),
            wants_key: !is_local(base_url),
        })
    }
}

/// The addresses and protocols of known providers.
fn builtin_providers() -> BTreeMap<&'static str, (&'static str, Protocol)> {
    const GOOGLE: (&str, Protocol) = (
        "https://generativelanguage.googleapis.com/v1beta/",
        Protocol::Google,
    );
    BTreeMap::from([
        (
            "anthropic",
            ("https://api.anthropic.com/v1/", Protocol::Anthropic),
        ),
        ("gemini", GOOGLE),
        ("google", GOOGLE),
        ("ollama", ("http://localhost:11434/v1/", Protocol::OpenAi)),
        ("openai", ("https://api.openai.com/v1/", Protocol::OpenAi)),
        ("openrouter", ("https://openrouter.ai/api/v1/", Protocol::OpenAi)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_unknown_name_lists_a_near_one() {
        let catalog = ModelCatalog::new(vec![ModelEntry {
            name: "local/coder".to_owned(),
            provider: None,
            model: None,
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            protocol: None,
            price: None,
            aliases: vec!["coder".to_owned()],
        }]);
        let target = catalog.find("coder").unwrap();
        assert_eq!(
            (target.provider.base_url.as_str(), target.model.as_str()),
            ("http://127.0.0.1:1/v1/", "coder")
        );
        assert!(!target.provider.wants_key);
        let error = catalog.find("codr").unwrap_err().to_string();
        assert_eq!(
            error,
            "`codr` is not a known model; write `provider/model`, did you mean `coder`?"
        );
        let error = catalog.find("locl/coder").unwrap_err().to_string();
        assert!(
            error
                .starts_with("the provider `locl` of `locl/coder` is not known, did you mean `local/coder`?"),
            "{error}"
        );
        assert!(
            catalog
                .find("missing/x")
                .unwrap_err()
                .to_string()
                .contains("anthropic, gemini, google, ollama, openai, openrouter")
        );
    }
}
