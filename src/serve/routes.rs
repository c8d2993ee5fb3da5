//! Routes, and what is told of them: the description that is committed (`docs/openapi.json`) is made of the same table.
//!
//! A path may have the names of its query behind it, as `/files?path!&depth`: `!` says that it must be there. What a handler takes from
//! the path, and the body that it reads, is told by the types of its parameters.

use super::App;
use super::connections::MOST;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A table of routes.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<App>>,
    /// What is told of each.
    #[cfg(test)]
    pub told: Vec<describe::Route>,
}

/// What is known of a handler's parameters.
#[cfg(test)]
pub use describe::Parameters;

/// What is known of a handler's parameters: nothing is needed but by the test that writes it down.
#[cfg(not(test))]
pub trait Parameters {}
#[cfg(not(test))]
impl<T> Parameters for T {}

impl Routes {
    /// A route, in order.
    fn on<H, T>(mut self, method: MethodFilter, path: &str, handler: H) -> Routes
    where
        H: Handler<T, Arc<App>>,
        T: Parameters + 'static,
    {
        let whole = path.split_once('?').map_or(path, |(whole, _)| whole);
        #[cfg(test)]
        self.told.push(describe::Route::of::<H, T>(method, path));
        self.router = self.router.route(whole, on(method, handler));
        self
    }

    /// One that looks.
    pub fn get<H: Handler<T, Arc<App>>, T: Parameters + 'static>(self, path: &str, handler: H) -> Routes {
        self.on(MethodFilter::GET, path, handler)
    }

    /// One that makes, or does.
    pub fn post<H: Handler<T, Arc<App>>, T: Parameters + 'static>(self, path: &str, handler: H) -> Routes {
        self.on(MethodFilter::POST, path, handler)
    }

    /// One that sets.
    pub fn put<H: Handler<T, Arc<App>>, T: Parameters + 'static>(self, path: &str, handler: H) -> Routes {
        self.on(MethodFilter::PUT, path, handler)
    }

    /// One that changes a part.
    pub fn patch<H: Handler<T, Arc<App>>, T: Parameters + 'static>(self, path: &str, handler: H) -> Routes {
        self.on(MethodFilter::PATCH, path, handler)
    }

    /// One that removes.
    pub fn delete<H: Handler<T, Arc<App>>, T: Parameters + 'static>(self, path: &str, handler: H) -> Routes {
        self.on(MethodFilter::DELETE, path, handler)
    }

    /// All but those that look are done to their end, though whoever has asked goes away: half of it is nothing that anybody wants.
    pub fn settled(mut self) -> Routes {
        self.router = self.router.layer(from_fn(to_its_end));
        self
    }

    /// The largest body that all of them read.
    pub fn limited(mut self, limit: DefaultBodyLimit) -> Routes {
        self.router = self.router.layer(limit);
        self
    }

    /// Answers what no other route does.
    pub fn otherwise<H: Handler<T, Arc<App>>, T: 'static>(mut self, handler: H) -> Routes {
        self.router = self.router.fallback(handler);
        self
    }

    /// Those of both.
    pub fn and(mut self, other: Routes) -> Routes {
        #[cfg(test)]
        self.told.extend(other.told);
        self.router = self.router.merge(other.router);
        self
    }

    /// Those of another table, below a path.
    pub fn below(mut self, prefix: &str, other: Routes) -> Routes {
        #[cfg(test)]
        self.told.extend(other.told.into_iter().map(|route| route.below(prefix)));
        self.router = self.router.nest(prefix, other.router);
        self
    }

    /// Another way to the same, of which nothing is told again.
    pub fn also(mut self, prefix: &str, other: Routes) -> Routes {
        self.router = self.router.nest(prefix, other.router);
        self
    }

    /// What serves them.
    pub fn router(self) -> Router<Arc<App>> {
        self.router
    }
}

/// Requests that are done to their end at once, with or without a caller: as many as there may be connections.
static ROOM: Semaphore = Semaphore::const_new(MOST);

/// Answers a request in a task of its own, unless it only looks: its caller's end ends nothing then. Who goes away before there is room
/// for it has asked for nothing.
pub async fn to_its_end(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let Ok(room) = ROOM.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let done = async move {
        let response = next.run(request).await;
        drop(room);
        response
    };
    match tokio::spawn(done).await {
        Ok(response) => response,
        // As if it had been done here.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
pub mod describe;
