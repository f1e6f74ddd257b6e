//! An entry of `models.yaml`, which is also the form of the facts that are built in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use derive_setters::Setters;
use jiff::civil::Date;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

use super::facts::{Capabilities, ModelFacts};
use super::provider::{Auth, Protocol};
use crate::header::check_header;
use crate::price::Price;

/// Headers in which providers take keys.
const HEADERS_OF_KEYS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "x-api-key",
    "x-goog-api-key",
];

/// A model of a project.
///
/// ```
/// use dad_models::{ModelCatalog, ModelEntry, Price};
///
/// let catalog = ModelCatalog::new(vec![
///     ModelEntry::new("openai/gpt-5.5").price(Price::new(4.0, 20.0)), // as agreed with the provider
/// ]);
/// assert_eq!(catalog.price("openai/gpt-5.5")?.map(|price| price.rates.output), Some(20.0));
/// # Ok::<(), dad_models::ModelError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelEntry {
    /// The name definitions use.
    #[setters(into)]
    pub name: String,
    /// The provider's name; the part of `name` before the slash by default.
    #[serde(default)]
    #[setters(into)]
    pub provider: Option<String>,
    /// The name the provider uses; the part of `name` after the slash by default.
    #[serde(default)]
    #[setters(into)]
    pub model: Option<String>,
    /// The address of the provider.
    #[serde(default)]
    #[setters(into)]
    pub base_url: Option<String>,
    /// The protocol; for unknown providers that of OpenAI's chat completions by default.
    #[serde(default)]
    #[setters(into)]
    pub protocol: Option<Protocol>,
    /// Headers of every request to the address, beside those of the protocol. A key is none of them.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parameters of every address that is asked, such as `api-version`.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// The place of the key in a request; by default that of the protocol.
    #[serde(default)]
    #[setters(into)]
    pub auth: Option<Auth>,
    /// A file of certificates, in PEM, that the server's own may be signed with, beside those that the system trusts. Relative
    /// to the project.
    #[serde(default)]
    #[setters(into)]
    pub ca_file: Option<PathBuf>,
    /// The price.
    #[serde(default)]
    #[setters(into)]
    pub price: Option<Price>,
    /// The largest number of tokens that a call may send.
    #[serde(default)]
    #[setters(into)]
    pub window: Option<u64>,
    /// The longest answer, in tokens.
    #[serde(default)]
    #[setters(into)]
    pub max_output_tokens: Option<u32>,
    /// The model's abilities.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The day from which the provider answers no more.
    #[serde(default, deserialize_with = "day")]
    #[setters(into)]
    pub retires: Option<Date>,
    /// The model that is recommended in its place.
    #[serde(default)]
    #[setters(into)]
    pub successor: Option<String>,
    /// Other names of the model.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl ModelEntry {
    /// A model by the name that definitions use, about which nothing else is said.
    pub fn new(name: impl Into<String>) -> Self {
        Self::default().name(name)
    }

    /// The facts that it states.
    pub(super) fn facts(&self) -> ModelFacts {
        ModelFacts {
            window: self.window,
            max_output: self.max_output_tokens,
            price: self.price,
            capabilities: self.capabilities.clone(),
            retires: self.retires,
            successor: self.successor.clone(),
        }
    }

    /// The same entry, whose paths begin in a directory.
    pub(super) fn within(mut self, dir: &Path) -> Self {
        self.ca_file = self.ca_file.map(|file| dir.join(file));
        self
    }

    /// The first value that cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        let problem = self
            .wrong_price()
            .or_else(|| self.wrong_address())
            .or_else(|| self.wrong_header())?;
        Some(format!("`{}`: {problem}", self.name))
    }

    fn wrong_address(&self) -> Option<String> {
        let address = self.base_url.as_deref()?;
        let (at, part) = [('?', "parameters"), ('#', "a fragment")]
            .into_iter()
            .find(|(mark, _)| address.contains(*mark))?;
        let remedy = if at == '?' { ": they stand in `query`" } else { "" };
        Some(format!(
            "the address `{address}` has {part} behind its path{remedy}"
        ))
    }

    /// The problem with its price: a negative one would give back money that was spent.
    fn wrong_price(&self) -> Option<String> {
        let (field, price) = self.price?.wrong()?;
        Some(format!(
            "the price has `{field}: {price}`; it must be a number of US dollars, 0 or more"
        ))
    }

    fn wrong_header(&self) -> Option<String> {
        let of_auth = match &self.auth {
            Some(Auth::Header(name)) => check_header(name, "").err().map(|reason| (name, reason)),
            _ => None,
        };
        let mut wrong = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name, wrong_header(name, value)?)));
        let (name, reason) = of_auth.or_else(|| wrong.next())?;
        Some(format!("the header `{name}` cannot be sent: {reason}"))
    }
}

/// Reads a day; the error says how one is written.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let day = text.map(|text| {
        text.parse()
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a day such as 2027-06-30"))
    });
    day.transpose()
}

fn wrong_header(name: &str, value: &str) -> Option<String> {
    if HEADERS_OF_KEYS.contains(&name.to_ascii_lowercase().as_str()) {
        return Some(
            "it holds a key, and keys stand in `.dhenara/.secrets/.credentials.yaml` or in the environment; \
             `auth: { header: NAME }` says in which header the key is sent"
                .to_owned(),
        );
    }
    if value.contains("$secret{") {
        return Some(
            "its text is sent as it is, and `$secret{…}` is not put in here; write the key of the provider into \
             `.dhenara/.secrets/.credentials.yaml`"
                .to_owned(),
        );
    }
    check_header(name, value).err()
}
