//! Getting the place ready, before anything is planned: what `find` found may need a scope of systemd, controllers
//! switched on, or people moved.

use super::scope;
use crate::error::{Blocker, Error, describe_io};
use crate::host::Host;
use crate::host::cgroup::{self, CALLERS, Cgroup, Controllers, Place};
use crate::spec::{CgroupParent, Spec};
use std::fs;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Who forks while being moved leaves children behind; each round finds fewer.
const ROUNDS: usize = 64;

/// The host with a place that can be used as it is, or with the reason why there is none.
///
/// # Errors
///
/// `Host` when a place that the caller has named cannot be used.
pub fn settle(spec: &Spec, mut host: Host) -> Result<Host, Error> {
    if host.cgroup == Cgroup::Scope {
        host.cgroup = match scope::enter() {
            Ok(()) => cgroup::find(spec, &mut Vec::new()),
            Err(why) => Cgroup::undelegated(format!("systemd makes no scope for this user: {why}")),
        };
    }
    // A scope that was asked for and not delegated would be asked for again for ever.
    if host.cgroup == Cgroup::Scope {
        host.cgroup = Cgroup::undelegated("systemd has not delegated the scope that it made".to_owned());
    }
    if let Cgroup::In(place) = &host.cgroup
        && place.crowded
    {
        // By now another sandbox may have moved us already.
        let ours = spec.cgroup_parent.is_none() || is_own(place);
        host.cgroup = match make_room(place, ours) {
            Ok(()) => ready(place),
            Err(why) => Cgroup::undelegated(why),
        };
    }
    match (&spec.cgroup_parent, &host.cgroup) {
        (Some(CgroupParent::Below(path)), Cgroup::Without { why, .. }) => Err(Error::from(Blocker {
            message: format!("cgroup_parent: `{}`: {why}", path.display()),
            hint: Some("name a cgroup without processes of its own, or `none`".to_owned()),
        })),
        _ => Ok(host),
    }
}

/// Puts this process where the kernel lets it go into `cgroup`: who moves a process needs the right to write to `cgroup.procs` of the cgroup
/// that is above both (cgroups(7), "Cgroups delegation containment"), and above a login session that one is root's.
///
/// # Errors
///
/// `Host`, where systemd makes no scope for it.
pub fn approach(cgroup: BorrowedFd<'_>) -> Result<(), Error> {
    if may_enter(cgroup) {
        return Ok(());
    }
    scope::enter().map_err(|why| {
        Error::from(Blocker {
            message: format!("from here the kernel lets no process go into the sandbox's cgroup, and systemd makes no scope: {why}"),
            hint: Some("call from the delegated cgroup in which the sandbox was made, as that of the same container or service".to_owned()),
        })
    })
}

/// Whether it would, as far as can be told before; what cannot be told the kernel says.
fn may_enter(cgroup: BorrowedFd<'_>) -> bool {
    let (Ok(own), Ok(there)) = (cgroup::own(), fs::read_link(format!("/proc/self/fd/{}", cgroup.as_raw_fd()))) else {
        return true;
    };
    let own = cgroup::below_tree(&own);
    match there.ancestors().find(|above| own.starts_with(above)) {
        Some(above) if above.join("cgroup.procs").exists() => {
            nix::unistd::eaccess(&above.join("cgroup.procs"), nix::unistd::AccessFlags::W_OK).is_ok()
        }
        _ => true,
    }
}

/// What really is switched on now.
fn ready(place: &Place) -> Cgroup {
    match cgroup::find_in(Place { crowded: false, ..place.clone() }) {
        Ok(place) => Cgroup::In(place),
        Err(why) => Cgroup::undelegated(why),
    }
}

/// Switches controllers on. Only a cgroup without processes may have controllers below it (the no-internal-process
/// rule): where we stand in the way ourselves, we and all others of our cgroup move to a leaf. Not one controller is
/// tried before: the kernel takes cpu and pids from a cgroup with processes, and makes threads of its children.
fn make_room(place: &Place, ours: bool) -> Result<(), String> {
    let is_top = !place.directory.join("cgroup.type").exists();
    for _ in 0..ROUNDS {
        if !is_top && !is_empty(place)? {
            match ours {
                true => move_all(place)?,
                false => return Err("it has processes of its own, which keep controllers off".to_owned()),
            }
            continue;
        }
        match switch_on(place) {
            // Somebody has come back.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(format!("switch on its controllers: {}", describe_io(&error))),
            Ok(()) => return Ok(()),
        }
    }
    Err(format!("processes come faster to `{}` than they can be moved out of it", place.directory.display()))
}

fn is_empty(place: &Place) -> Result<bool, String> {
    let text = fs::read_to_string(place.directory.join("cgroup.procs")).map_err(|error| describe_io(&error))?;
    Ok(text.trim().is_empty())
}

/// One by one: all or none would lose three for the sake of one. What is on in the end is looked at again.
fn switch_on(place: &Place) -> std::io::Result<()> {
    let control = place.directory.join("cgroup.subtree_control");
    let mut refused = None;
    for name in place.controllers.names() {
        match fs::write(&control, format!("+{name}")) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Err(error),
            Err(error) => refused = Some(error),
            Ok(()) => {}
        }
    }
    match refused {
        Some(error) if Controllers::read(&control) == Controllers::default() => Err(error),
        _ => Ok(()),
    }
}

fn is_own(place: &Place) -> bool {
    cgroup::own().is_ok_and(|own| cgroup::below_tree(&own) == place.directory)
}

fn move_all(place: &Place) -> Result<(), String> {
    let leaf = place.directory.join(CALLERS);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("make `{}`: {}", leaf.display(), describe_io(&error)));
        }
        _ => {}
    }
    let procs = place.directory.join("cgroup.procs");
    let text = fs::read_to_string(&procs).map_err(|error| describe_io(&error))?;
    for pid in text.lines() {
        match fs::write(leaf.join("cgroup.procs"), pid) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(format!("move process {pid} to `{}`: {}", leaf.display(), describe_io(&error))),
            Ok(()) => {}
        }
    }
    Ok(())
}
