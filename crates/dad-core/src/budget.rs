//! Budgets: upper bounds for cost, tokens, calls and time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::duration::{format_duration, parse_duration};

/// Upper bounds for the consumption of a run or node.
///
/// ```
/// use dad_core::Budget;
///
/// let budget: Budget = "cost=2.00,tokens=200k,wall_time=30m".parse().unwrap();
/// assert_eq!(budget.tokens, Some(200_000));
/// assert_eq!(budget.to_string(), "cost $2, 200000 tokens, 30m 00s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Budget {
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cost: Option<f64>,
    /// Tokens sent and received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub tokens: Option<u64>,
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub calls: Option<u64>,
    /// The time for which it is driven, in seconds where it is written as a number.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    #[setters(into)]
    pub wall_time: Option<Duration>,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) if time.subsec_nanos() == 0 => serializer.serialize_u64(time.as_secs()),
            Some(time) => serializer.serialize_f64(time.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        let duration = seconds.map(Duration::try_from_secs_f64).transpose();
        duration.map_err(serde::de::Error::custom)
    }
}

/// A text that is no budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is not a part of a budget: {reason}; write `cost=2.00,tokens=200k,calls=40,wall_time=30m`")]
pub struct ParseBudgetError {
    part: String,
    reason: String,
}

impl FromStr for Budget {
    type Err = ParseBudgetError;

    fn from_str(text: &str) -> Result<Self, ParseBudgetError> {
        let mut budget = Self::default();
        for part in text.split(',').map(str::trim) {
            let wrong = |reason: &str| ParseBudgetError {
                part: part.to_owned(),
                reason: reason.to_owned(),
            };
            let (name, value) = part.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
            match name.trim() {
                "cost" => {
                    let cost = value.trim().trim_start_matches('$').parse::<f64>().ok();
                    let cost = cost.filter(|cost| cost.is_finite() && *cost >= 0.0);
                    budget.cost = Some(cost.ok_or_else(|| wrong("the cost is a number of US dollars"))?);
                }
                "tokens" => {
                    budget.tokens = Some(whole(value).ok_or_else(|| wrong("tokens are a whole number"))?);
                }
                "calls" => {
                    budget.calls = Some(whole(value).ok_or_else(|| wrong("calls are a whole number"))?);
                }
                "wall_time" => {
                    let time = parse_duration(value.trim()).map_err(|error| wrong(&error.to_string()))?;
                    budget.wall_time = Some(time);
                }
                _ => return Err(wrong("there are `cost`, `tokens`, `calls` and `wall_time`")),
            }
        }
        Ok(budget)
    }
}

/// A whole number, with `k` or `M` for thousands and millions.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    digits.replace('_', "").parse::<u64>().ok()?.checked_mul(factor)
}

impl Budget {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The same with the limits of another one in the place of its own.
    #[must_use]
    pub fn overridden_by(self, other: Self) -> Self {
        Self {
            cost: other.cost.or(self.cost),
            tokens: other.tokens.or(self.tokens),
            calls: other.calls.or(self.calls),
            wall_time: other.wall_time.or(self.wall_time),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.cost.map(|cost| format!("cost ${cost}")),
            self.tokens.map(|tokens| format!("{tokens} tokens")),
            self.calls.map(|calls| crate::size::count(calls, "call")),
            self.wall_time.map(format_duration),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.pad(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_json_are_read() {
        let budget: Budget = "cost=$0.50, tokens=1_500, calls=3".parse().unwrap();
        assert_eq!(
            (budget.cost, budget.tokens, budget.calls),
            (Some(0.5), Some(1500), Some(3))
        );
        let more: Budget = "tokens=2M".parse().unwrap();
        assert_eq!(budget.overridden_by(more).tokens, Some(2_000_000));
        let json = serde_json::to_value("wall_time=90s".parse::<Budget>().unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({ "wall_time": 90 }));
        assert_eq!(
            serde_json::from_value::<Budget>(json).unwrap().wall_time,
            Some(Duration::from_secs(90))
        );
        for wrong in [
            "",
            "cost",
            "cost=-1",
            "cost=much",
            "tokens=1.5",
            "money=1",
            "wall_time=soon",
            "tokens=99999999999999999999k",
        ] {
            let error = wrong.parse::<Budget>().unwrap_err().to_string();
            assert!(error.contains("write `cost=2.00,"), "{error}");
        }
    }
}
