//! Why a build failed: from what apt, dpkg and mmdebstrap wrote last.

use crate::error::{Blocker, Error, Failure, Problem};
use crate::images::recipe::Recipe;
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

    /// Nothing more comes: what had no end of line is a line.
    pub fn finish(&mut self, progress: &mut dyn FnMut(&str)) {
        self.end(progress);
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

/// The error for a build of `recipe` that ended with `outcome`.
pub fn explain(recipe: &Recipe, outcome: &Outcome, tail: &Tail) -> Error {
    let why = match outcome.status {
        Status::Exited => return from_output(recipe, tail),
        Status::Cancelled => "cancelled".to_owned(),
        Status::Signaled => match outcome.signal.as_deref().unwrap_or("a signal") {
            // Signals to us are passed on, and it may end before we end it.
            "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT" => "cancelled".to_owned(),
            signal => format!("ended by {signal}"),
        },
        Status::OutOfMemory => "out of memory".to_owned(),
        Status::TimedOut => "not done when the deadline passed".to_owned(),
        Status::CpuTimeExceeded | Status::OutputLimit | Status::ForbiddenSyscall | Status::SetupFailed => {
            format!("ended as {:?}", outcome.status)
        }
    };
    failed(recipe, why)
}

fn failed(recipe: &Recipe, why: String) -> Error {
    let name = recipe.name.as_deref().unwrap_or("the recipe");
    Error::from(Failure { step: None, attempt: format!("build `{name}`: {why}"), errno: 0, hint: None })
}

/// The error for a build that gave up by itself.
fn from_output(recipe: &Recipe, tail: &Tail) -> Error {
    missing(recipe, tail)
        .or_else(|| archive(recipe, tail))
        .or_else(|| command(recipe, tail))
        .or_else(|| package(recipe, tail))
        .unwrap_or_else(|| failed(recipe, errors(tail)))
}

/// A command of the recipe that failed.
fn command(recipe: &Recipe, tail: &Tail) -> Option<Error> {
    let (number, code) = tail.after("belljar: run ")?.split_once(": ")?;
    let index = number.parse::<usize>().ok()?.checked_sub(1)?;
    let command = recipe.run.get(index)?.lines().next()?;
    // Traces are indented below what they are of.
    let before = tail.lines.iter().rev().skip_while(|line| !line.starts_with("belljar: run ")).skip(1);
    let said = before.filter(|line| !line.starts_with([' ', '\t'])).find(|line| !line.starts_with("running: "));
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    Some(failed(recipe, format!("run[{index}] `{command}`: {code}{said}")))
}

/// A package that could not be unpacked or set up.
fn package(recipe: &Recipe, tail: &Tail) -> Option<Error> {
    let words = tail.after("dpkg: error processing ")?;
    let name = words.split_whitespace().find(|word| !["package", "archive"].contains(word))?;
    let name = name.rsplit('/').next()?.trim_end_matches(':');
    // What its script said comes before.
    let before = tail.lines.iter().rev().skip_while(|line| !line.contains("dpkg: error processing ")).skip(1);
    let said = before.take(1).map(|line| format!(": {line}")).next().unwrap_or_default();
    Some(failed(recipe, format!("package `{name}` cannot be set up{said}")))
}

/// A package that there is none of.
fn missing(recipe: &Recipe, tail: &Tail) -> Option<Error> {
    let base = &recipe.base;
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
    (!problems.is_empty()).then(|| Error::invalid(problems))
}

/// An archive that cannot be reached or trusted.
fn archive(recipe: &Recipe, tail: &Tail) -> Option<Error> {
    let marked = |marks: &[&str]| tail.lines.iter().find(|line| marks.iter().any(|mark| line.contains(mark)));
    let suite = &recipe.base.suite;
    let blocker = |message: String, hint: &str| Error::from(Blocker { message, hint: Some(hint.to_owned()) });
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
    if text.is_empty() { "ended without a message".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::recipe::parse;

    /// Kind, message and hints of the error for an output.
    fn told(output: &str) -> (&'static str, String) {
        let recipe = parse("name = \"x\"\nrun = [\"one\", \"two\"]\nbase.suite = \"trixie\"").expect("a recipe");
        let mut tail = Tail::default();
        tail.take(output.as_bytes(), &mut |_| {});
        tail.finish(&mut |_| {});
        let error = from_output(&recipe, &tail);
        (error.kind.word(), error.to_string())
    }

    #[test]
    fn what_was_in_the_way_is_found_in_the_output() {
        let table = [
            (
                "I: downloading\nE: Unable to locate package a\nE: Unable to locate package b\nE: Unable to locate package a\n",
                ("invalid", "packages: no package `a` in trixie (main); packages: no package `b` in trixie (main)"),
            ),
            (
                "E: Package 'a' has no installation candidate\n",
                ("invalid", "packages: no package `a` in trixie (main)"),
            ),
            ("E: Version '7' for 'a' was not found\n", ("invalid", "packages: no version `7` in trixie (main)")),
            (
                "W: GPG error: http://m x InRelease: The following signatures couldn't be verified: NO_PUBKEY 7\nE: The repository 'm' is not signed.\n",
                (
                    "host",
                    "the archive of trixie is not signed with a key that is known: GPG error: http://m x InRelease: The following signatures couldn't be verified: NO_PUBKEY 7",
                ),
            ),
            (
                "E: The repository 'http://m trixie Release' does not have a Release file.\n",
                (
                    "host",
                    "no release trixie there: The repository 'http://m trixie Release' does not have a Release file.",
                ),
            ),
            (
                "E: Failed to fetch http://m/InRelease  Could not resolve 'm'\n",
                (
                    "host",
                    "the archive of trixie cannot be reached: Failed to fetch http://m/InRelease  Could not resolve 'm'",
                ),
            ),
            (
                "Setting up a (1) ...\na.postinst: no such thing\ndpkg: error processing package a (--configure):\n installed script returned 1\nE: run_chroot failed\n",
                ("setup", "build `x`: package `a` cannot be set up: a.postinst: no such thing"),
            ),
            (
                "dpkg: error processing archive /var/cache/apt/archives/a_1_all.deb (--unpack):\n",
                ("setup", "build `x`: package `a_1_all.deb` cannot be set up"),
            ),
            (
                "running: two\nit is wrong\n    at line 7\nbelljar: run 2: exit code 3\nE: setup failed: E: command failed\n",
                ("setup", "build `x`: run[1] `two`: exit code 3: it is wrong"),
            ),
            ("E: one\nI: two\nE: mmdebstrap failed to run\n", ("setup", "build `x`: one")),
            ("first\nlast", ("setup", "build `x`: first; last")),
            ("", ("setup", "build `x`: ended without a message")),
        ];
        for (output, (kind, message)) in table {
            let (found, text) = told(output);
            assert_eq!((found, text.as_str()), (kind, message), "{output}");
        }
    }

    #[test]
    fn an_output_without_an_end_is_kept_in_a_bounded_tail() {
        let mut tail = Tail::default();
        let mut told = 0;
        let mut progress = |_: &str| told += 1;
        tail.take("a\u{1b}[0mb\n\n".as_bytes(), &mut progress);
        for _ in 0..LINES {
            tail.take(&[b'x'; 2 * LONGEST], &mut progress);
            tail.take(b"\n", &mut progress);
        }
        tail.take(b"I: skipping what is dull\n", &mut progress);
        assert_eq!((told, tail.lines.len()), (LINES + 1, LINES));
        assert_eq!(tail.lines[0].len(), LONGEST);
    }
}
