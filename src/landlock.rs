//! Landlock, the second layer: even where a mount had a gap, nothing but these places can be written.
//!
//! The supervisor creates the ruleset (through the landlock crate); the payload adds the rules by descriptor, since
//! the files they name exist only inside, and restricts itself. Signals and abstract sockets are kept apart by the
//! pid and network namespaces; with the host's network asked for, abstract sockets are scoped here.

use crate::error::{Error, Failure, used_up};
use crate::host::Host;
use crate::outcome::Enforcement;
use crate::spec::{Network, Order, Spec};
use crate::step::{Step, Steps, c_string};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetStatus, Scope,
};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The newest ABI whose rights belljar knows how to use; later ones add what is not about files.
const KNOWN_ABI: u32 = 6;

/// What a kernel of `abi` can restrict.
fn rights(abi: u32) -> BitFlags<AccessFs> {
    AccessFs::from_all(known(abi))
}

fn known(abi: u32) -> ABI {
    match abi.min(KNOWN_ABI) {
        0 => ABI::Unsupported,
        1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

/// Restricts the payload; `writable` are the directories and files that it may write.
pub fn plan(order: &Order, host: &Host, writable: &[String], steps: &mut Steps) {
    let spec = &order.spec;
    if host.landlock_abi == 0 {
        return;
    }
    if order.warm.is_some() {
        // A rule about files would keep its copies from the files of their sandboxes, which are not beneath any of ours.
        if host.landlock_abi >= 6 {
            steps.payload.push(Step::Landlock { rules: Vec::new() });
        }
        return;
    }
    let all = rights(host.landlock_abi);
    let read = AccessFs::from_read(known(host.landlock_abi));
    let mut rules = vec![(c"/".to_owned(), read.bits())];
    let everything = all.bits();
    rules.extend(writable.iter().map(|path| {
        let is_file = spec
            .mounts
            .iter()
            .zip(&host.mount_is_directory)
            .any(|(mount, is_directory)| !is_directory && mount.target.to_string_lossy() == path.as_str());
        let access =
            if is_file { everything & AccessFs::from_file(known(host.landlock_abi)).bits() } else { everything };
        (c_string(path.as_str()), access)
    }));
    // A process tells the kernel about itself through files (`comm`, `oom_score_adj`); devices are opened for
    // writing and controlled. Neither is a place to make files.
    let control =
        (AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Truncate | AccessFs::IoctlDev) & all;
    rules.push((c"/proc".to_owned(), control.bits()));
    rules.push((c"/dev".to_owned(), control.bits()));
    rules.push((c"/dev/shm".to_owned(), everything));
    steps.payload.push(Step::Landlock { rules });
}

/// Creates the ruleset that the payload will fill.
///
/// # Errors
///
/// `Setup`, when the kernel refuses it.
pub fn create_ruleset(order: &Order, host: &Host) -> Result<Option<OwnedFd>, Error> {
    let spec = &order.spec;
    if host.landlock_abi == 0 || (order.warm.is_some() && host.landlock_abi < 6) {
        return Ok(None);
    }
    let refused = |error: landlock::RulesetError| {
        let attempt = "create the landlock ruleset";
        match errno(&error) {
            // Landlock is there, and something else is not: leaving it out would cure nothing.
            Some(errno) if used_up(errno).is_some() => Error::setup(attempt, errno),
            _ => Error::from(Failure {
                step: None,
                attempt: format!("{attempt}: {error}"),
                errno: 0,
                hint: Some("allow it to be missing with `--allow-missing landlock`".to_owned()),
            }),
        }
    };
    if order.warm.is_some() {
        // It signals nobody of those who make and hold the sandboxes of its copies.
        let scoped = Ruleset::default().scope(Scope::Signal | Scope::AbstractUnixSocket).map_err(refused)?;
        return Ok(scoped.create().map_err(refused)?.into());
    }
    let mut ruleset = Ruleset::default().handle_access(rights(host.landlock_abi)).map_err(refused)?;
    if spec.net == Network::Host && host.landlock_abi >= 6 {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket).map_err(refused)?;
    }
    Ok(ruleset.create().map_err(refused)?.into())
}

/// Restricts this process, which is one of our own: it reads what is beneath `readable`, as far as that is there, and opens nothing else.
/// With `ports` it connects by TCP to these and binds to none, where the kernel can restrict that (6.7).
/// A kernel without Landlock restricts nothing; whoever did not allow that has no sandbox in the first place.
///
/// # Errors
///
/// `Setup`, when the kernel refuses it.
pub fn confine(readable: &[&Path], ports: Option<&[u16]>) -> Result<(), Error> {
    let refused = |error: landlock::RulesetError| Error::setup("restrict by landlock", errno(&error).unwrap_or(0));
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V6)).map_err(refused)?;
    if ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V6)).map_err(refused)?;
    }
    let ruleset = ruleset.scope(Scope::from_all(ABI::V6)).map_err(refused)?.create().map_err(refused)?;
    let rules = landlock::path_beneath_rules(readable, AccessFs::from_read(ABI::V6));
    let ports = ports.unwrap_or_default().iter();
    let ports = ports.map(|port| Ok::<_, landlock::RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp)));
    let filled = ruleset.add_rules(rules).and_then(|ruleset| ruleset.add_rules(ports));
    let restricted = filled.and_then(landlock::RulesetCreated::restrict_self).map_err(refused)?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced if crate::sys::proc::landlock_abi() == 0 => Ok(()),
        RulesetStatus::NotEnforced => Err(Error::setup("restrict by landlock", libc::EOPNOTSUPP)),
    }
}

/// What the kernel answered, if it was the kernel that refused.
fn errno(error: &landlock::RulesetError) -> Option<i32> {
    let first: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::successors(first, |error| error.source())
        .find_map(|error| error.downcast_ref::<std::io::Error>()?.raw_os_error())
}

/// How far this kernel's Landlock goes.
pub fn enforcement(spec: &Spec, host: &Host) -> Enforcement {
    match host.landlock_abi {
        0 => Enforcement::Off("the kernel has no Landlock".to_owned()),
        1 => Enforcement::Partly("ABI 1: no rename between directories, truncation not restricted".to_owned()),
        2 => Enforcement::Partly("ABI 2: truncation not restricted".to_owned()),
        3 | 4 => Enforcement::Partly(format!("ABI {}: device ioctls not restricted", host.landlock_abi)),
        5 if spec.net == Network::Host => {
            Enforcement::Partly("ABI 5: abstract sockets of the host not scoped".to_owned())
        }
        _ => Enforcement::Enforced,
    }
}
