//! The three ways in which belljar itself fails, one for each addressee.
//!
//! `Invalid`: the caller asked for something impossible. `Host`: this machine cannot. `Setup`: the kernel
//! refused a planned step. A command that fails, times out or is killed is no error but an
//! [`Outcome`](crate::outcome::Outcome). A bug is a panic, which aborts.

use std::fmt;

/// Why no command ran, or why nothing can be said about how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The request is impossible; every contradiction found, in the order of the fields.
    Invalid(Vec<Problem>),
    /// The command exists nowhere or cannot be executed.
    Command(CommandError),
    /// This machine cannot do what was asked.
    Host(Blocker),
    /// The kernel refused a step of the plan.
    Setup(Failure),
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field of the spec, which is also the name of the flag without its dashes.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Problem { field: field.to_owned(), message: message.into(), hint: None }
    }

    /// The same problem with its cure.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

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

/// What this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The exact blocker.
    pub message: String,
    /// How to get it, with and without root.
    pub hint: Option<String>,
}

/// A step of the plan that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Number of the step, from 1, and of how many. `None`: before or after the walk through the steps.
    pub step: Option<(usize, usize)>,
    /// What was attempted, on what.
    pub attempt: String,
    /// What the kernel answered; 0 when the fault is not an errno.
    pub errno: i32,
    /// How to mend it.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        f.write_str("; ")?;
                    }
                    write!(f, "{problem}")?;
                }
                Ok(())
            }
            Error::Command(command) => write!(f, "{command}"),
            Error::Host(blocker) => f.write_str(&blocker.message),
            Error::Setup(failure) => write!(f, "{failure}"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((number, total)) = self.step {
            write!(f, "step {number} of {total}: ")?;
        }
        f.write_str(&self.attempt)?;
        if self.errno != 0 {
            write!(f, ": {}", describe(self.errno))?;
        }
        Ok(())
    }
}

/// The kernel's error in words, as strerror(3) has it.
pub fn describe(errno: i32) -> String {
    nix::errno::Errno::from_raw(errno).desc().to_owned()
}

/// An error of std in words, without the number that std appends.
pub fn describe_io(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), describe)
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

impl Error {
    /// The word of the result's `error.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Invalid(_) | Error::Command(_) => "invalid",
            Error::Host(_) => "host",
            Error::Setup(_) => "setup",
        }
    }

    /// The exit code of `belljar` itself for this error.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Command(command) => command.exit_code(),
            Error::Invalid(_) | Error::Host(_) | Error::Setup(_) => 125,
        }
    }

    /// All cures, a line each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Error::Invalid(problems) => problems.iter().filter_map(|problem| problem.hint.clone()).collect(),
            Error::Command(command) => command.hint().into_iter().collect(),
            Error::Host(blocker) => blocker.hint.clone().into_iter().collect(),
            Error::Setup(failure) => {
                let general = || used_up(failure.errno).map(str::to_owned);
                failure.hint.clone().or_else(general).into_iter().collect()
            }
        }
    }
}

/// The cure where something of the host's or the caller's is used up, whatever was attempted with it.
pub fn used_up(errno: i32) -> Option<&'static str> {
    let cure = match errno {
        libc::EMFILE => "raise the limit of open files (`ulimit -n`)",
        libc::ENFILE => "the host has no open files left: end what holds them, or as root raise `fs.file-max`",
        libc::ENOMEM | libc::ENOBUFS => {
            "end what uses the memory of this host or container, or raise the limit that holds us (`ulimit -v`, `ulimit -d`)"
        }
        libc::ENOSPC | libc::EDQUOT => "what is written to is full: free space there, or write elsewhere",
        _ => return None,
    };
    Some(cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(reason: CommandReason) -> Error {
        Error::Command(CommandError { command: "x".to_owned(), reason, image: "host".to_owned() })
    }

    #[test]
    fn an_error_names_the_attempt_the_object_and_the_cause() {
        let problems = vec![Problem::new("memory", "is zero").hint("give more"), Problem::new("pids", "is zero")];
        let blocker = Blocker { message: "no user namespaces".to_owned(), hint: None };
        let failure = |step, errno| Failure { step, attempt: "bind `/a` on `/b`".to_owned(), errno, hint: None };
        let table = [
            (Error::Invalid(problems), "memory: is zero; pids: is zero"),
            (command(CommandReason::NotFound), "`x`: command not found in the sandbox"),
            (command(CommandReason::Other(5)), "`x`: cannot execute: I/O error"),
            (Error::Host(blocker), "no user namespaces"),
            (Error::Setup(failure(Some((14, 31)), 13)), "step 14 of 31: bind `/a` on `/b`: Permission denied"),
            (Error::Setup(failure(None, 0)), "bind `/a` on `/b`"),
        ];
        for (error, message) in table {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn whatever_is_used_up_has_a_cure_and_a_step_may_know_a_better_one() {
        let of = |errno, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Error::Setup(Failure { step: None, attempt: "open `/a`".to_owned(), errno, hint }).hints()
        };
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ENOSPC, libc::EDQUOT] {
            assert_eq!((of(errno, None).len(), of(errno, Some("better"))), (1, vec!["better".to_owned()]), "{errno}");
        }
        assert_eq!(of(libc::EINVAL, None), Vec::<String>::new());
    }

    #[test]
    fn only_a_missing_command_ends_in_127_and_only_a_broken_one_in_126() {
        assert_eq!(command(CommandReason::NotFound).exit_code(), 127);
        for reason in [
            CommandReason::NotExecutable,
            CommandReason::Directory,
            CommandReason::WrongArchitecture,
            CommandReason::NoInterpreterLine,
            CommandReason::InterpreterNotFound,
            CommandReason::TooLarge,
            CommandReason::Other(5),
        ] {
            assert_eq!(command(reason).exit_code(), 126);
        }
        assert_eq!(Error::Invalid(Vec::new()).exit_code(), 125);
    }
}
