//! What the caller wants: one sandbox, as plain data.
//!
//! `Spec` is the wish, never the fact: nothing here looks at the host. Every field has a safe default
//! ([`Spec::default`]); no field is ever "unlimited" unless the caller wrote so. Contradictions are
//! found by [`check`], all at once.
//!
//! What people write are the files of [`from_toml`] and [`from_json`]. What belljar adds to a wish to carry it out, and writes down of a
//! persistent sandbox, is an [`Order`].

mod bundle;
mod check;
mod fields;
mod load;
pub mod network;
mod order;
mod partial;
mod publish;
#[cfg(test)]
pub(crate) mod schema;
mod units;
mod words;

pub use bundle::{Bundle, ResourceLimit, Tmpfs};
pub use check::{check, check_network, check_order};
pub use fields::KEYS;
pub use load::{LoadError, MAX_FILE, from_json, from_toml, position};
pub use network::{DEFAULT_CONNECTIONS, MOST_CONNECTIONS, Policy, Rule};
pub use order::{Lasting, Order, Privileges, Runs, Warm};
pub use partial::{NetworkWish, PartialSpec};
pub use publish::{Publish, parse_listen, parse_publish};
pub use units::{
    UnitError, parse_bytes, parse_connections, parse_count, parse_cpus, parse_duration, parse_output_limit,
    parse_timeout, show_bytes, show_duration,
};
pub use words::{
    WordError, parse_cgroup_parent, parse_language, parse_mount, parse_network, parse_protection, parse_requirement,
    parse_seccomp, parse_target, parse_user, parse_userns, parse_volume, split_variable,
};

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// 1 GiB, see design 2.2.
pub const DEFAULT_MEMORY: u64 = 1 << 30;
/// 2 GiB for the writable layer.
pub const DEFAULT_DISK: u64 = 2 << 30;
/// Processes and threads of the payload.
pub const DEFAULT_PIDS: u32 = 256;
/// 1 CPU, in thousandths.
pub const DEFAULT_MILLICPUS: u32 = 1000;
/// Wall clock for `run` and `code`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// Captured output, per stream.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 10 << 20;

/// The address of a sandbox with a network: of the block for translators on a host (RFC 7335), which no other machine has.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
/// The address that stands for the host, where its resolver answers.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
/// The sandbox's IPv6 address: unique and local (RFC 4193).
pub const ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd62, 0x6a61, 0x7200, 0, 0, 0, 0, 2);
/// The IPv6 address that stands for the host.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd62, 0x6a61, 0x7200, 0, 0, 0, 0, 1);
/// The name that stands for the host.
pub const GATEWAY_NAME: &str = "host.belljar.internal";

/// Ids that a sandbox with a range has, from 0 on: what images of every distribution count on.
pub const RANGE: u32 = 65_536;

/// One sandbox and the one command that runs in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// What to run. Exactly one of a command or a piece of code.
    pub program: Program,
    /// The root file system: `host` or, in a later version, an image of the store.
    pub image: Option<String>,
    /// Bytes of memory of all processes together.
    pub memory: u64,
    /// CPU rate in thousandths of one CPU.
    pub millicpus: u32,
    /// Processes and threads of the payload; pid 1, which is ours, is not counted.
    pub pids: u32,
    /// Bytes of the writable layer (`/tmp` and `/dev/shm` lie in it).
    pub disk: u64,
    /// Bytes a second that the sandbox may read from each disk behind its files, and write to it. `None`: no limit.
    pub disk_bandwidth: Option<u64>,
    /// Wall clock, from the start of the set-up. `None`: no deadline, asked for by `none`.
    pub timeout: Option<Duration>,
    /// CPU time of all processes together. `None`: bounded by the deadline only.
    pub cpu_time: Option<Duration>,
    /// What happens to output beyond a number of bytes. `None`: the default, which caps captured output and
    /// lets live output through.
    pub output_limit: Option<OutputLimit>,
    /// What of the network is reachable.
    pub net: Network,
    /// What may be reached besides what `net` lets through.
    pub allow: Vec<Rule>,
    /// What may not be reached, whatever else says that it may.
    pub deny: Vec<Rule>,
    /// Bytes a second that may go out, and come in. `None`: no limit.
    pub net_rate: Option<u64>,
    /// Connections at once, UDP flows among them.
    pub net_connections: u32,
    /// Ports that are reached from the host. Nothing inside gets out by them.
    pub publish: Vec<Publish>,
    /// Host paths shown inside, in the order of mounting.
    pub mounts: Vec<Mount>,
    /// Variables added to the clean environment; later ones win.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory inside, absolute. `None`: the home directory.
    pub workdir: Option<PathBuf>,
    /// Ids seen inside. `None`: the image's, else the caller's own, or 0 where there is a range.
    pub user: Option<User>,
    /// Which ids there are inside.
    pub userns: Userns,
    /// Host name inside.
    pub hostname: String,
    /// Which system calls answer.
    pub seccomp: Seccomp,
    /// A file to read standard input from. `None`: the caller's standard input.
    pub stdin: Option<PathBuf>,
    /// Give the command a terminal of its own.
    pub tty: bool,
    /// Where to make the sandbox's cgroup. `None`: wherever one can be had.
    pub cgroup_parent: Option<CgroupParent>,
    /// Protections that must be enforced exactly.
    pub require: Vec<Requirement>,
    /// Protections that may be missing on this host; what is missing shows in the result.
    pub allow_missing: Vec<Protection>,
}

/// What runs: a command line, or a piece of code in one of the languages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Program {
    /// `belljar run -- COMMAND ARG…`; the first word is looked up in the sandbox's `PATH`.
    Command(Vec<OsString>),
    /// `belljar code LANG …`.
    Code(Code),
    /// Nothing: a persistent sandbox that waits for what is executed in it.
    Nothing,
}

/// A piece of code and its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// The interpreter.
    pub language: Language,
    /// Where the code comes from.
    pub source: Source,
    /// Arguments of the program (`sys.argv[1:]`, `process.argv.slice(2)`, `$1…`).
    pub args: Vec<OsString>,
}

/// An interpreter that `code` knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// `python3`.
    #[default]
    Python,
    /// `node`.
    Node,
    /// `sh`.
    Shell,
}

impl Language {
    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Node => "node",
            Language::Shell => "shell",
        }
    }
}

/// Where a piece of code comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// `-e CODE`.
    Text(OsString),
    /// `FILE`, copied in: the sandbox never gets the host's file.
    File(PathBuf),
    /// `-`: the interpreter reads its standard input.
    Stdin,
}

/// The cap on output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLimit {
    /// Bytes per stream.
    pub bytes: u64,
    /// `true`: end the command with status `output_limit`; `false`: drain, drop and mark as truncated.
    pub kill: bool,
}

/// What of the network is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// An own network namespace with nothing but its own loopback.
    None,
    /// The host's network namespace: no isolation of the network at all.
    Host,
    /// Everything but the host and its neighbourhood, unless `allow` names them; and nothing that `deny` names.
    Open,
    /// Nothing but what `allow` names, and of that nothing that `deny` names.
    Only,
}

impl Network {
    /// Whether a policy decides what is reached, so that there is a device, and somebody who serves it.
    pub fn has_policy(self) -> bool {
        match self {
            Network::None | Network::Host => false,
            Network::Open | Network::Only => true,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Network::None => "none",
            Network::Host => "host",
            Network::Open => "open",
            Network::Only => "only",
        }
    }
}

/// One host path shown inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// `:rw`; without it the mount is read-only, and everything mounted below it too.
    pub writable: bool,
    /// Of a volume its directory, above `source`: others write there, and no link on the way from it is followed. As long as nobody
    /// has looked for the volume, its name.
    #[serde(default)]
    pub beneath: Option<PathBuf>,
}

/// Ids seen inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id; the same number as the user id when not given.
    pub gid: u32,
}

/// Which ids there are inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Userns {
    /// One, which is the caller's outside. Works on every host that allows user namespaces.
    #[default]
    Single,
    /// [`RANGE`] of them: 0 is the caller, all others are subordinate ids of the caller, for programs that have several users
    /// and for those who install them. Takes a range that the administrator gave, and newuidmap(1).
    Range,
}

/// Which seccomp profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// `default`, `strict`, `debug` or `packages`.
    Builtin(String),
    /// A profile of the user's own, JSON, read by the adapter.
    Custom {
        /// Where it came from, for messages.
        path: PathBuf,
        /// Its text.
        json: Vec<u8>,
    },
}

/// Where the sandbox's cgroup goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupParent {
    /// Into none: limits are enforced without cgroups.
    Without,
    /// Below this cgroup: a path as `/proc/PID/cgroup` shows it.
    Below(PathBuf),
}

/// Something the sandbox promises, by the name it has in the result's `enforcement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protection {
    /// User, mount, pid, uts, ipc and cgroup namespaces, and what takes the place of one for keys.
    Namespaces,
    /// That the command has none, and that no program gives it any.
    Capabilities,
    /// The network mode asked for.
    Network,
    /// The system call filter.
    Seccomp,
    /// The second layer of file access control.
    Landlock,
    /// A fresh and masked `/proc`.
    Proc,
    /// The memory limit.
    Memory,
    /// The CPU rate.
    Cpu,
    /// The CPU time.
    CpuTime,
    /// The number of processes.
    Pids,
    /// The size of the writable layer.
    Disk,
    /// Reading from and writing to disks.
    DiskBandwidth,
    /// The wall clock.
    Timeout,
}

impl Protection {
    /// All of them, in the order of the result.
    pub const ALL: [Protection; 13] = [
        Protection::Namespaces,
        Protection::Capabilities,
        Protection::Network,
        Protection::Seccomp,
        Protection::Landlock,
        Protection::Proc,
        Protection::Memory,
        Protection::Cpu,
        Protection::CpuTime,
        Protection::Pids,
        Protection::Disk,
        Protection::DiskBandwidth,
        Protection::Timeout,
    ];

    /// The name used by flags and in the result.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Namespaces => "namespaces",
            Protection::Capabilities => "capabilities",
            Protection::Network => "network",
            Protection::Seccomp => "seccomp",
            Protection::Landlock => "landlock",
            Protection::Proc => "proc",
            Protection::Memory => "memory",
            Protection::Cpu => "cpu",
            Protection::CpuTime => "cpu_time",
            Protection::Pids => "pids",
            Protection::Disk => "disk",
            Protection::DiskBandwidth => "disk_bandwidth",
            Protection::Timeout => "timeout",
        }
    }

    /// The protection of that name.
    pub fn from_name(name: &str) -> Option<Protection> {
        Protection::ALL.into_iter().find(|protection| protection.name() == name)
    }
}

/// `--require NAME` or `--require NAME=exact`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What is required.
    pub protection: Protection,
    /// `true`: an approximate mechanism is not enough.
    pub exact: bool,
}

impl Spec {
    /// What may be reached, where it is a policy that says so.
    pub fn policy(&self) -> Option<Policy> {
        let open = match self.net {
            Network::None | Network::Host => return None,
            Network::Open => true,
            Network::Only => false,
        };
        let (allow, deny) = (self.allow.clone(), self.deny.clone());
        Some(Policy { open, allow, deny, rate: self.net_rate, flows: self.net_connections })
    }

    /// Bytes of what is written in memory: a file system larger than the memory limit would not be full, it would be the end of
    /// the sandbox. A quarter is left for those who write.
    pub fn layer(&self) -> u64 {
        self.disk.min(self.memory / 4 * 3)
    }
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            program: Program::Command(Vec::new()),
            image: None,
            memory: DEFAULT_MEMORY,
            millicpus: DEFAULT_MILLICPUS,
            pids: DEFAULT_PIDS,
            disk: DEFAULT_DISK,
            disk_bandwidth: None,
            timeout: Some(DEFAULT_TIMEOUT),
            cpu_time: None,
            output_limit: None,
            net: Network::None,
            allow: Vec::new(),
            deny: Vec::new(),
            net_rate: None,
            net_connections: DEFAULT_CONNECTIONS,
            publish: Vec::new(),
            mounts: Vec::new(),
            env: Vec::new(),
            workdir: None,
            user: None,
            userns: Userns::Single,
            hostname: "belljar".to_owned(),
            seccomp: Seccomp::Builtin("default".to_owned()),
            stdin: None,
            tty: false,
            cgroup_parent: None,
            require: Vec::new(),
            allow_missing: Vec::new(),
        }
    }
}
