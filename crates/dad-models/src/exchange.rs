//! One exchange with a provider over HTTP: the request is sent, and the answer read, whole or while it arrives.

use bytes::Bytes;
use dad_core::{ErrorInfo, Usage};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sse_stream::SseByteStream;

use crate::address::{proxy_note, server};
use crate::catalog::Auth;
use crate::client::OnText;
use crate::error::ModelError;
use crate::header::header;
use crate::protocol::{
    Asked, Outgoing, Refusal, Reply, StreamReader, read, refused, stream_reader, text_of_page,
};
use crate::response::ModelResponse;

/// The largest size of the body of a refusal: its words are short.
const REFUSAL_BYTES: u64 = 1 << 20;

/// An exchange with a provider.
pub(crate) struct Exchange<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) connections: reqwest::Client,
    pub(crate) key: Option<&'a SecretString>,
    pub(crate) idempotency_key: &'a str,
    /// The largest size of the answer, in MiB.
    pub(crate) answer_mib: u64,
}

impl Exchange<'_> {
    /// Makes the exchange.
    ///
    /// # Errors
    /// [`ModelError`], which says whether another may help.
    pub(crate) async fn make(
        &self,
        outgoing: Outgoing,
        on_text: Option<OnText<'_>>,
    ) -> Result<ModelResponse, ModelError> {
        let response = self.send(outgoing).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            // A body that breaks off has its status still.
            let body = self.whole(response.bytes_stream(), REFUSAL_BYTES).await;
            let body = body.unwrap_or_default();
            return Err(refused(
                &self.asked.request.model,
                status,
                &headers,
                &String::from_utf8_lossy(&body),
            ));
        }
        let reply = match on_text {
            Some(on_text) => self.arriving(response, is_json(&headers), on_text).await?,
            None => self.read(response.bytes_stream()).await?,
        };
        reply.response(self.asked.target, self.asked.request)
    }

    async fn send(&self, outgoing: Outgoing) -> Result<reqwest::Response, ModelError> {
        let url = self.address(&outgoing.path)?;
        let body = serde_json::to_vec(&outgoing.body).map_err(|error| self.unfit(error.to_string()))?;
        let mut headers = outgoing.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accepts = if self.asked.streams {
            "text/event-stream"
        } else {
            "application/json"
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accepts));
        if let Ok(key) = HeaderValue::from_str(self.idempotency_key) {
            headers.insert("idempotency-key", key);
        }
        self.add_headers(&mut headers)?;
        let sent = self.connections.post(url).headers(headers).body(body).send();
        sent.await.map_err(|error| self.failed(error))
    }

    /// The address of the request, with the parameters of the provider.
    fn address(&self, path: &str) -> Result<Url, ModelError> {
        let provider = &self.asked.target.provider;
        let address = Url::parse(&format!("{}{path}", provider.base_url));
        let mut address =
            address.map_err(|error| self.unfit(format!("its `base_url` is no address: {error}")))?;
        // Without parameters an empty query would be written.
        if !provider.query.is_empty() {
            address.query_pairs_mut().extend_pairs(&provider.query);
        }
        if let (Some(key), Auth::Query(name)) = (self.key, &provider.auth) {
            address.query_pairs_mut().append_pair(name, key.expose_secret());
        }
        Ok(address)
    }

    /// Adds the headers of the provider, and the key where it stands in one.
    fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), ModelError> {
        let provider = &self.asked.target.provider;
        for (name, value) in &provider.headers {
            let (name, value) =
                header(name, value).map_err(|reason| self.unfit(format!("its header `{name}`: {reason}")))?;
            headers.insert(name, value);
        }
        let Some(key) = self.key else { return Ok(()) };
        let (name, text) = match &provider.auth {
            Auth::Bearer => ("authorization", format!("Bearer {}", key.expose_secret())),
            Auth::Header(name) => (name.as_str(), key.expose_secret().to_owned()),
            Auth::Query(_) | Auth::None => return Ok(()),
        };
        let named = header(name, &text);
        let (name, mut value) = named
            .map_err(|reason| self.unfit(format!("its API key cannot be sent in `{name}`: {reason}")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }

    /// Reads the answer to a request for a stream. Servers that know no streams answer as a whole, whatever type they name: no event
    /// begins as JSON or a page does.
    async fn arriving(
        &self,
        response: reqwest::Response,
        is_whole: bool,
        on_text: OnText<'_>,
    ) -> Result<Reply, ModelError> {
        let mut pieces = Box::pin(response.bytes_stream());
        let mut begun = Vec::new();
        let first = loop {
            let Some(piece) = pieces.next().await else {
                break None;
            };
            let piece = piece.map_err(|error| self.failed(error))?;
            let first = piece.iter().copied().find(|byte| !byte.is_ascii_whitespace());
            begun.push(Ok(piece));
            if first.is_some() {
                break first;
            }
        };
        let pieces = stream::iter(begun).chain(pieces);
        if !(is_whole || matches!(first, Some(b'{' | b'[' | b'<'))) {
            return self.streamed(pieces, on_text).await;
        }
        let reply = self.read(pieces).await?;
        if !reply.text.is_empty() {
            on_text(&reply.text);
        }
        Ok(reply)
    }

    /// Reads an answer that comes as a whole.
    async fn read(
        &self,
        pieces: impl Stream<Item = reqwest::Result<Bytes>> + Unpin,
    ) -> Result<Reply, ModelError> {
        let body = self
            .whole(pieces, self.answer_mib.saturating_mul(1 << 20))
            .await?;
        let text = String::from_utf8_lossy(&body);
        if text.trim_start().starts_with('<') {
            return Err(self.no_model(&text));
        }
        let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| self.unusable(format!("it is not JSON: {error}{}", shown(&text))))?;
        read(self.asked.target.provider.protocol, body).map_err(|refusal| self.reported(refusal))
    }

    async fn whole(
        &self,
        mut pieces: impl Stream<Item = reqwest::Result<Bytes>> + Unpin,
        most: u64,
    ) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.failed(error))?;
            if body.len() as u64 + piece.len() as u64 > most {
                return Err(self.too_long());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Reads a stream. It is whole when its reason came, whatever its server says then.
    async fn streamed(
        &self,
        pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + Sync + 'static,
        on_text: OnText<'_>,
    ) -> Result<Reply, ModelError> {
        let mut reader = stream_reader(self.asked.target.provider.protocol);
        let mut left = self.answer_mib.saturating_mul(1 << 20);
        let pieces = pieces.map_err(StreamError::Connection);
        let pieces = pieces.and_then(move |piece| {
            let fits = left.checked_sub(piece.len() as u64);
            left = fits.unwrap_or(0);
            std::future::ready(fits.map(|_| piece).ok_or(StreamError::TooLong))
        });
        // The last event may lack the empty line behind it.
        let end = stream::once(std::future::ready(Ok(Bytes::from_static(b"\n\n"))));
        let mut events = SseByteStream::new(Box::pin(pieces.chain(end)));
        let mut has_begun = false;
        while let Some(event) = events.next().await {
            let taken = event.map_err(|error| self.broken(error)).and_then(|event| {
                let data = event.data.unwrap_or_default();
                self.take(&mut *reader, &data, on_text)
            });
            match taken {
                Ok(Taken::Event) => has_begun = true,
                Ok(Taken::Done) => break,
                Err(error @ ModelError::TooLong { .. }) => return Err(error),
                // The answer is there; only its usage may be missing.
                Err(_) if reader.is_finished() => break,
                Err(error) if has_begun => return Err(error.of_begun_answer()),
                Err(error) => return Err(error),
            }
        }
        if reader.is_finished() {
            Ok(reader.reply())
        } else {
            Err(self.cut("the stream ended before the answer did"))
        }
    }

    fn take(
        &self,
        reader: &mut dyn StreamReader,
        data: &str,
        on_text: OnText<'_>,
    ) -> Result<Taken, ModelError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(Taken::Event);
        }
        if data == "[DONE]" {
            reader.done();
            return Ok(Taken::Done);
        }
        let event: Value = serde_json::from_str(data).map_err(|error| {
            self.unusable(format!(
                "an event of its stream is not JSON: {error}{}",
                shown(data)
            ))
        })?;
        let text = reader.event(event).map_err(|refusal| self.reported(refusal))?;
        if !text.is_empty() {
            on_text(&text);
        }
        Ok(if reader.is_over() {
            Taken::Done
        } else {
            Taken::Event
        })
    }

    fn model(&self) -> &str {
        &self.asked.request.model
    }

    /// The error of a refusal that came with success.
    fn reported(&self, refusal: Refusal) -> ModelError {
        refusal.error(self.model(), self.asked.target.price.as_ref())
    }

    fn unfit(&self, reason: String) -> ModelError {
        ModelError::Request {
            model: self.model().to_owned(),
            reason,
        }
    }

    fn unusable(&self, reason: String) -> ModelError {
        ModelError::Answer {
            model: self.model().to_owned(),
            reason,
            usage: None,
            may_differ: true,
        }
    }

    /// The error of a page: what answers is a proxy or another server, no model, and costs nothing.
    fn no_model(&self, page: &str) -> ModelError {
        ModelError::Answer {
            model: self.model().to_owned(),
            reason: format!("it is {}; check its `base_url`", text_of_page(page)),
            usage: Some(Usage::default().calls(1)),
            may_differ: false,
        }
    }

    fn too_long(&self) -> ModelError {
        ModelError::TooLong {
            model: self.model().to_owned(),
            mib: self.answer_mib,
        }
    }

    fn cut(&self, reason: &str) -> ModelError {
        ModelError::Cut {
            model: self.model().to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// The error of a stream that could not be read on.
    fn broken(&self, error: sse_stream::Error) -> ModelError {
        match error {
            sse_stream::Error::Body(error) => match error.downcast::<StreamError>() {
                Ok(error) => match *error {
                    StreamError::Connection(error) => self.failed(error),
                    StreamError::TooLong => self.too_long(),
                },
                Err(error) => self.cut(&error.to_string()),
            },
            other => self.unusable(format!("its stream cannot be read: {other}")),
        }
    }

    /// The error of a connection, with the proxy that it would have gone through.
    fn failed(&self, error: reqwest::Error) -> ModelError {
        let model = self.model().to_owned();
        if error.is_timeout() && !error.is_connect() {
            return ModelError::Silent { model };
        }
        let address = &self.asked.target.provider.base_url;
        let reached = error.is_connect() || error.is_builder();
        let reason = ErrorInfo::from_error("", &error.without_url()).message;
        if reached {
            let reason = format!(
                "{reason}; it was asked at {}{}",
                server(address),
                proxy_note(address)
            );
            ModelError::Connection { model, reason }
        } else {
            ModelError::Cut { model, reason }
        }
    }
}

/// The outcome of an event.
enum Taken {
    Event,
    /// The server said that none follows.
    Done,
}

/// Why a stream ended before its end.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Connection(reqwest::Error),
    #[error("the answer is too long")]
    TooLong,
}

/// Whether a server answers as a whole although a stream was asked for.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.trim_start().starts_with("application/json"))
}

/// A text that is not what it should be, for messages. Its end is cut when its secrets are masked, and not before.
fn shown(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!("; it is `{text}`"),
    }
}
