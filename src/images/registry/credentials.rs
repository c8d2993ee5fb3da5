//! Who we are to a registry: what Docker and Podman keep after `login`, in their files or in a helper's hands.
//!
//! Files are read and never written. A helper is a program of the user's (`docker-credential-NAME` in the `PATH`), which
//! is told the registry's name and nothing else. Secrets are never shown: these types have no `Debug`.

use crate::error::{Error, Problem, describe_io};
use crate::images::reference::DOCKER_HUB;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The largest file that is read.
const LARGEST: u64 = 1 << 20;
/// What helpers know Docker Hub by.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
/// The user that helpers give with an identity token.
const TOKEN_USER: &str = "<token>";
/// What a helper says where it knows nobody; in these words, because that is the protocol.
const NOT_FOUND: &str = "credentials not found in native keychain";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who we are, and where that was found.
pub struct Login {
    /// What proves it.
    pub secret: Secret,
    /// For messages.
    pub from: String,
}

/// What proves who we are.
pub enum Secret {
    /// A user name and a password.
    Password(String, String),
    /// A token that other tokens are had for.
    Identity(String),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Option<Entry>>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What is kept for a repository, in the first file that has something.
///
/// # Errors
///
/// `Invalid` for a file that cannot be read, or a helper that fails: who is logged in does not go on as nobody.
pub fn find(files: &[PathBuf], registry: &str, repository: &str) -> Result<Option<Login>, Error> {
    for path in files {
        let Some(config) = read(path)? else { continue };
        if let Some(login) = config.find(path, registry, repository)? {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Config>, Error> {
    let mut text = String::new();
    let result = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(path, &describe_io(&error), "make it readable, or name another by `DOCKER_CONFIG`")),
        Ok(_) if text.trim().is_empty() => Ok(None),
        // The parser's words would quote what it stumbled over.
        Ok(_) => serde_json::from_str(&text).map(Some).map_err(|error| {
            let why = format!("not as Docker writes it, at line {} column {}", error.line(), error.column());
            wrong(path, &why, "mend it, or name another by `DOCKER_CONFIG`")
        }),
    }
}

fn wrong(path: &Path, why: &str, hint: &str) -> Error {
    Error::invalid(vec![Problem::new("image", format!("`{}`: {why}", path.display())).hint(hint)])
}

impl Config {
    fn find(&self, path: &Path, registry: &str, repository: &str) -> Result<Option<Login>, Error> {
        let own = self.cred_helpers.iter().find(|(name, _)| key(name) == registry).map(|(_, helper)| helper);
        if let Some(helper) = own.or(self.creds_store.as_ref()).filter(|helper| !helper.is_empty())
            && let Some(login) = ask(helper, registry).map_err(|why| {
                let hint = "mend or install it, take it out of the file, or give `--username USER --password-stdin`";
                wrong(path, &format!("`docker-credential-{}`: {why}", helper.escape_debug()), hint)
            })?
        {
            return Ok(Some(login));
        }
        // Podman keeps logins for parts of a registry too: the nearest counts.
        let wanted = format!("{registry}/{repository}");
        let covers = |key: &str| wanted.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
        let entries = self.auths.iter().filter_map(|(name, entry)| Some((key(name), name, entry.as_ref()?)));
        let nearest = entries.filter(|(key, ..)| covers(key) || *key == wanted).max_by_key(|(key, ..)| key.len());
        let Some((_, name, entry)) = nearest else { return Ok(None) };
        let secret = entry.secret().map_err(|why| {
            wrong(path, &format!("`auths`, `{}`: {why}", name.escape_debug()), "log in again by `docker login`")
        })?;
        Ok(secret.map(|secret| Login { secret, from: format!("`{}`", path.display()) }))
    }
}

impl Entry {
    fn secret(&self) -> Result<Option<Secret>, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Secret::Identity(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            let there = !self.username.is_empty();
            return Ok(there.then(|| Secret::Password(self.username.clone(), self.password.clone())));
        }
        let bytes = BASE64.decode(self.auth.trim()).map_err(|_| "`auth` is not base64")?;
        let text = String::from_utf8(bytes).map_err(|_| "`auth` is not UTF-8")?;
        let (user, password) = text.split_once(':').ok_or("`auth` is not `USER:PASSWORD`")?;
        Ok(Some(Secret::Password(user.to_owned(), password.trim_end_matches('\0').to_owned())))
    }
}

/// The registry, or the part of it, that an entry is for. Docker's own have a scheme, and Docker Hub has many names.
fn key(name: &str) -> String {
    let host_only = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    let name = host_only.map_or(name, |rest| rest.split('/').next().unwrap_or(rest)).trim_end_matches('/');
    let (host, path) = name.split_once('/').map_or((name, ""), |(host, path)| (host, path));
    match (host, path) {
        ("index.docker.io" | "registry-1.docker.io" | DOCKER_HUB, "" | "v1" | "v2") => DOCKER_HUB.to_owned(),
        _ => name.to_owned(),
    }
}

/// What a helper knows; `None`: nobody of that registry.
fn ask(helper: &str, registry: &str) -> Result<Option<Login>, String> {
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err("not the name of a helper".to_owned());
    }
    let program = format!("docker-credential-{helper}");
    let secret = talk(Command::new(&program).arg("get"), registry)?;
    Ok(secret.map(|secret| Login { secret, from: format!("`{program}`") }))
}

/// The helpers' protocol: the registry goes in, an object comes out.
fn talk(program: &mut Command, registry: &str) -> Result<Option<Secret>, String> {
    let server = if registry == DOCKER_HUB { DOCKER_HUB_SERVER } else { registry };
    let started = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| describe_io(&error))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not want to know has its reasons, and its exit code.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| describe_io(&error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().chain(errors.lines()).find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        return if first == NOT_FOUND { Ok(None) } else { Err(format!("{}: {}", output.status, first.escape_debug())) };
    }
    let answer: Answer = serde_json::from_str(&said).map_err(|_| "no answer that we understand".to_owned())?;
    Ok(match answer.username.as_str() {
        _ if answer.secret.is_empty() => None,
        TOKEN_USER => Some(Secret::Identity(answer.secret)),
        _ => Some(Secret::Password(answer.username, answer.secret)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secret: Secret) -> String {
        match secret {
            Secret::Password(user, password) => format!("{user} {password}"),
            Secret::Identity(token) => token,
        }
    }

    fn found(config: &str, registry: &str, repository: &str) -> Result<Option<String>, Error> {
        let config: Config = serde_json::from_str(config).unwrap();
        let login = config.find(Path::new("config.json"), registry, repository)?;
        Ok(login.map(|login| format!("{} from {}", shown(login.secret), login.from)))
    }

    #[test]
    fn logins_are_found_as_docker_and_podman_keep_them() {
        let config = r#"{
            "auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
                "ghcr.io": {"auth": "Z2g6YTpiAAA"},
                "https://old.io/v2/": {"username": "old", "password": "pw", "email": "x"},
                "quay.io": {"auth": "cTpw"},
                "quay.io/team": {"auth": "dDpw"},
                "azure.io": {"auth": "MDA6", "identitytoken": "idt"},
                "empty.io": {},
                "null.io": null
            },
            "HttpHeaders": {"User-Agent": "x"}
        }"#;
        for (registry, repository, login) in [
            ("docker.io", "library/python", Some("hub pw")),
            ("ghcr.io", "a/b", Some("gh a:b")),
            ("old.io", "a", Some("old pw")),
            ("quay.io", "a", Some("q p")),
            ("quay.io", "team/a", Some("t p")),
            ("quay.io", "teams/a", Some("q p")),
            ("azure.io", "a", Some("idt")),
            ("empty.io", "a", None),
            ("null.io", "a", None),
            ("ghcr.io:443", "a", None),
            ("cr.io", "a", None),
        ] {
            let expected = login.map(|login| format!("{login} from `config.json`"));
            assert_eq!(found(config, registry, repository), Ok(expected), "{registry}/{repository}");
        }
    }

    #[test]
    fn an_entry_that_is_damaged_is_named_without_its_secret() {
        for (auth, why) in [
            ("s3cret!", "`auth` is not base64"),
            ("/////w==", "`auth` is not UTF-8"),
            ("czNjcmV0", "`auth` is not `USER:PASSWORD`"),
        ] {
            let error = found(&format!(r#"{{"auths":{{"a.io":{{"auth":"{auth}"}}}}}}"#), "a.io", "x").unwrap_err();
            assert_eq!(error.to_string(), format!("image: `config.json`: `auths`, `a.io`: {why}"));
        }
    }

    #[test]
    fn a_helper_is_told_the_registry_and_gives_what_it_knows() {
        let talk = |registry: &str, script: &str| {
            let secret = talk(Command::new("sh").args(["-c", script, "get"]), registry)?;
            Ok(secret.map(shown))
        };
        let echo = r#"read -r server; printf '{"ServerURL":"x","Username":"%s","Secret":"pw"}' "$server""#;
        let known = |words: &str| Ok(Some(words.to_owned()));
        for (registry, script, expected) in [
            ("a.io", echo, known("a.io pw")),
            ("docker.io", echo, known("https://index.docker.io/v1/ pw")),
            ("a.io", r#"echo '{"Username":"<token>","Secret":"idt"}'"#, known("idt")),
            ("a.io", r#"echo '{"Username":"u","Secret":""}'"#, Ok(None)),
            ("a.io", "echo credentials not found in native keychain; exit 1", Ok(None)),
            ("a.io", "echo locked; exit 1", Err("exit status: 1: locked".to_owned())),
            ("a.io", "echo >&2; echo no session >&2; exit 3", Err("exit status: 3: no session".to_owned())),
            ("a.io", "echo s3cret", Err("no answer that we understand".to_owned())),
        ] {
            assert_eq!(talk(registry, script), expected, "{script}");
        }
    }

    #[test]
    fn a_helper_that_is_not_there_is_an_error_for_who_needs_it() {
        let config = r#"{"credHelpers":{"a.io":"belljar-no-such"},"auths":{"b.io":{"auth":"YTpi"}}}"#;
        let error = found(config, "a.io", "x").unwrap_err().to_string();
        assert_eq!(error, "image: `config.json`: `docker-credential-belljar-no-such`: No such file or directory");
        assert_eq!(found(config, "b.io", "x"), Ok(Some("a b from `config.json`".to_owned())));
        let error = found(r#"{"credsStore":"../x"}"#, "a.io", "x").unwrap_err().to_string();
        assert_eq!(error, "image: `config.json`: `docker-credential-../x`: not the name of a helper");
    }

    #[test]
    fn files_are_passed_over_where_they_are_not_there_and_refused_where_they_are_no_such_files() {
        let path = std::env::temp_dir().join(format!("belljar-credentials-{}", std::process::id()));
        let files = [path.with_extension("no-such"), path.clone()];
        std::fs::write(&path, "{\"auths\": {\"a.io\": s3cret").unwrap();
        let error = find(&files, "a.io", "x").err().unwrap().to_string();
        assert_eq!(error, format!("image: `{}`: not as Docker writes it, at line 1 column 20", path.display()));
        std::fs::write(&path, "").unwrap();
        assert!(find(&files, "a.io", "x").unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
    }
}
