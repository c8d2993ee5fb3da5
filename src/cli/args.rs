//! The command line, defined once: parsing, help, man pages and completions all come from here.
//!
//! Every value is taken as it stands (`OsString`): clap decides about syntax only, and what the words mean is
//! read in [`lower`](super::lower), which reports all that is wrong at once instead of the first.

pub mod files;
pub mod image;
pub mod sandbox;
pub mod session;

use crate::verbs;
use clap::builder::Command;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "belljar",
    version,
    about = "Run code that nobody has read in a sandbox: no root, no daemon, no network",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`belljar COMMAND --help` tells more."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run one command in a fresh sandbox that is destroyed afterwards.
    Run(Run),
    /// Run a piece of code in a fresh sandbox that is destroyed afterwards.
    Code(Code),
    /// Make a sandbox that lasts, for `exec` and the like.
    Create(sandbox::Create),
    /// Run a command in a sandbox that lasts.
    Exec(sandbox::Exec),
    /// What to do with sandboxes that are there.
    #[command(flatten)]
    Sandbox(verbs::sandbox::Sandbox),
    /// Images of sandboxes with what is in them
    Snapshot(Snapshot),
    /// Make a sandbox from a file that `export` wrote
    Import(sandbox::Import),
    /// Directories that several sandboxes share
    Volume(Volume),
    /// Copy files and directories between the host and a sandbox
    Cp(files::Copy),
    /// Shells, interpreters and commands that go on in a sandbox between calls
    Session(session::Session),
    /// Terminals that go on in a sandbox between calls
    Pty(session::Pty),
    /// List, read, change and search the files of a sandbox
    Fs(files::Fs),
    /// Answer requests of a program: JSON-RPC 2.0 over standard input and output
    #[command(
        after_help = "One object a line; every verb is a method, its options and words are parameters by name. `belljar schema rpc` prints all of \
them, and docs/rpc.md tells the protocol."
    )]
    Rpc,
    /// Build, bring in, carry away and look after images.
    Image(image::Image),
    /// Say what this host can enforce, what is missing and how to get it.
    Doctor(Doctor),
    /// Print the JSON Schema of results, of spec files or of what doctor tells, or the methods of rpc.
    Schema(Schema),
    /// Print completions for a shell.
    Completions(Completions),
    /// Write the man pages into a directory.
    Man(Man),
}

/// `belljar run`.
#[derive(Debug, Args)]
#[command(
    about = "Run one command in a fresh sandbox that is destroyed afterwards",
    override_usage = "belljar run [OPTIONS] [--] COMMAND [ARG]...",
    after_help = EXIT_CODES
)]
pub struct Run {
    /// The options of a sandbox.
    #[command(flatten)]
    pub options: Options,
    /// Run the OCI bundle in DIR: its root file system, and what its config.json says [default: none]
    ///
    /// Options win over config.json. What it wants and belljar does not do is refused by its place in the file.
    #[arg(long, value_name = "DIR", conflicts_with = "image", help_heading = FILES)]
    pub bundle: Option<OsString>,
    /// The command and its arguments
    ///
    /// The command is looked up in the sandbox's PATH. Everything from it on is its own, options too.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, num_args = 0..)]
    pub words: Vec<OsString>,
}

/// `belljar code`.
#[derive(Debug, Args)]
#[command(
    about = "Run a piece of code in a fresh sandbox that is destroyed afterwards",
    override_usage = "belljar code LANG [OPTIONS] (-e CODE | FILE | -) [ARG]...",
    after_help = EXIT_CODES
)]
pub struct Code {
    /// The options of a sandbox.
    #[command(flatten)]
    pub options: Options,
    /// Run it in this sandbox that lasts, instead of a fresh one [default: none]
    #[arg(long, value_name = "NAME")]
    pub sandbox: Option<OsString>,
    /// In an interpreter of this id that stays in the sandbox, with all that it knows from call to call [default: none]
    #[arg(long, value_name = "ID", requires = "sandbox")]
    pub context: Option<String>,
    /// Save pictures and tables of a context as files in this directory, made if need be [default: they are named]
    #[arg(long, value_name = "DIR", requires = "context")]
    pub save: Option<OsString>,
    /// Code as text, instead of FILE
    #[arg(short = 'e', value_name = "CODE", allow_hyphen_values = true)]
    pub text: Option<OsString>,
    /// python, node or sh (also: python3, javascript, js, shell, bash)
    #[arg(value_name = "LANG")]
    pub language: Option<OsString>,
    /// The file of code, copied in, or `-` for standard input; then its arguments
    ///
    /// The sandbox gets a copy, never the host's file. Everything after FILE is the program's own, options too.
    /// With -e there is no FILE and these are the arguments.
    #[arg(value_name = "FILE", trailing_var_arg = true, num_args = 0..)]
    pub words: Vec<OsString>,
}

/// `belljar snapshot`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Snapshot {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::sandbox::Snapshot,
}

/// `belljar volume`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Sandboxes get a volume by `--volume NAME[/SUB]:DST[:ro]`. What they write stays when they are gone, and counts for no disk limit."
)]
pub struct Volume {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::volume::Volume,
}

/// `belljar doctor`.
#[derive(Debug, Args)]
#[command(about = "Say what this host can enforce, what is missing and how to get it")]
pub struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print an AppArmor profile that allows belljar its user namespace
    #[arg(long, conflicts_with = "json")]
    pub apparmor_profile: bool,
}

/// `belljar schema`.
#[derive(Debug, Args)]
#[command(about = "Print the JSON Schema of results, of spec files or of what doctor tells, or the methods of rpc")]
pub struct Schema {
    /// Which schema to print
    #[arg(value_parser = ["result", "spec", "doctor", "rpc"], default_value = "result")]
    pub of: String,
}

/// `belljar completions`.
#[derive(Debug, Args)]
#[command(about = "Print completions for a shell")]
pub struct Completions {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    pub shell: String,
}

/// `belljar man`.
#[derive(Debug, Args)]
#[command(about = "Write the man pages into a directory")]
pub struct Man {
    /// The directory; it must exist
    #[arg(value_name = "DIR")]
    pub dir: OsString,
}

const EXIT_CODES: &str = "Exit codes:
  the command's own
  124    the deadline passed
  125    belljar failed: a bad request, a host that cannot, a kernel that refused
  126    the command cannot be executed
  127    there is no such command
  128+n  signal n killed the command
--json and --status-fd tell 124 to 127 of belljar's own from the command's.";

/// The options of a command with a sandbox of its own.
#[derive(Debug, Args)]
pub struct Options {
    /// Those of the sandbox.
    #[command(flatten)]
    pub sandbox: SandboxOptions,
    /// Those of its command.
    #[command(flatten)]
    pub own: OwnOptions,
}

/// What belongs to one command rather than to its sandbox.
#[derive(Debug, Default, Args)]
pub struct OwnOptions {
    /// Output per stream, in bytes or with K, M, G; `SIZE:kill` ends the command [default: 10M when captured]
    ///
    /// What is beyond is read and dropped, and the result says so; the command goes on. With `:kill` it ends
    /// (status output_limit, exit code 137). Default: 10M for output captured by --json, none for live output.
    #[arg(long, value_name = "SIZE[:kill]", help_heading = LIMITS, allow_hyphen_values = true)]
    pub output_limit: Option<OsString>,
    /// Read standard input from a file [default: the caller's standard input]
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub stdin: Option<OsString>,
    /// Give the command a terminal of its own [default: off]
    #[arg(long, help_heading = IO)]
    pub tty: bool,
    /// Write the result without the output to a descriptor, as a number above 2 [default: none]
    #[arg(long, value_name = "N", help_heading = IO, allow_hyphen_values = true)]
    pub status_fd: Option<OsString>,
    /// Print what would be done, step by step, and do nothing [default: off]
    #[arg(long, help_heading = IO)]
    pub dry_run: bool,
}

/// The options of a sandbox; each is a field of a spec file, but for those that say how to report.
#[derive(Debug, Args)]
pub struct SandboxOptions {
    /// Memory of all processes together, in bytes or with K, M, G [default: 1G]
    ///
    /// A number of bytes, or a number with K, M, G or T, which count in 1024s. What passes the limit is killed
    /// (status out_of_memory, exit code 137). Default: 1G.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub memory: Option<OsString>,
    /// CPU rate, in CPUs [default: 1]
    ///
    /// A decimal to thousandths, as in 0.5 or 2. The command is slowed down, not killed. Default: 1.
    #[arg(long, value_name = "N", help_heading = LIMITS, allow_hyphen_values = true)]
    pub cpus: Option<OsString>,
    /// Number of processes and threads [default: 256]
    ///
    /// Beyond it, fork fails with EAGAIN. Default: 256.
    #[arg(long, value_name = "N", help_heading = LIMITS, allow_hyphen_values = true)]
    pub pids: Option<OsString>,
    /// Size of the writable layer, in bytes or with K, M, G [default: 2G]
    ///
    /// /tmp and /dev/shm lie in it. Beyond it, writing fails with ENOSPC. Default: 2G.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub disk: Option<OsString>,
    /// Bytes a second to read from each disk, and to write, with K, M, G [default: none]
    ///
    /// For the disks that hold what is shown inside. Needs a cgroup with the io controller, which the administrator
    /// has to delegate. Default: no limit.
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, allow_hyphen_values = true)]
    pub disk_bandwidth: Option<OsString>,
    /// Wall clock, in seconds or with h, m, s, ms; or `none` [default: 5m]
    ///
    /// As in 30s, 2.5s or 1h30m; a plain number counts seconds. When it has passed, everything inside is killed
    /// (status timed_out, exit code 124). `none` lifts the deadline. Default: 5m.
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub timeout: Option<OsString>,
    /// CPU time of all processes together, in seconds or with h, m, s, ms [default: none]
    ///
    /// When it is used up, everything inside is killed (status cpu_time_exceeded, exit code 137). Default: bounded
    /// by the deadline only.
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub cpu_time: Option<OsString>,

    /// Cgroup to make the sandbox's cgroup in, or `none` [default: wherever one can be had]
    ///
    /// A path as /proc/self/cgroup shows it. Default: BELLJAR_CGROUP_PARENT, else the delegated cgroup that belljar
    /// runs in, else a scope of the user's systemd, else none, and limits are enforced by other mechanisms.
    #[arg(long, value_name = "CGROUP", help_heading = LIMITS)]
    pub cgroup_parent: Option<OsString>,

    /// Root file system: an image, or `host` [default: host; for code the image of its language, if there is one]
    ///
    /// `host` is the machine's own /usr, read-only. `belljar image ls` lists the images. For `code`, `python`, `node` and
    /// `shell` are the images of its languages.
    #[arg(long, value_name = "NAME", help_heading = FILES)]
    pub image: Option<OsString>,
    /// Show a host path inside, read-only unless `:rw` (repeatable) [default: none]
    ///
    /// Mounted in the order given. A relative SRC counts from the current directory. Default: nothing is shown.
    #[arg(long, value_name = "SRC:DST[:rw]", help_heading = FILES)]
    pub mount: Vec<OsString>,
    /// Show a volume inside, or a directory in it, writable unless `:ro` (repeatable) [default: none]
    ///
    /// `belljar volume create` makes one. A directory that is missing in it is made. Default: none is shown.
    #[arg(long, value_name = "NAME[/SUB]:DST[:ro]", help_heading = FILES)]
    pub volume: Vec<OsString>,
    /// Working directory inside, absolute [default: the home directory]
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub workdir: Option<OsString>,

    /// Network: `none` or `host` [default: none]
    ///
    /// `none` is a loopback of its own and nothing else; `host` is the host's network, not isolated at all. Policies
    /// come with a later version. Default: none.
    #[arg(long, value_name = "none|host", help_heading = NETWORK)]
    pub net: Option<OsString>,
    /// Destination that a network policy lets through (repeatable; needs a policy) [default: none]
    #[arg(long, value_name = "TARGET", help_heading = NETWORK)]
    pub allow: Vec<OsString>,

    /// Ids seen inside, as numbers [default: the image's, else the caller's own, or 0 with a range]
    ///
    /// Outside they are the caller's, unless there is a range of them. GID is the same number as UID when not given.
    #[arg(long, value_name = "UID[:GID]", help_heading = IDENTITY, allow_hyphen_values = true)]
    pub user: Option<OsString>,
    /// Ids that there are inside: one, or a range of them [default: single]
    ///
    /// `single` has one, which is the caller's outside. `range` has 65536: 0 is the caller's, all others are those that
    /// /etc/subuid and /etc/subgid give, by newuidmap(1). User 0 may then change owners and users, as package managers do.
    #[arg(long, value_name = "single|range", help_heading = IDENTITY)]
    pub userns: Option<OsString>,
    /// Host name inside [default: belljar]
    #[arg(long, value_name = "NAME", help_heading = IDENTITY)]
    pub hostname: Option<OsString>,
    /// Set a variable; `K` alone copies the caller's (repeatable) [default: none]
    ///
    /// The environment holds PATH, HOME, LANG, TERM, USER and what is set here; later ones win.
    #[arg(long, value_name = "K=V", help_heading = IDENTITY)]
    pub env: Vec<OsString>,

    /// Read a spec file, TOML or JSON; flags win over it [default: none]
    ///
    /// The format goes by the ending, .toml or .json; `-` is standard input, where JSON begins with a brace.
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub spec: Option<OsString>,
    /// Print the result as one JSON object on stdout, the output in it [default: off]
    #[arg(long, help_heading = IO)]
    pub json: bool,

    /// System calls that answer: default, strict, debug, packages, or a file [default: default]
    ///
    /// A word with a slash, or one that ends in .json, names a file.
    #[arg(long, value_name = "PROFILE|FILE", help_heading = PROTECTIONS)]
    pub seccomp: Option<OsString>,
    /// Insist on a protection; `=exact` on an exact limit (repeatable) [default: none]
    ///
    /// A protection that cannot be had is an error in any case; this also refuses approximate limits. Names:
    /// namespaces, capabilities, network, seccomp, landlock, proc, memory, cpu, cpu_time, pids, disk,
    /// disk_bandwidth, timeout.
    #[arg(long, value_name = "NAME[=exact]", help_heading = PROTECTIONS)]
    pub require: Vec<OsString>,
    /// Go on without a protection that this host lacks (repeatable) [default: none]
    ///
    /// What is missing shows in the result's `enforcement`. The names are those of --require.
    #[arg(long, value_name = "NAME", help_heading = PROTECTIONS)]
    pub allow_missing: Vec<OsString>,
}

pub(super) const LIMITS: &str = "Limits";
pub(super) const FILES: &str = "File system";
const NETWORK: &str = "Network";
pub(super) const IDENTITY: &str = "Identity";
pub(super) const IO: &str = "Input and output";
const PROTECTIONS: &str = "Protections";

/// The whole command line, for help, man pages and completions.
pub fn whole() -> Command {
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "create" | "import" => without_deadline(command),
        _ => command,
    })
}

/// A sandbox that lasts has no deadline unless one is asked for.
fn without_deadline(command: Command) -> Command {
    command.mut_arg("timeout", |arg| {
        arg.help("Wall clock of the whole sandbox, in seconds or with h, m, s, ms; or `none` [default: none]").long_help(
            "Wall clock of the whole sandbox, in seconds or with h, m, s, ms; or `none` [default: none]\n\nAs in 30s, 2.5s or 1h30m; \
             a plain number counts seconds. When it has passed, everything inside is killed and the sandbox has ended.",
        )
    })
}

/// One subcommand alone. `run` is started thousands of times: what it does not need is not built.
pub fn alone<A: Args>(name: &'static str, usage_name: &'static str) -> Command {
    let command = A::augment_args(Command::new(name).bin_name(usage_name));
    if name == "create" { without_deadline(command) } else { command }
}
