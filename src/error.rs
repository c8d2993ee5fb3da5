//! The one error of the house: what could not be done, for people and for programs.
//!
//! [`Error`] is made where something fails and travels as it is: through processes and out of a sandbox as JSON, to the
//! command line's `--json`, to `rpc`, into the result object. Programs decide by its [`Kind`], a word that does not change;
//! nobody compares sentences. A command that fails, times out or is killed is no error but an
//! [`Outcome`](crate::outcome::Outcome). A bug is a panic, which aborts.

mod command;
mod kind;

pub use command::{CommandError, CommandReason};
pub use kind::Kind;

use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Object", into = "Object")]
pub struct Error {
    /// What programs decide by.
    pub kind: Kind,
    /// What went wrong, for people, without the path.
    pub message: String,
    /// How to mend it; several cures are lines.
    pub hint: Option<String>,
    /// Of a request: everything that is wrong with it, in the order of the fields.
    pub problems: Vec<Problem>,
    /// The path inside a sandbox that it is about.
    pub path: Option<Box<Name>>,
    /// The step of the plan that the kernel refused, from 1, and of how many.
    pub step: Option<(u16, u16)>,
    /// What the kernel answered, errno(3).
    pub errno: Option<i32>,
}

/// The error object, the same in `--json`, `rpc` and the result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Object {
    /// What programs decide by.
    kind: Kind,
    /// What went wrong, for people, without the path.
    message: String,
    /// How to mend it; several cures are lines.
    #[serde(default)]
    hint: Option<String>,
    /// The step of the plan that the kernel refused, as `14 of 31`.
    #[serde(default)]
    step: Option<String>,
    /// Of a request: the fields at fault.
    #[serde(default)]
    fields: Vec<String>,
    /// The same with what is wrong with each, and its cure.
    #[serde(default)]
    problems: Vec<Problem>,
    /// The path inside a sandbox that it is about; an object with `base64` where it is no text.
    #[serde(default)]
    path: Option<Name>,
    /// What the kernel answered, errno(3).
    #[serde(default)]
    errno: Option<i32>,
}

#[cfg(test)]
impl schemars::JsonSchema for Error {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Error".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Object::json_schema(generator)
    }
}

impl From<Error> for Object {
    fn from(error: Error) -> Object {
        Object {
            kind: error.kind,
            step: error.step.map(|(number, total)| format!("{number} of {total}")),
            fields: error.problems.iter().map(|problem| problem.field.clone()).collect(),
            message: error.message,
            hint: error.hint,
            problems: error.problems,
            path: error.path.map(|path| *path),
            errno: error.errno,
        }
    }
}

impl From<Object> for Error {
    fn from(object: Object) -> Error {
        let step = object.step.as_deref().and_then(|step| step.split_once(" of "));
        Error {
            kind: object.kind,
            step: step.and_then(|(number, total)| Some((number.parse().ok()?, total.parse().ok()?))),
            message: object.message,
            hint: object.hint,
            problems: object.problems,
            path: object.path.map(Box::new),
            errno: object.errno,
        }
    }
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        match &self.path {
            Some(path) => write!(f, "{path}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None, problems: Vec::new(), path: None, step: None, errno: None }
    }

    /// A request that is impossible; every contradiction found, in the order of the fields.
    pub fn invalid(problems: Vec<Problem>) -> Error {
        Error::of(Kind::Invalid, problems)
    }

    /// Words or parameters that cannot be understood; all that is wrong with them.
    pub fn misused(problems: Vec<Problem>) -> Error {
        Error::of(Kind::Misused, problems)
    }

    /// An error of that kind with what is wrong with each field.
    pub fn of(kind: Kind, problems: Vec<Problem>) -> Error {
        let messages: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        let hint = (!hints.is_empty()).then(|| hints.join("\n"));
        Error { hint, problems, ..Error::new(kind, messages.join("; ")) }
    }

    /// What the kernel answered to an attempt; an errno of 0 is none.
    pub fn setup(attempt: impl Into<String>, errno: i32) -> Error {
        Failure { step: None, attempt: attempt.into(), errno, hint: None }.into()
    }

    /// The same for what std answered.
    pub fn attempt(attempt: impl Into<String>, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno) => Error::setup(attempt, errno),
            None => Error::setup(format!("{}: {error}", attempt.into()), 0),
        }
    }

    /// A call to the kernel about a file, whose answer says the kind.
    pub fn of_io(error: &io::Error) -> Error {
        // One of ours that went through std keeps its kind.
        if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return ours.clone();
        }
        let Some(errno) = error.raw_os_error() else {
            let kind = match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::TimedOut => Kind::Ended,
                io::ErrorKind::OutOfMemory => Kind::TooLarge,
                _ => Kind::Failed,
            };
            return Error::new(kind, error.to_string());
        };
        Error { errno: Some(errno), ..Error::new(Kind::of_errno(errno), describe(errno)) }
    }

    /// A file of the host that `field` names cannot be read.
    pub fn of_file(field: &str, path: &Path, error: &io::Error) -> Error {
        let problem = Problem::new(field, format!("`{}`: {}", path.display(), describe_io(error)));
        Error { errno: error.raw_os_error(), ..Error::of(Error::of_io(error).kind, vec![problem]) }
    }

    /// The same where a field has another name.
    pub fn rename_field(mut self, from: &str, to: &str) -> Error {
        for problem in self.problems.iter_mut().filter(|problem| problem.field == from) {
            to.clone_into(&mut problem.field);
        }
        self
    }

    /// The same with a cure instead of the one it had.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The same about `path`, unless it is about another already.
    pub fn about(mut self, path: &Name) -> Error {
        self.path.get_or_insert_with(|| Box::new(path.clone()));
        self
    }

    /// The same as a problem of `field`, which the message does not name.
    pub fn of_field(mut self, field: &str) -> Error {
        let (message, hint) = (self.message.clone(), self.hint.clone());
        self.problems = vec![Problem { field: field.to_owned(), message, hint }];
        self
    }

    /// The same with `prefix` before each message.
    pub fn within(mut self, prefix: &str) -> Error {
        if self.problems.is_empty() {
            self.message.insert_str(0, prefix);
            return self;
        }
        self.problems.iter_mut().for_each(|problem| problem.message.insert_str(0, prefix));
        Error { path: self.path, step: self.step, errno: self.errno, ..Error::of(self.kind, self.problems) }
    }

    /// Whether it is about this field.
    pub fn is_of(&self, field: &str) -> bool {
        self.problems.iter().any(|problem| problem.field == field)
    }

    /// The same as it is believed when it comes from inside a sandbox: of a kind that belongs to the host nothing is left.
    pub fn from_inside(self) -> Error {
        let kind = if self.kind.comes_from_inside() { self.kind } else { Kind::Failed };
        Error { kind, ..self }
    }

    /// The exit code of `belljar` itself where a command was to run: 127 for one that is not there, 126 for one that cannot be
    /// executed (POSIX sh, 2.8.2), else 125.
    pub fn exit_code(&self) -> i32 {
        match self.kind {
            Kind::NoCommand => 127,
            Kind::NotExecutable => 126,
            _ => 125,
        }
    }

    /// All cures, a line each.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.hint.iter().flat_map(|hint| hint.lines())
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::invalid(vec![problem])
    }
}

impl From<Blocker> for Error {
    fn from(blocker: Blocker) -> Error {
        Error { hint: blocker.hint, ..Error::new(Kind::Host, blocker.message) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let message = failure.to_string();
        let general = || used_up(failure.errno).map(str::to_owned);
        Error {
            hint: failure.hint.or_else(general),
            step: failure.step.map(|(number, total)| (number as u16, total as u16)),
            errno: (failure.errno != 0).then_some(failure.errno),
            ..Error::new(Kind::Setup, message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
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
        CommandError { command: "x".to_owned(), reason, image: "host".to_owned() }.into()
    }

    #[test]
    fn an_error_names_the_attempt_the_object_and_the_cause() {
        let problems = vec![Problem::new("memory", "is zero").hint("give more"), Problem::new("pids", "is zero")];
        let blocker = Blocker { message: "no user namespaces".to_owned(), hint: None };
        let failure = |step, errno| Failure { step, attempt: "bind `/a` on `/b`".to_owned(), errno, hint: None };
        let table = [
            (Error::invalid(problems), "memory: is zero; pids: is zero"),
            (command(CommandReason::NotFound), "`x`: command not found in the sandbox"),
            (command(CommandReason::Other(5)), "`x`: cannot execute: I/O error"),
            (Error::from(blocker), "no user namespaces"),
            (Error::from(failure(Some((14, 31)), 13)), "step 14 of 31: bind `/a` on `/b`: Permission denied"),
            (Error::from(failure(None, 0)), "bind `/a` on `/b`"),
        ];
        for (error, message) in table {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn whatever_is_used_up_has_a_cure_and_a_step_may_know_a_better_one() {
        let of = |errno, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            let error = Error::from(Failure { step: None, attempt: "open `/a`".to_owned(), errno, hint });
            error.hints().map(str::to_owned).collect::<Vec<_>>()
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
        assert_eq!(Error::invalid(Vec::new()).exit_code(), 125);
    }

    #[test]
    fn an_error_is_the_same_after_it_has_travelled() {
        let problems = vec![Problem::new("memory", "is zero").hint("give more"), Problem::new("pids", "is zero")];
        let errors = [
            Error::of(Kind::Misused, problems),
            command(CommandReason::NotFound),
            Error::from(Failure { step: Some((14, 31)), attempt: "mount".to_owned(), errno: 13, hint: None }),
            Error::of_io(&io::Error::from_raw_os_error(libc::EEXIST)).about(&Name(b"/a\xff".to_vec())).hint("b\nc"),
        ];
        for error in errors {
            let text = serde_json::to_string(&error).unwrap();
            assert_eq!(serde_json::from_str::<Error>(&text).unwrap(), error, "{text}");
        }
    }

    #[test]
    fn a_prefix_stands_before_each_message_and_behind_its_field() {
        let error = Error::invalid(vec![Problem::new("a", "is zero"), Problem::new("b", "is one")]).within("x: ");
        assert_eq!(error.to_string(), "a: x: is zero; b: x: is one");
        assert_eq!(Error::new(Kind::Host, "cannot").within("x: ").to_string(), "x: cannot");
    }
}
