//! Waits for a job. The caller's Ctrl-C interrupts the job.
//!
//! The first signal interrupts the job, and what it says then is told to the end; the second leaves. Where nothing comes for a while
//! after the first, the caller leaves too. Whoever leaves takes the job with him: what keeps the session sees to that.

use super::output::Collected;
use crate::error::{Error, Kind};
use crate::tools::Request;
use crate::tools::session::Ask;
use nix::sys::signal::{SigSet, Signal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What interrupts.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
/// Whether one has come. A process waits for one job.
static HEARD: AtomicBool = AtomicBool::new(false);
/// How long the tool inside may take on top of the job's time, to start and to see to the job's end.
const MORE: Duration = Duration::from_secs(40);

/// Asks for a job and takes in what it says, to its end.
///
/// # Errors
///
/// What the session refuses, and what keeps anybody from waiting.
pub fn run(home: &Path, (sandbox, id): (&str, &str), ask: Ask, said: &mut Collected<'_>) -> Result<(), Error> {
    let mut client = super::client(home, sandbox)?;
    if let Ask::Run { timeout_ms: Some(time), .. } = &ask {
        client.answers_within(Duration::from_millis(*time).saturating_add(MORE));
    }
    let heard: SigSet = SIGNALS.into_iter().filter(|signal| !crate::sys::signal::is_ignored(*signal)).collect();
    // From here on a signal is the other thread's. Before, it ends us, and nobody has asked for anything yet.
    let before = heard.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    let before = before.map_err(|errno| Error::of_io(&errno.into()))?;
    let (id, job) = (id.to_owned(), said.number());
    let place = (home.to_owned(), sandbox.to_owned(), id.clone());
    let request = Request::Session { id: Some(id), ask };
    let watch = move || {
        while let Ok(signal) = heard.wait() {
            match job.load(Ordering::Acquire) {
                job @ 1.. if !HEARD.swap(true, Ordering::AcqRel) => interrupt(place.clone(), job),
                _ => crate::sys::child::exit(128 + signal as i32),
            }
        }
    };
    std::thread::Builder::new().spawn(watch).map_err(|error| Error::of_io(&error))?;
    let told = said.collect(&mut client, &request);
    // What comes now comes for nothing; the thread that waits for it goes with us.
    drop(client);
    before.thread_set_mask().map_err(|errno| Error::of_io(&errno.into()))?;
    told
}

/// Interrupts it, in a thread: meanwhile a second signal is heard.
fn interrupt((home, sandbox, id): (PathBuf, String, String), job: u64) {
    let ask = move || {
        // How the job ends is told to whoever waits for it; where nobody is reached, nothing comes any more.
        let sent = super::send_request(&home, &sandbox, &id, Ask::Interrupt { job: Some(job) });
        if sent.is_err_and(|error| error.kind != Kind::Ended) {
            std::thread::sleep(Duration::from_secs(2));
            crate::sys::child::exit(130);
        }
    };
    if std::thread::Builder::new().spawn(ask).is_err() {
        crate::sys::child::exit(130);
    }
}
