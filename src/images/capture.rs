//! The writable layer of a sandbox, as the layer of an image: what overlayfs has there, as OCI writes it down
//! (the image specification, "Representing Changes").
//!
//! A sandbox may have made it as it liked. Nothing is followed, opened without being looked at, or run; what is read is as long
//! as it was when it was looked at. Whoever calls sees to it that nobody writes meanwhile.

use super::import::docker_manifest;
use super::intake::{Expected, Intake, Layer, invalid};
use super::manifest::parse;
use super::pack;
use super::store::{HOST, Lease, Store, may_name, refused};
use super::{Digest, Reference};
use crate::error::{Error, Kind};
use crate::trees::files::{Files, cannot, open_anyway};
use crate::trees::tree::{Found, Walk};
use crate::trees::unpack::{Bounds, escaped, is_opaque};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, fstat, fstatat};
use oci_spec::image::ImageManifest;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// How layers mark what is hidden.
const WHITEOUT: &str = ".wh.";
const OPAQUE_MARK: &str = ".wh..wh..opq";

/// Writes the files of a sandbox as a layer. Sockets are left out: there is nobody behind them.
///
/// # Errors
///
/// `Setup` for what cannot be read; `Invalid` for a name that would be taken for a mark.
pub fn layer(files: Files<'_>, to: &mut dyn Write) -> Result<(), Error> {
    let mut writer =
        Writer { builder: ManuallyDrop::new(tar::Builder::new(to)), path: PathBuf::new(), linked: HashMap::new() };
    let mut walk = Walk::of_what_lasts(files.upper).map_err(|errno| cannot("look through", b".", errno))?;
    while let Some(found) = walk.next() {
        match found {
            Found::Directory { .. } => {}
            Found::Entered { here, name } => writer.directory(here, &name)?,
            Found::Left { .. } => drop(writer.path.pop()),
            Found::Other { at, name } => writer.other(at, &name)?,
            Found::Trouble { name, errno } => return Err(cannot("look through", &name, errno)),
        }
    }
    for path in files.gone {
        let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (parent, name) = path.split_at(at);
        writer.path = PathBuf::from(os(parent));
        writer.whiteout(name)?;
    }
    let end = |error: io::Error| refused("write a layer", &error);
    ManuallyDrop::into_inner(writer.builder).into_inner().map_err(end)?.flush().map_err(end)
}

struct Writer<'w> {
    /// Dropped half-way it would write an end, and what is half would look whole.
    builder: ManuallyDrop<tar::Builder<&'w mut dyn Write>>,
    /// Of the directory at hand, from the top.
    path: PathBuf,
    /// Files with several names: device and inode, and the first of them.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Writer<'_> {
    fn directory(&mut self, here: BorrowedFd<'_>, name: &[u8]) -> Result<(), Error> {
        let failed = |errno| cannot("look at", name, errno);
        self.path.push(file_name(name)?);
        let found = fstat(here).map_err(failed)?;
        pack::empty(&mut self.builder, header(&found, EntryType::Directory), &self.path, time(&found))
            .map_err(unwritable)?;
        if is_opaque(here).map_err(failed)? {
            self.mark(OPAQUE_MARK)?;
        }
        Ok(())
    }

    fn mark(&mut self, name: &str) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        self.builder.append_data(&mut header, self.path.join(name), io::empty()).map_err(unwritable)
    }

    fn whiteout(&mut self, name: &[u8]) -> Result<(), Error> {
        let mark = [WHITEOUT.as_bytes(), name].concat();
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        let path = self.path.join(Path::new(os(&mark)));
        self.builder.append_data(&mut header, path, io::empty()).map_err(unwritable)
    }

    fn other(&mut self, at: BorrowedFd<'_>, name: &[u8]) -> Result<(), Error> {
        let failed = |errno| cannot("read", name, errno);
        let found = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)?;
        let shown = file_name(name)?;
        let path = self.path.join(shown);
        match found.st_mode & libc::S_IFMT {
            // overlayfs: "a whiteout is created as a character device with 0/0 device number".
            libc::S_IFCHR if found.st_rdev == 0 => self.whiteout(name),
            libc::S_IFREG => self.file(at, name, &found, path),
            libc::S_IFLNK => {
                let target = readlinkat(at, name).map_err(failed)?;
                let header = header(&found, EntryType::Symlink);
                pack::link(&mut self.builder, header, &path, Path::new(&target), time(&found)).map_err(unwritable)
            }
            libc::S_IFIFO => {
                pack::empty(&mut self.builder, header(&found, EntryType::Fifo), &path, time(&found)).map_err(unwritable)
            }
            _ => Ok(()),
        }
    }

    fn file(&mut self, at: BorrowedFd<'_>, name: &[u8], found: &FileStat, path: PathBuf) -> Result<(), Error> {
        if found.st_nlink > 1 {
            if let Some(first) = self.linked.get(&(found.st_dev, found.st_ino)) {
                let mut header = header(found, EntryType::Link);
                return self.builder.append_link(&mut header, path, first).map_err(unwritable);
            }
            self.linked.insert((found.st_dev, found.st_ino), path.clone());
        }
        let file = open_anyway(at, name, found).map_err(|errno| cannot("read", name, errno))?;
        let sparse = found.st_blocks * 512 < found.st_size;
        let opened = pack::Opened { file, length: found.st_size as u64, sparse, time: time(found) };
        let header = header(found, EntryType::Regular);
        match pack::file(&mut self.builder, header, &path, opened).map_err(unwritable)? {
            Some(fault) => Err(cannot("read", name, Errno::from_raw(fault.raw_os_error().unwrap_or(libc::EIO)))),
            None => Ok(()),
        }
    }
}

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// A name that no layer has a meaning of its own for.
fn file_name(name: &[u8]) -> Result<&Path, Error> {
    if name.starts_with(WHITEOUT.as_bytes()) {
        let why = format!("`{}` in the sandbox has a name by which layers hide files", escaped(name));
        return Err(invalid("snapshot", why));
    }
    Ok(Path::new(os(name)))
}

fn header(found: &FileStat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.st_mode & 0o7777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn time(found: &FileStat) -> pack::Time {
    (found.st_mtime, found.st_mtime_nsec)
}

fn unwritable(error: io::Error) -> Error {
    refused("write a layer", &error)
}

/// What an image of a sandbox's files is to be.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'s> {
    /// Its name.
    pub name: &'s Reference,
    /// The sandbox.
    pub of: &'s str,
    /// When, as RFC 3339 has it.
    pub created: &'s str,
}

/// Keeps the image `base` with `files` on top of it; without a base, an image of the files alone, which needs the machine's own.
///
/// # Errors
///
/// As for [`layer`]; `Setup`, where the store cannot be written to.
pub fn snapshot(
    store: &Store,
    base: Option<&Lease>,
    files: Files<'_>,
    snapshot: Snapshot<'_>,
) -> Result<Digest, Error> {
    may_name(snapshot.name)?;
    let intake = Intake::begin(store)?;
    let top = through(|to| layer(files, to), |from| intake.layer(from, None, &Bounds::default()))?;
    let mut layers = base.map_or(Ok(Vec::new()), |base| layers_of(&intake, base))?;
    layers.push(top);
    let mut config = match base {
        Some(base) => serde_json::from_slice(&store.document(&base.record.config_digest)?)
            .map_err(|error| invalid("image", error.to_string()))?,
        None => json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { NEEDS: HOST } },
            "rootfs": { "type": "layers" }, "history": [] }),
    };
    config["created"] = json!(snapshot.created);
    config["rootfs"]["diff_ids"] = json!(layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>());
    if config["config"]["Labels"].is_null() {
        config["config"]["Labels"] = json!({});
    }
    config["config"]["Labels"][LABEL] = json!(snapshot.of);
    if let Some(history) = config["history"].as_array_mut() {
        history.push(json!({ "created": snapshot.created, "created_by": "belljar snapshot" }));
    }
    let config = config.to_string().into_bytes();
    let manifest = intake.image(&docker_manifest(&config, &layers), &config, &layers)?;
    store.name(snapshot.name, &manifest)?;
    Ok(manifest)
}

/// The label of an image that is a snapshot.
pub const LABEL: &str = "belljar.snapshot";

/// The label of an image that lies on something which is not in it.
const NEEDS: &str = "belljar.needs";

/// Whether an image is good for sandboxes on the machine's own files only.
pub fn needs_host(config: &oci_spec::image::ImageConfiguration) -> bool {
    let labels = config.config().as_ref().and_then(|config| config.labels().as_ref());
    labels.and_then(|labels| labels.get(NEEDS)).is_some_and(|needs| needs == HOST)
}

/// Of which sandbox an image is a snapshot, if it is one.
pub fn of_sandbox(store: &Store, lease: &Lease) -> Option<String> {
    let config: Value = serde_json::from_slice(&store.document(&lease.record.config_digest).ok()?).ok()?;
    config["config"]["Labels"][LABEL].as_str().map(str::to_owned)
}

fn layers_of(intake: &Intake<'_>, base: &Lease) -> Result<Vec<Layer>, Error> {
    let bytes = intake.store().document(&base.record.manifest)?;
    let manifest: ImageManifest = parse(&bytes).map_err(|why| invalid("image", why))?;
    let known = manifest.layers().iter().zip(&base.record.layers).map(|(descriptor, diff_id)| {
        let layer = intake.known(&Expected::of(descriptor)?, diff_id, descriptor.media_type());
        layer.ok_or_else(|| {
            invalid("image", format!("its layer {diff_id} is not whole; `belljar image verify` says more"))
        })
    });
    known.collect()
}

/// One side writes what the other reads, at the same time. Why there was nothing more to be read is the writer's to say.
pub fn through<T>(
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error> + Send,
    read: impl FnOnce(&mut (dyn io::Read + Send)) -> Result<T, Error>,
) -> Result<T, Error> {
    let (mut from, mut to) = io::pipe().map_err(|error| refused("make a pipe", &error))?;
    std::thread::scope(|scope| {
        let writer = std::thread::Builder::new()
            .spawn_scoped(scope, move || write(&mut to))
            .map_err(|error| refused("start a thread", &error))?;
        let result = read(&mut from);
        drop(from);
        match (writer.join(), result) {
            // It stopped because its reader did.
            (Ok(Err(_)), Err(error)) if is_of_reader(&error) => Err(error),
            (Ok(Err(error)), _) => Err(error),
            (_, result) => result,
        }
    })
}

/// Whether it is the reader that could not go on, for want of room and the like.
fn is_of_reader(error: &Error) -> bool {
    error.kind == Kind::Setup && error.errno.is_some()
}
