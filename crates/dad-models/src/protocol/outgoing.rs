//! The last fields of a request, which all protocols have in common.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::asked::{Asked, Outgoing};
use crate::error::ModelError;
use crate::header::header;
use crate::options::CallOptions;

/// Headers that the client sets itself: a definition decides neither whose key is sent nor how the body is read.
const OWN_HEADERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "content-type"];

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
    /// [`ModelError::Request`] for a header that is none, or that is the client's own.
    pub(super) fn new(
        path: impl Into<String>,
        mut body: Value,
        options: &CallOptions,
        asked: &Asked<'_>,
    ) -> Result<Self, ModelError> {
        merge(&mut body, &Value::Object(options.extra_body.clone()));
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
