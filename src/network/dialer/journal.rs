//! The log of a sandbox's network, bounded, and the sum of what it says.
//!
//! The file is open for appending, so that lines of several writers never mix. Where it would grow beyond its limit the older half is
//! dropped in place: its reader then finds it shorter than before, as after logrotate's `copytruncate`.

use crate::network::policy::Verdict;
use crate::outcome::network::{Allowance, Event, Happening, Summary};
use crate::spec::network::Protocol;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;

/// Bytes that are kept at most when the older half is dropped.
const MOST_KEPT: u64 = 4 << 20;
/// Bytes that gather before they are written, at most.
const MOST_BUFFERED: u64 = 64 << 10;
/// The smallest limit that makes sense: some lines.
const LEAST: u64 = 4096;

/// Log and sum.
#[derive(Debug)]
pub struct Journal {
    file: File,
    limit: u64,
    length: u64,
    /// Lines in the file that are ours.
    lines: u64,
    buffer: Vec<u8>,
    buffered_lines: u64,
    summary: Summary,
}

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The number of the connection.
    pub flow: Option<u64>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it goes; of a query: the server that was asked.
    pub target: Option<SocketAddr>,
    /// The name.
    pub name: Option<&'a str>,
}

impl Journal {
    /// Writes to `file`.
    pub fn new(file: File, limit: u64) -> Journal {
        // Of no regular file nothing is dropped, and none is one here.
        let length = file.metadata().map_or(0, |found| found.len());
        let limit = limit.max(LEAST);
        Journal { file, limit, length, lines: 0, buffer: Vec::new(), buffered_lines: 0, summary: Summary::default() }
    }

    /// The sum so far.
    pub fn summary(&mut self) -> &mut Summary {
        &mut self.summary
    }

    /// A connection was made.
    pub fn opened(&mut self, about: About<'_>, rule: Option<&str>, reason: &str) {
        self.add(Event {
            verdict: Some(Allowance::Allowed),
            rule: rule.map(str::to_owned),
            reason: some(reason),
            ..event(Happening::Opened, about)
        });
    }

    /// The policy says no.
    pub fn refused(&mut self, about: About<'_>, verdict: &Verdict) {
        self.add(Event {
            verdict: Some(Allowance::Denied),
            rule: verdict.rule.clone(),
            reason: some(&verdict.reason),
            hint: verdict.hint.clone(),
            ..event(Happening::Refused, about)
        });
    }

    /// It was allowed, and could not be done.
    pub fn failed(&mut self, about: About<'_>, rule: Option<&str>, reason: &str) {
        self.add(Event {
            verdict: Some(Allowance::Failed),
            rule: rule.map(str::to_owned),
            reason: some(reason),
            ..event(Happening::Refused, about)
        });
    }

    /// A name was asked for.
    pub fn asked(&mut self, about: About<'_>, verdict: &Verdict) {
        self.add(Event {
            verdict: Some(if verdict.allowed { Allowance::Allowed } else { Allowance::Denied }),
            rule: verdict.rule.clone(),
            reason: some(&verdict.reason),
            hint: verdict.hint.clone(),
            ..event(Happening::Query, about)
        });
    }

    /// A connection ended.
    pub fn closed(&mut self, about: About<'_>, bytes: (u64, u64), lasted_ms: u64, reason: &str) {
        self.add(Event {
            sent: Some(bytes.0),
            received: Some(bytes.1),
            duration_ms: Some(lasted_ms),
            reason: some(reason),
            ..event(Happening::Closed, about)
        });
    }

    fn add(&mut self, event: Event) {
        self.summary.add(&event);
        // The types have nothing that JSON has not; where it failed all the same a line is missing and counted.
        match serde_json::to_vec(&event) {
            Ok(mut line) => {
                line.push(b'\n');
                self.buffer.append(&mut line);
                self.buffered_lines += 1;
                if self.buffer.len() as u64 >= (self.limit / 4).min(MOST_BUFFERED) {
                    self.flush();
                }
            }
            Err(_) => self.summary.dropped_lines += 1,
        }
    }

    /// Writes what has gathered. Where the disk is full lines are lost, and counted: the network goes on.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let more = self.buffer.len() as u64;
        if self.length.saturating_add(more) > self.limit {
            self.shorten();
        }
        if self.length.saturating_add(more) <= self.limit && self.file.write_all(&self.buffer).is_ok() {
            self.length += more;
            self.lines += self.buffered_lines;
        } else {
            self.summary.dropped_lines += self.buffered_lines;
        }
        self.buffer.clear();
        self.buffered_lines = 0;
    }

    /// Drops the older half, whole lines.
    fn shorten(&mut self) {
        let keep = (self.limit / 2).min(MOST_KEPT).min(self.length);
        let mut newer = vec![0; usize::try_from(keep).unwrap_or(0)];
        // What cannot be read again is dropped whole.
        if self.file.read_exact_at(&mut newer, self.length - keep).is_err() {
            newer.clear();
        }
        // The first line is one only if it is not cut.
        let whole = self.length > keep;
        let start = newer.iter().position(|byte| *byte == b'\n').map_or(newer.len(), |at| at + 1);
        let newer = if whole { newer.get(start..).unwrap_or_default() } else { &newer };
        let kept = newer.iter().filter(|byte| **byte == b'\n').count() as u64;
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(newer));
        let kept = if written.is_ok() { kept } else { 0 };
        self.length = self.file.metadata().map_or(0, |found| found.len());
        self.summary.dropped_lines += self.lines.saturating_sub(kept);
        self.lines = self.lines.min(kept);
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn event(event: Happening, about: About<'_>) -> Event {
    Event {
        flow: about.flow,
        protocol: Some(about.protocol),
        name: about.name.map(str::to_owned),
        address: about.target.map(|target| target.ip()),
        port: about.target.filter(|_| about.protocol != Protocol::Icmp).map(|target| target.port()),
        ..Event::now(event)
    }
}
