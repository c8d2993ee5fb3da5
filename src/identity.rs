//! Who the payload is: ids, names, environment, capabilities, file mode mask.
//!
//! One id is mapped, the caller's own, so nothing like newuidmap is needed. Where root is the caller, the sandbox
//! gets the host's `nobody` instead (no per-user limit binds user id 0, and files of root are none of its business),
//! and pid 1 keeps root's id only while it mounts.
//!
//! With a range of ids, the caller's own (or `nobody`) is user 0 inside, and the others follow it. The payload is in a user
//! namespace of its own then, below pid 1's: it has the same ids, but no mount and no other namespace belongs to it, so
//! that what user 0 keeps of capabilities is good for files, ids and processes of the sandbox and for nothing else; and root's own
//! id is not in it.

use crate::error::{Error, Problem};
use crate::host::ranges::{Extent, Helpers};
use crate::host::{Host, UNPRIVILEGED_ID};
use crate::outcome::Enforcement;
use crate::spec::{Order, Privileges, RANGE, Spec, User};
use crate::step::{Capabilities, Step, Steps, c_string};
use caps::Capability;
use std::ffi::CString;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Where programs are looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What user 0 of a range keeps, as those need it who install packages: to give files away and have them all the same, to
/// become another user, and to end what it has started as one. Without any of these apt-get(8) or dpkg(1) fails, without
/// `CAP_FSETID` set-group-id bits get lost, without `CAP_KILL` a server cannot stop its workers.
const OF_A_RANGE: [Capability; 7] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

/// Who owns a sandbox that has a range of ids, and what belongs to nobody else.
const ROOT: User = User { uid: 0, gid: 0 };

/// The payload's user as seen inside: who was asked for, else the image's, else the caller's own ids, or user 0 of a range.
pub fn user(spec: &Spec, host: &Host) -> User {
    let of_the_image = || host.image.as_ref().and_then(|image| image.config.user());
    let usual = if host.ranges.is_some() { ROOT } else { User { uid: host.uid, gid: host.gid } };
    spec.user.or_else(of_the_image).unwrap_or(usual)
}

/// Whose the files are that pid 1 makes, where it has made them with another id.
pub fn owner(spec: &Spec, host: &Host) -> Option<User> {
    let owner = if host.ranges.is_some() { ROOT } else { user(spec, host) };
    host.real_root.then_some(owner)
}

/// The same for what the payload's user has to itself: a home and a working directory.
pub fn owner_of_home(spec: &Spec, host: &Host) -> Option<User> {
    let user = user(spec, host);
    (host.real_root || (host.ranges.is_some() && user != ROOT)).then_some(user)
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

/// What the supervisor writes into the id maps of pid 1, where pid 1 cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMaps {
    /// Lines for `/proc/PID/uid_map`.
    pub uids: String,
    /// Lines for `/proc/PID/gid_map`.
    pub gids: String,
    /// Who writes them for a caller that may not.
    pub helpers: Option<Helpers>,
}

/// What the supervisor writes.
pub fn id_maps(spec: &Spec, host: &Host) -> Option<IdMaps> {
    let helpers = host.ranges.as_ref().and_then(|ranges| ranges.helpers.clone());
    let (uids, gids) = maps(spec, host);
    (host.real_root || host.ranges.is_some()).then_some(IdMaps { uids, gids, helpers })
}

/// Lines for `/proc/PID/{uid_map,gid_map}`, as the supervisor or pid 1 itself writes them.
fn maps(spec: &Spec, host: &Host) -> (String, String) {
    if let Some(ranges) = &host.ranges {
        return (of_range(host, host.uid, &ranges.uids), of_range(host, host.gid, &ranges.gids));
    }
    let user = user(spec, host);
    if host.real_root {
        let (mounting_uid, mounting_gid) = mounting_ids(user);
        let [nobody, nogroup] = host.nested.unwrap_or([UNPRIVILEGED_ID; 2]);
        (
            format!("{} {nobody} 1\n{mounting_uid} {} 1\n", user.uid, host.uid),
            format!("{} {nogroup} 1\n{mounting_gid} {} 1\n", user.gid, host.gid),
        )
    } else {
        (format!("{} {} 1\n", user.uid, host.uid), format!("{} {} 1\n", user.gid, host.gid))
    }
}

/// The caller's own id and those of the range; for root, whose own must not be inside, one more above them all while pid 1
/// mounts.
fn of_range(host: &Host, own: u32, extents: &[Extent]) -> String {
    let line = |inside, outside, count| format!("{inside} {outside} {count}\n");
    let rest: String = extents.iter().map(|extent| line(extent.inside, extent.outside, extent.count)).collect();
    match host.real_root {
        true => line(0, UNPRIVILEGED_ID, 1) + &rest + &line(RANGE, own, 1),
        false => line(0, own, 1) + &rest,
    }
}

/// The same ids once more, for the payload's own user namespace. A line of it may not span two of those above it.
fn of_payload(extents: &[Extent]) -> CString {
    let lines = extents.iter().map(|extent| format!("{} {} {}\n", extent.inside, extent.inside, extent.count));
    c_string(format!("0 0 1\n{}", lines.collect::<String>()))
}

/// Ids inside that stand for root's while pid 1 mounts: any but the payload's.
fn mounting_ids(user: User) -> (u32, u32) {
    let other = |id: u32| if id == 65533 { 65532 } else { 65533 };
    (other(user.uid), other(user.gid))
}

/// For root inside of a template: pid 1 begins as the sandbox's user, who must own its namespace of users, and becomes root's id for as
/// long as it mounts.
pub fn plan_nested(spec: &Spec, host: &Host, steps: &mut Steps) {
    if host.real_root && host.nested.is_some() {
        let (uid, gid) = mounting_ids(user(spec, host));
        steps.init.extend([Step::AwaitIdMaps, Step::BecomeMounter { uid, gid }]);
    }
}

/// First step of pid 1: the id maps.
///
/// # Errors
///
/// `Invalid`, where the image's user has none of the ids.
pub fn plan_maps(spec: &Spec, host: &Host, steps: &mut Steps) -> Result<(), Error> {
    let User { uid, gid } = user(spec, host);
    if host.ranges.is_some() && uid.max(gid) >= RANGE {
        let problem = Problem::new("user", format!("the image's user {uid}:{gid} is not in the range"));
        let hint = format!("a range has the ids 0 to {}; choose another by `--user`", RANGE - 1);
        return Err(Error::invalid(vec![problem.hint(hint)]));
    }
    if host.real_root && host.nested.is_some() {
        return Ok(());
    }
    let (uid_map, gid_map) = maps(spec, host);
    steps.init.push(if host.real_root || host.ranges.is_some() {
        Step::AwaitIdMaps
    } else {
        Step::MapIds { uid_map: c_string(uid_map), gid_map: c_string(gid_map) }
    });
    Ok(())
}

/// With a range of ids: pid 1 becomes user 0, without the caller's other groups, and clones the payload into a user
/// namespace below its own. To be the owner of that namespace is what lets pid 1 signal whoever is in it.
pub fn plan_payload(host: &Host, init: &mut Vec<Step>) {
    let Some(ranges) = &host.ranges else { return };
    plan_root_of_range(init);
    init.push(Step::StartPayload { namespaces: libc::CLONE_NEWUSER });
    init.push(Step::MapPayload { uid_map: of_payload(&ranges.uids), gid_map: of_payload(&ranges.gids) });
}

/// Becomes user 0 of a range, who owns the payload's user namespace.
pub fn plan_root_of_range(init: &mut Vec<Step>) {
    init.push(Step::BecomeUser { uid: ROOT.uid, gid: ROOT.gid });
}

/// The terminal is the payload's, where pid 1 has opened it with another id: programs open it again by its name.
pub fn plan_terminal(spec: &Spec, host: &Host, init: &mut Vec<Step>) {
    if let Some(User { uid, gid }) = owner_of_home(spec, host) {
        init.push(Step::Own { path: c"/dev/pts/0".to_owned(), uid, gid });
    }
}

/// pid 1 gives up every capability, and root's id where it was kept.
pub fn plan_drop_of_init(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    if host.ranges.is_some() {
        // It is user 0 already.
        steps.push(Step::ClearCapabilities { keep: Capabilities::NONE });
        steps.push(Step::NoNewPrivileges);
    } else {
        plan_drop(spec, host, Capabilities::NONE, steps);
    }
}

/// Gives up every capability held but those of `keep` (the bounding set is emptied before), and root's id where it was
/// kept.
pub fn plan_drop(spec: &Spec, host: &Host, keep: Capabilities, steps: &mut Vec<Step>) {
    if host.real_root || host.ranges.is_some() {
        let User { uid, gid } = user(spec, host);
        steps.push(Step::BecomeUser { uid, gid });
        // A change of ids makes a process as dumpable as `fs.suid_dumpable` says, and with it everybody it shares its
        // memory with: pid 1 and the payload until that executes.
        steps.push(Step::BeUndumpable);
    }
    steps.push(Step::ClearCapabilities { keep });
    steps.push(Step::NoNewPrivileges);
}

/// What the payload keeps. It is lost with user 0: by setuid(2), and by executing as anybody else.
pub fn kept(order: &Order, host: &Host) -> Capabilities {
    match order.privileges {
        Privileges::None if host.ranges.is_some() && user(&order.spec, host).uid == 0 => Capabilities::of(&OF_A_RANGE),
        Privileges::None => Capabilities::NONE,
        // Files of a package may have modes that stop everybody but root, and all of them are the caller's here.
        Privileges::Build { .. } => Capabilities::of(&[Capability::CAP_DAC_OVERRIDE, Capability::CAP_SYS_CHROOT]),
    }
}

/// That no capability is left, or which.
pub fn enforcement(order: &Order, host: &Host) -> Enforcement {
    match kept(order, host) {
        Capabilities::NONE => Enforcement::Enforced,
        kept if host.ranges.is_some() => Enforcement::Partly(format!("none{kept}, over the sandbox's own ids")),
        kept => Enforcement::Partly(format!("none{kept}")),
    }
}

/// Where an image without certificates is shown the host's.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The variables that name them: to OpenSSL and Go, whose place for them differs from build to build; to Node and to Python's requests
/// (and pip), which bring authorities of their own and know none that only this host trusts.
const CERTIFICATE_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];

/// The environment: clean but for `PATH HOME LANG TERM USER`, the image's and what was asked for; later ones win.
pub fn environment(order: &Order, host: &Host) -> Vec<CString> {
    let user = user(&order.spec, host);
    let term = order.term.clone().filter(|_| order.spec.tty).unwrap_or_else(|| "dumb".to_owned());
    let number = user.uid.to_string();
    let (name, home) = match account(user, host) {
        None if order.is_guest() => (number.as_str(), "/"),
        _ => (name(user, host), home(user, host)),
    };
    let mut variables: Vec<(OsString, OsString)> =
        [("PATH", PATH), ("HOME", home), ("LANG", "C.UTF-8"), ("TERM", term.as_str()), ("USER", name)]
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
    if host.reach.certificates.is_some() {
        variables.extend(CERTIFICATE_VARIABLES.map(|name| (name.into(), CERTIFICATES.into())));
    }
    let of_the_image = host.image.iter().flat_map(|image| &image.config.env).filter_map(|line| line.split_once('='));
    let of_the_image = of_the_image.map(|(key, value)| (key.into(), value.into()));
    for (key, value) in of_the_image.chain(order.spec.env.iter().cloned()) {
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
