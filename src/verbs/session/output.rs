//! Output of a job: passed on as it comes, or collected in the result.

use crate::error::{Error, Kind};
use crate::tools::session::{End, LONGEST_LOG, MOST_RESULTS, Raised, Said};
use crate::tools::wire::LONGEST;
use crate::tools::{Client, Name, Request};
use crate::verbs::{Live, Site, Told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
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
pub struct Collected<'s> {
    /// Where standard output and standard error go; without them nothing is shown before the end.
    live: Option<[Live<'s>; 2]>,
    /// Where values and pictures are saved that are no plain text.
    save: Option<PathBuf>,
    number: Arc<AtomicU64>,
    context: Option<Context>,
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

/// Whether there was a context before the code that ran in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// There was, and it goes on.
    Continued,
    /// There was none.
    New,
    /// There was, and it had ended.
    Anew,
}

/// A value or a picture.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    /// As `text/plain` or `image/png`.
    media_type: String,
    /// Text as it is, anything else as base64.
    data: String,
    /// Where it was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Name>,
}

/// What came of a job.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ran {
    /// Its number; null where it never had one.
    job: Option<u64>,
    /// What it wrote on standard output; null where it was told as it came.
    stdout: Option<Name>,
    /// The same of standard error.
    stderr: Option<Name>,
    /// Values and pictures of code.
    results: Vec<Shown>,
    /// Whether there was more than is kept, and the rest was dropped.
    truncated: bool,
    /// How it ended; null where it has not, or nobody waited for it.
    end: Option<End>,
    /// Of code in a context.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
    #[serde(skip)]
    people: String,
}

impl Ran {
    /// The same for a job that goes on: people are told its number.
    pub fn whose_number_is_told(self) -> Ran {
        Ran { people: format!("{}\n", self.job.unwrap_or_default()), ..self }
    }
}

impl Told for Ran {
    fn people(&self) -> String {
        self.people.clone()
    }

    /// That of the job; 124 for one whose time was over, 130 for one that was interrupted.
    fn code(&self) -> i32 {
        match &self.end {
            None => 0,
            Some(end) if end.timed_out => TIMED_OUT,
            Some(end) if end.interrupted => INTERRUPTED,
            Some(end) => end.exit_code.unwrap_or(i32::from(end.error.is_some())),
        }
    }
}

impl<'s> Collected<'s> {
    /// Nothing yet.
    pub fn new(site: &Site<'s>, save: Option<PathBuf>) -> Collected<'s> {
        Collected { live: site.live.map(|live| [live, site.live_error]), save, ..Collected::default() }
    }

    /// The job's number, as soon as it is known.
    fn job(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The same for other threads.
    pub fn number(&self) -> Arc<AtomicU64> {
        self.number.clone()
    }

    /// Takes down whether there was a context.
    pub fn is_of_context(&mut self, how: Context) {
        self.context = Some(how);
    }

    /// Asks, and takes in what is answered.
    ///
    /// # Errors
    ///
    /// What the tool inside says, and that nobody takes what is passed on.
    pub fn collect(&mut self, client: &mut Client, request: &Request) -> Result<(), Error> {
        client.follow(request, &mut |one| self.take(one))
    }

    /// Takes one thing in.
    ///
    /// # Errors
    ///
    /// Nobody takes what is passed on, or there is more than any session keeps.
    pub fn take(&mut self, said: Said) -> io::Result<()> {
        self.length += match &said {
            Said::Stdout(bytes) | Said::Stderr(bytes) if self.live.is_none() => bytes.0.len(),
            Said::Result { data, media_type, .. } => data.len() + if self.open { 0 } else { media_type.len() },
            Said::Raised(Raised { name, value, traceback }) => name.len() + value.len() + traceback.len(),
            Said::Stdout(_) | Said::Stderr(_) | Said::Job(_) | Said::Truncated | Said::Ended(_) => 0,
        };
        if self.length > MOST || self.results.len() > MOST_RESULTS {
            return Err(crate::tools::wire::nonsense("there is more than any session keeps"));
        }
        match said {
            Said::Job(number) => self.number.store(number, Ordering::Release),
            Said::Stdout(Name(bytes)) => match self.live {
                Some([out, _]) => pass(out, &bytes)?,
                None => self.stdout.extend(bytes),
            },
            Said::Stderr(Name(bytes)) => match self.live {
                Some([_, error]) => pass(error, &bytes)?,
                None => self.stderr.extend(bytes),
            },
            Said::Result { media_type, data, more } => {
                match self.results.last_mut().filter(|_| self.open) {
                    Some(last) => last.data.push_str(&data),
                    None => self.results.push(Shown { media_type, data, file: None }),
                }
                self.open = more;
                if !more {
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
        let Some([out, _]) = self.live else { return Ok(()) };
        let Some(last) = self.results.last().filter(|last| last.media_type == PLAIN) else { return Ok(()) };
        let mut out = out();
        out.write_all(last.data.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// All of it, when nothing comes any more. What is told as it comes is told to its end here.
    ///
    /// # Errors
    ///
    /// What cannot be saved or passed on.
    pub fn finish(mut self, site: &Site<'_>) -> Result<Ran, Error> {
        if self.open && self.results.last().is_some_and(|last| last.media_type != PLAIN) {
            // Half a picture is none.
            self.results.pop();
        }
        // All of the error where it has come, else what the end has of it.
        if let (Some(whole), Some(end)) = (self.error.take(), self.end.as_mut()) {
            end.error = Some(whole);
        }
        self.keep()?;
        if let Some([_, error]) = self.live {
            if self.open {
                self.show().map_err(|error| Error::of_io(&error))?;
            }
            if !site.is_read {
                self.tell_the_rest(site, error);
            }
        }
        let held = |bytes: Vec<u8>| self.live.is_none().then_some(Name(bytes));
        Ok(Ran {
            job: Some(self.job()).filter(|job| *job > 0),
            stdout: held(self.stdout),
            stderr: held(self.stderr),
            results: self.results,
            truncated: self.truncated,
            end: self.end,
            context: self.context,
            people: String::new(),
        })
    }

    /// What nobody was told as it came.
    fn tell_the_rest(&self, site: &Site<'_>, error: Live<'_>) {
        self.name_pictures(site);
        if self.truncated {
            (site.say)("the job wrote more than 10 MiB, and the rest was dropped");
        }
        let Some(end) = &self.end else { return };
        if let Some(raised) = &end.error {
            // As the interpreter itself would have shown it, control characters and all: it is what the code said. Who cannot read it
            // has gone.
            let _ = pass(error, format!("{}\n", raised.traceback.trim_end()).as_bytes());
        }
        if end.timed_out {
            (site.say)("ended: its deadline passed");
        }
        if end.interrupted {
            (site.say)("ended: it was interrupted");
        }
        if end.session_ended {
            (site.say)("the session has ended with it");
        }
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
            shown.file = Some(Name::from(path.as_path()));
        }
        Ok(())
    }

    fn name_pictures(&self, site: &Site<'_>) {
        for shown in &self.results {
            match &shown.file {
                Some(path) => (site.say)(&format!("saved {path}")),
                None if shown.media_type.starts_with("image/") => {
                    let size = shown.bytes().map_or(0, |bytes| bytes.len());
                    (site.say)(&format!("a picture ({}, {size} bytes); `--save DIR` keeps it", shown.shown_type()));
                }
                None => {}
            }
        }
    }
}

/// Passes bytes on at once.
fn pass(to: Live<'_>, bytes: &[u8]) -> io::Result<()> {
    let mut to = to();
    to.write_all(bytes)?;
    to.flush()
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
