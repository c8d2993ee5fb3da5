//! Other ways than those that are described: to the storage, which speaks S3, and to a sandbox's toolbox, as clients for other
//! languages reach it.

use super::storage;
use crate::serve::failure::{Answer, Failure};
use crate::serve::{App, previews};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// The port of a sandbox that stands for its toolbox, to clients that ask for it as for a preview.
pub const TOOLBOX_PORT: u16 = 2280;

/// All of them.
pub fn routes() -> Router<Arc<App>> {
    let storage = Router::new()
        .route("/s3/{bucket}", get(storage::list))
        .route("/s3/{bucket}/", get(storage::list))
        .route("/s3/{bucket}/{*key}", any(storage::object))
        .layer(DefaultBodyLimit::disable());
    Router::new().route("/process/{*path}", any(at_the_root)).merge(storage)
}

/// Answers a request for a sandbox's toolbox.
///
/// # Errors
///
/// The path is none.
pub async fn tools(app: &Arc<App>, id: &str, request: Request) -> Answer<Response> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("/toolbox/{id}{path}").parse().map_err(|error| Failure::bad(format!("the address: {error}")))?;
    // Anew, since what was read of the other path would count as a part of this one.
    let mut request = Request::new(body);
    *request.uri_mut() = uri;
    *request.method_mut() = parts.method;
    *request.headers_mut() = parts.headers;
    if let Some(upgrade) = parts.extensions.remove::<hyper::upgrade::OnUpgrade>() {
        request.extensions_mut().insert(upgrade);
    }
    let router: Router = Router::new().nest("/toolbox/{id}", super::toolbox().router()).with_state(Arc::clone(app));
    let service = TowerToHyperService::new(router);
    hyper::service::Service::call(&service, request).await.map_err(|never| match never {})
}

/// A client that knows a toolbox by the token of its preview alone.
async fn at_the_root(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let missing = || Failure::not_found("there is no such path; the token of a preview of port 2280 names a toolbox");
    let given = request.headers().get(previews::HEADER).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let told = app.backend.call("ls", json!({})).await?;
    let mut all = told["sandboxes"].as_array().into_iter().flatten().filter_map(|known| known["id"].as_str());
    let is_named = |id: &&str| {
        let token = app.previews.token(id, app.access.token());
        bool::from(token.as_bytes().ct_eq(given.as_bytes()))
    };
    let id = all.find(is_named).ok_or_else(missing)?.to_owned();
    tools(&app, &id, request).await
}
