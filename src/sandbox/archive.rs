//! A whole sandbox as one file, for another machine.
//!
//! It is a tar archive with `sandbox.json`, `image.tar.zst` (its image, as `save` writes one; none on the machine's own files) and
//! `files.tar.zst` (what it has written, as a layer of an image), in this order.
//!
//! Whoever made the file decides nothing of the host: no mount, network, profile, cgroup or name of an image is taken from it.

use super::capture::{Draft, Still, made_with_files};
use super::place::now;
use super::start::{check_name, new_id};
use super::{Entry, Record, Run, Sandboxes};
use crate::error::{Error, Problem};
use crate::images::import::{Source, import as bring};
use crate::images::intake::Intake;
use crate::images::save::{Wanted, save};
use crate::images::{self, Digest, Reference, Store, capture};
use crate::spec::{Order, PartialSpec, Program, Spec, User, Userns, from_json};
use crate::trees::codec::{Compressor, Decoder, Effort};
use crate::trees::progress::{Progress, Quiet};
use crate::trees::unpack;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::os::fd::BorrowedFd;

const DESCRIPTION: &str = "sandbox.json";
const IMAGE: &str = "image.tar.zst";
const FILES: &str = "files.tar.zst";
/// The largest description that is read.
const LONGEST: u64 = 1 << 20;

/// What is said of a sandbox in its file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Description {
    version: u32,
    name: String,
    labels: BTreeMap<String, String>,
    keep: bool,
    ttl_seconds: Option<u64>,
    idle_stop_seconds: Option<u64>,
    idle_rm_seconds: Option<u64>,
    /// Digest of its manifest.
    image: Option<String>,
    /// In the form of a spec file.
    spec: Map<String, Value>,
    /// Fields of the spec that are the host's, and were left out.
    left_out: Vec<String>,
    /// What it might reach, as options of `create`. Nothing is done with it: whoever brings it in says anew what it may reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network: Vec<String>,
}

/// A sandbox that is brought in.
pub struct Brought {
    /// As its maker described it.
    pub spec: PartialSpec,
    /// Its name where it was made; it gets the one that stands here when it is made.
    pub name: String,
    /// What it might reach where it was made, as options of `create`; empty where that was nothing.
    pub network: Vec<String>,
    description: Description,
    archive: Box<dyn Read>,
}

/// What is to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// The sandbox, by name or id.
    pub sandbox: &'a str,
    /// Whether its image goes along; whoever reads the file may have it.
    pub with_image: bool,
}

/// Writes a sandbox to `out`; what of it was left out, since it is the host's.
///
/// # Errors
///
/// As [`snapshot`](super::snapshot); `Setup`, where something cannot be written.
pub fn export(
    sandboxes: &Sandboxes,
    store: &Store,
    export: Export<'_>,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<Vec<String>, Error> {
    let entry = sandboxes.find(export.sandbox)?;
    let (record, order) = (entry.record()?, entry.order()?);
    let lease = images::lease(&order, Some(store))?;
    let (fields, left_out) = portable(&order.spec)?;
    let description = Description {
        version: 1,
        name: record.name,
        labels: record.labels,
        keep: record.keep,
        ttl_seconds: record.ttl,
        idle_stop_seconds: record.idle_stop,
        idle_rm_seconds: record.idle_rm,
        image: lease.as_ref().map(|lease| lease.record.manifest.to_string()),
        spec: fields,
        left_out,
        network: options_of_network(&order.spec),
    };
    // Long enough to have all of it, and no longer: everybody inside stands still.
    let files = {
        let still = Still::hold(&entry)?;
        let mut packed = Compressor::new(sandboxes.spool()?, Effort::Usual).map_err(|error| unwritten(&error))?;
        capture::layer(still.files(), &mut packed)?;
        packed.finish().map_err(|error| unwritten(&error))?
    };
    let mut members = Vec::new();
    if let Some(lease) = lease.filter(|_| export.with_image) {
        let mut image = sandboxes.spool()?;
        save(store, &[Wanted { name: None, lease }], &mut image, progress)?;
        members.push((IMAGE, image));
    }
    members.push((FILES, files));
    let text = serde_json::to_vec_pretty(&description).map_err(|error| unwritten(&error.into()))?;
    let mut archive = tar::Builder::new(out);
    append(&mut archive, DESCRIPTION, text.len() as u64, text.as_slice()).map_err(|error| unwritten(&error))?;
    for (name, mut file) in members {
        file.rewind()
            .and_then(|()| file.metadata())
            .and_then(|found| append(&mut archive, name, found.len(), &file))
            .map_err(|error| unwritten(&error))?;
    }
    archive.into_inner().and_then(Write::flush).map_err(|error| unwritten(&error))?;
    Ok(description.left_out)
}

fn append(archive: &mut tar::Builder<&mut dyn Write>, name: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(now());
    archive.append_data(&mut header, name, content)
}

fn unwritten(error: &io::Error) -> Error {
    Error::attempt("write the sandbox to a file", error)
}

/// What of a spec another machine can take, in the form of a spec file, and what it cannot.
fn portable(spec: &Spec) -> Result<(Map<String, Value>, Vec<String>), Error> {
    let text = |field: &str, word: &OsStr| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("`{}` is no text, and cannot be written down", word.to_string_lossy());
            Error::invalid(vec![Problem::new(field, message)])
        })
    };
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    set("memory", json!(spec.memory));
    set("cpus", json!(f64::from(spec.millicpus) / 1000.0));
    set("pids", json!(spec.pids));
    set("disk", json!(spec.disk));
    set("hostname", json!(spec.hostname));
    if let Some(workdir) = &spec.workdir {
        set("workdir", json!(text("workdir", workdir.as_os_str())?));
    }
    if let Some(User { uid, gid }) = spec.user {
        set("user", json!(format!("{uid}:{gid}")));
    }
    if let Program::Command(words) = &spec.program {
        let words = words.iter().map(|word| text("command", word)).collect::<Result<Vec<_>, _>>()?;
        set("command", json!(words));
    }
    let mut env = Map::new();
    for (name, value) in &spec.env {
        env.insert(text("env", name)?, json!(text("env", value)?));
    }
    set("env", Value::Object(env));
    let default = Spec::default();
    let host = [
        ("mounts", spec.mounts.is_empty()),
        ("net", spec.net == default.net),
        ("publish", spec.publish.is_empty()),
        ("seccomp", spec.seccomp == default.seccomp),
        ("disk_bandwidth", spec.disk_bandwidth.is_none()),
        ("require", spec.require.is_empty()),
        ("allow_missing", spec.allow_missing.is_empty()),
        ("stdin", spec.stdin.is_none()),
    ];
    Ok((fields, host.iter().filter(|(_, is_default)| !is_default).map(|(name, _)| (*name).to_owned()).collect()))
}

/// The options that would give a sandbox the same network policy. Sets are named as such.
fn options_of_network(spec: &Spec) -> Vec<String> {
    if !spec.net.has_policy() {
        return Vec::new();
    }
    let mut options = vec![format!("--net={}", spec.net.name())];
    for (option, rules) in [("allow", &spec.allow), ("deny", &spec.deny)] {
        for rule in rules {
            let target = rule.origin.as_ref().map_or_else(|| rule.text.clone(), |origin| format!("@{}", origin.set));
            options.push(format!("--{option}={target}"));
        }
    }
    options.dedup();
    options.extend(spec.net_rate.map(|rate| format!("--net-rate={rate}")));
    let usual = Spec::default().net_connections;
    options.extend((spec.net_connections != usual).then(|| format!("--net-connections={}", spec.net_connections)));
    options
}

/// Begins to read a sandbox from its file, up to what decides how it is made.
///
/// # Errors
///
/// `Invalid` for what is no such file, or wants what is the host's.
pub fn read(archive: Box<dyn Read>) -> Result<Brought, Error> {
    let mut archive = archive;
    let (size, name) = member(&mut archive)?.ok_or_else(|| no_sandbox("it is empty"))?;
    if name != DESCRIPTION || size > LONGEST {
        return Err(no_sandbox("it does not begin with `sandbox.json`"));
    }
    let mut text = Vec::new();
    content(&mut archive, size, &mut text)?;
    let description: Description = serde_json::from_slice(&text).map_err(|error| no_sandbox(&error.to_string()))?;
    if description.version != 1 {
        return Err(no_sandbox(&format!("it is of version {}, and this belljar reads 1", description.version)));
    }
    // They are printed as they are.
    let printable = |word: &str| !word.chars().any(char::is_control);
    if let Some((key, value)) = description.labels.iter().find(|(key, value)| !printable(key) || !printable(value)) {
        return Err(no_sandbox(&format!("its label `{}` is no line of text", format!("{key}={value}").escape_debug())));
    }
    if let Some(option) = description.network.iter().find(|option| !printable(option)) {
        return Err(no_sandbox(&format!("`{}` of its network is no line of text", option.escape_debug())));
    }
    let read = from_json(&Value::Object(description.spec.clone()).to_string());
    let read = read.map_err(|error| no_sandbox(&error.to_string()))?;
    let spec = PartialSpec {
        program: Some(read.program.clone().unwrap_or(Program::Nothing)),
        memory: read.memory,
        millicpus: read.millicpus,
        pids: read.pids,
        disk: read.disk,
        env: read.env.clone(),
        workdir: read.workdir.clone(),
        user: read.user,
        hostname: read.hostname.clone(),
        image: description.image.clone(),
        ..PartialSpec::default()
    };
    let plain = matches!(spec.program, Some(Program::Nothing | Program::Command(_))) && read.image.is_none();
    if !plain || spec != (PartialSpec { program: spec.program.clone(), image: spec.image.clone(), ..read }) {
        return Err(no_sandbox("its description wants what is the host's"));
    }
    if let Some(image) = &description.image {
        image.parse::<Digest>().map_err(|_| no_sandbox("the digest of its image is none"))?;
    }
    let (name, network) = (description.name.clone(), description.network.clone());
    Ok(Brought { spec, name, network, description, archive })
}

/// Makes and starts a sandbox as `order` and its file say; what is not there of its image is brought in.
///
/// # Errors
///
/// As [`create`](super::create); nothing is left of it then but an image.
pub fn import(sandboxes: &Sandboxes, store: &Store, brought: Brought, order: Order) -> Result<(Entry, Run), Error> {
    let Brought { name, description, mut archive, .. } = brought;
    check_name(&name)?;
    let mut next = member(&mut archive)?;
    if let Some((size, _)) = next.take_if(|(_, name)| name == IMAGE) {
        let mut spooled = sandboxes.spool()?;
        content(&mut archive, size, &mut spooled)?;
        bring_image(store, &description, spooled)?;
        next = member(&mut archive)?;
    }
    let Some((size, _)) = next.filter(|(_, name)| name == FILES) else {
        return Err(no_sandbox("its files are not there"));
    };
    crate::spec::check_order(&order)?;
    if order.spec.userns == Userns::Range {
        let problem = Problem::new("userns", "the files of a sandbox that is imported have one owner");
        return Err(Error::invalid(vec![problem.hint("leave `--userns range` out")]));
    }
    // Whether the image is there is known before anything is made.
    images::lease(&order, Some(store))?;
    let mut spooled = sandboxes.spool()?;
    content(&mut archive, size, &mut spooled)?;
    spooled.rewind().map_err(|error| unreadable(&error))?;
    sandboxes.sweep()?;
    let record = Record {
        version: 1,
        id: new_id(),
        name,
        labels: description.labels,
        created: now(),
        keep: description.keep,
        filling: true,
        ttl: description.ttl_seconds,
        idle_stop: description.idle_stop_seconds,
        idle_rm: description.idle_rm_seconds,
    };
    let bounds = unpack::Bounds { bytes: order.spec.disk, ..unpack::Bounds::default() };
    let mut fill = |upper: BorrowedFd<'_>, owner| {
        let mut layer = Decoder::new(&spooled).map_err(|error| unreadable(&error))?;
        unpack::unpack(&mut layer, upper, owner, &bounds).map_err(Error::from)?;
        Ok(())
    };
    made_with_files(sandboxes, Some(store), Draft { record, order }, &mut fill)
}

/// Brings in the image under a name that says where it came from, which none that somebody uses is.
fn bring_image(store: &Store, description: &Description, mut file: File) -> Result<(), Error> {
    let Some(digest) = description.image.as_ref().and_then(|image| image.parse::<Digest>().ok()) else {
        return Err(no_sandbox("it has an image that its description does not name"));
    };
    if store.record(&digest)?.is_some() {
        return Ok(());
    }
    let hex = digest.hex();
    let name = format!("sandbox-{}", hex.get(..12).unwrap_or(&hex));
    let name = Reference::parse(&name).map_err(|why| no_sandbox(&why))?;
    file.rewind().map_err(|error| unreadable(&error))?;
    let intake = Intake::begin(store)?;
    let imported = bring(&intake, Source::Stream(Box::new(file)), Some(&name), &Quiet)?;
    if imported.iter().all(|image| image.manifest == digest) {
        return Ok(());
    }
    store.unname(&name)?;
    Err(no_sandbox("its image is another than its description says"))
}

/// The next member: its size and name. `None`: the end. Not by the library's own list of members, which can be asked for once
/// only, and at the beginning: between two members somebody decides.
fn member(archive: &mut dyn Read) -> Result<Option<(u64, String)>, Error> {
    let mut header = tar::Header::new_ustar();
    archive.read_exact(header.as_mut_bytes()).map_err(|error| unreadable(&error))?;
    if header.as_bytes().iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let mut checked = header.clone();
    checked.set_cksum();
    // The library's errors quote the header, which is a piece of whatever file this is.
    let (Ok(size), true) =
        (header.entry_size(), header.cksum().ok().is_some_and(|sum| checked.cksum().ok() == Some(sum)))
    else {
        return Err(no_sandbox("it is damaged, or no tar archive"));
    };
    let name = header.path().ok().and_then(|path| path.to_str().map(str::to_owned));
    match name.filter(|_| header.entry_type().is_file()) {
        Some(name) => Ok(Some((size, name))),
        None => Err(no_sandbox("it has a member that is no file")),
    }
}

/// The content of a member, to its padded end.
fn content(archive: &mut dyn Read, size: u64, to: &mut dyn Write) -> Result<(), Error> {
    let mut limited = archive.take(size);
    let copied = io::copy(&mut limited, to).map_err(|error| unreadable(&error))?;
    if copied < size {
        return Err(no_sandbox("it was cut off"));
    }
    let padding = (512 - size % 512) % 512;
    io::copy(&mut archive.take(padding), &mut io::sink()).map_err(|error| unreadable(&error))?;
    to.flush().map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => no_sandbox("it was cut off"),
        _ => Error::attempt("read the sandbox from its file", error),
    }
}

fn no_sandbox(why: &str) -> Error {
    let problem = Problem::new("file", format!("it is no sandbox that `belljar export` wrote: {why}"));
    Error::invalid(vec![problem])
}
