//! Answers of servers, and the outcome that they make.

use std::borrow::Cow;
use std::time::Duration;

use dad_core::{Digest, Redactor};
use dad_fs::Durability;
use dad_models::{WebAnswer, WebBody};
use dad_run::layout::CUSTOM_ARTIFACTS;
use dad_runner::{NodeContext, NodeError, NodeOutput};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::LONGEST_PAUSE;
use crate::http::{HttpNodeSettings, HttpOutput};
use crate::json_text::json_of;

/// The answer of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpNodeOutcome {
    /// The HTTP status.
    pub status: u16,
    /// The address that answered, behind all redirects.
    pub url: String,
    /// Those headers that are kept, by their names in lower case; never cookies.
    pub headers: IndexMap<String, String>,
    /// The text of the answer, unless it was read otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body as JSON, with `output: json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The file that it is in, of `output: file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<HttpFile>,
}

/// A file that an answer was kept in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpFile {
    /// The path in the directory of the step.
    pub path: String,
    /// Its media type, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its length in bytes.
    pub len: u64,
    /// Digest of its bytes.
    pub blake3: String,
}

/// Masks secrets in a body of bytes: in base64 nothing could be read of them.
pub(super) fn mask(body: &mut WebBody, redactor: &Redactor) {
    if let WebBody::Base64(_) = body
        && let Ok(bytes) = body.bytes()
        && let Cow::Owned(masked) = redactor.redact_bytes(&bytes)
    {
        *body = masked.into();
    }
}

/// The outcome of the step by an answer.
pub(super) fn output(
    settings: &HttpNodeSettings,
    answer: &WebAnswer,
    cx: &NodeContext,
) -> Result<NodeOutput<HttpNodeOutcome>, NodeError> {
    let mut outcome = HttpNodeOutcome {
        status: answer.status,
        url: answer.url.clone(),
        headers: answer.headers.iter().cloned().collect(),
        ..HttpNodeOutcome::default()
    };
    if let Some(failure) = failure(settings, answer) {
        outcome.body = text_of(answer).ok();
        return Err(with_partial(failure, outcome, answer));
    }
    let read = match settings.output.unwrap_or(HttpOutput::Text) {
        HttpOutput::Text => text_of(answer).map(|text| outcome.body = Some(text)),
        HttpOutput::Json => match read_json(answer) {
            Ok(json) => {
                outcome.json = Some(json);
                Ok(())
            }
            Err(error) => {
                outcome.body = text_of(answer).ok();
                Err(error)
            }
        },
        HttpOutput::File => keep(answer, cx).map(|file| outcome.file = Some(file)),
    };
    match read {
        Ok(()) => Ok(NodeOutput::new(outcome).with_summary(summary(answer))),
        Err(error) => Err(with_partial(error, outcome, answer)),
    }
}

fn with_partial(error: NodeError, outcome: HttpNodeOutcome, answer: &WebAnswer) -> NodeError {
    match NodeOutput::new(outcome).with_summary(summary(answer)).into_json() {
        Ok(partial) => error.with_partial(partial),
        Err(_) => error,
    }
}

fn summary(answer: &WebAnswer) -> String {
    format!("HTTP status {}", answer.status)
}

/// Why an answer is a failure, whatever it says.
fn failure(settings: &HttpNodeSettings, answer: &WebAnswer) -> Option<NodeError> {
    let status = answer.status;
    let is_expected = if settings.expect_status.is_empty() {
        (200..300).contains(&status)
    } else {
        settings.expect_status.contains(&status)
    };
    if !is_expected {
        return Some(refused(answer));
    }
    answer.is_cut.then(|| {
        let max_bytes = settings.max_bytes.unwrap_or(super::DEFAULT_MAX_BYTES);
        let message = format!("the answer is longer than {max_bytes} bytes, and the rest of it was not read");
        NodeError::new("answer_too_long", message)
            .with_hint(format!("raise `max_bytes`, up to {}", super::MAX_BYTES))
            .permanent()
    })
}

/// A status that was not expected.
fn refused(answer: &WebAnswer) -> NodeError {
    let status = answer.status;
    let said = text_of(answer).map(|text| beginning(&text)).unwrap_or_default();
    let error = NodeError::new(
        "http_status",
        format!("the server answered with HTTP status {status}{said}"),
    );
    let pause = answer
        .retry_after
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A request that is refused is refused again; too many, too early and too busy pass.
    if !(matches!(status, 408 | 425 | 429) || status >= 500) {
        return error.permanent();
    }
    match pause {
        Some(pause) if pause > LONGEST_PAUSE => error
            .with_hint(format!(
                "it limits the rate and asks to wait for {}, longer than a step waits; resume the run then",
                dad_core::format_duration(pause)
            ))
            .permanent(),
        Some(pause) => error.retry_after(pause),
        None => error,
    }
}

/// The part of a text that an error shows.
fn beginning(text: &str) -> String {
    const LONGEST: usize = 300;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        _ if text.is_empty() => String::new(),
        Some((end, _)) => format!(": {}…", &text[..end]),
        None => format!(": {text}"),
    }
}

fn text_of(answer: &WebAnswer) -> Result<String, NodeError> {
    match &answer.body {
        WebBody::Text(text) if answer.is_cut => Ok(format!(
            "{text}\n… cut at {} bytes, the limit of `max_bytes` …\n",
            text.len()
        )),
        WebBody::Text(text) => Ok(text.clone()),
        WebBody::Base64(_) => {
            let media_type = answer.header("content-type").unwrap_or("no content-type");
            let message = format!("the answer is no UTF-8 text ({media_type})");
            let error = NodeError::new("http_answer", message);
            Err(error.with_hint("`output: file` keeps it as it is").permanent())
        }
    }
}

/// The value of a JSON body. A status that has no body has none.
fn read_json(answer: &WebAnswer) -> Result<Value, NodeError> {
    let text = text_of(answer)?;
    if text.is_empty() && matches!(answer.status, 204 | 205 | 304) {
        return Ok(Value::Null);
    }
    json_of(&text).map_err(|reason| {
        let media_type = answer.header("content-type").unwrap_or("no content-type");
        let message = format!("the answer ({media_type}) is not the JSON that `output` promises: {reason}");
        NodeError::new("http_answer", message).permanent()
    })
}

/// Keeps the body among the artifacts of the step.
fn keep(answer: &WebAnswer, cx: &NodeContext) -> Result<HttpFile, NodeError> {
    let bytes = answer
        .body
        .bytes()
        .map_err(|reason| NodeError::new("http_answer", reason).permanent())?;
    let media_type = answer.header("content-type");
    let name = format!("answer.{}", extension(media_type.unwrap_or_default()));
    cx.artifacts()?.write_new(&name, &bytes, Durability::Process)?;
    Ok(HttpFile {
        path: format!("{CUSTOM_ARTIFACTS}/{name}"),
        media_type: media_type.map(str::to_owned),
        len: bytes.len() as u64,
        blake3: Digest::of(&bytes).to_string(),
    })
}

/// The file name's end for a media type. The server decides the type, and so it decides no more than a word of letters.
fn extension(media_type: &str) -> &str {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    match plain {
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/javascript" | "application/javascript" => "js",
        "application/gzip" => "gz",
        other => {
            let subtype = other.rsplit_once('/').map_or("bin", |(_, subtype)| subtype);
            let is_plain = subtype.len() <= 8 && subtype.chars().all(|c| c.is_ascii_alphanumeric());
            if is_plain && !subtype.is_empty() {
                subtype
            } else {
                "bin"
            }
        }
    }
}
