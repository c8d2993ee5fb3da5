//! `git status --porcelain=v2 -z --branch`.

use super::{nonsense, number, parts, text};
use crate::error::Error;
use crate::name::Name;
use serde::Serialize;

/// What became of a file, in the index or in the working tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitFileState"))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it was committed, or staged.
    Unmodified,
    /// Git does not know it.
    Untracked,
    /// Git is told to leave it alone.
    Ignored,
    /// Its content or its permissions are others.
    Modified,
    /// It became a link, or a file, or a repository of its own.
    TypeChanged,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It was called something else.
    Renamed,
    /// It is a copy.
    Copied,
    /// Both sides of a merge have changed it, and nobody has decided.
    Unmerged,
}

/// A file that is not as it was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitFile"))]
pub struct Entry {
    /// From the top of the repository.
    pub path: Name,
    /// In the index, against the last commit.
    pub staged: State,
    /// In the working tree, against the index.
    pub unstaged: State,
    /// What it was called, or is a copy of; null for anything else.
    pub old_path: Option<Name>,
    /// Of a conflict, what both sides did, as git's two letters have it (`UU`, `AA`, `DU`, ...); null without one.
    pub conflict: Option<String>,
    /// Whether it is a repository of its own.
    pub submodule: bool,
}

/// Where a repository stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStatus"))]
pub struct Status {
    /// The branch; null where the head is detached.
    pub branch: Option<Name>,
    /// The commit; null before the first.
    pub commit: Option<String>,
    /// Whether the head is at a commit and on no branch.
    pub detached: bool,
    /// The branch of a remote that it follows; null without one.
    pub upstream: Option<Name>,
    /// Whether that branch is there, as far as was fetched.
    pub published: bool,
    /// Commits that the upstream has not.
    pub ahead: u64,
    /// Commits that only the upstream has.
    pub behind: u64,
    /// Whether nothing differs from the commit.
    pub clean: bool,
    /// Whatever differs.
    pub files: Vec<Entry>,
}

/// Reads it.
///
/// # Errors
///
/// It is nothing that git writes.
pub fn status(bytes: &[u8]) -> Result<Status, Error> {
    let mut status = Status::default();
    let mut records = parts(bytes);
    while let Some(record) = records.next() {
        let entry = match record.split_first() {
            Some((b'#', head)) => {
                header(head.trim_ascii_start(), &mut status);
                continue;
            }
            Some((b'1', rest)) => ordinary(rest, 6, None),
            Some((b'2', rest)) => records.next().and_then(|old| ordinary(rest, 7, Some(old))),
            Some((b'u', rest)) => unmerged(rest),
            Some((b'?', rest)) => bare(rest, State::Untracked),
            Some((b'!', rest)) => bare(rest, State::Ignored),
            _ => None,
        };
        status.files.push(entry.ok_or_else(|| nonsense("its status"))?);
    }
    status.clean = status.files.iter().all(|file| file.unstaged == State::Ignored);
    Ok(status)
}

fn header(head: &[u8], status: &mut Status) {
    let (key, value) = split(head).unwrap_or((head, b""));
    match key {
        b"branch.oid" => status.commit = super::hash(value),
        b"branch.head" if value == b"(detached)" => status.detached = true,
        b"branch.head" => status.branch = Some(Name(value.to_vec())),
        b"branch.upstream" => status.upstream = Some(Name(value.to_vec())),
        b"branch.ab" => {
            let counts: Vec<u64> =
                value.split(|byte| *byte == b' ').filter_map(|word| number(word.get(1..)?)).collect();
            if let [ahead, behind] = counts[..] {
                (status.ahead, status.behind, status.published) = (ahead, behind, true);
            }
        }
        _ => {}
    }
}

/// The first word and the rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// The rest behind so many words.
fn behind(mut bytes: &[u8], words: usize) -> Option<&[u8]> {
    for _ in 0..words {
        bytes = split(bytes)?.1;
    }
    Some(bytes)
}

/// `XY sub mH mI mW hH hI [Xscore] path`.
fn ordinary(record: &[u8], words: usize, old: Option<&[u8]>) -> Option<Entry> {
    let (letters, rest) = split(record.strip_prefix(b" ")?)?;
    let [staged, unstaged] = letters else { return None };
    Some(Entry {
        path: Name(behind(rest, words)?.to_vec()),
        staged: state(*staged)?,
        unstaged: state(*unstaged)?,
        old_path: old.map(|old| Name(old.to_vec())),
        conflict: None,
        submodule: rest.first() == Some(&b'S'),
    })
}

/// `XY sub m1 m2 m3 mW h1 h2 h3 path`.
fn unmerged(record: &[u8]) -> Option<Entry> {
    let (letters, rest) = split(record.strip_prefix(b" ")?)?;
    Some(Entry {
        path: Name(behind(rest, 8)?.to_vec()),
        staged: State::Unmerged,
        unstaged: State::Unmerged,
        old_path: None,
        conflict: Some(text(letters)),
        submodule: rest.first() == Some(&b'S'),
    })
}

fn bare(record: &[u8], state: State) -> Option<Entry> {
    let path = Name(record.strip_prefix(b" ")?.to_vec());
    Some(Entry { path, staged: state, unstaged: state, old_path: None, conflict: None, submodule: false })
}

/// The meaning of a letter.
pub(super) fn state(letter: u8) -> Option<State> {
    Some(match letter {
        b'.' => State::Unmodified,
        b'M' => State::Modified,
        b'T' => State::TypeChanged,
        b'A' => State::Added,
        b'D' => State::Deleted,
        b'R' => State::Renamed,
        b'C' => State::Copied,
        b'U' => State::Unmerged,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn a_branch_is_told_with_its_upstream_and_how_far_it_is_from_it() {
        let text = format!(
            "# branch.oid {HASH}\0# branch.head main\0# branch.upstream origin/main\0# branch.ab +2 -3\0# stash 1\0"
        );
        let read = status(text.as_bytes()).unwrap();
        let wanted = Status {
            branch: Some("main".into()),
            commit: Some(HASH.to_owned()),
            upstream: Some("origin/main".into()),
            published: true,
            ahead: 2,
            behind: 3,
            clean: true,
            ..Status::default()
        };
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_detached_head_has_a_commit_and_a_new_repository_has_none() {
        let read = status(format!("# branch.oid {HASH}\0# branch.head (detached)\0").as_bytes()).unwrap();
        assert_eq!((read.detached, read.branch, read.commit.as_deref()), (true, None, Some(HASH)));
        let read = status(b"# branch.oid (initial)\0# branch.head main\0").unwrap();
        assert_eq!((read.detached, read.branch, read.commit), (false, Some("main".into()), None));
    }

    #[test]
    fn files_come_with_odd_names_renames_and_conflicts() {
        let mut bytes = Vec::new();
        for part in [
            &b"1 .M N... 100644 100644 100644 a b with space"[..],
            b"2 R. N... 100644 100644 100644 a b R087 new\nname",
            b"old \xff name",
            b"u UU N... 100644 100644 100644 100644 a b c both",
            b"1 A. S..U 000000 160000 160000 a b mod",
            b"? un\ttracked",
        ] {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
        let files = status(&bytes).unwrap().files;
        let told: Vec<_> = files.iter().map(|file| (file.path.0.as_slice(), file.staged, file.unstaged)).collect();
        let wanted = [
            (&b"with space"[..], State::Unmodified, State::Modified),
            (b"new\nname", State::Renamed, State::Unmodified),
            (b"both", State::Unmerged, State::Unmerged),
            (b"mod", State::Added, State::Unmodified),
            (b"un\ttracked", State::Untracked, State::Untracked),
        ];
        assert_eq!(told, wanted);
        assert_eq!(files[1].old_path, Some(Name(b"old \xff name".to_vec())));
        assert_eq!(files[2].conflict.as_deref(), Some("UU"));
        assert!(files[3].submodule && !files[0].submodule);
    }

    #[test]
    fn what_git_does_not_write_is_an_error() {
        for bytes in [&b"1 .M N"[..], b"1", b"2 R. N... 1 1 1 a b R1 x\0", b"x", b"1 .Z N... 1 1 1 a b p\0", b"?x"] {
            assert!(status(bytes).is_err(), "{bytes:?}");
        }
    }
}
