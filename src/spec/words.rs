//! The small languages of single values: `SRC:DST[:rw]`, `UID[:GID]`, `NAME=exact` and the like.
//!
//! One grammar for flags and spec files. These functions read, they do not judge: whether a target may be
//! mounted on, or a profile exists, is [`check`](super::check())'s business.

use super::{
    CgroupParent, Language, Mount, Network, NetworkWish, Protection, Requirement, Rule, Seccomp, User, Userns, network,
};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Why a word could not be read, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl WordError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        WordError { message: message.into(), hint: Some(hint.into()) }
    }
}

/// `SRC:DST`, `SRC:DST:ro` or `SRC:DST:rw`. A colon inside a path needs the table form of a spec file.
pub fn parse_mount(word: &OsStr) -> Result<Mount, WordError> {
    let parts: Vec<&[u8]> = word.as_bytes().split(|byte| *byte == b':').collect();
    let (source, target, writable) = match parts[..] {
        [source, target] | [source, target, b"ro"] => (source, target, false),
        [source, target, b"rw"] => (source, target, true),
        _ => {
            return Err(WordError::new(
                format!("`{}` is not of the form SRC:DST[:rw]", word.to_string_lossy()),
                "name both paths, as in `--mount ./data:/data`; a path with a colon can be given in a spec file, as `{ source, target }`",
            ));
        }
    };
    if source.is_empty() || target.is_empty() {
        return Err(WordError::new(
            format!("`{}` leaves a path empty", word.to_string_lossy()),
            "name both paths, as in `--mount ./data:/data`",
        ));
    }
    Ok(Mount { source: path(source), target: path(target), writable, beneath: None })
}

/// `NAME:DST`, `NAME/SUB:DST`, each with `:rw`, which it is anyway, or `:ro`.
pub fn parse_volume(word: &OsStr) -> Result<Mount, WordError> {
    let shown = word.to_string_lossy();
    let parts: Vec<&[u8]> = word.as_bytes().split(|byte| *byte == b':').collect();
    let (source, target, writable) = match parts[..] {
        [source, target] | [source, target, b"rw"] => (path(source), target, true),
        [source, target, b"ro"] => (path(source), target, false),
        _ => {
            return Err(WordError::new(
                format!("`{shown}` is not of the form NAME[/SUB]:DST[:ro]"),
                "name the volume and a path inside, as in `--volume cache:/cache`",
            ));
        }
    };
    let mut parts = source.components();
    let (Some(Component::Normal(name)), true) =
        (parts.next(), parts.all(|part| matches!(part, Component::Normal(_))) && !target.is_empty())
    else {
        return Err(WordError::new(
            format!("`{shown}` names no volume, or leaves it again"),
            "name a volume, and if wanted a path in it, as in `--volume cache/pip:/cache`; `--mount` is for paths of the host",
        ));
    };
    let beneath = Some(PathBuf::from(name));
    Ok(Mount { target: path(target), writable, beneath, source })
}

/// `none`, or a cgroup by its path; that of the conventional mount is taken off.
pub fn parse_cgroup_parent(word: &OsStr) -> Result<CgroupParent, WordError> {
    let shown = word.to_string_lossy();
    let wrong = |what: &str| {
        let hint = "name a cgroup as /proc/self/cgroup shows it, as in `/user.slice/mine`, or `none`";
        WordError::new(format!("`{}` {what}", shown.escape_debug()), hint)
    };
    if word == "none" {
        return Ok(CgroupParent::Without);
    }
    let path = Path::new(word);
    if !path.is_absolute() {
        return Err(wrong("does not begin with a slash"));
    }
    if word.as_bytes().contains(&0) || path.components().any(|part| part == Component::ParentDir) {
        return Err(wrong("has `..` or a NUL byte in it"));
    }
    Ok(CgroupParent::Below(Path::new("/").join(path.strip_prefix("/sys/fs/cgroup").unwrap_or(path))))
}

/// `UID` or `UID:GID`, numbers.
pub fn parse_user(word: &str) -> Result<User, WordError> {
    let number = |text: &str| match text.parse::<u32>() {
        Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
        _ => Err(WordError::new(
            format!("`{word}` is not of the form UID[:GID]"),
            "ids are numbers, as in `--user 1000:1000`; names are not looked up",
        )),
    };
    let (uid, gid) = word.split_once(':').unwrap_or((word, word));
    Ok(User { uid: number(uid)?, gid: number(gid)? })
}

/// `single` or `range`.
pub fn parse_userns(word: &str) -> Result<Userns, WordError> {
    match word {
        "single" => Ok(Userns::Single),
        "range" => Ok(Userns::Range),
        other => Err(WordError::new(
            format!("`{}` is neither `single` nor `range`", other.escape_debug()),
            "`single` has one id inside, `range` those that /etc/subuid and /etc/subgid give",
        )),
    }
}

/// `none`, `only`, `open`, `host`, or a file with a policy: a word with a slash, or one that ends in `.toml`.
pub fn parse_network(word: &str) -> Result<NetworkWish, WordError> {
    match word {
        "none" => Ok(NetworkWish::Mode(Network::None)),
        "host" => Ok(NetworkWish::Mode(Network::Host)),
        "open" => Ok(NetworkWish::Mode(Network::Open)),
        "only" => Ok(NetworkWish::Mode(Network::Only)),
        path if path.contains('/') || path.ends_with(".toml") => Ok(NetworkWish::File(path.into())),
        other => Err(WordError::new(
            format!("no network mode `{}`", other.escape_debug()),
            "the modes are `none`, `only` (what `--allow` names), `open` (everything but the host and its neighbourhood) and \
             `host` (the host's network, not isolated); a policy is a file whose name has a slash or ends in `.toml`",
        )),
    }
}

/// What may or may not be reached; a set, as `@python`, is several rules.
pub fn parse_target(word: &str) -> Result<Vec<Rule>, WordError> {
    network::parse_rule(word)
}

/// A profile of ours by name; a word with a slash, or one that ends in `.json`, names a file. The text of the
/// file is left empty: reading is the adapter's business.
pub fn parse_seccomp(word: &OsStr) -> Seccomp {
    let bytes = word.as_bytes();
    if bytes.contains(&b'/') || bytes.ends_with(b".json") {
        return Seccomp::Custom { path: PathBuf::from(word), json: Vec::new() };
    }
    Seccomp::Builtin(word.to_string_lossy().into_owned())
}

/// `NAME` or `NAME=exact`.
pub fn parse_requirement(word: &str) -> Result<Requirement, WordError> {
    let (name, exact) = match word.split_once('=') {
        None => (word, false),
        Some((name, "exact")) => (name, true),
        Some((name, other)) => {
            return Err(WordError::new(
                format!("`{other}` is no degree of enforcement"),
                format!("write `{name}` or `{name}=exact`"),
            ));
        }
    };
    Ok(Requirement { protection: parse_protection(name)?, exact })
}

/// The name of a protection.
pub fn parse_protection(word: &str) -> Result<Protection, WordError> {
    Protection::from_name(word).ok_or_else(|| {
        let names: Vec<&str> = Protection::ALL.iter().map(|protection| protection.name()).collect();
        WordError::new(format!("`{word}` is no protection"), format!("the protections are {}", names.join(", ")))
    })
}

/// The name of a language, or one of its other names.
pub fn parse_language(word: &str) -> Result<Language, WordError> {
    match word {
        "python" | "python3" => Ok(Language::Python),
        "node" | "javascript" | "js" => Ok(Language::Node),
        "sh" | "shell" | "bash" => Ok(Language::Shell),
        other => Err(WordError::new(
            format!("`{other}` is no language that belljar knows"),
            "the languages are python, node and sh; run anything else with `belljar run`",
        )),
    }
}

/// `K=V`, split at the first equals sign. `None`: there is no equals sign.
pub fn split_variable(word: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some((OsString::from_vec(bytes[..at].to_vec()), OsString::from_vec(bytes[at + 1..].to_vec())))
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: &str, target: &str, writable: bool) -> Mount {
        Mount { source: source.into(), target: target.into(), writable, beneath: None }
    }

    #[test]
    fn a_mount_is_read_only_unless_it_says_rw() {
        assert_eq!(parse_mount(OsStr::new("./a:/b")), Ok(mount("./a", "/b", false)));
        assert_eq!(parse_mount(OsStr::new("/a:/b:ro")), Ok(mount("/a", "/b", false)));
        assert_eq!(parse_mount(OsStr::new("/a:/b:rw")), Ok(mount("/a", "/b", true)));
    }

    #[test]
    fn a_volume_is_writable_unless_it_says_ro_and_is_not_left() {
        let volume = |source: &str, target: &str, writable| {
            Ok(Mount { beneath: Some("a".into()), ..mount(source, target, writable) })
        };
        assert_eq!(parse_volume(OsStr::new("a:/b")), volume("a", "/b", true));
        assert_eq!(parse_volume(OsStr::new("a/x/y:/b:ro")), volume("a/x/y", "/b", false));
        for word in ["a", "a:", ":/b", "/a:/b", "../a:/b", "a/../b:/c", ".:/b", "a:/b:no", "a:b:c:d"] {
            assert!(parse_volume(OsStr::new(word)).is_err(), "{word}");
        }
    }

    #[test]
    fn a_mount_of_another_form_is_refused() {
        for word in ["", "/a", "/a:/b:rx", "/a:/b:rw:rw", ":/b", "/a:", ":", "::"] {
            assert!(parse_mount(OsStr::new(word)).is_err(), "{word}");
        }
    }

    #[test]
    fn a_user_without_a_group_gets_the_group_of_the_same_number() {
        assert_eq!(parse_user("1000"), Ok(User { uid: 1000, gid: 1000 }));
        assert_eq!(parse_user("0:5"), Ok(User { uid: 0, gid: 5 }));
        for word in ["", "root", "-1", "+1", "1:", ":1", "1:2:3", "4294967296", "1 "] {
            assert!(parse_user(word).is_err(), "{word}");
        }
    }

    #[test]
    fn there_is_one_id_or_a_range_of_them() {
        assert_eq!((parse_userns("single"), parse_userns("range")), (Ok(Userns::Single), Ok(Userns::Range)));
        for word in ["", "Range", "host", "auto"] {
            assert!(parse_userns(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_profile_with_a_slash_or_json_is_a_file() {
        assert_eq!(parse_seccomp(OsStr::new("strict")), Seccomp::Builtin("strict".to_owned()));
        for word in ["./strict", "mine.json"] {
            assert_eq!(parse_seccomp(OsStr::new(word)), Seccomp::Custom { path: word.into(), json: Vec::new() });
        }
    }

    #[test]
    fn a_requirement_may_ask_for_exactness_and_nothing_else() {
        assert_eq!(parse_requirement("pids"), Ok(Requirement { protection: Protection::Pids, exact: false }));
        assert_eq!(parse_requirement("memory=exact"), Ok(Requirement { protection: Protection::Memory, exact: true }));
        assert!(parse_requirement("memory=roughly").is_err());
        assert!(parse_requirement("memry").is_err());
    }

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        assert_eq!(split_variable(OsStr::new("A=b=c")), Some(("A".into(), "b=c".into())));
        assert_eq!(split_variable(OsStr::new("A=")), Some(("A".into(), "".into())));
        assert_eq!(split_variable(OsStr::new("A")), None);
    }

    #[test]
    fn languages_have_other_names() {
        for (word, language) in [("js", Language::Node), ("bash", Language::Shell), ("python3", Language::Python)] {
            assert_eq!(parse_language(word), Ok(language));
        }
        assert!(parse_language("ruby").is_err());
    }
}
