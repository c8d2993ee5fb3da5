//! The description of all routes, as OpenAPI 3.1 has it.

use crate::serve::App;
use crate::serve::daytona::Body;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::MethodFilter;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    method: &'static str,
    path: String,
    /// Of the query, with whether it must be there.
    query: Vec<(String, bool)>,
    /// The handler's name, as `files::list`.
    handler: String,
    reads: Reads,
}

/// What a handler reads besides.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// The type of a body, and its schema.
    body: Option<(&'static str, Value)>,
    upgrades: bool,
}

impl Route {
    pub(super) fn of<H, T: Parameters>(method: MethodFilter, path: &str) -> Route {
        let methods = [
            (MethodFilter::GET, "get"),
            (MethodFilter::POST, "post"),
            (MethodFilter::PUT, "put"),
            (MethodFilter::PATCH, "patch"),
            (MethodFilter::DELETE, "delete"),
        ];
        let method = methods.iter().find(|(filter, _)| *filter == method).expect("one of those above").1;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter(|word| !word.is_empty());
        let query = query.map(|word| (word.trim_end_matches('!').to_owned(), word.ends_with('!'))).collect();
        let handler = std::any::type_name::<H>().trim_start_matches("belljar::serve::").to_owned();
        let mut reads = Reads::default();
        T::tell(&mut reads);
        Route { method, path: path.to_owned(), query, handler, reads }
    }

    pub(super) fn below(self, prefix: &str) -> Route {
        Route { path: format!("{prefix}{}", self.path), ..self }
    }

    fn operation(&self) -> Value {
        let places =
            self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| (name, "path", true));
        let query = self.query.iter().map(|(name, needed)| (name.as_str(), "query", *needed));
        let parameters: Vec<_> = places
            .chain(query)
            .map(|(name, place, required)| json!({ "name": name, "in": place, "required": required, "schema": { "type": "string" } }))
            .collect();
        let mut responses =
            json!({ "2XX": { "description": "It was done." }, "4XX": { "$ref": "#/components/responses/Refused" } });
        // What belljar does not do is said with 501, and what a sandbox or the machine could not do with other numbers from there on.
        responses["5XX"] = json!({ "$ref": "#/components/responses/Failed" });
        if self.reads.upgrades {
            responses["101"] = json!({ "description": "A websocket." });
        }
        let module = self.handler.rsplit("::").nth(1).unwrap_or_default();
        let mut told = json!({
            "operationId": format!("{}_{}", self.method, self.path.replace(['/', '{', '}', '.', '-'], "_").trim_matches('_')),
            "tags": [format!("{} {module}", self.handler.split("::").next().unwrap_or_default())],
            "parameters": parameters,
            "responses": responses,
        });
        if let Some((kind, schema)) = &self.reads.body {
            told["requestBody"] = json!({ "content": { *kind: { "schema": schema } } });
        }
        told
    }
}

/// What is known of a handler by the types of its parameters.
pub trait Parameters {
    /// Tells it.
    fn tell(reads: &mut Reads);
}

/// One of a handler's parameters.
trait Part {
    fn tell(_: &mut Reads) {}
}

impl Part for State<Arc<App>> {}
impl Part for Path<String> {}
impl Part for Path<(String, String)> {}
impl Part for Path<(String, String, String)> {}
impl<T> Part for Query<T> {}
impl Part for HeaderMap {}
impl Part for Method {}
impl Part for Uri {}

impl Part for Request {
    fn tell(reads: &mut Reads) {
        reads.body = None;
    }
}

impl Part for WebSocketUpgrade {
    fn tell(reads: &mut Reads) {
        reads.upgrades = true;
    }
}

impl<T, E> Part for Result<T, E>
where
    T: Part,
{
    fn tell(reads: &mut Reads) {
        T::tell(reads);
    }
}

impl Part for Multipart {
    fn tell(reads: &mut Reads) {
        reads.body = Some(("multipart/form-data", json!({ "type": "object" })));
    }
}

impl Part for Bytes {
    fn tell(reads: &mut Reads) {
        reads.body = Some(("application/octet-stream", json!({})));
    }
}

impl<T: JsonSchema> Part for Body<T> {
    fn tell(reads: &mut Reads) {
        let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        }));
        let mut schema = generator.root_schema_for::<T>().to_value();
        if schema == json!(true) || schema.get("title") == Some(&json!("AnyValue")) {
            schema = json!({ "type": "object" });
        }
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("title");
        }
        reads.body = Some(("application/json", schema));
    }
}

impl Parameters for ((),) {
    fn tell(_: &mut Reads) {}
}

macro_rules! parameters {
    ($($part:ident)*) => {
        impl<M, $($part: Part),*> Parameters for (M, $($part,)*) {
            fn tell(reads: &mut Reads) {
                $($part::tell(reads);)*
            }
        }
    };
}
parameters!(A);
parameters!(A B);
parameters!(A B C);
parameters!(A B C D);
parameters!(A B C D E);
parameters!(A B C D E F);
parameters!(A B C D E F G);

/// The whole description.
pub fn described(routes: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let place = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        place[route.method] = route.operation();
    }
    let failure = json!({
        "type": "object",
        "description": "The body that clients of Daytona read; those of E2B read `code` and `message`.",
        "required": ["message", "code"],
        "properties": {
            "message": { "type": "string" }, "code": { "type": ["string", "integer"] }, "statusCode": { "type": "integer" },
            "source": { "type": "string" }, "error": { "type": "string" }, "path": { "type": "string" },
            "method": { "type": "string" }, "timestamp": { "type": "string" },
        },
    });
    let answer =
        |why: &str| json!({ "description": why, "content": { "application/json": { "schema": failure.clone() } } });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "belljar serve",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What `belljar serve` answers to clients of Daytona and E2B",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "security": [{ "token": [] }, { "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
            },
            "responses": {
                "Refused": answer("The request is wrong, or what it asks for is not there."),
                "Failed": answer("It could not be done: 501 where belljar does not do that."),
            },
        },
    })
}
