//! What the supervisor and the dialer say to each other: one message a packet, on a socket pair that keeps packets apart (SOCK_SEQPACKET).
//! A message is postcard's encoding of one of the enums below; a descriptor comes with [`Order::Device`] and with nothing else.

use crate::network::wire::Device;
use crate::outcome::network::Summary;
use crate::spec::network::Policy;
use serde::{Deserialize, Serialize};

/// Bytes of the longest message: what a socket buffer of the usual size (`net.core.wmem_default`) takes in one piece. The longest policy
/// (see [`Policy::problems`]) is shorter.
pub const LONGEST: usize = 192 << 10;

/// From the supervisor. Each is answered, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Comes with the descriptor of the sandbox's device, for the packet process. Answered by [`Report::Done`].
    Device(Device),
    /// From now on this holds, for what is open too. Answered by [`Report::Policy`].
    Policy(Policy),
    /// The network ends. Answered by [`Report::Ended`].
    End,
}

/// From the dialer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// It was done.
    Done,
    /// The policy holds.
    Policy {
        /// Connections that it does not allow any more, and that were cut.
        cut: u64,
    },
    /// The network has ended, and nothing comes any more. Also without [`Order::End`], when the packet process is gone.
    Ended(Summary),
}
