//! `git log -z` in a format of our own.

use super::{nonsense, number, parts, text};
use crate::error::Error;
use crate::name::Name;
use serde::Serialize;

/// The fields of a commit, with NUL behind each: nothing in them can hold one. The message is the last, and `-z` ends it.
pub const LOG_FORMAT: &str = "--format=tformat:%H%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B";
const FIELDS: usize = 9;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCommit"))]
pub struct Commit {
    /// Its hash, whole.
    pub hash: String,
    /// The hashes of those before it: several for a merge, none for the first.
    pub parents: Vec<String>,
    /// Who wrote it.
    pub author: Name,
    /// The author's address.
    pub email: Name,
    /// When, in seconds since 1970.
    pub time: i64,
    /// Who made the commit.
    pub committer: Name,
    /// The committer's address.
    pub committer_email: Name,
    /// When, in seconds since 1970.
    pub committed: i64,
    /// The whole message, without its last line end.
    pub message: Name,
}

/// Reads them.
///
/// # Errors
///
/// It is nothing that git writes in this format.
pub fn commits(bytes: &[u8]) -> Result<Vec<Commit>, Error> {
    let fields: Vec<&[u8]> = parts(bytes).collect();
    fields.chunks(FIELDS).map(|fields| commit(fields).ok_or_else(|| nonsense("its commits"))).collect()
}

fn commit(fields: &[&[u8]]) -> Option<Commit> {
    let [hash, parents, author, email, time, committer, committer_email, committed, message] = fields else {
        return None;
    };
    let name = |bytes: &[u8]| Name(bytes.to_vec());
    Some(Commit {
        hash: super::hash(hash)?,
        parents: parents.split(|byte| *byte == b' ').filter(|one| !one.is_empty()).map(text).collect(),
        author: name(author),
        email: name(email),
        time: number(time)?,
        committer: name(committer),
        committer_email: name(committer_email),
        committed: number(committed)?,
        message: name(message.trim_ascii_end()),
    })
}

impl Commit {
    /// The first line of its message.
    pub fn subject(&self) -> Name {
        Name(self.message.0.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn commits_are_read_with_messages_of_several_lines_and_bytes_that_are_no_text() {
        let mut bytes = format!("{HASH}\0{HASH} {HASH}\0A\0a@x\05\0B\0b@x\0-7\0one\n\ntwo\n\0").into_bytes();
        bytes.extend(format!("{HASH}\0\0A\0\01\0\0\02\0").bytes());
        bytes.extend(b"\xff\0");
        let read = commits(&bytes).unwrap();
        assert_eq!((read.len(), read[0].parents.len(), read[1].parents.len()), (2, 2, 0));
        assert_eq!((read[0].message.clone(), read[0].subject()), ("one\n\ntwo".into(), "one".into()));
        assert_eq!((read[0].time, read[0].committed), (5, -7));
        assert_eq!(read[1].message, Name(b"\xff".to_vec()));
        assert_eq!(commits(b"").unwrap(), []);
    }

    #[test]
    fn half_a_commit_is_an_error() {
        for text in [HASH.to_owned(), "a\0b\0".to_owned(), format!("{HASH}\0\0A\0\0x\0\0\02\0m\0")] {
            assert!(commits(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
