//! A port of a sandbox that is reached from the host, as it is told.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A port of the sandbox that is reached from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published {
    /// The host's address.
    pub address: IpAddr,
    /// The host's port, as it was given where any was asked for.
    pub port: u16,
    /// The port inside.
    pub to: u16,
    /// Why it was closed before the sandbox had ended; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

impl Published {
    /// Where on the host.
    pub fn place(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leads to port {} inside", self.place(), self.to)
    }
}
