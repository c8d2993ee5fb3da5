//! What Daytona's clients know of a sandbox: what belljar knows of it, and a record of what only they say.
//!
//! The record is a label of the sandbox, [`LABEL`], so that nothing is known to the server alone: another one, or the command
//! line, finds the same, and a sandbox that the command line made is one as any other.

use crate::serve::failure::{Answer, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The label that carries the record.
pub const LABEL: &str = "belljar.daytona";
/// The organisation that everything belongs to. Clients want one, and there is one.
pub const ORGANIZATION: &str = "belljar";
/// The region, as clients call it `target`.
pub const TARGET: &str = "local";
const GIB: u64 = 1 << 30;

/// A volume of a sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The volume's name.
    pub volume_id: String,
    /// Where it is shown inside.
    pub mount_path: String,
    /// The directory in it that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subpath: Option<String>,
}

/// What only these clients say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Record {
    /// The user they asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Variables of every command.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether previews need no token.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// What it was made of, by its name for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The Dockerfile that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// What runs by itself when it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The session in which that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint_session: Option<String>,
    /// Minutes without a call until it is stopped; 0 for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop: Option<i64>,
    /// The same until it is archived, which here is a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_archive: Option<i64>,
    /// The same until it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_pause: Option<i64>,
    /// Minutes from its stop to its removal; -1 for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_delete: Option<i64>,
    /// Whether all network was forbidden.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub block_all: bool,
    /// Ranges that may be reached, as they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_list: Option<String>,
    /// Names that may be reached, as they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_list: Option<String>,
    /// Volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Whether it was archived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// What signs addresses of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
}

/// A sandbox that was found.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// What belljar knows, an object of `ls`.
    pub known: Value,
    /// What only clients say.
    pub record: Record,
}

impl Sandbox {
    /// From an object of `ls` or `inspect`.
    pub fn of(known: Value) -> Sandbox {
        // A label that somebody else has written says nothing.
        let record = known["labels"][LABEL].as_str().and_then(|text| serde_json::from_str(text).ok());
        Sandbox { known, record: record.unwrap_or_default() }
    }

    /// Belljar's id, which is the clients' too.
    pub fn id(&self) -> &str {
        self.known["id"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.known["name"].as_str().unwrap_or_default()
    }

    /// The state, as clients call it.
    pub fn state(&self) -> &'static str {
        match self.known["state"].as_str().unwrap_or_default() {
            "running" => "started",
            "starting" => "starting",
            "stopping" => "stopping",
            "stopped" if self.record.archived => "archived",
            "stopped" => "stopped",
            _ => "error",
        }
    }

    /// The labels that clients gave.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.known["labels"].as_object().into_iter().flatten();
        labels
            .filter(|(key, _)| !key.starts_with("belljar."))
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// The object that clients read. `toolbox` is where its toolbox is reached.
    pub fn view(&self, toolbox: &str) -> Value {
        let (known, record) = (&self.known, &self.record);
        let limits = &known["limits"];
        let whole = |bytes: &Value| bytes.as_u64().map_or(0, |bytes| bytes.div_ceil(GIB));
        let state = self.state();
        let ended = &known["end"];
        let touched = if ended["at"].is_string() { &ended["at"] } else { &known["started"] };
        json!({
            "id": self.id(),
            "organizationId": ORGANIZATION,
            "name": self.name(),
            "snapshot": record.snapshot.as_deref().or(known["image"].as_str()),
            "user": record.user.as_deref().unwrap_or("daytona"),
            "env": record.env,
            "labels": self.labels(),
            "public": record.public,
            "networkBlockAll": record.block_all || (record.allow_list.is_none() && record.domain_list.is_none() && known["net"] == "none"),
            "networkAllowList": record.allow_list,
            "domainAllowList": record.domain_list,
            "kvm": false,
            "target": TARGET,
            "cpu": limits["cpus"].as_f64().map_or(0, |cpus| cpus.ceil() as u64),
            "gpu": 0,
            "memory": whole(&limits["memory_bytes"]),
            "disk": whole(&limits["disk_bytes"]),
            "state": state,
            "desiredState": if state == "started" || state == "starting" { "started" } else { "stopped" },
            "errorReason": if state == "error" { known["end"]["error"].as_str().or(known["state"].as_str()) } else { None },
            "recoverable": state == "error",
            "backupState": "None",
            "autoStopInterval": record.auto_stop.unwrap_or(0),
            "autoPauseInterval": record.auto_pause.unwrap_or(0),
            "autoArchiveInterval": record.auto_archive.unwrap_or(0),
            "autoDeleteInterval": record.auto_delete.unwrap_or(-1),
            "volumes": record.volumes,
            "buildInfo": record.dockerfile.as_ref().map(|text| json!({
                "dockerfileContent": text, "contextHashes": [], "createdAt": known["created"], "updatedAt": known["created"],
                "snapshotRef": known["image"],
            })),
            "createdAt": known["created"],
            "updatedAt": touched,
            "lastActivityAt": touched,
            "sandboxClass": "container",
            "daemonVersion": env!("CARGO_PKG_VERSION"),
            "runnerId": "local",
            "toolboxProxyUrl": toolbox,
        })
    }

    /// Whether it can be worked in.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn running(&self) -> Answer<()> {
        match self.state() {
            "started" => Ok(()),
            state => Err(Failure::bad(format!("sandbox is not running: it is {state}"))),
        }
    }
}

/// What a label may be: clients' own never stand in the place of ours.
///
/// # Errors
///
/// One that is ours.
pub fn labels(given: &BTreeMap<String, String>) -> Answer<Map<String, Value>> {
    if let Some(key) = given.keys().find(|key| key.starts_with("belljar.")) {
        return Err(Failure::bad(format!("labels: `{key}`: labels that begin with `belljar.` are the server's own")));
    }
    Ok(given.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect())
}
