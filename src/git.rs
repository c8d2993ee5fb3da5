//! Git as it is asked inside a sandbox: the words of a call, and what git's answers mean. Plain data.
//!
//! Git itself is the image's own, and runs inside like every other command; nothing here starts a process, opens a file or reaches
//! another machine. What git prints is written by a repository that nobody has read: it is taken apart as bytes with NUL between them,
//! and whatever is not as git writes it is an error and no panic.

pub mod agent;
mod config;
mod diff;
mod failure;
mod log;
mod refs;
mod status;
mod url;

pub use config::{Setting, settings};
pub use diff::{Change, ChangedFile, DIFF_WORDS, changes};
pub use failure::failure;
pub use log::{Commit, LOG_FORMAT, commits};
pub use refs::{
    BRANCH_FORMAT, Branch, Pushed, PushedRef, Remote, STASH_FORMAT, Stash, branches, pushed, remotes, stashes,
};
pub use status::{Entry, State, Status, status};
pub use url::{Address, Credentials, address};

use crate::error::{Error, Kind};
use std::ffi::{OsStr, OsString};

/// Settings of every call: no colours, no programs that the repository names where none is needed, and the sandbox's files are
/// everybody's inside.
const SETTINGS: [&str; 19] = [
    "color.ui=false",
    "color.diff=false",
    "color.status=false",
    "color.branch=false",
    // A patch is one that others can apply, however the repository likes to read it.
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.srcPrefix=a/",
    "diff.dstPrefix=b/",
    "diff.relative=false",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.submodule=short",
    "log.showRoot=true",
    "core.quotePath=false",
    "core.fsmonitor=false",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
    "advice.detachedHead=false",
    "safe.directory=*",
];

/// How a call may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It only looks, and takes no lock that somebody else could want.
    Look,
    /// It changes something.
    Change,
}

/// The words of one call, after git's own name.
pub fn words<W: AsRef<OsStr>>(directory: &OsStr, words: impl IntoIterator<Item = W>) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["-C".into(), directory.to_owned(), "--no-pager".into()];
    all.extend(SETTINGS.iter().flat_map(|setting| ["-c".into(), OsString::from(setting)]));
    all.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
    all
}

/// Variables of one call: English, nobody is asked anything, no editor, no pager, and names of files mean themselves.
pub fn variables(deed: Deed) -> Vec<(OsString, OsString)> {
    let mut all = vec![
        ("LC_ALL", "C"),
        ("LANGUAGE", ""),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", ""),
        ("SSH_ASKPASS", ""),
        ("GIT_PAGER", "cat"),
        ("GIT_EDITOR", "true"),
        ("GIT_SEQUENCE_EDITOR", "true"),
        ("GIT_MERGE_AUTOEDIT", "no"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
    ];
    if deed == Deed::Look {
        all.push(("GIT_OPTIONAL_LOCKS", "0"));
    }
    all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Why the name of a branch, commit or remote cannot be one; git would take it for an option or for nothing.
pub fn why_no_name(name: &OsStr) -> Option<&'static str> {
    let bytes = name.as_encoded_bytes();
    match bytes.first() {
        None => Some("is empty"),
        Some(b'-') => Some("begins with a dash, which no branch, commit or remote does"),
        Some(_) if bytes.iter().any(|byte| byte.is_ascii_control()) => Some("has control characters in it"),
        Some(_) => None,
    }
}

/// Why the name of a branch, tag or commit of a remote cannot be one: git would take it for more than one, or for an order to lose what is
/// there (git-fetch(1) and git-push(1), `<refspec>`).
pub fn why_no_branch(name: &OsStr) -> Option<&'static str> {
    let bytes = name.as_encoded_bytes();
    why_no_name(name).or_else(|| match bytes.first() {
        Some(b'+') => Some("begins with a plus, which no branch, tag or commit does"),
        _ if bytes.iter().any(|byte| b":^~?*[\\ ".contains(byte)) => {
            Some("has a character in it that no branch, tag or commit has")
        }
        _ => None,
    })
}

/// What is not as git writes it.
fn nonsense(what: &str) -> Error {
    Error::new(Kind::Failed, format!("what git inside says of {what} is not understood"))
}

/// The parts between NULs; nothing behind the last.
fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    whole.split(|byte| *byte == 0).filter(move |_| !bytes.is_empty())
}

/// A number in decimal digits.
fn number<N: std::str::FromStr>(bytes: &[u8]) -> Option<N> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// Text that git writes itself, such as a hash.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A hash in hexadecimal digits; `None` for anything else.
pub fn hash(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.trim_ascii();
    (bytes.len() >= 40 && bytes.iter().all(u8::is_ascii_hexdigit)).then(|| text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_its_directory_and_asks_nobody_anything() {
        let words = words(OsStr::new("-odd"), ["status"]);
        assert_eq!(words[..2], ["-C", "-odd"].map(OsString::from));
        assert_eq!(words.last(), Some(&OsString::from("status")));
        let has = |deed, name: &str, value: &str| variables(deed).contains(&(name.into(), value.into()));
        assert!(has(Deed::Look, "GIT_OPTIONAL_LOCKS", "0") && !has(Deed::Change, "GIT_OPTIONAL_LOCKS", "0"));
        assert!(has(Deed::Change, "GIT_TERMINAL_PROMPT", "0") && has(Deed::Change, "LC_ALL", "C"));
    }

    #[test]
    fn names_that_git_would_take_for_options_are_no_names() {
        for name in ["", "-d", "--upload-pack=touch /tmp/x", "a\nb"] {
            assert!(why_no_name(OsStr::new(name)).is_some(), "{name}");
        }
        for name in ["main", "feature/a-b", "HEAD~3", "v1.0^{}", "größe"] {
            assert_eq!(why_no_name(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn what_git_would_take_for_several_branches_or_for_an_order_is_no_branch() {
        for name in ["+main", "a:b", "refs/heads/*", "^main", "main~1", "a b", "-f", ""] {
            assert!(why_no_branch(OsStr::new(name)).is_some(), "{name}");
        }
        for name in ["main", "feature/a-b", "refs/tags/v1.0", "größe", "a+b", "HEAD"] {
            assert_eq!(why_no_branch(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn parts_stand_between_nuls_and_may_be_empty() {
        let of = |bytes: &'static [u8]| parts(bytes).collect::<Vec<_>>();
        assert_eq!(of(b""), [b""; 0]);
        assert_eq!(of(b"a\0"), [&b"a"[..]]);
        assert_eq!(of(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert_eq!((hash(b"zz"), hash(&[b'a'; 40]).map(|hash| hash.len())), (None, Some(40)));
    }
}
