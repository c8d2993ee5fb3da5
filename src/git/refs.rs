//! Branches, remotes, stashes and what became of a push.

use super::{Setting, nonsense, number, parts, text};
use crate::error::Error;
use crate::name::Name;
use serde::Serialize;

/// What `for-each-ref` is told; a line for each branch, since no name of one has a line end.
pub const BRANCH_FORMAT: &str =
    "--format=%(refname)%00%(objectname)%00%(HEAD)%00%(upstream)%00%(upstream:track,nobracket)%00%(symref)";

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitBranch"))]
pub struct Branch {
    /// Its name; that of a remote's branch begins with the remote's, as `origin/main`.
    pub name: Name,
    /// Whether it is what was last fetched of a remote's branch.
    pub remote: bool,
    /// Whether it is checked out.
    pub current: bool,
    /// Its commit.
    pub commit: String,
    /// The branch of a remote that it follows; null without one.
    pub upstream: Option<Name>,
    /// Whether that branch is there, as far as was fetched.
    pub published: bool,
    /// Commits that the upstream has not.
    pub ahead: u64,
    /// Commits that only the upstream has.
    pub behind: u64,
}

/// Reads branches; what only points to another, such as `origin/HEAD`, is left out.
///
/// # Errors
///
/// It is nothing that git writes.
pub fn branches(bytes: &[u8]) -> Result<Vec<Branch>, Error> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = lines.map(|line| branch(line).ok_or_else(|| nonsense("its branches")));
    read.filter_map(Result::transpose).collect()
}

fn branch(line: &[u8]) -> Option<Option<Branch>> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let [name, commit, head, upstream, track, symref] = fields[..] else { return None };
    if !symref.is_empty() {
        return Some(None);
    }
    let (remote, name) = match name.strip_prefix(b"refs/heads/") {
        Some(name) => (false, name),
        None => (true, name.strip_prefix(b"refs/remotes/")?),
    };
    let track = text(track);
    let count = |word: &str| {
        track.split(", ").find_map(|part| part.strip_prefix(word)?.trim().parse().ok()).unwrap_or_default()
    };
    let upstream = Some(upstream).filter(|upstream| !upstream.is_empty());
    Some(Some(Branch {
        name: Name(name.to_vec()),
        remote,
        current: head == b"*",
        commit: super::hash(commit)?,
        published: upstream.is_some() && track != "gone",
        upstream: upstream.map(|name| Name(name.strip_prefix(b"refs/remotes/").unwrap_or(name).to_vec())),
        ahead: count("ahead"),
        behind: count("behind"),
    }))
}

/// Another repository that this one knows by a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitRemote"))]
pub struct Remote {
    /// Its name.
    pub name: Name,
    /// Where it is fetched from.
    pub url: Name,
    /// Where it is pushed to, where that is elsewhere; else null.
    pub push_url: Option<Name>,
}

/// The remotes among settings.
pub fn remotes(settings: &[Setting]) -> Vec<Remote> {
    let mut found: Vec<Remote> = Vec::new();
    for setting in settings {
        let Some(rest) = setting.key.0.strip_prefix(b"remote.") else { continue };
        let value = setting.value.clone().unwrap_or_default();
        let (name, is_push) = match (rest.strip_suffix(b".url"), rest.strip_suffix(b".pushurl")) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => continue,
        };
        let at = found.iter().position(|remote| remote.name.0 == name).unwrap_or_else(|| {
            found.push(Remote { name: Name(name.to_vec()), url: Name::default(), push_url: None });
            found.len() - 1
        });
        match is_push {
            true => found[at].push_url = Some(value),
            // Of several the first is what is fetched from.
            false if found[at].url.0.is_empty() => found[at].url = value,
            false => {}
        }
    }
    found.retain(|remote| !remote.url.0.is_empty() || remote.push_url.is_some());
    found
}

/// What `stash list -z` is told.
pub const STASH_FORMAT: &str = "--format=tformat:%gd%x00%H%x00%ct%x00%gs";

/// Changes that were put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStash"))]
pub struct Stash {
    /// Its number; 0 is the newest.
    pub index: u64,
    /// The commit that holds it.
    pub commit: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// What it was put aside from, or with which words.
    pub message: Name,
}

/// Reads them.
///
/// # Errors
///
/// It is nothing that git writes in this format.
pub fn stashes(bytes: &[u8]) -> Result<Vec<Stash>, Error> {
    let fields: Vec<&[u8]> = parts(bytes).collect();
    let stash = |fields: &[&[u8]]| {
        let [selector, commit, time, message] = fields else { return None };
        let index = selector.rsplit(|byte| *byte == b'{').next()?.strip_suffix(b"}")?;
        Some(Stash {
            index: number(index)?,
            commit: super::hash(commit)?,
            time: number(time)?,
            message: Name(message.to_vec()),
        })
    };
    fields.chunks(4).map(|fields| stash(fields).ok_or_else(|| nonsense("its stashes"))).collect()
}

/// What became of one branch or tag that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitPushed"))]
#[serde(rename_all = "snake_case")]
pub enum Pushed {
    /// The other side had no such branch, and has it now.
    New,
    /// The other side had all of it already.
    UpToDate,
    /// It was moved forward.
    Updated,
    /// It was moved elsewhere, as was asked by force.
    Forced,
    /// It was deleted there.
    Deleted,
    /// The other side has commits that are not in it.
    Rejected,
    /// The other side refuses it.
    RemoteRejected,
}

/// One branch or tag, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitPushedRef"))]
pub struct PushedRef {
    /// What it is called here; empty for one that was deleted there.
    pub local: Name,
    /// What it is called there.
    pub remote: Name,
    /// What became of it.
    pub state: Pushed,
    /// Git's words for that.
    pub summary: Name,
}

/// Reads what `push --porcelain` writes; lines of another shape are left out.
pub fn pushed(bytes: &[u8]) -> Vec<PushedRef> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let fields: Vec<&[u8]> = line.splitn(3, |byte| *byte == b'\t').collect();
            let [[flag], refs, summary] = fields[..] else { return None };
            let at = refs.iter().position(|byte| *byte == b':')?;
            let state = match flag {
                b'*' => Pushed::New,
                b'=' => Pushed::UpToDate,
                b' ' => Pushed::Updated,
                b'+' => Pushed::Forced,
                b'-' => Pushed::Deleted,
                b'!' if summary.starts_with(b"[remote rejected]") => Pushed::RemoteRejected,
                b'!' => Pushed::Rejected,
                _ => return None,
            };
            let name = |bytes: &[u8]| Name(bytes.to_vec());
            Some(PushedRef { local: name(&refs[..at]), remote: name(&refs[at + 1..]), state, summary: name(summary) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn branches_are_told_with_what_they_follow() {
        let text = format!(
            "refs/heads/main\0{HASH}\0*\0refs/remotes/origin/main\0ahead 2, behind 3\0\n\
             refs/heads/old\0{HASH}\0 \0refs/remotes/origin/old\0gone\0\n\
             refs/remotes/origin/HEAD\0{HASH}\0 \0\0\0refs/remotes/origin/main\n\
             refs/remotes/origin/main\0{HASH}\0 \0\0\0\n"
        );
        let read = branches(text.as_bytes()).unwrap();
        let told: Vec<_> =
            read.iter().map(|one| (one.name.to_string(), one.current, one.remote, one.published)).collect();
        let of = |name: &str, current, remote, published| (name.to_owned(), current, remote, published);
        assert_eq!(
            told,
            [of("main", true, false, true), of("old", false, false, false), of("origin/main", false, true, false)]
        );
        assert_eq!((read[0].ahead, read[0].behind, read[0].upstream.clone()), (2, 3, Some("origin/main".into())));
        assert!(branches(b"refs/heads/x\n").is_err() && branches(b"").unwrap().is_empty());
    }

    #[test]
    fn remotes_are_read_from_settings() {
        let setting =
            |key: &str, value: &str| Setting { key: key.into(), value: Some(value.into()), scope: "local".to_owned() };
        let found = remotes(&[
            setting("remote.origin.url", "https://a/x"),
            setting("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            setting("remote.a.b.pushurl", "https://b/y"),
            setting("user.name", "n"),
        ]);
        let one = |name: &str, url: &str, push: Option<&str>| Remote {
            name: name.into(),
            url: url.into(),
            push_url: push.map(Name::from),
        };
        assert_eq!(found, [one("origin", "https://a/x", None), one("a.b", "", Some("https://b/y"))]);
    }

    #[test]
    fn stashes_have_numbers() {
        let text = format!("stash@{{0}}\0{HASH}\05\0WIP on main: x\0stash@{{1}}\0{HASH}\06\0On main: y\0");
        let read = stashes(text.as_bytes()).unwrap();
        assert_eq!(read.iter().map(|one| (one.index, one.time)).collect::<Vec<_>>(), [(0, 5), (1, 6)]);
        assert!(stashes(b"x\0").is_err());
    }

    #[test]
    fn a_push_tells_of_each_branch() {
        let text = b"To /tmp/x\n*\trefs/heads/a:refs/heads/a\t[new branch]\n \trefs/heads/b:refs/heads/b\t1..2\n\
            !\trefs/heads/c:refs/heads/c\t[rejected] (fetch first)\n!\td:d\t[remote rejected] (hook declined)\n\
            -\t:refs/heads/e\t[deleted]\nDone\n";
        let states: Vec<_> = pushed(text).into_iter().map(|one| (one.remote.to_string(), one.state)).collect();
        let of = |name: &str, state| (name.to_owned(), state);
        assert_eq!(
            states,
            [
                of("refs/heads/a", Pushed::New),
                of("refs/heads/b", Pushed::Updated),
                of("refs/heads/c", Pushed::Rejected),
                of("d", Pushed::RemoteRejected),
                of("refs/heads/e", Pushed::Deleted),
            ]
        );
    }
}
