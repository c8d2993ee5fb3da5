//! An interpreter that runs one piece of code after another, in one set of globals.
//!
//! It runs a driver of ours, which reads requests from one fifo and writes results to another, a line of JSON each; standard
//! output and standard error are the code's own.

use super::jobs::Jobs;
use super::pump::{Streams, without_waiting};
use super::{End, Kind, Raised, Said};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const PYTHON: &str = include_str!("interpreter/python.py");
const NODE: &str = include_str!("interpreter/node.js");
/// The longest line of a driver: a picture.
const LONGEST_LINE: usize = 32 << 20;

/// The running interpreter.
pub struct Interpreter {
    requests: File,
    results: File,
    streams: Streams,
}

/// What a driver says.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Result { media_type: String, data: String },
    Error(Raised),
    Done,
}

/// Starts it; its process is the caller's to wait for.
pub fn start(kind: Kind, directory: &Path) -> io::Result<(Interpreter, Child)> {
    let [requests, results] = ["requests", "results"].map(|name| directory.join(name));
    mkfifo(&requests, Mode::from_bits_truncate(0o600))?;
    mkfifo(&results, Mode::from_bits_truncate(0o600))?;
    let (program, options, driver): (_, &[&str], _) = match kind {
        Kind::Node => ("node", &[], NODE),
        _ => ("python3", &["-u"], PYTHON),
    };
    let path = directory.join("driver");
    std::fs::write(&path, driver)?;
    let mut command = Command::new(program);
    command.args(options).args([&path, &requests, &results]).env("MPLBACKEND", "Agg");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // For both, so that opening waits for nobody and nothing ends when the other side opens them anew.
    let open = |path: &Path| File::options().read(true).write(true).open(path);
    let (requests, results) = (open(&requests)?, open(&results)?);
    without_waiting(&results)?;
    let out = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let error = child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    for stream in [&out, &error].into_iter().flatten() {
        without_waiting(stream)?;
    }
    Ok((Interpreter { requests, results, streams: Streams([out, error]) }, child))
}

impl Interpreter {
    /// Runs one piece of code to its end.
    pub fn run(&mut self, jobs: &Arc<Jobs>, job: u64, code: &str) -> io::Result<()> {
        writeln!(self.requests, "{}", json!({ "code": code }))?;
        let (mut line, mut end) = (Vec::new(), None);
        let mut raised = None;
        self.streams.pump(jobs, job, Some(&mut self.results), true, &mut |bytes| {
            line.extend_from_slice(bytes);
            while let Some(at) = line.iter().position(|byte| *byte == b'\n') {
                let rest = line.split_off(at + 1);
                match serde_json::from_slice(&std::mem::replace(&mut line, rest)) {
                    Ok(Told::Result { media_type, data }) => jobs.say(job, Said::Result { media_type, data }),
                    Ok(Told::Error(error)) => raised = Some(error),
                    Ok(Told::Done) => end = Some(End { error: raised.take(), ..End::default() }),
                    // Only code that looks for our fifo can write there, to itself.
                    Err(_) => {}
                }
            }
            if line.len() > LONGEST_LINE {
                line.clear();
            }
            end.is_some()
        });
        if let Some(end) = end {
            jobs.end(job, end);
        }
        Ok(())
    }
}
