//! Facts about a model: its limits, price and capabilities.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::price::Price;

/// The facts that are known about a model. A fact that is absent is not known, and restricts nothing.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelFacts {
    /// The largest number of tokens that a call may send.
    pub window: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output: Option<u32>,
    /// The price at the address where the model is asked.
    pub price: Option<Price>,
    /// The model's abilities.
    pub capabilities: Capabilities,
    /// The day from which its provider answers no more.
    pub retires: Option<Date>,
    /// The model that its provider recommends in its place, with the provider's name.
    pub successor: Option<String>,
}

/// The abilities of a model, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Capabilities {
    /// The way in which the model is asked to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// The efforts that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efforts: Option<Vec<Effort>>,
    /// Whether it takes `temperature`, `top_p` and `top_k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<bool>,
    /// Whether it can be made to call a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_tools: Option<bool>,
    /// Whether the provider holds its answers to a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<bool>,
    /// Whether it calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it calls several tools in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tools: Option<bool>,
    /// Whether it sees images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it reads PDF files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdf: Option<bool>,
    /// Whether it hears audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<bool>,
    /// Whether the provider can keep the beginning of a conversation for the next call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_caching: Option<bool>,
    /// Whether OpenAI's protocols take marks of what is kept for it; other models refuse them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_breakpoints: Option<bool>,
    /// Whether it answers under OpenAI's responses only, and not under chat completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses_only: Option<bool>,
}

/// The way in which a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Thinking {
    /// Not at all.
    None,
    /// By the number of tokens that it may think.
    Budget,
    /// It decides by itself how long it thinks, if it is asked to think.
    Adaptive,
    /// As [`Adaptive`](Self::Adaptive), and it cannot be kept from thinking.
    AlwaysAdaptive,
    /// By a word of effort.
    Effort,
}

/// A word for the effort of thinking, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effort {
    /// No thinking.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The middle.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// As much as possible.
    Max,
}

impl Effort {
    /// The word that providers take.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl Thinking {
    /// The word that `models.yaml` has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Budget => "budget",
            Self::Adaptive => "adaptive",
            Self::AlwaysAdaptive => "always_adaptive",
            Self::Effort => "effort",
        }
    }
}

impl Capabilities {
    /// The abilities that are known to be there or known to be missing, by the words of `models.yaml`.
    #[must_use]
    pub const fn flags(&self) -> [(&'static str, Option<bool>); 11] {
        [
            ("tools", self.tools),
            ("forced_tools", self.forced_tools),
            ("parallel_tools", self.parallel_tools),
            ("structured_output", self.structured_output),
            ("vision", self.vision),
            ("pdf", self.pdf),
            ("audio_input", self.audio_input),
            ("prompt_caching", self.prompt_caching),
            ("cache_breakpoints", self.cache_breakpoints),
            ("sampling", self.sampling),
            ("responses_only", self.responses_only),
        ]
    }

    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            thinking: self.thinking.or(others.thinking),
            efforts: self.efforts.or_else(|| others.efforts.clone()),
            sampling: self.sampling.or(others.sampling),
            forced_tools: self.forced_tools.or(others.forced_tools),
            structured_output: self.structured_output.or(others.structured_output),
            tools: self.tools.or(others.tools),
            parallel_tools: self.parallel_tools.or(others.parallel_tools),
            vision: self.vision.or(others.vision),
            pdf: self.pdf.or(others.pdf),
            audio_input: self.audio_input.or(others.audio_input),
            prompt_caching: self.prompt_caching.or(others.prompt_caching),
            cache_breakpoints: self.cache_breakpoints.or(others.cache_breakpoints),
            responses_only: self.responses_only.or(others.responses_only),
        }
    }
}

impl ModelFacts {
    /// These, and where they say nothing the others.
    pub(super) fn or(self, others: &Self) -> Self {
        Self {
            window: self.window.or(others.window),
            max_output: self.max_output.or(others.max_output),
            price: self.price.or(others.price),
            capabilities: self.capabilities.or(&others.capabilities),
            retires: self.retires.or(others.retires),
            successor: self.successor.or_else(|| others.successor.clone()),
        }
    }
}
