//! Daytona's control plane: sandboxes.

use super::record::{self, LABEL, Record, Sandbox, Volume};
use super::{App, Body, images};
use crate::error::Kind;
use crate::serve::access::unguessable;
use crate::serve::failure::{Answer, Failure, not_the_host};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The languages of the label that clients read back.
const LANGUAGES: [&str; 3] = ["python", "typescript", "javascript"];
const LANGUAGE: &str = "code-toolbox-language";
/// What a client gets who asks for nothing, in minutes.
const AUTO_STOP: i64 = 15;
const AUTO_ARCHIVE: i64 = 7 * 24 * 60;

/// What a client asks for.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Wish {
    name: Option<String>,
    snapshot: Option<String>,
    user: Option<String>,
    env: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    public: Option<bool>,
    network_block_all: Option<bool>,
    network_allow_list: Option<String>,
    domain_allow_list: Option<String>,
    outbound_proxy_url: Option<String>,
    cpu: Option<u64>,
    gpu: Option<u64>,
    memory: Option<u64>,
    disk: Option<u64>,
    auto_stop_interval: Option<i64>,
    auto_pause_interval: Option<i64>,
    auto_archive_interval: Option<i64>,
    auto_delete_interval: Option<i64>,
    ttl_minutes: Option<u64>,
    volumes: Option<Vec<Volume>>,
    build_info: Option<images::BuildInfo>,
    linked_sandbox: Option<String>,
    kvm: Option<bool>,
    secrets: Option<Vec<Value>>,
}

/// What is asked of the network, as parameters of a verb.
fn network(app: &App, block_all: bool, ranges: Option<&str>, names: Option<&str>) -> Answer<Map<String, Value>> {
    let mut parameters = Map::new();
    let lists = [ranges, names];
    for (field, list) in [("networkAllowList", ranges), ("domainAllowList", names)] {
        not_the_host(field, list.into_iter().flat_map(|list| list.split(',')).map(str::trim))?;
    }
    if block_all {
        parameters.insert("net".to_owned(), json!("none"));
    } else if lists.iter().any(Option::is_some) {
        let targets = lists.into_iter().flatten().flat_map(|list| list.split(','));
        let targets: Vec<&str> = targets.map(str::trim).filter(|target| !target.is_empty()).collect();
        // A list without anything in it allows nothing, as it says.
        parameters.insert("net".to_owned(), json!(if targets.is_empty() { "none" } else { "only" }));
        if !targets.is_empty() {
            parameters.insert("allow".to_owned(), json!(targets));
        }
    } else {
        parameters.insert("net".to_owned(), json!(app.net));
    }
    Ok(parameters)
}

/// `POST /sandbox`.
pub async fn create(State(app): State<Arc<App>>, Body(wish): Body<Wish>) -> Answer<Json<Value>> {
    for (asked, what) in [
        (wish.gpu.is_some_and(|gpu| gpu > 0), "gpu: there are none in sandboxes"),
        (wish.kvm == Some(true), "kvm: sandboxes have no virtual machines"),
        (wish.linked_sandbox.is_some(), "linkedSandbox: sandboxes do not reach each other"),
        (wish.outbound_proxy_url.is_some(), "outboundProxyUrl: set HTTP_PROXY in `env`, and allow the proxy's address"),
        (
            wish.secrets.as_ref().is_some_and(|secrets| !secrets.is_empty()),
            "secrets: nothing here stands in for them; use `env`",
        ),
    ] {
        if asked {
            return Err(Failure::bad(what));
        }
    }
    let labels = wish.labels.unwrap_or_default();
    let language = labels.get(LANGUAGE).map(String::as_str);
    if let Some(language) = language.filter(|language| !LANGUAGES.contains(language)) {
        return Err(Failure::bad(format!("labels: {LANGUAGE}: `{language}` is none of {}", LANGUAGES.join(", "))));
    }
    let made_of = images::of(&app, wish.snapshot.as_deref(), wish.build_info.as_ref(), language).await?;
    let ephemeral = wish.auto_delete_interval == Some(0);
    let record = Record {
        user: wish.user,
        env: wish.env.unwrap_or_default(),
        public: wish.public.unwrap_or(false),
        snapshot: Some(made_of.name.clone()),
        dockerfile: wish.build_info.map(|info| info.dockerfile_content),
        auto_stop: Some(wish.auto_stop_interval.unwrap_or(AUTO_STOP)),
        auto_pause: wish.auto_pause_interval,
        auto_archive: Some(wish.auto_archive_interval.unwrap_or(AUTO_ARCHIVE)),
        auto_delete: wish.auto_delete_interval,
        block_all: wish.network_block_all.unwrap_or(false),
        allow_list: wish.network_allow_list,
        domain_list: wish.domain_allow_list,
        volumes: wish.volumes.unwrap_or_default(),
        archived: false,
        signing_key: Some(unguessable()?),
        entrypoint: made_of.entrypoint,
        entrypoint_session: None,
    };
    let mut env: BTreeMap<String, String> = made_of.env.clone();
    env.extend(record.env.clone());
    let mut parameters = network(&app, record.block_all, record.allow_list.as_deref(), record.domain_list.as_deref())?;
    let mut all_labels = record::labels(&labels)?;
    all_labels.insert(LABEL.to_owned(), Value::String(text_of(&record)?));
    parameters.insert("label".to_owned(), Value::Object(all_labels));
    parameters.insert("env".to_owned(), json!(env));
    parameters.insert("keep".to_owned(), json!(!ephemeral));
    let given = [
        ("name", wish.name.map(Value::from)),
        ("image", made_of.image.map(Value::from)),
        ("workdir", made_of.workdir.map(Value::from)),
        ("cpus", wish.cpu.or(made_of.cpus).map(|cpus| json!(cpus.to_string()))),
        ("memory", wish.memory.or(made_of.memory).map(|gib| json!(format!("{gib}G")))),
        ("disk", wish.disk.or(made_of.disk).or(Some(3)).map(|gib| json!(format!("{gib}G")))),
        ("idle_stop", minutes(record.auto_stop)),
        ("idle_rm", idle_rm(&record)),
        ("ttl", wish.ttl_minutes.filter(|minutes| *minutes > 0).map(|minutes| json!(format!("{minutes}m")))),
    ];
    parameters.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    if !record.volumes.is_empty() {
        parameters.insert("volume".to_owned(), json!(record.volumes.iter().map(shown).collect::<Vec<_>>()));
    }
    let made = app.backend.call("create", Value::Object(parameters)).await?;
    let mut sandbox = find(&app, made["id"].as_str().unwrap_or_default()).await?;
    if let Err(failure) = begin(&app, &mut sandbox).await {
        app.backend.call("rm", json!({ "name": [sandbox.id()], "force": true })).await?;
        return Err(failure);
    }
    let told = sandbox.view(&app.toolbox());
    app.events.created(&told);
    Ok(Json(told))
}

/// Starts what its image starts by itself, as a session of its own.
async fn begin(app: &App, sandbox: &mut Sandbox) -> Answer<()> {
    if sandbox.record.entrypoint.is_empty() {
        return Ok(());
    }
    let command = json!({ "name": sandbox.id(), "command": sandbox.record.entrypoint, "detach": true });
    let told =
        app.backend.call("exec", command).await.map_err(|error| {
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, format!("dockerfile: ENTRYPOINT: {error}"))
        })?;
    sandbox.record.entrypoint_session = told["session"].as_str().map(str::to_owned);
    write(app, sandbox).await
}

/// Answers with a sandbox that may be in another state than before, and tells of it.
async fn changed(app: &App, before: &Sandbox) -> Answer<Json<Value>> {
    let told = view(app, before.id()).await?;
    app.events.changed(before, &told.0);
    Ok(told)
}

/// A volume as `--volume` takes it.
fn shown(volume: &Volume) -> String {
    let sub = volume.subpath.as_deref().map(|sub| format!("/{}", sub.trim_matches('/'))).unwrap_or_default();
    format!("{}{sub}:{}", volume.volume_id, volume.mount_path)
}

fn minutes(given: Option<i64>) -> Option<Value> {
    given.filter(|minutes| *minutes > 0).map(|minutes| json!(format!("{minutes}m")))
}

/// A sandbox that nobody calls is stopped, and then removed: the time counts from the last call.
fn idle_rm(record: &Record) -> Option<Value> {
    let until_stop = record.auto_stop.filter(|minutes| *minutes > 0)?;
    minutes(record.auto_delete.map(|minutes| minutes + until_stop))
        .filter(|_| record.auto_delete.is_some_and(|after| after > 0))
}

fn text_of(record: &Record) -> Answer<String> {
    serde_json::to_string(record).map_err(|error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("write what is known of the sandbox: {error}"))
    })
}

/// The sandbox of that id or name.
///
/// # Errors
///
/// There is none.
pub async fn find(app: &App, word: &str) -> Answer<Sandbox> {
    let known = app.backend.call("inspect", json!({ "name": word })).await.map_err(|error| match error.kind {
        Kind::NotFound | Kind::Ambiguous | Kind::Misused => {
            Failure::not_found(format!("sandbox `{}` not found", word.escape_debug()))
        }
        _ => Failure::from(error),
    })?;
    Ok(Sandbox::of(known))
}

/// What clients read of it.
async fn view(app: &App, word: &str) -> Answer<Json<Value>> {
    Ok(Json(find(app, word).await?.view(&app.toolbox())))
}

/// Writes its record anew.
///
/// # Errors
///
/// It is gone.
pub async fn write(app: &App, sandbox: &Sandbox) -> Answer<()> {
    let label = format!("{LABEL}={}", text_of(&sandbox.record)?);
    app.backend.call("label", json!({ "name": sandbox.id(), "label": [label] })).await?;
    Ok(())
}

/// `GET /sandbox/{s}`.
pub async fn get(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<Value>> {
    view(&app, &word).await
}

/// `DELETE /sandbox/{s}`.
pub async fn delete(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<Json<Value>> {
    let sandbox = find(&app, &word).await?;
    app.backend.call("rm", json!({ "name": [sandbox.id()], "force": true })).await?;
    let mut gone = sandbox.view(&app.toolbox());
    gone["state"] = json!("destroyed");
    gone["desiredState"] = json!("destroyed");
    app.events.changed(&sandbox, &gone);
    Ok(Json(gone))
}

/// `POST /sandbox/{s}/{what}`, where `what` is a word of its life.
pub async fn act(
    State(app): State<Arc<App>>,
    Path((word, what)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Json<Value>> {
    let mut sandbox = find(&app, &word).await?;
    let (before, state) = (sandbox.clone(), sandbox.state());
    match what.as_str() {
        "start" | "recover" if state == "started" => {}
        "start" | "recover" => {
            app.backend.call("start", json!({ "name": [sandbox.id()] })).await?;
            if sandbox.record.archived {
                sandbox.record.archived = false;
                write(&app, &sandbox).await?;
            }
            begin(&app, &mut sandbox).await?;
        }
        "stop" if state == "stopped" => {}
        "stop" => {
            let grace = if query.get("force").is_some_and(|force| force == "true") { "0s" } else { "1s" };
            app.backend.call("stop", json!({ "name": [sandbox.id()], "grace": grace })).await?;
            if sandbox.known["keep"] == json!(false) {
                // It was to be removed with its end.
                let mut gone = sandbox.view(&app.toolbox());
                gone["state"] = json!("destroyed");
                app.events.changed(&before, &gone);
                return Ok(Json(gone));
            }
        }
        "archive" if state == "archived" => {}
        "archive" if state == "stopped" => {
            sandbox.record.archived = true;
            write(&app, &sandbox).await?;
        }
        "archive" => return Err(Failure::bad("Sandbox is not stopped")),
        "pause" => {
            return Err(Failure::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "pause: the memory of a sandbox cannot be kept; stop it, and its files are",
            ));
        }
        _ => return Err(Failure::not_found(format!("there is no `{}` of a sandbox", what.escape_debug()))),
    }
    changed(&app, &before).await
}

/// `POST /sandbox/{s}/resize`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resize {
    cpu: Option<u64>,
    memory: Option<u64>,
    disk: Option<u64>,
}

/// `POST /sandbox/{s}/resize`.
pub async fn resize(
    State(app): State<Arc<App>>,
    Path(word): Path<String>,
    Body(wish): Body<Resize>,
) -> Answer<Json<Value>> {
    let sandbox = find(&app, &word).await?;
    let now = sandbox.view("");
    let same = |new: Option<u64>, key: &str| new.is_none_or(|new| now[key] == json!(new));
    if same(wish.cpu, "cpu") && same(wish.memory, "memory") && same(wish.disk, "disk") {
        return Err(Failure::bad("resize: it has these limits already"));
    }
    let mut parameters = json!({ "name": sandbox.id() });
    for (key, value) in [
        ("cpus", wish.cpu.map(|cpus| cpus.to_string())),
        ("memory", wish.memory.map(|gib| format!("{gib}G"))),
        ("disk", wish.disk.filter(|disk| now["disk"] != json!(disk)).map(|gib| format!("{gib}G"))),
    ] {
        if let Some(value) = value {
            parameters[key] = Value::String(value);
        }
    }
    app.backend.call("resize", parameters).await?;
    view(&app, sandbox.id()).await
}

/// `POST /sandbox/{s}/fork`.
pub async fn fork(
    State(app): State<Arc<App>>,
    Path(word): Path<String>,
    Body(wish): Body<Value>,
) -> Answer<Json<Value>> {
    let sandbox = find(&app, &word).await?;
    let mut parameters = json!({ "name": sandbox.id() });
    if let Some(name) = wish["name"].as_str() {
        parameters["new"] = json!(name);
    }
    let made = app.backend.call("fork", parameters).await?;
    let told = view(&app, made["id"].as_str().unwrap_or_default()).await?;
    app.events.created(&told.0);
    Ok(told)
}

/// `POST /sandbox/{s}/snapshot`.
pub async fn snapshot(
    State(app): State<Arc<App>>,
    Path(word): Path<String>,
    Body(wish): Body<Value>,
) -> Answer<Json<Value>> {
    let sandbox = find(&app, &word).await?;
    let name = wish["name"].as_str().ok_or_else(|| Failure::bad("name: is missing"))?;
    if wish["includeMemory"] == json!(true) {
        return Err(Failure::bad("includeMemory: a snapshot has files, and no memory"));
    }
    app.backend.call("snapshot.create", json!({ "name": sandbox.id(), "image": images::image_name(name) })).await?;
    view(&app, sandbox.id()).await
}

/// `PUT /sandbox/{s}/labels`: these in the place of all others.
pub async fn set_labels(
    State(app): State<Arc<App>>,
    Path(word): Path<String>,
    Body(wish): Body<Value>,
) -> Answer<Json<Value>> {
    let sandbox = find(&app, &word).await?;
    let labels: BTreeMap<String, String> =
        serde_json::from_value(wish["labels"].clone()).map_err(|error| Failure::bad(format!("labels: {error}")))?;
    let mut change: Vec<String> = record::labels(&labels)?
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    change.extend(sandbox.labels().keys().filter(|key| !labels.contains_key(*key)).map(|key| format!("{key}=")));
    if !change.is_empty() {
        app.backend.call("label", json!({ "name": sandbox.id(), "label": change })).await?;
    }
    Ok(Json(json!({ "labels": labels })))
}

/// `POST /sandbox/{s}/{setting}/{value}`: intervals in minutes, and whether previews are public.
pub async fn set(
    State(app): State<Arc<App>>,
    Path((word, setting, value)): Path<(String, String, String)>,
) -> Answer<Json<Value>> {
    let mut sandbox = find(&app, &word).await?;
    let number = || {
        let least = if setting == "autodelete" { -1 } else { 0 };
        let wrong = || Failure::bad(format!("{setting}: `{}` is no number of minutes", value.escape_debug()));
        value.parse::<i64>().ok().filter(|minutes| *minutes >= least).ok_or_else(wrong)
    };
    let record = &mut sandbox.record;
    match setting.as_str() {
        "public" => record.public = value == "true",
        "autostop" => record.auto_stop = Some(number()?),
        "autopause" => record.auto_pause = Some(number()?),
        "autoarchive" => record.auto_archive = Some(number()?),
        "autodelete" => record.auto_delete = Some(number()?),
        "ttl" => drop(number()?),
        _ => return Err(Failure::not_found(format!("there is no setting `{}`", setting.escape_debug()))),
    }
    write(&app, &sandbox).await?;
    let mut life = json!({ "name": sandbox.id() });
    match setting.as_str() {
        "autostop" | "autodelete" => {
            life["idle_stop"] = minutes(sandbox.record.auto_stop).unwrap_or(json!("none"));
            life["idle_rm"] = idle_rm(&sandbox.record).unwrap_or(json!("none"));
            life["keep"] = json!(sandbox.record.auto_delete != Some(0));
        }
        "ttl" => life["ttl"] = minutes(Some(number()?)).unwrap_or(json!("none")),
        _ => return view(&app, sandbox.id()).await,
    }
    app.backend.call("life", life).await?;
    view(&app, sandbox.id()).await
}

/// `POST /sandbox/{s}/network-settings`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Network {
    network_block_all: Option<bool>,
    network_allow_list: Option<String>,
    domain_allow_list: Option<String>,
}

/// `POST /sandbox/{s}/network-settings`.
pub async fn set_network(
    State(app): State<Arc<App>>,
    Path(word): Path<String>,
    Body(wish): Body<Network>,
) -> Answer<Json<Value>> {
    let mut sandbox = find(&app, &word).await?;
    // An empty list takes the list away, where a sandbox is there already.
    let list = |new: Option<String>, old: Option<String>| match new {
        Some(list) => Some(list).filter(|list| !list.trim().is_empty()),
        None if wish.network_block_all == Some(false) => None,
        None => old,
    };
    let record = &mut sandbox.record;
    record.allow_list = list(wish.network_allow_list.clone(), record.allow_list.take());
    record.domain_list = list(wish.domain_allow_list.clone(), record.domain_list.take());
    record.block_all = wish.network_block_all.unwrap_or(record.block_all);
    let mut parameters = network(&app, record.block_all, record.allow_list.as_deref(), record.domain_list.as_deref())?;
    if parameters["net"] == json!("none") {
        // One that has a network keeps it, and reaches nothing.
        parameters.insert("net".to_owned(), json!("only"));
    }
    parameters.insert("name".to_owned(), json!(sandbox.id()));
    app.backend.call("net.set", Value::Object(parameters)).await?;
    write(&app, &sandbox).await?;
    view(&app, sandbox.id()).await
}

/// `POST /sandbox/{id}/last-activity`.
pub async fn touch(State(app): State<Arc<App>>, Path(word): Path<String>) -> Answer<StatusCode> {
    let sandbox = find(&app, &word).await?;
    sandbox.running()?;
    app.backend.call("exec", json!({ "name": sandbox.id(), "command": ["true"] })).await?;
    Ok(StatusCode::CREATED)
}
