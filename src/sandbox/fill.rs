//! A new sandbox that its maker fills by calls of git before it is anybody's.
//!
//! As long as the maker holds it, it may reach what it needs for that and nothing else has it. What is lent is written nowhere, and ends
//! with the maker's connection, however that ends: the supervisor then holds the sandbox to its own policy, and ends it, since nobody
//! was told of it.

use super::call::{Answer, Call, Line};
use super::{Entry, Record};
use crate::error::Error;
use crate::spec::network::Policy;

/// A sandbox that is being filled.
#[derive(Debug)]
pub struct Filling {
    entry: Entry,
    line: Line,
}

/// Holds a new sandbox, and lends it a policy.
///
/// # Errors
///
/// `NotRunning`, and what kept the policy from being set.
pub fn fill(entry: Entry, policy: Option<Policy>) -> Result<Filling, Error> {
    mark(&entry, true)?;
    let line = Line::to(&entry)?;
    match line.ask(&entry, &Call::Fill { policy })? {
        (Answer::Done, _) => Ok(Filling { entry, line }),
        _ => Err(Error::setup("lend the sandbox what it reaches: the supervisor did not say that it did", 0)),
    }
}

impl Filling {
    /// It is its owner's from now on, and held to its own policy.
    ///
    /// # Errors
    ///
    /// It has ended, or the policy could not be set back; it does not stay then.
    pub fn done(self) -> Result<(), Error> {
        mark(&self.entry, false)?;
        match self.line.ask(&self.entry, &Call::Filled)? {
            (Answer::Done | Answer::Policy { .. }, _) => Ok(()),
            _ => Err(Error::setup("take back what the sandbox reaches: the supervisor did not say that it did", 0)),
        }
    }
}

/// Says of files that would be kept whether they are all there.
fn mark(entry: &Entry, filling: bool) -> Result<(), Error> {
    let record = entry.record()?;
    if record.keep { entry.write("record.json", &Record { filling, ..record }) } else { Ok(()) }
}
