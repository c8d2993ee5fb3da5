//! Why a build failed: from what apt, dpkg and mmdebstrap wrote last.

use super::job::Job;
use crate::error::{Blocker, Error, Failure, Problem};
use crate::outcome::{Outcome, Status};
use std::collections::VecDeque;

/// Lines that are kept: a package's script may write much before it fails.
const LINES: usize = 400;
/// The longest line that is kept whole.
const LONGEST: usize = 400;
/// What mmdebstrap says each time, because it may not mount.
const DULL: [&str; 5] =
    ["I: skipping ", "I: running --", "W: cannot mount because ", "unshare: unshare failed", "I: chroot architecture "];
/// Lines of the message.
const SHOWN: usize = 3;

/// The last lines of an output.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    rest: Vec<u8>,
}

impl Tail {
    /// Takes what came, and tells `progress` of each line that is whole now.
    pub fn take(&mut self, bytes: &[u8], progress: &mut dyn FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end(progress),
                byte if self.rest.len() < LONGEST => self.rest.push(*byte),
                _ => {}
            }
        }
    }

    fn end(&mut self, progress: &mut dyn FnMut(&str)) {
        let line: String = String::from_utf8_lossy(&std::mem::take(&mut self.rest))
            .chars()
            .filter(|letter| !letter.is_control())
            .collect();
        if line.trim().is_empty() {
            return;
        }
        if !DULL.iter().any(|dull| line.starts_with(dull)) {
            progress(&line);
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last line.
    pub fn last(&self) -> Option<&str> {
        self.lines.back().map(String::as_str)
    }

    /// What follows the mark in the first line that has it.
    fn after(&self, mark: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| Some(line.split_once(mark)?.1.trim()))
    }
}

/// The error for a build that ended with `outcome`.
pub fn explain(job: &Job<'_>, outcome: &Outcome, tail: &Tail) -> Error {
    let failed = |what: String, hint: Option<String>| {
        let attempt = format!("build `{}`: {what}", job.name());
        Error::Setup(Failure { step: None, attempt, errno: 0, hint })
    };
    match outcome.status {
        Status::Exited => {}
        Status::Cancelled => return failed("cancelled".to_owned(), None),
        Status::OutOfMemory => return failed("out of memory".to_owned(), None),
        Status::TimedOut => {
            return failed("the deadline passed".to_owned(), Some("look whether the mirror is slow".to_owned()));
        }
        other => return failed(format!("ended by {other:?}"), None),
    }
    package(job, tail)
        .or_else(|| archive(job, tail))
        .or_else(|| {
            let name =
                tail.after("dpkg: error processing ")?.trim_start_matches("package ").trim_start_matches("archive ");
            let name = name.split_whitespace().next()?.trim_end_matches(':');
            Some(failed(format!("package `{name}`: {}", errors(tail)), None))
        })
        .or_else(|| {
            let (number, code) = tail.after("belljar: run ")?.split_once(": ")?;
            let command = job.command(number.parse().ok()?)?;
            // Traces are indented below what they are of.
            let before = tail.lines.iter().rev().skip_while(|line| !line.starts_with("belljar: run ")).skip(1);
            let said = before.filter(|line| !line.starts_with([' ', '\t'])).find(|line| !line.starts_with("running: "));
            let said = said.map(|line| format!(": {line}"));
            let index = number.parse::<usize>().ok()? - 1;
            Some(failed(format!("run[{index}] `{command}`: {code}{}", said.unwrap_or_default()), None))
        })
        .unwrap_or_else(|| failed(errors(tail), None))
}

/// A package that there is none of.
fn package(job: &Job<'_>, tail: &Tail) -> Option<Error> {
    let base = job.base();
    let missing = |line: &String| {
        let name = line
            .strip_prefix("E: Unable to locate package ")
            .or_else(|| line.strip_prefix("E: Couldn't find any package by "))
            .or_else(|| line.strip_prefix("E: Version '"))
            .or_else(|| line.strip_prefix("E: Package '"));
        let name = name?.split('\'').next()?.trim().to_owned();
        let version = line.starts_with("E: Version '");
        Some(Problem::new(
            "packages",
            format!(
                "{} `{name}` in {} ({})",
                if version { "no version" } else { "no package" },
                base.suite,
                base.components.join(" ")
            ),
        ))
    };
    let mut problems: Vec<Problem> = Vec::new();
    for problem in tail.lines.iter().filter_map(missing) {
        let problem = problem.hint("correct the name, or add the part of the archive that has it to `components`");
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    (!problems.is_empty()).then_some(Error::Invalid(problems))
}

/// An archive that cannot be reached or trusted.
fn archive(job: &Job<'_>, tail: &Tail) -> Option<Error> {
    let marked = |marks: &[&str]| tail.lines.iter().find(|line| marks.iter().any(|mark| line.contains(mark)));
    let suite = &job.base().suite;
    let blocker = |message: String, hint: &str| Error::Host(Blocker { message, hint: Some(hint.to_owned()) });
    if let Some(line) = marked(&["NO_PUBKEY", "The following signatures", "is not signed", "Missing key "]) {
        return Some(blocker(
            format!("the archive of {suite} is not signed with a key that is known: {}", plain(line)),
            "bring the package debian-archive-keyring up to date, or name the archive's keys as `keyring` in the recipe's `[base]`",
        ));
    }
    let line = marked(&["does not have a Release file"]);
    if let Some(line) = line {
        return Some(blocker(
            format!("no release {suite} there: {}", plain(line)),
            "correct `suite`, or name another `mirror` in the recipe's `[base]`",
        ));
    }
    let line = marked(&["Failed to fetch ", "Could not resolve", "Could not connect", "Temporary failure resolving"])?;
    Some(blocker(
        format!("the archive of {suite} cannot be reached: {}", plain(line)),
        "look whether `apt update` works on this machine; a proxy is taken from its apt or from `http_proxy`, and another mirror is named as `mirror` in the recipe's `[base]`",
    ))
}

/// A line of apt's without its mark.
fn plain(line: &str) -> &str {
    line.trim_start_matches("E: ").trim_start_matches("W: ")
}

/// The lines that say what went wrong, else the last ones.
fn errors(tail: &Tail) -> String {
    let telling = |line: &&String| {
        line.starts_with("E: ")
            && !["E: mmdebstrap failed to run", "E: setup failed"].iter().any(|dull| line.starts_with(dull))
    };
    let mut found: Vec<&String> = tail.lines.iter().filter(telling).collect();
    if found.is_empty() {
        found = tail.lines.iter().collect();
    }
    let shown = &found[found.len().saturating_sub(SHOWN)..];
    let text = shown.iter().map(|line| plain(line)).collect::<Vec<_>>().join("; ");
    if text.is_empty() { "ended without a word".to_owned() } else { text }
}
