//! What has to be given back at the end, whatever happened: held in one place, and closed in the reverse of the order in which the
//! fields stand. Closing goes on after an error, and tells all of them.

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::images::Lease;
use crate::process::network::Network;
use crate::process::publish::Publisher;
use crate::sys::signal::Listening;
use crate::sys::tty::RawTerminal;
use std::io::Stdin;

/// Everything that a sandbox holds of the host's and the caller's.
pub(in crate::process) struct Guards {
    /// The image. First taken, and last given back.
    pub(in crate::process) lease: Option<Lease>,
    /// The signals to us. As long as they are blocked nothing keeps us from giving the rest back.
    pub(in crate::process) listening: Listening,
    /// The sandbox's cgroup; what it holds is not sampled.
    pub(in crate::process) cgroup: Option<Cgroup>,
    /// What serves its network. Its end is nobody's business any more: both processes end with the sockets to them.
    pub(in crate::process) network: Option<Network>,
    /// The caller's terminal.
    pub(in crate::process) terminal: Option<RawTerminal<Stdin>>,
    /// The process that takes connections for the sandbox.
    pub(in crate::process) publisher: Option<Publisher>,
}

impl Guards {
    /// Gives everything back. What was in the way: one error for each.
    pub(super) fn close(self) -> Vec<Error> {
        let Guards { lease, listening, cgroup, network, terminal, publisher } = self;
        drop(network);
        let state = |errno| Error::setup("put the caller's state back", errno);
        // Gives nothing back that could be in the way of the rest.
        publisher.into_iter().for_each(Publisher::close);
        let closed = [
            terminal.map_or(Ok(()), RawTerminal::close).map_err(state),
            cgroup.map_or(Ok(()), Cgroup::remove),
            listening.close().map_err(state),
        ];
        drop(lease);
        closed.into_iter().filter_map(Result::err).collect()
    }
}
