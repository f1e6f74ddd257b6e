//! Access: a request is answered if it belongs to a session of this server, comes from its own page, and is for its own name.
//!
//! A web page of another origin can send requests to every port of this machine. It has no session key, its requests name their
//! origin, and if it has bound a name of its own to this machine the `Host` is not one of this server.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::error::ApiError;
use super::page::session_page;
use super::session::{Session, is_same};
use super::state::{Shared, Viewer};

/// The header with the key of the session.
const SESSION: HeaderName = HeaderName::from_static("x-dhenara-session");

/// The policy of the page: nothing but its own files.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The address that begins a session.
const BEGIN: &str = "/session";

/// The addresses that want no session, because they hold no data.
const NO_DATA: [&str; 4] = ["/", "/assets/page.css", "/assets/page.js", BEGIN];

/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 1024;

/// Refuses requests that do not come from the page of this server, and says in each answer what a browser may do with it.
pub(super) async fn guard(State(view): Shared, request: Request, next: Next) -> Response {
    let allowed = check(&view, &request);
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    response
}

fn check(view: &Viewer, request: &Request) -> Result<(), ApiError> {
    let (path, headers) = (request.uri().path(), request.headers());
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let session = view.session.as_ref();
    if session.is_some_and(|session| session.hosts.iter().all(|known| known != host)) {
        let message = format!("the request is for the host `{host}`, which is not this server");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "host", message)
            .hint("open the address that the server printed"));
    }
    let begins_session = session.is_some() && request.method() == Method::POST && path == BEGIN;
    let is_own = |origin: &str| {
        let name = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        // A page from a file, as the one that opens the session, has no origin.
        name == Some(host) || (begins_session && origin == "null")
    };
    let is_foreign = text(header::ORIGIN).is_some_and(|origin| !is_own(origin));
    let is_cross_site = text(HeaderName::from_static("sec-fetch-site")) == Some("cross-site");
    if is_foreign || (is_cross_site && !begins_session && path != "/") {
        let message = "the request comes from the page of another site";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "origin", message));
    }
    let has_key = |session: &Session| text(SESSION).is_some_and(|key| is_same(&session.key, key));
    if NO_DATA.contains(&path) || session.is_none_or(has_key) {
        return Ok(());
    }
    let message = "the request has no key of a session of this server";
    let program = &view.options.program;
    Err(
        ApiError::new(StatusCode::UNAUTHORIZED, "session", message).hint(format!(
            "open the file that `{program} view` named, or start the command again"
        )),
    )
}

/// Gives the key of the session to the file that the command wrote.
pub(super) async fn open_session(State(view): Shared, body: Body) -> Result<Html<String>, ApiError> {
    let refused = || {
        let message = "the code of the session was used already, or is not of this server";
        let program = &view.options.program;
        ApiError::new(StatusCode::FORBIDDEN, "code", message).hint(format!(
            "open the file that `{program} view` named again, or start the command again"
        ))
    };
    let session = view.session.as_ref().ok_or_else(refused)?;
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| refused())?;
    let given = std::str::from_utf8(&body)
        .ok()
        .and_then(|body| body.strip_prefix("code="));
    let key = given.and_then(|code| session.redeem(code)).ok_or_else(refused)?;
    Ok(Html(session_page(key)))
}
