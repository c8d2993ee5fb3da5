//! What this machine and this caller are: the facts that a plan depends on.
//!
//! [`Host::probe`] looks, and changes nothing but for a cgroup that it makes and removes. It asks only what the given spec needs, because it stands on
//! the start path; what takes a whole attempt to find out (are user namespaces allowed?) is found out by the
//! attempt itself, and explained by [`diagnose`].

pub mod cgroup;
pub mod diagnose;
pub mod disks;
pub mod files;
pub mod image;
pub mod machine;
pub mod ranges;
pub mod reach;
pub mod surroundings;

pub use files::{Entry, EntryKind, is_shown};
pub use image::Image;
pub use machine::Machine;
pub use ranges::Ranges;
pub use reach::Reach;

use crate::error::{Error, Problem};
use crate::spec::{Spec, Userns};
use crate::sys::proc::HARD_LIMITS;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The id that a sandbox has on the host when root starts it: `nobody`, by the convention of every distribution.
pub const UNPRIVILEGED_ID: u32 = 65534;

/// The facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// The caller's effective user id.
    pub uid: u32,
    /// The caller's effective group id.
    pub gid: u32,
    /// The caller is the real root of the machine, whom no per-user limit binds. The sandbox then gets
    /// [`UNPRIVILEGED_ID`] on the host.
    pub real_root: bool,
    /// For root inside of a template's namespace of users: what [`UNPRIVILEGED_ID`] is called there, as a user and as a group.
    pub nested: Option<[u32; 2]>,
    /// The ids that the caller may map beside the own; only where they are asked for.
    pub ranges: Option<Ranges>,
    /// Landlock ABI; 0 when the kernel has none.
    pub landlock_abi: u32,
    /// Highest capability number of the kernel.
    pub last_capability: u8,
    /// The image that the sandbox runs on; `None`: the host's own file system.
    pub image: Option<Image>,
    /// `/usr` and what stands beside it on hosts that are not merged.
    pub top_level: Vec<Entry>,
    /// What programs need of `/etc`.
    pub etc: Vec<Entry>,
    /// Entries of `/proc` to be masked that this kernel has.
    pub masks: Vec<Entry>,
    /// Whether each source of `spec.mounts` is a directory.
    pub mount_is_directory: Vec<bool>,
    /// What the caller's standard streams are.
    pub streams: [StreamKind; 3],
    /// Bytes of memory of the machine.
    pub memory: u64,
    /// CPUs that the caller may use.
    pub cpus: u32,
    /// Where the sandbox's cgroup can be made.
    pub cgroup: cgroup::Cgroup,
    /// Disks behind what is shown inside, as device numbers; only where their bandwidth is limited.
    pub disks: Vec<(u64, u64)>,
    /// What the sandbox's own view of the machine is made from.
    pub machine: Machine,
    /// What there is for its network, where it may reach something.
    pub reach: Reach,
    /// The caller's hard limits, by the number of the resource: without privileges nobody gets more again.
    pub hard_limits: [u64; HARD_LIMITS],
}

/// What a standard stream of the caller is, which decides whether the sandbox may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// `/dev/null`: nothing can be reached through it.
    Harmless,
    /// A file, pipe, terminal, socket or device. The sandbox's user is the caller, and could reopen it through
    /// `/proc/self/fd` the other way round, or change its mode: relayed instead.
    Relayed,
}

impl Host {
    /// Looks at the machine, as far as `spec` on `image` needs it.
    ///
    /// # Errors
    ///
    /// `Invalid` names every mount source that cannot be mounted, `Host` what is missing for a range of ids.
    pub fn probe(spec: &Spec, image: Option<Image>) -> Result<Host, Error> {
        let own = image.is_none();
        let host = Host::probe_to_join(spec, image)?;
        let (top_level, etc) = if own { (files::top_level(), files::etc()) } else { (Vec::new(), Vec::new()) };
        Ok(Host { top_level, etc, masks: files::masks(), machine: host.machine.described(), ..host })
    }

    /// The same without what only the root of a new sandbox is made from.
    ///
    /// # Errors
    ///
    /// As [`probe`](Host::probe).
    pub fn probe_to_join(spec: &Spec, image: Option<Image>) -> Result<Host, Error> {
        let uid = nix::unistd::geteuid().as_raw();
        let mut problems = Vec::new();
        let real_root = is_real_root();
        let mount_is_directory = files::mount_sources(spec, real_root, &mut problems);
        files::named_files(spec, &mut problems);
        let layers = image.iter().flat_map(|image| image.layers.iter().map(PathBuf::as_path));
        let system = image.is_none().then_some(Path::new("/usr")).into_iter().chain(layers);
        let disks = disks::behind(spec, system, &mut problems);
        let cgroup = cgroup::find(spec, &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid(problems));
        }
        let gid = nix::unistd::getegid().as_raw();
        let ranges = match spec.userns {
            Userns::Single => None,
            Userns::Range => Some(ranges::find(uid, gid, real_root)?),
        };
        let machine = Machine::probe();
        let reach = Reach::probe(spec.net, image.as_ref());
        Ok(Host {
            uid,
            gid,
            real_root,
            nested: None,
            ranges,
            landlock_abi: crate::sys::proc::landlock_abi(),
            last_capability: last_capability(),
            top_level: Vec::new(),
            etc: Vec::new(),
            image,
            masks: Vec::new(),
            mount_is_directory,
            streams: streams(),
            memory: crate::sys::proc::total_memory(),
            cpus: machine.processors.len() as u32,
            machine,
            cgroup,
            disks,
            reach,
            hard_limits: crate::sys::proc::hard_limits(),
        })
    }
}

impl Problem {
    fn of_mount(message: String) -> Problem {
        Problem::new("mount", message)
    }
}

/// Whether the caller is the real root of the machine, and its sandboxes have [`UNPRIVILEGED_ID`] on the host.
pub fn is_real_root() -> bool {
    nix::unistd::geteuid().is_root() && initial_user_namespace()
}

/// Root of the initial user namespace owns every id; root of a container does not.
pub fn initial_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

/// The kernel's last capability. The bounding set answers EINVAL above it (capabilities(7)).
fn last_capability() -> u8 {
    let known = caps::all().iter().map(|capability| capability.index()).max().unwrap_or(40);
    // A kernel newer than the library may have more; they are asked for one by one.
    (known..63).find(|index| !crate::sys::proc::capability_exists(index + 1)).unwrap_or(63)
}

fn streams() -> [StreamKind; 3] {
    // `reserve_standard` has made sure that all three are open.
    [std::io::stdin().kind(), std::io::stdout().kind(), std::io::stderr().kind()]
}

/// Lets the three streams of std answer what they are.
trait Kind {
    fn kind(&self) -> StreamKind;
}

impl<T: std::os::fd::AsFd> Kind for T {
    fn kind(&self) -> StreamKind {
        stream_kind(self.as_fd())
    }
}

/// What the open file behind `fd` is.
pub fn stream_kind(fd: BorrowedFd<'_>) -> StreamKind {
    if crate::sys::fd::is_null_device(fd) { StreamKind::Harmless } else { StreamKind::Relayed }
}
