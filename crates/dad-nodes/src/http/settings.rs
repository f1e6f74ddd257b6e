//! The settings of a request.

use indexmap::IndexMap;
use std::time::Duration;

use dad_definition::SettingsProblem;
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use dad_models::WebRequest;

use crate::http::address::encoded;
use crate::settings_node::{setters, settings_node};

settings_node!(
    /// A request to a server.
    HttpNode,
    HttpNodeSettings,
    HTTP
);

/// The settings of a request, and of its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct HttpNodeSettings {
    /// `GET` by default. Every other one but `HEAD` may change something at the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub method: Option<HttpMethod>,
    /// The address, `https://HOST/PATH`. A value behind the host is one segment of the path, or one value of the query.
    /// `$secret{NAME}` may stand there too.
    #[setters(into)]
    pub url: String,
    /// The query that is added to the address: a text, a number or a boolean, or a list of them; null leaves a name out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "IndexMap<String, Option<QueryValue>>")]
    #[setters(skip)]
    pub query: IndexMap<String, Value>,
    /// Headers. `$secret{NAME}` in a value stands for a secret.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[setters(skip)]
    pub headers: IndexMap<String, String>,
    /// The body: a text unchanged, and everything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub body: Option<Value>,
    /// The hosts that may be asked, also behind a redirect: `HOST`, `HOST:PORT`, or `*.DOMAIN`. Without it the one that `url`
    /// names. An address that is not of the internet is asked only if its host is named here. Only the definition itself can
    /// say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub allowed_hosts: Option<Vec<String>>,
    /// Whether a request of another method than `GET` and `HEAD` changes nothing, such as a search by `POST`. Only the definition
    /// itself can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<bool>,
    /// Seconds until the answer has arrived; 60 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The longest answer, in bytes; 10 MiB by default, 64 MiB at most. The rest of a longer one is not read, and the step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// The form of the answer; text by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub output: Option<HttpOutput>,
    /// The statuses that are no failure; 200 to 299 by default. A redirect that is among them is not followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub expect_status: Vec<u16>,
}

setters! {
    impl HttpNodeSettings {
        map query: Value;
        map headers: String;
        optional_list allowed_hosts: String;
        list expect_status: u16;
    }
}

impl HttpNodeSettings {
    /// A request to an address; by `GET`, unless it is given a method.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::default().url(url)
    }
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Reads the headers alone.
    Head,
    /// Does what the server takes it for.
    Post,
    /// Sets.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl HttpMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HttpOutput {
    /// As text, in `outcome.body`.
    Text,
    /// As one JSON document, in `outcome.json`.
    Json,
    /// As bytes, in a file of the step, which `outcome.file` names.
    File,
}

/// A value in `query`, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum QueryValue {
    Text(String),
    Number(f64),
    Boolean(bool),
    Many(Vec<QueryValue>),
}

/// Whether a value can stand in a query.
pub(super) fn is_query_value(value: &Value) -> bool {
    let is_one = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(is_one),
        one => is_one(one),
    }
}

/// An address with a query behind it, or behind the one that it has.
pub(super) fn with_query(url: &str, query: &IndexMap<String, Value>) -> String {
    let mut url = url.to_owned();
    for (name, value) in query {
        let values = match value {
            Value::Null => &[],
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            url.push(if url.contains('?') { '&' } else { '?' });
            let value = dad_template::Value::from(value).to_text();
            url += &format!("{}={}", encoded(name), encoded(&value));
        }
    }
    url
}

impl HttpNodeSettings {
    pub(super) fn method_or_get(&self) -> HttpMethod {
        self.method.unwrap_or(HttpMethod::Get)
    }

    /// Whether the request changes nothing at the server.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.method_or_get(), HttpMethod::Get | HttpMethod::Head) || self.reads == Some(true)
    }

    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.keys().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The request to an address.
    pub(super) fn request(&self, url: String) -> WebRequest {
        let mut headers: Vec<(String, String)> = self.headers.clone().into_iter().collect();
        let (body, media_type) = match &self.body {
            None => (None, None),
            Some(Value::String(text)) => (Some(text.clone()), Some("text/plain; charset=utf-8")),
            Some(json) => (Some(json.to_string()), Some("application/json")),
        };
        if let Some(media_type) = media_type.filter(|_| !self.has_header("content-type")) {
            headers.push(("Content-Type".to_owned(), media_type.to_owned()));
        }
        WebRequest::new(self.method_or_get().as_str().to_owned(), url)
            .headers(headers)
            .body(body)
    }
}

/// The longest that a step waits for a server that limits its rate.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_mins(10);

pub(super) fn problem(
    place: impl Into<String>,
    code: &'static str,
    message: impl Into<String>,
) -> SettingsProblem {
    SettingsProblem::new(place.into(), code, message.into())
}
