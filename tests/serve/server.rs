//! A server of the test's own, at a port that was free.

use crate::common::sandboxes::Sandboxes;
use crate::common::{available, eventually, languages};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A server and its sandboxes; both are gone with the value.
pub struct Server {
    process: Child,
    pub sandboxes: Sandboxes,
    pub port: u16,
    pub token: String,
    /// What it said when it had begun.
    pub said: String,
}

impl Server {
    /// Starts one.
    pub fn new(name: &str) -> Server {
        Server::with(name, &[])
    }

    /// The same with options.
    pub fn with(name: &str, options: &[&str]) -> Server {
        Server::over(Sandboxes::new(name), options)
    }

    /// Another one over sandboxes that are there.
    pub fn over(sandboxes: Sandboxes, options: &[&str]) -> Server {
        let words = [&["serve", "--listen", "127.0.0.1:0"][..], options].concat();
        let mut process = sandboxes.command(&words).stdout(Stdio::piped()).spawn().expect("start belljar");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut said = String::new();
        let last = match options {
            _ if options.contains(&"--ui") => "/ui/#",
            _ if options.contains(&"--tls-self-signed") => "SSL_CERT_FILE",
            _ => "DAYTONA_API_KEY",
        };
        while !said.contains(last) {
            assert_ne!(lines.read_line(&mut said).expect("read"), 0, "it ended: {said}");
        }
        let port = said.lines().next().and_then(|line| line.rsplit(':').next()).and_then(|port| port.parse().ok());
        let token = std::fs::read_to_string(sandboxes.home().join("serve-token")).expect("the token");
        let (port, token) = (port.expect("a port"), token.trim().to_owned());
        Server { process, sandboxes, port, token, said }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it, and leaves its sandboxes.
    pub fn kill(mut self) -> Sandboxes {
        self.process.kill().expect("kill it");
        self.process.wait().expect("its end");
        std::mem::replace(&mut self.sandboxes, Sandboxes::new("nothing"))
    }

    /// The process, for whoever wants to end it in the middle.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// Says these bytes and goes, whatever was promised.
    pub fn say(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.write_all(bytes).expect("say it");
    }

    /// What is answered to these bytes, until the server closes; `Connection: close` is the caller's to say.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set a time");
        // It may have closed before all was said.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks with these headers, each with its end; the status and the body.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let host = if headers.to_ascii_lowercase().contains("host:") {
            String::new()
        } else {
            format!("Host: 127.0.0.1:{}\r\n", self.port)
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let answer = self.raw(request.as_bytes());
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer to {method} {path}: {answer:?}"));
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// The same with the token.
    pub fn asked(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask(method, path, &format!("Authorization: Bearer {}\r\n", self.token), body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed already, where a test did that.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a part of a script with an official client, at the address of a server of its own, in whose sandboxes nothing is left.
pub fn walk(client: &str, script: &str, part: &str, variables: impl Fn(&Server) -> Vec<(&'static str, String)>) {
    walk_at(client, script, part, &[], variables);
}

/// Where a client's packages are; nothing where they are not, which is a failure where everything must work.
pub fn packages(client: &str) -> Option<PathBuf> {
    let clients =
        std::env::var_os("BELLJAR_CLIENTS").map_or_else(|| "/var/lib/belljar-test-clients".into(), PathBuf::from);
    let packages = clients.join(client);
    available("the official clients: `tests/clients` installs them", packages.exists()).then_some(packages)
}

/// A part of a script, which finds these packages.
pub fn program(script: &str, part: &str, packages: &Path) -> Command {
    let script = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
        .join("tests/serve")
        .join(script);
    let is_node = script.extension().is_some_and(|end| end == "mjs");
    let (program, found_by) = if is_node { ("/usr/bin/node", "CLIENT") } else { ("/usr/bin/python3", "PYTHONPATH") };
    let mut command = Command::new("timeout");
    command
        .args(["300".as_ref(), program.as_ref(), script.as_os_str(), part.as_ref()])
        .env(found_by, packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// That a script has come to its end.
pub fn is_well(told: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        told.status.success() && text(&told.stdout).ends_with("ok\n"),
        "{}\n{}\n{}",
        told.status,
        text(&told.stdout),
        text(&told.stderr)
    );
}

/// The same with a server of these options.
pub fn walk_at(
    client: &str,
    script: &str,
    part: &str,
    options: &[&str],
    variables: impl Fn(&Server) -> Vec<(&'static str, String)>,
) {
    let Some(packages) = packages(client) else { return };
    let server = Server::with(&format!("{client}-{part}"), options);
    walk_in(&server, &packages, (script, part), variables);
}

/// The same at a server whose sandboxes can be of an image of a recipe.
pub fn walk_with_image(
    image: &str,
    client: &str,
    script: &str,
    part: &str,
    variables: impl Fn(&Server) -> Vec<(&'static str, String)>,
) {
    let (Some(packages), Some(archive)) = (packages(client), languages::archive(image)) else { return };
    let server = Server::new(&format!("{client}-{part}"));
    server.sandboxes.done(&["image", "load", archive.to_str().expect("a path of text")]);
    walk_in(&server, &packages, (script, part), variables);
}

fn walk_in(
    server: &Server,
    packages: &Path,
    (script, part): (&str, &str),
    variables: impl Fn(&Server) -> Vec<(&'static str, String)>,
) {
    let mut program = program(script, part, packages);
    // Clients look for a file of settings where they are.
    program.current_dir(&server.sandboxes.0.0).envs(variables(server));
    is_well(&program.output().expect("start the script"));
    // What the script made it also removed, the last of it perhaps in this moment.
    let left = || -> Value { serde_json::from_str(&server.sandboxes.done(&["ls", "--json"])).expect("an object") };
    assert!(eventually(10, || left()["sandboxes"] == serde_json::json!([])), "{}", left());
}
