//! `belljar serve`: programs that were written for Daytona or E2B, over HTTP, on the store that the command line has too.
//!
//! One process in the foreground that holds no sandbox and knows nothing alone: what lasts are sandboxes with their labels, images
//! and volumes. Killing it ends nobody but its callers; another one finds the same. Everything is done by verbs, in `belljar rpc`
//! (`backend`); this layer reads requests, decides who may ask (`access`) and tells answers in the words of each API.

pub mod access;
mod backend;
mod connections;
mod daytona;
mod e2b;
mod failure;
mod guard;
pub mod mcp;
mod previews;
mod routes;
mod sockets;
mod tls;
mod transfer;
mod ui;

use crate::error::{Error, Kind};
use access::Access;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use backend::Backend;
use connections::Place;
use failure::Answer;
use previews::Previews;
use routes::Routes;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub use tls::Tls;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A port.
    Tcp(SocketAddr),
    /// A socket of the file system, for its owner alone.
    Unix(PathBuf),
}

/// What to serve, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Where it listens.
    pub listen: Listen,
    /// Whose certificate is shown, where HTTP goes over TLS.
    pub tls: Option<Tls>,
    /// The file that has the token, made where it is not there.
    pub token_file: PathBuf,
    /// Names that clients may call it by, besides the loopback's.
    pub names: Vec<String>,
    /// The network of sandboxes whose maker says nothing about it.
    pub net: String,
    /// Whether there is a page for people.
    pub ui: bool,
    /// The program that answers `rpc`.
    pub program: PathBuf,
    /// Where sandboxes are.
    pub home: Option<OsString>,
    /// How many sandboxes are kept ready for whoever asks for one.
    pub ready: u8,
}

/// What handlers know.
pub struct App {
    backend: Backend,
    access: Access,
    previews: Previews,
    /// Where clients find us, as `http://127.0.0.1:3000`.
    url: String,
    /// The network of sandboxes whose maker says nothing about it.
    net: String,
    /// Sizes of terminals, which nobody tells who did not set them.
    sizes: Mutex<HashMap<(String, String), (u16, u16)>>,
    /// Processes that E2B's clients have started.
    processes: e2b::Processes,
    /// Whether there is a page for people.
    has_page: bool,
    /// Files of builds, as they were uploaded.
    storage: daytona::storage::Storage,
    /// Tells Daytona's clients of what changes.
    events: daytona::events::Events,
    /// What models may ask for.
    tools: mcp::Table,
    /// Who builds an image.
    builds: tokio::sync::Mutex<()>,
}

impl App {
    fn new(backend: Backend, access: Access, url: String, wish: &Wish) -> Result<App, Error> {
        // Beside the token, where there is room for more than in memory.
        let directory = wish.token_file.parent().map_or_else(std::env::temp_dir, PathBuf::from);
        Ok(App {
            backend,
            access,
            previews: Previews::new()?,
            url,
            net: wish.net.clone(),
            sizes: Mutex::default(),
            processes: e2b::Processes::default(),
            has_page: wish.ui,
            storage: daytona::storage::Storage::new(directory),
            events: daytona::events::Events::default(),
            tools: mcp::table(),
            builds: tokio::sync::Mutex::default(),
        })
    }

    /// Where toolboxes are, each below its sandbox's id.
    fn toolbox(&self) -> String {
        format!("{}/toolbox", self.url)
    }

    fn scheme(&self) -> &str {
        self.url.split_once("://").map_or("http", |(scheme, _)| scheme)
    }

    fn authority(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The address of a preview: a name below that of the loopback, which browsers and libraries know without asking anybody.
    fn preview_url(&self, port: u16, who: &str) -> String {
        format!("{}://{port}-{who}.{}", self.scheme(), self.preview_domain())
    }

    /// What a client puts behind `PORT-SANDBOX.` to get the name of a preview.
    fn preview_domain(&self) -> String {
        let (_, number) = self.authority().rsplit_once(':').unwrap_or(("", "80"));
        format!("localhost:{number}")
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<(String, String), (u16, u16)>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A path inside as a whole one: clients count from the working directory.
    async fn inside(&self, sandbox: &daytona::Sandbox, path: &str) -> Answer<String> {
        self.path_inside(sandbox.id(), path).await
    }

    /// The same by a sandbox's id.
    async fn path_inside(&self, id: &str, path: &str) -> Answer<String> {
        if path.starts_with('/') {
            return Ok(path.to_owned());
        }
        let told = self.backend.call("exec", serde_json::json!({ "name": id, "command": ["pwd"] })).await?;
        let dir = told["stdout"].as_str().unwrap_or("/").trim_end_matches('\n').to_owned();
        let path = path.strip_prefix("~/").unwrap_or(path);
        Ok(if path == "." || path == "~" { dir } else { format!("{}/{path}", dir.trim_end_matches('/')) })
    }
}

/// What whoever started it reads: where it is, and what to set so that clients find it.
pub struct Started {
    /// Where clients find it.
    pub url: String,
    /// The token, where it was made just now.
    pub token: String,
    /// Whether it was made just now.
    pub is_new: bool,
    /// The address of the page for people, with its key, where there is one.
    pub page: Option<String>,
    /// The authority that clients are to trust, where it is our own.
    pub authority: Option<PathBuf>,
}

// A handler's panic is answered, and ends nothing else.
const _: () = assert!(cfg!(panic = "unwind"), "`serve` answers a panic, which has to unwind for that");

/// Serves until it is told to end; `tell` is called when it listens.
///
/// # Errors
///
/// The token or the place cannot be had.
pub fn serve(wish: Wish, tell: impl FnOnce(&Started)) -> Result<(), Error> {
    // Back to what only tells: see `main`.
    let _ = std::panic::take_hook();
    runtime()?.block_on(listen(wish, tell))
}

/// What runs tasks: there is little to compute, and much to wait for.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Error::attempt("start threads", &error))
}

async fn listen(wish: Wish, tell: impl FnOnce(&Started)) -> Result<(), Error> {
    let ended = ended()?;
    let (token, is_new) = access::token_in(&wish.token_file)?;
    let certificate = wish.tls.as_ref().map(|tls| tls.ready(&names_at(&wish))).transpose()?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let authority = certificate.as_ref().and_then(|certificate| certificate.authority.clone());
    let (place, url, address) = match &wish.listen {
        Listen::Tcp(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| Error::attempt(format!("listen at {address}"), &error))?;
            let address = listener.local_addr().map_err(|error| Error::attempt("listen", &error))?;
            let shown = if address.ip().is_unspecified() {
                SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port())
            } else {
                address
            };
            let acceptor = certificate.map(|certificate| certificate.acceptor);
            (Place::Tcp(listener, acceptor), format!("{scheme}://{shown}"), Some(address))
        }
        Listen::Unix(path) => (Place::Unix(socket_at(path)?), "http://localhost".to_owned(), None),
    };
    let key = if wish.ui { Some(access::unguessable()?) } else { None };
    let page = key.as_ref().map(|key| format!("{url}/ui/#{key}"));
    let access = Access::new(token.clone(), address, &wish.names).and(key);
    let backend = Backend::new(wish.program.clone(), wish.home.clone(), wish.ready);
    let app = Arc::new(App::new(backend, access, url.clone(), &wish)?);
    let router = routes(Arc::clone(&app), wish.ui);
    let shown = match &wish.listen {
        Listen::Tcp(_) => url,
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    tell(&Started { url: shown, token, is_new, page, authority });
    // Who is being answered goes with us, and what he asked for is cancelled.
    tokio::select! { () = connections::serve(place, router) => {}, () = ended => {} }
    if let Listen::Unix(path) = &wish.listen {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// What clients call it by.
fn names_at(wish: &Wish) -> Vec<String> {
    let address = match &wish.listen {
        Listen::Tcp(address) if !address.ip().is_unspecified() && !address.ip().is_loopback() => {
            Some(address.ip().to_string())
        }
        _ => None,
    };
    address.into_iter().chain(wish.names.iter().cloned()).collect()
}

/// Waits for a signal that ends us.
fn ended() -> Result<impl Future<Output = ()>, Error> {
    let of = |kind| signal(kind).map_err(|error| Error::attempt("wait for signals", &error));
    let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

/// A socket for its owner alone. One that a server left behind is taken away; one that somebody serves is not.
fn socket_at(path: &PathBuf) -> Result<UnixListener, Error> {
    let failed = |error: &std::io::Error| Error::attempt(format!("listen at {}", path.display()), error);
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Error::new(Kind::Invalid, format!("unix: somebody listens at {} already", path.display())));
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
            std::fs::remove_file(path).map_err(|error| failed(&error))?
        }
        Ok(_) => return Err(Error::new(Kind::Invalid, format!("unix: {} is no socket", path.display()))),
        Err(_) => {}
    }
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(before);
    listener.map_err(|error| failed(&error))
}

fn routes(app: Arc<App>, ui: bool) -> Router {
    let page = if ui { ui::routes() } else { Router::new() };
    page.merge(table().router())
        .merge(daytona::ways::routes())
        .fallback(guard::no_such_route)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// What others may rely on: docs/openapi.json.
fn table() -> Routes {
    daytona::routes().and(e2b::routes()).and(mcp::routes()).get("/health", health).get("/openapi.json", described)
}

/// `GET /openapi.json`.
async fn described() -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], include_str!("../docs/openapi.json")).into_response()
}

/// What is committed of it.
#[cfg(test)]
pub fn description() -> serde_json::Value {
    routes::describe::described(&table().told)
}

/// `GET /health`: that we are here, or, of a client that names a sandbox, whether that runs.
async fn health(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Response> {
    match e2b::health(&app, &headers).await {
        Some(answer) => answer.map(IntoResponse::into_response),
        None => Ok(daytona::health().await.into_response()),
    }
}

#[cfg(test)]
impl App {
    /// One whose token is twenty times `t`, and that has no verbs.
    fn for_tests() -> App {
        let access = Access::new("t".repeat(20), None, &[]);
        let wish = Wish {
            listen: Listen::Unix("/nowhere".into()),
            tls: None,
            token_file: "/nowhere/token".into(),
            names: Vec::new(),
            net: "none".to_owned(),
            ui: false,
            program: "/nowhere".into(),
            home: None,
            ready: 0,
        };
        let backend = Backend::new(wish.program.clone(), None, wish.ready);
        App::new(backend, access, "http://localhost".to_owned(), &wish).unwrap()
    }
}
