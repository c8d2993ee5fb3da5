//! Daytona's API, as its official clients use it: the control plane below `/api`, and the toolbox of each sandbox.
//!
//! A handler reads what a client asks, asks verbs for it, and tells the answer in the client's words. Whatever is here and lasts
//! is a sandbox, its labels, an image or a volume. Where belljar cannot do something, the answer is the error that the client has
//! a type for.

pub mod files;
mod git;
pub mod images;
mod interpreter;
mod lsp;
mod process;
mod record;
pub mod sandboxes;
mod sessions;
pub mod signature;
mod snapshots;
mod system;
pub mod terminals;
mod volumes;

pub use process::{env_of, text_of};
pub use record::Sandbox;

use super::App;
use super::failure::{Answer, Failure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest body of a request that is no file.
const LARGEST: usize = 16 << 20;

/// A body of JSON, whatever its type is called: some clients forget to say.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|why| Failure::new(why.status(), why.body_text()))?;
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        let wrong = |why: String| Failure::bad(format!("the body: {why}")).code("INVALID_REQUEST_BODY");
        // A list would be taken for the fields of an object in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(wrong("it is no object of JSON".to_owned()));
        }
        serde_json::from_slice(bytes).map(Body).map_err(|error| wrong(error.to_string()))
    }
}

/// All routes.
pub fn routes() -> Router<Arc<App>> {
    let api = control();
    // Where clients of all versions look for the toolbox.
    Router::new().nest("/api", api).nest("/toolbox/{id}", toolbox()).nest("/api/toolbox/{id}/toolbox", toolbox())
}

fn control() -> Router<Arc<App>> {
    Router::new()
        .route("/sandbox", post(sandboxes::create).get(snapshots::list_sandboxes))
        .route("/sandbox/paginated", get(snapshots::list_pages))
        .route("/sandbox/{s}", get(sandboxes::get).delete(sandboxes::delete))
        .route("/sandbox/{s}/resize", post(sandboxes::resize))
        .route("/sandbox/{s}/fork", post(sandboxes::fork))
        .route("/sandbox/{s}/snapshot", post(sandboxes::snapshot))
        .route("/sandbox/{s}/labels", put(sandboxes::set_labels))
        .route("/sandbox/{s}/network-settings", post(sandboxes::set_network))
        .route("/sandbox/{s}/secrets", put(no_secrets))
        .route("/sandbox/{s}/last-activity", post(sandboxes::touch))
        .route("/sandbox/{s}/toolbox-proxy-url", get(system::toolbox_url))
        .route("/sandbox/{s}/build-logs-url", get(system::no_build_logs))
        .route("/sandbox/{s}/signing-key", get(system::signing_key))
        .route("/sandbox/{s}/signing-key/rotate", post(system::rotate_signing_key))
        .route("/sandbox/{s}/ssh-access", post(no_ssh).delete(no_ssh))
        .route("/sandbox/{s}/ports/{port}/preview-url", get(system::preview))
        .route("/sandbox/{s}/ports/{port}/signed-preview-url", get(system::signed_preview))
        .route("/sandbox/{s}/ports/{port}/signed-preview-url/{token}/expire", post(system::expire_preview))
        .route("/sandbox/{s}/telemetry/metrics", get(system::telemetry))
        .route("/sandbox/{s}/{what}", post(sandboxes::act))
        .route("/sandbox/{s}/{setting}/{value}", post(sandboxes::set))
        .route("/sandbox/ssh-access/validate", get(no_ssh))
        .route("/config", get(system::config))
        .route("/snapshots", post(snapshots::create).get(snapshots::list))
        .route("/snapshots/{name}", get(snapshots::get).delete(snapshots::delete))
        .route("/snapshots/{name}/activate", post(snapshots::get))
        .route("/snapshots/{name}/build-logs-url", get(system::no_build_logs))
        .route("/volumes", post(volumes::create).get(volumes::list))
        .route("/volumes/by-name/{name}", get(volumes::get))
        .route("/volumes/{name}", get(volumes::get).delete(volumes::delete))
        .route("/secret", post(no_secrets).get(no_secrets))
        .route("/secret/{id}", get(no_secrets).patch(no_secrets).delete(no_secrets))
        .route("/warm-pools", post(no_warm_pools).get(no_warm_pools))
        .route("/warm-pools/{id}", delete(no_warm_pools).patch(no_warm_pools))
        .route("/object-storage/push-access", get(no_storage))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(LARGEST))
}

fn toolbox() -> Router<Arc<App>> {
    let small = Router::new()
        .route("/process/execute", post(process::execute))
        .route("/process/code-run", post(process::code_run))
        .route("/process/session", post(sessions::create).get(sessions::list))
        .route("/process/session/{session}", get(sessions::get).delete(sessions::delete))
        .route("/process/session/{session}/logs", get(sessions::entrypoint_logs))
        .route("/process/session/{session}/exec", post(sessions::exec))
        .route("/process/session/{session}/command/{job}", get(sessions::command))
        .route("/process/session/{session}/command/{job}/logs", get(sessions::logs))
        .route("/process/session/{session}/command/{job}/input", post(sessions::input))
        .route("/process/pty/create-connect", get(terminals::create_connect))
        .route("/process/pty", post(terminals::create).get(terminals::list))
        .route("/process/pty/{pty}", get(terminals::get).delete(terminals::delete))
        .route("/process/pty/{pty}/connect", get(terminals::connect))
        .route("/process/pty/{pty}/resize", post(terminals::resize))
        .route("/process/interpreter/context", get(interpreter::list).post(interpreter::create))
        .route("/process/interpreter/context/{context}", delete(interpreter::delete))
        .route("/process/interpreter/execute", get(interpreter::execute))
        .route("/files", get(files::list).delete(files::delete))
        .route("/files/", get(files::list).delete(files::delete))
        .route("/files/info", get(files::info))
        .route("/files/folder", post(files::folder))
        .route("/files/move", post(files::rename))
        .route("/files/permissions", post(files::permissions))
        .route("/files/find", get(files::find))
        .route("/files/search", get(files::search))
        .route("/files/replace", post(files::replace))
        .route("/lsp/start", post(lsp::start))
        .route("/lsp/stop", post(lsp::stop))
        .route("/lsp/did-open", post(lsp::open))
        .route("/lsp/did-close", post(lsp::close))
        .route("/lsp/completions", post(lsp::completions))
        .route("/lsp/document-symbols", get(lsp::document_symbols))
        .route("/lsp/workspacesymbols", get(lsp::workspace_symbols))
        .route("/git/status", get(git::status))
        .route("/git/branches", get(git::branches).post(git::create_branch).delete(git::delete_branch))
        .route("/git/checkout", post(git::checkout))
        .route("/git/clone", post(git::clone))
        .route("/git/init", post(git::init))
        .route("/git/add", post(git::add))
        .route("/git/commit", post(git::commit))
        .route("/git/push", post(git::push))
        .route("/git/pull", post(git::pull))
        .route("/git/history", get(git::history))
        .route("/git/reset", post(git::reset))
        .route("/git/restore", post(git::restore))
        .route("/git/remotes", get(git::remotes).post(git::add_remote))
        .route("/git/config", get(git::get_config).post(git::set_config))
        .route("/git/config/user", post(git::set_user))
        .route("/git/credentials", post(git::no_credentials))
        .route("/user-home-dir", get(system::home))
        .route("/project-dir", get(system::home))
        .route("/work-dir", get(system::work_dir))
        .route("/env", post(system::update_env))
        .route("/version", get(system::version))
        .route("/system/metrics", get(system::metrics))
        .route("/port", get(system::ports))
        .route("/port/{port}/in-use", get(system::port_in_use))
        .layer(DefaultBodyLimit::max(LARGEST));
    let large = Router::new()
        .route("/files/bulk-upload", post(files::bulk_upload))
        .route("/files/bulk-download", post(files::bulk_download))
        .route("/files/download", get(files::download))
        .route("/files/upload", post(files::upload))
        .route("/files/upload-v2", post(files::upload))
        .layer(DefaultBodyLimit::disable());
    small.merge(large).fallback(no_such_tool)
}

/// `GET /api/health`.
pub async fn health() -> axum::Json<Value> {
    axum::Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn no_secrets() -> Failure {
    Failure::not_here(
        "secrets: nothing here stands in for them on the way out; give them in `env`, or allow only the host that needs them",
    )
}

async fn no_warm_pools() -> Failure {
    Failure::not_here("warm pools: sandboxes are made in milliseconds, and none wait")
}

async fn no_storage() -> Failure {
    Failure::not_here(
        "files of a build context: there is no object storage; upload them into the sandbox, or build an image by `belljar image build`",
    )
}

async fn no_ssh() -> Failure {
    Failure::not_here("ssh: no server listens for it; use a terminal (`create_pty_session`), or `belljar exec -t`")
}

async fn no_such_tool(request: Request) -> Failure {
    let path = request.uri().path().to_owned();
    if path.contains("/computeruse") {
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, "computer use: sandboxes have no screen")
            .code("A11Y_UNAVAILABLE");
    }
    Failure::not_found(format!("there is no `{}`", path.escape_debug()))
}

/// A parameter of a query that must be there.
fn needed<'q>(query: &'q std::collections::HashMap<String, String>, key: &str) -> Answer<&'q str> {
    query
        .get(key)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Failure::bad(format!("{key}: is missing")))
}
