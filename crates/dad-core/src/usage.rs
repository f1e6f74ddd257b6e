//! Usage: tokens, calls and money.

use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

/// The consumption of a step, component or run.
///
/// `cost` is what the provider charges, in US dollars; `None` where a price is unknown. Once a part with an unknown
/// price is added, the sum stays a lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
        self.calls += other.calls;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.replayed += other.replayed;
        if let Some(cost) = other.cost {
            *self.cost.get_or_insert(0.0) += cost;
        }
    }
}
