//! Files of a sandbox.

use super::{App, Body, needed, sandboxes};
use crate::error::{Error, Kind};
use crate::serve::failure::{Answer, Failure};
use crate::serve::transfer;
use axum::Json;
use axum::extract::{FromRequest as _, Multipart, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a query says.
type Words = Query<HashMap<String, String>>;

/// An error that is about a file, with the word that clients decide by.
pub fn of_file(error: Error) -> Failure {
    let code = match error.kind {
        Kind::NotFound => Some("FILE_NOT_FOUND"),
        Kind::Denied => Some("FILE_ACCESS_DENIED"),
        Kind::Invalid | Kind::Misused => Some("INVALID_FILE_PATH"),
        Kind::NotAFile | Kind::IsADirectory => Some("FILE_READ_FAILED"),
        _ => None,
    };
    let failure = Failure::from(error);
    match code {
        Some(code) => failure.code(code),
        None => failure,
    }
}

/// The sandbox, which must be there; one that is kept and stopped has files too.
async fn ask(app: &App, id: &str, method: &str, mut parameters: Value) -> Answer<Value> {
    parameters["sandbox"] = json!(id);
    app.backend.call(method, parameters).await.map_err(of_file)
}

/// `drwxr-xr-x` from what `fs` says.
fn mode_of(entry: &Value) -> String {
    let first = match entry["kind"].as_str().unwrap_or_default() {
        "directory" => 'd',
        "symlink" => 'L',
        "fifo" => 'p',
        "socket" => 'S',
        _ => '-',
    };
    let bits = entry["mode"].as_str().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or_default();
    let letters = (0..9).map(|at| if bits & (1 << (8 - at)) != 0 { ['r', 'w', 'x'][at % 3] } else { '-' });
    std::iter::once(first).chain(letters).collect()
}

/// What clients read of a file.
fn view(entry: &Value) -> Value {
    let modified = entry["modified"].as_str().unwrap_or_default();
    // As Go writes a time.
    let told = modified.replace('T', " ").replace('Z', " +0000 UTC");
    let mode = entry["mode"].as_str().unwrap_or_default();
    json!({
        "name": match entry["name"].as_str().unwrap_or_default() { "" => &entry["path"], _ => &entry["name"] },
        "size": entry["size"], "isDir": entry["kind"] == "directory", "mode": mode_of(entry),
        "modTime": told, "modifiedAt": modified,
        "owner": entry["uid"].to_string(), "group": entry["gid"].to_string(),
        "permissions": format!("{:0>4}", mode), "path": entry["path"],
    })
}

/// `GET /files`.
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<Json<Value>> {
    let mut parameters = json!({ "path": query.get("path").map_or(".", String::as_str) });
    if let Some(depth) = query.get("depth").filter(|depth| !depth.is_empty()) {
        parameters["depth"] = json!(depth);
    }
    let told = ask(&app, &id, "fs.ls", parameters).await?;
    Ok(Json(told["entries"].as_array().into_iter().flatten().map(view).collect()))
}

/// `GET /files/info`.
pub async fn info(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<Json<Value>> {
    let entry = ask(&app, &id, "fs.stat", json!({ "path": needed(&query, "path")? })).await?;
    Ok(Json(view(&entry)))
}

/// `POST /files/folder`.
pub async fn folder(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<StatusCode> {
    let mode = query.get("mode").map_or("0755", String::as_str);
    ask(&app, &id, "fs.mkdir", json!({ "path": needed(&query, "path")?, "parents": true, "mode": mode })).await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /files`.
pub async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<StatusCode> {
    let recursive = query.get("recursive").is_some_and(|recursive| recursive == "true");
    let path = needed(&query, "path")?;
    if !recursive && ask(&app, &id, "fs.stat", json!({ "path": path })).await?["kind"] == "directory" {
        return Err(Failure::bad(format!("cannot delete directory without recursive flag: {}", path.escape_debug())));
    }
    ask(&app, &id, "fs.rm", json!({ "path": path, "recursive": recursive })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /files/move`.
pub async fn rename(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<StatusCode> {
    let (from, to) = (needed(&query, "source")?, needed(&query, "destination")?);
    ask(&app, &id, "fs.mv", json!({ "path": from, "to": to })).await?;
    Ok(StatusCode::OK)
}

/// `POST /files/permissions`.
pub async fn permissions(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Words,
) -> Answer<StatusCode> {
    let path = needed(&query, "path")?;
    if let Some(mode) = query.get("mode").filter(|mode| !mode.is_empty()) {
        ask(&app, &id, "fs.chmod", json!({ "path": path, "mode": mode })).await?;
    }
    let owner = [query.get("owner"), query.get("group")].map(|word| word.map(String::as_str).unwrap_or_default());
    if owner.iter().all(|word| word.is_empty()) {
        return Ok(StatusCode::OK);
    }
    let entry = ask(&app, &id, "fs.stat", json!({ "path": path })).await?;
    let command = json!(["chown", "--", owner.join(":").trim_end_matches(':'), path]);
    let told = app.backend.call("exec", json!({ "name": id, "command": command })).await.map_err(of_file)?;
    if told["exit_code"] == json!(0) {
        return Ok(StatusCode::OK);
    }
    let why = format!(
        "{} belongs to {}:{}, and there are no other users: {}",
        path,
        entry["uid"],
        entry["gid"],
        told["stderr"].as_str().unwrap_or_default().trim()
    );
    Err(Failure::new(StatusCode::FORBIDDEN, why).code("FILE_ACCESS_DENIED"))
}

/// `GET /files/find`: lines of text files.
pub async fn find(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<Json<Value>> {
    let told =
        ask(&app, &id, "fs.grep", json!({ "path": needed(&query, "path")?, "text": needed(&query, "pattern")? }))
            .await?;
    let lines = told["lines"].as_array().into_iter().flatten();
    Ok(Json(
        lines.map(|line| json!({ "file": line["path"], "line": line["line"], "content": line["content"] })).collect(),
    ))
}

/// `GET /files/search`: names.
pub async fn search(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<Json<Value>> {
    let told =
        ask(&app, &id, "fs.find", json!({ "path": needed(&query, "path")?, "name": needed(&query, "pattern")? }))
            .await?;
    let files: Vec<&Value> = told["entries"].as_array().into_iter().flatten().map(|entry| &entry["path"]).collect();
    Ok(Json(json!({ "files": files })))
}

/// `POST /files/replace`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Replace {
    files: Vec<String>,
    pattern: String,
    new_value: String,
}

/// `POST /files/replace`.
pub async fn replace(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Replace>,
) -> Answer<Json<Value>> {
    if wish.files.is_empty() {
        return Err(Failure::bad("files: there is none"));
    }
    let mut told = Vec::new();
    // One by one: what could not be done with one is said of that one.
    for file in &wish.files {
        let parameters = json!({ "text": wish.pattern, "new": wish.new_value, "file": [file] });
        let why = match ask(&app, &id, "fs.replace", parameters).await {
            Ok(replaced) => {
                let failed = replaced["failed"].as_array().into_iter().flatten().next();
                failed.map(|failed| failed["error"]["message"].as_str().unwrap_or("it was not changed").to_owned())
            }
            Err(failure) => Some(failure.message),
        };
        told.push(match why {
            None => json!({ "file": file, "success": true }),
            Some(why) => json!({ "file": file, "success": false, "error": why }),
        });
    }
    Ok(Json(Value::Array(told)))
}

/// `POST /files/bulk-upload`.
pub async fn bulk_upload(State(app): State<Arc<App>>, Path(id): Path<String>, mut form: Multipart) -> Answer<Response> {
    sandboxes::find(&app, &id).await?;
    let (mut paths, mut placed, mut errors) = (BTreeMap::new(), Vec::new(), Vec::new());
    let wrong = |error: axum::extract::multipart::MultipartError| {
        Failure::new(error.status(), format!("the body: {}", error.body_text()))
    };
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        let name = field.name().unwrap_or_default().to_owned();
        let Some((number, part)) = name.strip_prefix("files[").and_then(|rest| rest.split_once("].")) else { continue };
        match part {
            "path" => drop(paths.insert(number.to_owned(), field.text().await.map_err(wrong)?)),
            "file" => {
                let Some(path) = paths.get(number) else {
                    errors.push(format!("{name}: `files[{number}].path` has to come before it"));
                    continue;
                };
                match transfer::write(&app.backend, &id, path, field).await {
                    Ok(bytes) => placed.push(json!({ "path": path, "bytes": bytes })),
                    Err(failure) => errors.push(format!("{path}: {}", failure.message)),
                }
            }
            _ => {}
        }
    }
    if errors.is_empty() {
        return Ok(Json(json!({ "files": placed })).into_response());
    }
    Ok((
        StatusCode::BAD_REQUEST,
        Json(json!({ "errors": errors, "files": placed, "message": errors.join("; "), "statusCode": 400 })),
    )
        .into_response())
}

/// `POST /files/upload` and `/files/upload-v2`: one file, in a form.
pub async fn upload(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Words,
    request: Request,
) -> Answer<Json<Value>> {
    let path = needed(&query, "path")?;
    let mut form =
        Multipart::from_request(request, &()).await.map_err(|why| Failure::new(why.status(), why.body_text()))?;
    let wrong = |error: axum::extract::multipart::MultipartError| {
        Failure::new(error.status(), format!("the body: {}", error.body_text()))
    };
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        if field.name() == Some("file") {
            transfer::write(&app.backend, &id, path, field).await?;
            let name = path.rsplit('/').next().unwrap_or(path);
            return Ok(Json(json!({ "name": name, "path": path, "type": "file" })));
        }
    }
    Err(Failure::bad("the form has no field `file`"))
}

/// `GET /files/download`.
pub async fn download(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answer<Response> {
    let path = needed(&query, "path")?;
    let file = transfer::read(&app.backend, &id, path).await?;
    let name = format!("attachment; filename*=utf-8''{}", encoded(path.rsplit('/').next().unwrap_or(path)));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_LENGTH, file.size.to_string()),
    ];
    Ok((headers, file.into_body()).into_response())
}

/// `POST /files/bulk-download`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Download {
    paths: Vec<String>,
}

/// `POST /files/bulk-download`: a form with a part for each, the file or why it is not there.
pub async fn bulk_download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Download>,
) -> Answer<Response> {
    if wish.paths.is_empty() {
        return Err(Failure::bad("paths: there is none"));
    }
    sandboxes::find(&app, &id).await?;
    let boundary = format!("belljar-{}", crate::serve::access::unguessable()?);
    let kind = format!("multipart/form-data; boundary={boundary}");
    let body = transfer::form(app.backend.clone(), id, wish.paths, boundary);
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// Everything but unreserved characters by its number, as `filename*` wants it.
pub fn encoded(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_as_go_tells_it() {
        let entry = json!({ "path": "/tmp/a", "name": "a", "kind": "directory", "size": 6, "mode": "0750", "modified": "2026-11-29T00:16:19Z",
            "uid": 0, "gid": 7 });
        let told = view(&entry);
        assert_eq!(
            (&told["mode"], &told["permissions"], &told["isDir"]),
            (&json!("drwxr-x---"), &json!("0750"), &json!(true))
        );
        assert_eq!((&told["owner"], &told["group"]), (&json!("0"), &json!("7")));
        assert_eq!(told["modTime"], json!("2026-11-29 00:16:19 +0000 UTC"));
        assert_eq!(encoded("/tmp/ä b"), "%2Ftmp%2F%C3%A4%20b");
    }
}
