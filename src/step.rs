//! The steps that make a sandbox, as data.
//!
//! A plan is two flat lists of steps: one for pid 1, one for the payload. Each step is one intention towards the
//! kernel, on bytes that the supervisor prepared; where it takes more than one system call, the frame that reports
//! a failure says which of them failed ([`Call`]). Steps print as they are read aloud: `--dry-run`, error
//! messages and tests show the same text.
//!
//! Paths of the init list are relative to the scaffold (the tmpfs that holds `root`, and beside it what only mounts
//! need) until `EnterRoot`, and those that mounts go to are resolved below `root` without leaving it.

mod call;
mod sets;
mod text;

pub use call::Call;
pub use sets::{Capabilities, Processors};

use crate::spec::User;
use std::ffi::CString;

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
    /// Clones the payload's process, which prepares its network while pid 1 mounts, or begins in a user namespace of its own.
    StartPayload {
        /// `CLONE_NEW…`, or 0.
        namespaces: i32,
    },
    /// Writes the id maps of the payload's own user namespace.
    MapPayload {
        /// `INSIDE OUTSIDE COUNT`, by lines.
        uid_map: CString,
        /// `INSIDE OUTSIDE COUNT`, by lines.
        gid_map: CString,
    },
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
    /// The root is an overlay of the image's layers and a writable one.
    Overlay {
        /// Options of overlayfs; its directories are below the scaffold.
        options: CString,
    },
    /// A directory or an empty file of the root, unless there is something by that name.
    Place {
        /// Below the root.
        path: CString,
        /// Permission bits.
        mode: u32,
        /// Which of the two.
        directory: bool,
        /// Whose it is, where pid 1 is not the payload's user.
        owner: Option<User>,
    },
    /// The ids of a directory of the root, whoever has made it.
    Give {
        /// Below the root.
        path: CString,
        /// Whose it becomes.
        owner: User,
    },
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
    /// A tmpfs of its own size, to be shown later.
    Tmpfs {
        /// Below the scaffold.
        path: CString,
        /// Whether programs on it can be executed.
        executable: bool,
        /// Options of the tmpfs: `size`, `nr_inodes`, `mode`.
        options: CString,
    },
    /// Whatever stands at a path of the root is covered: a directory by an empty one, anything else by `/dev/null`.
    /// Nothing is done where nothing stands.
    Cover {
        /// Below the root.
        path: CString,
    },
    /// Whatever stands at a path of the root is mounted on itself, read-only with all mounts below it. Nothing is done
    /// where nothing stands.
    SealPath {
        /// Below the root.
        path: CString,
    },
    /// The root itself becomes read-only; what is mounted below it stays as it is.
    SealRoot,
    /// A mount that the spec asks for.
    Bind {
        /// Absolute on the host, or below the scaffold.
        source: CString,
        /// Below the root.
        target: CString,
        /// Attributes, set before anybody can see the mount.
        access: Access,
    },
    /// A mount from a directory that others write in: no link on the way is followed (CVE-2017-1002101).
    BindBeneath {
        /// The directory, absolute on the host.
        root: CString,
        /// Below it.
        path: CString,
        /// Below the root of the sandbox.
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
        /// Which namespace it belongs to.
        of: Scope,
    },
    /// Takes hold of the lists of System V IPC, which show the namespace of who opened them.
    HoldIpc,
    /// Makes `/proc/sys` read-only.
    SealSettings,
    /// Makes `/proc` read-only.
    SealProc,
    /// Whoever is killed when the machine has no memory left is killed here first.
    BeExpendable,
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
    /// Takes hold of the writable layer of a sandbox that lasts, as it is without what will be mounted over it: no path leads to
    /// it later.
    HoldWritable {
        /// A directory of the scaffold.
        path: CString,
    },
    /// Gives the supervisor what it watches through: `/`, `/proc`, and the terminal if there is one; the namespaces of
    /// a sandbox that others will join, and its writable layer where that is held.
    ReportReady {
        /// `CLONE_NEW…` of each, in the order in which they are joined.
        namespaces: Vec<i32>,
    },
    /// setns(2) into the namespaces of a sandbox, one after another, the user namespace first: it gives the right to the
    /// others (setns(2)). Nobody inside can look at who comes: it is not dumpable before (CVE-2016-9962).
    JoinNamespaces {
        /// `CLONE_NEW…` of each descriptor that the supervisor acquired.
        kinds: Vec<i32>,
    },
    /// setns(2) into the user namespace that a sandbox with a range has for what runs in it.
    JoinUsers,
    /// Gives the supervisor the user namespace of the range, for those who will join it.
    ReportUsers,
    /// Enters the sandbox's cgroup, where the clone has not.
    EnterCgroup,
    /// Clones the leader of a command that joins, inside, and leaves: the namespaces of pids takes in only children. The leader
    /// becomes the parent of whatever the command leaves behind, and a child of the supervisor.
    Lead,
    /// Lets the payload go on inside the root.
    OfferRoot,
    /// Waits until the publisher is in the sandbox's namespace of users, where it counts as a process.
    AwaitPublisher,
    /// Lets the payload execute.
    ReleasePayload,
    /// unshare(2) of the network.
    NewNetwork,
    /// Brings `lo` up.
    LoopbackUp,
    /// Makes the tun device `eth0`, with this number.
    OpenTun {
        /// The number.
        index: u32,
    },
    /// Opens a packet socket on the interface of this number, the end of a pair that is not the sandbox's.
    OpenPacketSocket {
        /// The number.
        index: u32,
    },
    /// One request to the kernel about interfaces, addresses and routes (rtnetlink(7)).
    Netlink {
        /// What it asks for.
        what: &'static str,
        /// The request.
        message: Vec<u8>,
    },
    /// unshare(2) of the network once more, for the end of a pair that is not the sandbox's; the sandbox's network is kept hold of.
    NewPeerNetwork,
    /// Makes a veth pair, of which the other end is in the sandbox's network.
    MakePair {
        /// The request; the descriptor of that network goes into its last four bytes.
        message: Vec<u8>,
    },
    /// setns(2) to the sandbox's network.
    ReturnToNetwork,
    /// Gives the supervisor the device that packets leave the sandbox through.
    HandDevice,
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
    /// Opens a terminal of the sandbox's own, takes it as controlling terminal and as descriptors 0, 1, 2, and gives the
    /// supervisor its other side.
    NewTerminal,
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
    /// Takes all capabilities out of the ambient set, and all but some out of the bounding set: what a program gains
    /// that the user 0 executes.
    DropBounding {
        /// Number of the kernel's last capability.
        last: u8,
        /// These stay.
        keep: Capabilities,
    },
    /// Becomes the user who may read what is mounted, with all capabilities, and as open to looks as before.
    BecomeMounter {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// Becomes the payload's user.
    BecomeUser {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// Empties the effective and permitted sets, but for some, and the inheritable one.
    ClearCapabilities {
        /// These stay. They survive execve(2) where the user is 0 and the bounding set has them too.
        keep: Capabilities,
    },
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
    /// Ends without having executed anything: the sandbox waits for what will join it.
    Leave,
}

/// A descriptor that the supervisor acquires after planning and the child inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The file given to `code`.
    Code,
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

/// The namespace of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That of users.
    Users,
    /// That of the network, once pid 1 is in it.
    Network,
}

/// Attributes of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read-only with everything mounted below it.
    ReadOnly,
    /// Writable; still without set-user-id and devices.
    ReadWrite,
    /// Of the sandbox itself, with the attributes that it has already.
    Again,
}

/// A C string of bytes that `check` has found free of NUL.
pub fn c_string(bytes: impl Into<Vec<u8>>) -> CString {
    let mut bytes = bytes.into();
    bytes.retain(|byte| *byte != 0);
    // Cannot fail: there is no NUL left.
    CString::new(bytes).unwrap_or_default()
}

impl Access {
    /// `ro` or `rw`.
    pub fn name(self) -> &'static str {
        match self {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
            Access::Again => "again",
        }
    }
}
