//! Git, in a sandbox, in the words of Daytona's clients.

use super::{App, Body, needed, sandboxes};
use crate::error::{Error, Kind};
use crate::serve::failure::{Answer, Failure};
use crate::verbs::text;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Words = Query<HashMap<String, String>>;
type Answered = Answer<Json<Value>>;

/// An error of git, with the status and the word that clients decide by.
fn of_git(error: Error) -> Failure {
    let (status, code) = match error.kind {
        Kind::Authentication => (401, "GIT_AUTH_FAILED"),
        Kind::RepositoryNotFound | Kind::NotARepository => (404, "GIT_REPO_NOT_FOUND"),
        Kind::RefNotFound => (404, "GIT_BRANCH_NOT_FOUND"),
        Kind::BranchExists => (409, "GIT_BRANCH_EXISTS"),
        Kind::PushRejected | Kind::Diverged => (409, "GIT_PUSH_REJECTED"),
        Kind::RemoteRejected => (403, "GIT_REMOTE_REJECTED"),
        Kind::DirtyTree => (409, "GIT_DIRTY_WORKTREE"),
        Kind::Conflict => (409, "GIT_MERGE_CONFLICT"),
        Kind::Transport | Kind::NetworkRefused => (502, "GIT_TRANSPORT_FAILED"),
        Kind::TimedOut => (408, "REQUEST_TIMEOUT"),
        Kind::NothingToCommit => (400, "BAD_REQUEST"),
        _ => return Failure::from(error),
    };
    let failure = Failure::from(error);
    Failure { status: StatusCode::from_u16(status).unwrap_or(failure.status), code: Some(code), ..failure }
}

async fn ask(app: &App, id: &str, method: &str, mut parameters: Map<String, Value>) -> Answer<Value> {
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    parameters.insert("sandbox".to_owned(), json!(sandbox.id()));
    // What was left out, or given as nothing, is the verb's to decide.
    parameters.retain(|_, value| !value.is_null() && *value != json!(""));
    app.backend.call(&format!("git.{method}"), Value::Object(parameters)).await.map_err(of_git)
}

/// A body's fields under the names that a verb has for them.
fn taken(body: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
    names.iter().map(|(theirs, ours)| ((*ours).to_owned(), body[*theirs].clone())).collect()
}

const PATH: (&str, &str) = ("path", "path");
const CREDENTIALS: [(&str, &str); 2] = [("username", "username"), ("password", "password")];

/// A word of a file's state, as clients have it.
fn word(state: &Value, conflict: &Value) -> &'static str {
    if !conflict.is_null() {
        return "Updated but unmerged";
    }
    match state.as_str().unwrap_or_default() {
        "untracked" => "Untracked",
        "modified" | "type_changed" => "Modified",
        "added" => "Added",
        "deleted" => "Deleted",
        "renamed" => "Renamed",
        "copied" => "Copied",
        _ => "Unmodified",
    }
}

/// `GET /git/status`.
pub async fn status(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answered {
    let told = ask(&app, &id, "status", taken(&json!(query), &[PATH])).await?;
    let files = told["files"].as_array().into_iter().flatten().map(|file| {
        json!({
            "name": file["path"], "staging": word(&file["staged"], &file["conflict"]), "worktree": word(&file["unstaged"], &file["conflict"]),
            "extra": file["old_path"].as_str().unwrap_or_default(),
        })
    });
    let branch = told["branch"].as_str().or(told["commit"].as_str()).unwrap_or_default();
    Ok(Json(json!({
        "currentBranch": branch, "fileStatus": files.collect::<Vec<_>>(), "ahead": told["ahead"], "behind": told["behind"],
        "branchPublished": told["published"], "detached": told["detached"], "upstream": told["upstream"],
    })))
}

/// `GET /git/branches`.
pub async fn branches(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answered {
    let told = ask(&app, &id, "branch", taken(&json!(query), &[PATH])).await?;
    let local = told["branches"].as_array().into_iter().flatten().filter(|branch| branch["remote"] != json!(true));
    let names: Vec<&Value> = local.map(|branch| &branch["name"]).collect();
    Ok(Json(json!({ "branches": names, "current": told["current"] })))
}

/// `POST /git/branches`: makes one and goes to it.
pub async fn create_branch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    let mut parameters = taken(&body, &[PATH, ("name", "name")]);
    parameters.insert("create".to_owned(), json!(true));
    ask(&app, &id, "checkout", parameters).await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /git/branches`.
pub async fn delete_branch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    let mut parameters = taken(&body, &[PATH, ("name", "name")]);
    parameters.extend([("delete".to_owned(), json!(true)), ("force".to_owned(), json!(true))]);
    ask(&app, &id, "branch", parameters).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers that it was done.
async fn done(app: &App, id: &str, method: &str, body: &Value, names: &[(&str, &str)]) -> Answer<StatusCode> {
    ask(app, id, method, taken(body, names)).await?;
    Ok(StatusCode::OK)
}

/// `POST /git/checkout`.
pub async fn checkout(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    done(&app, &id, "checkout", &body, &[PATH, ("branch", "name")]).await
}

/// `POST /git/clone`.
pub async fn clone(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    let names = [
        PATH,
        ("url", "url"),
        ("branch", "branch"),
        ("commit_id", "commit"),
        ("depth", "depth"),
        ("insecure_skip_tls", "insecure_tls"),
    ];
    done(&app, &id, "clone", &body, &[&names[..], &CREDENTIALS].concat()).await
}

/// `POST /git/init`.
pub async fn init(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    done(&app, &id, "init", &body, &[PATH, ("bare", "bare"), ("initial_branch", "branch")]).await
}

/// `POST /git/add`.
pub async fn add(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    done(&app, &id, "add", &body, &[PATH, ("files", "files")]).await
}

/// `POST /git/commit`.
pub async fn commit(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answered {
    let names =
        [PATH, ("message", "message"), ("author", "author"), ("email", "email"), ("allow_empty", "allow_empty")];
    let told = ask(&app, &id, "commit", taken(&body, &names)).await?;
    Ok(Json(json!({ "hash": told["hash"] })))
}

/// `POST /git/push`.
pub async fn push(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    let names = [PATH, ("remote", "remote"), ("branch", "branch"), ("set_upstream", "set_upstream")];
    done(&app, &id, "push", &body, &[&names[..], &CREDENTIALS].concat()).await
}

/// `POST /git/pull`.
pub async fn pull(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    let names = [PATH, ("remote", "remote"), ("branch", "branch")];
    done(&app, &id, "pull", &body, &[&names[..], &CREDENTIALS].concat()).await
}

/// `GET /git/history`.
pub async fn history(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answered {
    let told = ask(&app, &id, "log", taken(&json!(query), &[PATH])).await?;
    let commits = told["commits"].as_array().into_iter().flatten().map(|commit| {
        let at = text::moment(commit["time"].as_i64().unwrap_or_default());
        json!({ "hash": commit["hash"], "author": commit["author"], "email": commit["email"], "message": commit["message"], "timestamp": at })
    });
    Ok(Json(commits.collect()))
}

/// `POST /git/reset`.
pub async fn reset(State(app): State<Arc<App>>, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<StatusCode> {
    done(&app, &id, "reset", &body, &[PATH, ("mode", "mode"), ("target", "target"), ("files", "files")]).await
}

/// `POST /git/restore`.
pub async fn restore(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    done(
        &app,
        &id,
        "restore",
        &body,
        &[PATH, ("files", "files"), ("source", "source"), ("staged", "staged"), ("worktree", "worktree")],
    )
    .await
}

/// `GET /git/remotes`.
pub async fn remotes(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answered {
    let told = ask(&app, &id, "remote", taken(&json!(query), &[PATH])).await?;
    let remotes = told["remotes"].as_array().into_iter().flatten();
    let remotes: Vec<Value> = remotes.map(|remote| json!({ "name": remote["name"], "url": remote["url"] })).collect();
    Ok(Json(json!({ "remotes": remotes })))
}

/// `POST /git/remotes`.
pub async fn add_remote(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    let mut parameters = taken(&body, &[PATH, ("name", "name"), ("url", "to"), ("overwrite", "overwrite")]);
    parameters.insert("deed".to_owned(), json!("add"));
    ask(&app, &id, "remote", parameters).await?;
    if body["fetch"] == json!(true) {
        ask(&app, &id, "fetch", taken(&body, &[PATH, ("name", "remote")])).await?;
    }
    Ok(StatusCode::CREATED)
}

/// `GET /git/config`.
pub async fn get_config(State(app): State<Arc<App>>, Path(id): Path<String>, Query(query): Words) -> Answered {
    needed(&query, "key")?;
    let told = ask(&app, &id, "config", taken(&json!(query), &[PATH, ("key", "key"), ("scope", "scope")])).await;
    match told {
        Ok(told) => Ok(Json(json!({ "value": told["value"] }))),
        // A setting that is not there has no value.
        Err(failure) if failure.status == StatusCode::NOT_FOUND && failure.code.is_none() => {
            Ok(Json(json!({ "value": null })))
        }
        Err(failure) => Err(failure),
    }
}

/// `POST /git/config`.
pub async fn set_config(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    done(&app, &id, "config", &body, &[PATH, ("key", "key"), ("value", "value"), ("scope", "scope")]).await
}

/// `POST /git/config/user`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct User {
    name: String,
    email: String,
    path: Option<String>,
    scope: Option<String>,
}

/// `POST /git/config/user`.
pub async fn set_user(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(user): Body<User>,
) -> Answer<StatusCode> {
    // Without a repository it is for all of them.
    let scope = user.scope.unwrap_or_else(|| if user.path.is_some() { "local" } else { "global" }.to_owned());
    for (key, value) in [("user.name", user.name), ("user.email", user.email)] {
        let body = json!({ "path": user.path, "scope": scope, "key": key, "value": value });
        set_config(State(Arc::clone(&app)), Path(id.clone()), Body(body)).await?;
    }
    Ok(StatusCode::OK)
}

/// `POST /git/credentials`: nothing that unlocks others' machines is kept where code runs that nobody has read.
pub async fn no_credentials() -> Failure {
    Failure::not_here("git: credentials are not kept in a sandbox; give them with each clone, pull and push")
}
