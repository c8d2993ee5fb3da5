//! Files of a sandbox, in the words of E2B's clients.

use super::record::{self, Sandbox};
use super::{connect, inside, processes, token_of, watchers};
use crate::error::{Error, Kind};
use crate::serve::App;
use crate::serve::failure::{Answer, Failure};
use crate::serve::transfer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, multipart::MultipartError};
use axum::extract::{Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// `POST /filesystem.Filesystem/{call}`.
pub async fn answer(
    State(app): State<Arc<App>>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let streams = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == connect::STREAM);
    let answered = async {
        let sandbox = inside(&app, &headers).await?;
        if streams && call == "WatchDir" {
            return watchers::stream(&app, &sandbox, &connect::only(&body)?, connect::pulse(&headers)).await;
        }
        one(&app, &sandbox, &call, &processes::read(&body)?).await.map(|told| Json(told).into_response())
    };
    match answered.await {
        Ok(response) => response,
        Err(failure) if streams => connect::refused(&failure),
        Err(failure) => failure.into_response(),
    }
}

fn path_of<'v>(asked: &'v Value, key: &str) -> Answer<&'v str> {
    let path = asked[key].as_str().filter(|path| !path.is_empty());
    path.ok_or_else(|| Failure::bad(format!("{key}: is missing")))
}

/// Words for a file that is not there, as clients look for them.
fn of_file(error: Error) -> Failure {
    match error.kind {
        Kind::NotFound => Failure::not_found(format!("{error}")),
        Kind::Exists => Failure::conflict(format!("{error}")),
        Kind::NoSpace => Failure::new(StatusCode::INSUFFICIENT_STORAGE, format!("{error}")),
        _ => Failure::from(error),
    }
}

async fn one(app: &App, sandbox: &Sandbox, call: &str, asked: &Value) -> Answer<Value> {
    let ask = async |method: &str, mut parameters: Value| {
        parameters["sandbox"] = json!(sandbox.id());
        app.backend.call(method, parameters).await.map_err(of_file)
    };
    let stat = async |path: &str| {
        let path = app.path_inside(sandbox.id(), path).await?;
        ask("fs.stat", json!({ "path": path })).await.map(|entry| view(&entry, &path))
    };
    match call {
        "Stat" => Ok(json!({ "entry": stat(path_of(asked, "path")?).await? })),
        "MakeDir" => {
            let path = path_of(asked, "path")?;
            match stat(path).await {
                Ok(_) => return Err(Failure::conflict(format!("{}: it is there already", path.escape_debug()))),
                Err(failure) if failure.status == StatusCode::NOT_FOUND => {}
                Err(failure) => return Err(failure),
            }
            ask("fs.mkdir", json!({ "path": path, "parents": true })).await?;
            Ok(json!({ "entry": stat(path).await? }))
        }
        "Move" => {
            let (from, to) = (path_of(asked, "source")?, path_of(asked, "destination")?);
            ask("fs.mv", json!({ "path": from, "to": to })).await?;
            Ok(json!({ "entry": stat(to).await? }))
        }
        "ListDir" => {
            let path = app.path_inside(sandbox.id(), path_of(asked, "path")?).await?;
            let mut parameters = json!({ "path": path });
            if let Some(depth) = asked["depth"].as_u64().filter(|depth| *depth > 1) {
                parameters["depth"] = json!(depth);
            }
            let told = ask("fs.ls", parameters).await?;
            let entries = told["entries"].as_array().into_iter().flatten();
            Ok(json!({ "entries": entries.map(|entry| view(entry, &path)).collect::<Vec<_>>() }))
        }
        "Remove" => {
            let path = path_of(asked, "path")?;
            ask("fs.rm", json!({ "path": path, "recursive": true })).await?;
            Ok(json!({}))
        }
        "CreateWatcher" | "GetWatcherEvents" | "RemoveWatcher" => watchers::one(app, sandbox, call, asked).await,
        _ => Err(Failure::not_here(format!("files: `{}` is not done here", call.escape_debug()))),
    }
}

/// What clients read of a file. `asked` is the path that was asked for, as a whole one.
fn view(entry: &Value, asked: &str) -> Value {
    let kind = match entry["kind"].as_str().unwrap_or_default() {
        "directory" => "FILE_TYPE_DIRECTORY",
        "symlink" => "FILE_TYPE_SYMLINK",
        _ => "FILE_TYPE_FILE",
    };
    let given = entry["path"].as_str().unwrap_or_default();
    let path = if given.starts_with('/') { given.to_owned() } else { asked.to_owned() };
    let mode = entry["mode"].as_str().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or_default();
    let letters = (0..9).map(|at| if mode & (1 << (8 - at)) != 0 { ['r', 'w', 'x'][at % 3] } else { '-' });
    let first = match kind {
        "FILE_TYPE_DIRECTORY" => 'd',
        "FILE_TYPE_SYMLINK" => 'l',
        _ => '-',
    };
    let permissions: String = std::iter::once(first).chain(letters).collect();
    let mut view = json!({
        "name": path.trim_end_matches('/').rsplit('/').next().unwrap_or_default(), "type": kind, "path": path,
        "size": entry["size"].as_u64().unwrap_or_default().to_string(), "mode": mode, "permissions": permissions,
        "owner": entry["uid"].to_string(), "group": entry["gid"].to_string(), "modifiedTime": entry["modified"],
    });
    if let Some(target) = entry["target"].as_str() {
        view["symlinkTarget"] = json!(target);
    }
    view
}

/// The sandbox whose file is asked for: the one that is named, or the one by whose token the address is signed.
async fn of_request(
    app: &App,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
    method: &Method,
) -> Answer<Sandbox> {
    // A signature is for its own sandbox, whatever else is named.
    match signed(app, query, method).await? {
        Some(sandbox) => Ok(sandbox),
        None => inside(app, headers).await,
    }
}

/// The sandbox of a signed address; nothing, where it is not signed.
///
/// # Errors
///
/// The signature is nobody's, or has expired.
pub async fn signed(app: &App, query: &HashMap<String, String>, method: &Method) -> Answer<Option<Sandbox>> {
    let Some(signature) = query.get("signature") else { return Ok(None) };
    let refused = |why: &str| Failure::new(StatusCode::UNAUTHORIZED, why);
    let deed = match *method {
        Method::GET => "read",
        Method::POST => "write",
        _ => return Err(refused("the signature does not hold")),
    };
    let until = query.get("signature_expiration");
    if let Some(until) = until {
        let until: u64 = until.parse().map_err(|_| refused("signature_expiration: it is no number"))?;
        if until < record::now() {
            return Err(refused("signature is already expired"));
        }
    }
    let word = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
    let told = app.backend.call("ls", json!({})).await?;
    let known = told["sandboxes"].as_array().cloned().unwrap_or_default();
    let found = known.into_iter().filter_map(Sandbox::of).find(|sandbox| {
        let mut text = format!("{}:{deed}:{}:{}", word("path"), word("username"), token_of(app, sandbox.id()));
        if let Some(until) = until {
            text.push(':');
            text.push_str(until);
        }
        let right = format!("v1_{}", STANDARD_NO_PAD.encode(Sha256::digest(text)));
        right.as_bytes().ct_eq(signature.as_bytes()).into()
    });
    found.map(Some).ok_or_else(|| refused("invalid signature"))
}

/// `GET /files`.
pub async fn read(
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
) -> Answer<Response> {
    let sandbox = of_request(&app, &headers, &query, &method).await?;
    let path = query.get("path").ok_or_else(|| Failure::bad("path: is missing"))?;
    let file = transfer::read(&app.backend, sandbox.id(), path).await?;
    let told = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.size.to_string()),
    ];
    Ok((told, file.into_body()).into_response())
}

/// `POST /files`: each file in a form, by its own name or the one in the query.
pub async fn write(
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Answer<Json<Value>> {
    let sandbox = of_request(&app, request.headers(), &query, request.method()).await?;
    let mut form =
        Multipart::from_request(request, &()).await.map_err(|why| Failure::new(why.status(), why.body_text()))?;
    let wrong = |error: MultipartError| Failure::new(error.status(), format!("the body: {}", error.body_text()));
    let mut written = Vec::new();
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        if field.name() != Some("file") {
            continue;
        }
        let path = query.get("path").map(String::as_str).or(field.file_name()).filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Failure::bad("path: is missing"))?;
        let path = app.path_inside(sandbox.id(), path).await?;
        transfer::write(&app.backend, sandbox.id(), &path, field).await?;
        let name = path.rsplit('/').next().unwrap_or_default();
        written.push(json!({ "name": name, "path": path, "type": "file" }));
    }
    Ok(Json(Value::Array(written)))
}
