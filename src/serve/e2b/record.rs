//! What E2B's clients know of a sandbox: what belljar knows of it, and a record of what only they say.

use crate::error::Kind;
use crate::serve::App;
use crate::serve::failure::{Answer, Failure};
use crate::verbs::text;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The label that carries the record.
pub const LABEL: &str = "belljar.e2b";
/// The version of what is inside that clients may expect: standard input can be closed, and there are default users.
const INSIDE: &str = "0.5.2";

/// What only these clients say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Record {
    /// What it was made of, as they call it.
    pub template: String,
    /// Variables of every command.
    pub envs: BTreeMap<String, String>,
    /// What they remember of it.
    pub metadata: BTreeMap<String, String>,
    /// When it was made, in seconds.
    pub made: u64,
    /// When it ends.
    pub end: u64,
    /// Whether its ports need a token.
    pub private: bool,
    /// Whether it was given the network.
    pub network: bool,
    /// Contexts of the code interpreter that were made, the newest last.
    pub contexts: Vec<Context>,
}

/// A context of the code interpreter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Context {
    /// By which clients name it.
    pub id: String,
    /// What it runs.
    pub language: String,
    /// Where it began.
    pub cwd: String,
}

/// A sandbox that was found.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// What belljar knows.
    pub known: Value,
    /// What only clients say.
    pub record: Record,
}

/// Seconds now.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Sandbox {
    /// From an object of `ls` or `inspect`; nothing, where it is not these clients'.
    pub fn of(known: Value) -> Option<Sandbox> {
        let record = serde_json::from_str(known["labels"][LABEL].as_str()?).ok()?;
        Some(Sandbox { known, record })
    }

    /// Belljar's id, which is theirs too.
    pub fn id(&self) -> &str {
        self.known["id"].as_str().unwrap_or_default()
    }

    /// Whether anything can be done in it.
    pub fn is_running(&self) -> bool {
        self.known["state"] == "running"
    }

    /// What everything that runs in it finds set.
    pub fn env(&self) -> BTreeMap<String, String> {
        let mut env = self.record.envs.clone();
        env.insert("E2B_SANDBOX".to_owned(), "true".to_owned());
        env.insert("E2B_SANDBOX_ID".to_owned(), self.id().to_owned());
        env.insert("E2B_TEMPLATE_ID".to_owned(), self.record.template.clone());
        env
    }

    /// The state, as clients call it.
    pub fn state(&self) -> &'static str {
        if self.is_running() { "running" } else { "paused" }
    }

    /// What whoever makes it reads.
    pub fn handle(&self, app: &App) -> Value {
        json!({
            "sandboxID": self.id(), "templateID": self.record.template, "clientID": "belljar", "envdVersion": INSIDE,
            "envdAccessToken": super::token_of(app, self.id()), "domain": app.preview_domain(),
            // What is asked of the interpreter's contexts has this one alone.
            "trafficAccessToken": super::token_of(app, self.id()),
        })
    }

    /// What a list says of it.
    pub fn view(&self) -> Value {
        let limits = &self.known["limits"];
        let mib = |bytes: &Value| bytes.as_u64().unwrap_or_default() >> 20;
        json!({
            "sandboxID": self.id(), "templateID": self.record.template, "clientID": "belljar", "envdVersion": INSIDE,
            "startedAt": text::time(self.record.made), "endAt": text::time(self.record.end),
            "cpuCount": limits["cpus"].as_f64().map_or(1, |cpus| cpus.ceil() as u64),
            "memoryMB": mib(&limits["memory_bytes"]), "diskSizeMB": mib(&limits["disk_bytes"]),
            "state": self.state(), "metadata": self.record.metadata, "allowInternetAccess": self.record.network,
        })
    }

    /// Writes the record anew.
    ///
    /// # Errors
    ///
    /// The sandbox is gone.
    pub async fn write(&self, app: &App) -> Answer<()> {
        let label = format!("{LABEL}={}", written(&self.record)?);
        app.backend.call("label", json!({ "name": self.id(), "label": [label] })).await?;
        Ok(())
    }
}

/// The record as the label has it.
///
/// # Errors
///
/// None that is known.
pub fn written(record: &Record) -> Answer<String> {
    serde_json::to_string(record).map_err(|error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("write what is known of the sandbox: {error}"))
    })
}

/// Whether a sandbox is these clients', and its ports need no token.
pub fn is_public(known: &Value) -> bool {
    Sandbox::of(known.clone()).is_some_and(|sandbox| !sandbox.record.private)
}

/// The sandbox of that id.
///
/// # Errors
///
/// There is none, or it is not these clients'.
pub async fn find(app: &App, id: &str) -> Answer<Sandbox> {
    let missing = || Failure::not_found(format!("sandbox \"{}\" not found", id.escape_debug()));
    let known = app.backend.call("inspect", json!({ "name": id })).await.map_err(|error| match error.kind {
        Kind::NotFound | Kind::Ambiguous | Kind::Misused => missing(),
        _ => Failure::from(error),
    })?;
    // The whole id and nothing else: by that its token is made.
    Sandbox::of(known).filter(|sandbox| sandbox.id() == id).ok_or_else(missing)
}
