//! E2B's control plane.

use super::record::{self, LABEL, Record, Sandbox, now};
use crate::serve::App;
use crate::serve::daytona::{Body, images};
use crate::serve::failure::{Answer, Failure, not_the_host};
use crate::verbs::text;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds until a sandbox ends, unless somebody says otherwise.
const TIMEOUT: u64 = 300;
/// Entries of a list, unless somebody asks for fewer.
const PAGE: usize = 100;
/// Templates that everybody expects.
const GIVEN: [&str; 3] = ["", "base", "code-interpreter-v1"];

/// `POST /v2/sandboxes`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wish {
    #[serde(rename = "templateID", default)]
    template: String,
    timeout: Option<u64>,
    metadata: Option<BTreeMap<String, String>>,
    #[serde(rename = "envVars")]
    envs: Option<BTreeMap<String, String>>,
    allow_internet_access: Option<bool>,
    #[serde(rename = "autoPause")]
    auto_pause: Option<bool>,
    network: Option<Network>,
    #[serde(rename = "volumeMounts")]
    volumes: Option<Vec<Mounted>>,
    mcp: Option<Value>,
    iam: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Mounted {
    name: String,
    path: String,
}

/// What may be reached.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Network {
    allow_out: Option<Vec<String>>,
    deny_out: Option<Vec<String>>,
    allow_public_traffic: Option<bool>,
    rules: Option<Value>,
    egress_proxy: Option<Value>,
    #[serde(rename = "allow_internet_access")]
    internet: Option<bool>,
}

impl Network {
    /// As parameters of a verb. What is allowed wins over what is denied, and what is neither is allowed.
    fn parameters(&self, internet: bool, default: &str) -> Answer<Map<String, Value>> {
        let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        if given(&self.rules) || given(&self.egress_proxy) {
            return Err(Failure::not_here(
                "network: `rules` and `egressProxy` are not done here; use `allowOut` and `denyOut`",
            ));
        }
        not_the_host("network: allowOut", self.allow_out.iter().flatten().map(String::as_str))?;
        let is_all = |target: &String| matches!(target.as_str(), "*" | "0.0.0.0/0" | "::/0");
        let deny = self.deny_out.as_deref().unwrap_or_default();
        let allow: Vec<&String> = self.allow_out.iter().flatten().filter(|target| !is_all(target)).collect();
        let denies_all = !internet || deny.iter().any(is_all);
        let mut parameters = Map::new();
        if denies_all {
            parameters.insert("net".to_owned(), json!(if allow.is_empty() { "none" } else { "only" }));
            if !allow.is_empty() {
                parameters.insert("allow".to_owned(), json!(allow));
            }
        } else if deny.is_empty() {
            parameters.insert("net".to_owned(), json!(default));
        } else if allow.is_empty() {
            parameters.insert("net".to_owned(), json!("open"));
            parameters.insert("deny".to_owned(), json!(deny));
        } else {
            return Err(Failure::not_here(
                "network: `allowOut` is for a sandbox that is denied everything else (`0.0.0.0/0`)",
            ));
        }
        Ok(parameters)
    }
}

/// `POST /v2/sandboxes`.
pub async fn create(State(app): State<Arc<App>>, Body(wish): Body<Wish>) -> Answer<(StatusCode, Json<Value>)> {
    let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    if wish.auto_pause == Some(true) {
        return Err(Failure::bad("autoPause: the memory of a sandbox cannot be kept; it ends when its time is over"));
    }
    if given(&wish.mcp) || given(&wish.iam) {
        return Err(Failure::not_here("mcp, iam: nothing here does that"));
    }
    let network = wish.network.unwrap_or_default();
    let internet = wish.allow_internet_access != Some(false);
    let mut parameters = network.parameters(internet, &app.net)?;
    let template = Some(wish.template.as_str()).filter(|name| !GIVEN.contains(name));
    let made_of = images::of(&app, template, None, None).await.map_err(|failure| match template {
        Some(name) if failure.status == StatusCode::BAD_REQUEST => Failure::not_found(format!(
            "template '{}' not found; `belljar image ls` lists what is here",
            name.escape_debug()
        )),
        _ => failure,
    })?;
    let timeout = wish.timeout.unwrap_or(TIMEOUT);
    let record = Record {
        template: wish.template,
        envs: crate::serve::daytona::env_of(wish.envs)?,
        metadata: wish.metadata.unwrap_or_default(),
        made: now(),
        end: now() + timeout,
        private: network.allow_public_traffic == Some(false),
        network: internet,
        contexts: Vec::new(),
    };
    let mut env = made_of.env.clone();
    env.extend(record.envs.clone());
    parameters.insert("env".to_owned(), json!(env));
    // Kept, so that it can be stopped and started again; it is removed when its time is over.
    parameters.insert("keep".to_owned(), json!(true));
    parameters.insert("ttl".to_owned(), json!(format!("{}s", timeout.max(1))));
    parameters.insert("label".to_owned(), json!({ LABEL: record::written(&record)? }));
    if let Some(image) = made_of.image {
        parameters.insert("image".to_owned(), json!(image));
    }
    let volumes = wish.volumes.unwrap_or_default();
    if !volumes.is_empty() {
        let shown: Vec<String> = volumes.iter().map(|one| format!("{}:{}", one.name, one.path)).collect();
        parameters.insert("volume".to_owned(), json!(shown));
    }
    let made = app.backend.call("create", Value::Object(parameters)).await?;
    let sandbox = record::find(&app, made["id"].as_str().unwrap_or_default()).await?;
    Ok((StatusCode::CREATED, Json(sandbox.handle(&app))))
}

/// Pairs of a query, or of a text that is like one.
fn pairs(text: &str) -> Vec<(String, String)> {
    let uri = format!("/?{text}").parse::<Uri>().ok();
    uri.and_then(|uri| Query::try_from_uri(&uri).ok()).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// What is asked of the metadata: clients write keys and values by their numbers, and then again.
fn metadata_of(text: &str) -> Vec<(String, String)> {
    let once = pairs(text).into_iter();
    let twice = once.flat_map(|(key, value)| {
        let read = pairs(&format!("{key}={value}"));
        if read.len() == 1 { read } else { vec![(key, value)] }
    });
    twice.collect()
}

/// `GET /v2/sandboxes`.
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Answer<(HeaderMap, Json<Value>)> {
    let query = pairs(uri.query().unwrap_or_default());
    let first = |key: &str| query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let wanted = metadata_of(first("metadata").unwrap_or_default());
    let states: Vec<&str> =
        query.iter().filter(|(name, _)| name == "state").flat_map(|(_, states)| states.split(',')).collect();
    let limit = match first("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| Failure::bad(format!("limit: `{}` is no number from 1", text.escape_debug())))?,
    };
    let told = app.backend.call("ls", json!({})).await?;
    let known = told["sandboxes"].as_array().cloned().unwrap_or_default();
    let mut all: Vec<Sandbox> = known.into_iter().filter_map(Sandbox::of).collect();
    all.retain(|sandbox| {
        (states.is_empty() || states.contains(&sandbox.state()))
            && wanted.iter().all(|(key, value)| sandbox.record.metadata.get(key) == Some(value))
            && first("template").is_none_or(|template| sandbox.record.template == template)
    });
    all.sort_by(|one, other| (one.record.made, one.id()).cmp(&(other.record.made, other.id())));
    if first("order") != Some("asc") {
        all.reverse();
    }
    let begin = first("nextToken").and_then(|token| all.iter().position(|sandbox| sandbox.id() == token));
    let page = &all[begin.map_or(0, |at| at + 1)..];
    let mut headers = HeaderMap::new();
    if let Some(last) = page.get(..limit).filter(|_| page.len() > limit).and_then(<[Sandbox]>::last)
        && let Ok(value) = HeaderValue::from_str(last.id())
    {
        headers.insert("x-next-token", value);
    }
    Ok((headers, Json(page.iter().take(limit).map(Sandbox::view).collect())))
}

/// `GET /sandboxes/{id}`.
pub async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(record::find(&app, &id).await?.view()))
}

/// `DELETE /sandboxes/{id}`.
pub async fn kill(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<StatusCode> {
    record::find(&app, &id).await?;
    app.backend.call("rm", json!({ "name": [id], "force": true })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A time from now.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Timeout {
    timeout: Option<u64>,
}

async fn lasts(app: &App, sandbox: &mut Sandbox, seconds: u64) -> Answer<()> {
    sandbox.record.end = now() + seconds;
    // The verb counts from when it was made.
    let ttl = sandbox.record.end.saturating_sub(sandbox.record.made).max(1);
    app.backend.call("life", json!({ "name": sandbox.id(), "ttl": format!("{ttl}s") })).await?;
    sandbox.write(app).await
}

/// `POST /sandboxes/{id}/timeout`.
pub async fn set_timeout(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Timeout>,
) -> Answer<StatusCode> {
    let mut sandbox = record::find(&app, &id).await?;
    lasts(&app, &mut sandbox, wish.timeout.unwrap_or(TIMEOUT)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v2/sandboxes/{id}/connect`: one that runs lasts longer, never shorter; one that is stopped is started.
pub async fn connect(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Timeout>,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut sandbox = record::find(&app, &id).await?;
    let seconds = wish.timeout.unwrap_or(TIMEOUT);
    if sandbox.is_running() {
        if now() + seconds > sandbox.record.end {
            lasts(&app, &mut sandbox, seconds).await?;
        }
        return Ok((StatusCode::OK, Json(sandbox.handle(&app))));
    }
    lasts(&app, &mut sandbox, seconds).await?;
    app.backend.call("start", json!({ "name": [id] })).await?;
    Ok((StatusCode::CREATED, Json(sandbox.handle(&app))))
}

/// `POST /sandboxes/{id}/pause`: files are kept, and memory only by those who do not ask for it.
pub async fn pause(State(app): State<Arc<App>>, Path(id): Path<String>, Body(wish): Body<Value>) -> Answer<StatusCode> {
    let sandbox = record::find(&app, &id).await?;
    if !sandbox.is_running() {
        return Err(Failure::conflict(format!("sandbox \"{id}\" is already paused")));
    }
    if wish["memory"] != json!(false) {
        return Err(Failure::not_here(
            "pause: the memory of a sandbox cannot be kept; with `memory` false its files are, and its processes end",
        ));
    }
    app.backend.call("life", json!({ "name": id, "ttl": "none" })).await?;
    app.backend.call("stop", json!({ "name": [id], "grace": "1s" })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /sandboxes/{id}/metrics`: what it uses now.
pub async fn metrics(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let sandbox = record::find(&app, &id).await?;
    if !sandbox.is_running() {
        return Ok(Json(json!([])));
    }
    let stats = app.backend.call("stats", json!({ "name": id })).await?;
    let number = |key: &str| stats[key].as_u64().unwrap_or_default();
    let (limit, uptime) = (number("millicpus_limit").max(1) as f64, number("uptime_ms").max(1) as f64);
    let used = number("cpu_ms") as f64 / uptime * 1000.0 / limit * 100.0;
    Ok(Json(json!([{
        "timestamp": text::time(now()), "timestampUnix": now(), "cpuCount": number("millicpus_limit").div_ceil(1000), "cpuUsedPct": used,
        "memUsed": number("memory_bytes"), "memTotal": number("memory_limit_bytes"), "memCache": 0,
        "diskUsed": number("disk_bytes"), "diskTotal": number("disk_limit_bytes"),
    }])))
}

/// `PUT /sandboxes/{id}/network`.
pub async fn set_network(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Network>,
) -> Answer<StatusCode> {
    let mut sandbox = record::find(&app, &id).await?;
    let internet = wish.internet != Some(false);
    let mut parameters = wish.parameters(internet, &app.net)?;
    if parameters["net"] == json!("none") {
        // One that has a network keeps it, and reaches nothing.
        parameters.insert("net".to_owned(), json!("only"));
    }
    parameters.insert("name".to_owned(), json!(id));
    app.backend.call("net.set", Value::Object(parameters)).await?;
    sandbox.record.network = internet;
    sandbox.write(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /sandboxes/{id}/snapshots`: an image of its files.
pub async fn snapshot(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Value>,
) -> Answer<(StatusCode, Json<Value>)> {
    record::find(&app, &id).await?;
    if wish["memory"] == json!(true) {
        return Err(Failure::not_here("memory: a snapshot has files, and no memory"));
    }
    let name = match wish["name"].as_str() {
        Some(name) => name.to_owned(),
        None => format!("e2b-{}", &crate::serve::access::unguessable()?[..16]),
    };
    app.backend.call("snapshot.create", json!({ "name": id, "image": name })).await?;
    Ok((StatusCode::CREATED, Json(json!({ "snapshotID": name, "names": [name] }))))
}

/// `DELETE /templates/{name}`: a snapshot.
pub async fn remove_snapshot(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<StatusCode> {
    app.backend.call("snapshot.rm", json!({ "image": [name] })).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_whether_it_was_written_once_or_twice() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(metadata_of("a=b&c=d"), [pair("a", "b"), pair("c", "d")]);
        assert_eq!(metadata_of("o%2520d=a%2520b%2526c"), [pair("o d", "a b&c")]);
        assert_eq!(metadata_of("odd=a%20b%26c"), [pair("odd", "a b&c")]);
        assert_eq!(metadata_of(""), []);
    }

    #[test]
    fn what_is_allowed_wins_over_what_is_denied() {
        let of = |text: &str, internet: bool| {
            let network: Network = serde_json::from_str(text).unwrap();
            network.parameters(internet, "open").map(Value::Object).map_err(|failure| failure.status.as_u16())
        };
        assert_eq!(of("{}", true), Ok(json!({ "net": "open" })));
        assert_eq!(of("{}", false), Ok(json!({ "net": "none" })));
        let only = json!({ "net": "only", "allow": ["example.org"] });
        assert_eq!(of("{\"allowOut\":[\"example.org\"],\"denyOut\":[\"0.0.0.0/0\"]}", true), Ok(only.clone()));
        assert_eq!(of("{\"allowOut\":[\"example.org\"]}", false), Ok(only));
        let denied = json!({ "net": "open", "deny": ["10.0.0.0/8"] });
        assert_eq!(of("{\"denyOut\":[\"10.0.0.0/8\"]}", true), Ok(denied));
        assert_eq!(of("{\"denyOut\":[\"10.0.0.0/8\"],\"allowOut\":[\"10.0.0.1\"]}", true), Err(501));
        assert_eq!(of("{\"rules\":{\"a\":[]}}", true), Err(501));
    }
}
