//! Daytona's API, as its official clients use it: the control plane below `/api`, and the toolbox of each sandbox.
//!
//! A handler reads what a client asks, asks verbs for it, and tells the answer in the client's words. Whatever is here and lasts
//! is a sandbox, its labels, an image or a volume. Where belljar cannot do something, the answer is the error that the client has
//! a type for.

mod build;
mod dockerfile;
pub mod events;
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
pub mod storage;
mod system;
pub mod terminals;
mod volumes;
pub mod ways;

pub use process::{env_of, text_of};
pub use record::Sandbox;

use super::App;
use super::failure::{Answer, Failure};
use super::routes::Routes;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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
pub fn routes() -> Routes {
    // Where clients of all versions look for the toolbox.
    Routes::default()
        .below("/api", control())
        .below("/toolbox/{id}", toolbox())
        .also("/api/toolbox/{id}/toolbox", toolbox())
}

fn control() -> Routes {
    Routes::default()
        .post("/sandbox", sandboxes::create)
        .get("/sandbox?cursor&limit&labels&name&states&sort&order", snapshots::list_sandboxes)
        .get("/sandbox/paginated", snapshots::list_pages)
        .get("/sandbox/{s}", sandboxes::get)
        .delete("/sandbox/{s}?force", sandboxes::delete)
        .post("/sandbox/{s}/resize", sandboxes::resize)
        .post("/sandbox/{s}/fork", sandboxes::fork)
        .post("/sandbox/{s}/snapshot", sandboxes::snapshot)
        .put("/sandbox/{s}/labels", sandboxes::set_labels)
        .post("/sandbox/{s}/network-settings", sandboxes::set_network)
        .put("/sandbox/{s}/secrets", no_secrets)
        .post("/sandbox/{s}/last-activity", sandboxes::touch)
        .get("/sandbox/{s}/toolbox-proxy-url", system::toolbox_url)
        .get("/sandbox/{s}/build-logs-url", system::no_build_logs)
        .get("/sandbox/{s}/signing-key", system::signing_key)
        .post("/sandbox/{s}/signing-key/rotate", system::rotate_signing_key)
        .post("/sandbox/{s}/ssh-access", no_ssh)
        .delete("/sandbox/{s}/ssh-access", no_ssh)
        .get("/sandbox/{s}/ports/{port}/preview-url", system::preview)
        .get("/sandbox/{s}/ports/{port}/signed-preview-url?expiresInSeconds", system::signed_preview)
        .post("/sandbox/{s}/ports/{port}/signed-preview-url/{token}/expire", system::expire_preview)
        .get("/sandbox/{s}/telemetry/metrics", system::telemetry)
        .post("/sandbox/{s}/{what}", sandboxes::act)
        .post("/sandbox/{s}/{setting}/{value}", sandboxes::set)
        .get("/sandbox/ssh-access/validate", no_ssh)
        .get("/config", system::config)
        .post("/snapshots", snapshots::create)
        .get("/snapshots?page&limit", snapshots::list)
        .get("/snapshots/{name}", snapshots::get)
        .delete("/snapshots/{name}", snapshots::delete)
        .post("/snapshots/{name}/activate", snapshots::get)
        .get("/snapshots/{name}/build-logs-url", system::no_build_logs)
        .post("/volumes", volumes::create)
        .get("/volumes", volumes::list)
        .get("/volumes/by-name/{name}", volumes::get)
        .get("/volumes/{name}", volumes::get)
        .delete("/volumes/{name}", volumes::delete)
        .post("/secret", no_secrets)
        .get("/secret", no_secrets)
        .get("/secret/{id}", no_secrets)
        .patch("/secret/{id}", no_secrets)
        .delete("/secret/{id}", no_secrets)
        .post("/warm-pools", no_warm_pools)
        .get("/warm-pools", no_warm_pools)
        .delete("/warm-pools/{id}", no_warm_pools)
        .patch("/warm-pools/{id}", no_warm_pools)
        .get("/object-storage/push-access", storage::access)
        .get("/socket.io/?EIO&transport", events::connect)
        .get("/health", health)
        .settled()
        .limited(DefaultBodyLimit::max(LARGEST))
}

fn toolbox() -> Routes {
    let small = Routes::default()
        .post("/process/execute", process::execute)
        .post("/process/code-run", process::code_run)
        .post("/process/session", sessions::create)
        .get("/process/session", sessions::list)
        .get("/process/session/{session}", sessions::get)
        .delete("/process/session/{session}", sessions::delete)
        .get("/process/session/{session}/logs", sessions::entrypoint_logs)
        .post("/process/session/{session}/exec", sessions::exec)
        .get("/process/session/{session}/command/{job}", sessions::command)
        .get("/process/session/{session}/command/{job}/logs?follow", sessions::logs)
        .post("/process/session/{session}/command/{job}/input", sessions::input)
        .get("/process/pty/create-connect?id!&cols&rows&cwd", terminals::create_connect)
        .post("/process/pty", terminals::create)
        .get("/process/pty", terminals::list)
        .get("/process/pty/{pty}", terminals::get)
        .delete("/process/pty/{pty}", terminals::delete)
        .get("/process/pty/{pty}/connect", terminals::connect)
        .post("/process/pty/{pty}/resize", terminals::resize)
        .get("/process/interpreter/context", interpreter::list)
        .post("/process/interpreter/context", interpreter::create)
        .delete("/process/interpreter/context/{context}", interpreter::delete)
        .get("/process/interpreter/execute", interpreter::execute)
        .get("/files?path&depth", files::list)
        .delete("/files?path!&recursive", files::delete)
        .get("/files/?path&depth", files::list)
        .delete("/files/?path!&recursive", files::delete)
        .get("/files/info?path!", files::info)
        .post("/files/folder?path!&mode", files::folder)
        .post("/files/move?source!&destination!", files::rename)
        .post("/files/permissions?path!&mode&owner&group", files::permissions)
        .get("/files/find?path!&pattern!", files::find)
        .get("/files/search?path!&pattern!", files::search)
        .post("/files/replace", files::replace)
        .post("/lsp/start", lsp::start)
        .post("/lsp/stop", lsp::stop)
        .post("/lsp/did-open", lsp::open)
        .post("/lsp/did-close", lsp::close)
        .post("/lsp/completions", lsp::completions)
        .get("/lsp/document-symbols?languageId!&pathToProject!&uri!", lsp::document_symbols)
        .get("/lsp/workspacesymbols?languageId!&pathToProject!&query", lsp::workspace_symbols)
        .get("/git/status?path!", git::status)
        .get("/git/branches?path!", git::branches)
        .post("/git/branches", git::create_branch)
        .delete("/git/branches", git::delete_branch)
        .post("/git/checkout", git::checkout)
        .post("/git/clone", git::clone)
        .post("/git/init", git::init)
        .post("/git/add", git::add)
        .post("/git/commit", git::commit)
        .post("/git/push", git::push)
        .post("/git/pull", git::pull)
        .get("/git/history?path!", git::history)
        .post("/git/reset", git::reset)
        .post("/git/restore", git::restore)
        .get("/git/remotes?path!", git::remotes)
        .post("/git/remotes", git::add_remote)
        .get("/git/config?path&key!&scope", git::get_config)
        .post("/git/config", git::set_config)
        .post("/git/config/user", git::set_user)
        .post("/git/credentials", git::no_credentials)
        .get("/user-home-dir", system::home)
        .get("/project-dir", system::home)
        .get("/work-dir", system::work_dir)
        .post("/env", system::update_env)
        .get("/version", system::version)
        .get("/system/metrics", system::metrics)
        .get("/port", system::ports)
        .get("/port/{port}/in-use", system::port_in_use)
        .limited(DefaultBodyLimit::max(LARGEST));
    let large = Routes::default()
        .post("/files/bulk-upload", files::bulk_upload)
        .post("/files/bulk-download", files::bulk_download)
        .get("/files/download?path!", files::download)
        .post("/files/upload?path!", files::upload)
        .post("/files/upload-v2?path!", files::upload)
        .limited(DefaultBodyLimit::disable());
    small.and(large).otherwise(no_such_tool)
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
