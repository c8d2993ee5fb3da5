//! The beginning of a command in a sandbox that has waited for it: from then on it is watched as any other.

use super::{Running, polled};
use crate::images::Lease;
use crate::process::given::Place;
use crate::process::launch::BACKSTOP;
use crate::process::plan::Plan;
use crate::spec::Order;
use crate::step::Steps;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// When a command begins, and where pid 1 reads it to.
#[derive(Clone, Copy, Debug)]
pub(in crate::process) struct Beginning {
    pub(in crate::process) at: Instant,
    pub(in crate::process) place: Place,
}

impl Running {
    /// Has pid 1 go on with the command of `plan`, in a sandbox that was made without one. `lease` holds its image from now on.
    ///
    /// # Errors
    ///
    /// The error number, where nothing has begun: it is not what the plan makes, or has ended.
    pub(in crate::process) fn begin(
        &mut self,
        order: &Order,
        plan: Plan,
        lease: Option<Lease>,
        Beginning { at, place }: Beginning,
    ) -> Result<(), i32> {
        if !plan.is_made_as(&self.plan) {
            return Err(libc::ESTALE);
        }
        if polled::is_readable(self.first.pidfd.as_fd(), Duration::ZERO) {
            return Err(libc::ESRCH);
        }
        let Some(command) = plan.command() else { return Err(libc::EINVAL) };
        let left = order.spec.timeout.map(|timeout| (timeout + BACKSTOP).saturating_sub(at.elapsed()));
        place.send(self.first.control.as_fd(), command, left)?;
        // What pid 1 says of its steps it says by their numbers.
        let init = std::mem::take(&mut self.plan.steps.init);
        self.plan = Plan { steps: Steps { init, payload: plan.steps.payload }, ..plan };
        self.order = order.clone();
        self.started = at;
        self.holder.begin(at);
        self.guards.lease = lease;
        Ok(())
    }
}
