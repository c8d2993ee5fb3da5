//! Builds what a Dockerfile says: its steps are done in a sandbox, of which an image is made then.

use super::dockerfile::{Copy, Plan, Step};
use super::images::Made;
use super::process::text_of;
use super::storage::Object;
use crate::serve::App;
use crate::serve::backend::Said;
use crate::serve::failure::{Answer, Failure};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;

/// How long a step may take.
const STEP_TIME: &str = "15m";
/// Where files of the context are while it is built.
const CONTEXT: &str = "/tmp/.belljar-context";
/// What is given at once of an archive.
const PIECE: usize = 1 << 20;
/// Puts files of the context in their place: the place, whether archives are unpacked, an owner, a mode, and patterns.
const COPY: &str = r#"
set -e
to=$1 unpacks=$2 owner=$3 mode=$4
shift 4
cd "$CONTEXT"
put() {
  if [ -d "$1" ]; then
    mkdir -p "$to" && cp -R "$1/." "$to" && placed=$to
  elif [ "$unpacks" = yes ] && tar -tf "$1" >/dev/null 2>&1; then
    mkdir -p "$to" && tar -xf "$1" -C "$to" && placed=$to
  else
    case $to in
      */) mkdir -p "$to" && placed=$to${1##*/} ;;
      *) if [ -d "$to" ]; then placed=$to/${1##*/}; else mkdir -p "$(dirname "$to")" && placed=$to; fi ;;
    esac
    cp "$1" "$placed"
  fi
  if [ -n "$owner" ]; then chown -R "$owner" "$placed"; fi
  if [ -n "$mode" ]; then chmod -R "$mode" "$placed"; fi
}
for pattern; do
  found=no
  IFS=
  for file in ./${pattern#/}; do
    if [ -e "$file" ] || [ -L "$file" ]; then
      found=yes
      put "$file"
    fi
  done
  unset IFS
  if [ $found = no ]; then echo "$pattern: not in the context" >&2; exit 1; fi
done
"#;

/// Does the steps in a sandbox, and makes an image of it.
///
/// # Errors
///
/// A step failed, or there are no files of the context.
pub async fn build(app: &App, base: &Made, plan: &Plan, contexts: &[Object], name: &str) -> Answer<()> {
    let mut parameters =
        json!({ "keep": false, "net": app.net, "disk": "10G", "memory": "4G", "label": { "belljar.building": name } });
    if let Some(image) = &base.image {
        parameters["image"] = json!(image);
    }
    let made = app.backend.call("create", parameters).await?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    let result = done(app, &id, plan, contexts, name).await;
    app.backend.call("rm", json!({ "name": [id], "force": true })).await?;
    result
}

async fn done(app: &App, id: &str, plan: &Plan, contexts: &[Object], name: &str) -> Answer<()> {
    for context in contexts {
        unpack(app, id, context).await?;
    }
    let (mut env, mut workdir) = (BTreeMap::<&str, &str>::new(), None::<&str>);
    for (number, step) in plan.steps.iter().enumerate() {
        match step {
            Step::Env(key, value) => drop(env.insert(key, value)),
            Step::Workdir(dir) => {
                app.backend.call("fs.mkdir", json!({ "sandbox": id, "path": dir, "parents": true })).await?;
                workdir = Some(dir);
            }
            Step::Copy(copy) => {
                let mut parameters = json!({ "name": id, "command": copying(copy), "env": { "CONTEXT": CONTEXT } });
                parameters["timeout"] = json!(STEP_TIME);
                let told = app.backend.call("exec", parameters).await?;
                succeeded(number + 1, &format!("COPY {} {}", copy.sources.join(" "), copy.to), &told)?;
            }
            Step::Run(command, given) => {
                // What was set wins over what holds for the build alone.
                let mut all: BTreeMap<&str, &str> =
                    given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                all.extend(env.clone());
                let mut parameters = json!({ "name": id, "command": command, "env": all, "timeout": STEP_TIME });
                if let Some(workdir) = workdir {
                    parameters["workdir"] = json!(workdir);
                }
                let told = app.backend.call("exec", parameters).await?;
                succeeded(number + 1, &command.join(" "), &told)?;
            }
        }
    }
    if !contexts.is_empty() {
        app.backend.call("fs.rm", json!({ "sandbox": id, "path": CONTEXT, "recursive": true })).await?;
    }
    app.backend.call("snapshot.create", json!({ "name": id, "image": name })).await?;
    Ok(())
}

fn copying(copy: &Copy) -> Vec<String> {
    let text = |word: &Option<String>| word.clone().unwrap_or_default();
    let unpacks = if copy.unpacks { "yes" } else { "no" };
    let mut command = vec!["/bin/sh".to_owned(), "-c".to_owned(), COPY.to_owned(), "sh".to_owned(), copy.to.clone()];
    command.extend([unpacks.to_owned(), text(&copy.owner), text(&copy.mode)]);
    command.extend(copy.sources.iter().cloned());
    command
}

/// Unpacks an archive in the sandbox, which anybody may have made: the host never does.
async fn unpack(app: &App, id: &str, context: &Object) -> Answer<()> {
    let script = format!("mkdir -p {CONTEXT} && exec tar -xf - -C {CONTEXT} --no-same-owner");
    let parameters = json!({ "name": id, "command": ["/bin/sh", "-c", script], "timeout": STEP_TIME });
    let (mut to, mut told) = app.backend.stream("exec", parameters).await?;
    let given = async {
        let mut piece = vec![0; PIECE];
        for file in &context.pieces {
            let mut at = 0;
            loop {
                let count = tokio::task::block_in_place(|| file.read_at(&mut piece, at))
                    .map_err(|error| crate::error::Error::attempt("read what was uploaded", &error))?;
                if count == 0 {
                    break;
                }
                at += count as u64;
                to.write(&piece[..count]).await?;
            }
        }
        to.end().await
    };
    let heard = async {
        let mut complaint = Vec::new();
        loop {
            match told.next().await? {
                Said::Output { bytes, .. } => complaint.extend(bytes.into_iter().take(4096)),
                Said::Result(result) => return Ok::<(Value, Vec<u8>), crate::error::Error>((result, complaint)),
            }
        }
    };
    tokio::pin!(heard);
    let (result, complaint) = tokio::select! {
        result = &mut heard => result?,
        // Where nobody reads any more, it says why.
        _ = given => heard.await?,
    };
    if result["exit_code"] == json!(0) {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&complaint).trim().to_owned();
    Err(Failure::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("dockerfile: the files of its context could not be unpacked: {why}"),
    ))
}

/// The end of what a step has written says why it failed.
fn succeeded(number: usize, step: &str, told: &Value) -> Answer<()> {
    if told["exit_code"] == json!(0) {
        return Ok(());
    }
    let written = format!("{}{}", text_of(told, "stdout"), text_of(told, "stderr"));
    let lines: Vec<&str> = written.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    let message = format!(
        "dockerfile: step {number}, `{step}`, failed ({}): {last}",
        told["status"].as_str().unwrap_or_default()
    );
    Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}
