//! Errors that providers report: with a status, in the body of an answer, or in an event of a stream.

use std::time::{Duration, SystemTime};

use dad_core::Usage;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use super::json::{count, list, owned, text};
use crate::error::ModelError;
use crate::price::{Price, Tokens};

/// The longest pause that is reckoned with: clocks end somewhere.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// OpenAI's words for a quota that no pause refills, as code or as type of the error.
const EXHAUSTED: [&str; 2] = ["insufficient_quota", "billing_hard_limit_reached"];

/// An error as a provider reports it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status, or the number that stands for one in the body; 200 where there is neither.
    pub(crate) status: u16,
    /// The provider's message, or the whole body where it has none.
    pub(crate) message: String,
    /// The provider's word for the kind of error.
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    /// Whether a quota is used up that no pause of a step refills.
    pub(crate) is_exhausted: bool,
    /// The tokens of the call, where the provider reports them with the error.
    pub(crate) tokens: Option<Tokens>,
}

impl Refusal {
    pub(crate) fn too_many_calls() -> Self {
        Self {
            status: 200,
            message: "the server began more than 1000 calls of tools in one answer".to_owned(),
            ..Self::default()
        }
    }

    /// The error for the caller, of a call that cost what the provider reports with it, or nothing.
    pub(crate) fn error(self, model: &str, price: Option<&Price>) -> ModelError {
        let refused = Usage::default().calls(1);
        ModelError::Status {
            usage: Some(self.tokens.map_or(refused, |tokens| tokens.usage(price, None))),
            model: model.to_owned(),
            status: self.status,
            body: self.message,
            code: self.code,
            request_id: self.request_id,
            retry_after: self.retry_after,
            is_exhausted: self.is_exhausted,
        }
    }
}

/// The error of an answer with another status than success.
pub(crate) fn refused(model: &str, status: StatusCode, headers: &HeaderMap, body: &str) -> ModelError {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        return ModelError::Redirected {
            model: model.to_owned(),
            status: status.as_u16(),
            location: location.to_owned(),
        };
    }
    let read: Option<Value> = serde_json::from_str(body).ok();
    let mut refusal = read.as_ref().and_then(in_body).unwrap_or_else(|| Refusal {
        message: text_of_page(body),
        ..Refusal::default()
    });
    refusal.status = status.as_u16();
    refusal.retry_after = retry_after(headers).or(refusal.retry_after);
    let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let from_header = ["request-id", "x-request-id", "x-goog-request-id"]
        .into_iter()
        .find_map(header);
    refusal.request_id = refusal.request_id.or(from_header);
    refusal.error(model, None)
}

/// The error in a body, also in one that came with success. Google sends a list with one error in streams.
pub(super) fn in_body(body: &Value) -> Option<Refusal> {
    let body = match body.as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => body,
    };
    // OpenRouter reports what its upstream did after it had begun within the choice.
    let places = ["/error", "/choices/0/error"].map(|place| body.pointer(place));
    let error = places.into_iter().flatten().find(|error| says_something(error))?;
    let (code, other) = (owned(error, "/code"), owned(error, "/type"));
    let is_exhausted = [&code, &other]
        .into_iter()
        .flatten()
        .any(|word| EXHAUSTED.contains(&word.as_str()));
    let code = code.or(other);
    let kind = owned(error, "/status").or(code).or_else(|| owned(body, "/code"));
    let message = owned(error, "/message")
        .or_else(|| error.as_str().map(str::to_owned))
        .or_else(|| owned(body, "/message"))
        .unwrap_or_else(|| error.to_string());
    let number = count(error, "/code").and_then(|code| u16::try_from(code).ok());
    let status = number.filter(|code| (400..600).contains(code));
    Some(Refusal {
        status: status.or_else(|| status_of(kind.as_deref())).unwrap_or(200),
        retry_after: delay_in(error).or_else(|| delay_of_words(&message)),
        request_id: owned(body, "/request_id"),
        is_exhausted: is_exhausted || is_daily_quota(error),
        tokens: None,
        message: with_cause(message, error),
        code: kind,
    })
}

/// Whether an error is one: some servers send an empty one beside each answer.
fn says_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// OpenRouter gives its upstream's own words as metadata.
fn with_cause(message: String, error: &Value) -> String {
    match text(error, "/metadata/raw") {
        Some(raw) if raw != message => format!("{message}: {raw}"),
        _ => message,
    }
}

/// The status that a provider answers with where its word for the error comes in a stream.
///
/// Sources: Anthropic's page of errors; OpenAI's page of error codes, and `ResponseError` of its client (openai 3.57); google.rpc.Code.
fn status_of(kind: Option<&str>) -> Option<u16> {
    Some(match kind? {
        "invalid_request_error" | "invalid_prompt" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION" => 400,
        "authentication_error" | "UNAUTHENTICATED" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "NOT_FOUND" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "RESOURCE_EXHAUSTED" => 429,
        "api_error" | "server_error" | "INTERNAL" => 500,
        "UNAVAILABLE" => 503,
        "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

/// The delay in the details of an error of Google: `google.rpc.RetryInfo`.
fn delay_in(error: &Value) -> Option<Duration> {
    let delays = list(error, "/details").iter();
    let mut delays = delays.filter_map(|detail| text(detail, "/retryDelay"));
    let seconds = delays.next()?.trim().strip_suffix('s')?.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST))
}

/// Whether the details of an error of Google name a quota of the day: `google.rpc.QuotaFailure`.
fn is_daily_quota(error: &Value) -> bool {
    let mut violations = list(error, "/details")
        .iter()
        .flat_map(|detail| list(detail, "/violations"));
    violations.any(|violation| text(violation, "/quotaId").is_some_and(|id| id.contains("PerDay")))
}

/// The delay in the message of a rate limit: "Please try again in 1m2.5s", "retry in 7.5 seconds".
fn delay_of_words(message: &str) -> Option<Duration> {
    const WORDS: [&str; 3] = ["try again in ", "retry in ", "retry after "];
    let message = message.to_ascii_lowercase();
    let mut rest = WORDS
        .iter()
        .find_map(|words| Some(message.split_once(words)?.1))?;
    let mut pause = None;
    while let Some((part, after)) = leading_delay(rest) {
        pause = Some(pause.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = after;
    }
    Some(pause?.min(LONGEST))
}

/// The number with its unit that a text begins with, and the text behind them.
fn leading_delay(text: &str) -> Option<(Duration, &str)> {
    let text = text.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let end = unit
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(unit.len());
    let seconds = match &unit[..end] {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        _ => return None,
    };
    Some((Duration::try_from_secs_f64(number * seconds).ok()?, &unit[end..]))
}

/// The pause that the headers ask for: in milliseconds, in seconds, or by its end.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = header("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    let milliseconds = milliseconds.and_then(|count| Duration::try_from_secs_f64(count / 1e3).ok());
    let pause = milliseconds.or_else(|| {
        let text = header("retry-after")?;
        match text.parse() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => until(httpdate::parse_http_date(text).ok()?),
        }
    });
    pause.map(|pause| pause.min(LONGEST))
}

/// The time until then; `None` if it is past.
fn until(time: SystemTime) -> Option<Duration> {
    time.duration_since(SystemTime::now()).ok()
}

/// The words of a body that is no JSON: a page of a proxy is named by its title.
pub(crate) fn text_of_page(body: &str) -> String {
    let lower = body.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len());
    let title = title.and_then(|from| Some((from, from + lower[from..].find("</title>")?)));
    match title {
        Some((from, to)) => format!("a page with the title \"{}\"", body[from..to].trim()),
        None if body.trim().is_empty() => "it gave no reason".to_owned(),
        None => body.trim().to_owned(),
    }
}
