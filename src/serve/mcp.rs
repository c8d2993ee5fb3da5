//! The Model Context Protocol: sandboxes as tools of a model, on standard input and output or over HTTP.
//!
//! `rmcp` speaks the protocol, the revision of 2026-07-28 and the handshake of those before. Here are the tools: what a model may
//! ask for, and in which words it hears the answer. What a command could not do is an answer, with its exit code; what belljar
//! could not do is an error of the tool, with its cure, and never one of the protocol, which models do not see.
//!
//! A model does what somebody else has written into a file that it reads. So it reaches the sandboxes of its own program alone;
//! whoever starts the program says what a sandbox may reach on the network and how much it may use, and no tool goes beyond that;
//! and nothing leads to files, variables or credentials of the host.

mod boxes;
mod files;
mod git;
mod lines;
mod run;

pub use boxes::Terms;

use super::backend::Backend;
use super::routes::Routes;
use super::{App, ended, runtime};
use crate::error::{Error, Kind};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use boxes::Boxes;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::{IntoCallToolResult, ToolCallContext};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What a model is told of all tools at once.
const INSTRUCTIONS: &str = "Sandboxes on this machine: isolated files, processes and network for code that nobody has read. \
Tools that take `sandbox` use one that is made at the first call and goes with this connection, unless you name another that \
create_sandbox gave you. Files and variables of run_code stay in it from call to call. What it may reach on the network, and how much \
memory and time it has, was decided by whoever started this server; get_network tells.";
/// The same over HTTP, where connections mean nothing.
const INSTRUCTIONS_HTTP: &str = "Sandboxes on this machine: isolated files, processes and network for code that nobody has read. \
Call create_sandbox first, and give what it answers as `sandbox` to the other tools. Files and variables of run_code stay in it from call to \
call; it is removed by remove_sandbox, or when nobody has used it for half an hour.";
/// The longest body of a request.
const LARGEST: usize = 16 << 20;

/// What a program on the other side of standard input and output may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The program that answers `rpc`.
    pub program: PathBuf,
    /// Where sandboxes are.
    pub home: Option<OsString>,
    /// What sandboxes are made with.
    pub terms: Terms,
    /// Sandboxes that are there, and that it may use too; the first is the one that tools mean which name none.
    pub sandboxes: Vec<String>,
    /// How many sandboxes are kept ready for whoever asks for one.
    pub ready: u8,
}

/// Serves until its input ends or it is told to end. The sandboxes that it made go with it, even where it is killed.
///
/// # Errors
///
/// Threads cannot be had, or a sandbox that was named is not there.
pub fn serve(wish: Wish) -> Result<(), Error> {
    let runtime = runtime()?;
    let told = runtime.block_on(async {
        let ended = ended()?;
        let boxes =
            Boxes::of_process(Backend::new(wish.program, wish.home, wish.ready), wish.terms, wish.sandboxes).await?;
        let server = Tools::new(boxes, table(), INSTRUCTIONS);
        let talk = async {
            // A client that goes before it has said who it is has not asked for anything.
            let (stream, written) = lines::between(tokio::io::stdin(), tokio::io::stdout());
            let (read, write) = tokio::io::split(stream);
            let transport = AsyncRwTransport::new(read, write).with_max_line_length(lines::LONGEST + 1);
            let served = async {
                let Ok(running) = server.serve(transport).await else { return };
                let _ = running.waiting().await;
            };
            tokio::join!(served, written);
        };
        tokio::select! { () = talk => {}, () = ended => {} }
        Ok(())
    });
    // Somebody may never end our input.
    runtime.shutdown_background();
    told
}

/// `/mcp`: the same tools over HTTP, each request for itself.
pub(super) fn routes() -> Routes {
    Routes::default()
        .post("/mcp", answer)
        .get("/mcp", answer)
        .delete("/mcp", answer)
        .limited(DefaultBodyLimit::max(LARGEST))
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    if !is_json(request.headers()) && request.method() == axum::http::Method::POST {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: must be application/json").into_response();
    }
    let terms = Terms { net: app.net.clone(), ..Terms::default() };
    let backend = app.backend.clone();
    let table = Arc::clone(&app.tools);
    let tools =
        move || Ok(Tools::new(Boxes::labelled(backend.clone(), terms.clone()), Arc::clone(&table), INSTRUCTIONS_HTTP));
    // Names and pages were looked at by the guard.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(LARGEST);
    let service = StreamableHttpService::new(tools, Arc::new(NeverSessionManager::default()), config);
    service.handle(request).await.map(axum::body::Body::new)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// All tools and their schemas, which are the same for everybody.
pub(super) type Table = Arc<ToolRouter<Tools>>;

/// Makes it: once for a server, since schemas are a while in the making.
pub(super) fn table() -> Table {
    Arc::new(Tools::box_tools() + Tools::run_tools() + Tools::file_tools() + Tools::git_tools())
}

/// The tools of one program.
#[derive(Clone)]
pub(super) struct Tools {
    boxes: Arc<Boxes>,
    table: Table,
    instructions: &'static str,
}

impl Tools {
    fn new(boxes: Boxes, table: Table, instructions: &'static str) -> Tools {
        Tools { boxes: Arc::new(boxes), table, instructions }
    }
}

/// What a tool answers.
pub(super) struct Told(Result<CallToolResult, Error>);

impl Told {
    /// Of what a tool has found.
    pub fn of(result: Result<Vec<ContentBlock>, Error>) -> Told {
        Told(result.map(CallToolResult::success))
    }

    /// The same as JSON.
    pub fn json(result: Result<serde_json::Value, Error>) -> Told {
        Told::of(result.map(|value| vec![ContentBlock::text(format!("{value:#}"))]))
    }
}

impl IntoCallToolResult for Told {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        let told = self.0.unwrap_or_else(|error| {
            let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}"));
            CallToolResult::error(vec![ContentBlock::text(format!("{error}{hint}"))])
        });
        Ok(told.into())
    }
}

/// What a model asked for is not as it has to be.
fn invalid(why: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, why.into())
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        let mut name = Implementation::new("belljar", env!("CARGO_PKG_VERSION"));
        name.title = Some("belljar sandboxes".to_owned());
        info.server_info = name;
        info.instructions = Some(self.instructions.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.table.list_all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let cancelled = context.ct.clone();
        let call = self.table.call(ToolCallContext::new(self, request, context));
        tokio::select! {
            told = call => told,
            // Whoever asked does not wait any more, and what was begun ends.
            () = cancelled.cancelled() => Err(ErrorData::internal_error("it was cancelled", None)),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.table.get(name).cloned()
    }
}
