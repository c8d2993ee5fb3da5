//! Snapshots, which are images here, and the lists.

use super::record::{ORGANIZATION, Sandbox};
use super::{App, Body, images};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Entries of a list, unless somebody asks for fewer.
const PAGE: usize = 100;

/// What clients read of an image.
fn view(name: &str, image: &Value) -> Value {
    json!({
        "id": name, "organizationId": ORGANIZATION, "general": false, "name": name, "imageName": name, "state": "active",
        "size": image["bytes"].as_f64().unwrap_or_default() / f64::from(1 << 30), "entrypoint": [], "cpu": 1, "gpu": 0, "mem": 1, "disk": 3,
        "errorReason": null, "createdAt": image["created"], "updatedAt": image["created"], "lastUsedAt": null,
        "ref": image["digest"], "sandboxClass": "container",
    })
}

/// Every name of every image. `latest` goes without saying.
async fn all(app: &App) -> Answer<Vec<Value>> {
    let told = app.backend.call("image.ls", json!({})).await?;
    let images = told["images"].as_array().into_iter().flatten();
    Ok(images
        .flat_map(|image| {
            let names = image["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(|name| view(name.strip_suffix(":latest").unwrap_or(name), image)).collect::<Vec<_>>()
        })
        .collect())
}

async fn one(app: &App, name: &str) -> Answer<Value> {
    let name = images::image_name(name);
    let missing = || Failure::not_found(format!("Snapshot {} not found", name.escape_debug()));
    all(app).await?.into_iter().find(|image| image["name"] == name.as_str()).ok_or_else(missing)
}

/// `POST /snapshots`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Create {
    name: String,
    image_name: Option<String>,
    build_info: Option<images::BuildInfo>,
}

/// `POST /snapshots`: an image by another name, or built.
pub async fn create(State(app): State<Arc<App>>, Body(wish): Body<Create>) -> Answer<Json<Value>> {
    if one(&app, &wish.name).await.is_ok() {
        return Err(Failure::conflict(format!("Snapshot with name {} already exists", wish.name.escape_debug())));
    }
    let of = match (&wish.build_info, &wish.image_name) {
        (Some(info), _) => images::of(&app, None, Some(info), None).await?.image,
        (None, Some(image)) => images::of(&app, Some(image), None, None).await?.image,
        (None, None) => return Err(Failure::bad("imageName: is missing")),
    };
    let image = of.ok_or_else(|| {
        Failure::bad("imageName: the machine's own files are no image; build one by `belljar image build`")
    })?;
    app.backend.call("image.tag", json!({ "name": image, "new": images::image_name(&wish.name) })).await?;
    one(&app, &wish.name).await.map(Json)
}

fn number(query: &HashMap<String, String>, key: &str, default: usize) -> Answer<usize> {
    let Some(text) = query.get(key).filter(|text| !text.is_empty()) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Failure::bad(format!("{key}: `{}` is no number from 1", text.escape_debug())))
}

/// A page of a list, as most clients want it.
fn page_of(all: Vec<Value>, query: &HashMap<String, String>) -> Answer<Json<Value>> {
    let (page, limit) = (number(query, "page", 1)?, number(query, "limit", PAGE)?);
    let total = all.len();
    let items: Vec<Value> = all.into_iter().skip((page - 1).saturating_mul(limit)).take(limit).collect();
    Ok(Json(json!({ "items": items, "total": total, "page": page, "totalPages": total.div_ceil(limit) })))
}

/// `GET /snapshots`.
pub async fn list(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Answer<Json<Value>> {
    page_of(all(&app).await?, &query)
}

/// `GET /snapshots/{name}`.
pub async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    one(&app, &name).await.map(Json)
}

/// `DELETE /snapshots/{name}`.
pub async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let mut image = one(&app, &name).await?;
    app.backend.call("image.rm", json!({ "name": [images::image_name(&name)] })).await?;
    image["state"] = json!("removing");
    Ok(Json(image))
}

/// Pairs of a query; some keys stand there several times.
fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Vec::new() };
    pairs
}

/// Sandboxes that a list asks for, in its order.
async fn found(app: &App, pairs: &[(String, String)]) -> Answer<Vec<Sandbox>> {
    let values =
        |key: &str| pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    let first = |key: &str| values(key).first().copied();
    let labels: BTreeMap<String, String> = match first("labels") {
        None | Some("") => BTreeMap::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| Failure::bad(format!("labels: {error}")))?,
    };
    let told = app.backend.call("ls", json!({})).await?;
    let known = told["sandboxes"].as_array().cloned().unwrap_or_default();
    let states: Vec<&str> = values("states").into_iter().flat_map(|state| state.split(',')).collect();
    let within = |value: f64, least: &str, most: &str| {
        let bound = |key: &str| first(key).and_then(|text| text.parse::<f64>().ok());
        bound(least).is_none_or(|least| value >= least) && bound(most).is_none_or(|most| value <= most)
    };
    let mut all: Vec<Sandbox> = known.into_iter().map(Sandbox::of).collect();
    all.retain(|sandbox| {
        let own = sandbox.labels();
        let view = sandbox.view("");
        let created = view["createdAt"].as_str().unwrap_or_default();
        labels.iter().all(|(key, value)| own.get(key) == Some(value))
            && first("id").is_none_or(|id| sandbox.id().starts_with(id))
            && first("name").is_none_or(|name| sandbox.name().starts_with(name))
            && (states.is_empty() || states.contains(&sandbox.state()))
            && (values("snapshots").is_empty() || values("snapshots").iter().any(|name| view["snapshot"] == **name))
            && first("isPublic").is_none_or(|public| (public == "true") == sandbox.record.public)
            && within(view["cpu"].as_f64().unwrap_or_default(), "minCpu", "maxCpu")
            && within(view["memory"].as_f64().unwrap_or_default(), "minMemoryGiB", "maxMemoryGiB")
            && within(view["disk"].as_f64().unwrap_or_default(), "minDiskGiB", "maxDiskGiB")
            && first("createdAtAfter").is_none_or(|after| created >= after)
            && first("createdAtBefore").is_none_or(|before| created <= before)
    });
    let key = |sandbox: &Sandbox| match first("sort") {
        Some("name") => sandbox.name().to_owned(),
        _ => sandbox.known["created"].as_str().unwrap_or_default().to_owned(),
    };
    // Belljar's own order is that in which they were made.
    all.sort_by_key(key);
    if first("order") != Some("asc") {
        all.reverse();
    }
    Ok(all)
}

/// `GET /sandbox`: a piece of the list, and where the next begins.
pub async fn list_sandboxes(State(app): State<Arc<App>>, uri: Uri) -> Answer<Json<Value>> {
    let pairs = pairs(&uri);
    let query: HashMap<String, String> = pairs.iter().cloned().collect();
    let limit = number(&query, "limit", PAGE)?;
    let all = found(&app, &pairs).await?;
    // The cursor is the id of the one before: what is made or removed meanwhile moves nothing.
    let begin = match query.get("cursor").filter(|cursor| !cursor.is_empty()) {
        None => 0,
        Some(cursor) => all.iter().position(|sandbox| sandbox.id() == cursor).map_or(all.len(), |at| at + 1),
    };
    let page: Vec<&Sandbox> = all.iter().skip(begin).take(limit).collect();
    let next = page.last().filter(|_| begin + page.len() < all.len()).map(|last| last.id());
    let items: Vec<Value> = page.iter().map(|sandbox| sandbox.view(&app.toolbox())).collect();
    Ok(Json(json!({ "items": items, "nextCursor": next })))
}

/// `GET /sandbox/paginated`: the same by pages, as clients before 0.180 ask.
pub async fn list_pages(State(app): State<Arc<App>>, uri: Uri) -> Answer<Json<Value>> {
    let pairs = pairs(&uri);
    let query: HashMap<String, String> = pairs.iter().cloned().collect();
    let all = found(&app, &pairs).await?.iter().map(|sandbox| sandbox.view(&app.toolbox())).collect();
    page_of(all, &query)
}
