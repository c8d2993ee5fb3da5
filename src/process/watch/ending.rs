//! What is known so far of how a sandbox ends: what we decided, what its first process told, and what went wrong.
//!
//! Only facts are kept here. The first cause stays; [`verdict`](super::verdict) makes the outcome of them.

use crate::error::{Error, Kind};
use nix::sys::signal::Signal;
use std::time::Instant;

/// The leader of a command that joined is gone, or does not answer: somebody inside may be out of reach of the command's limits.
pub(super) fn leader_lost() -> Error {
    let why =
        "the leader of the command, which would know how it ended, was killed or kept from its work by somebody inside";
    Error::new(Kind::OutOfReach, why)
}

/// Why we ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Deadline,
    CpuTime,
    Memory,
    Output,
    Cancelled(Signal),
}

/// How it ended, as its first process told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Status(i32),
    Refused,
    Lost(i32),
}

/// What everybody inside was asked to end by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) signal: Signal,
    /// When it has had time enough.
    pub(super) until: Instant,
}

/// The facts.
#[derive(Default)]
pub(super) struct Ending {
    cause: Option<Cause>,
    asked: Option<Asked>,
    ended: Option<Ended>,
    /// Why a step was refused.
    refusal: Option<Error>,
    /// Why the supervisor could not go on.
    fault: Option<Error>,
    /// The first process has closed its side.
    silent: bool,
}

impl Ending {
    /// Whether the end is only a matter of the kernel's time.
    pub(super) fn is_near(&self) -> bool {
        self.ended.is_some() || self.cause.is_some()
    }

    /// Whether nobody is to begin anything any more.
    pub(super) fn is_decided(&self) -> bool {
        self.is_near() || self.fault.is_some()
    }

    /// Takes down that we end it; whether that is the reason for its end.
    pub(super) fn decide(&mut self, cause: Cause) -> bool {
        let first = !self.is_near();
        if first {
            self.cause = Some(cause);
        }
        first
    }

    /// As [`Ending::decide`], for what counts whether it has ended by now or not.
    pub(super) fn decide_late(&mut self, cause: Cause) -> bool {
        let first = self.cause.is_none();
        self.cause.get_or_insert(cause);
        first
    }

    /// Its deadline has passed by now. pid 1 or the leader may have been first to end it.
    pub(super) fn was_late(&mut self) {
        if matches!(self.ended, None | Some(Ended::Status(libc::SIGKILL))) {
            self.decide_late(Cause::Deadline);
        }
    }

    /// The sandbox has ended, and with it the command that had joined it, unless that had ended before.
    pub(super) fn sandbox_ended(&mut self, cause: Cause) {
        if self.ended.is_none() {
            self.decide_late(cause);
        }
    }

    /// What everybody inside was asked to end by.
    pub(super) fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// Takes down that everybody was asked. Who asks again can only shorten the time; whether it was the first.
    pub(super) fn ask(&mut self, signal: Signal, until: Instant) -> bool {
        let before = self.asked;
        self.asked = Some(match before {
            None => Asked { signal, until },
            Some(before) => Asked { until: before.until.min(until), ..before },
        });
        before.is_none()
    }

    /// Takes down what the first process told of the end.
    pub(super) fn tell(&mut self, ended: Ended) {
        self.ended = Some(ended);
    }

    /// Whether the command began, and has ended.
    pub(super) fn status(&self) -> Option<i32> {
        match self.ended {
            Some(Ended::Status(status)) => Some(status),
            Some(Ended::Refused | Ended::Lost(_)) | None => None,
        }
    }

    /// How it ended, as far as that was told.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Takes down why a step was refused.
    pub(super) fn refuse(&mut self, error: Error) {
        self.refusal = Some(error);
        self.ended = Some(Ended::Refused);
    }

    /// Why a step was refused.
    pub(super) fn refusal(&mut self) -> Option<Error> {
        self.refusal.take()
    }

    /// Takes down why the supervisor cannot go on.
    pub(super) fn fail(&mut self, fault: Error) {
        self.fault = Some(fault);
    }

    /// Why the supervisor could not go on, or why a step was refused.
    pub(super) fn fault(&mut self) -> Option<Error> {
        self.fault.take().or_else(|| self.refusal.take())
    }

    /// Whether the first process may have something to say.
    pub(super) fn is_hearing(&self) -> bool {
        !self.silent
    }

    /// The first process has closed its side.
    pub(super) fn hears_no_more(&mut self) {
        self.silent = true;
    }

    /// Why it was ended, once all is known. What we passed on may have reached a command before it ran.
    pub(super) fn cause(&self) -> Option<Cause> {
        let asked = || self.asked.map(|asked| Cause::Cancelled(asked.signal));
        match self.ended {
            Some(Ended::Lost(_)) => self.cause.or_else(asked),
            Some(Ended::Status(_) | Ended::Refused) | None => self.cause,
        }
    }
}

/// Several errors as one, which tells all of them.
pub(super) fn together(errors: Vec<Error>) -> Option<Error> {
    let mut errors = errors.into_iter();
    let first = errors.next()?;
    Some(errors.fold(first, |all, error| {
        let hints: Vec<&str> = all.hints().chain(error.hints()).collect();
        let hint = (!hints.is_empty()).then(|| hints.join("\n"));
        Error { message: format!("{all}; {error}"), hint, ..all.clone() }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_cause_stays() {
        let mut ending = Ending::default();
        assert!(ending.decide(Cause::Memory));
        assert!(!ending.decide(Cause::CpuTime) && !ending.decide_late(Cause::Output));
        assert_eq!(ending.cause(), Some(Cause::Memory));
    }

    #[test]
    fn a_command_that_has_ended_is_ended_for_nothing_but_what_it_wrote_or_took_too_long_for() {
        let mut ending = Ending::default();
        ending.tell(Ended::Status(0));
        assert!(!ending.decide(Cause::Memory));
        ending.was_late();
        ending.sandbox_ended(Cause::Memory);
        assert_eq!(ending.cause(), None);
        assert!(ending.decide_late(Cause::Output));
        let mut killed = Ending::default();
        killed.tell(Ended::Status(libc::SIGKILL));
        killed.was_late();
        assert_eq!(killed.cause(), Some(Cause::Deadline));
    }

    #[test]
    fn who_asks_again_can_only_shorten_the_time() {
        let (mut ending, now) = (Ending::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        assert!(ending.ask(Signal::SIGINT, later));
        assert!(!ending.ask(Signal::SIGTERM, now) && !ending.ask(Signal::SIGTERM, later));
        assert_eq!(ending.asked(), Some(Asked { signal: Signal::SIGINT, until: now }));
        // It reached a command that was lost before it ran.
        assert_eq!(ending.cause(), None);
        ending.tell(Ended::Lost(0));
        assert_eq!(ending.cause(), Some(Cause::Cancelled(Signal::SIGINT)));
    }

    #[test]
    fn several_errors_are_told_together() {
        assert_eq!(together(Vec::new()), None);
        let [one, two] = [Error::setup("remove `a`", libc::EIO), Error::setup("put back `b`", libc::EBADF)];
        assert_eq!(together(vec![one.clone()]), Some(one.clone()));
        let both = together(vec![one, two]).map(|error| error.to_string());
        assert_eq!(both.as_deref(), Some("remove `a`: I/O error; put back `b`: Bad file number"));
    }
}
