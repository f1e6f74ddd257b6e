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
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Model calls that were answered from recorded exchanges: they cost nothing and count nowhere else.
    #[serde(default, skip_serializing_if = "is_none_replayed")]
    pub replayed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_replayed(replayed: &u64) -> bool {
    *replayed == 0
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
        self.replayed += other.replayed;
        if let Some(cost) = other.cost {
            *self.cost.get_or_insert(0.0) += cost;
        }
    }
}
