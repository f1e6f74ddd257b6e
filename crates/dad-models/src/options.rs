//! The options of a call that models have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Options of a call by the names that definitions use. Each protocol has its own name for them; an option that a protocol or a
/// model does not have is an error, and never dropped.
///
/// ```
/// use dad_models::CallOptions;
/// use serde_json::json;
///
/// let written = json!({ "temperature": 0.2, "stop": ["END"] });
/// let options = CallOptions::read(written.as_object().unwrap())?;
/// assert_eq!(options.temperature, Some(0.2));
/// let error = CallOptions::read(json!({ "temprature": 0.2 }).as_object().unwrap()).unwrap_err();
/// assert!(error.contains("did you mean `temperature`?"), "{error}");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CallOptions {
    /// The randomness of the answer, 0 to 2 (Anthropic: 0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of probability that tokens are drawn from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The number of most probable tokens that tokens are drawn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// The seed of the randomness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
    pub stop: Option<Vec<String>>,
    /// The preference for new subjects, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// The avoidance of repetition, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// The length of the answer: `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
    /// Whether the model may call several tools in one turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The service tier by the provider's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The summary of its reasoning that the model gives: `auto`, `concise` or `detailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_summary: Option<String>,
    /// Whether the provider keeps the exchange; false by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Whether the provider enforces schemas: `auto` (where the schema allows it), `true` or `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<Strictness>,
    /// Further fields of the request's body, by the provider's own names. They win over all others.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_body: Map<String, Value>,
    /// Further headers of the request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_headers: BTreeMap<String, String>,
}

use crate::schema::Strictness;

impl CallOptions {
    /// Reads options as they are written.
    ///
    /// # Errors
    /// The option that is not known, with the nearest name, or whose value does not fit.
    pub fn read(written: &Map<String, Value>) -> Result<Self, String> {
        let known = Self::names();
        if let Some(name) = written.keys().find(|name| !known.contains(&name.as_str())) {
            let near = dad_core::nearest(name, known.iter().copied());
            let near = near.map(|near| format!(", did you mean `{near}`?"));
            let note = near.unwrap_or_else(|| {
                "; what only this provider knows goes into `extra_body`, by its own name".to_owned()
            });
            return Err(format!("the option `{name}` is not known{note}"));
        }
        let options: Self =
            serde_path_to_error::deserialize(Value::Object(written.clone())).map_err(|error| {
                let place = error.path().to_string();
                let name = place.split(['.', '[']).next().unwrap_or_default();
                let value = written.get(name).unwrap_or(&Value::Null);
                let reason = dad_core::internal::in_words(error.inner());
                format!("the option `{name}` cannot be {value}: {reason}")
            })?;
        match options.out_of_range() {
            Some(problem) => Err(problem),
            None => Ok(options),
        }
    }

    /// The problem of a number that no provider takes.
    fn out_of_range(&self) -> Option<String> {
        let ranges = [
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
        ];
        ranges.into_iter().find_map(|(name, value, least, most)| {
            let value = value.filter(|value| !(least..=most).contains(value))?;
            Some(format!(
                "the option `{name}` cannot be {value}: it lies between {least} and {most}"
            ))
        })
    }

    /// The names of all options.
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        &[
            "temperature",
            "top_p",
            "top_k",
            "seed",
            "stop",
            "presence_penalty",
            "frequency_penalty",
            "verbosity",
            "parallel_tool_calls",
            "service_tier",
            "reasoning_summary",
            "store",
            "strict",
            "extra_body",
            "extra_headers",
        ]
    }

    /// The first of some options that is set.
    pub(crate) fn first_set(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| match *name {
            "top_k" => self.top_k.is_some(),
            "seed" => self.seed.is_some(),
            "stop" => self.stop.is_some(),
            "temperature" => self.temperature.is_some(),
            "top_p" => self.top_p.is_some(),
            "presence_penalty" => self.presence_penalty.is_some(),
            "frequency_penalty" => self.frequency_penalty.is_some(),
            "verbosity" => self.verbosity.is_some(),
            "parallel_tool_calls" => self.parallel_tool_calls.is_some(),
            "service_tier" => self.service_tier.is_some(),
            "reasoning_summary" => self.reasoning_summary.is_some(),
            "store" => self.store.is_some(),
            "strict" => self.strict.is_some(),
            _ => false,
        })
    }
}

/// A text, or a list of texts.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Texts>::deserialize(deserializer)? {
        Some(Texts::One(text)) => Some(vec![text]),
        Some(Texts::Many(texts)) => Some(texts),
        None => None,
    })
}
