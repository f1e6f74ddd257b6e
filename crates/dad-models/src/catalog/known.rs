//! Looking at the catalogue: the models that it knows, and the ones that are better not asked.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use dad_core::{Timestamp, nearest};
use jiff::civil::Date;
use jiff::tz::Offset;

use super::provider::{self, Provider};
use super::{ModelCatalog, ModelFacts, data};
use crate::credentials::key_variable;
use crate::error::ModelError;

/// A model that the catalogue knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KnownModel {
    /// The name by which definitions ask it.
    pub name: String,
    /// Its provider, with the address where it is asked.
    pub provider: Provider,
    /// The name the provider uses.
    pub model: String,
    /// Other names of it in the project.
    pub aliases: Vec<String>,
    /// Whether the project, or the program, has an entry for it.
    pub is_configured: bool,
    /// The facts that are known about it.
    pub facts: Arc<ModelFacts>,
}

impl KnownModel {
    /// The environment variable that the provider's key is read from where the credentials file has none.
    #[must_use]
    pub fn key_variable(&self) -> String {
        key_variable(&self.provider.name)
    }
}

/// A reason not to ask a model, which refuses nothing: a list may be out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelWarning {
    /// Its provider answers no more, or will not from today.
    Retired {
        /// The model.
        name: String,
        /// Since when.
        since: Date,
        /// The model that the provider recommends in its place.
        successor: Option<String>,
    },
    /// No model of its provider that was known when the facts were collected has this name.
    Unlisted {
        /// The model.
        name: String,
        /// The day on which the facts were collected.
        collected: Option<Date>,
        /// The most similar name of the provider's models.
        nearest: Option<String>,
    },
}

impl fmt::Display for ModelWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retired {
                name,
                since,
                successor,
            } => {
                write!(f, "the provider of `{name}` retired it on {since}")?;
                match successor {
                    Some(successor) => write!(f, " and recommends `{successor}`"),
                    None => Ok(()),
                }
            }
            Self::Unlisted {
                name,
                collected,
                nearest,
            } => {
                write!(f, "`{name}` is none of its provider's models")?;
                if let Some(date) = collected {
                    write!(f, " that were known on {date}")?;
                }
                match nearest {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl ModelCatalog {
    /// A model, with all that is known about it.
    ///
    /// # Errors
    /// If its provider is not known, or the name names none.
    pub fn describe(&self, name: &str) -> Result<KnownModel, ModelError> {
        let target = self.find(name)?;
        let entry = self.entry(name);
        Ok(KnownModel {
            name: entry.map_or(name, |entry| &entry.name).to_owned(),
            aliases: entry.map(|entry| entry.aliases.clone()).unwrap_or_default(),
            is_configured: entry.is_some(),
            provider: target.provider,
            model: target.model,
            facts: target.facts,
        })
    }

    /// The models of the project or the program, and those whose facts are built in, sorted by name; of one provider, if it is
    /// given.
    #[must_use]
    pub fn models(&self, provider: Option<&str>) -> Vec<KnownModel> {
        let mut names: BTreeSet<Cow<'_, str>> = self.configured().map(Cow::from).collect();
        match provider {
            Some(provider) => {
                let known = provider::built_in(provider).map_or("", |known| known.models);
                names.extend(data::models_of(known).map(|model| format!("{provider}/{model}").into()));
            }
            None => {
                for name in data::names() {
                    names.insert(name.into());
                }
            }
        }
        let described = names.into_iter().filter_map(|name| self.describe(&name).ok());
        described
            .filter(|model| provider.is_none_or(|provider| model.provider.name == provider))
            .collect()
    }

    /// The names of the providers that are known, and of those that the project or the program adds.
    #[must_use]
    pub fn providers(&self) -> BTreeSet<&str> {
        let own = self.entries.iter().filter_map(|entry| {
            let before = entry.name.split_once('/').map(|(provider, _)| provider);
            entry.provider.as_deref().or(before)
        });
        let mut all: BTreeSet<&str> = own.collect();
        for name in provider::names() {
            all.insert(name);
        }
        all
    }

    /// The names of the models that the project, its user or the program has entries for, in their order.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        let mut known = BTreeSet::new();
        let names = self.entries.iter().map(|entry| entry.name.as_str());
        names.filter(move |name| known.insert(*name))
    }

    /// Whether anything but its provider is known about a model.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        let target = self.find(name);
        self.entry(name).is_some()
            || target.is_ok_and(|target| super::facts(&target.provider.name, &target.model).is_some())
    }

    /// The most similar name of a known model.
    #[must_use]
    pub fn nearest_known(&self, name: &str) -> Option<String> {
        let of_provider = name.split_once('/').and_then(|(provider, _)| {
            let models = provider::built_in(provider)?.models;
            Some(data::models_of(models).map(move |model| format!("{provider}/{model}")))
        });
        let of_provider: Vec<String> = of_provider.into_iter().flatten().collect();
        let entries = self.entries.iter();
        let own = entries.flat_map(|entry| entry.aliases.iter().chain([&entry.name]));
        let others = own
            .chain(&of_provider)
            .map(String::as_str)
            .filter(|other| *other != name);
        if let Some(found) = nearest(name, others) {
            return Some(found.to_owned());
        }
        // Under no provider, or under another one.
        let models: Vec<(&str, &str)> = data::names()
            .filter_map(|name| Some((name.split_once('/')?.1, name)))
            .collect();
        let wanted = name.split_once('/').map_or(name, |(_, model)| model);
        let found = nearest(wanted, models.iter().map(|(model, _)| *model))?;
        let mut same = models.iter().filter(|(model, _)| *model == found);
        let is_own = |(_, name): &&(&str, &str)| {
            let provider = name
                .split_once('/')
                .and_then(|(provider, _)| provider::built_in(provider));
            provider.is_some_and(|known| known.is_complete)
        };
        let (_, name) = same.clone().find(is_own).or_else(|| same.next())?;
        Some((*name).to_owned())
    }

    /// The warning about a model that is asked at its provider's own address, if it has retired, or is none that the provider is
    /// known to have.
    #[must_use]
    pub fn warning(&self, name: &str, now: Timestamp) -> Option<ModelWarning> {
        let today = Offset::UTC.to_datetime(now).date();
        let target = self.find(name).ok()?;
        let name = self.without_alias(name).to_owned();
        if let Some(since) = target.facts.retires.filter(|since| *since <= today) {
            let successor = target.facts.successor.as_deref();
            let successor = successor.map(|successor| named_by(&target.provider.name, successor));
            return Some(ModelWarning::Retired {
                name,
                since,
                successor,
            });
        }
        let own = provider::built_in(&target.provider.name)?;
        let is_listed = super::facts(own.name, &target.model).is_some()
            || data::is_tuned(&target.model)
            // The project knows more about it than its name.
            || self.entry(&name).is_some_and(|entry| entry.facts() != ModelFacts::default());
        if is_listed || !own.is_complete || !own.is_at(&target.provider.base_url) {
            return None;
        }
        let nearest = nearest(&target.model, data::models_of(own.models));
        Some(ModelWarning::Unlisted {
            name,
            collected: data::date(),
            nearest: nearest.map(|model| format!("{}/{model}", own.name)),
        })
    }
}

/// A model of the data by the name that the user has for its provider.
fn named_by(provider: &str, model: &str) -> String {
    match (provider::built_in(provider), model.split_once('/')) {
        (Some(known), Some((first, model))) if first == known.models => format!("{provider}/{model}"),
        _ => model.to_owned(),
    }
}
