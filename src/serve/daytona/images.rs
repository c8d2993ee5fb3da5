//! What a sandbox is made of: a snapshot, or the text of a Dockerfile.
//!
//! Snapshots are belljar's images. A Dockerfile, in the forms that the clients' builders write, is done step by step in a sandbox,
//! whose snapshot is kept under a name that comes from the text: the same text is built once. Nothing is fetched unasked: `FROM`
//! names an image that is here, or stands for one of ours.

use super::App;
use crate::error::Kind;
use crate::serve::failure::{Answer, Failure};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What clients call the machine's own files.
const HOST: &str = "host";
/// Names that clients have for what is there anyway, with CPUs, GiB of memory and of disk.
const SIZES: [(&str, [u64; 3]); 3] =
    [("daytona-small", [1, 1, 3]), ("daytona-medium", [2, 4, 8]), ("daytona-large", [4, 8, 10])];
/// How long a step may take.
const STEP_TIME: &str = "15m";

/// The Dockerfile of a request.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Its text.
    pub dockerfile_content: String,
    /// Files that were to be uploaded before.
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

/// A step of a Dockerfile.
#[derive(Debug, PartialEq)]
enum Step {
    Run(Vec<String>),
    Env(String, String),
    Workdir(String),
}

/// Reads a Dockerfile: what it begins with, and its steps.
fn read(text: &str) -> Answer<(String, Vec<Step>)> {
    let (mut from, mut steps) = (None, Vec::new());
    let mut logical = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && logical.is_empty()) {
            continue;
        }
        if let Some(more) = line.strip_suffix('\\') {
            logical.push_str(more);
            logical.push(' ');
            continue;
        }
        logical.push_str(line);
        let whole = std::mem::take(&mut logical);
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole.as_str(), ""));
        let rest = rest.trim();
        match word.to_ascii_uppercase().as_str() {
            "FROM" if from.is_none() => from = rest.split_whitespace().next().map(str::to_owned),
            "FROM" => return Err(Failure::bad("dockerfile: it has several stages; one is built here")),
            "RUN" => steps.push(Step::Run(command_of(rest))),
            "ENV" => steps.extend(variables_of(rest)?),
            "WORKDIR" => steps.push(Step::Workdir(rest.to_owned())),
            // What runs by itself is the sandbox's own, and clients give none to it.
            "ENTRYPOINT" | "CMD" | "LABEL" | "EXPOSE" | "SHELL" | "ARG" | "USER" => {}
            "COPY" | "ADD" => {
                return Err(Failure::bad(
                    "dockerfile: COPY: there is no storage for files of a build; upload them into the sandbox",
                )
                .code("BAD_REQUEST"));
            }
            other => return Err(Failure::bad(format!("dockerfile: `{}` is not understood", other.escape_debug()))),
        }
    }
    Ok((from.ok_or_else(|| Failure::bad("dockerfile: FROM is missing"))?, steps))
}

/// A command of `RUN`: words in brackets as they are, anything else by a shell.
fn command_of(rest: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<String>>(rest) {
        Ok(words) if !words.is_empty() => words,
        _ => vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()],
    }
}

/// `K=V K2='v w'`, or `K v w`.
fn variables_of(rest: &str) -> Answer<Vec<Step>> {
    let wrong = || Failure::bad(format!("dockerfile: ENV: `{}` is not understood", rest.escape_debug()));
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = rest.split_once(char::is_whitespace).ok_or_else(wrong)?;
        return Ok(vec![Step::Env(name.to_owned(), value.trim().to_owned())]);
    }
    let (mut words, mut word, mut quote, mut letters) = (Vec::new(), String::new(), None, rest.chars());
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some('"') | None) => word.extend(letters.next()),
            (letter, Some(end)) if letter == end => quote = None,
            ('\'' | '"', None) => quote = Some(letter),
            (letter, None) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (letter, _) => word.push(letter),
        }
    }
    if quote.is_some() {
        return Err(wrong());
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
        .iter()
        .map(|word| {
            word.split_once('=').map(|(name, value)| Step::Env(name.to_owned(), value.to_owned())).ok_or_else(wrong)
        })
        .collect()
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

async fn built(app: &App, info: &BuildInfo) -> Answer<Made> {
    if info.context_hashes.as_ref().is_some_and(|hashes| !hashes.is_empty()) {
        return Err(Failure::not_here(
            "dockerfile: there is no storage for files of a build; upload them into the sandbox",
        ));
    }
    let (from, steps) = read(&info.dockerfile_content)?;
    let base = base_of(app, &from).await?;
    let mut made = Made { name: from, ..base.clone() };
    for step in &steps {
        match step {
            Step::Env(name, value) => drop(made.env.insert(name.clone(), value.clone())),
            Step::Workdir(dir) if dir.starts_with('/') => made.workdir = Some(dir.clone()),
            Step::Workdir(dir) => {
                made.workdir =
                    Some(format!("{}/{dir}", made.workdir.as_deref().unwrap_or_default().trim_end_matches('/')))
            }
            Step::Run(_) => {}
        }
    }
    if !steps.iter().any(|step| matches!(step, Step::Run(_) | Step::Workdir(_))) {
        return Ok(made);
    }
    let digest = Sha256::digest(format!("{:?}\n{}", base.image, info.dockerfile_content));
    let name = format!("daytona-build-{}", digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>());
    // One build of a text at a time: the second finds what the first has made.
    let _turn = app.builds.lock().await;
    if !is_here(app, &name).await? {
        build(app, &base, &steps, &name).await?;
    }
    Ok(Made { image: Some(name), ..made })
}

/// Does the steps in a sandbox, and makes an image of it.
async fn build(app: &App, base: &Made, steps: &[Step], name: &str) -> Answer<()> {
    let mut parameters =
        json!({ "keep": false, "net": app.net, "disk": "10G", "memory": "4G", "label": { "belljar.building": name } });
    if let Some(image) = &base.image {
        parameters["image"] = json!(image);
    }
    let made = app.backend.call("create", parameters).await?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    let done = async {
        let (mut env, mut workdir) = (BTreeMap::new(), None::<String>);
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Env(key, value) => drop(env.insert(key, value)),
                Step::Workdir(dir) => {
                    let whole = if dir.starts_with('/') {
                        dir.clone()
                    } else {
                        format!("{}/{dir}", workdir.as_deref().unwrap_or_default())
                    };
                    app.backend.call("fs.mkdir", json!({ "sandbox": id, "path": whole, "parents": true })).await?;
                    workdir = Some(whole);
                }
                Step::Run(command) => {
                    let mut parameters = json!({ "name": id, "command": command, "env": env, "timeout": STEP_TIME });
                    if let Some(workdir) = &workdir {
                        parameters["workdir"] = json!(workdir);
                    }
                    let told = app.backend.call("exec", parameters).await?;
                    if told["exit_code"] != json!(0) {
                        return Err(failed(number + 1, command, &told));
                    }
                }
            }
        }
        app.backend.call("snapshot.create", json!({ "name": id, "image": name })).await?;
        Ok(())
    };
    let result = done.await;
    app.backend.call("rm", json!({ "name": [id], "force": true })).await?;
    result
}

/// The end of what a step has written says why.
fn failed(number: usize, command: &[String], told: &Value) -> Failure {
    let written = format!("{}{}", super::process::text_of(told, "stdout"), super::process::text_of(told, "stderr"));
    let lines: Vec<&str> = written.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    let message = format!(
        "dockerfile: step {number}, `{}`, failed ({}): {last}",
        command.join(" "),
        told["status"].as_str().unwrap_or_default()
    );
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builders_write_is_read() {
        let text = "# made\nFROM python:3.12.10-slim-bookworm\nRUN apt-get update && \\\n    apt-get install -y gcc\n\
            RUN [\"echo\", \"a b\"]\nENV A='v w' B=\"x\\\"y\"\nENV C d e\nWORKDIR /work\nCMD [\"sh\"]\n";
        let (from, steps) = read(text).unwrap();
        assert_eq!(from, "python:3.12.10-slim-bookworm");
        let env = |name: &str, value: &str| Step::Env(name.to_owned(), value.to_owned());
        let run = |words: &[&str]| Step::Run(words.iter().map(|word| (*word).to_owned()).collect());
        let shell = "apt-get update &&  apt-get install -y gcc";
        let expected =
            [run(&["/bin/sh", "-c", shell]), run(&["echo", "a b"]), env("A", "v w"), env("B", "x\"y"), env("C", "d e")];
        assert_eq!(steps[..5], expected);
        assert_eq!(steps[5..], [Step::Workdir("/work".to_owned())]);
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let why = |text: &str| read(text).unwrap_err().message;
        assert_eq!(why("RUN true"), "dockerfile: FROM is missing");
        assert!(why("FROM a\nFROM b").contains("several stages"));
        assert!(why("FROM a\nCOPY x y").contains("COPY"));
        assert!(why("FROM a\nFLY").contains("FLY"));
        assert!(why("FROM a\nENV A='b").contains("ENV"));
    }
}
