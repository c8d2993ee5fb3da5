//! The network that these tests have to themselves: `world.py`, started once for each test program. Sandboxes are started in its first
//! namespace, as if it were the host's. As an ordinary user it is in a user namespace where that user is nobody else, and has no privileges.

use super::common::sandboxes::Sandboxes;
use super::common::{self, Run, Scratch, fixtures, is_root, result};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// What sandboxes run before the code of a test.
const INSIDE: &str = include_str!("inside.py");

/// Every public address there.
pub const ALL: &[&str] = &["--allow", "192.52.193.0/24", "--allow", "2620:4f:8000:2::/64"];

/// A network.
struct World {
    directory: PathBuf,
    /// Ends when its standard input does, which is when we do; it then removes the directory.
    child: Child,
}

static WORLD: LazyLock<World> = LazyLock::new(start);

fn start() -> World {
    let scratch = Scratch::new("network");
    let directory = scratch.0.clone();
    // What is left when we end is removed by the other side.
    std::mem::forget(scratch);
    std::fs::create_dir(directory.join("files")).expect("make a directory");
    let script = fixtures().parent().expect("a directory of tests").join("network/world.py");
    let mut command = Command::new("unshare");
    command.args(if is_root() { &[][..] } else { &["--user", "--map-current-user", "--keep-caps"] });
    command.args(["--net", "--mount", "python3"]).arg(script).arg(&directory);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start unshare");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("read its output");
    assert_eq!(line, "ready\n", "the network of the tests could not be made");
    World { directory, child }
}

/// Lets a command run there.
pub fn enter(command: &Command) -> Command {
    let mut inside = Command::new("nsenter");
    inside.arg(format!("--target={}", WORLD.child.id())).args(["--net", "--mount"]);
    inside.args(if is_root() { &[][..] } else { &["--user", "--preserve-credentials"] });
    inside.arg("--").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// A program of the host, run there: what it says.
pub fn host(program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words);
    let run = Run::from(enter(&command).output().expect("start nsenter"));
    run.stdout
}

/// A call of the binary there.
pub fn command(words: &[&str]) -> Command {
    enter(&common::command(words))
}

/// The same of the binary that users get, whose speed and memory are meant.
pub fn released_command(words: &[&str]) -> Command {
    let debug = common::command(words);
    let mut command = Command::new(common::released());
    command.args(debug.get_args()).envs(debug.get_envs().filter_map(|(name, value)| Some((name, value?))));
    enter(&command)
}

/// Calls the binary there.
pub fn call(words: &[&str]) -> Run {
    command(words).output().expect("start nsenter").into()
}

/// `belljar run --json OPTIONS -- sh -c SCRIPT` there: its result.
pub fn shell(options: &[&str], script: &str) -> Value {
    result(&call(&[&["run", "--json", "--timeout", "60s"], options, &["--", "sh", "-c", script]].concat()))
}

/// The code of a test with what stands before it.
pub fn code(code: &str) -> String {
    format!("{INSIDE}\n{code}")
}

/// A call that runs Python code there.
pub fn python_command(options: &[&str], text: &str) -> Command {
    let text = code(text);
    command(&[&["code", "python", "--json", "--timeout", "60s"], options, &["-e", &text]].concat())
}

/// Runs Python code in a sandbox there: its result.
pub fn python_result(options: &[&str], text: &str) -> Value {
    result(&python_command(options, text).output().expect("start nsenter").into())
}

/// The same: what it printed, which went well.
pub fn python(options: &[&str], text: &str) -> String {
    let result = python_result(options, text);
    assert_eq!(result["exit_code"], 0, "{result}");
    common::stdout(&result).to_owned()
}

/// Python expressions, each with what it must answer, in one sandbox.
pub fn answers(options: &[&str], calls: &[(&str, &str)]) {
    let text: String = calls.iter().map(|(call, _)| format!("print({call:?}, '=', {call})\n")).collect();
    let expected: String = calls.iter().map(|(call, answer)| format!("{call} = {answer}\n")).collect();
    assert_eq!(python(options, &text), expected);
}

/// What has arrived anywhere, in lines.
pub fn seen() -> String {
    std::fs::read_to_string(WORLD.directory.join("seen")).expect("read what was seen")
}

/// Whether a line has all of these words.
pub fn has_seen(words: &[&str]) -> bool {
    seen().lines().any(|line| words.iter().all(|word| line.contains(word)))
}

/// Where the network keeps its own files.
pub fn directory() -> &'static Path {
    &WORLD.directory
}

/// Files that `http://ANY/files/` shows.
pub fn files() -> PathBuf {
    WORLD.directory.join("files")
}

/// Whether a tun device can be had; else the sandboxes of these tests have a veth pair.
pub fn has_tun() -> bool {
    nix::unistd::access("/dev/net/tun", nix::unistd::AccessFlags::R_OK | nix::unistd::AccessFlags::W_OK).is_ok()
}

/// The packet process and the dialer of a sandbox, whose supervisor has this process id.
pub fn servers(supervisor: Pid) -> Vec<Pid> {
    let children =
        std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).expect("read its children");
    let command_line = |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let own = command_line(&supervisor.to_string());
    let found = children.split_whitespace().filter(|pid| command_line(pid) == own);
    found.map(|pid| Pid::from_raw(pid.parse().expect("a number"))).collect()
}

/// Persistent sandboxes there.
pub struct Kept(Sandboxes);

impl Kept {
    /// None yet.
    pub fn new(name: &str) -> Kept {
        Kept(Sandboxes::new(name))
    }

    /// A call of the binary that works on them.
    pub fn command(&self, words: &[&str]) -> Command {
        enter(&self.0.command(words))
    }

    /// Calls the binary.
    pub fn call(&self, words: &[&str]) -> Run {
        self.command(words).output().expect("start nsenter").into()
    }

    /// Calls the binary, which must succeed; what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let run = self.call(words);
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        run.stdout
    }

    /// Runs Python code in one: what it printed, which went well.
    pub fn python(&self, name: &str, text: &str) -> String {
        self.done(&["exec", name, "--", "python3", "-c", &code(text)])
    }

    /// What its log says, as objects.
    pub fn log(&self, name: &str) -> Vec<Value> {
        let told: Value = serde_json::from_str(&self.done(&["net", "log", "--json", name])).expect("an object");
        told["events"].as_array().expect("a list").clone()
    }
}
