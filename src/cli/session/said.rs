//! What a job says: to our own streams as it comes, or all together in one object.

use crate::cli::render;
use crate::error::{Error, Kind};
use crate::tools::session::{End, LONGEST_LOG, MOST_RESULTS, Raised, Said};
use crate::tools::wire::LONGEST;
use crate::tools::{Client, Name, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Exit code of a job whose time was over.
const TIMED_OUT: i32 = 124;
/// Exit code of a job that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;
/// What is kept of what a session says of one job, which is all that any keeps: whoever answers in its place could go on for ever.
const MOST: usize = LONGEST_LOG + LONGEST;
/// What people are shown of values.
const PLAIN: &str = "text/plain";

/// What has been said.
#[derive(Default)]
pub struct Collected {
    hold: bool,
    /// Where values and pictures are saved that are no plain text.
    save: Option<PathBuf>,
    number: Arc<AtomicU64>,
    /// Of a context: whether there was one.
    context: Option<&'static str>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    results: Vec<Shown>,
    /// Whether the last of them is whole.
    open: bool,
    error: Option<Raised>,
    truncated: bool,
    end: Option<End>,
    length: usize,
}

/// A value or a picture.
struct Shown {
    media_type: String,
    data: String,
    file: Option<PathBuf>,
}

impl Collected {
    /// Nothing yet. `hold`: nothing is printed before the end.
    pub fn new(hold: bool, save: Option<PathBuf>) -> Collected {
        Collected { hold, save, ..Collected::default() }
    }

    /// The job's number, as soon as it is known.
    pub fn job(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The same for other threads.
    pub fn number(&self) -> Arc<AtomicU64> {
        self.number.clone()
    }

    /// Takes down whether there was a context.
    pub fn is_of_context(&mut self, how: &'static str) {
        self.context = Some(how);
    }

    /// Asks, and takes in what is answered.
    pub fn hear(&mut self, client: &mut Client, request: &Request) -> Result<(), Error> {
        client.follow(request, &mut |one| self.take(one))
    }

    /// Takes one thing in.
    fn take(&mut self, said: Said) -> io::Result<()> {
        self.length += match &said {
            Said::Stdout(bytes) | Said::Stderr(bytes) if self.hold => bytes.0.len(),
            Said::Result { data, media_type, .. } => data.len() + if self.open { 0 } else { media_type.len() },
            Said::Raised(Raised { name, value, traceback }) => name.len() + value.len() + traceback.len(),
            Said::Stdout(_) | Said::Stderr(_) | Said::Job(_) | Said::Truncated | Said::Ended(_) => 0,
        };
        if self.length > MOST || self.results.len() > MOST_RESULTS {
            return Err(crate::tools::wire::nonsense("there is more than any session keeps"));
        }
        match said {
            Said::Job(number) => self.number.store(number, Ordering::Release),
            Said::Stdout(Name(bytes)) if self.hold => self.stdout.extend(bytes),
            Said::Stderr(Name(bytes)) if self.hold => self.stderr.extend(bytes),
            Said::Stdout(Name(bytes)) => {
                let mut out = render::out();
                out.write_all(&bytes)?;
                out.flush()?;
            }
            Said::Stderr(Name(bytes)) => io::stderr().lock().write_all(&bytes)?,
            Said::Result { media_type, data, more } => {
                match self.results.last_mut().filter(|_| self.open) {
                    Some(last) => last.data.push_str(&data),
                    None => self.results.push(Shown { media_type, data, file: None }),
                }
                self.open = more;
                if !more && !self.hold {
                    self.show()?;
                }
            }
            Said::Raised(piece) => {
                let error = self.error.get_or_insert_default();
                error.name.push_str(&piece.name);
                error.value.push_str(&piece.value);
                error.traceback.push_str(&piece.traceback);
            }
            Said::Truncated => self.truncated = true,
            Said::Ended(end) => self.end = Some(end),
        }
        Ok(())
    }

    /// Shows the last value, as an interpreter does.
    fn show(&self) -> io::Result<()> {
        let Some(last) = self.results.last().filter(|last| last.media_type == PLAIN) else { return Ok(()) };
        let mut out = render::out();
        out.write_all(last.data.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }

    fn exit_code(&self) -> i32 {
        match &self.end {
            None => 0,
            Some(end) if end.timed_out => TIMED_OUT,
            Some(end) if end.interrupted => INTERRUPTED,
            Some(end) => end.exit_code.unwrap_or(i32::from(end.error.is_some())),
        }
    }

    /// Tells what is left to be told; the exit code.
    pub fn tell(mut self) -> Result<i32, Error> {
        if self.open && self.results.last().is_some_and(|last| last.media_type != PLAIN) {
            // Half a picture is none.
            self.results.pop();
        }
        // All of the error where it has come, else what the end has of it.
        if let (Some(whole), Some(end)) = (self.error.take(), self.end.as_mut()) {
            end.error = Some(whole);
        }
        let code = self.exit_code();
        self.keep()?;
        if self.hold {
            return Ok(render::object(&self.object(), code));
        }
        if self.open {
            self.show().map_err(|error| Error::of_io(&error))?;
        }
        self.name_pictures();
        if self.truncated {
            render::say("there was more than is kept of what a job says (10 MiB), and the rest was dropped");
        }
        let Some(end) = &self.end else { return Ok(code) };
        if let Some(error) = &end.error {
            // As the interpreter itself would have shown it, control characters and all: it is what the code said.
            let _ = io::stderr().lock().write_all(format!("{}\n", error.traceback.trim_end()).as_bytes());
        }
        if end.timed_out {
            render::say("ended: its time was over");
        }
        if end.interrupted {
            render::say("ended: it was interrupted");
        }
        if end.session_ended {
            render::say("the session has ended with it");
        }
        Ok(code)
    }

    /// Saves what is no plain text.
    fn keep(&mut self) -> Result<(), Error> {
        let Some(directory) = self.save.clone() else { return Ok(()) };
        let job = self.job();
        let mut number = 0;
        for shown in self.results.iter_mut().filter(|shown| shown.media_type != PLAIN) {
            let Some(bytes) = shown.bytes() else {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("a result of {} is not what it says", shown.shown_type()),
                ));
            };
            let (path, mut file) = loop {
                number += 1;
                let path = directory.join(format!("result-{job}-{number}.{}", shown.ending()));
                match File::create_new(&path) {
                    Ok(file) => break (path, file),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(Error::of_io(&error).about(&path.as_path().into())),
                }
            };
            file.write_all(&bytes).map_err(|error| Error::of_io(&error).about(&path.as_path().into()))?;
            shown.file = Some(path);
        }
        Ok(())
    }

    fn name_pictures(&self) {
        for shown in &self.results {
            match &shown.file {
                Some(path) => render::say(&format!("saved {}", Name::from(path.as_path()))),
                None if shown.media_type.starts_with("image/") => {
                    let size = shown.bytes().map_or(0, |bytes| bytes.len());
                    render::say(&format!("a picture ({}, {size} bytes); `--save DIR` keeps it", shown.shown_type()));
                }
                None => {}
            }
        }
    }

    fn object(&self) -> Value {
        let text = |bytes: &[u8]| json!(Name(bytes.to_vec()));
        let result = |shown: &Shown| {
            let mut object = json!({ "media_type": shown.media_type, "data": shown.data });
            if let Some(path) = &shown.file {
                object["file"] = json!(Name::from(path.as_path()));
            }
            object
        };
        let mut object = json!({
            "version": 1,
            "job": Some(self.job()).filter(|job| *job > 0),
            "stdout": text(&self.stdout),
            "stderr": text(&self.stderr),
            "results": self.results.iter().map(result).collect::<Vec<_>>(),
            "truncated": self.truncated,
            "end": self.end,
        });
        if let Some(how) = self.context {
            object["context"] = how.into();
        }
        object
    }
}

impl Shown {
    /// Its type, for people: it comes from inside.
    fn shown_type(&self) -> String {
        Name::from(self.media_type.as_str()).to_string()
    }

    fn is_text(&self) -> bool {
        self.media_type.starts_with("text/") || self.media_type == "image/svg+xml"
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        if self.is_text() { Some(self.data.clone().into_bytes()) } else { STANDARD.decode(&self.data).ok() }
    }

    /// Of a file's name, from a list: the type comes from inside.
    fn ending(&self) -> &'static str {
        match self.media_type.as_str() {
            "image/png" => "png",
            "image/jpeg" => "jpeg",
            "image/svg+xml" => "svg",
            "text/html" => "html",
            "text/markdown" => "md",
            "text/latex" => "tex",
            _ => "bin",
        }
    }
}
