//! An interpreter that runs pieces of code one after another, in one set of globals.
//!
//! It runs a driver of ours, which has a socket on which code comes and a pipe on which it tells what became of it; standard output and
//! standard error are the code's own. Both sides speak in frames: a length (32 bits, little endian), one byte for the kind, and so many
//! bytes, which are text. Whatever comes is taken: what is no text lossily, and what is no frame as the end of the interpreter.
//!
//! ```text
//! to the driver      q a piece of code
//! from the driver    r a media type, a line feed, and a value; any number of times
//!                    n the name, v the text, t the traceback of what the code raised
//!                    c the exit code that it has asked for
//!                    e it is done
//! ```

use super::jobs::{Jobs, Next};
use super::pump::{Streams, without_waiting};
use super::{End, Kind, Raised, Said};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const PYTHON: &str = include_str!("interpreter/python.py");
const NODE: &str = include_str!("interpreter/node.js");
/// Bytes of a value in one frame to the caller, where each may be written as six.
const PIECE: usize = 32 << 10;
/// Bytes of each part of an error that are kept with its end.
const LONGEST_SHORT: usize = 2 << 10;
/// The longest media type.
const LONGEST_TYPE: usize = 100;

/// The running interpreter.
pub struct Interpreter {
    requests: UnixStream,
    results: File,
    streams: Streams,
    /// What there is to read when there is something to do.
    bell: File,
    pid: i32,
}

/// Starts it; its process is the caller's to wait for.
pub fn start(kind: Kind, directory: &Path, bell: File) -> io::Result<(Interpreter, Child)> {
    let (requests, theirs) = UnixStream::pair()?;
    let (results, tells) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (program, options, driver): (_, &[&str], _) = match kind {
        Kind::Node => ("node", &[], NODE),
        _ => ("python3", &["-u"], PYTHON),
    };
    let path = directory.join("driver");
    std::fs::write(&path, driver)?;
    for end in [theirs.as_fd(), tells.as_fd()] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let mut command = Command::new(program);
    command.args(options).arg(&path).args([theirs.as_raw_fd().to_string(), tells.as_raw_fd().to_string()]);
    command.env("MPLBACKEND", "Agg").env("PYTHONUNBUFFERED", "1");
    // Who signals his process group is not to reach the keeper.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let results = File::from(results);
    without_waiting(&results)?;
    let out = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let error = child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    for stream in [&out, &error].into_iter().flatten() {
        without_waiting(stream)?;
    }
    let pid = child.id() as i32;
    Ok((Interpreter { requests, results, streams: Streams([out, error]), bell, pid }, child))
}

impl Interpreter {
    /// Runs jobs, until the session ends.
    pub fn serve(&mut self, jobs: &Arc<Jobs>) {
        let mut last = 0;
        loop {
            match jobs.next() {
                Next::Job(job, code, _) => {
                    last = job;
                    self.run(jobs, job, &code);
                }
                // What code has left behind writes on, to the log of the last job.
                Next::Nothing => self.streams.pump(jobs, last, Some(&mut self.bell), false, &mut |_| true),
                Next::Ended => return self.streams.drain(jobs, last),
            }
        }
    }

    /// Runs one piece of code to its end. Where there is none, the interpreter has ended.
    fn run(&mut self, jobs: &Arc<Jobs>, job: u64, code: &str) {
        let mut telling = Telling::default();
        let sent = u32::try_from(code.len()).map_err(io::Error::other).and_then(|length| {
            let mut frame = length.to_le_bytes().to_vec();
            frame.push(b'q');
            frame.extend_from_slice(code.as_bytes());
            self.requests.write_all(&frame)
        });
        let mut lost = sent.is_err();
        if !lost {
            self.streams.pump(jobs, job, Some(&mut self.results), true, &mut |bytes| {
                lost = bytes.is_empty() || telling.hear(bytes, &mut |said| jobs.say(job, said)).is_err();
                lost || telling.over
            });
        }
        if telling.over {
            return jobs.end(job, telling.end());
        }
        if lost {
            // It speaks with us no more, and may run for ever.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
        let mut state = jobs.lock();
        while state.ended.is_none() {
            state = jobs.wait(state, None);
        }
        drop(state);
        self.streams.drain(jobs, job);
    }
}

/// What a driver tells of one piece of code.
#[derive(Default)]
struct Telling {
    frame: Vec<u8>,
    /// The beginning of each part of an error.
    short: Option<Raised>,
    exit_code: Option<i32>,
    over: bool,
}

impl Telling {
    /// Takes bytes in, and says what whole frames say. `Err`: they are none.
    fn hear(&mut self, bytes: &[u8], say: &mut dyn FnMut(Said)) -> Result<(), ()> {
        self.frame.extend_from_slice(bytes);
        while let Some((head, rest)) = self.frame.split_first_chunk::<5>() {
            let [a, b, c, d, kind] = *head;
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            if length > super::jobs::LONGEST_LOG + (2 << 20) {
                return Err(());
            }
            let Some(text) = rest.get(..length) else { return Ok(()) };
            let text = String::from_utf8_lossy(text).into_owned();
            self.frame.drain(..5 + length);
            self.take(kind, &text, say)?;
        }
        Ok(())
    }

    fn take(&mut self, kind: u8, text: &str, say: &mut dyn FnMut(Said)) -> Result<(), ()> {
        match kind {
            b'r' => {
                let (media_type, data) = text.split_once('\n').ok_or(())?;
                let media_type: String = media_type.chars().take(LONGEST_TYPE).collect();
                let mut pieces = pieces(data).peekable();
                while let Some(piece) = pieces.next() {
                    let (media_type, data) = (media_type.clone(), piece.to_owned());
                    say(Said::Result { media_type, data, more: pieces.peek().is_some() });
                }
            }
            b'n' | b'v' | b't' => {
                fn part(raised: &mut Raised, kind: u8) -> &mut String {
                    match kind {
                        b'n' => &mut raised.name,
                        b'v' => &mut raised.value,
                        _ => &mut raised.traceback,
                    }
                }
                for piece in pieces(text) {
                    let mut raised = Raised::default();
                    piece.clone_into(part(&mut raised, kind));
                    say(Said::Raised(raised));
                }
                let short = pieces_of(text, LONGEST_SHORT).next().unwrap_or_default();
                part(self.short.get_or_insert_default(), kind).push_str(short);
            }
            b'c' => self.exit_code = Some(text.parse().map_err(drop)?),
            b'e' => self.over = true,
            _ => return Err(()),
        }
        Ok(())
    }

    fn end(self) -> End {
        End { exit_code: self.exit_code, error: self.short, ..End::default() }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    pieces_of(text, PIECE)
}

/// The text in pieces of whole characters; one that is empty where it is.
fn pieces_of(text: &str, longest: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (piece, behind) = text.split_at(cut);
        rest = (!behind.is_empty()).then_some(behind);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_le_bytes()[..], &[kind], bytes].concat()
    }

    #[test]
    fn what_a_driver_tells_comes_whole_however_it_is_cut() {
        let long = "é".repeat(PIECE);
        let told = [
            frame(b'r', format!("text/plain\n{long}").as_bytes()),
            frame(b'n', b"ValueError"),
            frame(b'v', b"a\xffb"),
            frame(b'c', b"3"),
            frame(b'e', b""),
        ]
        .concat();
        for size in [1, 5, 1000, told.len()] {
            let (mut telling, mut said) = (Telling::default(), Vec::new());
            for piece in told.chunks(size) {
                telling.hear(piece, &mut |one| said.push(one)).expect("frames");
            }
            let text: String = said
                .iter()
                .filter_map(|one| if let Said::Result { data, .. } = one { Some(data.as_str()) } else { None })
                .collect();
            assert!(text == long);
            assert!(telling.over);
            let error = Raised { name: "ValueError".into(), value: "a\u{fffd}b".into(), traceback: String::new() };
            assert_eq!(telling.end(), End { exit_code: Some(3), error: Some(error), ..End::default() });
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for wrong in [frame(b'?', b""), frame(b'r', b"no line"), frame(b'c', b"x"), vec![0xff; 5]] {
            assert!(Telling::default().hear(&wrong, &mut |_| {}).is_err(), "{wrong:?}");
        }
    }
}
