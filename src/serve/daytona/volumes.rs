//! Volumes. A volume's name is its id.

use super::record::ORGANIZATION;
use super::{App, Body};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::sync::Arc;

fn view(volume: &Value) -> Value {
    json!({
        "id": volume["name"], "name": volume["name"], "organizationId": ORGANIZATION, "state": "ready",
        "createdAt": volume["created"], "updatedAt": volume["created"],
    })
}

async fn all(app: &App) -> Answer<Vec<Value>> {
    let told = app.backend.call("volume.ls", json!({})).await?;
    Ok(told["volumes"].as_array().into_iter().flatten().map(view).collect())
}

async fn one(app: &App, name: &str) -> Answer<Value> {
    let missing = || Failure::not_found(format!("Volume with name {} not found", name.escape_debug()));
    all(app).await?.into_iter().find(|volume| volume["name"] == name).ok_or_else(missing)
}

/// `GET /volumes`.
pub async fn list(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    Ok(Json(Value::Array(all(&app).await?)))
}

/// `POST /volumes`.
pub async fn create(State(app): State<Arc<App>>, Body(wish): Body<Value>) -> Answer<Json<Value>> {
    let name = wish["name"].as_str().ok_or_else(|| Failure::bad("name: is missing"))?;
    app.backend.call("volume.create", json!({ "name": name })).await?;
    one(&app, name).await.map(Json)
}

/// `GET /volumes/{name}` and `/volumes/by-name/{name}`.
pub async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    one(&app, &name).await.map(Json)
}

/// `DELETE /volumes/{name}`.
pub async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let mut volume = one(&app, &name).await?;
    app.backend.call("volume.rm", json!({ "name": [name] })).await?;
    volume["state"] = json!("deleted");
    Ok(Json(volume))
}
