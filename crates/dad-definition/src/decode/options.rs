//! The options that any element may have.

use std::time::Duration;

use dad_core::{Budget, ElementOptions, OnError, RetryPolicy, Reuse, parse_duration};

use crate::decode::Cx;
use crate::decode::fields::{Fields, boolean, text, texts, whole, word};
use crate::place::Place;
use crate::problem::Problem;
use crate::value::{Data, Tree};

/// Keys that any element may have.
pub(crate) const OPTION_KEYS: &[&str] = &[
    "pre_events",
    "post_events",
    "timeout",
    "retry",
    "on_error",
    "reuse",
    "requires_approval",
    "budget",
];

/// Those of them that a whole definition may have too.
pub(crate) const ROOT_OPTION_KEYS: &[&str] = &["pre_events", "post_events", "timeout"];

const RETRY_KEYS: &[&str] = &[
    "max_attempts",
    "initial_delay",
    "max_delay",
    "when",
    "repeat_effects",
];

/// Takes what the root of a definition may have.
pub(crate) fn root_options(fields: &mut Fields<'_>, cx: &mut Cx) -> ElementOptions {
    let mut options = ElementOptions::default();
    if let Some((tree, place)) = fields.take("pre_events") {
        options.pre_events = texts(tree, &place, "a list of event names", cx);
    }
    if let Some((tree, place)) = fields.take("post_events") {
        options.post_events = texts(tree, &place, "a list of event names", cx);
    }
    if let Some((tree, place)) = fields.take("timeout") {
        options.timeout = duration(tree, &place, cx);
    }
    options
}

/// Takes what any element may have.
pub(crate) fn options(fields: &mut Fields<'_>, cx: &mut Cx) -> ElementOptions {
    let mut options = root_options(fields, cx);
    if let Some((tree, place)) = fields.take("retry") {
        options.retry = retry(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("on_error") {
        let words = [OnError::Fail, OnError::Continue].map(|value| (value.as_str(), value));
        options.on_error = word(tree, &place, &words, cx).unwrap_or_default();
    }
    if let Some((tree, place)) = fields.take("reuse") {
        let words = [Reuse::Auto, Reuse::Always, Reuse::Never].map(|value| (value.as_str(), value));
        options.reuse = word(tree, &place, &words, cx).unwrap_or_default();
    }
    if let Some((tree, place)) = fields.take("requires_approval") {
        options.requires_approval = boolean(tree, &place, cx).unwrap_or_default();
    }
    if let Some((tree, place)) = fields.take("budget") {
        options.budget = budget(tree, &place, cx);
    }
    options
}

fn retry(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<RetryPolicy> {
    let mut fields = Fields::new(tree, place, "a mapping such as `{ max_attempts: 3 }`", cx)?;
    let mut retry = RetryPolicy::default();
    match fields.take("max_attempts") {
        Some((tree, place)) => retry.max_attempts = whole(tree, &place, cx).unwrap_or(1),
        None => fields.missing(
            "max_attempts",
            "say how many attempts there may be, the first included",
            cx,
        ),
    }
    if let Some((tree, place)) = fields.take("initial_delay") {
        retry.initial_delay = duration(tree, &place, cx).unwrap_or(retry.initial_delay);
    }
    match fields.take("max_delay") {
        Some((tree, place)) => retry.max_delay = duration(tree, &place, cx).unwrap_or(retry.max_delay),
        // A long first pause alone must not contradict the default of the longest.
        None => retry.max_delay = retry.max_delay.max(retry.initial_delay),
    }
    if let Some((tree, place)) = fields.take("when") {
        retry.when = texts(tree, &place, "a list of error codes", cx);
    }
    if let Some((tree, place)) = fields.take("repeat_effects") {
        retry.repeat_effects = boolean(tree, &place, cx).unwrap_or_default();
    }
    fields.finish(RETRY_KEYS, |_| None, cx);
    Some(retry)
}

const BUDGET_KEYS: &[&str] = &["cost", "tokens", "calls", "wall_time"];

/// The upper bounds for the consumption of a run or node.
pub(crate) fn budget(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<Budget> {
    let mut fields = Fields::new(tree, place, "a mapping such as `{ cost: 2.00, calls: 40 }`", cx)?;
    let mut budget = Budget::default();
    if let Some((tree, place)) = fields.take("cost") {
        match &tree.data {
            Data::Number(number) => budget.cost = number.as_f64(),
            _ => cx.wrong_type(&place, "a number of US dollars", tree),
        }
    }
    if let Some((tree, place)) = fields.take("tokens") {
        budget.tokens = whole(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("calls") {
        budget.calls = whole(tree, &place, cx);
    }
    if let Some((tree, place)) = fields.take("wall_time") {
        budget.wall_time = duration(tree, &place, cx);
    }
    fields.finish(BUDGET_KEYS, |_| None, cx);
    Some(budget)
}

/// A number of seconds or a text with a unit; anything else is reported.
fn duration(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<Duration> {
    const WANTED: &str = "a duration: a number of seconds, or a number with a unit (500ms, 30s, 5m, 2h, 1d)";
    if let Data::Number(number) = &tree.data {
        let seconds = number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if seconds.is_none() {
            cx.wrong_type(place, WANTED, tree);
        }
        return seconds;
    }
    let text = text(tree, place, WANTED, cx)?;
    let parsed = parse_duration(text);
    if let Err(error) = &parsed {
        cx.at(place, Problem::new("wrong_value", error.to_string()));
    }
    parsed.ok()
}
