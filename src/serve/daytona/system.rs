//! What a sandbox is asked besides: where it is, what it uses, which ports listen, and how they are seen.

use super::record::ORGANIZATION;
use super::{App, Body, sandboxes};
use crate::serve::access::unguessable;
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How long a signed preview holds, in seconds, unless somebody says otherwise; and at most.
const SIGNED: (u64, u64) = (60, 24 * 3600);

/// `GET /sandbox/{s}/toolbox-proxy-url`.
pub async fn toolbox_url(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<Value>> {
    sandboxes::find(&app, &word).await?;
    Ok(Json(json!({ "url": app.toolbox() })))
}

/// `GET /sandbox/{s}/build-logs-url`.
pub async fn no_build_logs(State(app): State<Arc<App>>) -> Json<Value> {
    // What a build says is said when it is over: it is done before its request is answered.
    Json(json!({ "url": format!("{}/build-logs", app.url) }))
}

/// `GET /sandbox/{s}/signing-key`: bare text in JSON.
pub async fn signing_key(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<String>> {
    let mut sandbox = sandboxes::find(&app, &word).await?;
    if let Some(key) = &sandbox.record.signing_key {
        return Ok(Json(key.clone()));
    }
    let key = unguessable()?;
    sandbox.record.signing_key = Some(key.clone());
    sandboxes::write(&app, &sandbox).await?;
    Ok(Json(key))
}

/// `POST /sandbox/{s}/signing-key/rotate`.
pub async fn rotate_signing_key(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<String>> {
    let mut sandbox = sandboxes::find(&app, &word).await?;
    let key = unguessable()?;
    sandbox.record.signing_key = Some(key.clone());
    sandboxes::write(&app, &sandbox).await?;
    Ok(Json(key))
}

fn port_of(port: &str) -> Answer<u16> {
    port.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Failure::bad(format!("`{}` is no port", port.escape_debug())))
}

/// `GET /sandbox/{s}/ports/{port}/preview-url`.
pub async fn preview(State(app): State<Arc<App>>, Path((word, port)): Path<(String, String)>) -> Answer<Json<Value>> {
    let port = port_of(&port)?;
    let sandbox = sandboxes::find(&app, &word).await?;
    let token = app.previews.token(sandbox.id(), app.access.token());
    // Who asks for the toolbox so puts another path behind its address, and not every resolver knows names below `localhost`.
    let is_toolbox = port == super::ways::TOOLBOX_PORT;
    let url = if is_toolbox { app.url.clone() } else { app.preview_url(port, sandbox.id()) };
    Ok(Json(json!({ "sandboxId": sandbox.id(), "url": url, "token": token })))
}

/// `GET /sandbox/{s}/ports/{port}/signed-preview-url`.
pub async fn signed_preview(
    State(app): State<Arc<App>>,
    Path((word, port)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Json<Value>> {
    let port = port_of(&port)?;
    let seconds = match query.get("expiresInSeconds") {
        None => SIGNED.0,
        Some(text) => {
            let wrong = || {
                Failure::bad(format!("expiresInSeconds: `{}` is no number from 1 to {}", text.escape_debug(), SIGNED.1))
            };
            text.parse().ok().filter(|seconds| (1..=SIGNED.1).contains(seconds)).ok_or_else(wrong)?
        }
    };
    let sandbox = sandboxes::find(&app, &word).await?;
    let token = app.previews.sign(sandbox.id(), port, seconds)?;
    let url = app.preview_url(port, &token);
    Ok(Json(json!({ "sandboxId": sandbox.id(), "port": port, "token": token, "url": url })))
}

/// `POST /sandbox/{s}/ports/{port}/signed-preview-url/{token}/expire`.
pub async fn expire_preview(
    State(app): State<Arc<App>>,
    Path((word, port, token)): Path<(String, String, String)>,
) -> Answer<StatusCode> {
    let port = port_of(&port)?;
    let sandbox = sandboxes::find(&app, &word).await?;
    app.previews.expire(sandbox.id(), port, &token)?;
    Ok(StatusCode::OK)
}

/// `GET /sandbox/{s}/telemetry/metrics`: nothing is kept of what was.
pub async fn telemetry(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<Value>> {
    sandboxes::find(&app, &word).await?;
    Ok(Json(json!({ "series": [] })))
}

/// `GET /config`.
pub async fn config(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "oidc": { "issuer": app.url, "clientId": "belljar", "audience": "belljar", "provider": "belljar" },
        "linkedAccountsEnabled": false, "announcements": {},
        "proxyTemplateUrl": format!("{}://{{{{PORT}}}}-{{{{sandboxId}}}}.{}", app.scheme(), app.authority()),
        "proxyToolboxUrl": app.toolbox(), "defaultSnapshot": "python", "dashboardUrl": app.url,
        "maxAutoArchiveInterval": 43200, "maintananceMode": false, "environment": "local",
    }))
}

/// A directory as a command sees it.
async fn asked(app: &App, id: &str, script: &str) -> Answer<String> {
    sandboxes::find(app, id).await?.running()?;
    let told = app.backend.call("exec", json!({ "name": id, "command": ["sh", "-c", script] })).await?;
    Ok(super::process::text_of(&told, "stdout").trim_end_matches('\n').to_owned())
}

/// `GET /user-home-dir`.
pub async fn home(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({ "dir": asked(&app, &id, "printf %s \"$HOME\"").await? })))
}

/// `GET /work-dir`.
pub async fn work_dir(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({ "dir": asked(&app, &id, "pwd").await? })))
}

/// `GET /version`.
pub async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// `POST /env`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateEnv {
    #[serde(default)]
    set: Option<BTreeMap<String, String>>,
    #[serde(default)]
    unset: Option<Vec<String>>,
    unset_value_prefix: Option<String>,
}

/// `POST /env`: variables of commands from now on.
pub async fn update_env(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<UpdateEnv>,
) -> Answer<Json<Value>> {
    let set = super::process::env_of(wish.set)?;
    let mut sandbox = sandboxes::find(&app, &id).await?;
    let env = &mut sandbox.record.env;
    for name in wish.unset.unwrap_or_default() {
        env.remove(&name);
    }
    if let Some(prefix) = wish.unset_value_prefix.filter(|prefix| !prefix.is_empty()) {
        env.retain(|_, value| !value.starts_with(&prefix));
    }
    env.extend(set);
    sandboxes::write(&app, &sandbox).await?;
    Ok(Json(json!({ "env": sandbox.record.env })))
}

/// `GET /system/metrics`.
pub async fn metrics(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    sandboxes::find(&app, &id).await?.running()?;
    let stats = app.backend.call("stats", json!({ "name": id })).await?;
    let number = |key: &str| stats[key].as_u64().unwrap_or_default();
    // Of all its life: what it used since the last look, nobody has kept.
    let used = number("cpu_ms") as f64 / (number("uptime_ms").max(1) as f64) * 100_000.0
        / number("millicpus_limit").max(1) as f64;
    let (total, disk) = (number("disk_limit_bytes"), number("disk_bytes"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Json(json!({
        "cpuCount": number("millicpus_limit").div_ceil(1000), "cpuUsedPct": used.min(100.0),
        "memTotal": number("memory_limit_bytes"), "memUsed": number("memory_bytes"), "memCache": 0,
        "diskTotal": total, "diskUsed": disk, "diskFree": total.saturating_sub(disk),
        "timestamp": crate::verbs::text::time(now), "timestampUnix": now, "organizationId": ORGANIZATION,
    })))
}

/// Numbers of ports that listen.
async fn listening(app: &App, id: &str) -> Answer<Vec<u64>> {
    sandboxes::find(app, id).await?.running()?;
    let told = app.backend.call("port.ls", json!({ "sandbox": id })).await?;
    let mut ports: Vec<u64> =
        told["ports"].as_array().into_iter().flatten().filter_map(|port| port["port"].as_u64()).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// `GET /port`.
pub async fn ports(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({ "ports": listening(&app, &id).await? })))
}

/// `GET /port/{port}/in-use`.
pub async fn port_in_use(State(app): State<Arc<App>>, Path((id, port)): Path<(String, String)>) -> Answer<Json<Value>> {
    let port = port_of(&port)?;
    Ok(Json(json!({ "isInUse": listening(&app, &id).await?.contains(&u64::from(port)) })))
}
