//! The steps that make a sandbox, as data.
//!
//! A plan is two flat lists of steps: one for pid 1, one for the payload. Each step is one intention towards the
//! kernel, on bytes that the supervisor prepared; where it takes more than one system call, the frame that reports
//! a failure says which of them failed ([`Step::stage`]). Steps print as they are read aloud: `--dry-run`, error
//! messages and tests show the same text.
//!
//! Paths of the init list are relative to the scaffold (the tmpfs that holds `root`, and beside it what only mounts
//! need) until `EnterRoot`, and those that mounts go to are resolved below `root` without leaving it.

use std::ffi::CString;
use std::fmt;

/// One thing that pid 1 or the payload does on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Overwrites pid 1's copy of the supervisor's command line, which anybody inside can read: it names paths and
    /// variables of the host.
    ForgetCommandLine,
    /// Writes `/proc/self/{setgroups,uid_map,gid_map}`: one id, the caller's.
    MapIds {
        /// `INSIDE OUTSIDE 1`.
        uid_map: CString,
        /// `INSIDE OUTSIDE 1`.
        gid_map: CString,
    },
    /// Waits until the supervisor has written the id maps, which takes its privileges.
    AwaitIdMaps,
    /// Dies with the supervisor.
    DieWithSupervisor,
    /// Cannot be traced, and its memory and files in `/proc` cannot be read, by anybody inside.
    BeUndumpable,
    /// unshare(2) of the cgroup namespace, in the sandbox's cgroup if there is one.
    NewCgroups,
    /// Clones the payload's process, which prepares its network while pid 1 mounts.
    StartPayload,
    /// sethostname(2).
    HostName(CString),
    /// No mount event goes in or out.
    PrivateMounts,
    /// The tmpfs below everything that can be written, with its quota, and the working directory on it.
    Scaffold {
        /// Options of the tmpfs: `size`, `nr_inodes`, `mode`.
        options: CString,
    },
    /// A file system beside the quota, for what the command only reads; `MaskSources` makes it read-only.
    Sealed,
    /// A directory of the scaffold.
    Directory {
        /// Below the scaffold.
        path: CString,
        /// Permission bits, whatever the umask.
        mode: u32,
    },
    /// A symbolic link of the scaffold.
    Link {
        /// What it points to.
        target: CString,
        /// Below the scaffold.
        path: CString,
    },
    /// An empty file of the scaffold, to mount something on.
    EmptyFile {
        /// Below the scaffold.
        path: CString,
    },
    /// A small file of the scaffold.
    File {
        /// Below the scaffold.
        path: CString,
        /// Permission bits.
        mode: u32,
        /// All of its bytes.
        content: Vec<u8>,
    },
    /// A copy of what an open descriptor holds.
    CopyIn {
        /// Below the scaffold.
        path: CString,
        /// Permission bits.
        mode: u32,
        /// The descriptor to copy from its beginning.
        from: Slot,
    },
    /// The ids of everything made so far, where pid 1 is not the payload's user.
    Own {
        /// Below the scaffold.
        path: CString,
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// The root becomes a mount of its own, to be pivoted into.
    Root,
    /// A tree of the host or of the scaffold at a mount point of our own skeleton, where no link leads astray. Its
    /// attributes come with `SealTrees`, `SealDevices` or are those of the scaffold.
    Show {
        /// Absolute on the host, or below the scaffold.
        source: CString,
        /// Below the scaffold.
        target: CString,
    },
    /// Everything shown so far becomes read-only with what is mounted below it, and none of it honours set-user-id
    /// bits or devices; the root itself stays writable.
    SealTrees,
    /// A mount that the spec asks for.
    Bind {
        /// Absolute on the host, or below the scaffold.
        source: CString,
        /// Below the root.
        target: CString,
        /// Attributes, set before anybody can see the mount.
        access: Access,
    },
    /// Takes hold of the host's `/dev` and of the sandbox's.
    OpenDevices,
    /// A device node of the host, checked to be the one it should be.
    Device {
        /// Name below `/dev`.
        name: CString,
        /// Major and minor number.
        number: (u32, u32),
    },
    /// `/dev` and its nodes become read-only.
    SealDevices,
    /// What masks and views are made of: `/dev/null`, checked, and a directory of ours, both read-only.
    MaskSources,
    /// A fresh procfs of the new pid namespace, and the working directory in it.
    Proc,
    /// Empties an entry of the new procfs.
    Mask {
        /// Name below `/proc`.
        name: CString,
        /// A directory is covered by an empty one, a file by `/dev/null`.
        directory: bool,
    },
    /// Shows a file of ours instead of an entry of the new procfs.
    View {
        /// Absolute, since the working directory is the procfs.
        source: CString,
        /// Name below `/proc`.
        name: CString,
    },
    /// A read-only cgroup2, which begins at the sandbox's own cgroup. Where it has none our own files will cover it:
    /// programs look in the table of mounts for one, and then read what they find there by its path. Nobody inside can
    /// uncover it.
    MountCgroups,
    /// Writes a kernel setting that belongs to the new namespaces.
    Setting {
        /// Below `/proc/sys`.
        name: CString,
        /// The value.
        value: CString,
    },
    /// Makes `/proc/sys` read-only.
    SealSettings,
    /// A devpts of the sandbox's own.
    Terminals,
    /// pivot_root(2): the root is the sandbox's, for the payload's process too. The host's tree still lies on top.
    EnterRoot,
    /// Detaches the host's tree.
    DetachHost,
    /// Waits for the network namespace that the payload's process prepared, and joins it.
    JoinNetwork,
    /// Opens a terminal of the sandbox's own devpts.
    OpenTerminal,
    /// Gives the supervisor what it watches through: `/`, `/proc`, and the terminal if there is one.
    ReportReady,
    /// Lets the payload go on inside the root.
    OfferRoot,
    /// Lets the payload execute.
    ReleasePayload,
    /// unshare(2) of the network.
    NewNetwork,
    /// Brings `lo` up.
    LoopbackUp,
    /// Tells pid 1 that the network is ready.
    NetworkReady,
    /// Waits until the root is ready.
    AwaitRoot,
    /// Waits until pid 1 has given up its privileges.
    AwaitRelease,
    /// sched_setaffinity(2): where it may run, until it says otherwise. What programs take for the number of CPUs.
    Processors(Processors),
    /// setsid(2).
    NewSession,
    /// Takes the sandbox's own terminal as controlling terminal and as descriptors 0, 1, 2.
    TakeTerminal,
    /// Descriptors 0, 1 and 2.
    StandardStreams,
    /// umask(2).
    FileModeMask(u32),
    /// chdir(2) below the new root.
    WorkingDirectory(CString),
    /// Every signal does what it does by default.
    DefaultSignals,
    /// setrlimit(2), soft and hard alike.
    Limit {
        /// `RLIMIT_…`.
        resource: u32,
        /// Its name, for people.
        name: &'static str,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    },
    /// A session keyring of its own.
    SessionKeyring {
        /// Whether there is no going on without one.
        needed: bool,
    },
    /// Takes all capabilities out of the bounding and ambient sets.
    DropBounding {
        /// Number of the kernel's last capability.
        last: u8,
    },
    /// Becomes the payload's user.
    BecomeUser {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// Empties the effective, permitted and inheritable sets.
    ClearCapabilities,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges,
    /// The second layer: what may be read, written and executed.
    Landlock {
        /// Paths inside, with their access rights.
        rules: Vec<(CString, u64)>,
    },
    /// Every descriptor above 2 goes away at exec.
    CloseDescriptors,
    /// Signals are delivered again.
    UnblockSignals,
    /// The system call filter. Last, so that it need not allow our own set-up.
    Seccomp {
        /// Name of the profile.
        name: String,
        /// The classic BPF program.
        program: std::borrow::Cow<'static, [libc::sock_filter]>,
    },
    /// execve(2) of the first candidate that exists.
    Execute(Command),
}

/// A descriptor that the supervisor acquires after planning and the child inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The file given to `code`.
    Code,
}

/// A set of CPUs, as the kernel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processors {
    mask: Vec<u64>,
}

impl Processors {
    /// The set of CPUs with these numbers.
    pub fn new(numbers: &[u32]) -> Processors {
        let words = numbers.iter().max().map_or(0, |highest| *highest as usize / 64 + 1);
        let mut mask = vec![0; words];
        for number in numbers {
            if let Some(word) = mask.get_mut(*number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Processors { mask }
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        self.mask.iter().map(|word| word.count_ones()).sum()
    }

    /// One bit for each CPU.
    pub fn mask(&self) -> &[u64] {
        &self.mask
    }
}

/// The steps of both processes, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Of pid 1.
    pub init: Vec<Step>,
    /// Of the payload, up to execve(2).
    pub payload: Vec<Step>,
}

/// A command ready for execve(2).
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Absolute or relative paths to try, in the order of `PATH`.
    pub candidates: Vec<CString>,
    /// `argv`.
    pub arguments: Vec<CString>,
    /// `envp`.
    pub environment: Vec<CString>,
}

/// Attributes of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read-only with everything mounted below it.
    ReadOnly,
    /// Writable; still without set-user-id and devices.
    ReadWrite,
}

impl Step {
    /// What the `stage`-th system call of this step does, for error messages.
    pub fn stage(&self, stage: u8) -> Option<&'static str> {
        let names: &[&str] = match self {
            Step::MapIds { .. } => &["write setgroups", "write uid_map", "write gid_map"],
            Step::Scaffold { .. } => &["mount", "chdir"],
            Step::Proc => &["mount", "open", "check", "chdir"],
            Step::NewCgroups => &["open cgroup.procs", "enter the cgroup", "unshare"],
            Step::JoinNetwork => &["wait", "setns"],
            Step::File { .. } => &["open", "write"],
            Step::CopyIn { .. } => &["open", "sendfile"],
            Step::Bind { .. } => &["open_tree", "mount_setattr", "open mount point", "move_mount"],
            Step::Root => &["bind", "open"],
            Step::SealTrees => &["read-only", "root writable"],
            Step::OpenDevices => &["open host's", "open sandbox's"],
            Step::Device { .. } => &["open_tree", "check", "move_mount"],
            Step::SealDevices => &["read-only", "no devices but these"],
            Step::MaskSources => &["open_tree", "check", "mount_setattr", "move_mount", "read-only"],
            Step::Setting { .. } => &["open", "write"],
            Step::SealSettings => &["bind", "read-only"],
            Step::EnterRoot => &["chdir", "pivot_root"],
            Step::DetachHost => &["umount", "chdir"],
            Step::OpenTerminal => &["open", "unlock"],
            Step::ReportReady => &["open /", "open /proc", "send"],
            Step::LoopbackUp => &["socket", "ioctl"],
            Step::TakeTerminal => &["open", "TIOCSCTTY", "dup"],
            Step::BecomeUser { .. } => &["setgroups", "setresgid", "setresuid"],
            Step::SessionKeyring { needed: false } => &["keyctl", "tell the supervisor"],
            Step::DropBounding { .. } => &["ambient", "bounding"],
            Step::Landlock { .. } => &["open", "add rule", "restrict"],
            _ => &[],
        };
        names.get(usize::from(stage)).copied()
    }
}

/// A C string of bytes that `check` has found free of NUL.
pub fn c_string(bytes: impl Into<Vec<u8>>) -> CString {
    let mut bytes = bytes.into();
    bytes.retain(|byte| *byte != 0);
    // Cannot fail: there is no NUL left.
    CString::new(bytes).unwrap_or_default()
}

/// Text of a path for people.
fn show(path: &CString) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::MapIds { uid_map, gid_map } => {
                write!(f, "map ids: uid {}, gid {}", show(uid_map).trim_end(), show(gid_map).trim_end())
            }
            Step::ForgetCommandLine => f.write_str("forget the command line"),
            Step::AwaitIdMaps => f.write_str("wait for the id maps"),
            Step::DieWithSupervisor => f.write_str("die with the supervisor"),
            Step::BeUndumpable => f.write_str("be undumpable"),
            Step::NewCgroups => f.write_str("unshare the cgroup namespace"),
            Step::StartPayload => f.write_str("clone the payload"),
            Step::HostName(name) => write!(f, "set host name {}", show(name)),
            Step::PrivateMounts => f.write_str("make all mounts private"),
            Step::Scaffold { options } => write!(f, "mount scaffold tmpfs ({})", show(options)),
            Step::Sealed => f.write_str("mount ramfs on sealed"),
            Step::Directory { path, mode } => write!(f, "make directory {} {mode:04o}", show(path)),
            Step::Link { target, path } => write!(f, "link {} to {}", show(path), show(target)),
            Step::EmptyFile { path } => write!(f, "make file {}", show(path)),
            Step::File { path, mode, .. } => write!(f, "write file {} {mode:04o}", show(path)),
            Step::CopyIn { path, mode, .. } => write!(f, "copy in {} {mode:04o}", show(path)),
            Step::Own { path, uid, gid } => write!(f, "give {} to {uid}:{gid}", show(path)),
            Step::Root => f.write_str("make root a mount"),
            Step::Show { source, target } => write!(f, "show {} at {}", show(source), show(target)),
            Step::SealTrees => f.write_str("make what is shown read-only"),
            Step::OpenDevices => f.write_str("open the devices"),
            Step::SealDevices => f.write_str("make dev read-only"),
            Step::MaskSources => f.write_str("prepare masks"),
            Step::Bind { source, target, access } => {
                write!(f, "bind {} on {} {}", show(source), show(target), access.name())
            }
            Step::Device { name, number: (major, minor) } => {
                write!(f, "bind device {major}:{minor} on dev/{}", show(name))
            }
            Step::Proc => f.write_str("mount proc on proc"),
            Step::Mask { name, directory } => {
                write!(f, "mask proc/{}{}", show(name), if *directory { "/" } else { "" })
            }
            Step::View { name, .. } => write!(f, "show our own proc/{}", show(name)),
            Step::MountCgroups => f.write_str("mount cgroup2 on root/sys/fs/cgroup read-only"),
            Step::Setting { name, value } => write!(f, "set {} to {}", show(name), show(value)),
            Step::SealSettings => f.write_str("make proc/sys read-only"),
            Step::Terminals => f.write_str("mount devpts on dev/pts"),
            Step::EnterRoot => f.write_str("pivot into root"),
            Step::DetachHost => f.write_str("detach the host's tree"),
            Step::JoinNetwork => f.write_str("join the payload's network namespace"),
            Step::OpenTerminal => f.write_str("open a terminal"),
            Step::ReportReady => f.write_str("hand the supervisor / and /proc"),
            Step::OfferRoot => f.write_str("let the payload into the root"),
            Step::ReleasePayload => f.write_str("release the payload"),
            Step::NewNetwork => f.write_str("unshare the network namespace"),
            Step::LoopbackUp => f.write_str("bring lo up"),
            Step::NetworkReady => f.write_str("announce the network"),
            Step::AwaitRoot => f.write_str("wait for the root"),
            Step::AwaitRelease => f.write_str("wait for the release"),
            // Not which: that is another one at every start.
            Step::Processors(processors) => write!(f, "run on no more CPUs than {}", processors.count()),
            Step::NewSession => f.write_str("start a session"),
            Step::TakeTerminal => f.write_str("take the terminal"),
            Step::StandardStreams => f.write_str("set standard streams"),
            Step::FileModeMask(mask) => write!(f, "set umask {mask:03o}"),
            Step::WorkingDirectory(path) => write!(f, "enter {}", show(path)),
            Step::DefaultSignals => f.write_str("reset signal actions"),
            Step::Limit { name, soft, hard, .. } => write!(f, "limit {name} to {soft} (hard {hard})"),
            Step::SessionKeyring { needed: true } => f.write_str("join a new session keyring"),
            Step::SessionKeyring { needed: false } => {
                f.write_str("join a new session keyring, unless the quota of keys is used up")
            }
            Step::DropBounding { .. } => f.write_str("drop ambient and bounding capabilities"),
            Step::BecomeUser { uid, gid } => write!(f, "become {uid}:{gid}"),
            Step::ClearCapabilities => f.write_str("clear capabilities"),
            Step::NoNewPrivileges => f.write_str("set no_new_privs"),
            Step::Landlock { rules, .. } => {
                f.write_str("restrict by landlock:")?;
                rules.iter().try_for_each(|(path, access)| write!(f, " {}={access:#x}", show(path)))
            }
            Step::CloseDescriptors => f.write_str("close descriptors above 2 at exec"),
            Step::UnblockSignals => f.write_str("unblock signals"),
            Step::Seccomp { name, program } => {
                write!(f, "install seccomp profile {name} ({} instructions)", program.len())
            }
            Step::Execute(command) => {
                f.write_str("execute")?;
                command.candidates.iter().try_for_each(|path| write!(f, " {}", show(path)))
            }
        }
    }
}

impl Access {
    /// `ro` or `rw`.
    pub fn name(self) -> &'static str {
        match self {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Processors;

    #[test]
    fn a_set_of_cpus_has_one_bit_for_each() {
        assert_eq!(Processors::new(&[0]).mask(), [1]);
        assert_eq!(Processors::new(&[]).mask(), [0u64; 0]);
        let four = Processors::new(&[1, 63, 64, 130]);
        assert_eq!((four.mask(), four.count()), ([1 << 63 | 2, 1, 4].as_slice(), 4));
    }
}
