//! What a lasting sandbox may reach, changed while it runs; and what it did on its network.

use super::call::{Answer, Call, Line};
use super::entry::GLANCE;
use super::{Entry, Sandboxes, State};
use crate::error::{Error, Problem};
use crate::outcome;
use crate::outcome::network::{Event, Happening};
use crate::spec::{self, Network, Order, PartialSpec, Spec};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};

/// Where connections are written down.
const LOG: &str = "network.log";
/// More than a line of it is long.
const LONGEST_LINE: u64 = 4096;

/// The log of a new start, empty; `None` where there is no policy of what may be reached.
pub(super) fn new_log(entry: &Entry, order: &Order) -> Result<Option<File>, Error> {
    let made = order.spec.net.has_policy().then(|| {
        let log = File::options().create(true).read(true).append(true).open(entry.path(LOG))?;
        log.set_len(0).map(|()| log)
    });
    made.transpose().map_err(|error| Error::attempt("make the network log", &error))
}

/// A place in the log: where a command began.
pub(super) struct Mark {
    length: u64,
    at: u64,
}

impl Mark {
    /// Now; `None` where nothing is reached by a policy, so that nothing is written down.
    pub(super) fn of(entry: &Entry, spec: &Spec) -> Option<Mark> {
        let length = || fs::metadata(entry.path(LOG)).map_or(0, |found| found.len());
        spec.net.has_policy().then(|| Mark { length: length(), at: outcome::network::now() })
    }

    /// What was done from then on, by whoever runs inside: the kernel tells nobody whose a packet is.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub(super) fn since(&self, entry: &Entry) -> Result<outcome::Network, Error> {
        let failed = |error: std::io::Error| Error::attempt("read the network log", &error);
        let mut log = match File::open(entry.path(LOG)) {
            // With the sandbox.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(outcome::Network::default()),
            log => log.map_err(failed)?,
        };
        // Where the older half was dropped in the meantime, what is left has all that is new and still there.
        let begin = if log.metadata().map_err(failed)?.len() < self.length { 0 } else { self.length };
        log.seek(SeekFrom::Start(begin.saturating_sub(LONGEST_LINE))).map_err(failed)?;
        let mut text = Vec::new();
        log.read_to_end(&mut text).map_err(failed)?;
        let mut events: Vec<Event> =
            text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        // After that nobody writes there any more.
        let lost = events.last().is_some_and(|event| event.event == Happening::Lost);
        events.retain(|event| event.at >= self.at);
        Ok(outcome::Network::of(None, events, lost))
    }
}

/// Another policy in place of the one before, from now on and for later starts. Answers the sandbox's spec, and how many connections
/// the new policy does not allow, which were cut.
///
/// # Errors
///
/// `Invalid`, for a sandbox that runs and was made without a network.
pub fn set_policy(sandboxes: &Sandboxes, word: &str, wish: PartialSpec) -> Result<(Spec, u64), Error> {
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    let before = entry.order()?;
    let mut order = before.clone();
    let wished = wish.into_spec();
    let lives = entry.lives();
    let without = !before.spec.net.has_policy();
    order.spec.net = match wished.net {
        Network::Host => {
            return Err(refused("`host` is no policy", "the modes to change to are `none`, `only` and `open`"));
        }
        // The device stays, and nothing is reached through it.
        Network::None if lives => Network::Only,
        other => other,
    };
    if lives && without {
        let hint =
            "`belljar stop` and `start` it after this, if it is kept; or make it with `--net only`, and set more later";
        return Err(refused("it runs without a network, which cannot be added", hint));
    }
    order.spec.allow = wished.allow;
    order.spec.deny = wished.deny;
    order.spec.net_rate = wished.net_rate;
    order.spec.net_connections = wished.net_connections;
    spec::check(&order.spec)?;
    entry.write("spec.json", &order)?;
    if !lives {
        return Ok((order.spec, 0));
    }
    let told = Line::to(&entry).and_then(|line| line.ask(&entry, &Call::Policy));
    match told {
        Ok((Answer::Policy { cut }, _)) => Ok((order.spec, cut)),
        told => {
            // What was not taken in must not be what the next start takes for granted.
            entry.write("spec.json", &before)?;
            let error = told.err().unwrap_or_else(|| {
                Error::setup("change the network's policy: the supervisor did not say that it did", 0)
            });
            // Of one that has ended meanwhile the error says all.
            let cure = "`belljar stop` and `start` it, if it is kept: its network is made anew then";
            Err(if entry.lives() { error.hint(cure) } else { error })
        }
    }
}

fn refused(message: &str, hint: &str) -> Error {
    Error::invalid(vec![Problem::new("net", message.to_owned()).hint(hint)])
}

/// Tells each event of the sandbox's network, as it was written down; with `follow`, until the sandbox ends.
///
/// # Errors
///
/// What kept it from being read, or told.
pub fn follow_network(
    entry: &Entry,
    follow: bool,
    tell: &mut dyn FnMut(Event) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::attempt("read the network log", &error);
    let mut log = match File::open(entry.path(LOG)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        log => log.map_err(failed)?,
    };
    let mut rest = Vec::new();
    loop {
        // Before the last read: what is written until then is read.
        let over = !follow || !matches!(entry.state(), State::Running | State::Starting);
        // Where the older half was dropped, what is left is told from its beginning.
        if log.metadata().map_err(failed)?.len() < log.stream_position().map_err(failed)? {
            log.seek(SeekFrom::Start(0)).map_err(failed)?;
            rest.clear();
        }
        log.read_to_end(&mut rest).map_err(failed)?;
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest.drain(..whole).as_slice().split(|byte| *byte == b'\n') {
            // Only the dialer writes there; half a line is one that a crash has cut.
            if let Ok(event) = serde_json::from_slice(line) {
                tell(event)?;
            }
        }
        if over {
            return Ok(());
        }
        std::thread::sleep(GLANCE);
    }
}
