//! What happened, told three ways: an object on stdout, an object on a descriptor, lines on stderr.
//!
//! stdout belongs to the command; of ours it gets the object of `--json` and nothing else. What is said on
//! stderr does not depend on `--json`. A stdout that cannot take our words is an error of ours: it is said on
//! stderr and ends in 125, never in a panic.

mod inactive;
mod out;

pub use crate::verbs::text::plain;
pub use out::{is_refused, out};

use super::parse::Report;
use crate::error::{Error, Problem, describe_io, used_up};
use crate::outcome::{Network, Outcome, Status, Usage};
use crate::spec::{Spec, show_bytes, show_duration};
use crate::verbs::text::is_active;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};

/// Exit code of everything that is our own fault or the request's.
pub const FAILED: i32 = 125;

/// The descriptor of `--status-fd`, once it is known to be usable.
pub type StatusFd = Option<File>;

/// Tells how a run ended; the exit code.
pub fn outcome(outcome: &Outcome, spec: &Spec, report: Report, status: StatusFd) -> i32 {
    if let Some(why) = ended(outcome, spec) {
        say(&format!("ended: {why}"));
    }
    for one in &outcome.published {
        if let Some(why) = &one.lost {
            say(&format!("publish: {} was closed before the end: {why}", one.place()));
        }
    }
    if let Some(error) = &outcome.error {
        failure(error);
    }
    outcome.network.iter().for_each(|found| network(found, outcome.exit_code()));
    deliver(outcome, report, status, outcome.exit_code())
}

/// Targets that were refused, of which more are only counted.
const MOST_TARGETS: usize = 5;

/// Tells that the network was lost, and to whoever wonders why a command failed what it was refused. A command that did without has nothing to
/// complain of.
fn network(found: &Network, code: i32) {
    if found.lost {
        say("the network was lost: a process that served it has ended");
    }
    if code == 0 {
        return;
    }
    for target in found.summary.targets.iter().take(MOST_TARGETS) {
        say(&format!("refused to reach {}: {}", target.target, target.reason));
        target.hint.iter().for_each(|hint| hint_line(hint));
    }
    let more = found.summary.targets.len().saturating_sub(MOST_TARGETS);
    if more > 0 {
        say(&format!("and {more} others that it was refused to reach, which `--json` lists"));
    }
}

/// Tells what went wrong.
pub fn failure(error: &Error) {
    if error.problems.len() > 1 {
        return problems(&error.problems);
    }
    say(&error.to_string());
    error.hints().for_each(hint_line);
}

/// Tells why nothing ran; the exit code.
pub fn error(error: &Error, spec: Option<&Spec>, report: Report, status: StatusFd) -> i32 {
    failure(error);
    deliver(&failed(error, spec), report, status, error.exit_code())
}

/// Problems on stderr, each with its cure below it.
pub fn problems(problems: &[Problem]) {
    for problem in problems {
        say(&problem.to_string());
        problem.hint.iter().for_each(|hint| hint_line(hint));
    }
}

/// Whether stdout is a terminal that shows colour, of somebody who has not asked for none (no-color.org).
pub fn has_colour() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Lines for people on stdout; the exit code, `done` or [`FAILED`].
pub fn people(text: &str, done: i32) -> i32 {
    print(&plain(text, true), done)
}

/// An object on stdout; the exit code, `done` or [`FAILED`].
pub fn object(object: &serde_json::Value, done: i32) -> i32 {
    serialised(object, done)
}

/// The same of anything that is one.
pub fn serialised(object: &impl serde::Serialize, done: i32) -> i32 {
    inactive::written(done, |out| {
        serde_json::to_writer(&mut *out, object)?;
        out.write_all(b"\n")
    })
}

/// Tells an error as one object on standard output; `code`.
pub fn error_object(error: &Error, code: i32) -> i32 {
    object(&serde_json::json!({ "version": 1, "error": error }), code)
}

/// JSON that a terminal does not act on either: what JSON itself lets stand is written as it writes control characters.
fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_active(letter) { shown.push_str(&format!("\\u{:04x}", u32::from(letter))) } else { shown.push(letter) }
    }
    shown
}

/// Text as it is on stdout; the exit code, `done` or [`FAILED`].
pub fn print(text: &str, done: i32) -> i32 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => done,
        Err(error) => unwritten(&error),
    }
}

/// Says that stdout cannot be written to; the exit code.
fn unwritten(error: &io::Error) -> i32 {
    cannot_write("stdout", error);
    FAILED
}

/// One line on stderr.
pub fn bare(line: &str) {
    let _ = writeln!(io::stderr(), "{}", plain(line, false));
}

fn cannot_write(what: &str, error: &io::Error) {
    say(&format!("cannot write to {what}: {}", describe_io(error)));
    error.raw_os_error().and_then(used_up).into_iter().for_each(hint_line);
}

/// A message on stderr under our name, in one line but for what is quoted in it. If nobody can read it there is nobody left to tell.
pub fn say(text: &str) {
    let mut lines = text.trim_end().split('\n').map(|line| plain(line, false));
    let first = lines.next().unwrap_or_default();
    // What follows is set off, so that nothing in it looks like a message or a cure of ours.
    let rest: String = lines.map(|line| format!("    {line}\n")).collect();
    let _ = write!(io::stderr(), "belljar: {first}\n{rest}");
}

/// A cure, on a line of its own.
pub fn hint_line(hint: &str) {
    let _ = writeln!(io::stderr(), "hint: {}", plain(hint, false));
}

/// The objects that were asked for. One that cannot be written makes the run a failure of ours: a caller that
/// reads half an object must not also read success.
pub fn deliver(outcome: &Outcome, report: Report, status: StatusFd, code: i32) -> i32 {
    let mut code = code;
    if let Some(mut file) = status {
        let written =
            line(&Outcome { output: None, ..outcome.clone() }).and_then(|line| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            cannot_write("the descriptor of `--status-fd`", &error);
            code = FAILED;
        }
    }
    if !report.json {
        return code;
    }
    match line(outcome) {
        Ok(line) => print(&line, code),
        Err(error) => {
            say(&format!("cannot write the result: {error}"));
            FAILED
        }
    }
}

fn line(outcome: &Outcome) -> io::Result<String> {
    let mut text = json(&serde_json::to_string(outcome).map_err(io::Error::other)?);
    text.push('\n');
    Ok(text)
}

/// The result object of a run that never was.
pub fn failed(error: &Error, spec: Option<&Spec>) -> Outcome {
    let image = spec.and_then(|spec| spec.image.as_deref()).unwrap_or("host");
    Outcome {
        version: 1,
        sandbox: String::new(),
        image: image.to_owned(),
        status: Status::SetupFailed,
        exit_code: None,
        signal: None,
        output: None,
        usage: Usage::default(),
        limits_reached: Vec::new(),
        enforcement: BTreeMap::new(),
        network: None,
        published: Vec::new(),
        warm: None,
        error: Some(error.clone()),
    }
}

/// Why we ended the command; `None` when it ended by itself or never began.
fn ended(outcome: &Outcome, spec: &Spec) -> Option<String> {
    let signal = outcome.signal.as_deref();
    match outcome.status {
        Status::Exited | Status::Signaled | Status::SetupFailed => None,
        Status::TimedOut => {
            let time = spec.timeout.map_or_else(String::new, |time| format!(" of {}", show_duration(time)));
            Some(format!("deadline{time} passed"))
        }
        Status::CpuTimeExceeded => {
            let time = spec.cpu_time.map_or_else(String::new, |time| format!(" of {}", show_duration(time)));
            Some(format!("CPU time{time} used up"))
        }
        Status::OutOfMemory => Some(format!("memory limit of {} passed", show_bytes(spec.memory))),
        Status::OutputLimit => {
            let size = spec.output_limit.map_or_else(String::new, |limit| format!(" of {}", show_bytes(limit.bytes)));
            Some(format!("output limit{size} passed"))
        }
        Status::ForbiddenSyscall => Some("a system call that the seccomp profile forbids".to_owned()),
        // With the sandbox, and the error says why.
        Status::Cancelled if outcome.error.is_some() => None,
        Status::Cancelled => Some(format!("stopped by {}", signal.unwrap_or("a signal"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Status;

    fn of(status: Status) -> Outcome {
        let error = Error::invalid(Vec::new());
        Outcome { status, error: None, ..failed(&error, None) }
    }

    #[test]
    fn what_we_ended_says_which_limit_was_passed() {
        let spec = Spec::default();
        let table = [
            (Status::Exited, None),
            (Status::Signaled, None),
            (Status::SetupFailed, None),
            (Status::TimedOut, Some("deadline of 5m passed")),
            (Status::CpuTimeExceeded, Some("CPU time used up")),
            (Status::OutOfMemory, Some("memory limit of 1 GiB passed")),
            (Status::OutputLimit, Some("output limit passed")),
            (Status::ForbiddenSyscall, Some("a system call that the seccomp profile forbids")),
            (Status::Cancelled, Some("stopped by a signal")),
        ];
        for (status, why) in table {
            assert_eq!(ended(&of(status), &spec).as_deref(), why, "{status:?}");
        }
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_is_printed() {
        let table = [
            ("größe `a`\tb", "größe `a`\\tb"),
            ("a\nbelljar: all is well", "a\\nbelljar: all is well"),
            ("\u{1b}[2J\u{9b}31m\u{7f}", "\\u{1b}[2J\\u{9b}31m\\u{7f}"),
            ("ex\u{202e}gpj\u{2066}\u{200f}", "ex\\u{202e}gpj\\u{2066}\\u{200f}"),
            ("\\u{1b} was escaped", "\\u{1b} was escaped"),
        ];
        for (text, shown) in table {
            assert_eq!(plain(text, false), shown);
        }
        assert_eq!(plain("a\n\tb\r", true), "a\n\tb\\r");
        let value = serde_json::json!({ "a": "\u{202e}\u{1b}\u{9b}" });
        let text = json(&value.to_string());
        assert_eq!(text, r#"{"a":"\u202e\u001b\u009b"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_request_that_cannot_be_is_an_object_too() {
        let problems = vec![Problem::new("memory", "`0` is zero").hint("give more"), Problem::new("pids", "is zero")];
        let text = line(&failed(&Error::invalid(problems), None)).unwrap();
        let whole = concat!(
            r#"{"version":1,"sandbox":"","image":"host","status":"setup_failed","exit_code":null,"signal":null,"#,
            r#""usage":{"wall_ms":0,"cpu_ms":0,"peak_memory_bytes":0,"peak_pids":0,"disk_bytes":0},"#,
            r#""limits_reached":[],"enforcement":{},"network":null,"published":[],"warm":null,"error":{"kind":"invalid","#,
            r#""message":"memory: `0` is zero; pids: is zero","hint":"give more","step":null,"#,
            r#""fields":["memory","pids"],"problems":[{"field":"memory","message":"`0` is zero","hint":"give more"},"#,
            r#"{"field":"pids","message":"is zero","hint":null}],"path":null,"errno":null}}"#,
            "\n"
        );
        assert_eq!(text, whole);
    }
}
