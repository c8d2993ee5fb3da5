//! Language servers, in the words of Daytona's clients: positions and kinds are the protocol's, in units of UTF-16.

use super::{App, Body, needed, sandboxes};
use crate::error::{Error, Kind};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// What a completion may be, in the order of the protocol's numbers, from 1.
const COMPLETIONS: [&str; 25] = [
    "text",
    "method",
    "function",
    "constructor",
    "field",
    "variable",
    "class",
    "interface",
    "module",
    "property",
    "unit",
    "value",
    "enum",
    "keyword",
    "snippet",
    "color",
    "file",
    "reference",
    "folder",
    "enum_member",
    "constant",
    "struct",
    "event",
    "operator",
    "type_parameter",
];
/// The same of symbols.
const SYMBOLS: [&str; 26] = [
    "file",
    "module",
    "namespace",
    "package",
    "class",
    "method",
    "property",
    "field",
    "constructor",
    "enum",
    "interface",
    "function",
    "variable",
    "constant",
    "string",
    "number",
    "boolean",
    "array",
    "object",
    "key",
    "null",
    "enum_member",
    "struct",
    "event",
    "operator",
    "type_parameter",
];

/// A server: one for each language and project.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Server {
    language_id: String,
    path_to_project: String,
}

/// A document of a server's.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    #[serde(flatten)]
    server: Server,
    uri: String,
}

/// A place in a document.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Place {
    #[serde(flatten)]
    document: Document,
    position: Position,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Position {
    line: u64,
    character: u64,
}

fn of_server(error: Error) -> Failure {
    match error.kind {
        Kind::NoCommand => Failure::from(error).code("LSP_SERVER_NOT_INITIALIZED"),
        _ => Failure::from(error),
    }
}

async fn ask(app: &App, id: &str, method: &str, mut parameters: Value) -> Answer<Value> {
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    parameters["sandbox"] = json!(sandbox.id());
    app.backend.call(&format!("lsp.{method}"), parameters).await.map_err(of_server)
}

impl Server {
    fn parameters(&self) -> Value {
        json!({ "language": self.language_id, "project": self.path_to_project })
    }
}

impl Document {
    fn parameters(&self) -> Value {
        let mut parameters = self.server.parameters();
        // The path as it was given, which may count from the working directory.
        parameters["file"] = json!(self.uri.strip_prefix("file://").unwrap_or(&self.uri));
        parameters["utf16"] = json!(true);
        parameters
    }
}

/// `POST /lsp/start`.
pub async fn start(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(server): Body<Server>,
) -> Answer<StatusCode> {
    ask(&app, &id, "start", server.parameters()).await.map(|_| StatusCode::OK)
}

/// `POST /lsp/stop`.
pub async fn stop(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(server): Body<Server>,
) -> Answer<StatusCode> {
    ask(&app, &id, "stop", server.parameters()).await.map(|_| StatusCode::OK)
}

/// `POST /lsp/did-open`.
pub async fn open(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(document): Body<Document>,
) -> Answer<StatusCode> {
    ask(&app, &id, "open", document.parameters()).await.map(|_| StatusCode::OK)
}

/// `POST /lsp/did-close`.
pub async fn close(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(document): Body<Document>,
) -> Answer<StatusCode> {
    ask(&app, &id, "close", document.parameters()).await.map(|_| StatusCode::OK)
}

fn number(kinds: &[&str], kind: &Value) -> Option<usize> {
    kinds.iter().position(|one| kind == one).map(|at| at + 1)
}

/// `POST /lsp/completions`.
pub async fn completions(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(place): Body<Place>,
) -> Answer<Json<Value>> {
    let mut parameters = place.document.parameters();
    parameters["line"] = json!(place.position.line + 1);
    parameters["column"] = json!(place.position.character + 1);
    let told = ask(&app, &id, "completions", parameters).await?;
    let items = told["items"].as_array().into_iter().flatten().map(|item| {
        let mut view = json!({ "label": item["label"], "insertText": item["insert"] });
        let more = [("detail", "detail"), ("filterText", "filter"), ("sortText", "sort")];
        for (theirs, ours) in more.into_iter().filter(|(_, ours)| !item[*ours].is_null()) {
            view[theirs] = item[ours].clone();
        }
        if let Some(text) = item["documentation"].as_str() {
            view["documentation"] = json!({ "kind": "markdown", "value": text });
        }
        if let Some(kind) = number(&COMPLETIONS, &item["kind"]) {
            view["kind"] = json!(kind);
        }
        view
    });
    Ok(Json(json!({ "isIncomplete": told["incomplete"], "items": items.collect::<Vec<_>>() })))
}

fn symbols_of(told: &Value) -> Json<Value> {
    let place = |place: &Value| {
        let from_0 = |key: &str| place[key].as_u64().unwrap_or(1).saturating_sub(1);
        json!({ "line": from_0("line"), "character": from_0("column") })
    };
    let symbols = told["symbols"].as_array().into_iter().flatten().map(|symbol| {
        let range = json!({ "start": place(&symbol["range"]["start"]), "end": place(&symbol["range"]["end"]) });
        let uri = format!("file://{}", symbol["path"].as_str().unwrap_or_default());
        json!({ "name": symbol["name"], "kind": number(&SYMBOLS, &symbol["kind"]).unwrap_or(13), "location": { "uri": uri, "range": range } })
    });
    Json(symbols.collect())
}

/// `GET /lsp/document-symbols`.
pub async fn document_symbols(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Json<Value>> {
    let server = Server {
        language_id: needed(&query, "languageId")?.to_owned(),
        path_to_project: needed(&query, "pathToProject")?.to_owned(),
    };
    let document = Document { server, uri: needed(&query, "uri")?.to_owned() };
    Ok(symbols_of(&ask(&app, &id, "symbols", document.parameters()).await?))
}

/// `GET /lsp/workspacesymbols`.
pub async fn workspace_symbols(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Json<Value>> {
    let server = Server {
        language_id: needed(&query, "languageId")?.to_owned(),
        path_to_project: needed(&query, "pathToProject")?.to_owned(),
    };
    let mut parameters = server.parameters();
    parameters["query"] = json!(query.get("query").map_or("", String::as_str));
    parameters["utf16"] = json!(true);
    Ok(symbols_of(&ask(&app, &id, "find", parameters).await?))
}
