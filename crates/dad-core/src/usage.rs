//! Usage: tokens, calls and money.

use std::ops::{AddAssign, SubAssign};

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::size::count;

/// The consumption of a step, component or run.
///
/// `cost` is what the provider charges, in US dollars; `None` where a price is unknown. Once a part with an unknown
/// price is added, the sum stays a lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct Usage {
    /// Model calls made.
    #[serde(default)]
    pub calls: u64,
    /// Tokens sent.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens received.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Tokens sent and received, as the provider counts them.
    #[serde(default)]
    pub total_tokens: u64,
    /// Of the tokens sent, those that the provider read from its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Of the tokens sent, those that the provider wrote into its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Of the tokens received, those of reasoning, where the provider counts them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cost: Option<f64>,
    /// Model calls that were answered from recorded exchanges: they cost nothing and count nowhere else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replayed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Whether nothing was consumed.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The tokens in words, with those that were cheap or unseen: `1200 tokens (800 cached, 90 reasoning)`.
    #[must_use]
    pub fn tokens_in_words(&self) -> String {
        let parts = [
            (self.cached_tokens, "cached"),
            (self.reasoning_tokens, "reasoning"),
        ];
        let parts = parts.into_iter().filter(|(tokens, _)| *tokens > 0);
        let parts: Vec<String> = parts.map(|(tokens, kind)| format!("{tokens} {kind}")).collect();
        let total = count(self.total_tokens, "token");
        if parts.is_empty() {
            total
        } else {
            format!("{total} ({})", parts.join(", "))
        }
    }
}

impl SubAssign for Usage {
    /// Subtracts a part; no figure falls below nothing.
    fn sub_assign(&mut self, part: Self) {
        self.calls = self.calls.saturating_sub(part.calls);
        self.prompt_tokens = self.prompt_tokens.saturating_sub(part.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_sub(part.completion_tokens);
        self.total_tokens = self.total_tokens.saturating_sub(part.total_tokens);
        self.cached_tokens = self.cached_tokens.saturating_sub(part.cached_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_sub(part.cache_write_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_sub(part.reasoning_tokens);
        self.replayed = self.replayed.saturating_sub(part.replayed);
        if let (Some(cost), Some(part)) = (&mut self.cost, part.cost) {
            *cost = (*cost - part).max(0.0);
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.replayed = self.replayed.saturating_add(other.replayed);
        if let Some(cost) = other.cost {
            *self.cost.get_or_insert(0.0) += cost;
        }
    }
}

/// An amount in US dollars, in words: four decimals, and more where an amount below a cent needs them for its first two digits.
///
/// ```
/// assert_eq!(dad_core::format_dollars(12.5), "$12.5000");
/// assert_eq!(dad_core::format_dollars(0.000081), "$0.000081");
/// ```
#[must_use]
pub fn format_dollars(dollars: f64) -> String {
    /// The decimals that every amount has.
    const DECIMALS: usize = 4;
    /// The decimals of the smallest amount with a figure; a token of the cheapest models costs a hundred-millionth of a dollar.
    const MOST: usize = 12;
    let is_small = dollars > 0.0 && dollars < 0.01;
    if !is_small {
        return format!("${dollars:.DECIMALS$}");
    }
    let shown = (DECIMALS..=MOST).find_map(|decimals| {
        let text = format!("${dollars:.decimals$}");
        let digits = text.trim_start_matches(['$', '0', '.']).len();
        (digits >= 2).then_some(text)
    });
    let Some(shown) = shown else {
        return format!("less than $0.{:0MOST$}", 1);
    };
    let cut = shown.trim_end_matches('0').len().max("$0.0000".len());
    shown.get(..cut).unwrap_or(&shown).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_amounts_keep_their_digits() {
        let amounts = [
            (0.0, "$0.0000"),
            (0.01, "$0.0100"),
            (0.0099, "$0.0099"),
            (0.001_234, "$0.0012"),
            (0.000_5, "$0.0005"),
            (0.000_123_4, "$0.00012"),
            (8.1e-5, "$0.000081"),
            (8e-5, "$0.00008"),
            (9.96e-7, "$0.000001"),
            (2.5e-10, "$0.00000000025"),
            (1e-15, "less than $0.000000000001"),
            (1_234.567_89, "$1234.5679"),
        ];
        for (dollars, shown) in amounts {
            assert_eq!(format_dollars(dollars), shown);
        }
    }

    #[test]
    fn cached_and_reasoning_tokens_are_named() {
        let mut usage = Usage {
            total_tokens: 1200,
            ..Usage::default()
        };
        assert_eq!(usage.tokens_in_words(), "1200 tokens");
        usage.reasoning_tokens = 90;
        assert_eq!(usage.tokens_in_words(), "1200 tokens (90 reasoning)");
        usage.cached_tokens = 800;
        assert_eq!(usage.tokens_in_words(), "1200 tokens (800 cached, 90 reasoning)");
    }
}
