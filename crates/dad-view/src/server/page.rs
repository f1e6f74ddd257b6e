//! The page and its files, which hold no data.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::state::Shared;
use crate::assets;

/// The module that the page of all runs begins with.
const SERVED: &str = "served.js";

/// The page; its script asks for the runs.
pub(super) async fn index(State(view): Shared) -> Html<String> {
    let access = if view.session.is_some() { "session" } else { "open" };
    Html(page(&format!(
        "<meta name=\"dhenara-view\" content=\"{access}\">\n"
    )))
}

/// The page that has its script keep the key of the session.
pub(super) fn session_page(key: &str) -> String {
    page(&format!("<meta name=\"dhenara-session\" content=\"{key}\">\n"))
}

/// The page has no picture for its tab, so that no browser asks for one without the key.
fn page(elements: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{}{elements}\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"assets/page.css\">\n\
         <script type=\"module\" src=\"assets/page.js\"></script>\n</head>\n<body>\n{}</body>\n</html>\n",
        assets::head_elements("Runs"),
        assets::BODY
    )
}

/// The style of the page.
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", assets::style())
}

/// The modules of the page as one.
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", assets::script(SERVED))
}

fn file(kind: &'static str, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

/// The file that a browser opens to begin a session: it posts the code, which stands in no address.
pub(super) fn session_file(address: SocketAddr, code: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Runs</title>\n</head>\n<body>\n\
         <form method=\"post\" action=\"http://{address}/session\">\n\
         <input type=\"hidden\" name=\"code\" value=\"{code}\">\n<button>Look at the runs</button>\n</form>\n\
         <script>document.forms[0].submit();</script>\n</body>\n</html>\n"
    )
}
