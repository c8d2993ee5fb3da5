//! Other machines for the tests: `git daemon`, a web server with and without passwords, and sshd, all on the host's loopback.

use crate::common::{Scratch, eventually, fixtures};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What the sandbox calls the host.
pub const HOST: &str = "host.belljar.internal";
/// The password of the web server's user `ann`.
pub const PASSWORD: &str = "correct horse";

/// Something that serves, and ends with the value.
pub struct Server {
    child: Child,
    /// Where it listens on the host's loopback.
    pub port: u16,
}

impl Server {
    /// As `--allow` has it.
    pub fn target(&self) -> String {
        format!("host:{}", self.port)
    }

    /// As git has it.
    pub fn place(&self) -> String {
        format!("{HOST}:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // What has ended by itself is as good.
        let _ = nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(self.child.id() as i32),
            nix::sys::signal::Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

/// A directory with bare repositories, and whatever serves them.
pub struct Remotes(pub Scratch);

impl Remotes {
    /// One with the bare repository `x.git`, which has two commits on `main`, one on `side`, and a tag.
    pub fn new(name: &str) -> Remotes {
        let remotes = Remotes(Scratch::new(name));
        remotes.shell(
            "git init -q -b main work && cd work && echo one > one && git add . && git commit -qm first && git tag v1 && \
             git checkout -q -b side && echo side > side && git add . && git commit -qm side && git checkout -q main && \
             echo two > two && git add . && git commit -qm second && cd .. && git clone -q --bare work x.git && \
             git -C x.git config http.receivepack true && git -C work remote add origin ../x.git",
        );
        remotes
    }

    /// A shell on the host, in the directory; what it printed.
    pub fn shell(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        command.arg("-ec").arg(script).current_dir(&self.0.0).stdin(Stdio::null());
        command.env("HOME", &self.0.0).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Bob").env(format!("GIT_{role}_EMAIL"), "bob@example.org");
        }
        let output = command.output().expect("start sh");
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The commit of a branch of `x.git`.
    pub fn commit(&self, branch: &str) -> String {
        self.shell(&format!("git -C x.git rev-parse {branch}")).trim().to_owned()
    }

    /// Somebody else's commit on `main`, pushed.
    pub fn advance(&self, file: &str) -> String {
        self.shell(&format!(
            "cd work && git pull -q origin main && echo {file} > '{file}' && git add . && git commit -qm {file} && git push -q origin main"
        ));
        self.commit("main")
    }

    /// By HTTP.
    pub fn http(&self) -> Server {
        self.web(&[])
    }

    /// By HTTPS, with a certificate that nobody knows.
    pub fn https(&self) -> Server {
        self.web(&["tls"])
    }

    fn web(&self, more: &[&str]) -> Server {
        let script = fixtures().parent().expect("a directory of tests").join("git/server.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(&self.0.0).arg(self.log()).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = grouped(&mut command).spawn().expect("start python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("read its output");
        Server { child, port: line.trim().parse().expect("a port") }
    }

    /// What the web server was asked, and as whom.
    pub fn log(&self) -> PathBuf {
        self.0.0.join("log")
    }

    /// The same as text.
    pub fn asked(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Begins a new log.
    pub fn forget(&self) {
        std::fs::write(self.log(), "").expect("empty the log");
    }

    /// By git's own protocol.
    pub fn daemon(&self) -> Server {
        let port = free_port();
        let mut command = Command::new("git");
        command.args(["daemon", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", "--reuseaddr"]);
        command.arg(format!("--port={port}")).arg(format!("--base-path={}", self.0.0.display())).arg(&self.0.0);
        let child = grouped(&mut command).stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("start git daemon");
        await_port(port);
        Server { child, port }
    }

    /// By ssh, for who has the key `key`; the user's shell is sh whatever the host's list of users says.
    pub fn sshd(&self) -> Server {
        let port = free_port();
        self.shell("ssh-keygen -qt ed25519 -N '' -f key && ssh-keygen -qt ed25519 -N '' -f host && cp key.pub authorized && chmod 600 authorized");
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).expect("ask for us").expect("a user");
        let row = format!("{}:x:{}:{}::{}:/bin/sh\n", user.name, user.uid, user.gid, self.0.0.display());
        self.0.file("passwd", row);
        let place = |name: &str| self.0.0.join(name).display().to_string();
        let settings = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n\
             KbdInteractiveAuthentication no\nListenAddress 127.0.0.1:{port}\n",
            place("host"),
            place("authorized")
        );
        let settings = self.0.file("sshd_config", settings);
        let script = format!(
            "mount --bind {} /etc/passwd && exec /usr/sbin/sshd -D -e -f {}",
            place("passwd"),
            settings.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", &script]);
        let log = std::fs::File::create(self.0.0.join("sshd.log")).expect("make a log");
        let child = grouped(&mut command).stdin(Stdio::null()).stderr(log).spawn().expect("start unshare");
        await_port(port);
        Server { child, port }
    }

    /// The user that sshd lets in.
    pub fn user() -> String {
        nix::unistd::User::from_uid(nix::unistd::getuid()).expect("ask for us").expect("a user").name
    }

    /// An agent with that key; where it listens.
    pub fn agent(&self) -> (Server, PathBuf) {
        let socket = self.0.0.join("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let child = grouped(&mut command).spawn().expect("start ssh-agent");
        assert!(eventually(5, || socket.exists()), "the agent does not listen");
        self.shell(&format!("SSH_AUTH_SOCK={} ssh-add -q key", socket.display()));
        (Server { child, port: 0 }, socket)
    }
}

fn grouped(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("listen").local_addr().expect("an address").port()
}

fn await_port(port: u16) {
    assert!(eventually(10, || TcpStream::connect(("127.0.0.1", port)).is_ok()), "nobody listens on {port}");
}
