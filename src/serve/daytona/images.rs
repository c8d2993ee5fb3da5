//! What a sandbox is made of: a snapshot, or the text of a Dockerfile.
//!
//! Snapshots are belljar's images. What a [`dockerfile`] says is [built](build) once, and kept under a name that comes from its text
//! and its files. Nothing is fetched unasked: `FROM` names an image that is here, or stands for one of ours.

use super::dockerfile::{self, Step};
use super::{App, build};
use crate::error::Kind;
use crate::serve::failure::{Answer, Failure};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What clients call the machine's own files.
const HOST: &str = "host";
/// Names that clients have for what is there anyway, with CPUs, GiB of memory and of disk.
const SIZES: [(&str, [u64; 3]); 3] =
    [("daytona-small", [1, 1, 3]), ("daytona-medium", [2, 4, 8]), ("daytona-large", [4, 8, 10])];

/// The Dockerfile of a request.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Its text.
    pub dockerfile_content: String,
    /// What its files were uploaded under, before.
    #[serde(default)]
    pub context_hashes: Option<Vec<String>>,
}

/// What a sandbox is made of.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// The name for clients.
    pub name: String,
    /// The image; none for the machine's own files.
    pub image: Option<String>,
    /// Variables that the image sets.
    pub env: BTreeMap<String, String>,
    /// Where commands begin.
    pub workdir: Option<String>,
    /// What runs by itself when a sandbox starts.
    pub entrypoint: Vec<String>,
    /// CPUs that go with the name.
    pub cpus: Option<u64>,
    /// GiB of memory.
    pub memory: Option<u64>,
    /// GiB of disk.
    pub disk: Option<u64>,
}

/// The name of an image from that of a snapshot: `latest` goes without saying.
pub fn image_name(snapshot: &str) -> String {
    snapshot.strip_suffix(":latest").unwrap_or(snapshot).to_owned()
}

/// Whether there is an image of that name.
async fn is_here(app: &App, name: &str) -> Answer<bool> {
    match app.backend.call("image.inspect", json!({ "name": name })).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Misused | Kind::Invalid | Kind::Ambiguous) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// The first of these that is there, or the machine's own files.
async fn first_of(app: &App, names: &[&str]) -> Answer<Made> {
    for name in names {
        if is_here(app, name).await? {
            return Ok(Made { name: (*name).to_owned(), image: Some((*name).to_owned()), ..Made::default() });
        }
    }
    Ok(Made { name: HOST.to_owned(), ..Made::default() })
}

/// What a request asks to be made.
///
/// # Errors
///
/// There is no such image, or a step of the Dockerfile failed.
pub async fn of(app: &App, snapshot: Option<&str>, build: Option<&BuildInfo>, language: Option<&str>) -> Answer<Made> {
    if let Some(info) = build {
        return built(app, info).await;
    }
    let by_language: &[&str] = match language {
        Some("typescript" | "javascript") => &["node"],
        _ => &["python"],
    };
    let Some(name) = snapshot.filter(|name| !name.is_empty()) else { return first_of(app, by_language).await };
    if let Some((_, [cpus, memory, disk])) = SIZES.iter().find(|(size, _)| *size == name) {
        let made = first_of(app, by_language).await?;
        return Ok(Made { name: name.to_owned(), cpus: Some(*cpus), memory: Some(*memory), disk: Some(*disk), ..made });
    }
    if name == HOST {
        return Ok(Made { name: HOST.to_owned(), ..Made::default() });
    }
    let image = image_name(name);
    if is_here(app, &image).await? {
        return Ok(Made { name: name.to_owned(), image: Some(image), ..Made::default() });
    }
    // Names that mean what is there anyway.
    if name == "python" || name == "node" {
        return first_of(app, &[]).await;
    }
    Err(Failure::bad(format!(
        "Snapshot {} not found; `belljar image ls` lists those that are here",
        name.escape_debug()
    )))
}

/// What `FROM` means here.
async fn base_of(app: &App, from: &str) -> Answer<Made> {
    let image = image_name(from);
    if is_here(app, &image).await? {
        return Ok(Made { name: from.to_owned(), image: Some(image), ..Made::default() });
    }
    let bare = from.rsplit('/').next().unwrap_or(from);
    let bare = bare.split([':', '@']).next().unwrap_or(bare);
    match bare {
        "python" => first_of(app, &["python"]).await,
        "node" => first_of(app, &["node"]).await,
        "debian" | "ubuntu" | "alpine" | "busybox" => first_of(app, &["shell"]).await,
        _ => Err(Failure::bad(format!(
            "dockerfile: FROM: `{}` is not here; `belljar image pull` fetches it, `belljar image ls` lists what is here",
            from.escape_debug()
        ))),
    }
}

/// Variables that an image sets.
async fn env_of(app: &App, base: &Made) -> Answer<BTreeMap<String, String>> {
    let Some(image) = &base.image else { return Ok(BTreeMap::new()) };
    let told = app.backend.call("image.inspect", json!({ "name": image })).await?;
    let pairs = told["config"]["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(pairs.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn built(app: &App, info: &BuildInfo) -> Answer<Made> {
    let hashes = info.context_hashes.as_deref().unwrap_or_default();
    let text = dockerfile::read(&info.dockerfile_content)?;
    let base = base_of(app, &text.from).await?;
    let plan = text.plan(&env_of(app, &base).await?)?;
    let made = Made {
        name: text.from,
        env: plan.env.clone(),
        workdir: plan.workdir.clone(),
        entrypoint: plan.entrypoint.clone(),
        ..base.clone()
    };
    if plan.steps.iter().all(|step| matches!(step, Step::Env(..))) {
        return Ok(made);
    }
    let digest = Sha256::digest(format!("{:?}\n{hashes:?}\n{}", base.image, info.dockerfile_content));
    let name = format!("daytona-build-{}", digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>());
    // One build of a text at a time: the second finds what the first has made.
    let _turn = app.builds.lock().await;
    if !is_here(app, &name).await? {
        let contexts = hashes.iter().map(|hash| app.storage.context(hash)).collect::<Answer<Vec<_>>>()?;
        build::build(app, &base, &plan, &contexts, &name).await?;
    }
    Ok(Made { image: Some(name), ..made })
}
