//! Package sources: apt's lines for a recipe, and how this machine's own apt reaches the network.
//!
//! Asks the machine's own programs and changes nothing.

use super::Draft;
use crate::error::{Blocker, Error};
use crate::identity::PATH;
use std::process::Command;

/// Debian's own address, which is always right, if not always near.
const DEBIAN: &str = "http://deb.debian.org/debian";
const DEBIAN_SECURITY: &str = "http://deb.debian.org/debian-security";
/// Where the package debian-archive-keyring has the keys; the newer name first.
const KEYS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];
/// Releases that are never frozen get no updates besides.
const ROLLING: [&str; 3] = ["sid", "unstable", "experimental"];
/// How apt reaches the network, and nothing of what it trusts.
const REACH: [&str; 8] = ["http", "https", "ftp", "socks", "retries", "forceipv4", "forceipv6", "check-"];

/// Where the packages of a recipe come from.
pub struct Archive {
    /// Lines for the build, each without its options.
    pub lines: Vec<Line>,
    /// Lines for the image: nobody else's business is which mirror was near.
    pub lasting: Vec<Line>,
    /// The keys that the archive is signed with.
    pub keyring: Vec<u8>,
    /// Settings of apt.
    pub settings: Vec<String>,
}

/// One line of `sources.list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The archive.
    pub address: String,
    /// The release, or what is added to it.
    pub suite: String,
    /// Parts of the archive.
    pub components: Vec<String>,
}

impl Line {
    /// As apt reads it.
    pub fn text(&self, options: &str) -> String {
        format!("deb {options}{} {} {}\n", self.address, self.suite, self.components.join(" "))
    }
}

/// The archive of `draft`.
///
/// # Errors
///
/// `Host` where there are no keys.
pub fn find(draft: &Draft) -> Result<Archive, Error> {
    let keyring = match &draft.keyring {
        Some(keyring) => keyring.clone(),
        None => KEYS.iter().find_map(|path| std::fs::read(path).ok()).ok_or_else(|| {
            Error::from(Blocker {
                message: "the keys that Debian's archive is signed with are not on this machine".to_owned(),
                hint: Some("install the package debian-archive-keyring, or name a file with the keys as `keyring` in the recipe's `[base]`".to_owned()),
            })
        })?,
    };
    let base = &draft.recipe.base;
    let lines = |archive: &str, security: Option<&str>| {
        let line = |address: &str, suite: String| Line {
            address: address.to_owned(),
            suite,
            components: base.components.clone(),
        };
        let mut lines = vec![line(archive, base.suite.clone())];
        if let Some(security) = security.filter(|_| !ROLLING.contains(&base.suite.as_str())) {
            lines.push(line(archive, format!("{}-updates", base.suite)));
            lines.push(line(security, format!("{}-security", base.suite)));
        }
        lines
    };
    let (lines, lasting) = match &base.mirror {
        Some(mirror) => (lines(mirror, None), lines(mirror, None)),
        None => {
            let (archive, security) = if is_debian() { near(&targets()) } else { (None, None) };
            let archive = archive.unwrap_or_else(|| DEBIAN.to_owned());
            let security = security.unwrap_or_else(|| DEBIAN_SECURITY.to_owned());
            (lines(&archive, Some(&security)), lines(DEBIAN, Some(DEBIAN_SECURITY)))
        }
    };
    Ok(Archive { lines, lasting, keyring, settings: reach(&ask("apt-config", &["dump"])) })
}

fn is_debian() -> bool {
    std::fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=debian"))
}

/// What a program of the machine says; nothing where it is not there.
fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env_clear().env("PATH", PATH).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn targets() -> String {
    ask("apt-get", &["indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)", "Created-By: Packages"])
}

/// The mirrors of Debian and of its security updates that the machine's own apt uses. Who has never fetched a list does
/// not know whose archive an address is; then its last word tells.
fn near(targets: &str) -> (Option<String>, Option<String>) {
    let fields =
        |line: &str| -> Option<[String; 4]> { line.split('|').map(str::to_owned).collect::<Vec<_>>().try_into().ok() };
    let found = |label: &str, word: &str| {
        targets.lines().filter_map(fields).find_map(|[address, origin, of, component]| {
            let address = address.trim_end_matches('/');
            let unknown = origin.is_empty() || origin.starts_with("$(");
            let named = if unknown { address.ends_with(word) } else { origin == "Debian" && of == label };
            (named && component == "main").then(|| address.to_owned())
        })
    };
    (found("Debian", "/debian"), found("Debian-Security", "/debian-security"))
}

/// The lines of `apt-config dump` that say how the network is reached.
fn reach(dump: &str) -> Vec<String> {
    let reaches = |line: &&str| {
        let key = line.to_ascii_lowercase();
        let Some(key) = key.strip_prefix("acquire::") else { return false };
        REACH.iter().any(|word| key.starts_with(word))
    };
    dump.lines().filter(reaches).filter(|line| !line.ends_with(" \"\";")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_that_the_machines_apt_uses_for_debian() {
        let third = "http://third.example/debian|Somebody|Debian|main\n";
        let known = "http://a.example/debian/|Debian|Debian|contrib\nhttp://b.example/x/|Debian|Debian|main\n\
                     http://b.example/y/|Debian|Debian-Security|main\n";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(near(&format!("{third}{known}")), (some("http://b.example/x"), some("http://b.example/y")));
        let new = "http://c.example/debian-security/|||main\nhttp://c.example/debian/|||main\n";
        assert_eq!(near(new), (some("http://c.example/debian"), some("http://c.example/debian-security")));
        assert_eq!(near(third), (None, None));
        assert_eq!(near("nonsense\n"), (None, None));
    }

    #[test]
    fn of_the_machines_apt_only_the_way_to_the_network_is_taken() {
        let dump = "Acquire \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n\
                    Acquire::https::CAInfo \"/etc/ssl/own.pem\";\nAcquire::Retries \"2\";\nAcquire::Check-Date \"false\";\n\
                    Acquire::AllowInsecureRepositories \"1\";\nAcquire::Languages:: \"none\";\nAPT::Get::AllowUnauthenticated \"1\";\n\
                    Acquire::IndexTargets::deb::Packages \"x\";\n";
        assert_eq!(
            reach(dump),
            [
                "Acquire::http::Proxy \"http://proxy.example:3128\";",
                "Acquire::https::CAInfo \"/etc/ssl/own.pem\";",
                "Acquire::Retries \"2\";",
                "Acquire::Check-Date \"false\";",
            ]
        );
    }
}
