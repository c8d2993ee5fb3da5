//! What a launch is for: the kinds of life that the main path starts, each with what only it needs.
//!
//! Everything that depends on the kind is decided here or is data that was made here. The loop that watches asks for what it has
//! (a leader, a place to wait), not for what it is.

use super::child::Duty;
use super::joined::Joined;
use super::plan::Plan;
use super::relay::Follower;
use crate::cgroup;
use crate::error::Error;
use crate::host::{Host, Image};
use crate::spec::{Order, Runs, Spec};
use std::fs::File;
use std::os::fd::OwnedFd;

/// How the caller wants the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `true`: capture output into the outcome. `false`: the command writes where the caller does.
    pub capture: bool,
    /// Number of a step (from 1, init before payload) that is made to fail; for tests, in debug builds only.
    pub fail_step: Option<usize>,
}

/// What becomes of what a command of one sandbox writes.
pub enum Output {
    /// It is delivered to the caller.
    Deliver(Delivery),
    /// It is told to a follower, as it comes.
    Follow(Follower),
}

/// What is launched.
pub enum Role<'a> {
    /// A sandbox that ends with its command.
    Command(Output),
    /// A persistent sandbox: ends with its own command, whose output the follower is told, or, without one, when it is told to. Its
    /// connections are written to the file, and a command that is ours to speak to has the descriptor for standard input.
    Persistent(Follower, Option<File>, Option<OwnedFd>),
    /// A sandbox that is made before anybody has a command for it.
    Spare,
    /// A command for such a sandbox, which is there already with the process that becomes the command.
    Taken(Delivery),
    /// A command that joins a sandbox.
    Leader(&'a Joined, Delivery),
}

impl<'a> Role<'a> {
    /// What the first process is there for.
    pub fn duty(&self, order: &Order) -> Duty {
        match (self, order.runs()) {
            (Role::Leader(..), _) => Duty::Lead,
            (Role::Persistent(..), Runs::Nothing) => Duty::Wait,
            (Role::Spare, _) => Duty::Spare,
            (Role::Command(_) | Role::Persistent(..) | Role::Taken(_), _) => Duty::Run,
        }
    }

    /// What the host can do for it; of what it makes itself, with the place for its cgroup ready.
    pub fn probe(&self, spec: &Spec, image: Option<Image>) -> Result<Host, Error> {
        match self {
            Role::Command(_) | Role::Persistent(..) | Role::Spare | Role::Taken(_) => {
                cgroup::settle(spec, Host::probe(spec, image)?)
            }
            Role::Leader(joined, _) => joined.probe(spec, image),
        }
    }

    /// The steps.
    pub fn plan(&self, order: &Order, host: &Host) -> Result<Plan, Error> {
        match self {
            Role::Command(_) | Role::Persistent(..) | Role::Spare | Role::Taken(_) => Plan::new(order, host),
            Role::Leader(joined, _) => joined.plan(order, host),
        }
    }

    /// What it joins.
    pub fn joined(&self) -> Option<&'a Joined> {
        match self {
            Role::Command(_) | Role::Persistent(..) | Role::Spare | Role::Taken(_) => None,
            Role::Leader(joined, _) => Some(joined),
        }
    }

    /// Our own program, where somebody has made the copy of it that is to run.
    pub fn program(&self) -> Option<&'a OwnedFd> {
        self.joined()?.program.as_ref()
    }

    /// Where its connections are written down, where that is to outlast it.
    ///
    /// # Errors
    ///
    /// `Setup`, where there is no descriptor left.
    pub fn network_log(&self) -> Result<Option<File>, Error> {
        match self {
            Role::Persistent(_, log, _) => {
                let log = log.as_ref().map(File::try_clone).transpose();
                log.map_err(|error| Error::attempt("hold the network log", &error))
            }
            Role::Command(_) | Role::Leader(..) | Role::Spare | Role::Taken(_) => Ok(None),
        }
    }

    /// How its output is delivered. What is followed goes nowhere else.
    pub fn delivery(&self) -> Delivery {
        match self {
            Role::Command(Output::Deliver(delivery)) | Role::Leader(_, delivery) | Role::Taken(delivery) => *delivery,
            Role::Command(Output::Follow(_)) | Role::Persistent(..) | Role::Spare => {
                Delivery { capture: true, fail_step: None }
            }
        }
    }

    /// What standard input is, where it is ours to speak through.
    pub fn input(&mut self) -> Option<OwnedFd> {
        match self {
            Role::Persistent(_, _, input) => input.take(),
            Role::Command(_) | Role::Leader(..) | Role::Spare | Role::Taken(_) => None,
        }
    }

    /// Whether nothing runs that would have streams.
    pub fn is_spare(&self) -> bool {
        matches!(self, Role::Spare)
    }

    /// Who is told what it writes.
    pub fn follower(self) -> Option<Follower> {
        match self {
            Role::Command(Output::Follow(follower)) | Role::Persistent(follower, ..) => Some(follower),
            Role::Command(Output::Deliver(_)) | Role::Leader(..) | Role::Spare | Role::Taken(_) => None,
        }
    }
}
