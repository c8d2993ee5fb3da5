//! What belljar starts itself as: roles that nobody types, each a hidden verb with its words.
//!
//! One definition for both sides. [`Own::words`] writes the words for the side that starts a role, and [`Own::read`] reads them for the
//! command line. Inside a sandbox anyone may start them too: a role decides nothing that its process may not do anyway.

use crate::error::Problem;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::process::Command;

/// A role, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Own {
    /// Supervises a sandbox.
    Supervise {
        /// The sandbox's id.
        id: String,
    },
    /// Brings a leader into a sandbox that waits for a command: what it needs comes through its standard input, which is a socket.
    StandBy {
        /// The sandbox's id.
        id: String,
    },
    /// Makes sandboxes ahead for the runs of a template.
    Spares {
        /// The template's id.
        id: String,
    },
    /// Brings our own program into a sandbox, as [`Own::Tools`].
    Enter {
        /// The sandbox's name or id.
        sandbox: OsString,
        /// Whether the files of a stopped sandbox will do.
        stopped_too: bool,
        /// The number of the pipe on which it says why there are no tools: it stays outside, where nobody inside speaks for the host.
        descriptor: RawFd,
    },
    /// Inside: answers requests about files and sessions.
    Tools {
        /// Bytes that may be written, where no supervisor counts them.
        room: Option<u64>,
    },
    /// Inside: keeps a session.
    Session {
        /// The session's id.
        id: String,
        /// The name of its kind.
        kind: String,
        /// The command, for kinds that have one.
        words: Vec<OsString>,
    },
    /// Inside: makes a terminal its own and becomes the command.
    Terminal {
        /// The terminal's path.
        path: OsString,
        /// The command; a shell where there is none.
        words: Vec<OsString>,
    },
    /// Asks systemd for a scope.
    Scope {
        /// The process that is put into it, which is the one that asks.
        pid: u32,
    },
}

const SUPERVISE: &str = "supervise-sandbox";
const STAND_BY: &str = "stand-by";
const SPARES: &str = "make-spares";
const ENTER: &str = "enter-sandbox";
const TOOLS: &str = "serve-tools";
const SESSION: &str = "keep-session";
const TERMINAL: &str = "take-terminal";
const SCOPE: &str = "__scope";

const ANY: &str = "any";
const RUNNING: &str = "running";

impl Own {
    /// The words of its command line, without the program's name.
    pub fn words(&self) -> Vec<OsString> {
        match self {
            Own::Supervise { id } => vec![SUPERVISE.into(), id.into()],
            Own::StandBy { id } => vec![STAND_BY.into(), id.into()],
            Own::Spares { id } => vec![SPARES.into(), id.into()],
            Own::Enter { sandbox, stopped_too, descriptor } => {
                let how = if *stopped_too { ANY } else { RUNNING };
                vec![ENTER.into(), how.into(), sandbox.clone(), descriptor.to_string().into()]
            }
            Own::Tools { room } => {
                let room = room.map(|bytes| bytes.to_string().into());
                std::iter::once(TOOLS.into()).chain(room).collect()
            }
            Own::Session { id, kind, words } => {
                [SESSION.into(), id.into(), kind.into()].iter().chain(words).cloned().collect()
            }
            Own::Terminal { path, words } => [TERMINAL.into(), path.clone()].iter().chain(words).cloned().collect(),
            Own::Scope { pid } => vec![SCOPE.into(), pid.to_string().into()],
        }
    }

    /// The role that the words ask for; `None` where the first word names no role.
    ///
    /// # Errors
    ///
    /// What is wrong with the words behind the first.
    pub fn read(words: &[OsString]) -> Option<Result<Own, Problem>> {
        let (verb, rest) = words.split_first()?;
        let verb = verb.to_str()?;
        let read = match (verb, rest) {
            (SUPERVISE, [id]) => text(id).map(|id| Own::Supervise { id }),
            (STAND_BY, [id]) => text(id).map(|id| Own::StandBy { id }),
            (SPARES, [id]) => text(id).map(|id| Own::Spares { id }),
            (ENTER, [how, sandbox, descriptor]) => enter(how, sandbox, descriptor),
            (TOOLS, []) => Ok(Own::Tools { room: None }),
            (TOOLS, [room]) => number(room, "number of bytes").map(|room| Own::Tools { room: Some(room) }),
            (SESSION, [id, kind, words @ ..]) => {
                text(id).and_then(|id| Ok(Own::Session { id, kind: text(kind)?, words: words.to_vec() }))
            }
            (TERMINAL, [path, words @ ..]) => Ok(Own::Terminal { path: path.clone(), words: words.to_vec() }),
            (SCOPE, [pid]) => number(pid, "process id").map(|pid| Own::Scope { pid }),
            (verb, _) => Err(format!("the words behind it are not {}", wanted(verb)?)),
        };
        Some(read.map_err(|why| {
            Problem::new(verb, why).hint("belljar starts itself with this verb; `belljar --help` lists those to type")
        }))
    }

    /// What starts it: by the kernel's own name for our program, since the file may have been replaced meanwhile.
    pub fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.args(self.words());
        command
    }

    /// The part of `/proc/PID/cmdline` by which the keeper of the session `id` is known.
    pub fn mark_of_session(id: &str) -> Vec<u8> {
        format!("\0{SESSION}\0{id}\0").into_bytes()
    }
}

/// The words behind a verb; `None` where it is no role.
fn wanted(verb: &str) -> Option<&'static str> {
    Some(match verb {
        SUPERVISE | STAND_BY | SPARES => "`ID`",
        ENTER => "`any|running SANDBOX DESCRIPTOR`",
        TOOLS => "`[BYTES]`",
        SESSION => "`ID KIND [WORD...]`",
        TERMINAL => "`PATH [WORD...]`",
        SCOPE => "`PID`",
        _ => return None,
    })
}

fn enter(how: &OsStr, sandbox: &OsStr, descriptor: &OsStr) -> Result<Own, String> {
    let stopped_too = match how.to_str() {
        Some(ANY) => true,
        Some(RUNNING) => false,
        _ => return Err(format!("{} is neither `{ANY}` nor `{RUNNING}`", shown(how))),
    };
    Ok(Own::Enter {
        sandbox: sandbox.to_owned(),
        stopped_too,
        descriptor: number(descriptor, "number of a descriptor")?,
    })
}

fn text(word: &OsStr) -> Result<String, String> {
    word.to_str().map(str::to_owned).ok_or_else(|| format!("{} is not valid UTF-8", shown(word)))
}

fn number<N: std::str::FromStr>(word: &OsStr, what: &str) -> Result<N, String> {
    word.to_str().and_then(|word| word.parse().ok()).ok_or_else(|| format!("{} is not a {what}", shown(word)))
}

fn shown(word: &OsStr) -> String {
    format!("`{}`", word.to_string_lossy().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn list(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn values() -> Vec<Own> {
        let bytes = OsStr::from_bytes(b"\xff/a b\n").to_owned();
        let command = || vec!["sh".into(), "-c".into(), "a b".into(), OsString::new(), bytes.clone()];
        vec![
            Own::Supervise { id: "0123456789abcdef".into() },
            Own::StandBy { id: "0123456789abcdef".into() },
            Own::Spares { id: "0123456789abcdef".into() },
            Own::Enter { sandbox: "box".into(), stopped_too: true, descriptor: 3 },
            Own::Enter { sandbox: "--help".into(), stopped_too: false, descriptor: 1023 },
            Own::Enter { sandbox: bytes.clone(), stopped_too: false, descriptor: RawFd::MAX },
            Own::Tools { room: None },
            Own::Tools { room: Some(0) },
            Own::Tools { room: Some(u64::MAX) },
            Own::Session { id: "py".into(), kind: "python".into(), words: Vec::new() },
            Own::Session { id: "a".into(), kind: "command".into(), words: command() },
            Own::Terminal { path: "/dev/pts/0".into(), words: Vec::new() },
            Own::Terminal { path: bytes.clone(), words: command() },
            Own::Scope { pid: 7 },
        ]
    }

    #[test]
    fn each_role_goes_to_words_and_comes_back_the_same() {
        for own in values() {
            assert_eq!(Own::read(&own.words()), Some(Ok(own)));
        }
    }

    #[test]
    fn a_role_is_started_by_its_words_and_the_kernels_name_for_our_program() {
        for own in values() {
            let command = own.command();
            assert_eq!(command.get_program(), "/proc/self/exe");
            assert_eq!(command.get_args().collect::<Vec<_>>(), own.words());
        }
    }

    #[test]
    fn words_that_name_no_role_are_for_others_to_read() {
        for words in [&[][..], &[""], &["run"], &["Supervise-sandbox", "a"], &["--", "serve-tools"]] {
            assert_eq!(Own::read(&list(words)), None, "{words:?}");
        }
        assert_eq!(Own::read(&[OsStr::from_bytes(b"\xff").to_owned()]), None);
    }

    #[test]
    fn words_that_a_role_does_not_take_are_refused() {
        let bytes = OsStr::from_bytes(b"\xff").to_owned();
        for (words, complaint) in [
            (list(&["supervise-sandbox"]), "the words behind it are not `ID`"),
            (list(&["supervise-sandbox", "a", "b"]), "the words behind it are not `ID`"),
            (vec!["supervise-sandbox".into(), bytes], "`\u{fffd}` is not valid UTF-8"),
            (list(&["enter-sandbox", "a"]), "the words behind it are not `any|running SANDBOX DESCRIPTOR`"),
            (list(&["enter-sandbox", "beside", "a", "3"]), "`beside` is neither `any` nor `running`"),
            (list(&["enter-sandbox", "any", "a", "k"]), "`k` is not a number of a descriptor"),
            (list(&["serve-tools", "1", "2"]), "the words behind it are not `[BYTES]`"),
            (list(&["serve-tools", "1K\n"]), "`1K\\n` is not a number of bytes"),
            (list(&["keep-session", "a"]), "the words behind it are not `ID KIND [WORD...]`"),
            (list(&["take-terminal"]), "the words behind it are not `PATH [WORD...]`"),
            (list(&["__scope"]), "the words behind it are not `PID`"),
            (list(&["__scope", "-1"]), "`-1` is not a process id"),
        ] {
            let problem = Own::read(&words).and_then(Result::err).unwrap_or_else(|| panic!("{words:?}"));
            assert_eq!((problem.field.as_str(), problem.message.as_str()), (words[0].to_str().unwrap(), complaint));
        }
    }

    #[test]
    fn the_keeper_of_a_session_is_known_by_its_command_line() {
        let of = |id: &str| Own::Session { id: id.into(), kind: "shell".into(), words: Vec::new() };
        let line = |own: Own| -> Vec<u8> {
            let words = std::iter::once("/proc/self/exe".into()).chain(own.words());
            words.flat_map(|word: OsString| [word.as_bytes(), b"\0"].concat()).collect()
        };
        let is_known = |line: Vec<u8>| {
            let mark = Own::mark_of_session("sh");
            line.windows(mark.len()).any(|part| part == mark)
        };
        assert!(is_known(line(of("sh"))));
        assert!(!is_known(line(of("sh2"))));
        assert!(!is_known(line(Own::Supervise { id: "sh".into() })));
    }
}
