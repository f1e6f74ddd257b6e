//! One exchange with a server: a request that the definition bounds, its answer in a memo.

mod address;
mod answer;
mod sealed;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::Digest;
use dad_definition::{Compiled, Prepared, SettingsProblem};
use dad_models::{
    AllowedHost, AllowedHosts, CallContext, RecordedWeb, WebAnswer, WebBounds, WebClient, WebError,
    WebRequest, check_address, check_header, internal::WEB_EXCHANGE,
};
use dad_run::RunHandle;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, Preview, ReadSet, RunSetup,
    World,
};
use serde_json::{Value, json};

use crate::http::address::{Address, Piece};
use crate::secret_text;
use settings::problem;

pub use answer::{HttpFile, HttpNodeOutcome};
pub use settings::{HttpMethod, HttpNode, HttpNodeSettings, HttpOutput};

/// Seconds an exchange may take by default.
const DEFAULT_TIMEOUT: f64 = 60.0;

/// The number of bytes that are read of an answer by default, and the largest: it is kept in a memo, and held in memory.
const DEFAULT_MAX_BYTES: u64 = 10 << 20;
const MAX_BYTES: u64 = 64 << 20;

/// Settings in whose texts a secret may be named.
const WITH_SECRETS: &[&str] = &["url", "query", "headers", "body"];

/// Executes `http`.
#[derive(Debug, Default)]
pub(crate) struct HttpExecutor {
    /// Made when the first request is.
    client: Arc<OnceLock<WebClient>>,
}

impl Node for HttpExecutor {
    type Settings = HttpNodeSettings;
    type Input = ();
    type Outcome = HttpNodeOutcome;
    const TYPE: &'static str = "http";
    const DEFINITION_ONLY: &'static [&'static str] = &["allowed_hosts", "reads"];

    fn bind(
        &self,
        settings: HttpNodeSettings,
        _: Option<()>,
        cx: &BindContext<'_>,
    ) -> Result<Bound<HttpNodeOutcome>, NodeError> {
        let prepared = cx.prepared::<Address>();
        let step = HttpStep::new(settings, prepared, Arc::clone(&self.client))?;
        Ok(Box::new(step))
    }

    fn check(settings: &HttpNodeSettings) -> Vec<SettingsProblem> {
        problems(settings)
    }

    fn compile(unrendered: &Value) -> Compiled {
        let address = unrendered.get("url").and_then(Value::as_str).map(Address::read);
        let (address, wrong) = match address {
            Some(Ok(address)) => (address, None),
            Some(Err(message)) => (Address::default(), Some(problem("url", "http_address", message))),
            None => (Address::default(), None),
        };
        // Of an address that is none it is not known which host it names.
        let unbounded = match &wrong {
            None => unbounded(unrendered, &address),
            Some(_) => None,
        };
        let problems = wrong
            .into_iter()
            .chain(unbounded)
            .chain(fixed_only(unrendered))
            .chain(sealed::problems(unrendered, WITH_SECRETS));
        let values =
            json!({ "url": address.templates(), "secrets": sealed::pieces(unrendered, WITH_SECRETS) });
        {
            let mut compiled = Compiled::default();
            compiled.problems = problems.collect();
            compiled.prepared = Some(Prepared::new(Arc::new(address), values));
            compiled
        }
    }

    fn check_requirements(settings: &HttpNodeSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        if setup.is_offline && setup.resources.get::<RecordedWeb>().is_none() {
            return Err(offline());
        }
        let texts = sealed::texts(settings);
        secret_text::check_start(texts.iter(), setup)
    }
}

/// The secrets that recorded settings name.
pub(crate) fn named_secrets(settings: &Value) -> Vec<String> {
    sealed::named(settings, WITH_SECRETS)
}

/// The settings that only the definition decides, with values in them.
fn fixed_only(unrendered: &Value) -> impl Iterator<Item = SettingsProblem> {
    let is_open =
        |text: &str| dad_template::Template::parse(text).is_ok_and(|text| text.as_literal().is_none());
    let hosts = unrendered.get("allowed_hosts");
    let hosts = hosts.and_then(Value::as_array).into_iter().flatten().enumerate();
    let hosts = hosts.filter_map(|(index, host)| Some((format!("allowed_hosts[{index}]"), host.as_str()?)));
    let whole = ["allowed_hosts", "reads"].into_iter();
    let whole = whole.filter_map(|name| Some((name.to_owned(), unrendered.get(name)?.as_str()?)));
    let open = hosts.chain(whole).filter(move |(_, text)| is_open(text));
    open.map(|(place, text)| {
        let message = format!("`{text}` would let a value decide; only the definition can");
        problem(place, "fixed_setting", message)
    })
}

/// An address whose host a value decides, without bounds.
fn unbounded(unrendered: &Value, address: &Address) -> Option<SettingsProblem> {
    let has_bounds = unrendered.get("allowed_hosts").is_some();
    let is_open = unrendered.get("url").is_some() && !address.names_its_host();
    (is_open && !has_bounds).then(|| {
        problem(
            "url",
            "allowed_hosts",
            "a value decides which host is asked, and nothing bounds it",
        )
        .hint("write `allowed_hosts: [HOST]`, or the host itself into `url`".to_owned())
    })
}

fn problems(settings: &HttpNodeSettings) -> Vec<SettingsProblem> {
    let mut found = Vec::new();
    for (index, host) in settings.allowed_hosts.iter().flatten().enumerate() {
        if let Err(message) = host.parse::<AllowedHost>() {
            found.push(problem(
                format!("allowed_hosts[{index}]"),
                "allowed_hosts",
                message,
            ));
        }
    }
    for (name, value) in &settings.headers {
        if let Err(message) = check_header(name, value) {
            found.push(problem(
                format!("headers.{name}"),
                "http_header",
                format!("`{name}`: {message}"),
            ));
        }
    }
    for (name, value) in &settings.query {
        if !settings::is_query_value(value) {
            let message = format!(
                "`{name}` must be a text, a number, true or false, or a list of them, it is `{value}`"
            );
            found.push(problem(format!("query.{name}"), "query", message));
        }
    }
    let is_wrong = |seconds: f64| Duration::try_from_secs_f64(seconds).map_or(true, |limit| limit.is_zero());
    if settings.timeout.is_some_and(is_wrong) {
        found.push(problem(
            "timeout",
            "timeout",
            "`timeout` must be a positive number of seconds",
        ));
    }
    if settings
        .max_bytes
        .is_some_and(|bytes| !(1..=MAX_BYTES).contains(&bytes))
    {
        let message = format!(
            "`max_bytes` is between 1 and {MAX_BYTES} ({} MiB): an answer is held in memory and kept in a memo",
            MAX_BYTES >> 20
        );
        found.push(
            problem("max_bytes", "max_bytes", message)
                .hint("download what is longer by a `command`, such as `curl -o FILE URL`".to_owned()),
        );
    }
    for (index, status) in settings.expect_status.iter().enumerate() {
        if !(100..600).contains(status) {
            let message = format!("`{status}` is no HTTP status: those are between 100 and 599");
            found.push(problem(
                format!("expect_status[{index}]"),
                "expect_status",
                message,
            ));
        }
    }
    found
}

/// A request that is ready to be sent.
struct HttpStep {
    settings: HttpNodeSettings,
    /// The address in pieces, with its values, where the definition wrote it.
    address: Option<Vec<Piece>>,
    /// Texts of the settings with secrets in them, taken apart, by their places.
    secrets: BTreeMap<String, Vec<secret_text::SecretPiece>>,
    hosts: AllowedHosts,
    client: Arc<OnceLock<WebClient>>,
}

impl HttpStep {
    fn new(
        settings: HttpNodeSettings,
        prepared: Option<(Arc<Address>, &Value)>,
        client: Arc<OnceLock<WebClient>>,
    ) -> Result<Self, NodeError> {
        let (address, secrets) = match prepared {
            Some((address, values)) => {
                let internal =
                    |error: serde_json::Error| NodeError::from_error("settings", &error).permanent();
                let pieces = address.pieces(&values["url"]).map_err(internal)?;
                // Another address may have been given since, which is data.
                let pieces = Some(pieces).filter(|pieces| address::rendered(pieces) == settings.url);
                (
                    pieces.map(|pieces| (address, pieces)),
                    sealed::read(&values["secrets"]).map_err(internal)?,
                )
            }
            None => {
                sealed::refuse(&settings)?;
                (None, BTreeMap::new())
            }
        };
        let hosts = match (&settings.allowed_hosts, &address) {
            (Some(hosts), _) => hosts.iter().filter_map(|host| host.parse().ok()).collect(),
            (None, Some((address, _))) if address.names_its_host() => AllowedHosts::only(&settings.url),
            (None, _) => return Err(unbounded_value(&settings.url)),
        };
        Ok(Self {
            settings,
            address: address.map(|(_, pieces)| pieces),
            secrets,
            hosts,
            client,
        })
    }

    /// The request, with the names of secrets in the places of their values.
    fn request(&self) -> Result<WebRequest, NodeError> {
        let named = |name: &str| Ok(format!("$secret{{{name}}}"));
        self.request_of(&self.settings, named)
    }

    /// The request as it is sent.
    fn sealed_request(&self, cx: &NodeContext) -> Result<WebRequest, NodeError> {
        let settings = sealed::with_secrets(&self.settings, &self.secrets, cx)?;
        let value = |name: &str| {
            let secret = cx.secret(name)?;
            Ok(address::encoded(secrecy::ExposeSecret::expose_secret(&secret)))
        };
        self.request_of(&settings, value)
    }

    fn request_of(
        &self,
        settings: &HttpNodeSettings,
        secret: impl Fn(&str) -> Result<String, NodeError>,
    ) -> Result<WebRequest, NodeError> {
        let url = match &self.address {
            Some(pieces) => address::filled(pieces, secret)?,
            None => settings.url.clone(),
        };
        if url.contains('#') {
            let message = "`url` has a `#`, and what stands behind it is not sent to the server";
            return Err(NodeError::new("http_address", message).permanent());
        }
        let url = settings::with_query(&url, &settings.query);
        check_address(&url).map_err(|reason| {
            NodeError::new("http_address", format!("`url` cannot be asked: {reason}")).permanent()
        })?;
        Ok(settings.request(url))
    }

    fn bounds(&self) -> WebBounds {
        let seconds = self.settings.timeout.unwrap_or(DEFAULT_TIMEOUT);
        {
            let mut web_bounds = WebBounds::new(
                self.hosts.clone(),
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
                self.settings.max_bytes.unwrap_or(DEFAULT_MAX_BYTES),
            );
            web_bounds.expected = self.settings.expect_status.clone();
            web_bounds
        }
    }

    /// Sends the request, or finds its answer where it was recorded.
    async fn ask(&self, number: u32, request: &WebRequest, cx: &NodeContext) -> Result<WebAnswer, NodeError> {
        if let Some(recorded) = cx.resource::<RecordedWeb>() {
            let call = CallContext::new(cx.path().clone())
                .number(number)
                .places(cx.run().places().into());
            let answered = recorded.answer(request, &call);
            return answered.map_err(|error| crate::model_error::node_error(&error));
        }
        if cx.run().settings().is_offline() {
            return Err(offline());
        }
        let mut request = self.sealed_request(cx)?;
        if !self.settings.only_reads() && !self.settings.has_header("idempotency-key") {
            let key = cx.idempotency_key(&format!("{WEB_EXCHANGE}.{number}"));
            request.headers.push(("Idempotency-Key".to_owned(), key));
        }
        let answered = self.client()?.send(&request, &self.bounds()).await;
        let mut answer = answered.map_err(|error| node_error(&error))?;
        answer::mask(&mut answer.body, &cx.redactor());
        Ok(answer)
    }

    fn client(&self) -> Result<&WebClient, NodeError> {
        if self.client.get().is_none() {
            let made = WebClient::new().map_err(|error| node_error(&error))?;
            return Ok(self.client.get_or_init(|| made));
        }
        self.client.get().ok_or_else(offline)
    }
}

#[async_trait]
impl BoundStep<HttpNodeOutcome> for HttpStep {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput<HttpNodeOutcome>, NodeError> {
        let request = self.request()?;
        let exchange = cx.memo(WEB_EXCHANGE, &request, |number| self.ask(number, &request, cx));
        let answer: WebAnswer = tokio::select! {
            answer = exchange => answer?,
            () = cx.cancelled() => return Err(NodeError::new("cancelled", "the request was given up")),
        };
        answer::output(&self.settings, &answer, cx)
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(if self.settings.only_reads() {
            World::Reads(ReadSet::default())
        } else {
            World::Effect
        })
    }

    async fn preview(&self, _: &RunHandle) -> Result<Preview, NodeError> {
        let request = self.request()?;
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        let headers = (!names.is_empty()).then(|| format!("headers: {}", names.join(", ")));
        let body = request.body.as_ref().map(|body| {
            let digest = Digest::of(body.as_bytes());
            format!("body: {} bytes, blake3 {digest}\n{body}", body.len())
        });
        let line = format!("{} {}", request.method, request.url);
        let shown = [line].into_iter().chain(headers).chain(body);
        Ok(Preview::new(shown.collect::<Vec<_>>().join("\n"))
            .facts(json!({ "request": request, "settings": self.settings })))
    }

    fn state(&self, _: &NodeContext) -> Result<Option<Value>, NodeError> {
        Ok(Some(json!(self.request()?)))
    }
}

fn unbounded_value(url: &str) -> NodeError {
    let message = format!("`{url}` is not in the definition, and nothing says which hosts may be asked");
    NodeError::new("allowed_hosts", message)
        .with_hint("write `allowed_hosts: [HOST]` into the definition")
        .permanent()
}

fn offline() -> NodeError {
    let message = "no server is asked in this run, and no recorded answers were given to it";
    NodeError::new("offline", message)
        .with_hint("replay a run that has the answer, or run without recorded answers")
        .permanent()
}

fn node_error(error: &WebError) -> NodeError {
    let mut failed = NodeError::from_error(error.code(), error);
    if let Some(hint) = error.hint() {
        failed = failed.with_hint(hint);
    }
    if error.is_retryable() {
        failed
    } else {
        failed.permanent()
    }
}
