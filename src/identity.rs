//! Who the payload is: ids, names, environment, capabilities, file mode mask.
//!
//! One id is mapped, the caller's own, so nothing like newuidmap is needed. Where root is the caller, the sandbox
//! gets the host's `nobody` instead (no per-user limit binds user id 0, and files of root are none of its business),
//! and pid 1 keeps root's id only while it mounts.

use crate::host::{Host, UNPRIVILEGED_ID};
use crate::spec::{Spec, User};
use crate::step::{Step, Steps, c_string};
use std::ffi::CString;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Where programs are looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The payload's user as seen inside.
pub fn user(spec: &Spec, host: &Host) -> User {
    spec.user.unwrap_or(User { uid: host.uid, gid: host.gid })
}

/// Its name.
pub fn name(user: User) -> &'static str {
    if user.uid == 0 { "root" } else { "sandbox" }
}

/// Its home directory.
pub fn home(user: User) -> &'static str {
    if user.uid == 0 { "/root" } else { "/home/sandbox" }
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

/// Gives up every capability held (the bounding set is emptied before), and root's id where it was kept. For pid 1 and for the payload alike.
pub fn plan_drop(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    if host.real_root {
        let User { uid, gid } = user(spec, host);
        steps.push(Step::BecomeUser { uid, gid });
        // A change of ids makes a process as dumpable as `fs.suid_dumpable` says, and with it everybody it shares its
        // memory with: pid 1 and the payload until that executes.
        steps.push(Step::BeUndumpable);
    }
    steps.push(Step::ClearCapabilities);
    steps.push(Step::NoNewPrivileges);
}

/// The environment: clean but for `PATH HOME LANG TERM USER` and what was asked for; later ones win.
pub fn environment(spec: &Spec, host: &Host) -> Vec<CString> {
    let user = user(spec, host);
    let term = spec.term.clone().filter(|_| spec.tty).unwrap_or_else(|| "dumb".to_owned());
    let mut variables: Vec<(OsString, OsString)> =
        [("PATH", PATH), ("HOME", home(user)), ("LANG", "C.UTF-8"), ("TERM", term.as_str()), ("USER", name(user))]
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
    for (key, value) in &spec.env {
        match variables.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => known.clone_from(value),
            None => variables.push((key.clone(), value.clone())),
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
