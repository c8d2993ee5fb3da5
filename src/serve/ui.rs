//! `belljar serve --ui`: one page to look at sandboxes and type into them.
//!
//! It needs nothing but this server: no build step, no other machine, and its policy of content (CSP) has the browser refuse any.
//! Everybody may load it; what it asks needs the token, or the key that the server makes anew at each start and shows in the page's
//! address, behind `#`, where no server and no log sees it.

use super::App;
use super::daytona::Body;
use super::failure::{Answer, Failure};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What a page offers beside the protocol of a websocket, with the token behind it: it cannot set headers there.
const OFFERED: &str = "belljar-token.";
/// The browser asks nobody but us, runs no code but ours, and shows us in no other page. The terminal writes styles of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The largest request.
const LARGEST: usize = 1 << 20;
/// What the page asks for, each with the parameters that it gives: nothing that leads to the machine's own files or network.
const METHODS: [(&str, &[&str]); 13] = [
    ("create", &["image", "keep", "net"]),
    ("fs.cat", &["length", "path", "sandbox"]),
    ("fs.ls", &["path", "sandbox"]),
    ("image.ls", &[]),
    ("inspect", &["name"]),
    ("ls", &[]),
    ("net.log", &["name"]),
    ("pty.resize", &["columns", "id", "rows", "sandbox"]),
    ("rm", &["force", "name"]),
    ("session.rm", &["id", "sandbox"]),
    ("start", &["name"]),
    ("stats", &["name"]),
    ("stop", &["name"]),
];
/// The networks that it offers: a word for more would be a file or the host's own.
const NETWORKS: [&str; 2] = ["none", "open"];

/// The files of the page.
const FILES: [(&str, &str, &str); 6] = [
    ("/ui/", "text/html; charset=utf-8", include_str!("ui/page.html")),
    ("/ui/page.css", "text/css; charset=utf-8", include_str!("ui/page.css")),
    ("/ui/page.mjs", "text/javascript; charset=utf-8", include_str!("ui/page.mjs")),
    ("/ui/xterm.css", "text/css; charset=utf-8", include_str!("ui/xterm.css")),
    ("/ui/xterm.mjs", "text/javascript; charset=utf-8", include_str!("ui/xterm.mjs")),
    ("/ui/fit.mjs", "text/javascript; charset=utf-8", include_str!("ui/fit.mjs")),
];

/// Its routes. They are the page's alone, and may change with it.
pub fn routes() -> Router<Arc<App>> {
    let mut all = Router::new()
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/call", post(call).layer(axum::middleware::from_fn(super::routes::to_its_end)))
        .route("/ui/terminal/{id}", get(super::daytona::terminals::create_connect))
        .layer(DefaultBodyLimit::max(LARGEST));
    for (path, kind, text) in FILES {
        all = all.route(path, get(move || async move { file(kind, text) }));
    }
    all
}

/// Whether a path may be asked for without a token.
pub fn is_open(path: &str) -> bool {
    path == "/ui" || FILES.iter().any(|(file, ..)| *file == path)
}

/// The token that a page offers for a websocket.
pub fn offered(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|word| word.trim().strip_prefix(OFFERED))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let said = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the server has other files.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in said {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What the page wants done.
#[derive(Debug, Deserialize)]
struct Wanted {
    method: String,
    #[serde(default)]
    params: serde_json::Map<String, Value>,
}

/// `POST /ui/call`: one of the verbs that the page has buttons for.
async fn call(State(app): State<Arc<App>>, Body(wanted): Body<Wanted>) -> Answer<Json<Value>> {
    let refused = |why: String| Err(Failure::new(StatusCode::FORBIDDEN, why));
    let Some((_, known)) = METHODS.iter().find(|(method, _)| *method == wanted.method) else {
        return refused(format!("method: `{}` is none of the page's", wanted.method.escape_debug()));
    };
    if let Some(key) = wanted.params.keys().find(|key| !known.contains(&key.as_str())) {
        return refused(format!("params: `{}` is none of the page's", key.escape_debug()));
    }
    if wanted.params.get("net").is_some_and(|net| !NETWORKS.iter().any(|known| net == known)) {
        return refused("params: net: must be `none` or `open`".to_owned());
    }
    Ok(Json(app.backend.call(&wanted.method, Value::Object(wanted.params)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_itself_is_everybodys_and_nothing_else_is() {
        for path in ["/ui", "/ui/", "/ui/page.mjs", "/ui/xterm.css"] {
            assert!(is_open(path), "{path}");
        }
        for path in ["/ui/call", "/ui/terminal/x", "/ui/other", "/ui/../api/sandbox", "/"] {
            assert!(!is_open(path), "{path}");
        }
    }

    #[test]
    fn a_page_offers_its_token_among_the_protocols_of_a_websocket() {
        let mut headers = HeaderMap::new();
        assert_eq!(offered(&headers), None);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, "X-Other, belljar-token.abc".parse().unwrap());
        assert_eq!(offered(&headers), Some("abc"));
    }

    #[test]
    fn the_page_names_no_other_machine() {
        for (path, _, text) in FILES.iter().filter(|(path, ..)| path.contains("page") || *path == "/ui/") {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("//cdn"), "{path}");
        }
    }
}
