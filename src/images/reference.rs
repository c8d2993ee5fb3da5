//! Names of images, as people and registries write them: `python`, `python:3.12`, `ghcr.io/a/b@sha256:…`.
//!
//! The grammar is that of the distribution specification (`[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`). A name without a
//! registry is one of this machine's own images, and when it is pulled one of Docker Hub, as everybody expects.

use super::digest::Digest;
use std::fmt;

/// What a name without a registry means where one is needed.
pub const DOCKER_HUB: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// The longest name of a file. A name of an image becomes one.
const LONGEST: usize = 255;
const LONGEST_TAG: usize = 128;

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `HOST[:PORT]`; `None` in names of this machine.
    pub registry: Option<String>,
    /// `library/python`.
    pub repository: String,
    /// `latest` where none is given. With a digest it only names.
    pub tag: String,
    /// Which image exactly.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Takes `word` apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn parse(word: &str) -> Result<Reference, String> {
        let shown = word.escape_debug();
        let (name, digest) = match word.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (word, None),
        };
        // A colon after the last slash begins a tag; one before it, a port.
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (name, DEFAULT_TAG),
        };
        if !is_tag(tag) {
            return Err(format!(
                "`{shown}`: a tag is up to {LONGEST_TAG} letters, digits, `_`, `.` and `-`, and begins with none of the last two"
            ));
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Some(first.to_owned()), rest),
            _ => (None, path),
        };
        if let Some(registry) = &registry
            && !is_host(registry)
        {
            return Err(format!("`{shown}`: `{}` is no host name and port", registry.escape_debug()));
        }
        if repository.is_empty() || !repository.split('/').all(is_component) {
            return Err(format!(
                "`{shown}`: a name is lower-case letters and digits, with single `.`, `_`, `-` and `/` between them"
            ));
        }
        if registry.is_none() && name.parse::<Digest>().is_ok() {
            return Err(format!("`{shown}`: a digest is no name"));
        }
        let reference = Reference { registry, repository: repository.to_owned(), tag: tag.to_owned(), digest };
        if reference.file_name().len() > LONGEST {
            return Err(format!("`{shown}`: longer than {LONGEST} bytes"));
        }
        Ok(reference)
    }

    /// The same where a registry is needed: Docker Hub is the default, and `python` is `library/python` there.
    pub fn remote(&self) -> Reference {
        let hub = self
            .registry
            .as_deref()
            .is_none_or(|registry| [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"].contains(&registry));
        if !hub {
            return self.clone();
        }
        let repository = if self.repository.contains('/') {
            self.repository.clone()
        } else {
            format!("library/{}", self.repository)
        };
        Reference { registry: Some(DOCKER_HUB.to_owned()), repository, ..self.clone() }
    }

    /// Name and tag, without a digest: what the store keeps.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}:{}", self.repository, self.tag),
            None => format!("{}:{}", self.repository, self.tag),
        }
    }

    /// Name and tag as the name of a file.
    pub fn file_name(&self) -> String {
        self.name().replace('/', "%2F")
    }

    /// The name behind a file of the store.
    pub fn from_file_name(file: &str) -> Option<Reference> {
        Reference::parse(&file.replace("%2F", "/")).ok()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A name with its tag, without the tag that goes without saying.
pub fn shortened(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}

/// The first component names a registry where it cannot be a user of Docker Hub.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(word: &str) -> bool {
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (word, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = |inner: &str| inner.parse::<std::net::Ipv6Addr>().is_ok();
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => address(inner),
        None => host.split('.').all(label),
    };
    host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    tag.len() <= LONGEST_TAG && tag.bytes().all(inner) && !tag.is_empty() && !tag.starts_with(['.', '-'])
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |word: &str| word.bytes().next().is_some_and(plain) && word.bytes().next_back().is_some_and(plain);
    let separated =
        |separators: &str| matches!(separators, "" | "." | "_" | "__") || separators.bytes().all(|byte| byte == b'-');
    ends(word)
        && word.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && word.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit()).all(separated)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_name_is_taken_apart_as_registries_do() {
        for (word, name, remote) in [
            ("python", "python:latest", "docker.io/library/python:latest"),
            ("python:3.12-slim", "python:3.12-slim", "docker.io/library/python:3.12-slim"),
            ("a/b", "a/b:latest", "docker.io/a/b:latest"),
            ("docker.io/python", "docker.io/python:latest", "docker.io/library/python:latest"),
            ("index.docker.io/a/b:1", "index.docker.io/a/b:1", "docker.io/a/b:1"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x/y:t", "localhost:5000/x/y:t", "localhost:5000/x/y:t"),
            ("[::1]:5000/x:t", "[::1]:5000/x:t", "[::1]:5000/x:t"),
            ("ghcr.io/a-b/c__d/e.f:V1", "ghcr.io/a-b/c__d/e.f:V1", "ghcr.io/a-b/c__d/e.f:V1"),
        ] {
            let reference = Reference::parse(word).unwrap();
            assert_eq!((reference.name(), reference.remote().name()), (name.to_owned(), remote.to_owned()), "{word}");
            assert_eq!(Reference::from_file_name(&reference.file_name()), Some(reference), "{word}");
        }
    }

    #[test]
    fn a_digest_says_which_image_exactly() {
        let word = format!("python:3@{DIGEST}");
        let reference = Reference::parse(&word).unwrap();
        assert_eq!((reference.digest, reference.to_string()), (Some(DIGEST.parse().unwrap()), word));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        for word in [
            "",
            ":",
            "a:",
            ":tag",
            "/a",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a..b",
            "-a",
            "a-",
            "A",
            "a/B",
            "a b",
            "a\n",
            "a:.t",
            "a:-t",
            "a:t/u:",
            "a@",
            "a@sha256:00",
            "a@sha512:00",
            "x.y:0/a",
            "x.y:65536/a",
            "-x.y/a",
            "[::g]:1/a",
            "ä",
            "a:ä",
            "a%2Fb",
            &long,
        ] {
            assert!(Reference::parse(word).is_err(), "{word:?} was taken");
        }
    }
}
