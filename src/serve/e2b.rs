//! E2B's API, as its official clients use it: the control plane, and what is inside each sandbox, at one port.
//!
//! A request for a sandbox names it by a header, and proves by that sandbox's own token that it may; the server's token opens all.
//! What only these clients say of a sandbox is a label of it, [`record::LABEL`].

pub mod connect;
mod files;
mod interpreter;
mod processes;
mod record;
mod sandboxes;
mod terminals;
mod watchers;

pub use processes::Processes;
pub use record::is_public;

use super::App;
use super::failure::{Answer, Failure};
use super::routes::Routes;
use axum::extract::{DefaultBodyLimit, Query};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use record::Sandbox;
use std::collections::HashMap;
use subtle::ConstantTimeEq as _;

/// The largest body of a request that is no file: what is typed comes in pieces.
const LARGEST: usize = 16 << 20;
/// The header that names a sandbox.
const SANDBOX: &str = "e2b-sandbox-id";
/// Headers that carry a sandbox's token.
const TOKENS: [&str; 2] = ["x-access-token", "e2b-traffic-access-token"];

/// All routes.
pub fn routes() -> Routes {
    let small = Routes::default()
        .post("/sandboxes", sandboxes::create)
        .get("/sandboxes?metadata&state&limit&nextToken", sandboxes::list)
        .post("/v2/sandboxes", sandboxes::create)
        .get("/v2/sandboxes?metadata&state&limit&nextToken", sandboxes::list)
        .get("/sandboxes/{id}", sandboxes::get)
        .delete("/sandboxes/{id}", sandboxes::kill)
        .post("/sandboxes/{id}/timeout", sandboxes::set_timeout)
        .post("/sandboxes/{id}/connect", sandboxes::connect)
        .post("/v2/sandboxes/{id}/connect", sandboxes::connect)
        .post("/sandboxes/{id}/resume", sandboxes::connect)
        .post("/sandboxes/{id}/pause", sandboxes::pause)
        .get("/sandboxes/{id}/metrics", sandboxes::metrics)
        .put("/sandboxes/{id}/network", sandboxes::set_network)
        .post("/sandboxes/{id}/snapshots", sandboxes::snapshot)
        .delete("/templates/{name}", sandboxes::remove_snapshot)
        .post("/sandboxes/{id}/fork", no_forks)
        .get("/snapshots", no_lists_of_snapshots)
        .get("/volumes", no_volumes)
        .post("/volumes", no_volumes)
        .get("/volumes/{id}", no_volumes)
        .delete("/volumes/{id}", no_volumes)
        .get("/secrets", no_secrets)
        .post("/secrets", no_secrets)
        .get("/secrets/{id}", no_secrets)
        .post("/secrets/{id}", no_secrets)
        .delete("/secrets/{id}", no_secrets)
        .post("/v3/templates", no_builds)
        .settled()
        .post("/execute", interpreter::execute)
        .get("/contexts", interpreter::list)
        .post("/contexts", interpreter::create)
        .delete("/contexts/{id}", interpreter::remove)
        .post("/contexts/{id}/restart", interpreter::restart)
        .post("/process.Process/{call}", processes::answer)
        .post("/filesystem.Filesystem/{call}", files::answer)
        .limited(DefaultBodyLimit::max(LARGEST));
    let large = Routes::default()
        .get("/files?path!&username&signature&signature_expiration", files::read)
        .post("/files?path&username&signature&signature_expiration", files::write)
        .limited(DefaultBodyLimit::disable());
    small.and(large)
}

async fn no_forks() -> Failure {
    Failure::not_here("fork: the memory of a sandbox cannot be copied; its files can, by `create_snapshot`")
}

async fn no_lists_of_snapshots() -> Failure {
    Failure::not_here("snapshots: they are images, which `belljar image ls` lists")
}

async fn no_volumes() -> Failure {
    Failure::not_here("volumes: `belljar volume create` makes one, which `volumeMounts` can show by its name")
}

async fn no_secrets() -> Failure {
    Failure::not_here("secrets: nothing here stands in for them on the way out; give them in `envs`")
}

async fn no_builds() -> Failure {
    Failure::not_here("templates: they are images, which `belljar image build` makes and `belljar image pull` fetches")
}

/// Whether a path is about what is in a sandbox.
pub fn is_inside(path: &str) -> bool {
    is_connect(path) || is_interpreter(path) || matches!(path, "/files" | "/health")
}

/// Whether a path is the code interpreter's, which answers errors as text.
pub fn is_interpreter(path: &str) -> bool {
    matches!(path, "/execute" | "/contexts") || path.starts_with("/contexts/")
}

/// Whether a path is answered in the manner of [`connect`].
pub fn is_connect(path: &str) -> bool {
    path.starts_with("/process.Process/") || path.starts_with("/filesystem.Filesystem/")
}

/// Whether a path is one of the control plane's.
pub fn is_control(path: &str) -> bool {
    ["/sandboxes", "/v2/sandboxes", "/templates", "/snapshots", "/volumes", "/secrets", "/v3/templates"]
        .iter()
        .any(|ours| path.starts_with(ours))
}

/// The token of one sandbox.
fn token_of(app: &App, id: &str) -> String {
    app.previews.token(&format!("e2b:{id}"), app.access.token())
}

/// The sandbox that a request names, as it names it.
fn named(headers: &HeaderMap) -> Option<&str> {
    headers.get(SANDBOX)?.to_str().ok()
}

/// Whether a request names a sandbox.
pub fn names_one(headers: &HeaderMap) -> bool {
    headers.contains_key(SANDBOX)
}

/// Whether the address of a file has the signature of its sandbox.
///
/// # Errors
///
/// It has one that does not hold.
pub async fn is_signed(app: &App, method: &Method, uri: &Uri) -> Answer<bool> {
    if uri.path() != "/files" {
        return Ok(false);
    }
    let Ok(Query(query)) = Query::<HashMap<String, String>>::try_from_uri(uri) else { return Ok(false) };
    files::signed(app, &query, method).await.map(|sandbox| sandbox.is_some())
}

/// Whether a request is about the inside of a sandbox whose token it has.
pub fn knows(app: &App, uri: &Uri, headers: &HeaderMap) -> bool {
    named(headers).filter(|_| is_inside(uri.path())).is_some_and(|id| has_token(app, id, headers))
}

/// Whether a request has the token of that sandbox.
pub fn has_token(app: &App, id: &str, headers: &HeaderMap) -> bool {
    let right = token_of(app, id);
    let given = TOKENS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    given.fold(false, |found, words| found | bool::from(words.as_bytes().ct_eq(right.as_bytes())))
}

/// Takes off what proves who asks.
pub fn without_token(headers: &mut HeaderMap) {
    TOKENS.iter().for_each(|name| drop(headers.remove(*name)));
}

/// The sandbox that a request is about, which has to run.
async fn inside(app: &App, headers: &HeaderMap) -> Answer<Sandbox> {
    let id = named(headers).ok_or_else(|| Failure::bad("the header `E2b-Sandbox-Id` is missing"))?;
    let gone = || Failure::new(StatusCode::BAD_GATEWAY, "The sandbox was not found").code("unavailable");
    let sandbox = record::find(app, id).await.map_err(|_| gone())?;
    if sandbox.is_running() { Ok(sandbox) } else { Err(gone()) }
}

/// `GET /health` with a sandbox: whether it runs.
///
/// # Errors
///
/// It does not.
pub async fn health(app: &App, headers: &HeaderMap) -> Option<Answer<StatusCode>> {
    named(headers)?;
    Some(inside(app, headers).await.map(|_| StatusCode::NO_CONTENT))
}
