//! Definition of the command line, once: parsing, help, man pages and completions are derived from it.
//!
//! Every value is taken as it stands (`OsString`): clap decides about syntax only, and what the words mean is
//! read in [`verbs`], which reports all that is wrong at once instead of the first.

use super::run::Commanded;
use crate::verbs;
use clap::builder::Command;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "belljar",
    bin_name = "belljar",
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
    /// Run one command in a fresh sandbox that is destroyed afterwards
    Run(Commanded<verbs::run::Run>),
    /// Run a piece of code in a fresh sandbox that is destroyed afterwards
    Code(Commanded<verbs::code::Code>),
    /// Run a command in a persistent sandbox
    Exec(Commanded<verbs::exec::Exec>),
    /// What to do with sandboxes that are there.
    #[command(flatten)]
    Sandbox(verbs::sandbox::Sandbox),
    /// Images of sandboxes with what is in them
    Snapshot(Snapshot),
    /// Directories that several sandboxes share
    Volume(Volume),
    /// Interpreters that have imported what every run needs, copied into a fresh sandbox for each
    Warm(Warm),
    /// What sandboxes may reach, and what they did
    Net(Net),
    /// What to do with files on their way.
    #[command(flatten)]
    Copies(verbs::files::Copies),
    /// Shells, interpreters and commands that keep running in a sandbox between calls
    Session(Session),
    /// Terminals that keep running in a sandbox between calls
    Pty(Pty),
    /// Ask language servers in a sandbox about its code
    Lsp(Lsp),
    /// Open a port of this machine that leads to one in a sandbox
    Preview(verbs::Reported<verbs::preview::Preview>),
    /// Ports of a sandbox
    Port(Port),
    /// List, read, change and search the files of a sandbox
    Fs(Fs),
    /// Work with git repositories in a sandbox
    Git(Git),
    /// Answer requests of a program: JSON-RPC 2.0 over standard input and output
    Rpc(Rpc),
    /// Serve programs that were written for Daytona or E2B, over HTTP
    Serve(Serve),
    /// Give sandboxes to a model as tools (Model Context Protocol)
    Mcp(Mcp),
    /// Build, import, export, inspect and remove images.
    Image(Image),
    /// What to ask about the host.
    #[command(flatten)]
    Host(verbs::host::Host),
    /// Print completions for a shell.
    Completions(Completions),
    /// Write the man pages into a directory.
    Man(Man),
}

/// `belljar snapshot`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Snapshot {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::sandbox::Snapshot,
}

/// `belljar fs`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "All of it is done inside, by the sandbox's own rules. Also works on a kept sandbox that is stopped. \
Relative paths count from the sandbox's working directory."
)]
pub struct Fs {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::files::Fs,
}

/// `belljar git`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "All of it is done inside, by the git of the image. Names of files mean themselves, and count from the repository's directory, \
which `--path` names. Passwords are given for one call and are kept nowhere: docs/git.md tells how."
)]
pub struct Git {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    pub sandbox: verbs::words::Text,
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::git::Git,
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

/// `belljar warm`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`belljar code python --warm NAME -e CODE` runs code by a template. What runs of one template have in common is in docs/warm.md."
)]
pub struct Warm {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::warm::Warm,
}

/// `belljar net`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "A sandbox has a network where it was made with `--net only`, `--net open`, `--net FILE` or `--allow`."
)]
pub struct Net {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::net::Net,
}

/// `belljar session`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "A session is a shell, an interpreter (`belljar code --context`) or a single command (`belljar exec --detach`) that keeps running in a \
sandbox between calls. Its jobs run one after another, and what they have set stays."
)]
pub struct Session {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::session::Session,
}

/// `belljar pty`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`belljar session ls` lists terminals among the sessions, and `belljar session rm` ends them."
)]
pub struct Pty {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::pty::Pty,
}

/// `belljar lsp`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "A server is started when it is asked, and stopped when nobody asks for a while. Places are FILE:LINE:COLUMN, counted from 1. \
docs/language-servers.md tells more."
)]
pub struct Lsp {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    pub sandbox: verbs::words::Text,
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::lsp::Lsp,
}

/// `belljar port`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`belljar preview` opens one of them to this machine for a while, `--publish` of `run`, `code` and `create` for as long as the \
sandbox is there."
)]
pub struct Port {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::port::Port,
}

/// `belljar image`.
#[derive(Debug, Args)]
#[command(
    about = "Build, import, export, inspect and remove images",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Images are kept in $BELLJAR_HOME, else $XDG_DATA_HOME/belljar, else ~/.local/share/belljar. \
Only `pull` and `build` use the network."
)]
pub struct Image {
    /// What to do.
    #[command(subcommand)]
    pub verb: verbs::image::Image,
}

/// `belljar rpc`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(
    about = "Answer requests of a program: JSON-RPC 2.0 over standard input and output",
    after_help = "One object a line; every verb is a method, its options and words are parameters by name. `belljar schema rpc` prints all of \
them, and docs/rpc.md tells the protocol."
)]
pub struct Rpc {
    /// How many processes wait for requests, so that none has to be made for one: 0 to 16 [default: 2]
    #[arg(long, value_name = "N", value_parser = of_at_most::<{ super::rpc::MOST_AHEAD }>)]
    pub workers: Option<u8>,
    /// How many sandboxes are made before somebody asks for them, of the last kind that was asked for: 0 to 64 [default: 0]
    ///
    /// So many for `create`, and so many for `run` and `code`. Each takes up to 1 MB of memory, and a process id or three. They go with
    /// this process.
    #[arg(long, value_name = "N", value_parser = of_at_most::<{ super::rpc::MOST_READY }>)]
    pub ready: Option<u8>,
}

/// A number from 0 to `MOST`.
fn of_at_most<const MOST: u8>(word: &str) -> Result<u8, String> {
    let number = word.parse().ok().filter(|number| *number <= MOST);
    number.ok_or_else(|| format!("is not a number from 0 to {MOST}"))
}

/// `belljar serve`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    about = "Serve programs that were written for Daytona or E2B, over HTTP",
    after_help = "Stays in the foreground until Ctrl-C, and holds nothing: sandboxes are those of the command line, and outlive it. Prints what to \
set so that a program finds it."
)]
pub struct Serve {
    /// Where to listen [default: 127.0.0.1:3986]
    ///
    /// An address that is no loopback opens your sandboxes to everybody who has the token, and sends it in clear text without one of
    /// the options of TLS.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "unix")]
    pub listen: Option<OsString>,
    /// Listen at a socket of the file system instead, for you alone
    #[arg(long, value_name = "PATH")]
    pub unix: Option<OsString>,
    /// Speak TLS with the certificate in this file of PEM, which others that lead to its authority may follow
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "unix")]
    pub tls_cert: Option<OsString>,
    /// The file with the certificate's key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<OsString>,
    /// Speak TLS with a certificate of our own, kept in belljar's own directory; prints what makes clients trust it
    #[arg(long, conflicts_with_all = ["tls_cert", "unix"])]
    pub tls_self_signed: bool,
    /// The file with the token, made if it is not there [default: serve-token in belljar's own directory]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<OsString>,
    /// Another name that clients call it by (repeatable) [default: the loopback's]
    #[arg(long, value_name = "HOST")]
    pub name: Vec<String>,
    /// Show a page at /ui/: sandboxes and what they use, terminals, files, the network's log; prints its address with a key
    #[arg(long, conflicts_with = "unix")]
    pub ui: bool,
    /// The network of sandboxes whose maker says nothing about it: none or open [default: open]
    #[arg(long, value_name = "MODE", value_parser = ["none", "open"], default_value = "open", hide_default_value = true, hide_possible_values = true)]
    pub net: String,
    /// How many sandboxes are made before somebody asks for them, of the last kind that was asked for: 0 to 64 [default: 0]
    #[arg(long, value_name = "N", value_parser = of_at_most::<{ super::rpc::MOST_READY }>)]
    pub ready: Option<u8>,
}

/// `belljar mcp`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    about = "Give sandboxes to a model as tools, by the Model Context Protocol on standard input and output",
    after_help = "A program that speaks the protocol starts it. In its settings: command `belljar`, arguments `mcp` and the options here.\n\n\
Tools run code and commands, read, write, edit and search files, use git, and make more sandboxes. A sandbox is made at the first call, and goes when \
this process ends, however it ends. What the options say holds for all sandboxes that it makes, and no tool goes beyond it."
)]
pub struct Mcp {
    /// The image of sandboxes for which a tool names none [default: python where there is one, or this machine's own programs]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// What sandboxes may reach: none, only what --allow names, or open [default: none, with --allow: only]
    #[arg(long, value_name = "MODE", value_parser = ["none", "only", "open"], hide_possible_values = true)]
    pub net: Option<String>,
    /// A rule of what they may reach, as pypi.org or @python (repeatable)
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// The memory of each [default: 512M]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// The CPUs of each
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// The room for files of each
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<String>,
    /// A sandbox that is there, which tools may use and which stays (repeatable); the first is the one that they mean by default
    #[arg(long, value_name = "NAME")]
    pub sandbox: Vec<String>,
    /// How many sandboxes are made before somebody asks for them, of the last kind that was asked for: 0 to 64 [default: 0]
    #[arg(long, value_name = "N", value_parser = of_at_most::<{ super::rpc::MOST_READY }>)]
    pub ready: Option<u8>,
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

/// The whole command line, for help, man pages and completions.
pub fn whole() -> Command {
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "create" | "import" => without_deadline(command),
        _ => command,
    })
}

/// A persistent sandbox has no deadline unless one is asked for.
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
    // What the struct says of itself is for its readers.
    let about = verbs::method(name).map(|method| method.about.trim());
    let command = command.about(about).long_about(None);
    if name == "create" { without_deadline(command) } else { command }
}
