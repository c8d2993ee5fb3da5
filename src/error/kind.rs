//! The kinds of errors, which is what programs decide by. The words are a contract; `docs/errors.md` has them as a table.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of error it is, as one word in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What was asked for is impossible, or contradicts itself.
    Invalid,
    /// The words or parameters cannot be understood.
    Misused,
    /// This machine cannot do it.
    Host,
    /// The kernel refused a step.
    Setup,
    /// There is no such command inside.
    NoCommand,
    /// The command is there and cannot be executed.
    NotExecutable,
    /// There is no sandbox, image, volume, session, job or file of that name.
    NotFound,
    /// Several ids or digests begin like that.
    Ambiguous,
    /// Another has the name.
    NameTaken,
    /// The sandbox does not run, and has to for that.
    NotRunning,
    /// The sandbox runs, and must not for that.
    Running,
    /// The sandbox, session or job ended meanwhile.
    Ended,
    /// The sandbox's supervisor does not answer.
    Silent,
    /// Somebody inside put a command out of reach of its limits, and the sandbox was ended for it.
    OutOfReach,
    /// There is a file or session of that name already.
    Exists,
    /// Something on the way is no directory.
    NotADirectory,
    /// It is a directory, and must not be.
    IsADirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The kernel does not permit it.
    Denied,
    /// The sandbox's disk limit, or the disk, is full.
    NoSpace,
    /// It is no regular file.
    NotAFile,
    /// More than one answer or file may have.
    TooLarge,
    /// The session has ended and takes nothing more.
    SessionEnded,
    /// The session was killed, and what it knew is gone.
    Lost,
    /// Too many jobs wait already, or too many requests are in flight.
    Busy,
    /// The caller called it off before it had a result.
    Cancelled,
    /// The tool inside does not listen any more.
    Broken,
    /// It is no git repository, or lies in none.
    NotARepository,
    /// The other machine has no such git repository, or does not show it to us.
    RepositoryNotFound,
    /// There is no such branch, tag or commit.
    RefNotFound,
    /// There is a branch of that name already.
    BranchExists,
    /// The other machine wants credentials, or does not take those given.
    Authentication,
    /// The other side has commits that are not in what was pushed.
    PushRejected,
    /// The other side refuses the push by a rule of its own.
    RemoteRejected,
    /// Changes that are not committed would be lost.
    DirtyTree,
    /// Changes contradict each other, and somebody has to decide.
    Conflict,
    /// Both sides have commits that the other has not.
    Diverged,
    /// Nothing is staged.
    NothingToCommit,
    /// The sandbox may not reach that machine.
    NetworkRefused,
    /// The other machine was not reached, or did not go on.
    Transport,
    /// It took longer than the caller gave it.
    TimedOut,
    /// A program inside does not speak the protocol that it should.
    Malformed,
    /// Anything else, and whatever a newer belljar says that this one does not know.
    #[serde(other)]
    Failed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 43] = [
        Kind::Invalid,
        Kind::Misused,
        Kind::Host,
        Kind::Setup,
        Kind::NoCommand,
        Kind::NotExecutable,
        Kind::NotFound,
        Kind::Ambiguous,
        Kind::NameTaken,
        Kind::NotRunning,
        Kind::Running,
        Kind::Ended,
        Kind::Silent,
        Kind::OutOfReach,
        Kind::Exists,
        Kind::NotADirectory,
        Kind::IsADirectory,
        Kind::NotEmpty,
        Kind::Denied,
        Kind::NoSpace,
        Kind::NotAFile,
        Kind::TooLarge,
        Kind::SessionEnded,
        Kind::Lost,
        Kind::Busy,
        Kind::Cancelled,
        Kind::Broken,
        Kind::NotARepository,
        Kind::RepositoryNotFound,
        Kind::RefNotFound,
        Kind::BranchExists,
        Kind::Authentication,
        Kind::PushRejected,
        Kind::RemoteRejected,
        Kind::DirtyTree,
        Kind::Conflict,
        Kind::Diverged,
        Kind::NothingToCommit,
        Kind::NetworkRefused,
        Kind::Transport,
        Kind::TimedOut,
        Kind::Malformed,
        Kind::Failed,
    ];

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Misused => "misused",
            Kind::Host => "host",
            Kind::Setup => "setup",
            Kind::NoCommand => "no_command",
            Kind::NotExecutable => "not_executable",
            Kind::NotFound => "not_found",
            Kind::Ambiguous => "ambiguous",
            Kind::NameTaken => "name_taken",
            Kind::NotRunning => "not_running",
            Kind::Running => "running",
            Kind::Ended => "ended",
            Kind::Silent => "silent",
            Kind::OutOfReach => "out_of_reach",
            Kind::Exists => "exists",
            Kind::NotADirectory => "not_a_directory",
            Kind::IsADirectory => "is_a_directory",
            Kind::NotEmpty => "not_empty",
            Kind::Denied => "denied",
            Kind::NoSpace => "no_space",
            Kind::NotAFile => "not_a_file",
            Kind::TooLarge => "too_large",
            Kind::SessionEnded => "session_ended",
            Kind::Lost => "lost",
            Kind::Busy => "busy",
            Kind::Cancelled => "cancelled",
            Kind::Broken => "broken",
            Kind::NotARepository => "not_a_repository",
            Kind::RepositoryNotFound => "repository_not_found",
            Kind::RefNotFound => "ref_not_found",
            Kind::BranchExists => "branch_exists",
            Kind::Authentication => "authentication",
            Kind::PushRejected => "push_rejected",
            Kind::RemoteRejected => "remote_rejected",
            Kind::DirtyTree => "dirty_tree",
            Kind::Conflict => "conflict",
            Kind::Diverged => "diverged",
            Kind::NothingToCommit => "nothing_to_commit",
            Kind::NetworkRefused => "network_refused",
            Kind::Transport => "transport",
            Kind::TimedOut => "timed_out",
            Kind::Malformed => "malformed",
            Kind::Failed => "failed",
        }
    }

    /// The kind of what the kernel answered about a file.
    pub fn of_errno(errno: i32) -> Kind {
        match errno {
            libc::ENOENT => Kind::NotFound,
            libc::EEXIST => Kind::Exists,
            libc::ENOTDIR => Kind::NotADirectory,
            libc::EISDIR => Kind::IsADirectory,
            libc::ENOTEMPTY => Kind::NotEmpty,
            libc::EACCES | libc::EPERM | libc::EROFS => Kind::Denied,
            libc::ENOSPC | libc::EDQUOT | libc::EFBIG => Kind::NoSpace,
            libc::EINVAL | libc::ENAMETOOLONG | libc::ELOOP => Kind::Invalid,
            _ => Kind::Failed,
        }
    }

    /// Whether a tool inside a sandbox may say so. What belongs to the host, it is not believed.
    pub fn comes_from_inside(self) -> bool {
        match self {
            Kind::NotFound
            | Kind::Exists
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::NotEmpty
            | Kind::Denied
            | Kind::NoSpace
            | Kind::NotAFile
            | Kind::Invalid
            | Kind::Ended
            | Kind::Failed
            | Kind::TooLarge
            | Kind::Misused
            | Kind::SessionEnded
            | Kind::Lost
            | Kind::NoCommand
            | Kind::NotExecutable
            | Kind::Busy
            | Kind::TimedOut
            | Kind::Malformed => true,
            Kind::Host
            | Kind::Setup
            | Kind::Ambiguous
            | Kind::NameTaken
            | Kind::NotRunning
            | Kind::Running
            | Kind::Silent
            | Kind::OutOfReach
            | Kind::Cancelled
            | Kind::Broken
            | Kind::NotARepository
            | Kind::RepositoryNotFound
            | Kind::RefNotFound
            | Kind::BranchExists
            | Kind::Authentication
            | Kind::PushRejected
            | Kind::RemoteRejected
            | Kind::DirtyTree
            | Kind::Conflict
            | Kind::Diverged
            | Kind::NothingToCommit
            | Kind::NetworkRefused
            | Kind::Transport => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn each_kind_is_its_word_in_json_and_comes_back() {
        for kind in Kind::ALL {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(text, format!("\"{}\"", kind.word()));
            assert_eq!(serde_json::from_str::<Kind>(&text).unwrap(), kind);
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_a_failure_and_no_panic() {
        assert_eq!(serde_json::from_str::<Kind>("\"quota_of_2031\"").unwrap(), Kind::Failed);
    }

    #[test]
    fn the_table_in_the_documentation_has_every_kind_once() {
        let text = include_str!("../../docs/errors.md");
        let rows: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(rows, words);
    }
}
