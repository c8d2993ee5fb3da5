//! Where in the cgroup v2 tree a sandbox's cgroup can be made.
//!
//! In this order: the cgroup that the caller names; the delegated part of the tree that this process is in; a scope
//! that the user's systemd would make. [`find`] changes nothing but for a throw-away cgroup: what can be made is found
//! out by making it, not by guessing from ids. What has to be changed first is left to
//! [`settle`](crate::cgroup::settle).
//!
//! Sources: the kernel's `Documentation/admin-guide/cgroup-v2.rst` (delegation, the no-internal-process rule),
//! systemd's "Control Group APIs and Delegation".

use crate::error::{Problem, describe_io};
use crate::spec::{CgroupParent, Spec};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, eaccess};
use std::fs;
use std::path::{Path, PathBuf};

/// The conventional place of the tree (file-hierarchy(7)).
pub const TREE: &str = "/sys/fs/cgroup";
/// The directory is there where systemd is pid 1 (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// Where processes go that stand in the way of sandboxes.
pub const CALLERS: &str = "belljar.callers";

/// What limits need of a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controllers {
    /// `cpu.max`.
    pub cpu: bool,
    /// `io.max`.
    pub io: bool,
    /// `memory.max`.
    pub memory: bool,
    /// `pids.max`.
    pub pids: bool,
}

impl Controllers {
    /// What systemd gives to a user unless it is told otherwise.
    const OF_A_SCOPE: Controllers = Controllers { cpu: true, io: false, memory: true, pids: true };

    /// The words of `cgroup.controllers`.
    pub fn read(path: &Path) -> Controllers {
        let text = fs::read_to_string(path).unwrap_or_default();
        let has = |name: &str| text.split_ascii_whitespace().any(|word| word == name);
        Controllers { cpu: has("cpu"), io: has("io"), memory: has("memory"), pids: has("pids") }
    }

    /// The words again.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.memory, "memory"), (self.io, "io"), (self.cpu, "cpu"), (self.pids, "pids")]
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
    }

    /// Whether the limits that every sandbox has can all be held.
    fn suffice(self) -> bool {
        self.cpu && self.memory && self.pids
    }

    fn any(self) -> bool {
        self.cpu || self.memory || self.pids
    }
}

/// A cgroup that sandboxes' cgroups can be made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its directory.
    pub directory: PathBuf,
    /// What cgroups in it have, or will have.
    pub controllers: Controllers,
    /// It has processes of its own, and no controllers can be switched on below it as long as they are there.
    pub crowded: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroup {
    /// A place.
    In(Place),
    /// None, but there is a systemd that makes scopes for this user.
    Scope,
    /// None.
    Without {
        /// Why.
        why: String,
        /// How to get one, with and without root.
        cure: &'static str,
    },
}

/// The tree is there, and no part of it is ours.
pub const ASK_SYSTEMD: &str = "without root: `systemd-run --user --scope -p Delegate=yes belljar ...`; as root for all users: write `[Service]` and `Delegate=cpu cpuset io memory pids` to /etc/systemd/system/user@.service.d/delegate.conf, run `systemctl daemon-reload`, and log in anew";
/// Where version 1 holds the controllers, version 2 has none to lend.
const USE_VERSION_2: &str = "as root boot with the kernel parameter `systemd.unified_cgroup_hierarchy=1`, which leaves all controllers to cgroup v2";
const MOUNT_IT: &str = "start the container with its cgroup mounted and writable";
const LEAVE_IT_OUT: &str = "leave `--cgroup-parent none` out";

impl Cgroup {
    /// What can be limited by a cgroup.
    pub fn controllers(&self) -> Controllers {
        match self {
            Cgroup::In(place) => place.controllers,
            Cgroup::Scope => Controllers::OF_A_SCOPE,
            Cgroup::Without { .. } => Controllers::default(),
        }
    }

    /// Whether a sandbox will have a cgroup.
    pub fn is_there(&self) -> bool {
        !matches!(self, Cgroup::Without { .. })
    }

    /// Why a controller is missing.
    pub fn why_not(&self, controller: &str) -> String {
        match self {
            Cgroup::In(place) => format!("no {controller} controller below {}", place.directory.display()),
            Cgroup::Scope => format!("systemd delegates no {controller} controller to users by default"),
            Cgroup::Without { why, .. } => why.clone(),
        }
    }

    /// How to get what is missing.
    pub fn cure(&self) -> &'static str {
        match self {
            Cgroup::In(_) | Cgroup::Scope => ASK_SYSTEMD,
            Cgroup::Without { cure, .. } => cure,
        }
    }

    /// None, for want of a part of the tree that is ours.
    pub fn undelegated(why: String) -> Cgroup {
        Cgroup::Without { why, cure: ASK_SYSTEMD }
    }
}

/// Finds the place for the sandbox of `spec`.
pub fn find(spec: &Spec, problems: &mut Vec<Problem>) -> Cgroup {
    match &spec.cgroup_parent {
        Some(CgroupParent::Without) => Cgroup::Without { why: "no cgroup is wanted".to_owned(), cure: LEAVE_IT_OUT },
        Some(CgroupParent::Below(path)) => match named(path) {
            Ok(place) => Cgroup::In(place),
            Err(why) => {
                let problem = Problem::new("cgroup_parent", format!("`{}`: {why}", path.display()));
                problems.push(problem.hint("`belljar doctor` shows what this host has; `none` does without"));
                Cgroup::undelegated(why)
            }
        },
        None => delegated(),
    }
}

/// The cgroup that the caller named.
fn named(path: &Path) -> Result<Place, String> {
    tree().map_err(|(why, _)| why)?;
    let directory = below_tree(path);
    let found = fs::metadata(&directory).map_err(|error| describe_io(&error))?;
    if !found.is_dir() {
        return Err("not a cgroup".to_owned());
    }
    let enabled = Controllers::read(&directory.join("cgroup.subtree_control"));
    let available = Controllers::read(&directory.join("cgroup.controllers"));
    if !available.any() {
        return Err("it has none of the controllers cpu, memory and pids".to_owned());
    }
    let place = Place { crowded: enabled != available, controllers: available, directory };
    find_in(place)
}

/// The part of the tree that we are in, if it is ours.
fn delegated() -> Cgroup {
    if let Err((why, cure)) = tree() {
        return Cgroup::Without { why, cure };
    }
    let own = match own() {
        Ok(own) => own,
        Err(why) => return Cgroup::undelegated(why),
    };
    let top = if Path::new(SYSTEMD).exists() { unit(&own) } else { Ok(PathBuf::from("/")) };
    let found = top.and_then(|top| {
        let mut partly = None;
        // Above us, where nobody has to be moved. What we could not use with less we would not use.
        for path in own.ancestors().skip(1).take_while(|path| path.starts_with(&top)) {
            let directory = below_tree(path);
            let controllers = Controllers::read(&directory.join("cgroup.subtree_control"));
            if !controllers.any() || !is_ours(&directory) {
                continue;
            }
            let place = Place { directory, controllers, crowded: false };
            if controllers.suffice() {
                return find_in(place);
            }
            partly = partly.or(Some(place));
        }
        let directory = below_tree(&own);
        let controllers = Controllers::read(&directory.join("cgroup.controllers"));
        let here = Controllers::read(&directory.join("cgroup.subtree_control"));
        match partly {
            _ if controllers.suffice() && is_ours(&directory) => {
                find_in(Place { directory, controllers, crowded: here != controllers })
            }
            Some(place) => find_in(place),
            None if !is_ours(&directory) => Err(format!("the cgroup `{}` is not delegated to us", own.display())),
            None => Err(format!("the cgroup `{}` lacks the controllers cpu, memory and pids", own.display())),
        }
    });
    match found {
        Ok(place) => Cgroup::In(place),
        Err(_) if bus().is_some() => Cgroup::Scope,
        Err(why) => Cgroup::undelegated(why),
    }
}

/// Whether the tree is there, and not that of version 1.
fn tree() -> Result<(), (String, &'static str)> {
    match statfs(TREE).map(|found| found.filesystem_type()) {
        Ok(CGROUP2_SUPER_MAGIC) => Ok(()),
        // The directory that holds the trees of version 1.
        Ok(TMPFS_MAGIC) => Err((format!("no cgroup v2 at {TREE}"), USE_VERSION_2)),
        Ok(_) => Err((format!("no cgroup tree at {TREE}"), MOUNT_IT)),
        Err(errno) => Err((format!("{TREE}: {}", describe_io(&errno.into())), MOUNT_IT)),
    }
}

/// Our own cgroup, as the kernel names it.
pub fn own() -> Result<PathBuf, String> {
    let text = fs::read_to_string("/proc/self/cgroup").map_err(|error| describe_io(&error))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).ok_or("this process is in no cgroup v2")?;
    // Moved out of the part that our cgroup namespace shows (cgroup_namespaces(7)).
    if path.starts_with("/..") {
        return Err(format!("our cgroup `{path}` lies outside of our cgroup namespace"));
    }
    Ok(PathBuf::from(path))
}

/// The directory of a cgroup.
pub fn below_tree(path: &Path) -> PathBuf {
    Path::new(TREE).join(path.strip_prefix("/").unwrap_or(path))
}

/// The innermost unit that we are in, if systemd says that it has handed it over. All cgroups of the user's units
/// belong to the user; but of those that it has not handed over systemd thinks that it alone rules there, and takes
/// controllers away as it sees fit.
fn unit(own: &Path) -> Result<PathBuf, String> {
    let is_unit = |path: &&Path| path.extension().is_some_and(|kind| kind == "scope" || kind == "service");
    let unit = own.ancestors().find(is_unit).ok_or_else(|| format!("the cgroup `{}` is in no unit", own.display()))?;
    let directory = below_tree(unit);
    // The system's systemd marks the cgroup. The user's does not (as of version 257), but what it was told of a unit
    // that has no file of its own it writes down.
    let marked = ["user.delegate", "trusted.delegate"]
        .into_iter()
        .any(|name| crate::sys::proc::extended_attribute(&directory, name).is_some_and(|value| value == b"1"));
    if marked || transient(unit).is_some_and(|text| delegates(&text)) {
        Ok(unit.to_owned())
    } else {
        Err(format!("systemd has not delegated `{}`", unit.display()))
    }
}

/// What the user's systemd was told of a transient unit.
fn transient(unit: &Path) -> Option<String> {
    let directory = format!("/run/user/{}/systemd/transient", nix::unistd::geteuid());
    fs::read_to_string(Path::new(&directory).join(unit.file_name()?)).ok()
}

/// Whether a unit file has something delegated (systemd.resource-control(5)): a boolean, or a list of controllers, and
/// an empty list is none. The last one counts.
fn delegates(text: &str) -> bool {
    let last = text.lines().filter_map(|line| line.trim().strip_prefix("Delegate=")).next_back();
    last.is_some_and(|value| !["", "0", "no", "n", "false", "f", "off"].contains(&value.trim()))
}

/// Whether processes may be moved into this cgroup and its children by us.
fn is_ours(directory: &Path) -> bool {
    eaccess(&directory.join("cgroup.procs"), AccessFlags::W_OK).is_ok()
        && eaccess(&directory.join("cgroup.subtree_control"), AccessFlags::W_OK).is_ok()
}

/// Makes a cgroup in that place, looks what it has, and removes it.
///
/// # Errors
///
/// Why none can be made, in words.
pub fn find_in(place: Place) -> Result<Place, String> {
    let attempt = place.directory.join(format!("belljar.probe-{}", std::process::id()));
    fs::create_dir(&attempt).map_err(|error| format!("no cgroup can be made there: {}", describe_io(&error)))?;
    let has = |file: &str| eaccess(&attempt.join(file), AccessFlags::W_OK).is_ok();
    let controllers =
        Controllers { cpu: has("cpu.max"), io: has("io.max"), memory: has("memory.max"), pids: has("pids.max") };
    fs::remove_dir(&attempt).map_err(|error| format!("`{}`: {}", attempt.display(), describe_io(&error)))?;
    // What is not switched on yet cannot be seen.
    let controllers = if place.crowded { place.controllers } else { controllers };
    if !controllers.any() {
        return Err("cgroups made there have none of the controllers cpu, memory and pids".to_owned());
    }
    Ok(Place { controllers, ..place })
}

/// The bus of the systemd that makes scopes for this user: the system's for root, the user's own for others.
pub fn bus() -> Option<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let (manager, bus) = match uid {
        0 => (PathBuf::from("/run/systemd/private"), PathBuf::from("/run/dbus/system_bus_socket")),
        _ => (format!("/run/user/{uid}/systemd/private").into(), format!("/run/user/{uid}/bus").into()),
    };
    (Path::new(SYSTEMD).exists() && manager.exists() && bus.exists()).then_some(bus)
}

/// Kinds of the mounted cgroup trees.
fn kinds(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let (_, origin) = line.split_once(" - ")?;
        origin.split(' ').next().filter(|kind| kind.starts_with("cgroup"))
    })
}

/// `none`, `v1`, `hybrid` or `v2`, by the text of `/proc/self/mountinfo`.
pub fn version(mounts: &str) -> &'static str {
    let has = |wanted: &str| kinds(mounts).any(|kind| kind == wanted);
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_hosts_are_told_apart() {
        const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        const V1: &str = "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let both = format!("{V1}{V2}");
        assert_eq!([V2, V1, both.as_str(), ""].map(version), ["v2", "v1", "hybrid", "none"]);
    }

    #[test]
    fn cgroups_are_named_below_the_tree() {
        assert_eq!(below_tree(Path::new("/")), Path::new("/sys/fs/cgroup"));
        assert_eq!(below_tree(Path::new("/a/b.scope")), Path::new("/sys/fs/cgroup/a/b.scope"));
    }

    #[test]
    fn what_a_unit_file_delegates_is_read_as_systemd_reads_it() {
        let unit = "[Unit]\nDescription=Delegate=yes\n[Scope]\n";
        let with = |line: &str| delegates(&format!("{unit}{line}\n"));
        assert_eq!(["Delegate=yes", "Delegate=cpu memory", "Delegate=1"].map(with), [true; 3]);
        assert_eq!(["", "Delegate=no", "Delegate=", "Delegate=yes\nDelegate=no"].map(with), [false; 4]);
    }

    #[test]
    fn a_process_in_no_unit_is_in_no_delegated_unit() {
        let error = unit(Path::new("/user.slice")).unwrap_err();
        assert_eq!(error, "the cgroup `/user.slice` is in no unit");
        let error = unit(Path::new("/a.slice/none-such.scope/child")).unwrap_err();
        assert_eq!(error, "systemd has not delegated `/a.slice/none-such.scope`");
    }

    #[test]
    fn without_a_place_nothing_is_limited_by_a_cgroup_and_the_reason_is_kept() {
        let none = Cgroup::undelegated("no cgroup v2 at /sys/fs/cgroup".to_owned());
        assert_eq!((none.controllers(), none.is_there()), (Controllers::default(), false));
        assert_eq!(none.why_not("io"), "no cgroup v2 at /sys/fs/cgroup");
        assert_eq!(Cgroup::Scope.controllers().names().collect::<Vec<_>>(), ["memory", "cpu", "pids"]);
    }
}
