//! OCI runtime bundles: what a `config.json` says, as a wish (OCI runtime specification, "Configuration").
//!
//! Pure: text in, a wish out, or everything that is wrong with it. Each key does what the specification says, or asks
//! for no more than what holds in every sandbox, or is refused by its place in the file. So is what nobody here knows: a
//! restriction that was passed over would be believed to hold.
//!
//! A bundle comes from wherever the code comes from. So it decides what happens inside, and nothing of the host: its
//! root and its mounts lie in its own directory, hooks are refused, and what else is to be seen of the host, and
//! whether its network is, the caller says himself.

mod json;
mod linux;
mod mounts;
mod object;
mod process;

#[cfg(test)]
mod tests;

use crate::error::Problem;
use crate::spec::{Bundle, PartialSpec, User};
use object::{Object, Reader};
use serde_json::Value;
use std::path::PathBuf;

/// The file in the bundle's directory.
pub const FILE: &str = "config.json";

/// What a configuration wishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Everything that has a place in a spec; paths of the host count from the bundle's directory.
    pub spec: PartialSpec,
    /// What has none.
    pub bundle: Bundle,
    /// It has a filter of system calls of its own, which the caller has to replace.
    pub filter: bool,
}

/// Reads a configuration. `caller` is who runs belljar.
///
/// # Errors
///
/// Everything that is wrong with it; the field of each problem is its place in the file.
pub fn read(text: &str, caller: User) -> Result<Wish, Vec<Problem>> {
    let json::Unambiguous(value) =
        serde_json::from_str(text).map_err(|error| vec![Problem::new("JSON", error.to_string())])?;
    let mut reader = Reader::default();
    let wish = whole(&mut reader, value, caller);
    match wish {
        Some(wish) if reader.problems.is_empty() => Ok(wish),
        _ => Err(reader.problems),
    }
}

fn whole(reader: &mut Reader, value: Value, caller: User) -> Option<Wish> {
    let mut top = reader.object("", value)?;
    version(reader, &mut top);
    let mut bundle = Bundle::default();
    let mut spec = PartialSpec::default();
    match reader.take_object(&mut top, "root") {
        Some(root) => self::root(reader, root, &mut bundle),
        None => reader.wrong("root", "is missing", "name the root file system: `\"root\": {\"path\": \"rootfs\"}`"),
    }
    if let Some(process) = reader.take_object(&mut top, "process") {
        process::read(reader, process, &mut spec, &mut bundle);
    }
    spec.hostname = reader.take::<String>(&mut top, "hostname").filter(|name| !name.is_empty());
    if let Some(list) = reader.take_list(&mut top, "mounts") {
        mounts::read(reader, list, &mut spec, &mut bundle);
    }
    let mut wish = Wish { spec, bundle: Bundle::default(), filter: false };
    if let Some(linux) = reader.take_object(&mut top, "linux") {
        linux::read(reader, linux, caller, &mut wish, &mut bundle);
    }
    if let Some(Value::Object(annotations)) = reader.take::<Value>(&mut top, "annotations") {
        let signal = annotations.get("org.opencontainers.image.stopSignal").and_then(Value::as_str);
        bundle.stop_signal = signal.filter(|signal| !signal.is_empty()).map(str::to_owned);
    }
    if let Some(hooks) = top.present("hooks") {
        let path = hooks.to_owned();
        reader.wrong(&path, "would run programs on the host", "take them out, and run what is needed before and after");
    }
    reader.nothing_else(top);
    wish.bundle = bundle;
    Some(wish)
}

fn version(reader: &mut Reader, top: &mut Object) {
    let cure = "this is about version 1 of the OCI runtime specification";
    match reader.take::<String>(top, "ociVersion") {
        Some(version) if version.split('.').next() == Some("1") => {}
        Some(version) => reader.wrong("ociVersion", &format!("`{}` is not known", version.escape_debug()), cure),
        None => reader.wrong("ociVersion", "is missing", cure),
    }
}

fn root(reader: &mut Reader, mut root: Object, bundle: &mut Bundle) {
    match reader.take::<String>(&mut root, "path") {
        Some(path) if !path.is_empty() => bundle.root = PathBuf::from(path),
        _ => reader.wrong("root.path", "is missing", "name the directory in the bundle, as `rootfs`"),
    }
    bundle.read_only = reader.take(&mut root, "readonly").unwrap_or(false);
    reader.nothing_else(root);
}
