//! The reference registry (Debian's `docker-registry`) on a free port of loopback, its storage in a directory of the
//! test's.

use super::images::{Image, Part};
use crate::common::{Scratch, installed};
use belljar::images::Digest;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use ureq::Agent;

/// A registry that ends with the value.
pub struct Registry {
    /// Where it listens.
    pub port: u16,
    /// Who may push to it.
    login: Option<(String, String)>,
    scratch: Scratch,
    child: Child,
}

impl Registry {
    /// An open one; `None`: not here, which was said.
    pub fn open() -> Option<Registry> {
        Registry::start(None, &[])
    }

    /// One that lets a user in with a password, and nobody else.
    pub fn closed(user: &str, password: &str) -> Option<Registry> {
        if !installed("htpasswd") {
            return None;
        }
        Registry::start(Some((user.to_owned(), password.to_owned())), &[])
    }

    /// One with more settings.
    pub fn start(login: Option<(String, String)>, settings: &[(&str, &str)]) -> Option<Registry> {
        if !installed("docker-registry") {
            return None;
        }
        let scratch = Scratch::new("registry");
        let storage = scratch.0.join("storage");
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
            storage.display()
        );
        // It ends with the test, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(scratch.file("config.yml", config));
        if let Some((user, password)) = &login {
            let made = Command::new("htpasswd").args(["-Bbn", user, password]).output().expect("start htpasswd");
            command.env("REGISTRY_AUTH", "htpasswd").env("REGISTRY_AUTH_HTPASSWD_REALM", "test");
            command.env("REGISTRY_AUTH_HTPASSWD_PATH", scratch.file("htpasswd", made.stdout));
        }
        command.envs(settings.iter().copied());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("start docker-registry");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        });
        // It would wait for a reader of its log, and end without one.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Registry { port: port.expect("the port of docker-registry"), login, scratch, child })
    }

    /// Its name, as the host of images.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts an image there, by a tag.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        for part in image.layers.iter().chain([&image.config]) {
            self.push_blob(repository, part);
        }
        self.push_manifest(repository, tag, &image.manifest);
    }

    /// Puts a manifest or an index there.
    pub fn push_manifest(&self, repository: &str, word: &str, part: &Part) {
        let url = format!("http://{}/v2/{repository}/manifests/{word}", self.host());
        let put = agent().put(url).header("Content-Type", &*part.media_type);
        assert_eq!(self.allowed(put).send(&part.bytes[..]).expect("put a manifest").status(), 201);
    }

    fn push_blob(&self, repository: &str, part: &Part) {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.host());
        let begun = self.allowed(agent().post(url)).send_empty().expect("begin an upload");
        let place = begun.headers().get("Location").expect("a place to upload to").to_str().expect("text");
        let place = place.parse::<ureq::http::Uri>().expect("an address");
        let query = place.query().unwrap_or_default();
        let url = format!("http://{}{}?{query}&digest={}", self.host(), place.path(), part.digest());
        let put = agent().put(url).header("Content-Type", "application/octet-stream");
        assert_eq!(self.allowed(put).send(&part.bytes[..]).expect("put a blob").status(), 201);
    }

    fn allowed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        use base64::Engine as _;
        let Some((user, password)) = &self.login else { return request };
        let word = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        request.header("Authorization", format!("Basic {word}"))
    }

    /// Where it keeps a blob.
    pub fn stored(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.scratch.0.join("storage/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(&hex).join("data")
    }
}

fn agent() -> Agent {
    Agent::config_builder().proxy(None).build().new_agent()
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours, and not waited for by anybody else.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
