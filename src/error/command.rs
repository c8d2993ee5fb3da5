//! Commands that could not be executed, and why.

use super::{Error, Kind, Problem, describe};
use std::fmt;

/// A command that could not be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The command as asked for.
    pub command: String,
    /// What stood in the way.
    pub reason: CommandReason,
    /// The root file system that it was looked for in, as the result names it: `host`, or an image with its digest.
    pub image: String,
}

/// Why a command could not be executed. `NotFound` ends in 127, all others in 126.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandReason {
    /// Nothing of that name in the sandbox's `PATH`, or no such file.
    NotFound,
    /// The file has no execute permission for the sandbox's user, or lies on a `noexec` mount.
    NotExecutable,
    /// A directory.
    Directory,
    /// An ELF file for another machine.
    WrongArchitecture,
    /// A text file without a `#!` line, or some other format the kernel does not know.
    NoInterpreterLine,
    /// The `#!` line, or the ELF header, names an interpreter that does not exist inside.
    InterpreterNotFound,
    /// Arguments and environment are larger than the kernel takes.
    TooLarge,
    /// Anything else the kernel said (errno).
    Other(i32),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = &self.command;
        match self.reason {
            CommandReason::NotFound => write!(f, "`{command}`: command not found in the sandbox"),
            CommandReason::NotExecutable => write!(f, "`{command}`: not executable: permission denied"),
            CommandReason::Directory => write!(f, "`{command}`: is a directory"),
            CommandReason::WrongArchitecture => write!(f, "`{command}`: built for another architecture"),
            CommandReason::NoInterpreterLine => {
                write!(f, "`{command}`: neither a program nor a script with a `#!` line")
            }
            CommandReason::InterpreterNotFound => {
                write!(f, "`{command}`: its interpreter does not exist in the sandbox")
            }
            CommandReason::TooLarge => write!(f, "`{command}`: arguments and environment are too large"),
            CommandReason::Other(errno) => write!(f, "`{command}`: cannot execute: {}", describe(errno)),
        }
    }
}

impl CommandError {
    /// 127 when there is no such command, 126 when there is and it cannot be executed (POSIX sh, 2.8.2).
    pub fn exit_code(&self) -> i32 {
        match self.reason {
            CommandReason::NotFound => 127,
            _ => 126,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.reason {
            CommandReason::NotFound => match self.image.split_once('@') {
                None => Some(
                    "the sandbox sees the host's `/usr` and what `--mount` adds; look with `belljar run -- ls /usr/bin`",
                ),
                Some((image, _)) => {
                    return Some(format!(
                        "the sandbox runs on the image `{image}`; look with `belljar run --image {image} -- ls /usr/bin`, or take \
                         the machine's own programs with `--image host`"
                    ));
                }
            },
            CommandReason::NotExecutable => {
                Some("`chmod +x` it, or run it through its interpreter, as in `belljar run -- sh FILE`")
            }
            CommandReason::Directory => None,
            CommandReason::WrongArchitecture => Some("build it for this machine's architecture"),
            CommandReason::NoInterpreterLine => {
                Some("begin the script with a line like `#!/bin/sh`, or run it through its interpreter")
            }
            CommandReason::InterpreterNotFound => {
                Some("name an interpreter that exists in the sandbox in its first line")
            }
            CommandReason::TooLarge => Some("pass large data by `--stdin` or `--mount`"),
            CommandReason::Other(_) => None,
        };
        hint.map(str::to_owned)
    }
}

impl From<CommandError> for Error {
    fn from(command: CommandError) -> Error {
        let kind = match command.reason {
            CommandReason::NotFound => Kind::NoCommand,
            _ => Kind::NotExecutable,
        };
        let problem = Problem { field: "command".to_owned(), message: command.to_string(), hint: command.hint() };
        Error {
            hint: problem.hint.clone(),
            message: problem.message.clone(),
            problems: vec![problem],
            ..Error::new(kind, "")
        }
    }
}
