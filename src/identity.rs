//! Who the payload is: ids, names, environment, capabilities, file mode mask.
//!
//! One id is mapped, the caller's own, so nothing like newuidmap is needed. Where root is the caller, the sandbox
//! gets the host's `nobody` instead (no per-user limit binds user id 0, and files of root are none of its business),
//! and pid 1 keeps root's id only while it mounts.

use crate::host::{Host, UNPRIVILEGED_ID};
use crate::spec::{Privileges, Spec, User};
use crate::step::{Capabilities, Step, Steps, c_string};
use caps::Capability;
use std::ffi::CString;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Where programs are looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The payload's user as seen inside: who was asked for, else the image's, else the caller's own ids.
pub fn user(spec: &Spec, host: &Host) -> User {
    let of_the_image = || host.image.as_ref().and_then(|image| image.config.user());
    spec.user.or_else(of_the_image).unwrap_or(User { uid: host.uid, gid: host.gid })
}

/// Its name: the image's, where the image knows it.
pub fn name(user: User, host: &Host) -> &str {
    match account(user, host) {
        Some((name, _)) => name,
        None if user.uid == 0 => "root",
        None => "sandbox",
    }
}

/// Its home directory: the image's, where the image knows one.
pub fn home(user: User, host: &Host) -> &str {
    match account(user, host) {
        Some((_, home)) if home.starts_with('/') => home,
        _ if user.uid == 0 => "/root",
        _ => "/home/sandbox",
    }
}

fn account(user: User, host: &Host) -> Option<(&str, &str)> {
    host.image.as_ref().and_then(|image| image.config.account(user.uid))
}

/// Where the payload begins: as asked for, else as the image says, else at home.
pub fn working_directory(spec: &Spec, host: &Host) -> Option<PathBuf> {
    let of_the_image = || host.image.as_ref().and_then(|image| image.config.workdir.as_deref()).map(PathBuf::from);
    spec.workdir.clone().or_else(of_the_image).filter(|path| path.is_absolute())
}

/// Lines for `/proc/PID/{uid_map,gid_map}`, as the supervisor (real root) or pid 1 itself writes them.
pub fn id_maps(spec: &Spec, host: &Host) -> (String, String) {
    let user = user(spec, host);
    if host.real_root {
        let (mounting_uid, mounting_gid) = mounting_ids(user);
        (
            format!("{} {UNPRIVILEGED_ID} 1\n{mounting_uid} {} 1\n", user.uid, host.uid),
            format!("{} {UNPRIVILEGED_ID} 1\n{mounting_gid} {} 1\n", user.gid, host.gid),
        )
    } else {
        (format!("{} {} 1\n", user.uid, host.uid), format!("{} {} 1\n", user.gid, host.gid))
    }
}

/// Ids inside that stand for root's while pid 1 mounts: any but the payload's.
fn mounting_ids(user: User) -> (u32, u32) {
    let other = |id: u32| if id == 65533 { 65532 } else { 65533 };
    (other(user.uid), other(user.gid))
}

/// First step of pid 1: the id maps.
pub fn plan_maps(spec: &Spec, host: &Host, steps: &mut Steps) {
    let (uid_map, gid_map) = id_maps(spec, host);
    steps.init.push(if host.real_root {
        Step::AwaitIdMaps
    } else {
        Step::MapIds { uid_map: c_string(uid_map), gid_map: c_string(gid_map) }
    });
}

/// Gives up every capability held but those of `keep` (the bounding set is emptied before), and root's id where it was
/// kept. For pid 1, which keeps nothing, and for the payload alike.
pub fn plan_drop(spec: &Spec, host: &Host, keep: Capabilities, steps: &mut Vec<Step>) {
    if host.real_root {
        let User { uid, gid } = user(spec, host);
        steps.push(Step::BecomeUser { uid, gid });
        // A change of ids makes a process as dumpable as `fs.suid_dumpable` says, and with it everybody it shares its
        // memory with: pid 1 and the payload until that executes.
        steps.push(Step::BeUndumpable);
    }
    steps.push(Step::ClearCapabilities { keep });
    steps.push(Step::NoNewPrivileges);
}

/// What the payload keeps.
pub fn kept(spec: &Spec) -> Capabilities {
    match spec.privileges {
        Privileges::None => Capabilities::NONE,
        // Files of a package may have modes that stop everybody but root, and all of them are the caller's here.
        Privileges::Build { .. } => Capabilities::of(&[Capability::CAP_DAC_OVERRIDE, Capability::CAP_SYS_CHROOT]),
    }
}

/// The environment: clean but for `PATH HOME LANG TERM USER`, the image's and what was asked for; later ones win.
pub fn environment(spec: &Spec, host: &Host) -> Vec<CString> {
    let user = user(spec, host);
    let term = spec.term.clone().filter(|_| spec.tty).unwrap_or_else(|| "dumb".to_owned());
    let mut variables: Vec<(OsString, OsString)> = [
        ("PATH", PATH),
        ("HOME", home(user, host)),
        ("LANG", "C.UTF-8"),
        ("TERM", term.as_str()),
        ("USER", name(user, host)),
    ]
    .into_iter()
    .map(|(key, value)| (key.into(), value.into()))
    .collect();
    let of_the_image = host.image.iter().flat_map(|image| &image.config.env).filter_map(|line| line.split_once('='));
    let of_the_image = of_the_image.map(|(key, value)| (key.into(), value.into()));
    for (key, value) in of_the_image.chain(spec.env.iter().cloned()) {
        match variables.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => variables.push((key, value)),
        }
    }
    variables
        .into_iter()
        .map(|(key, value)| {
            let mut line = key.into_vec();
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
            c_string(line)
        })
        .collect()
}
