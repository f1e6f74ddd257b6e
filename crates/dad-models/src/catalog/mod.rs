//! The catalogue of models: providers, addresses, protocols, prices and other facts, built in and from `models.yaml`.

mod data;
mod entry;
mod facts;
mod known;
mod provider;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dad_core::nearest;

pub use self::entry::ModelEntry;
pub use self::facts::{Capabilities, Effort, ModelFacts, Thinking};
pub use self::known::{KnownModel, ModelWarning};
use self::provider::with_path;
pub use self::provider::{Auth, Protocol, Provider};
use crate::address::{is_local, is_named_by, is_same_server};
use crate::credentials::key_variable;
use crate::error::ModelError;
use crate::price::Price;

/// The file in which a project names its models.
const FILE: &str = ".dhenara/models.yaml";

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
/// assert_eq!(catalog.price("coder")?.map(|price| price.rates.output), Some(2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModelCatalog {
    /// Those of the project come before those of the user: the nearer file decides.
    entries: Vec<ModelEntry>,
    /// The number of entries at the end that are the user's own.
    of_user: usize,
    /// Of a project's own file: which keys it may send where, by the user's word. The entries of an application are its
    /// own, and so is what they do.
    allowed_keys: Option<Vec<String>>,
}

/// A model that was found: its provider, its name there, and the facts that are known about it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) provider: Provider,
    pub(crate) model: String,
    /// The price among the facts.
    pub(crate) price: Option<Price>,
    /// The facts that the project states, and where it states none those that are built in.
    pub(crate) facts: Arc<ModelFacts>,
    /// Whether a key may be sent that is the user's and not the project's.
    pub(crate) takes_keys_of_user: bool,
}

impl ModelCatalog {
    /// A catalogue of given entries.
    #[must_use]
    pub fn new(entries: Vec<ModelEntry>) -> Self {
        Self {
            entries,
            of_user: 0,
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
        Ok(Self::new(read(&path, project_root)?).allow_keys([] as [String; 0]))
    }

    /// The same with the models of a file of the user, for names that the project has no entry for. What that file says of
    /// addresses is the user's word: it may send them the user's keys.
    ///
    /// # Errors
    /// If the file is no list of models.
    pub fn with_user_file(mut self, path: &Path) -> Result<Self, ModelError> {
        let entries = read(path, path.parent().unwrap_or(path))?;
        self.of_user = entries.len();
        self.entries.extend(entries);
        Ok(self)
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

    /// The entry of a name or alias.
    fn entry(&self, name: &str) -> Option<&ModelEntry> {
        let named =
            |entry: &&ModelEntry| entry.name == name || entry.aliases.iter().any(|alias| alias == name);
        self.entries.iter().find(named)
    }

    /// The model of a name.
    pub(crate) fn find(&self, name: &str) -> Result<Target, ModelError> {
        let entry = self.entry(name);
        let full = entry.map_or(name, |entry| &entry.name);
        let (before, after) = match full.split_once('/') {
            Some((before, after)) => (Some(before), after),
            None => (None, full),
        };
        let provider = entry.and_then(|entry| entry.provider.as_deref()).or(before);
        let Some(provider) = provider else {
            return Err(ModelError::UnknownModel {
                name: name.to_owned(),
                nearest: self.nearest(name).or_else(|| self.nearest_known(name)),
            });
        };
        let provider = self.provider(provider, entry, full)?;
        let model = entry.and_then(|entry| entry.model.as_deref()).unwrap_or(after);
        let facts = facts_about(&provider, model, entry);
        Ok(Target {
            takes_keys_of_user: self.takes_keys_of_user(&provider),
            provider,
            model: model.to_owned(),
            price: facts.price,
            facts: Arc::new(facts),
        })
    }

    fn takes_keys_of_user(&self, provider: &Provider) -> bool {
        let Some(allowed) = &self.allowed_keys else {
            return true;
        };
        // By certificates of the project, any server could pass for the provider's own.
        let is_own = provider.ca_file.is_none() && provider.is_at_own_address();
        let variable = key_variable(&provider.name);
        is_own
            || self.is_placed_by_user(provider)
            || allowed
                .iter()
                .any(|entry| *entry == variable || is_named_by(&provider.base_url, entry))
    }

    /// Whether an entry of the user says that a provider is asked at this address.
    fn is_placed_by_user(&self, provider: &Provider) -> bool {
        let of_user = &self.entries[self.entries.len() - self.of_user..];
        let mut places = of_user.iter().filter(|entry| {
            let name = entry
                .provider
                .as_deref()
                .or(entry.name.split_once('/').map(|(name, _)| name));
            name == Some(&provider.name) && entry.ca_file == provider.ca_file
        });
        places.any(|entry| {
            entry
                .base_url
                .as_deref()
                .is_some_and(|url| is_same_server(url, &provider.base_url))
        })
    }

    /// The most similar name that the project has for a model.
    fn nearest(&self, name: &str) -> Option<String> {
        let entries = self.entries.iter();
        let known = entries.flat_map(|entry| entry.aliases.iter().chain([&entry.name]));
        let known = known.filter(|known| *known != name);
        nearest(name, known.map(String::as_str)).map(str::to_owned)
    }

    /// The provider of an entry. The address comes with all that belongs to it: headers and parameters that are meant for one
    /// server are sent to no other.
    fn provider(&self, name: &str, own: Option<&ModelEntry>, model: &str) -> Result<Provider, ModelError> {
        let of_same_provider = |entry: &&ModelEntry| entry.provider.as_deref() == Some(name);
        let mut same = self.entries.iter().filter(of_same_provider);
        let placed = own.filter(|entry| entry.base_url.is_some());
        let placed = placed.or_else(|| same.clone().find(|entry| entry.base_url.is_some()));
        let spoken = own.and_then(|entry| entry.protocol);
        let spoken = spoken.or_else(|| same.find_map(|entry| entry.protocol));
        let built_in = provider::built_in(name);
        let base_url = placed
            .and_then(|entry| entry.base_url.as_deref())
            .or(built_in.map(|known| known.base_url))
            .ok_or_else(|| self.unknown_provider(name, model))?;
        let protocol = spoken
            .or(built_in.map(|known| known.protocol_at(base_url)))
            .unwrap_or(Protocol::OpenAi);
        let stated: Vec<&ModelEntry> = own.into_iter().chain(placed).collect();
        let texts = |field: fn(&ModelEntry) -> &BTreeMap<String, String>| {
            let mut texts = stated.iter().map(|entry| field(entry));
            texts.find(|texts| !texts.is_empty()).cloned().unwrap_or_default()
        };
        let headers = texts(|entry| &entry.headers);
        let query = texts(|entry| &entry.query);
        let auth = stated.iter().find_map(|entry| entry.auth.clone());
        let ca_file = stated.iter().find_map(|entry| entry.ca_file.clone());
        let auth = auth.unwrap_or_else(|| protocol.auth_at(base_url));
        Ok(Provider {
            name: name.to_owned(),
            base_url: with_path(base_url, protocol),
            protocol,
            wants_key: auth != Auth::None && !is_local(base_url),
            auth,
            headers,
            query,
            ca_file,
        })
    }

    fn unknown_provider(&self, name: &str, model: &str) -> ModelError {
        ModelError::UnknownProvider {
            model: model.to_owned(),
            provider: name.to_owned(),
            known: provider::names().collect::<Vec<_>>().join(", "),
            nearest: self.nearest(model).or_else(|| {
                let provider = nearest(name, provider::names())?;
                Some(format!("{provider}/{}", model.split_once('/')?.1))
            }),
        }
    }
}

/// Reads a file of entries, whose paths begin in a directory.
fn read(path: &Path, dir: &Path) -> Result<Vec<ModelEntry>, ModelError> {
    let entries: Vec<ModelEntry> = dad_definition::load_data_as(path)?.unwrap_or_default();
    match entries.iter().find_map(ModelEntry::problem) {
        Some(reason) => Err(ModelError::Unreadable {
            path: path.to_path_buf(),
            reason,
        }),
        None => Ok(entries.into_iter().map(|entry| entry.within(dir)).collect()),
    }
}

/// The facts that an entry states, and those that are built in. A price is that of the provider's own address.
fn facts_about(provider: &Provider, model: &str, entry: Option<&ModelEntry>) -> ModelFacts {
    let stated = entry.map(ModelEntry::facts).unwrap_or_default();
    let Some(known) = facts(&provider.name, model) else {
        return stated;
    };
    let mut facts = stated.clone().or(known);
    if !provider.is_at_own_address() {
        facts.price = stated.price;
        facts.retires = stated.retires;
        facts.successor = stated.successor;
    }
    facts
}

/// The facts that are built in about a model of a provider; `None` if there are none.
pub(crate) fn facts(provider: &str, model: &str) -> Option<&'static ModelFacts> {
    data::facts(provider::built_in(provider)?.models, model)
}
