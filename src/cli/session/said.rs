//! What a job says: to our own streams as it comes, or all together in one object.

use crate::cli::render;
use crate::tools::Name;
use crate::tools::session::{End, Said};
use serde_json::{Value, json};
use std::io::{self, Write as _};

/// Exit code of a job that was interrupted because its time was over.
const TIMED_OUT: i32 = 124;

/// What has been said.
#[derive(Default)]
pub struct Collected {
    hold: bool,
    /// Its number.
    pub job: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    results: Vec<Value>,
    truncated: bool,
    end: Option<End>,
}

impl Collected {
    /// Nothing yet. `hold`: nothing is printed before the end.
    pub fn new(hold: bool) -> Collected {
        Collected { hold, ..Collected::default() }
    }

    /// Takes one thing in.
    pub fn take(&mut self, said: Said) -> io::Result<()> {
        match said {
            Said::Job(number) => self.job = number,
            Said::Stdout(Name(bytes)) if self.hold => self.stdout.extend(bytes),
            Said::Stderr(Name(bytes)) if self.hold => self.stderr.extend(bytes),
            Said::Stdout(Name(bytes)) => {
                let mut out = io::stdout().lock();
                out.write_all(&bytes)?;
                out.flush()?;
            }
            Said::Stderr(Name(bytes)) => io::stderr().lock().write_all(&bytes)?,
            Said::Result { media_type, data } if self.hold => {
                self.results.push(json!({ "media_type": media_type, "data": data }));
            }
            // Values and pictures are for programs.
            Said::Result { .. } => {}
            Said::Truncated => self.truncated = true,
            Said::Ended(end) => self.end = Some(end),
        }
        Ok(())
    }

    fn exit_code(&self) -> i32 {
        match &self.end {
            None => 0,
            Some(end) if end.timed_out => TIMED_OUT,
            Some(end) => end.exit_code.unwrap_or(i32::from(end.error.is_some())),
        }
    }

    /// Tells what is left to be told; the exit code.
    pub fn tell(self, json: bool) -> i32 {
        let code = self.exit_code();
        if json {
            return render::print(&format!("{}\n", self.object()), code);
        }
        if self.truncated {
            render::say("there was more than is kept of what a job writes (10 MiB), and the rest was dropped");
        }
        let Some(end) = &self.end else { return code };
        if let Some(error) = &end.error {
            // As the interpreter itself would have shown it, control characters and all: it is what the code said.
            let _ = io::stderr().lock().write_all(format!("{}\n", error.traceback.trim_end()).as_bytes());
        }
        if end.timed_out {
            render::say("ended: its time was over");
        }
        if end.session_ended {
            render::say("the session has ended with it");
        }
        code
    }

    fn object(&self) -> Value {
        let text = |bytes: &[u8]| json!(Name(bytes.to_vec()));
        json!({
            "version": 1,
            "job": (self.job > 0).then_some(self.job),
            "stdout": text(&self.stdout),
            "stderr": text(&self.stderr),
            "results": self.results,
            "truncated": self.truncated,
            "end": self.end,
        })
    }
}
