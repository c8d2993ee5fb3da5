//! The network of a running sandbox: served from its launch on, and summed up when nothing runs inside any more.

use super::Running;
use crate::error::Error;
use crate::outcome;
use crate::process::network::Network;
use crate::spec::network::Policy;

impl Running {
    /// Takes over what serves its network.
    pub(in crate::process) fn serve_network(&mut self, network: Option<Network>) {
        self.guards.network = network;
    }

    /// Another policy of what may be reached. How many connections it does not allow any more, which were cut.
    ///
    /// # Errors
    ///
    /// `Host`, where the sandbox was made without a network; `Setup`, where its network is lost.
    pub fn set_policy(&mut self, policy: Policy) -> Result<u64, Error> {
        match &self.guards.network {
            Some(network) => network.set_policy(policy).map_err(|errno| {
                Error::setup("tell the sandbox's network its policy: a process that served it was ended", errno)
            }),
            None => Err(Error::setup("tell the sandbox's network its policy: it has none", 0)),
        }
    }

    /// Everybody inside has ended: what was there on the network is all there will ever be.
    pub(super) fn finish_network(&mut self) {
        let Some(network) = &mut self.guards.network else { return };
        let (summary, log) = network.finish();
        let events = log.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let lost = summary.is_none();
        self.network = Some(outcome::Network::of(summary, events, lost));
    }
}
