//! The last fields of a request, which all protocols have in common.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::asked::{Asked, Outgoing};
use crate::error::ModelError;
use crate::header::header;
use crate::options::CallOptions;

/// Headers that the client sets itself: a definition decides neither whose key is sent nor how the body is read.
const OWN_HEADERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "content-type"];

/// Fields of bodies that the client reckons with: its budgets, its prices and its reading of the answer hold for what it writes
/// there. Behind each stands the setting for it.
const OWN_FIELDS: [(&str, &str); 12] = [
    ("/model", "`models`"),
    ("/messages", "`context` and `prompt`"),
    ("/input", "`context` and `prompt`"),
    ("/contents", "`context` and `prompt`"),
    ("/max_tokens", "`max_output_tokens`"),
    ("/max_completion_tokens", "`max_output_tokens`"),
    ("/max_output_tokens", "`max_output_tokens`"),
    ("/generationConfig/maxOutputTokens", "`max_output_tokens`"),
    ("/stream", "`streaming`"),
    ("/service_tier", "the option `service_tier`"),
    ("/serviceTier", "the option `service_tier`"),
    // The first answer of several is read, and all are paid.
    ("/n", "several steps for several answers"),
];

/// Adds fields to a document; those within objects are added to these.
fn merge(body: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (&mut *body, more) else {
        *body = more.clone();
        return;
    };
    for (name, value) in more {
        merge(fields.entry(name).or_insert(Value::Null), value);
    }
}

impl Outgoing {
    /// A request with the fields and headers that its options add.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a header that is none, and for a header or field that is the client's own.
    pub(super) fn new(
        path: impl Into<String>,
        mut body: Value,
        options: &CallOptions,
        asked: &Asked<'_>,
    ) -> Result<Self, ModelError> {
        let extra = Value::Object(options.extra_body.clone());
        if let Some((field, setting)) = OWN_FIELDS
            .iter()
            .find(|(field, _)| extra.pointer(field).is_some())
        {
            let field = field.trim_start_matches('/').replace('/', ".");
            return Err(asked.unfit(format!(
                "`{field}` in `extra_body` is set by the client itself: use {setting}"
            )));
        }
        merge(&mut body, &extra);
        let mut headers = HeaderMap::new();
        for (name, value) in &options.extra_headers {
            let (known, value) = header(name, value)
                .map_err(|reason| asked.unfit(format!("`{name}` in `extra_headers`: {reason}")))?;
            if OWN_HEADERS.contains(&known.as_str()) {
                return Err(asked.unfit(format!("`{name}` in `extra_headers` is set by the client itself")));
            }
            headers.append(known, value);
        }
        Ok(Self {
            path: path.into(),
            headers,
            body,
        })
    }

    /// Sets a header of the protocol, unless the options have it.
    pub(super) fn header(&mut self, name: &'static str, value: &'static str) {
        let name = HeaderName::from_static(name);
        if !self.headers.contains_key(&name) {
            self.headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
