//! What happened: the result object of `--json` and `--status-fd`, as types.
//!
//! The JSON Schema (`docs/schema.json`, `belljar schema`) is generated from these types by a test. Bytes that
//! are not UTF-8 are carried as base64, never lossy.

pub mod network;
mod published;

pub use published::Published;

use crate::error::Error;
use crate::spec::Protection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a caller may know about one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outcome {
    /// Version of this object; 1.
    pub version: u32,
    /// The sandbox's id, unique on this host.
    pub sandbox: String,
    /// The root file system: `host`, or an image with its digest.
    pub image: String,
    /// How it ended.
    pub status: Status,
    /// The command's exit code; null when it did not exit by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the command, by name (`SIGKILL`); null when none did.
    pub signal: Option<String>,
    /// What the command wrote; absent in `--status-fd`, and null when it was not captured.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// What it used.
    pub usage: Usage,
    /// Limits that the command ran into without being ended for it, as far as was seen (`pids`, `disk`).
    #[serde(serialize_with = "names")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub limits_reached: Vec<Protection>,
    /// Each protection, and how far it was enforced.
    pub enforcement: BTreeMap<String, Enforcement>,
    /// What it did on its network, where there is a policy of what may be reached; null where there is none.
    pub network: Option<Network>,
    /// Ports that were reached from the host; none where none were asked for.
    pub published: Vec<Published>,
    /// How a warm template came into it; null where none was asked for.
    pub warm: Option<Warm>,
    /// Why no command ran, or why it was ended together with the sandbox that it had joined; null when one did.
    pub error: Option<Error>,
}

/// How code came to be run that was to be run by a warm template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warm {
    /// Which of the ways.
    pub how: How,
    /// Why it was none of the template's; null where it was.
    pub why: Option<String>,
    /// What it had in common with other runs of the template, where each is a copy of the same process.
    pub shares: &'static [&'static str],
}

impl Warm {
    /// By a copy, or by an interpreter that was executed for it.
    pub fn copied(how: How, shares: bool) -> Warm {
        Warm { how, why: None, shares: if shares { &["hash seed", "layout of memory", "stack canary"] } else { &[] } }
    }

    /// What that means for an isolation that every run has which begins by itself, where it has it in part: its name in
    /// [`Outcome::enforcement`], and what is missing.
    pub fn enforcement(&self) -> Option<(String, Enforcement)> {
        let (last, others) = self.shares.split_last()?;
        let missing = format!("{} and {last} are those of all runs by the template", others.join(", "));
        Some(("randomization".to_owned(), Enforcement::Partly(missing)))
    }

    /// By none, and why.
    pub fn cold(why: String) -> Warm {
        Warm { how: How::Cold, why: Some(why), shares: &[] }
    }
}

/// The ways in which code is run by a warm template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a copy of the interpreter that had waited.
    Parked,
    /// By one that was made for it.
    Forked,
    /// By an interpreter of its own, which had to begin anew.
    Cold,
}

/// What a sandbox did on its network.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Network {
    /// Whether a process that serves it was gone before the end: nothing was reached from then on, and the sum is that of `connections`.
    pub lost: bool,
    /// The sum.
    #[serde(flatten)]
    pub summary: network::Summary,
    /// What happened, in order; of many the last ones.
    pub connections: Vec<network::Event>,
}

/// Events of a result.
const MOST_EVENTS: usize = 1000;

impl Network {
    /// What there was; the sum is that of the events where nobody could say it any more.
    pub fn of(summary: Option<network::Summary>, events: Vec<network::Event>, lost: bool) -> Network {
        let mut connections = events;
        let summary = summary.unwrap_or_else(|| network::Summary::of(&connections));
        connections.drain(..connections.len().saturating_sub(MOST_EVENTS));
        Network { lost, summary, connections }
    }
}

/// Protections by the words that people write.
fn names<S: serde::Serializer>(protections: &[Protection], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(protections.iter().map(|protection| protection.name()))
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The command exited by itself, with `exit_code`.
    Exited,
    /// A signal ended the command, with `signal`.
    Signaled,
    /// The deadline passed.
    TimedOut,
    /// The CPU time was used up.
    CpuTimeExceeded,
    /// The memory limit was passed.
    OutOfMemory,
    /// The output limit was passed, and `:kill` was asked for.
    OutputLimit,
    /// The seccomp filter killed the command (SIGSYS).
    ForbiddenSyscall,
    /// The supervisor was told to end (SIGINT, SIGTERM, SIGHUP, SIGQUIT) and ended everything; or the command had joined a
    /// sandbox, and that has ended, as `error` says.
    Cancelled,
    /// No command ran; see `error`.
    SetupFailed,
}

/// Captured output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Output {
    /// Standard output, encoded as `stdout_encoding` says.
    pub stdout: String,
    /// Encoding of `stdout`.
    pub stdout_encoding: Encoding,
    /// Whether bytes beyond the limit were dropped.
    pub stdout_truncated: bool,
    /// Standard error, encoded as `stderr_encoding` says.
    pub stderr: String,
    /// Encoding of `stderr`.
    pub stderr_encoding: Encoding,
    /// Whether bytes beyond the limit were dropped.
    pub stderr_truncated: bool,
}

/// How bytes are written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Encoding {
    /// The bytes are valid UTF-8 and stand as they are.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Standard base64 with padding (RFC 4648).
    #[serde(rename = "base64")]
    Base64,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usage {
    /// Wall clock, milliseconds, from the start of the set-up to the end of the command.
    pub wall_ms: u64,
    /// CPU time of all processes, milliseconds.
    pub cpu_ms: u64,
    /// The highest memory use seen, bytes.
    pub peak_memory_bytes: u64,
    /// The highest number of processes and threads seen.
    pub peak_pids: u32,
    /// Bytes in the writable layer at the end.
    pub disk_bytes: u64,
}

/// How far a protection was enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Fully.
    Enforced,
    /// As far as the kernel can; what is missing.
    Partly(String),
    /// Not at all, with the reason; only ever because the caller allowed it.
    Off(String),
    /// A limit: by which mechanism, and whether exactly.
    #[serde(untagged)]
    By {
        /// The mechanism.
        by: String,
        /// Whether the limit can never be passed.
        exact: bool,
    },
}

impl Enforcement {
    /// A limit enforced by `mechanism`.
    pub fn by(mechanism: &str, exact: bool) -> Self {
        Enforcement::By { by: mechanism.to_owned(), exact }
    }
}

/// The protections of one run, by name.
pub type Enforcements = BTreeMap<Protection, Enforcement>;

impl Outcome {
    /// The exit code of `belljar` itself for this outcome: the command's own, 128+n for a signal, 124 for the
    /// deadline. What we killed for a limit ends like any SIGKILL.
    pub fn exit_code(&self) -> i32 {
        let by_signal = |usual| 128 + self.signal.as_deref().and_then(signal_number).unwrap_or(usual);
        match self.status {
            Status::Exited => self.exit_code.unwrap_or(125),
            Status::Signaled => by_signal(SIGKILL),
            Status::TimedOut => 124,
            Status::CpuTimeExceeded | Status::OutOfMemory | Status::OutputLimit => 128 + SIGKILL,
            Status::ForbiddenSyscall => 128 + SIGSYS,
            Status::Cancelled if self.error.is_some() => 125,
            Status::Cancelled => by_signal(SIGTERM),
            Status::SetupFailed => 125,
        }
    }
}

const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;
const SIGSYS: i32 = nix::sys::signal::Signal::SIGSYS as i32;
const SIGTERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;

/// The number of a signal by its name, as `SIGTERM`, `SIGRTMIN+3` or `SIG35`.
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(signal) = name.parse::<nix::sys::signal::Signal>() {
        return Some(signal as i32);
    }
    let number = match name.strip_prefix("SIGRTMIN") {
        // 34 in user space; the kernel's 32 and 33 belong to the C library.
        Some("") => Some(34),
        Some(offset) => offset.strip_prefix('+')?.parse::<i32>().ok().and_then(|offset| offset.checked_add(34)),
        None => name.strip_prefix("SIG")?.parse().ok(),
    };
    number.filter(|number| (1..=64).contains(number))
}

impl Output {
    /// Encodes what was captured.
    pub fn new(stdout: Captured, stderr: Captured) -> Self {
        let (stdout_encoding, stdout_text) = encode(stdout.bytes);
        let (stderr_encoding, stderr_text) = encode(stderr.bytes);
        Output {
            stdout: stdout_text,
            stdout_encoding,
            stdout_truncated: stdout.truncated,
            stderr: stderr_text,
            stderr_encoding,
            stderr_truncated: stderr.truncated,
        }
    }
}

/// One captured stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// What was kept.
    pub bytes: Vec<u8>,
    /// Whether more was written than was kept.
    pub truncated: bool,
}

/// UTF-8 as it is, anything else as base64. A cap that cuts a character in two must not turn text into base64,
/// so it is the caller's business to cut at a boundary (see `stdio`).
fn encode(bytes: Vec<u8>) -> (Encoding, String) {
    match String::from_utf8(bytes) {
        Ok(text) => (Encoding::Utf8, text),
        Err(error) => {
            use base64::Engine as _;
            (Encoding::Base64, base64::engine::general_purpose::STANDARD.encode(error.as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: Status, exit_code: Option<i32>, signal: Option<&str>) -> Outcome {
        Outcome {
            version: 1,
            sandbox: "s".to_owned(),
            image: "host".to_owned(),
            status,
            exit_code,
            signal: signal.map(str::to_owned),
            output: None,
            usage: Usage::default(),
            limits_reached: Vec::new(),
            enforcement: BTreeMap::new(),
            network: None,
            published: Vec::new(),
            warm: None,
            error: None,
        }
    }

    #[test]
    fn every_end_has_its_exit_code() {
        let table = [
            (ended(Status::Exited, Some(7), None), 7),
            (ended(Status::Exited, Some(125), None), 125),
            (ended(Status::Signaled, None, Some("SIGSEGV")), 139),
            (ended(Status::Signaled, None, Some("SIGRTMIN+3")), 165),
            (ended(Status::TimedOut, None, Some("SIGKILL")), 124),
            (ended(Status::CpuTimeExceeded, None, Some("SIGXCPU")), 137),
            (ended(Status::OutOfMemory, None, Some("SIGKILL")), 137),
            (ended(Status::OutputLimit, None, None), 137),
            (ended(Status::ForbiddenSyscall, None, Some("SIGSYS")), 159),
            (ended(Status::Cancelled, None, Some("SIGINT")), 130),
            (ended(Status::Cancelled, None, Some("SIGTERM")), 143),
            (ended(Status::Cancelled, None, None), 143),
            (ended(Status::SetupFailed, None, None), 125),
            (Outcome { error: Some(Error::invalid(Vec::new())), ..ended(Status::Cancelled, None, None) }, 125),
        ];
        for (outcome, code) in table {
            assert_eq!(outcome.exit_code(), code, "{outcome:?}");
        }
    }

    #[test]
    fn a_signal_of_no_known_name_has_no_number() {
        for name in ["", "KILL", "SIG", "SIG0", "SIG65", "SIGRTMIN+31", "SIGRTMIN+2147483647", "SIGRTMIN-1", "SIG-1"] {
            assert_eq!(signal_number(name), None, "{name}");
        }
        assert_eq!(signal_number("SIG35"), Some(35));
    }

    #[test]
    fn bytes_that_are_no_text_come_as_base64_and_text_as_it_is() {
        let captured = |bytes: &[u8], truncated| Captured { bytes: bytes.to_vec(), truncated };
        let output = Output::new(captured("é\0".as_bytes(), false), captured(&[0xff, 0x00], true));
        let whole = Output {
            stdout: "é\0".to_owned(),
            stdout_encoding: Encoding::Utf8,
            stdout_truncated: false,
            stderr: "/wA=".to_owned(),
            stderr_encoding: Encoding::Base64,
            stderr_truncated: true,
        };
        assert_eq!(output, whole);
    }

    #[test]
    fn enforcement_has_the_shapes_of_the_contract() {
        let json = |enforcement: Enforcement| serde_json::to_string(&enforcement).unwrap();
        assert_eq!(json(Enforcement::Enforced), r#""enforced""#);
        assert_eq!(json(Enforcement::Partly("ABI 4".to_owned())), r#"{"partly":"ABI 4"}"#);
        assert_eq!(json(Enforcement::Off("no cgroup".to_owned())), r#"{"off":"no cgroup"}"#);
        assert_eq!(json(Enforcement::by("cgroup", true)), r#"{"by":"cgroup","exact":true}"#);
    }
}
