//! Prices of models, and the cost of a call.

use dad_core::Usage;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

/// Prices in US dollars for a million tokens.
///
/// A kind of token that has no price of its own costs what the tokens around it cost: cached input as input, reasoning as output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rates {
    /// Tokens sent.
    pub input: f64,
    /// Tokens received.
    pub output: f64,
    /// Tokens sent that the provider read from its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cached_input: Option<f64>,
    /// Tokens sent that the provider wrote into its cache for its shortest time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cache_write: Option<f64>,
    /// Tokens sent that the provider wrote into its cache for a longer time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cache_write_long: Option<f64>,
    /// Tokens of reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub reasoning: Option<f64>,
    /// Tokens of audio sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub audio_input: Option<f64>,
    /// Tokens of audio received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub audio_output: Option<f64>,
    /// Tokens of images received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub image_output: Option<f64>,
}

/// Prices of the service tiers that cost more or less than the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tiers {
    /// Answered before others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub priority: Option<Rates>,
    /// Answered when there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub flex: Option<Rates>,
    /// Answered within hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub batch: Option<Rates>,
}

/// Prices of calls that send more than some number of tokens. They hold for all tokens of such a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LongContext {
    /// The largest number of tokens sent that the usual prices hold for.
    pub above: u64,
    /// The prices above it.
    pub rates: Rates,
    /// The prices of service tiers above it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tiers: Tiers,
}

/// The price of a model, in US dollars for a million tokens.
///
/// ```
/// use dad_core::Usage;
/// use dad_models::Price;
///
/// let price = Price::new(5.0, 25.0);
/// let usage = Usage::default().prompt_tokens(200_000).completion_tokens(10_000);
/// assert_eq!(price.cost(&usage), 1.25);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "PriceFields", into = "PriceFields")]
#[non_exhaustive]
pub struct Price {
    /// The usual prices.
    pub rates: Rates,
    /// The prices of service tiers.
    pub tiers: Tiers,
    /// The prices of long calls.
    pub long_context: Option<LongContext>,
}

/// A price as files have it: the usual prices stand beside the others.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFields {
    input: f64,
    output: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cached_input: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write_long: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_input: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_output: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_output: Option<f64>,
    #[serde(default, skip_serializing_if = "is_default")]
    tiers: Tiers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    long_context: Option<LongContext>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<PriceFields> for Price {
    fn from(fields: PriceFields) -> Self {
        Self {
            rates: Rates {
                input: fields.input,
                output: fields.output,
                cached_input: fields.cached_input,
                cache_write: fields.cache_write,
                cache_write_long: fields.cache_write_long,
                reasoning: fields.reasoning,
                audio_input: fields.audio_input,
                audio_output: fields.audio_output,
                image_output: fields.image_output,
            },
            tiers: fields.tiers,
            long_context: fields.long_context,
        }
    }
}

impl From<Price> for PriceFields {
    fn from(price: Price) -> Self {
        let Price {
            rates,
            tiers,
            long_context,
        } = price;
        Self {
            input: rates.input,
            output: rates.output,
            cached_input: rates.cached_input,
            cache_write: rates.cache_write,
            cache_write_long: rates.cache_write_long,
            reasoning: rates.reasoning,
            audio_input: rates.audio_input,
            audio_output: rates.audio_output,
            image_output: rates.image_output,
            tiers,
            long_context,
        }
    }
}

impl Price {
    /// The price of tokens sent and received, and no others.
    #[must_use]
    pub fn new(input: f64, output: f64) -> Self {
        Self {
            rates: Rates {
                input,
                output,
                ..Rates::default()
            },
            ..Self::default()
        }
    }

    /// The cost of a call of the usual service tier, in US dollars.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> f64 {
        let tokens = Tokens {
            input: usage.prompt_tokens,
            cached: usage.cached_tokens,
            cache_write: usage.cache_write_tokens,
            output: usage.completion_tokens,
            reasoning: usage.reasoning_tokens,
            ..Tokens::default()
        };
        self.cost_of(&tokens, None)
    }

    /// The cost of a call, in US dollars, by the service tier that the provider reports. A tier without prices of its own costs
    /// as the usual one.
    pub(crate) fn cost_of(&self, tokens: &Tokens, tier: Option<&str>) -> f64 {
        let long = self.long_context.filter(|long| tokens.input > long.above);
        let (usual, tiers) = long.map_or((self.rates, self.tiers), |long| (long.rates, long.tiers));
        let of_tier = match tier {
            Some("priority") => tiers.priority,
            Some("flex") => tiers.flex,
            Some("batch") => tiers.batch,
            _ => None,
        };
        of_tier.unwrap_or(usual).cost_of(tokens) / 1e6
    }

    /// The highest prices that may hold for a call that sends at most so many tokens, each kind of token by itself. Only the
    /// provider knows which service tier it serves: a call that names none, or `auto`, may be served as one that has priority.
    ///
    /// ```
    /// use dad_models::{Price, Rates};
    ///
    /// let mut price = Price::new(5.0, 25.0);
    /// price.tiers.priority = Some(Rates::default().input(10.0).output(50.0));
    /// assert_eq!(price.highest(1000, None).output, 50.0);
    /// assert_eq!(price.highest(1000, Some("default")).output, 25.0);
    /// ```
    #[must_use]
    pub fn highest(&self, tokens: u64, tier: Option<&str>) -> Rates {
        const WITHOUT_PRIORITY: [&str; 5] = ["default", "standard", "standard_only", "flex", "batch"];
        let has_priority = !tier.is_some_and(|tier| WITHOUT_PRIORITY.contains(&tier));
        let long = self.long_context.filter(|long| tokens > long.above);
        let long = long.map(|long| (long.rates, long.tiers));
        [(self.rates, self.tiers)]
            .into_iter()
            .chain(long)
            .flat_map(|(usual, tiers)| {
                let priority = tiers.priority.filter(|_| has_priority);
                [Some(usual), priority, tiers.flex, tiers.batch]
            })
            .flatten()
            .fold(Rates::default(), Rates::higher)
    }

    /// The first price that is none: a negative one would give back money that was spent.
    pub(crate) fn wrong(&self) -> Option<(&'static str, f64)> {
        let long = self.long_context.unwrap_or_default();
        let tiers = [self.tiers, long.tiers];
        let tiers = tiers
            .iter()
            .flat_map(|tiers| [tiers.priority, tiers.flex, tiers.batch]);
        let all = [self.rates, long.rates].into_iter().chain(tiers.flatten());
        all.flat_map(Rates::fields)
            .find(|(_, price)| !price.is_finite() || *price < 0.0)
    }
}

impl Rates {
    /// The higher price of each kind of token. One that has no price of its own in one of both costs there as those around it.
    fn higher(self, other: Self) -> Self {
        let higher = |of: fn(&Self) -> f64| of(&self).max(of(&other));
        let kind = |of: fn(&Self) -> f64| Some(higher(of));
        Self {
            input: higher(|rates| rates.input),
            output: higher(|rates| rates.output),
            cached_input: kind(|rates| rates.cached_input.unwrap_or(rates.input)),
            cache_write: kind(Self::write),
            cache_write_long: kind(|rates| rates.cache_write_long.unwrap_or(rates.write())),
            reasoning: kind(|rates| rates.reasoning.unwrap_or(rates.output)),
            audio_input: kind(|rates| rates.audio_input.unwrap_or(rates.input)),
            audio_output: kind(|rates| rates.audio_output.unwrap_or(rates.output)),
            image_output: kind(|rates| rates.image_output.unwrap_or(rates.output)),
        }
    }

    fn write(&self) -> f64 {
        self.cache_write.unwrap_or(self.input)
    }

    fn fields(self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_long", self.cache_write_long),
            ("reasoning", self.reasoning),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
            ("image_output", self.image_output),
        ]
        .into_iter()
        .filter_map(|(name, price)| Some((name, price?)))
    }

    /// A million times the cost. Of tokens that are counted twice, such as cached audio, no more are paid than there are.
    fn cost_of(&self, tokens: &Tokens) -> f64 {
        let write = self.write();
        let input = [
            (tokens.cached, self.cached_input.unwrap_or(self.input)),
            (tokens.cache_write, write),
            (tokens.cache_write_long, self.cache_write_long.unwrap_or(write)),
            (tokens.audio_input, self.audio_input.unwrap_or(self.input)),
        ];
        let output = [
            (tokens.audio_output, self.audio_output.unwrap_or(self.output)),
            (tokens.image_output, self.image_output.unwrap_or(self.output)),
            (tokens.reasoning, self.reasoning.unwrap_or(self.output)),
        ];
        parts_cost(tokens.input, self.input, &input) + parts_cost(tokens.output, self.output, &output)
    }
}

/// The cost of tokens some of which have prices of their own.
fn parts_cost(all: u64, usual: f64, parts: &[(u64, f64)]) -> f64 {
    let mut left = all;
    let mut cost = 0.0;
    for (tokens, price) in parts {
        let tokens = left.min(*tokens);
        left -= tokens;
        cost += tokens as f64 * price;
    }
    cost + left as f64 * usual
}

/// The tokens of a call by kind, as a provider reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// All tokens sent, with those from the cache and those written into it.
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_long: u64,
    pub(crate) audio_input: u64,
    /// All tokens received, with those of reasoning.
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    pub(crate) audio_output: u64,
    pub(crate) image_output: u64,
    /// The sum as the provider has it.
    pub(crate) total: u64,
}

impl Tokens {
    /// The usage of a call with these tokens.
    pub(crate) fn usage(&self, price: Option<&Price>, tier: Option<&str>) -> Usage {
        Usage::default()
            .calls(1)
            .prompt_tokens(self.input)
            .completion_tokens(self.output)
            .total_tokens(self.total.max(self.input.saturating_add(self.output)))
            .cached_tokens(self.cached)
            .cache_write_tokens(self.cache_write.saturating_add(self.cache_write_long))
            .reasoning_tokens(self.reasoning)
            .cost(price.map(|price| price.cost_of(self, tier)))
    }
}
