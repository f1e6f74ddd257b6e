//! Failures of calls, from the errors of the library that makes them.

use std::time::{Duration, SystemTime};

use dad_core::ErrorInfo;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};

use crate::error::ModelError;

/// The longest pause that is reckoned with: clocks end somewhere.
const LONGEST: Duration = Duration::from_hours(24 * 365);

pub(crate) fn model_error(model: &str, error: genai::Error) -> ModelError {
    match error {
        genai::Error::HttpError {
            status,
            body,
            headers,
            ..
        } => status_error(model, status, body, &headers),
        genai::Error::WebModelCall { webc_error, .. } | genai::Error::WebAdapterCall { webc_error, .. } => {
            web_error(model, webc_error)
        }
        genai::Error::WebStream { error, .. } => stream_error(model, error),
        error @ (genai::Error::ChatResponse { .. }
        | genai::Error::StreamParse { .. }
        | genai::Error::InvalidJsonResponseElement { .. }
        | genai::Error::NoChatResponse { .. }
        | genai::Error::JsonValueExt(_)
        | genai::Error::SerdeJson(_)) => unusable(model, error.to_string()),
        // Everything else is found before anything is sent.
        other => ModelError::Request {
            model: model.to_owned(),
            reason: other.to_string(),
        },
    }
}

fn web_error(model: &str, error: genai::webc::Error) -> ModelError {
    match error {
        genai::webc::Error::ResponseFailedStatus {
            status,
            body,
            headers,
        } => status_error(model, status, body, &headers),
        genai::webc::Error::Reqwest(error) => connection_error(model, &error),
        other => unusable(model, other.to_string()),
    }
}

/// A stream brings its errors in boxes.
fn stream_error(model: &str, error: Box<dyn std::error::Error + Send + Sync>) -> ModelError {
    let error = match error.downcast::<genai::Error>() {
        Ok(error) => return model_error(model, *error),
        Err(other) => other,
    };
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) => connection_error(model, error),
        None => unusable(model, error.to_string()),
    }
}

fn unusable(model: &str, reason: String) -> ModelError {
    ModelError::Answer {
        model: model.to_owned(),
        reason,
        usage: None,
    }
}

fn connection_error(model: &str, error: &reqwest::Error) -> ModelError {
    let (model, reason) = (model.to_owned(), ErrorInfo::from_error("", error).message);
    if error.is_timeout() && !error.is_connect() {
        return ModelError::Silent { model };
    }
    match error.is_connect() || error.is_builder() {
        true => ModelError::Connection { model, reason },
        false => ModelError::Cut { model, reason },
    }
}

fn status_error(model: &str, status: StatusCode, body: String, headers: &HeaderMap) -> ModelError {
    let model = model.to_owned();
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    match location.filter(|_| status.is_redirection()) {
        Some(location) => ModelError::Redirected {
            model,
            status: status.as_u16(),
            location: location.to_owned(),
        },
        None => ModelError::Status {
            model,
            status: status.as_u16(),
            body,
            retry_after: retry_after(headers),
        },
    }
}

/// The pause that the provider asks for, in milliseconds, in seconds, or by its end.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = header("retry-after-ms").and_then(|text| text.parse().ok());
    let pause = milliseconds.map(Duration::from_millis).or_else(|| {
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
