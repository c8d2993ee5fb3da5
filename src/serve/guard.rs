//! What every request passes: who asks, and in whose words a refusal is told.

use super::daytona::{signature, storage};
use super::failure::Failure;
use super::{App, e2b, previews, ui};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The body is written where the request is known.
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl Failure {
    /// The body that Daytona's clients read.
    pub fn body(&self, method: &str, path: &str, source: &str) -> serde_json::Value {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        json!({
            "statusCode": self.status.as_u16(),
            "message": self.message,
            "code": self.code.unwrap_or_else(|| generic(self.status)),
            "source": source,
            "error": self.status.canonical_reason().unwrap_or_default(),
            "path": path,
            "method": method,
            "timestamp": crate::verbs::text::time(now),
        })
    }
}

/// The word of a status, where there is none that is more exact.
fn generic(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "BAD_REQUEST",
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        408 | 504 => "REQUEST_TIMEOUT",
        409 => "CONFLICT",
        410 => "GONE",
        422 => "UNPROCESSABLE_ENTITY",
        _ => "INTERNAL_SERVER_ERROR",
    }
}

/// No route is called so.
pub async fn no_such_route(method: Method, uri: Uri) -> Failure {
    Failure::not_found(format!("Cannot {method} {}", uri.path().escape_debug()))
}

/// Lets a request through, or says why not. A panic is answered here too, and ends nothing but that request.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = async {
        match admit(&app, request).await {
            Ok(Admitted::Ours(request)) => next.run(*request).await,
            Ok(Admitted::Preview(response)) => *response,
            Err(failure) => failure.into_response(),
        }
    };
    let response = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of belljar's own: the server has printed where")
            .into_response()
    });
    let Some(failure) = response.extensions().get::<Arc<Failure>>() else { return response };
    if e2b::is_connect(&path) {
        return (failure.status, Json(e2b::connect::body(failure))).into_response();
    }
    if storage::is_storage(&path) {
        return (failure.status, [(header::CONTENT_TYPE, "application/xml")], storage::body(failure)).into_response();
    }
    if e2b::is_interpreter(&path) {
        return (failure.status, failure.message.clone()).into_response();
    }
    if e2b::is_control(&path) || e2b::is_inside(&path) {
        return (failure.status, Json(json!({ "code": failure.status.as_u16(), "message": failure.message })))
            .into_response();
    }
    let source = if path.contains("/toolbox/") { "DAYTONA_DAEMON" } else { "DAYTONA_API" };
    (failure.status, Json(failure.body(method.as_str(), &path, source))).into_response()
}

enum Admitted {
    Ours(Box<Request>),
    Preview(Box<Response>),
}

async fn admit(app: &Arc<App>, request: Request) -> Result<Admitted, Failure> {
    if let Some(wanted) = previews::wanted(request.uri(), request.headers()) {
        if !app.access.is_ours(&wanted.host) {
            return Err(Failure::new(StatusCode::FORBIDDEN, "this is no name of this server"));
        }
        return previews::answer(app, wanted, request).await.map(|response| Admitted::Preview(Box::new(response)));
    }
    app.access.admit(request.uri(), request.headers())?;
    // No name and no path has one, and no call of the system takes one.
    if request.uri().path_and_query().is_some_and(|whole| whole.as_str().contains("%00")) {
        return Err(Failure::bad("the address has a character with the number 0"));
    }
    // Whether a sandbox runs is asked there too, and not everybody's to know.
    let open = matches!(request.uri().path(), "/health" | "/api/health") && !e2b::names_one(request.headers());
    let open = open || (app.has_page && request.method() == Method::GET && ui::is_open(request.uri().path()));
    // There it is said over the websocket.
    let open = open || request.uri().path() == "/api/socket.io/";
    if !open
        && !app.access.knows(request.headers())
        && !e2b::knows(app, request.uri(), request.headers())
        && !storage::knows(app, request.uri(), request.headers())
        && !signature::is_signed(app, request.method(), request.uri()).await?
        && !e2b::is_signed(app, request.method(), request.uri()).await?
    {
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "the token is missing or wrong: `belljar serve` shows where it is",
        ));
    }
    Ok(Admitted::Ours(Box::new(request)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::connections::{self, Place};
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    /// What a server with one route that has a fault, and one that has none, answers to three requests.
    #[test]
    fn a_panic_is_answered_with_500_in_the_clients_words_and_ends_nothing_else() {
        let app = Arc::new(App::for_tests());
        let fault = || async {
            assert!(std::env::args_os().count() == 0, "a fault of a test");
            "unreachable"
        };
        let router = axum::Router::new()
            .route("/api/fault", axum::routing::get(fault))
            .route("/health", axum::routing::get(|| async { "well" }))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), guard))
            .with_state(app);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(connections::serve(Place::Tcp(listener, None), router));
        // One that was there before, one with the fault, and the first again.
        let mut before = TcpStream::connect(address).unwrap();
        let ask = |stream: &mut TcpStream, path: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n\r\n", "t".repeat(20));
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        };
        assert!(ask(&mut before, "/health").ends_with("well"));
        let told = ask(&mut TcpStream::connect(address).unwrap(), "/api/fault");
        assert!(told.starts_with("HTTP/1.1 500 ") && told.contains("\"code\":\"INTERNAL_SERVER_ERROR\""), "{told}");
        assert!(ask(&mut before, "/health").ends_with("well"));
    }
}
