//! The options of a sandbox and of its command, which several verbs take. Each is a field of a spec file.

use super::parameters::Take;
use super::words::{Count, Cpus, Deadline, Ids, OutputLimit, Size, Time, Word, many, pairs};
use crate::error::Problem;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

/// For the help of verbs that run a command.
pub const EXIT_CODES: &str = "Exit codes:
  the command's own
  124    the deadline passed
  125    belljar failed: a bad request, a host that cannot, a kernel that refused
  126    the command cannot be executed
  127    there is no such command
  128+n  signal n killed the command
--json and --status-fd tell 124 to 127 of belljar's own from the command's.";

/// The options of a command with a sandbox of its own.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Options {
    /// Those of the sandbox.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub sandbox: SandboxOptions,
    /// Those of its command.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub own: OwnOptions,
}

/// What belongs to one command rather than to its sandbox.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnOptions {
    /// Output per stream, in bytes or with K, M, G; `SIZE:kill` ends the command [default: 10M when captured]
    ///
    /// What is beyond is read and dropped, and the result says so; the command goes on. With `:kill` it ends
    /// (status output_limit, exit code 137). Default: 10M for output captured by --json, none for live output.
    #[arg(long, value_name = "SIZE[:kill]", help_heading = LIMITS, allow_hyphen_values = true)]
    pub output_limit: Option<OutputLimit>,
    /// Read standard input from a file [default: the caller's standard input]
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub stdin: Option<Word>,
    /// Give the command a terminal of its own [default: off]
    #[arg(long, help_heading = IO)]
    #[serde(default)]
    pub tty: bool,
    /// Print what would be done, step by step, and do nothing [default: off]
    #[arg(long, help_heading = IO)]
    #[serde(default)]
    pub dry_run: bool,
}

/// The options of a sandbox; each is a field of a spec file.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SandboxOptions {
    /// Memory of all processes together, in bytes or with K, M, G [default: 1G]
    ///
    /// A number of bytes, or a number with K, M, G or T, which count in 1024s. What passes the limit is killed
    /// (status out_of_memory, exit code 137). Default: 1G.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub memory: Option<Size>,
    /// CPU rate, in CPUs [default: 1]
    ///
    /// A decimal to thousandths, as in 0.5 or 2. The command is slowed down, not killed. Default: 1.
    #[arg(long, value_name = "N", help_heading = LIMITS, allow_hyphen_values = true)]
    pub cpus: Option<Cpus>,
    /// Number of processes and threads [default: 256]
    ///
    /// Beyond it, fork fails with EAGAIN. Default: 256.
    #[arg(long, value_name = "N", help_heading = LIMITS, allow_hyphen_values = true)]
    pub pids: Option<Count>,
    /// Size of the writable layer, in bytes or with K, M, G [default: 2G]
    ///
    /// /tmp and /dev/shm lie in it. Beyond it, writing fails with ENOSPC. Default: 2G.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub disk: Option<Size>,
    /// Bytes a second to read from each disk, and to write, with K, M, G [default: none]
    ///
    /// For the disks that hold what is shown inside. Needs a cgroup with the io controller, which the administrator
    /// has to delegate. Default: no limit.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub disk_bandwidth: Option<Size>,
    /// Wall clock, in seconds or with h, m, s, ms; or `none` [default: 5m]
    ///
    /// As in 30s, 2.5s or 1h30m; a plain number counts seconds. When it has passed, everything inside is killed
    /// (status timed_out, exit code 124). `none` lifts the deadline. Default: 5m.
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub timeout: Option<Deadline>,
    /// CPU time of all processes together, in seconds or with h, m, s, ms [default: none]
    ///
    /// When it is used up, everything inside is killed (status cpu_time_exceeded, exit code 137). Default: bounded
    /// by the deadline only.
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub cpu_time: Option<Time>,

    /// Cgroup to make the sandbox's cgroup in, or `none` [default: wherever one can be had]
    ///
    /// A path as /proc/self/cgroup shows it. Default: BELLJAR_CGROUP_PARENT, else the delegated cgroup that belljar
    /// runs in, else a scope of the user's systemd, else none, and limits are enforced by other mechanisms.
    #[arg(long, value_name = "CGROUP", help_heading = LIMITS)]
    pub cgroup_parent: Option<Word>,

    /// Root file system: an image, or `host` [default: host; for code the image of its language, if there is one]
    ///
    /// `host` is the machine's own /usr, read-only. `belljar image ls` lists the images. For `code`, `python`, `node` and
    /// `shell` are the images of its languages.
    #[arg(long, value_name = "NAME", help_heading = FILES)]
    pub image: Option<Word>,
    /// Show a host path inside, read-only unless `:rw` (repeatable) [default: none]
    ///
    /// Mounted in the order given. A relative SRC counts from the current directory. Default: nothing is shown.
    #[arg(long, value_name = "SRC:DST[:rw]", help_heading = FILES)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub mount: Vec<Word>,
    /// Show a volume inside, or a directory in it, writable unless `:ro` (repeatable) [default: none]
    ///
    /// `belljar volume create` makes one. A directory that is missing in it is made. Default: none is shown.
    #[arg(long, value_name = "NAME[/SUB]:DST[:ro]", help_heading = FILES)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub volume: Vec<Word>,
    /// Working directory inside, absolute [default: the home directory]
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub workdir: Option<Word>,

    /// Network: `none`, `only`, `open`, `host`, or a policy file [default: none]
    ///
    /// `none` is a loopback of its own and nothing else. `only` reaches what --allow names. `open` reaches everything but
    /// the host, its private networks and metadata services. `host` is the host's network, not isolated at all. A word with a slash, or one that ends in
    /// .toml, is a file with a policy. Default: none, or `only` where --allow
    /// is given.
    #[arg(long, value_name = "MODE|FILE", help_heading = NETWORK)]
    pub net: Option<Word>,
    /// Reach this and nothing else; with `--net open`, this too (repeatable) [default: none]
    ///
    /// A name, an address or a range of addresses, each with or without a port: pypi.org:443, *.example.org, 10.0.0.0/8,
    /// 2001:db8::/32, udp://192.0.2.1:53. host:8080 is a port of this machine. @python, @node, @debian, @git and
    /// others are sets for everyday use. Anything else is refused at once.
    #[arg(long, value_name = "TARGET", help_heading = NETWORK)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub allow: Vec<Word>,
    /// Never reach this, whatever --allow or --net say (repeatable) [default: none]
    #[arg(long, value_name = "TARGET", help_heading = NETWORK)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub deny: Vec<Word>,
    /// Bytes a second to send, and to receive, with K, M, G [default: no limit]
    #[arg(long, value_name = "SIZE", help_heading = NETWORK, allow_hyphen_values = true)]
    pub net_rate: Option<Size>,
    /// Connections at once [default: 2048]
    ///
    /// UDP flows count too. Beyond it, connections are refused.
    #[arg(long, value_name = "N", help_heading = NETWORK, allow_hyphen_values = true)]
    pub net_connections: Option<Count>,

    /// Reach a TCP port of the sandbox from the host (repeatable) [default: none]
    ///
    /// HOST is a port of this machine, and 0 any that is free, which the result tells. ADDR is 127.0.0.1 unless it is written out:
    /// any other address opens the port to other machines too. Works with every --net but `host`, and lets nothing out.
    #[arg(long, value_name = "[ADDR:]HOST:SANDBOX", help_heading = NETWORK)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub publish: Vec<Word>,

    /// Ids seen inside, as numbers [default: the image's, else the caller's own, or 0 with a range]
    ///
    /// Outside they are the caller's, unless there is a range of them. GID is the same number as UID when not given.
    #[arg(long, value_name = "UID[:GID]", help_heading = IDENTITY, allow_hyphen_values = true)]
    pub user: Option<Ids>,
    /// Ids that there are inside: one, or a range of them [default: single]
    ///
    /// `single` has one, which is the caller's outside. `range` has 65536: 0 is the caller's, all others are those that
    /// /etc/subuid and /etc/subgid give, by newuidmap(1). User 0 may then change owners and users, as package managers do.
    #[arg(long, value_name = "single|range", help_heading = IDENTITY)]
    pub userns: Option<Word>,
    /// Host name inside [default: belljar]
    #[arg(long, value_name = "NAME", help_heading = IDENTITY)]
    pub hostname: Option<Word>,
    /// Set a variable; `K` alone copies the caller's (repeatable) [default: none]
    ///
    /// The environment holds PATH, HOME, LANG, TERM, USER and what is set here; later ones win.
    #[arg(long, value_name = "K=V", help_heading = IDENTITY)]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    pub env: Vec<Word>,

    /// Read a spec file, TOML or JSON; flags win over it [default: none]
    ///
    /// The format goes by the ending, .toml or .json; `-` is standard input, where JSON begins with a brace.
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub spec: Option<Word>,

    /// System calls that answer: default, strict, debug, packages, or a file [default: default]
    ///
    /// A word with a slash, or one that ends in .json, names a file.
    #[arg(long, value_name = "PROFILE|FILE", help_heading = PROTECTIONS)]
    pub seccomp: Option<Word>,
    /// Insist on a protection; `=exact` on an exact limit (repeatable) [default: none]
    ///
    /// A protection that cannot be had is an error in any case; this also refuses approximate limits. Names:
    /// namespaces, capabilities, network, seccomp, landlock, proc, memory, cpu, cpu_time, pids, disk,
    /// disk_bandwidth, timeout.
    #[arg(long, value_name = "NAME[=exact]", help_heading = PROTECTIONS)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub require: Vec<Word>,
    /// Go on without a protection that this host lacks (repeatable) [default: none]
    ///
    /// What is missing shows in the result's `enforcement`. The names are those of --require.
    #[arg(long, value_name = "NAME", help_heading = PROTECTIONS)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub allow_missing: Vec<Word>,
}

/// A heading of the help.
pub const LIMITS: &str = "Limits";
/// A heading of the help.
pub const FILES: &str = "File system";
/// A heading of the help.
pub const NETWORK: &str = "Network";
/// A heading of the help.
pub const IDENTITY: &str = "Identity";
/// A heading of the help.
pub const IO: &str = "Input and output";
/// A heading of the help.
pub const PROTECTIONS: &str = "Protections";

impl Take for Options {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Options> {
        let (sandbox, own) = (SandboxOptions::take(given, problems), OwnOptions::take(given, problems));
        Some(Options { sandbox: sandbox?, own: own? })
    }

    fn names() -> Vec<&'static str> {
        [SandboxOptions::names(), OwnOptions::names()].concat()
    }
}
