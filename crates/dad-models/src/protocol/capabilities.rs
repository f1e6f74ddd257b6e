//! The abilities of a model that decide the form of a request.

use super::asked::Asked;
use crate::catalog;

/// The way in which a model is asked to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not known: the request is made as the settings say, and the provider judges it.
    Unknown,
    /// The model does not reason.
    Never,
    /// By a number of tokens.
    Budget,
    /// By an effort; the model decides how much.
    Adaptive,
    /// As before, and it cannot be switched off.
    Always,
    /// By an effort, and nothing else.
    Effort,
}

/// A model's abilities, as far as they are known. What is not known restricts nothing.
#[derive(Clone, Debug)]
pub(super) struct Capabilities {
    pub(super) thinking: Thinking,
    /// The efforts that it knows; empty if that is not known.
    pub(super) efforts: Vec<String>,
    /// Whether it takes temperature, `top_p` and `top_k`.
    pub(super) sampling: bool,
    /// Whether it can be made to call a tool.
    pub(super) forced_tools: bool,
    /// Whether its provider enforces a schema of the answer.
    pub(super) structured_output: bool,
    /// Whether OpenAI's protocols take marks of the cache for it. Where that is not known none are sent: other models refuse them.
    pub(super) cache_breakpoints: bool,
    pub(super) max_output: Option<u64>,
}

impl Asked<'_> {
    pub(super) fn capabilities(&self) -> Capabilities {
        let facts = &self.target.facts;
        let known = &facts.capabilities;
        let efforts = known.efforts.iter().flatten();
        Capabilities {
            thinking: match known.thinking {
                None => Thinking::Unknown,
                Some(catalog::Thinking::None) => Thinking::Never,
                Some(catalog::Thinking::Budget) => Thinking::Budget,
                Some(catalog::Thinking::Adaptive) => Thinking::Adaptive,
                Some(catalog::Thinking::AlwaysAdaptive) => Thinking::Always,
                Some(catalog::Thinking::Effort) => Thinking::Effort,
            },
            efforts: efforts.map(|effort| effort.as_str().to_owned()).collect(),
            sampling: known.sampling.unwrap_or(true),
            forced_tools: known.forced_tools.unwrap_or(true),
            structured_output: known.structured_output.unwrap_or(true),
            cache_breakpoints: known.cache_breakpoints.unwrap_or(false),
            max_output: facts.max_output.map(u64::from),
        }
    }
}
