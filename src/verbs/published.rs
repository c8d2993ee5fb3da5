//! What is said of published ports while a sandbox runs: which one it became, where any was asked for.

use super::Site;
use crate::outcome::Published;
use crate::process::{Attendant, Running};
use crate::spec::{Publish, Spec};
use nix::poll::PollFd;
use std::time::Instant;

/// Says which ports it became, where any were asked for. The others are those that were asked for.
pub fn say(site: &Site<'_>, wanted: &[Publish], published: &[Published]) {
    for (_, one) in wanted.iter().zip(published).filter(|(wanted, _)| wanted.host == 0) {
        (site.say)(&one.to_string());
    }
}

/// Says it of a sandbox that ends with its command, as soon as it is there.
pub struct Announcer<'a> {
    site: &'a Site<'a>,
    wanted: &'a [Publish],
}

impl<'a> Announcer<'a> {
    /// Of what a spec asks for.
    pub fn of(site: &'a Site<'a>, spec: &'a Spec) -> Announcer<'a> {
        Announcer { site, wanted: &spec.publish }
    }
}

impl Attendant for Announcer<'_> {
    fn interests<'a>(&'a self, _list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        None
    }

    fn attend(&mut self, running: &mut Running, _now: Instant) {
        // Once.
        say(self.site, std::mem::take(&mut self.wanted), running.published());
    }
}
